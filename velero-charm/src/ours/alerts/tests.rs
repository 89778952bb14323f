use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{
    kinds::ALL,
    schedules::{Ended, Extent, Failure, Gap, State, Volumes, interval},
    *,
};

/// What the server and the node agent of Velero 1.18.3 show, by its source (`pkg/metrics/metrics.go`).
pub(crate) const METRICS: [&str; 43] = [
    "velero_backup_attempt_total",
    "velero_backup_deletion_attempt_total",
    "velero_backup_deletion_failure_total",
    "velero_backup_deletion_success_total",
    "velero_backup_duration_seconds",
    "velero_backup_failure_total",
    "velero_backup_items_errors",
    "velero_backup_items_total",
    "velero_backup_last_status",
    "velero_backup_last_successful_timestamp",
    "velero_backup_location_status_gauge",
    "velero_backup_partial_failure_total",
    "velero_backup_success_total",
    "velero_backup_tarball_size_bytes",
    "velero_backup_total",
    "velero_backup_validation_failure_total",
    "velero_backup_warning_total",
    "velero_csi_snapshot_attempt_total",
    "velero_csi_snapshot_failure_total",
    "velero_csi_snapshot_success_total",
    "velero_repo_maintenance_duration_seconds",
    "velero_repo_maintenance_failure_total",
    "velero_repo_maintenance_success_total",
    "velero_restore_attempt_total",
    "velero_restore_failed_total",
    "velero_restore_partial_failure_total",
    "velero_restore_success_total",
    "velero_restore_total",
    "velero_restore_validation_failed_total",
    "velero_volume_snapshot_attempt_total",
    "velero_volume_snapshot_failure_total",
    "velero_volume_snapshot_success_total",
    "podVolume_data_download_cancel_total",
    "podVolume_data_download_failure_total",
    "podVolume_data_download_success_total",
    "podVolume_data_upload_cancel_total",
    "podVolume_data_upload_failure_total",
    "podVolume_data_upload_success_total",
    "podVolume_pod_volume_backup_dequeue_count",
    "podVolume_pod_volume_backup_enqueue_count",
    "podVolume_pod_volume_operation_latency_seconds",
    "podVolume_pod_volume_operation_latency_seconds_gauge",
    "up",
];

/// The metrics that a query asks for: words before a brace or alone that look like Velero's, or `up`.
pub(crate) fn metrics_in(query: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '"');
    let words = query.split(|c| !is_word(c));
    let words = words.filter(|word| {
        !word.starts_with('"')
            && (*word == "up" || word.starts_with("velero_") || word.starts_with("podVolume_"))
    });
    let base = |word: &str| {
        let ends = ["_bucket", "_sum", "_count"];
        let histogram = ends.iter().find_map(|end| word.strip_suffix(end));
        histogram
            .filter(|base| METRICS.contains(base))
            .unwrap_or(word)
            .to_owned()
    };
    words.filter(|word| *word != PART).map(base).collect()
}

pub(crate) fn matchers() -> Matchers {
    Matchers::new(&[("juju_model", "prod"), ("juju_application", "velero")])
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn schedule(name: &str) -> Schedule {
    Schedule {
        name: name.into(),
        created: at("2026-01-01T00:00:00Z"),
        interval: Some(SignedDuration::from_hours(24)),
        state: State::Active,
        failure: None,
        gap: None,
    }
}

/// What `promtool` tries the rules on: its clock begins in 1970.
pub(crate) fn at_the_beginning_of_time() -> Facts {
    let of = |name: &str, days: i64| Schedule {
        created: Timestamp::UNIX_EPOCH,
        interval: Some(SignedDuration::from_hours(24 * days)),
        ..schedule(name)
    };
    let failure = |extent| {
        Some(Failure {
            backup: "last".into(),
            extent,
            begun: at("1970-01-03T00:00:00Z"),
        })
    };
    Facts {
        schedules: vec![
            of("daily", 1),
            Schedule {
                failure: failure(Extent::Whole),
                ..of("failing", 30)
            },
            Schedule {
                gap: lacking("monthly", Timestamp::UNIX_EPOCH).gap,
                ..of("monthly", 31)
            },
            Schedule {
                failure: failure(Extent::Part),
                ..of("partial", 30)
            },
            Schedule {
                state: State::Paused {
                    since: Timestamp::UNIX_EPOCH,
                },
                ..of("resting", 1)
            },
            of("weekly", 7),
        ],
        locations: vec!["default".into()],
        node_agents: Some(2),
        neglected: vec![Neglected {
            repository: "shop".into(),
            since: Timestamp::UNIX_EPOCH,
        }],
        password: RepositoryPassword::Known,
    }
}

/// A schedule whose backups have no data of a volume.
fn lacking(name: &str, begun: Timestamp) -> Schedule {
    Schedule {
        gap: Some(Gap {
            backup: "last".into(),
            saved: "2 of 3".into(),
            begun,
        }),
        ..schedule(name)
    }
}

fn failing(name: &str, extent: Extent) -> Schedule {
    Schedule {
        failure: Some(Failure {
            backup: format!("{name}-20260105000000"),
            extent,
            begun: at("2026-01-05T00:00:00Z"),
        }),
        ..schedule(name)
    }
}

/// A world in which each rule has its reason.
pub(crate) fn everything() -> Facts {
    Facts {
        schedules: vec![
            failing("nightly", Extent::Whole),
            failing("partial", Extent::Part),
            lacking("lacking", at("2026-01-05T00:00:00Z")),
            Schedule {
                state: State::Paused {
                    since: at("2026-01-02T00:00:00Z"),
                },
                ..schedule("resting")
            },
        ],
        locations: vec!["default".into()],
        node_agents: Some(3),
        neglected: vec![Neglected {
            repository: "shop-default-kopia".into(),
            since: at("2026-01-01T00:00:00Z"),
        }],
        password: RepositoryPassword::Known,
    }
}

fn names(facts: &Facts) -> BTreeSet<&'static str> {
    let rules = rules(facts, &matchers());
    rules.into_iter().map(|rule| rule.alert).collect()
}

#[test]
fn rules_are_of_what_exists_alone() {
    let nothing = names(&Facts::default());
    let always = [
        "VeleroBackupDeletionFailed",
        "VeleroBackupValidationFailed",
        "VeleroRestoreFailed",
        "VeleroServerDown",
    ];
    assert_eq!(nothing, BTreeSet::from(always));

    let documented: BTreeSet<_> = ALL.iter().map(|kind| kind.alert).collect();
    assert_eq!(names(&everything()), documented);
}

#[test]
fn paused_schedule_is_not_missed() {
    let facts = Facts {
        schedules: vec![Schedule {
            state: State::Paused {
                since: at("2026-01-02T00:00:00Z"),
            },
            gap: lacking("resting", at("2026-01-05T00:00:00Z")).gap,
            ..failing("resting", Extent::Whole)
        }],
        ..Facts::default()
    };
    let about: Vec<_> = rules(&facts, &matchers())
        .into_iter()
        .filter(|rule| !rule.about.is_empty())
        .map(|rule| rule.alert)
        .collect();
    assert_eq!(about, ["VeleroSchedulePaused"]);
}

#[test]
fn grace_follows_the_interval() {
    let limit = |hours| {
        let facts = Facts {
            schedules: vec![Schedule {
                interval: Some(SignedDuration::from_hours(hours)),
                ..schedule("s")
            }],
            ..Facts::default()
        };
        let rules = rules(&facts, &matchers());
        let missed = rules.iter().find(|rule| rule.alert == "VeleroBackupMissed");
        let (_, limit) = missed.unwrap().expr.rsplit_once("> ").unwrap();
        limit.parse::<i64>().unwrap() / 3600
    };
    let hours = [(1, 2), (24, 30), (7 * 24, 8 * 24), (31 * 24, 32 * 24)];
    for (interval, longest) in hours {
        assert_eq!(limit(interval), longest);
    }
}

#[test]
fn rules_use_real_metrics() {
    for rule in rules(&everything(), &matchers()) {
        for metric in metrics_in(&rule.expr) {
            assert!(
                METRICS.contains(&metric.as_str()),
                "{metric}: {}",
                rule.expr
            );
            assert_ne!(metric, "velero_backup_last_status", "it cannot tell");
        }
        let selectors = rule.expr.matches('{').count();
        let ours = rule.expr.matches("{juju_model=\"prod\",").count();
        assert_eq!(selectors, ours, "{}", rule.expr);
    }
}

#[test]
fn panels_use_real_metrics() {
    let dashboard: Value = serde_json::from_str(include_str!("../dashboard.json")).unwrap();
    let mut shown = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().unwrap();
            let metrics = metrics_in(query);
            assert!(!metrics.is_empty(), "{query}");
            for metric in &metrics {
                assert!(METRICS.contains(&metric.as_str()), "{metric} in {query}");
            }
            assert_eq!(target["datasource"]["uid"], "${prometheusds}");
            shown.extend(metrics);
        }
    }
    assert!(
        !shown.contains("velero_backup_last_status"),
        "it cannot tell"
    );
    assert!(shown.len() > 25, "{shown:?}");
}

fn backup(name: &str, phase: &str, started: &str) -> DynamicObject {
    serde_json::from_value(json!({
        "metadata": {
            "name": name, "creationTimestamp": started,
            "labels": {"velero.io/schedule-name": "s"},
        },
        "status": {"phase": phase, "startTimestamp": started},
    }))
    .unwrap()
}

/// The Schedule that they are of.
fn daily() -> DynamicObject {
    serde_json::from_value(json!({
        "metadata": {"name": "s", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"schedule": "@daily"},
    }))
    .unwrap()
}

#[test]
fn backup_without_data_counts_until_one_has_all() {
    let ended = |day: u8, phase: &str, volumes: Volumes| {
        let started = format!("2026-01-0{day}T00:00:00Z");
        Ended::of(&backup(&format!("b{day}"), phase, &started), volumes).unwrap()
    };
    let some = || Volumes::Part("2 of 3".into());
    let gap = |ended: &[Ended]| {
        let schedule = Schedule::of(&daily(), ended, interval).unwrap();
        let gap = schedule.gap.as_ref();
        let gap = gap.map(|gap| (gap.backup.clone(), gap.begun));
        let facts = Facts {
            schedules: vec![schedule],
            ..Facts::default()
        };
        let is_told = names(&facts).contains("VeleroBackupWithoutData");
        assert_eq!(is_told, gap.is_some());
        gap
    };
    let lacks = Some(("b2".to_owned(), at("2026-01-02T00:00:00Z")));
    let mut all = vec![ended(1, "Completed", Volumes::Whole)];
    assert_eq!(gap(&all), None);
    all.push(ended(2, "Completed", some()));
    assert_eq!(gap(&all), lacks);
    // Of these nothing is known.
    all.insert(0, ended(3, "Failed", Volumes::Unknown));
    all.insert(0, ended(4, "Completed", Volumes::Unknown));
    assert_eq!(gap(&all), lacks);
    all.push(ended(5, "PartiallyFailed", some()));
    assert_eq!(gap(&all).unwrap().0, "b5");
    all.insert(1, ended(6, "Completed", Volumes::Whole));
    assert_eq!(gap(&all), None);
}

#[test]
fn last_backup_that_has_ended_counts() {
    let ended = |backup: &DynamicObject| Ended::of(backup, Volumes::Unknown);
    let failure = |backups: &[DynamicObject]| {
        let ended: Vec<_> = backups.iter().filter_map(ended).collect();
        let schedule = Schedule::of(&daily(), &ended, interval).unwrap();
        assert_eq!(schedule.interval, Some(SignedDuration::from_hours(24)));
        schedule
            .failure
            .map(|failure| (failure.backup, failure.extent))
    };
    let failed = backup("two", "Failed", "2026-01-02T00:00:00Z");
    let good = backup("three", "Completed", "2026-01-03T00:00:00Z");
    let partly = backup("four", "PartiallyFailed", "2026-01-04T00:00:00Z");
    let running = backup("five", "InProgress", "2026-01-05T00:00:00Z");

    assert_eq!(failure(&[]), None);
    let two = Some(("two".to_owned(), Extent::Whole));
    assert_eq!(failure(std::slice::from_ref(&failed)), two);
    assert_eq!(failure(&[good.clone(), failed.clone()]), None);
    let four = Some(("four".to_owned(), Extent::Part));
    assert_eq!(failure(&[running, partly, good, failed]), four);
}

#[test]
fn interval_is_the_longest_pause() {
    for (cron, hours) in [
        ("@daily", 24..=24),
        ("0 2 * * *", 24..=24),
        ("@every 90m", 1..=1),
        ("30 3 * * 1-5", 72..=72),
        ("*/5 9-17 * * 1-5", 57..=63),
        ("0 0 * * 0", 168..=168),
        ("0 0 1 * *", 744..=744),
    ] {
        let found = interval(cron).unwrap().as_hours();
        assert!(hours.contains(&found), "{cron}: {found}");
    }
    assert_eq!(interval("at noon"), None);
}

#[test]
fn pause_is_dated_by_the_manager_that_owns_it() {
    let paused = |managers: Value| {
        let live: DynamicObject = serde_json::from_value(json!({
            "metadata": {
                "name": "s", "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": managers,
            },
            "spec": {"schedule": "@daily", "paused": true},
        }))
        .unwrap();
        Schedule::of(&live, &[], interval).unwrap().state
    };
    let managers = json!([
        {"manager": "velero-server", "time": "2026-01-03T00:00:00Z",
         "fieldsV1": {"f:status": {"f:phase": {}}}},
        {"manager": "velero", "time": "2026-01-02T00:00:00Z",
         "fieldsV1": {"f:spec": {"f:paused": {}}}},
    ]);
    let since = |text| State::Paused { since: at(text) };
    assert_eq!(paused(managers), since("2026-01-02T00:00:00Z"));
    assert_eq!(paused(json!([])), since("2026-01-01T00:00:00Z"));
}

/// The page that lists the alerts, made from them.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test is told to write the page again"
)]
fn alerts_are_documented() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/alerts.md");
    let mut text = String::from(include_str!("page.md"));
    for kind in ALL {
        let kinds::Kind {
            alert,
            severity,
            patience,
            when,
            remedy,
        } = kind;
        let patience = match patience.as_mins() {
            0 => "at once".to_owned(),
            minutes => format!("{minutes} minutes"),
        };
        writeln!(
            text,
            "| `{alert}` | {severity} | {when} | {patience} | {remedy} |"
        )
        .unwrap();
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&page, &text).unwrap();
    }
    let written = fs::read_to_string(&page).unwrap_or_default();
    assert_eq!(written, text, "run it with UPDATE_DOCS=1");
}
