//! Who asks to be backed up: Schedules that are made, kept, changed, taken over and given back.
//!
//! Clients are played where the real library (`library.rs`) cannot be made to say something: the older interface,
//! several targets in one data bag, and targets of other models.

mod library;
mod returning;

use kube::ResourceExt as _;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, from_value, json};
use worlds::kubectl::TIMEOUT;
use worlds::operator::{APP, UNIT};
use worlds::past::LIGHTKUBE;
use worlds::plane::{LightWorld, Plane};

use crate::writes;

pub(crate) const ENDPOINT: (&str, &str) = ("velero-backup-config", "velero_backup_config");
pub(crate) const NEWER: (&str, &str) = ("backup", "k8s_backup_target");

/// Without those that the garbage collector has yet to let go.
async fn schedules(world: &LightWorld) -> Vec<DynamicObject> {
    let all = ListParams::default();
    let mut found = world
        .velero_objects("Schedule")
        .list(&all)
        .await
        .unwrap()
        .items;
    found.retain(|schedule| schedule.metadata.deletion_timestamp.is_none());
    found
}

pub(crate) async fn only(world: &LightWorld) -> DynamicObject {
    let mut all = schedules(world).await;
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

/// Puts a target into the data bag of a client, as the library of `velero_backup_config` does.
pub(crate) fn ask(world: &mut LightWorld, client: &str, model: &str, spec: &Value) {
    let spec = spec.to_string();
    let fields = [
        ("app", "minio"),
        ("model", model),
        ("relation_name", ENDPOINT.0),
        ("spec", &spec),
    ];
    world.juju.config(client, &fields).unwrap();
}

/// The same of applications, as the library of `k8s_backup_target` does for one.
pub(crate) fn ask_for(world: &mut LightWorld, client: &str, apps: &[(&str, Value)]) {
    let targets = apps.iter().map(
        |(app, spec)| json!({"app": app, "relation_name": NEWER.0, "model": "shop", "spec": spec}),
    );
    let list = targets.collect::<Value>().to_string();
    let fields = [("backup_targets", list.as_str())];
    world.juju.config(client, &fields).unwrap();
}

pub(crate) fn daily() -> Value {
    json!({
        "include_namespaces": ["shop"], "include_resources": null, "exclude_namespaces": null,
        "exclude_resources": null, "label_selector": {"app": "minio"}, "ttl": "720h",
        "include_cluster_resources": null, "schedule": "@daily", "paused": null,
        "skip_immediately": null, "use_owner_references_in_backup": true,
    })
}

pub(crate) fn deploy(world: &mut LightWorld, client: &str) {
    world.juju.deploy_backup_client(client, ENDPOINT).unwrap();
}

pub(crate) fn relate(world: &mut LightWorld, client: &str) {
    let ours = format!("{APP}:velero-backups");
    world.juju.integrate(&ours, client).unwrap();
}

pub(crate) async fn backup(world: &LightWorld, schedule: &DynamicObject, name: &str, phase: &str) {
    let object = from_value(json!({
        "apiVersion": "velero.io/v1", "kind": "Backup",
        "metadata": {
            "name": name,
            "labels": {"velero.io/schedule-name": schedule.name_any()},
            "ownerReferences": [{
                "apiVersion": "velero.io/v1", "kind": "Schedule", "controller": true,
                "name": schedule.name_any(), "uid": schedule.uid(),
            }],
        },
        "spec": {},
        "status": {"phase": phase, "startTimestamp": jiff::Timestamp::now().to_string()},
    }));
    let backups = world.velero_objects("Backup");
    let how = PostParams::default();
    backups.create(&how, &object.unwrap()).await.unwrap();
}

#[tokio::test]
async fn client_has_its_schedule_from_the_first_hook_to_the_last() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "client").await.unwrap();
    deploy(&mut world, "minio");
    ask(&mut world, "minio", "shop", &daily());
    relate(&mut world, "minio");
    world.settle().await.unwrap();

    world.expect_status("active: ").unwrap();
    let made = only(&world).await;
    let spec = &made.data["spec"];
    assert_eq!(spec["schedule"], "@daily");
    assert_eq!(
        spec["template"],
        json!({
            "metadata": {"labels": {"app": "minio", "endpoint": ENDPOINT.0, "model": "shop"}},
            "includedNamespaces": ["shop"], "ttl": "720h", "storageLocation": "default",
            "labelSelector": {"matchLabels": {"app": "minio"}}, "defaultVolumesToFsBackup": false,
        })
    );
    let mark = world.plane().audit().mark().await.unwrap();
    world.update_status().await.unwrap();
    assert_eq!(writes(&world, &mark).await, Vec::<String>::new());

    // Changed in place, and left as it is by what cannot be.
    let mut weekly = daily();
    weekly["schedule"] = json!("@weekly");
    ask(&mut world, "minio", "shop", &weekly);
    world.settle().await.unwrap();
    let changed = only(&world).await;
    assert_eq!(changed.uid(), made.uid());
    assert_eq!(changed.data["spec"]["schedule"], "@weekly");
    weekly["ttl"] = json!("30d");
    ask(&mut world, "minio", "shop", &weekly);
    world.settle().await.unwrap();
    let named = [
        "`minio:velero-backup-config` in model `shop`",
        "`ttl` `30d`",
        "unit `d`",
    ];
    world
        .expect_in_status("blocked: let `minio` send", &named)
        .unwrap();
    for field in ["app", "model", "relation_name", "spec"] {
        world.juju.config("minio", &[(field, "")]).unwrap();
    }
    world.settle().await.unwrap();
    world.expect_status("active: ").unwrap();
    assert_eq!(only(&world).await.data["spec"], changed.data["spec"]);

    // What fails is told until the very hook that pauses it.
    for failed in ["bad", "worse"] {
        backup(&world, &made, failed, "Failed").await;
    }
    world.update_status().await.unwrap();
    world
        .expect_in_status("blocked: see `backup describe ", &[])
        .unwrap();
    let mut paused = daily();
    paused["paused"] = json!(true);
    ask(&mut world, "minio", "shop", &paused);
    world.settle().await.unwrap();
    world.expect_status("active: ").unwrap();

    // Its Backup outlives it, even one that it owns.
    ask(&mut world, "minio", "shop", &daily());
    world.settle().await.unwrap();
    backup(&world, &made, "kept", "Completed").await;
    world.update_status().await.unwrap();
    let hour = jiff::Timestamp::now().strftime("%Y-%m-%d %H:00Z");
    world
        .expect_status(&format!("active: last good backup after {hour}"))
        .unwrap();
    world.juju.remove_relation(APP, "minio").unwrap();
    world.settle().await.unwrap();
    until_none(&world).await;
    let kept = world.velero_objects("Backup").get("kept").await.unwrap();
    assert_eq!(kept.owner_references(), []);

    relate(&mut world, "minio");
    world.settle().await.unwrap();
    assert_eq!(only(&world).await.name_any(), made.name_any());
}

/// The deletion ends once the garbage collector has taken the Schedule off its Backups.
pub(crate) async fn until_none(world: &LightWorld) {
    let wait = [
        "wait",
        "schedules.velero.io",
        "--all",
        "--for=delete",
        TIMEOUT,
    ];
    crate::here(world, &wait).await;
    assert_eq!(schedules(world).await.len(), 0);
}

#[tokio::test]
async fn clients_of_one_name_in_two_models_do_not_meet() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "client-twice").await.unwrap();
    for (client, model) in [("one", "here"), ("two", "there")] {
        deploy(&mut world, client);
        ask(&mut world, client, model, &daily());
        relate(&mut world, client);
    }
    world.settle().await.unwrap();
    world.expect_status("active: ").unwrap();
    let both = schedules(&world).await;
    let models: Vec<_> = both
        .iter()
        .map(|one| one.labels()["model"].clone())
        .collect();
    assert_eq!(models.len(), 2, "{models:?}");

    // A target that goes over to the other relation keeps its Schedule.
    ask(&mut world, "two", "here", &daily());
    world.settle().await.unwrap();
    let left = only(&world).await;
    world.juju.remove_relation(APP, "one").unwrap();
    world.settle().await.unwrap();
    assert_eq!(only(&world).await.uid(), left.uid());
}

#[tokio::test]
async fn schedule_of_the_python_charm_goes_on_without_a_gap() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "client-past").await.unwrap();
    let theirs = from_value(json!({
        "apiVersion": "velero.io/v1", "kind": "Schedule",
        "metadata": {"generateName": "minio-velero-backup-config-", "labels": {
            "app": "minio", "endpoint": ENDPOINT.0, "model": world.namespace,
            "managed-by": "velero-operator",
        }},
        "spec": {
            "schedule": "@daily", "paused": false, "skipImmediately": false,
            "template": {
                "storageLocation": "default", "volumeSnapshotLocations": ["default"],
                "includedNamespaces": ["shop"], "defaultVolumesToFsBackup": false,
            },
        },
    }));
    let how = PostParams {
        field_manager: Some(LIGHTKUBE.into()),
        ..PostParams::default()
    };
    let api = world.velero_objects("Schedule");
    let theirs = api.create(&how, &theirs.unwrap()).await.unwrap();
    let ran = json!({"status": {"phase": "Enabled", "lastBackup": "2026-11-28T00:00:01Z"}});
    let velero = PatchParams {
        field_manager: Some("velero-server".into()),
        ..PatchParams::default()
    };
    let name = theirs.name_any();
    api.patch(&name, &velero, &Patch::Merge(ran)).await.unwrap();

    deploy(&mut world, "minio");
    ask(&mut world, "minio", "shop", &daily());
    relate(&mut world, "minio");
    world.settle().await.unwrap();

    let ours = only(&world).await;
    assert_eq!((ours.name_any(), ours.uid()), (name, theirs.uid()));
    assert_eq!(ours.data["status"]["lastBackup"], "2026-11-28T00:00:01Z");
    assert_eq!(ours.labels()["model"], "shop", "its own");
    assert_eq!(ours.labels().get("managed-by"), None);
    let template = &ours.data["spec"]["template"];
    assert_eq!(
        template.get("volumeSnapshotLocations"),
        None,
        "there is none"
    );
    assert_eq!(template["labelSelector"]["matchLabels"]["app"], "minio");
    let owners = ours.managed_fields().iter();
    let mut owners = owners.filter_map(|entry| entry.manager.as_deref());
    assert!(!owners.any(|manager| manager == LIGHTKUBE));
    let mark = world.plane().audit().mark().await.unwrap();
    world.update_status().await.unwrap();
    assert_eq!(writes(&world, &mark).await, Vec::<String>::new());
}

#[tokio::test]
async fn schedule_that_fails_is_told_and_a_paused_one_is_not() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "client-fails").await.unwrap();
    let theirs = json!({
        "apiVersion": "velero.io/v1", "kind": "Schedule",
        "metadata": {"name": "by-hand", "namespace": world.namespace},
        "spec": {"schedule": "@daily", "template": {}},
    });
    world.apply(&theirs).await.unwrap();
    let schedule = only(&world).await;
    backup(&world, &schedule, "first", "PartiallyFailed").await;
    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();
    backup(&world, &schedule, "second", "Failed").await;
    world.update_status().await.unwrap();
    let named = ["the last two backups of Schedule `by-hand` failed"];
    world
        .expect_in_status("blocked: see `backup describe ", &named)
        .unwrap();

    let pause = Patch::Merge(json!({"spec": {"paused": true}}));
    let how = PatchParams::default();
    world
        .velero_objects("Schedule")
        .patch("by-hand", &how, &pause)
        .await
        .unwrap();
    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();
}

#[tokio::test]
async fn options_are_for_targets_of_the_other_interface() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "client-options")
        .await
        .unwrap();
    world.juju.deploy_backup_client("shops", NEWER).unwrap();
    let of = |namespaces: Value| json!({"include_namespaces": namespaces});
    let apps = [("one", of(json!(["a"]))), ("two", of(json!([])))];
    ask_for(&mut world, "shops", &apps);
    world.juju.integrate(APP, "shops").unwrap();
    world.settle().await.unwrap();
    let empty = ["`two:backup`", "`include_namespaces` is an empty list"];
    world.expect_in_status("blocked: ", &empty).unwrap();
    assert_eq!(schedules(&world).await.len(), 0, "by hand alone");

    world.config("schedule", "0 0 2 * * *").await.unwrap();
    let fields = ["set `schedule` to a cron expression", "6 fields"];
    world.expect_in_status("blocked: ", &fields).unwrap();
    world.config("schedule", "0 2 * * *").await.unwrap();
    world.config("ttl", "48h").await.unwrap();
    let made = only(&world).await;
    assert_eq!(made.labels()["app"], "one");
    assert_eq!(made.data["spec"]["template"]["ttl"], "48h");
    let calls = world.juju.hook_runs().last().unwrap().tool_calls.len();
    println!("{UNIT}: {calls} calls of hook tools");
}
