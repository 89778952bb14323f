use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::*;

const NOW: &str = "2026-01-10T12:00:00Z";

fn schedule(spec: &Value, status: &Value) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "velero.io/v1", "kind": "Schedule",
        "metadata": {"name": "s", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": spec, "status": status,
    }))
    .unwrap()
}

fn daily() -> DynamicObject {
    schedule(&json!({"schedule": "@daily"}), &json!({}))
}

fn backup(begun: &str, end: End) -> Made {
    Made {
        schedule: "s".into(),
        backup: format!("s-{begun}"),
        begun: begun.parse().unwrap(),
        end,
    }
}

fn told_at(now: &str, schedule: DynamicObject, made: &[Made]) -> String {
    let found = protection(&[schedule], made, now.parse().unwrap());
    let clauses = found.troubles.iter().map(ToString::to_string);
    clauses.collect::<Vec<_>>().join("; ")
}

fn told(schedule: DynamicObject, made: &[Made]) -> String {
    told_at(NOW, schedule, made)
}

#[test]
fn schedule_that_keeps_its_times_is_fine() {
    let today = backup("2026-01-10T00:00:03Z", End::Good);
    assert_eq!(told(daily(), std::slice::from_ref(&today)), "");
    let failed = backup("2026-01-09T00:00:03Z", End::Bad);
    assert_eq!(told(daily(), &[failed, today.clone()]), "");
    let found = protection(
        &[daily()],
        std::slice::from_ref(&today),
        NOW.parse().unwrap(),
    );
    assert_eq!(found.last_good, Some(today.begun));
}

#[test]
fn schedule_is_overdue_after_an_interval_and_a_grace() {
    let good = [backup("2026-01-08T00:00:03Z", End::Good)];
    assert_eq!(told_at("2026-01-10T00:09:00Z", daily(), &good), "");
    let late = told_at("2026-01-10T00:11:00Z", daily(), &good);
    assert_eq!(
        late,
        "see `backup describe s-2026-01-08T00:00:03Z` in action `run`: Schedule `s` has made no \
         good backup since 2026-01-08 00:00Z"
    );
    assert_eq!(told_at("2026-01-10T00:12:00Z", daily(), &good), late);
    let runs = [good[0].clone(), backup("2026-01-10T00:05:00Z", End::None)];
    assert_eq!(told_at("2026-01-10T00:11:00Z", daily(), &runs), "");
    assert!(
        !told_at("2026-01-11T00:11:00Z", daily(), &runs).is_empty(),
        "it hangs"
    );
}

#[test]
fn schedule_that_never_succeeded_is_told_once_it_was_due() {
    assert_eq!(told_at("2026-01-02T00:09:00Z", daily(), &[]), "");
    let never = told_at("2026-01-02T00:11:00Z", daily(), &[]);
    assert!(
        never.contains("`s` has never made a good backup"),
        "{never}"
    );
    let skipped = json!({"lastSkipped": "2026-01-02T00:00:01Z"});
    let skipped = schedule(&json!({"schedule": "@daily"}), &skipped);
    assert_eq!(told_at("2026-01-02T00:11:00Z", skipped, &[]), "");
    let failed = [backup("2026-01-02T00:00:10Z", End::Bad)];
    let never = told_at("2026-01-02T00:11:00Z", daily(), &failed);
    assert!(never.contains("never"), "{never}");
}

#[test]
fn schedule_that_failed_twice_in_a_row_is_told() {
    let good = backup("2026-01-08T00:00:03Z", End::Good);
    let one = backup("2026-01-09T00:00:03Z", End::Bad);
    let two = backup("2026-01-10T00:00:03Z", End::Bad);
    let told = told(daily(), &[two, good, one]);
    assert_eq!(
        told,
        "see `backup describe s-2026-01-10T00:00:03Z` in action `run`: the last two backups of \
         Schedule `s` failed"
    );
}

#[test]
fn paused_and_those_of_other_locations_do_not_count() {
    let paused = schedule(&json!({"schedule": "@daily", "paused": true}), &json!({}));
    assert_eq!(told(paused, &[]), "");
    let theirs = json!({"schedule": "@daily", "template": {"storageLocation": "theirs"}});
    assert_eq!(told(schedule(&theirs, &json!({})), &[]), "");
}

#[test]
fn schedule_whose_backups_have_expired_is_known_by_its_last_one() {
    let status = json!({"lastBackup": "2026-01-10T00:00:01Z"});
    let one = schedule(&json!({"schedule": "@daily"}), &status);
    assert_eq!(told(one.clone(), &[]), "");
    assert!(told_at("2026-01-13T00:00:00Z", one, &[]).contains("since 2026-01-10"));
}

#[test]
fn refusal_of_velero_is_told() {
    let status = json!({"phase": "FailedValidation", "validationErrors": ["invalid schedule: x"]});
    let told = told(schedule(&json!({"schedule": "0 0 7"}), &status), &[]);
    assert_eq!(
        told,
        "correct Schedule `s`: Velero says: invalid schedule: x"
    );
}

#[test]
fn schedule_that_a_finalizer_holds_is_told_with_its_name() {
    let mut held = daily();
    held.metadata.finalizers = Some(vec!["example.com/hold".into()]);
    let told_to_go = "2026-01-10T11:55:00Z".parse().unwrap();
    held.metadata.deletion_timestamp = Some(Time(told_to_go));
    assert_eq!(told(held.clone(), &[]), "");
    assert_eq!(
        told_at("2026-01-10T12:06:00Z", held, &[]),
        "let go of finalizer `example.com/hold` of Schedule `s`: it was deleted at 2026-01-10 11:55Z and \
         makes no backups"
    );
}
