//! Volumes that can be snapshotted, by a stand-in for a vendor's CSI driver, under real Velero.

use juju_emulator::ActionOutcome;
use kube_stack::{Csi, DEADLINE, StoredObject, until};
use serde_json::{Value, json};
use worlds::kubectl::TIMEOUT;
use worlds::operator::APP;
use worlds::shop::Shop;
use worlds::world::World;

use crate::{kubectl, run_with};

/// What a cluster's administrator makes so that volumes of a driver are snapshotted.
fn snapshot_class(name: &str, driver: &str) -> Value {
    json!({
        "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotClass",
        "metadata": {"name": name}, "driver": driver, "deletionPolicy": "Delete",
    })
}

async fn let_volumes_be_snapshotted(world: &World) {
    let class = snapshot_class("csi-stand-in", Csi::DRIVER);
    world.apply(&class).await.unwrap();
}

/// All that is needed to move data out of snapshots.
async fn let_data_be_moved(world: &mut World) {
    let_volumes_be_snapshotted(world).await;
    let options = [("use-node-agent", "true"), ("snapshot-move-data", "true")];
    world.juju.config(APP, &options).unwrap();
    world.settle().await.unwrap();
    world.expect_in_status("active: ", &[]).unwrap();
}

/// What the store has of the files of volumes.
async fn files_in_store(world: &World) -> Vec<StoredObject> {
    let store = world.stack.s3();
    store.list(&world.bucket, "kopia/").await.unwrap()
}

/// Velero deletes what it has made of a snapshot once it has ended, and Kubernetes the rest.
async fn no_snapshot_is_left(csi: &Csi) {
    let none = async || csi.snapshots().unwrap().is_empty();
    until("the snapshots go", DEADLINE, none).await.unwrap();
}

async fn arguments(world: &World, workload: &str) -> String {
    let path = "jsonpath={.spec.template.spec.containers[0].args}";
    kubectl(world, &["get", workload, "-o", path]).await
}

async fn act(world: &mut World, action: &str, params: Value) -> ActionOutcome {
    let outcome = run_with(world, action, params).await;
    let log = world.log();
    assert_eq!(
        outcome.status, "completed",
        "{}: {:?}\n{log}",
        outcome.message, outcome.results
    );
    outcome
}

#[tokio::test]
async fn csi_snapshot_brings_a_lost_volume_back() {
    let mut world = World::connected("csi-snapshot").await.unwrap();
    let csi = world.stack.csi().await.unwrap();
    world.update_status().await.unwrap();
    assert!(
        arguments(&world, "deployment/velero")
            .await
            .contains(r#""--features=""#)
    );
    let_volumes_be_snapshotted(&world).await;
    world.update_status().await.unwrap();
    world
        .expect_in_status(
            "active: ",
            &["volumes of StorageClass `local-path` are not snapshotted"],
        )
        .unwrap();
    assert!(
        arguments(&world, "deployment/velero")
            .await
            .contains("--features=EnableCSI")
    );

    let shop = Shop::open_on(&world.stack, "shop-csi", Csi::STORAGE_CLASS)
        .await
        .unwrap();
    let files = shop.checksums().await.unwrap();
    let backup = json!({"namespaces": "shop-csi", "name": "shot", "require-volumes": true});
    let outcome = act(&mut world, "create-backup", backup).await;
    assert_eq!(
        outcome.results["volumes"], "1 of 1",
        "{:?}",
        outcome.results
    );
    assert_eq!(csi.snapshots().unwrap().len(), 1);
    let stored = files_in_store(&world).await;
    assert_eq!(stored, [], "its data stays where it is");

    shop.lose().await.unwrap();
    assert_eq!(csi.volumes().unwrap(), Vec::<String>::new());
    act(&mut world, "restore", json!({"backup-id": "shot"})).await;
    shop.ready().await.unwrap();
    assert_eq!(shop.checksums().await.unwrap(), files);

    let delete = json!({"backup-id": "shot", "confirm": "shot"});
    act(&mut world, "delete-backup", delete).await;
    shop.lose().await.unwrap();
    assert_eq!(csi.snapshots().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn moved_snapshot_brings_back_what_is_lost() {
    let mut world = World::connected("moved-snapshot").await.unwrap();
    let csi = world.stack.csi().await.unwrap();
    let_data_be_moved(&mut world).await;
    let shop = Shop::open_on(&world.stack, "shop-moved", Csi::STORAGE_CLASS)
        .await
        .unwrap();
    let files = shop.checksums().await.unwrap();

    let backup = json!({"namespaces": "shop-moved", "name": "moved", "require-volumes": true});
    let outcome = act(&mut world, "create-backup", backup).await;
    assert_eq!(
        outcome.results["volumes"], "1 of 1",
        "{:?}",
        outcome.results
    );
    assert_eq!(phase(&world, "dataupload").await, "Completed");
    let stored = files_in_store(&world).await;
    let bytes: u64 = stored.iter().map(|object| object.size).sum();
    assert!(bytes > 3 << 20, "{bytes} bytes of three random megabytes");
    no_snapshot_is_left(&csi).await;
    shop.lose().await.unwrap();
    assert_eq!(csi.volumes().unwrap(), Vec::<String>::new());

    act(&mut world, "restore", json!({"backup-id": "moved"})).await;
    assert_eq!(phase(&world, "datadownload").await, "Completed");
    shop.ready().await.unwrap();
    assert_eq!(shop.checksums().await.unwrap(), files);
    assert_eq!(csi.volumes().unwrap().len(), 1, "what was lost");
    shop.lose().await.unwrap();
}

#[tokio::test]
async fn data_mover_waits_for_a_node_of_its_labels() {
    let mut world = World::connected("nodes-of-movers").await.unwrap();
    world.stack.csi().await.unwrap();
    let_data_be_moved(&mut world).await;
    world.config("data-mover-nodes", "disk=ssd").await.unwrap();
    world.expect_in_status("active: ", &[]).unwrap();
    let shop = Shop::open_on(&world.stack, "shop-movers", Csi::STORAGE_CLASS)
        .await
        .unwrap();
    let backup = json!({"namespaces": "shop-movers", "name": "moved", "wait": false});
    act(&mut world, "create-backup", backup).await;
    let path = r#"jsonpath={.items[*].status.conditions[?(@.type=="PodScheduled")].reason}"#;
    let mover = ["get", "pods", "-l", "velero.io/data-upload", "-o", path];
    let waits = async || kubectl(&world, &mover).await == "Unschedulable";
    until("the mover waits", DEADLINE, waits).await.unwrap();

    kubectl(&world, &["label", "nodes", "--all", "disk=ssd"]).await;
    let ended = "--for=jsonpath={.status.phase}=Completed";
    let ended = ["wait", "backups.velero.io/moved", ended, TIMEOUT];
    kubectl(&world, &ended).await;
    assert_eq!(phase(&world, "dataupload").await, "Completed");
    kubectl(&world, &["label", "nodes", "--all", "disk-"]).await;
    shop.lose().await.unwrap();
}

/// How far the only object of a kind is.
async fn phase(world: &World, kind: &str) -> String {
    kubectl(
        world,
        &["get", kind, "-o", "jsonpath={.items[*].status.phase}"],
    )
    .await
}

/// A `StorageClass` of another driver, of which snapshots can be taken. It goes with the world.
async fn another_can_be_snapshotted(world: &World) {
    let namespace = [
        "get",
        "namespace",
        &world.namespace,
        "-o",
        "jsonpath={.metadata.uid}",
    ];
    let uid = world.kubectl(&namespace).await.unwrap();
    let class = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": {"name": "elsewhere", "ownerReferences": [{
            "apiVersion": "v1", "kind": "Namespace", "name": world.namespace, "uid": uid,
        }]},
        "provisioner": "disk.example.com",
    });
    world.apply(&class).await.unwrap();
    let class = snapshot_class("elsewhere", "disk.example.com");
    world.apply(&class).await.unwrap();
}

#[tokio::test]
async fn volume_without_a_snapshot_class_is_named() {
    let mut world = World::connected("no-snapshot-class").await.unwrap();
    let csi = world.stack.csi().await.unwrap();
    world.config("csi-snapshots", "true").await.unwrap();
    let why = "`csi-snapshots` cannot be true: the cluster has no VolumeSnapshotClass";
    world.expect_in_status("blocked: ", &[why]).unwrap();
    world.reset(&["csi-snapshots"]).await.unwrap();
    world.config("snapshot-move-data", "true").await.unwrap();
    let why = "`snapshot-move-data` needs CSI snapshots, and none are taken here";
    world.expect_in_status("blocked: ", &[why]).unwrap();
    world.reset(&["snapshot-move-data"]).await.unwrap();

    another_can_be_snapshotted(&world).await;
    world.update_status().await.unwrap();
    let remark = [
        "make a VolumeSnapshotClass for `stand-in.csi.kube-stack`",
        "volumes of StorageClass `csi-stand-in` are not snapshotted",
    ];
    world.expect_in_status("active: ", &remark).unwrap();
    let shop = Shop::open_on(&world.stack, "shop-no-class", Csi::STORAGE_CLASS)
        .await
        .unwrap();
    let backup = |name: &str| json!({"namespaces": "shop-no-class", "name": name});
    let outcome = run_with(&mut world, "create-backup", backup("bare")).await;
    let why = "failed to get VolumeSnapshotClass for StorageClass csi-stand-in";
    assert!(outcome.message.contains(why), "{}", outcome.message);
    assert_eq!(outcome.results["phase"], "PartiallyFailed");
    assert_eq!(outcome.results["volumes"], "0 of 1");
    let without = outcome.results["volumes-without-data"].as_str().unwrap();
    assert!(without.starts_with("shop-no-class/data ("), "{without}");
    assert_eq!(csi.snapshots().unwrap(), Vec::<String>::new());

    world.back_up_files().await.unwrap();
    world.expect_status("active: ").unwrap();
    let outcome = act(&mut world, "create-backup", backup("files")).await;
    assert_eq!(outcome.results["volumes"], "1 of 1");
    assert_eq!(csi.snapshots().unwrap(), Vec::<String>::new());
    shop.lose().await.unwrap();
}
