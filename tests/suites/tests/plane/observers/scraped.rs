//! The alert rules on series that Prometheus has scraped of a real Velero (`node/half_node/alerting`), while hours pass.
//!
//! The rules are those that the charm makes where the same Schedules and Backups are. From some moment on, nothing
//! changes any more: what takes hours is seen without waiting for it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use worlds::plane::{LightWorld, Plane};
use worlds::prometheus::promtool;
use worlds::prometheus::recording::{Backup, Recording, Schedule};
use worlds::prometheus::rules::retimed;
use worlds::prometheus::series::Series;

use super::rules::{look, write};
use super::{deploy_cos, relate, seen, update};

const HOUR: usize = 3600;
/// For how long nothing changes.
const HELD: usize = 32 * HOUR;
/// Prometheus scrapes once a minute. A rule that looks back for a day could not take more.
const PACE: usize = 60;
/// Seconds from one look at the rules to the next.
const LOOK: usize = 300;
/// What the charm notes of a Backup.
const VOLUMES: &str = "velero-operator/volumes";
const FIRING: &str = "count by (alertname, schedule) (ALERTS{alertstate=\"firing\"})";

/// What fires so many minutes after the moment.
type Alarms = [(i64, &'static [&'static str])];

const WRONG: &Alarms = &[
    (
        20,
        &[
            "VeleroBackupFailed failing",
            "VeleroBackupPartiallyFailed partial",
            "VeleroBackupValidationFailed ",
            "VeleroBackupWithoutData lacking",
            "VeleroBackupWithoutData partial",
            "VeleroLocationUnavailable ",
            "VeleroRestoreFailed ",
        ],
    ),
    (
        29 * 60,
        &[
            "VeleroBackupFailed failing",
            "VeleroBackupPartiallyFailed partial",
            "VeleroBackupWithoutData lacking",
            "VeleroBackupWithoutData partial",
            "VeleroLocationUnavailable ",
        ],
    ),
    (
        31 * 60,
        &[
            "VeleroBackupFailed failing",
            "VeleroBackupMissed daily",
            "VeleroBackupMissed lacking",
            "VeleroBackupNeverSucceeded failing",
            "VeleroBackupNeverSucceeded never",
            "VeleroBackupNeverSucceeded partial",
            "VeleroBackupPartiallyFailed partial",
            "VeleroBackupWithoutData lacking",
            "VeleroBackupWithoutData partial",
            "VeleroLocationUnavailable ",
        ],
    ),
];

const MENDED: &Alarms = &[
    // Something was refused in the last six hours.
    (
        20,
        &[
            "VeleroBackupValidationFailed ",
            "VeleroBackupWithoutData failing",
            "VeleroBackupWithoutData partial",
            "VeleroRestoreFailed ",
        ],
    ),
    // Nobody asked for the files of their volumes.
    (
        7 * 60,
        &[
            "VeleroBackupWithoutData failing",
            "VeleroBackupWithoutData partial",
        ],
    ),
    (
        29 * 60,
        &[
            "VeleroBackupWithoutData failing",
            "VeleroBackupWithoutData partial",
        ],
    ),
    (
        31 * 60,
        &[
            "VeleroBackupMissed daily",
            "VeleroBackupMissed failing",
            "VeleroBackupMissed lacking",
            "VeleroBackupMissed never",
            "VeleroBackupMissed partial",
            "VeleroBackupWithoutData failing",
            "VeleroBackupWithoutData partial",
        ],
    ),
];

#[tokio::test]
async fn scraped_series_alarm_and_heal_as_hours_pass() {
    let recording = Recording::read().unwrap();
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "scraped").await.unwrap();
    world.config("use-node-agent", "true").await.unwrap();
    deploy_cos(&mut world).await;
    relate(&mut world).await;
    let length = seconds(recording.samples() * recording.step);
    let begin = Timestamp::now() - SignedDuration::from_secs(length);
    lend_location(&world).await;
    for schedule in &recording.schedules {
        make_schedule(&world, schedule).await;
    }

    for (samples, alarms) in [(recording.wrong, WRONG), (recording.samples(), MENDED)] {
        let moment = seconds((samples - 1) * recording.step);
        for backup in recording.backups.iter().filter(|one| one.begun <= moment) {
            make_backup(&world, backup, begin).await;
        }
        update(&mut world).await;

        let metrics = &seen(&world)["metrics"][0];
        let counted = |date: i64| date - begin.as_second();
        let looks = alarms.iter();
        let looks = looks.map(|(minutes, fire)| look(FIRING, moment + 60 * minutes, fire));
        let test = json!({
            "interval": format!("{PACE}s"),
            "input_series": held(&recording, samples, &metrics["jobs"]),
            "promql_expr_test": looks.collect::<Vec<_>>(),
        });
        judge(&retimed(&metrics["rules"], counted, |length| length), &test).await;
    }
}

/// A location of the user's.
async fn lend_location(world: &LightWorld) {
    let mut location = json!({
        "apiVersion": "velero.io/v1", "kind": "BackupStorageLocation",
        "metadata": {"name": "theirs", "namespace": world.namespace},
        "spec": world.location().await.unwrap().unwrap(),
    });
    location["spec"]["default"] = json!(false);
    world.apply(&location).await.unwrap();
}

async fn make_schedule(world: &LightWorld, schedule: &Schedule) {
    let Schedule { name, cron, paused } = schedule;
    let schedule = json!({
        "apiVersion": "velero.io/v1", "kind": "Schedule",
        "metadata": {"name": name, "namespace": world.namespace},
        "spec": {"schedule": cron, "paused": paused, "template": {}},
    });
    world.apply(&schedule).await.unwrap();
}

async fn make_backup(world: &LightWorld, backup: &Backup, begin: Timestamp) {
    let Backup {
        schedule,
        begun,
        phase,
        volumes,
    } = backup;
    let started = begin + SignedDuration::from_secs(*begun);
    let notes = volumes.iter().map(|note| (VOLUMES, note));
    let backup = json!({
        "apiVersion": "velero.io/v1", "kind": "Backup",
        "metadata": {
            "name": format!("{schedule}-{begun}"), "namespace": world.namespace,
            "labels": {"velero.io/schedule-name": schedule},
            "annotations": notes.collect::<BTreeMap<_, _>>(),
        },
        "spec": {},
        "status": {"phase": phase, "startTimestamp": started.to_string()},
    });
    world.apply(&backup).await.unwrap();
}

/// The first samples of all series, the last of which stay, with the labels of those to whom the rules apply.
fn held(recording: &Recording, samples: usize, jobs: &Value) -> Vec<Value> {
    let whose = &jobs[0]["static_configs"][0]["labels"];
    let whose: BTreeMap<String, String> = serde_json::from_value(whose.clone()).unwrap();
    let scraped = recording.scraped.iter();
    let scraped = scraped.flat_map(|(metric, found)| found.iter().map(move |one| (metric, one)));
    let (every, more) = (PACE / recording.step, HELD / PACE);
    let held = scraped.map(
        |(
            metric,
            Series {
                labels,
                samples: all,
            },
        )| {
            let mut named = whose.clone();
            named.remove("velero_part");
            named.extend(labels.clone());
            let labels = named
                .iter()
                .map(|(name, value)| format!("{name}={value:?}"));
            let labels = labels.collect::<Vec<_>>().join(",");
            let values = all.held(samples, every, more).to_string();
            json!({"series": format!("{metric}{{{labels}}}"), "values": values})
        },
    );
    held.collect()
}

/// Prometheus' own engine finds what a test expects.
async fn judge(rules: &Value, test: &Value) {
    let folder = tempfile::tempdir().unwrap();
    let tests = json!({
        "rule_files": ["rules.yaml"], "evaluation_interval": format!("{LOOK}s"), "tests": [test],
    });
    write(folder.path(), "rules.yaml", &rules.to_string());
    write(folder.path(), "tests.yaml", &tests.to_string());
    let test = ["test", "rules", "tests.yaml"];
    promtool(&test, folder.path()).await.unwrap();
}

fn seconds(number: usize) -> i64 {
    i64::try_from(number).unwrap()
}
