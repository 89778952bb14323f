use std::num::NonZeroU32;

use serde_json::{Value, from_value, json};

use super::*;
use crate::ours::keep::Rule;

fn surplus(number: usize) -> Vec<Surplus> {
    let one = |number: usize| Surplus {
        begun: jiff::Timestamp::UNIX_EPOCH,
        backup: format!("nightly-{number}"),
        uid: format!("u{number}"),
        schedule: "nightly".into(),
        rule: Rule::Last(NonZeroU32::MIN),
    };
    (0..number).map(one).collect()
}

fn restore(spec: &Value, phase: &str) -> Vec<Unfinished> {
    let object = json!({"metadata": {"name": "r"}, "spec": spec, "status": {"phase": phase}});
    vec![from_value(object).unwrap()]
}

fn request(backup: &str, uid: &str, status: &Value) -> Request {
    from_value(json!({
        "metadata": {"name": "d", "labels": {"velero.io/backup-uid": uid}},
        "spec": {"backupName": backup}, "status": status,
    }))
    .unwrap()
}

fn names(spared: &Spared) -> Vec<&str> {
    let all = spared.surplus.iter();
    all.map(|one| one.backup.as_str()).collect()
}

#[test]
fn backup_that_is_restored_is_not_deleted() {
    let from = restore(&json!({"backupName": "nightly-0"}), "InProgress");
    assert_eq!(names(&spared(&surplus(2), &from, &[])), ["nightly-1"]);
    // Velero has yet to say which.
    let newest = restore(&json!({"scheduleName": "nightly"}), "New");
    assert!(names(&spared(&surplus(2), &newest, &[])).is_empty());
    let of_another = restore(&json!({"scheduleName": "weekly"}), "New");
    assert_eq!(names(&spared(&surplus(2), &of_another, &[])).len(), 2);
    let named = json!({"scheduleName": "nightly", "backupName": "nightly-1"});
    let named = restore(&named, "InProgress");
    assert_eq!(names(&spared(&surplus(2), &named, &[])), ["nightly-0"]);
}

#[test]
fn velero_is_asked_once_and_its_failure_is_said() {
    let open = request("nightly-0", "u0", &json!({}));
    let errors = [
        "rpc error: code = Unknown desc = no store, RequestID: 18EA, HostID: ",
        "no snapshot",
    ];
    let failed = json!({"phase": "Processed", "errors": errors});
    let requests = [open, request("nightly-1", "u1", &failed)];
    let spared_ones = spared(&surplus(3), &[], &requests);
    assert_eq!(names(&spared_ones), ["nightly-2"]);
    let undeleted = Undeleted {
        backup: "nightly-1".into(),
        why: "no store; no snapshot".into(),
    };
    assert_eq!(spared_ones.undeleted, [undeleted]);

    let of_an_earlier_one = [request("nightly-0", "gone", &failed)];
    let spared_ones = spared(&surplus(1), &[], &of_an_earlier_one);
    assert_eq!(names(&spared_ones), ["nightly-0"]);
}

#[test]
fn some_are_deleted_at_once_and_the_oldest_first() {
    let first = spared(&surplus(50), &[], &[]);
    assert_eq!(first.surplus, surplus(20));
    let open = (0..20).map(|number| {
        let name = format!("nightly-{number}");
        request(
            &name,
            &format!("u{number}"),
            &json!({"phase": "InProgress"}),
        )
    });
    let open: Vec<_> = open.collect();
    assert!(names(&spared(&surplus(50), &[], &open)).is_empty());
    let others = spared(&surplus(50), &[], &open[..15]);
    assert_eq!(others.surplus, surplus(20)[15..]);
}
