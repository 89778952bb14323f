//! What the dashboard shows of all that happened, and what is kept of it as a recording.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::{DynamicObject, ListParams};
use serde_json::{Value, json};
use worlds::prometheus::PACE;
use worlds::prometheus::panels::{Dashboard, Panel};
use worlds::prometheus::recording::{Answers, Backup, Recording, Schedule};
use worlds::prometheus::rules::each;
use worlds::prometheus::series::{Series, Span};

use super::Watched;
use super::schedules::{MADE_BY, backups_of, objects};
use crate::kubectl;

/// Seconds from sample to sample in the recording.
pub(super) const STEP: usize = 5;
/// By these the series are told apart that rules are about. All others are of the model, or of the machine.
const LABELS: [&str; 4] = [
    "backup_location_name",
    "k8s_node",
    "schedule",
    "velero_part",
];
/// What the charm notes of a Backup.
const VOLUMES: &str = "velero-operator/volumes";

/// Panels that show zeros, and why nothing of theirs happens here.
const FLAT: [(&str, &str); 4] = [
    (
        "Backups with warnings",
        "nothing of these backups is skipped",
    ),
    ("Snapshots", "volumes are directories of the node"),
    ("Uploads of snapshots", "there are no snapshots"),
    ("Downloads of snapshots", "there are no snapshots"),
];

/// What else a dashboard shows: a restore, a deletion, and a repository that is maintained.
pub(super) async fn good_things_happen(watched: &Watched) {
    let world = &watched.world;
    let mut daily = backups_of(world, "daily").await;
    daily.sort_by_key(DynamicObject::creation_timestamp);
    let [oldest, .., newest] = &daily[..] else {
        panic!("two backups: {daily:?}")
    };
    // One after the other, for the same reason as backups.
    for (kind, backup, done) in [
        ("Restore", newest, "velero_restore_success_total"),
        (
            "DeleteBackupRequest",
            oldest,
            "velero_backup_deletion_success_total",
        ),
    ] {
        let object = json!({
            "apiVersion": "velero.io/v1", "kind": kind,
            "metadata": {"name": "good", "namespace": world.namespace},
            "spec": {"backupName": backup.name_any()},
        });
        world.apply(&object).await.unwrap();
        is_recorded(watched, done).await;
    }
    let repository = kubectl(
        world,
        &["get", "backuprepositories.velero.io", "-o", "name"],
    )
    .await;
    let due = r#"{"spec":{"maintenanceFrequency":"1s"}}"#;
    kubectl(world, &["patch", &repository, "--type=merge", "-p", due]).await;
    is_recorded(watched, "velero_repo_maintenance_success_total").await;
}

async fn is_recorded(watched: &Watched, done: &str) {
    let query = format!("sum({done} offset {STEP}s) > 0");
    watched.sees(&query).await;
}

/// All that was seen from the beginning on, up to now.
pub(super) async fn recorded(watched: &Watched, wrong: Timestamp) -> Recording {
    let span = span(watched.begun);
    let (schedules, backups) = left(watched, span.begin).await;
    let before = usize::try_from(wrong.as_second() - span.begin).unwrap();
    Recording {
        step: STEP,
        wrong: before / STEP + 1,
        schedules,
        backups,
        scraped: scraped(watched, span).await,
        shown: shown(watched, span).await,
    }
}

/// Each query gives something, and each panel shows more than zeros.
pub(super) fn all_is_shown(watched: &Watched, shown: &Answers) {
    let dashboard = dashboard(watched);
    let queries = dashboard.panels.iter().flat_map(|panel| &panel.targets);
    let queries: Vec<_> = queries.map(|target| target.expr.as_str()).collect();
    assert!(queries.len() > 30, "{queries:?}");
    let silent = queries.into_iter().filter(|query| shown[*query].is_empty());
    assert_eq!(silent.collect::<Vec<_>>(), Vec::<&str>::new());
    let flat = dashboard
        .panels
        .iter()
        .filter(|panel| is_flat(panel, shown));
    let flat: BTreeSet<_> = flat.map(|panel| panel.title.as_str()).collect();
    assert_eq!(flat, FLAT.map(|(panel, _)| panel).into());
    let mut panels = dashboard.panels.iter();
    let failed = panels.find(|panel| panel.title == "Failed").unwrap();
    let mut failed = shown[&failed.targets[0].expr].iter();
    let partial = failed.find(|series| series.labels["schedule"] == "partial");
    let count = partial.unwrap().samples.last();
    assert_eq!(count, Some(1.0), "the server that counted it has ended");
}

fn is_flat(panel: &Panel, shown: &Answers) -> bool {
    let series = panel.targets.iter().flat_map(|target| &shown[&target.expr]);
    let mut samples = series.flat_map(|series| series.samples.iter()).flatten();
    !panel.targets.is_empty() && samples.all(|value| value == 0.0)
}

/// As it stands in the data bag.
fn dashboard(watched: &Watched) -> Dashboard {
    let dashboard = &watched.seen()["dashboards"][0][0]["dashboard"];
    serde_json::from_value(dashboard.clone()).unwrap()
}

/// Whole steps up to now.
fn span(begun: Timestamp) -> Span {
    let end = Timestamp::now().as_second();
    let steps = usize::try_from(end - begun.as_second()).unwrap() / STEP;
    Span {
        begin: end - i64::try_from(steps * STEP).unwrap(),
        end,
        step: STEP,
    }
}

async fn shown(watched: &Watched, span: Span) -> Answers {
    let mut shown = Answers::new();
    for panel in dashboard(watched).panels {
        for target in panel.targets {
            let query = target.query(span, PACE).unwrap();
            let found = watched.prometheus.ask_over(span, &query).await.unwrap();
            shown.insert(target.expr, found);
        }
    }
    shown
}

/// What the rules are about. Dates count from the beginning, as times do.
async fn scraped(watched: &Watched, span: Span) -> Answers {
    let rules = watched.bag()["rules"].clone();
    let metrics: BTreeSet<_> = each(&rules).flat_map(metrics_in).collect();
    let mut scraped = Answers::new();
    for metric in metrics {
        let mut found = watched.prometheus.ask_over(span, &metric).await.unwrap();
        for Series { labels, samples } in &mut found {
            labels.retain(|label, _| LABELS.contains(&label.as_str()));
            if metric.ends_with("_timestamp") {
                *samples = samples.since(seconds(span.begin));
            }
        }
        scraped.insert(metric, found);
    }
    scraped
}

/// Each of ours is followed by labels that say whose it is.
fn metrics_in(rule: &Value) -> Vec<String> {
    let mut parts: Vec<_> = rule["expr"].as_str().unwrap().split('{').collect();
    parts.pop();
    let is_of_a_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let names = parts
        .into_iter()
        .filter_map(|part| part.rsplit(|letter| !is_of_a_name(letter)).next());
    names.map(str::to_owned).collect()
}

fn seconds(time: i64) -> f64 {
    f64::from(u32::try_from(time).unwrap())
}

/// What there was for the charm to make rules from.
async fn left(watched: &Watched, begin: i64) -> (Vec<Schedule>, Vec<Backup>) {
    let world = &watched.world;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let schedule = |live: DynamicObject| Schedule {
        name: live.name_any(),
        cron: text(&live.data["spec"]["schedule"]),
        paused: live.data["spec"]["paused"] == true,
    };
    let schedules = objects(world, "Schedule", &ListParams::default()).await;
    let backup = |live: DynamicObject| {
        let started: Timestamp = text(&live.data["status"]["startTimestamp"])
            .parse()
            .unwrap();
        Backup {
            schedule: live.labels()[MADE_BY].clone(),
            begun: started.as_second() - begin,
            phase: text(&live.data["status"]["phase"]),
            volumes: live.annotations().get(VOLUMES).cloned(),
        }
    };
    let of_schedules = ListParams::default().labels(MADE_BY);
    let backups = objects(world, "Backup", &of_schedules).await;
    (
        schedules.into_iter().map(schedule).collect(),
        backups.into_iter().map(backup).collect(),
    )
}
