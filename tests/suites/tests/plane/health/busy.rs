//! Changes that would end a pod that works.

use serde_json::{Value, json};
use worlds::plane::{Fate, LightWorld, Plane};

use super::dead_pods::leave_behind;
use crate::{here, patch_status};

const PLUGIN: &str = "velero-aws-plugin-image";
const OTHER_PLUGIN: &str = "velero/velero-plugin-for-aws:v1.14.1";
const HELD: &str = "waiting for Backup `nightly` to end: a change is held back";

async fn work(world: &LightWorld, kind: &str, spec: Value, phase: &str) {
    let version = if kind.starts_with("Data") {
        "v2alpha1"
    } else {
        "v1"
    };
    let object = json!({
        "apiVersion": format!("velero.io/{version}"), "kind": kind,
        "metadata": {"name": "nightly", "namespace": world.namespace},
        "spec": spec, "status": {"phase": phase},
    });
    world.apply(&object).await.unwrap();
}

async fn a_backup_runs(world: &LightWorld) {
    work(world, "Backup", json!({}), "InProgress").await;
}

async fn servers(world: &LightWorld) -> String {
    here(world, &["get", "pods", "-l", "deploy=velero", "-o", "name"]).await
}

/// An option that would restart the server waits, and the server stays.
async fn expect_held(world: &mut LightWorld) {
    let before = servers(world).await;
    world.config(PLUGIN, OTHER_PLUGIN).await.unwrap();
    world.expect_in_status("waiting: ", &[HELD]).unwrap();
    assert_eq!(servers(world).await, before, "the server was ended");
}

#[tokio::test]
async fn a_running_server_is_held_beside_a_dead_pod() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "held-dead").await.unwrap();
    a_backup_runs(&world).await;
    let evicted = json!({"phase": "Failed", "reason": "Evicted"});
    leave_behind(&world, "evicted", "deploy=velero", &evicted).await;
    expect_held(&mut world).await;
}

#[tokio::test]
async fn a_running_server_is_held_when_its_replicas_were_edited() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "held-two").await.unwrap();
    a_backup_runs(&world).await;
    let scale = ["scale", "deployment", "velero", "--replicas=2"];
    here(&world, &scale).await;
    let two = [
        "wait",
        "deployment/velero",
        "--for=jsonpath={.status.replicas}=2",
    ];
    here(&world, &two).await;
    let before = servers(&world).await;
    world.update_status().await.unwrap();
    world.expect_in_status("waiting: ", &[HELD]).unwrap();
    assert_eq!(servers(&world).await, before);
}

#[tokio::test]
async fn a_server_that_has_just_come_back_is_held() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "held-back").await.unwrap();
    a_backup_runs(&world).await;
    let name = servers(&world).await;
    let now = jiff::Timestamp::now().to_string();
    let status = json!({"containerStatuses": [{
        "name": "velero", "image": "velero/velero:v1.18.3", "imageID": "", "ready": false,
        "restartCount": 1, "state": {"running": {"startedAt": now}},
        "lastState": {"terminated": {"exitCode": 2, "reason": "Error"}},
    }]});
    patch_status(&world, name.trim(), &status).await;
    expect_held(&mut world).await;
}

#[tokio::test]
async fn a_server_on_its_way_out_is_held_while_it_runs() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "held-out").await.unwrap();
    a_backup_runs(&world).await;
    let name = servers(&world).await;
    let finalizer = r#"{"metadata":{"finalizers":["example.com/slow"]}}"#;
    here(
        &world,
        &["patch", name.trim(), "--type=merge", "-p", finalizer],
    )
    .await;
    let creating = Fate::waits("ContainerCreating", "");
    world.let_containers("velero", creating).await.unwrap();
    // What the stand-in has just written over: it ran, and still does.
    here(&world, &["delete", name.trim(), "--wait=false"]).await;
    let now = jiff::Timestamp::now().to_string();
    let status = json!({"containerStatuses": [{
        "name": "velero", "image": "velero/velero:v1.18.3", "imageID": "", "ready": true,
        "restartCount": 0, "state": {"running": {"startedAt": now}},
    }]});
    patch_status(&world, name.trim(), &status).await;

    world.config(PLUGIN, OTHER_PLUGIN).await.unwrap();
    world.expect_in_status("waiting: ", &[HELD]).unwrap();

    let free = r#"{"metadata":{"finalizers":null}}"#;
    here(&world, &["patch", name.trim(), "--type=merge", "-p", free]).await;
}

#[tokio::test]
async fn restart_is_held_in_every_phase_of_work() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "held-phases").await.unwrap();
    for phase in [
        "InProgress",
        "WaitingForPluginOperations",
        "WaitingForPluginOperationsPartiallyFailed",
        "Finalizing",
        "FinalizingPartiallyFailed",
    ] {
        work(&world, "Backup", json!({}), phase).await;
        world.config(PLUGIN, OTHER_PLUGIN).await.unwrap();
        world.expect_in_status("waiting: ", &[HELD]).unwrap();
    }
    work(&world, "Backup", json!({}), "Completed").await;
    let restore = json!({"backupName": "nightly"});
    work(&world, "Restore", restore.clone(), "Finalizing").await;
    world.update_status().await.unwrap();
    let held = "waiting for Restore `nightly` to end: a change is held back";
    world.expect_in_status("waiting: ", &[held]).unwrap();

    work(&world, "Backup", json!({}), "Queued").await;
    work(&world, "Restore", restore, "Completed").await;
    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();
}

/// What node agents move the data of, and how each is asked for.
fn movers() -> [(&'static str, Value); 4] {
    let pod = json!({"kind": "Pod", "name": "shop", "namespace": "shop"});
    let location = "default";
    [
        (
            "PodVolumeBackup",
            json!({"backupStorageLocation": location, "node": "n", "pod": pod,
                   "repoIdentifier": "", "volume": "files"}),
        ),
        (
            "PodVolumeRestore",
            json!({"backupStorageLocation": location, "pod": pod, "repoIdentifier": "",
                   "snapshotID": "s", "sourceNamespace": "shop", "volume": "files"}),
        ),
        (
            "DataUpload",
            json!({"backupStorageLocation": location, "operationTimeout": "10m",
                   "snapshotType": "CSI", "sourceNamespace": "shop", "sourcePVC": "files"}),
        ),
        (
            "DataDownload",
            json!({"backupStorageLocation": location, "operationTimeout": "10m", "snapshotID": "s",
                   "sourceNamespace": "shop",
                   "targetVolume": {"namespace": "shop", "pv": "", "pvc": "files"}}),
        ),
    ]
}

#[tokio::test]
async fn node_agents_that_move_data_are_held() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "held-movers").await.unwrap();
    world.config("use-node-agent", "true").await.unwrap();
    world.expect_status("active: ").unwrap();
    for (kind, spec) in movers() {
        for phase in ["Accepted", "Prepared", "InProgress"] {
            work(&world, kind, spec.clone(), phase).await;
            world.config("use-node-agent", "false").await.unwrap();
            let held =
                format!("waiting: waiting for {kind} `nightly` to end: a change is held back");
            world.expect_status(&held).unwrap();
            world.config("use-node-agent", "true").await.unwrap();
            world.expect_status("active: ").unwrap();
        }
        // It is none of the server's work.
        let plugin = format!("{OTHER_PLUGIN}-{}", kind.to_lowercase());
        world.config(PLUGIN, &plugin).await.unwrap();
        world.expect_status("active: ").unwrap();
        work(&world, kind, spec, "Completed").await;
    }
    world.config("use-node-agent", "false").await.unwrap();
    world.expect_status("active: ").unwrap();
    let agents = here(&world, &["get", "daemonsets", "-o", "name"]).await;
    assert_eq!(agents, "");
}

/// A backup that began with a credential asks for it by name until its end.
#[tokio::test]
async fn former_credential_stays_while_a_backup_runs() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "former").await.unwrap();
    let before = credentials(&world).await;
    a_backup_runs(&world).await;

    world.offer("secret-key", "the-next").await.unwrap();
    world.expect_status("active: ").unwrap();
    let both = credentials(&world).await;
    assert!(both.contains(&before) && both != before, "{both}");
    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();
    assert_eq!(credentials(&world).await, both);

    work(&world, "Backup", json!({}), "Completed").await;
    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();
    let after = credentials(&world).await;
    assert!(
        !after.contains(&before) && both.contains(&after),
        "{after} of {both}"
    );
}

async fn credentials(world: &LightWorld) -> String {
    let role = "velero-operator/role=storage-credential";
    let list = here(world, &["get", "secrets", "-l", role, "-o", "name"]).await;
    list.trim().to_owned()
}
