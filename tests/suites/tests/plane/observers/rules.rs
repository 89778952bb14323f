//! The alert rules on Prometheus's own engine: `promtool` tries them on series as Velero shows them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};
use worlds::prometheus::promtool;

/// Those that the charm makes of the facts of `at_the_beginning_of_time` (`velero-charm/src/ours/alerts/tests.rs`),
/// which holds that they are.
const RULES: &str = include_str!("rules.json");
const DAY: i64 = 24 * 60;
/// Minutes from sample to sample, and from one look at the rules to the next.
const STEP: i64 = 5;
/// Samples of a series.
const LENGTH: i64 = 9 * DAY / STEP;
const GOOD: &str = "velero_backup_last_successful_timestamp";

/// One course of things.
struct Course {
    name: &'static str,
    /// The series that it has beyond those of a Velero that is well, or instead of them.
    series: Vec<(String, String)>,
    /// The alerts that fire at a minute, with what they are about.
    fire: Vec<(i64, Vec<&'static str>)>,
}

fn constant(value: i64) -> String {
    format!("{value}+0x{LENGTH}")
}

/// A value for a number of minutes, then another.
fn changes(first: &str, minutes: i64, then: &str) -> String {
    let samples = minutes / STEP;
    let rest = LENGTH - samples;
    let repeated = |value: &str, times: i64| match value {
        "_" => format!("_x{times}"),
        value => format!("{value}+0x{}", times - 1),
    };
    format!("{} {}", repeated(first, samples), repeated(then, rest))
}

fn series(metric: &str, labels: &[(&str, &str)]) -> String {
    let ours = [
        ("juju_model", "prod-1"),
        ("juju_model_uuid", "9c0a2c61-3a0e-4a59-8b1e-0d6a5b8f4c11"),
        ("juju_application", "my-velero"),
    ];
    let labels = ours.iter().chain(labels);
    let labels: Vec<_> = labels
        .map(|(label, value)| format!("{label}={value:?}"))
        .collect();
    format!("{metric}{{{}}}", labels.join(","))
}

fn of(metric: &str, schedule: &str) -> String {
    series(metric, &[("schedule", schedule)])
}

/// A backup each day, and one that is as good of each other schedule.
fn good_each_day() -> String {
    let days = (0..9).map(|day| {
        let done = day * 86_400 + 300;
        format!("{done}+0x{}", DAY / STEP - 1)
    });
    days.collect::<Vec<_>>().join(" ")
}

/// What a Velero shows that is well.
fn well() -> BTreeMap<String, String> {
    let part = |part| ("velero_part", part);
    let agent = |node| series("up", &[part("node-agent"), ("k8s_node", node)]);
    let mut all = BTreeMap::from([
        (series("up", &[part("server")]), constant(1)),
        (agent("n1"), constant(1)),
        (agent("n2"), constant(1)),
        (series("velero_backup_total", &[]), constant(7)),
        (location(), constant(1)),
    ]);
    for schedule in [
        "daily", "weekly", "monthly", "failing", "partial", "resting",
    ] {
        all.insert(of(GOOD, schedule), good_each_day());
        all.insert(of("velero_restore_failed_total", schedule), constant(0));
        // Whatever happens: this is why no rule asks for it.
        all.insert(of("velero_backup_last_status", schedule), constant(1));
    }
    // What failed on the third day was made good on the fourth.
    for schedule in ["failing", "partial"] {
        all.insert(of(GOOD, schedule), constant(3 * 86_400));
    }
    all
}

fn location() -> String {
    let label = ("backup_location_name", "default");
    series("velero_backup_location_status_gauge", &[label])
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn courses() -> Vec<Course> {
    let hour = 60;
    vec![
        Course {
            name: "a Velero that is well is quiet, but for a schedule that has been paused for a week",
            series: vec![],
            fire: vec![
                (6 * DAY, vec![]),
                (8 * DAY, vec!["VeleroSchedulePaused resting"]),
            ],
        },
        Course {
            name: "a daily schedule is late after its day and a quarter, and heals",
            series: vec![(of(GOOD, "daily"), changes("0", 2 * DAY, "172800"))],
            fire: vec![
                (30 * hour, vec![]),
                (30 * hour + 11, vec!["VeleroBackupMissed daily"]),
                (2 * DAY + 1, vec![]),
                (3 * DAY + 5 * hour, vec![]),
                (3 * DAY + 6 * hour + 11, vec!["VeleroBackupMissed daily"]),
            ],
        },
        Course {
            name: "a weekly and a monthly schedule have their own time",
            series: vec![
                (of(GOOD, "weekly"), constant(0)),
                (of(GOOD, "monthly"), constant(0)),
            ],
            fire: vec![
                (6 * DAY, vec![]),
                (
                    8 * DAY + 11,
                    vec!["VeleroBackupMissed weekly", "VeleroSchedulePaused resting"],
                ),
            ],
        },
        Course {
            name: "a schedule that never had a good backup is told of in time",
            series: vec![(of(GOOD, "daily"), changes("_", 3 * DAY, "259200"))],
            fire: vec![
                (29 * hour, vec![]),
                (30 * hour + 11, vec!["VeleroBackupNeverSucceeded daily"]),
                (3 * DAY + 1, vec![]),
            ],
        },
        Course {
            name: "a backup that failed is told of until a good one follows, and its server may be away",
            series: vec![
                (of(GOOD, "failing"), changes("86400", 4 * DAY, "345600")),
                (of(GOOD, "partial"), changes("86400", 3 * DAY, "_")),
            ],
            fire: vec![
                (
                    2 * DAY,
                    vec![
                        "VeleroBackupFailed failing",
                        "VeleroBackupPartiallyFailed partial",
                    ],
                ),
                (
                    3 * DAY + hour,
                    vec![
                        "VeleroBackupFailed failing",
                        "VeleroBackupPartiallyFailed partial",
                    ],
                ),
                (4 * DAY + 1, vec!["VeleroBackupPartiallyFailed partial"]),
            ],
        },
        Course {
            name: "a server that is down hides no schedule and makes none seem to have had no backup",
            series: vec![
                (
                    series("up", &[("velero_part", "server")]),
                    changes("1", 3 * DAY, "0"),
                ),
                (
                    series("velero_backup_total", &[]),
                    changes("7", 3 * DAY, "_"),
                ),
                (of(GOOD, "daily"), changes("172800", 3 * DAY, "_")),
                (location(), changes("1", 3 * DAY, "_")),
            ],
            fire: vec![
                (3 * DAY + 5, vec![]),
                (3 * DAY + 11, vec!["VeleroServerDown "]),
                (
                    3 * DAY + 7 * hour,
                    vec!["VeleroBackupMissed daily", "VeleroServerDown "],
                ),
                (5 * DAY, vec!["VeleroServerDown "]),
            ],
        },
        Course {
            name: "a location, a node agent and a restore have their own alerts",
            series: vec![
                (location(), changes("1", DAY, "0")),
                (
                    series("up", &[("velero_part", "node-agent"), ("k8s_node", "n2")]),
                    changes("1", DAY, "_"),
                ),
                // By hand: such a series begins with its first failure.
                (
                    of("velero_restore_failed_total", ""),
                    changes("_", DAY, "1"),
                ),
                (
                    of("velero_restore_failed_total", "daily"),
                    changes("0", 2 * DAY, "1"),
                ),
            ],
            fire: vec![
                (DAY - 1, vec![]),
                (DAY + 8, vec!["VeleroRestoreFailed "]),
                (
                    DAY + 12,
                    vec!["VeleroLocationUnavailable ", "VeleroRestoreFailed "],
                ),
                (
                    DAY + 5 * hour,
                    vec![
                        "VeleroLocationUnavailable ",
                        "VeleroNodeAgentDown ",
                        "VeleroRestoreFailed ",
                    ],
                ),
                (
                    DAY + 7 * hour,
                    vec!["VeleroLocationUnavailable ", "VeleroNodeAgentDown "],
                ),
                (
                    2 * DAY + hour,
                    vec![
                        "VeleroLocationUnavailable ",
                        "VeleroNodeAgentDown ",
                        "VeleroRestoreFailed daily",
                    ],
                ),
            ],
        },
    ]
}

/// As `promtool` wants it.
fn test(course: &Course) -> Value {
    let mut all = well();
    all.extend(course.series.iter().cloned());
    let inputs: Vec<_> = all
        .iter()
        .map(|(series, values)| json!({"series": series, "values": values}))
        .collect();
    // Those of facts alone hold in every course.
    let shown = "count by (alertname, schedule) \
                 (ALERTS{alertstate=\"firing\",alertname!~\"VeleroBackupWithoutData|VeleroMaintenanceStale|VeleroRepositoryPasswordKnown\"})";
    let queries = course.fire.iter();
    let queries: Vec<_> = queries
        .map(|(minute, fire)| look(shown, 60 * minute, fire))
        .collect();
    json!({
        "name": course.name, "interval": format!("{STEP}m"), "input_series": inputs, "promql_expr_test": queries,
    })
}

/// Asks for alerts at a second: those of these names and schedules, and no others.
pub(super) fn look(shown: &str, second: i64, fire: &[&str]) -> Value {
    let alert = |alert: &&str| {
        let (name, schedule) = alert.split_once(' ').unwrap();
        let schedule = match schedule {
            "" => String::new(),
            schedule => format!(",schedule={schedule:?}"),
        };
        json!({"labels": format!("{{alertname={name:?}{schedule}}}"), "value": 1})
    };
    let samples: Vec<_> = fire.iter().map(alert).collect();
    json!({"expr": shown, "eval_time": format!("{second}s"), "exp_samples": samples})
}

pub(super) fn write(folder: &Path, name: &str, content: &str) {
    std::fs::write(folder.join(name), content).unwrap();
}

#[tokio::test]
async fn rules_fire_and_heal_on_prometheus_own_engine() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "rules.yaml", RULES);
    let tests: Vec<_> = courses().iter().map(test).collect();
    let tests = json!({"rule_files": ["rules.yaml"], "evaluation_interval": format!("{STEP}m"), "tests": tests});
    write(folder.path(), "tests.yaml", &tests.to_string());

    promtool(&["check", "rules", "rules.yaml"], folder.path())
        .await
        .unwrap();
    promtool(&["test", "rules", "tests.yaml"], folder.path())
        .await
        .unwrap();
}

#[test]
fn each_alert_of_series_has_its_course() {
    let rules: Value = serde_json::from_str(RULES).unwrap();
    let rules = rules["groups"][0]["rules"].as_array().unwrap();
    let mut made: BTreeSet<_> = rules
        .iter()
        .map(|rule| rule["alert"].as_str().unwrap())
        .collect();
    let all = courses();
    let fire = all.iter().flat_map(|course| &course.fire);
    let tried: BTreeSet<_> = fire
        .flat_map(|(_, alerts)| alerts.iter().map(|alert| alert.split(' ').next().unwrap()))
        .collect();
    // Made of facts alone, or in the same way as that of restores.
    for other in [
        "VeleroBackupDeletionFailed",
        "VeleroBackupValidationFailed",
        "VeleroBackupWithoutData",
        "VeleroMaintenanceStale",
        "VeleroRepositoryPasswordKnown",
    ] {
        assert!(made.remove(other), "{other}");
    }
    assert_eq!(tried, made);
}
