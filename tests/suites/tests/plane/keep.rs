//! Option `keep`: which Backups are deleted, and which stay whatever comes. What Velero does to them is played here.

use std::collections::BTreeSet;

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::{Value, json};
use worlds::operator::APP;
use worlds::plane::{LightWorld, Plane};

use crate::{clients, here, writes};

/// A day in the month of the test, on which a Backup begins.
pub(crate) type Day = u32;

/// How a Backup of a Schedule ended.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Whole,
    LacksData,
    Partial,
    Failed,
}

/// Where its object was made.
#[derive(Clone, Copy)]
pub(crate) enum Origin {
    Here,
    /// Velero found it in the store.
    Store,
}

/// A model with one application that asks to be backed up each day, and has no lifetime of its own.
pub(crate) async fn kept(plane: &Plane, name: &str, rule: &str) -> (LightWorld, DynamicObject) {
    let mut world = LightWorld::connected(plane, name).await.unwrap();
    world.config("keep", rule).await.unwrap();
    let mut spec = clients::daily();
    spec["ttl"] = Value::Null;
    clients::deploy(&mut world, "minio");
    clients::ask(&mut world, "minio", "shop", &spec);
    clients::relate(&mut world, "minio");
    world.settle().await.unwrap();
    let schedule = clients::only(&world).await;
    (world, schedule)
}

/// As Velero makes one from the Schedule, and as the charm notes what it holds.
pub(crate) fn backup(schedule: &DynamicObject, day: Day, end: End, origin: Origin) -> Value {
    let template = &schedule.data["spec"]["template"];
    let mut labels = template["metadata"]["labels"].clone();
    labels["velero.io/schedule-name"] = json!(schedule.name_any());
    labels["velero.io/storage-location"] = json!("default");
    labels["velero-operator/volumes-looked-at"] = json!("known");
    let (phase, note) = match end {
        End::Whole => ("Completed", json!({"saved": "2 of 2", "bytes": 1})),
        End::LacksData => (
            "Completed",
            json!({"saved": "1 of 2", "bytes": 1, "without-data": "shop/data (no agent)"}),
        ),
        End::Partial => ("PartiallyFailed", json!({"saved": "2 of 2", "bytes": 1})),
        End::Failed => ("Failed", json!({"saved": "0 of 2", "bytes": 0})),
    };
    let begun = format!("2026-10-{day:02}T00:00:03Z");
    // The API server dates the object: one that was made here ends after that.
    let ended = match origin {
        Origin::Here => "2126-01-01T00:00:00Z".to_owned(),
        Origin::Store => format!("2026-10-{day:02}T00:01:00Z"),
    };
    json!({
        "apiVersion": "velero.io/v1", "kind": "Backup",
        "metadata": {
            "name": name(schedule, day), "namespace": schedule.namespace(), "labels": labels,
            "annotations": {"velero-operator/volumes": note.to_string()},
        },
        "spec": {"ttl": template["ttl"], "storageLocation": "default"},
        "status": {"phase": phase, "startTimestamp": begun, "completionTimestamp": ended},
    })
}

fn name(schedule: &DynamicObject, day: Day) -> String {
    format!("{}-202610{day:02}000003", schedule.name_any())
}

pub(crate) async fn make(world: &LightWorld, schedule: &DynamicObject, day: Day, end: End) {
    let backup = backup(schedule, day, end, Origin::Here);
    world.apply(&backup).await.unwrap();
}

/// The days whose Backups are there.
async fn days(world: &LightWorld, kind: &str, field: &str) -> BTreeSet<Day> {
    let path = format!("jsonpath={{range .items[*]}}{{{field}}}{{'\\n'}}{{end}}");
    let found = here(world, &["get", kind, "-o", &path]).await;
    let days = found.lines().filter_map(|name| {
        let (_, time) = name.rsplit_once('-')?;
        time.get(6..8)?.parse().ok()
    });
    days.collect()
}

async fn there(world: &LightWorld) -> BTreeSet<Day> {
    days(world, "backups.velero.io", ".metadata.name").await
}

async fn asked(world: &LightWorld) -> BTreeSet<Day> {
    days(world, "deletebackuprequests.velero.io", ".spec.backupName").await
}

/// Velero deletes what it was asked to.
pub(crate) async fn delete(world: &LightWorld, schedule: &DynamicObject) {
    for day in asked(world).await {
        let name = name(schedule, day);
        here(world, &["delete", "backups.velero.io", &name]).await;
    }
    let all = ["delete", "deletebackuprequests.velero.io", "--all"];
    here(world, &all).await;
}

/// Velero fails to delete what it was asked to, and says why.
pub(crate) async fn fail(world: &LightWorld, schedule: &DynamicObject, day: Day, why: &str) {
    let backup = format!("backups.velero.io/{}", name(schedule, day));
    let failed = json!({"phase": "Processed", "errors": [why]});
    for (object, status) in [
        (request(schedule, day), failed),
        (backup, json!({"phase": "Deleting"})),
    ] {
        let patch = json!({"status": status}).to_string();
        here(world, &["patch", &object, "--type=merge", "-p", &patch]).await;
    }
}

/// What the charm asks Velero by.
fn request(schedule: &DynamicObject, day: Day) -> String {
    let name = name(schedule, day);
    format!("deletebackuprequests.velero.io/{name}-not-kept")
}

/// A hook finds nothing to write.
async fn expect_quiet(world: &mut LightWorld) {
    let mark = world.plane().audit().mark().await.unwrap();
    world.update_status().await.unwrap();
    assert_eq!(writes(world, &mark).await, Vec::<String>::new());
}

#[tokio::test]
async fn ten_failures_leave_the_last_good_backups() {
    let plane = Plane::shared().await.unwrap();
    let (mut world, schedule) = kept(&plane, "keep-failures", "last 2").await;
    let template = &schedule.data["spec"]["template"];
    assert_eq!(template["ttl"], "876000h");
    for day in 1..=3 {
        make(&world, &schedule, day, End::Whole).await;
    }
    world.update_status().await.unwrap();
    assert_eq!(asked(&world).await, [1].into());
    assert!(
        world
            .log()
            .contains("which `keep` (`last 2`) no longer keeps")
    );
    expect_quiet(&mut world).await;
    delete(&world, &schedule).await;

    for day in 4..=13 {
        let end = match day % 3 {
            0 => End::Failed,
            1 => End::Partial,
            _ => End::LacksData,
        };
        make(&world, &schedule, day, end).await;
        world.update_status().await.unwrap();
        delete(&world, &schedule).await;
    }
    let left = there(&world).await;
    assert_eq!(
        left,
        [2, 3, 11, 12, 13].into(),
        "two good, two to restore from, two"
    );
    expect_quiet(&mut world).await;

    make(&world, &schedule, 14, End::Whole).await;
    world.update_status().await.unwrap();
    assert_eq!(asked(&world).await, [2, 11, 12].into());
}

#[tokio::test]
async fn bucket_synced_into_a_fresh_cluster_loses_nothing() {
    let plane = Plane::shared().await.unwrap();
    let (mut world, schedule) = kept(&plane, "keep-synced", "last 1").await;
    for day in 1..=5 {
        let synced = backup(&schedule, day, End::Whole, Origin::Store);
        world.apply(&synced).await.unwrap();
    }
    // Of another model's charm, of a Schedule that nobody knows, and of one that was not kept by the rule.
    for (day, label, value) in [
        (6, "velero-operator/kept-by", json!("another-model")),
        (7, "velero.io/schedule-name", json!("another")),
        (8, "velero-operator/kept-by", Value::Null),
    ] {
        let mut strange = backup(&schedule, day, End::Whole, Origin::Here);
        strange["metadata"]["labels"][label] = value;
        world.apply(&strange).await.unwrap();
    }
    make(&world, &schedule, 9, End::Whole).await;
    expect_quiet(&mut world).await;
    make(&world, &schedule, 10, End::Whole).await;
    world.update_status().await.unwrap();
    assert_eq!(
        asked(&world).await,
        [9].into(),
        "it alone is older and from here"
    );
    delete(&world, &schedule).await;

    // The client goes, and what it has stays.
    world.juju.remove_relation(APP, "minio").unwrap();
    world.settle().await.unwrap();
    make(&world, &schedule, 11, End::Whole).await;
    expect_quiet(&mut world).await;
    assert_eq!(asked(&world).await, BTreeSet::new());
    assert_eq!(there(&world).await.len(), 10);
}

#[tokio::test]
async fn shorter_rule_deletes_some_at_a_time_and_says_so() {
    let plane = Plane::shared().await.unwrap();
    let (mut world, schedule) = kept(&plane, "keep-shorter", "40d").await;
    for day in 1..=28 {
        make(&world, &schedule, day, End::Whole).await;
    }
    expect_quiet(&mut world).await;

    let restore = json!({
        "apiVersion": "velero.io/v1", "kind": "Restore",
        "metadata": {"name": "back", "namespace": world.namespace},
        "spec": {"backupName": name(&schedule, 2)}, "status": {"phase": "InProgress"},
    });
    world.apply(&restore).await.unwrap();
    world.config("keep", "last 3").await.unwrap();
    let first: BTreeSet<_> = (3..=21).chain([1]).collect();
    assert_eq!(asked(&world).await, first, "not what is being restored");
    let log = world.log();
    assert!(
        log.contains("24 Backups are no longer kept: 20 of them go now"),
        "{log}"
    );
    expect_quiet(&mut world).await;

    // Velero fails at one, and says why; it is not asked again while it says so.
    fail(&world, &schedule, 1, "the store is locked").await;
    world.update_status().await.unwrap();
    let parts = ["delete-backup", "could not delete", "the store is locked"];
    world.expect_in_status("active: ", &parts).unwrap();
    expect_quiet(&mut world).await;
    here(&world, &["delete", &request(&schedule, 1)]).await;
    delete(&world, &schedule).await;
    world.update_status().await.unwrap();
    assert_eq!(
        asked(&world).await,
        [1, 23, 24, 25].into(),
        "Velero forgets what failed after a day"
    );

    // What was restored goes last.
    delete(&world, &schedule).await;
    let ended = json!({"status": {"phase": "Completed"}}).to_string();
    here(
        &world,
        &[
            "patch",
            "restores.velero.io/back",
            "--type=merge",
            "-p",
            &ended,
        ],
    )
    .await;
    world.update_status().await.unwrap();
    delete(&world, &schedule).await;
    world.update_status().await.unwrap();
    assert_eq!(there(&world).await, [26, 27, 28].into());
    assert_eq!(asked(&world).await, BTreeSet::new());

    // Without the option Backups have a lifetime again, and nothing is deleted.
    make(&world, &schedule, 29, End::Whole).await;
    make(&world, &schedule, 30, End::Whole).await;
    world.reset(&["keep"]).await.unwrap();
    let template = clients::only(&world).await.data["spec"]["template"].clone();
    assert_eq!(template.get("ttl"), None);
    assert_eq!(
        template["metadata"]["labels"].get("velero-operator/kept-by"),
        None
    );
    world.update_status().await.unwrap();
    assert_eq!(asked(&world).await, BTreeSet::new());
}
