//! Backups in flight survive.

use serde_json::json;
use worlds::kubectl::TIMEOUT;
use worlds::operator::{APP, S3};
use worlds::shop::Shop;
use worlds::versions;
use worlds::world::{HalfNode, World};

use crate::{kubectl, run_with, server_pod};

/// As if another release of the charm had applied what is there.
async fn applied_by_an_earlier_charm(world: &World) {
    let record = "configmap/velero-operator-applied";
    let text = kubectl(world, &["get", record, "-o", "jsonpath={.data.applied}"]).await;
    let mut applied: serde_json::Value = serde_json::from_str(&text).unwrap();
    applied["inputs"]["charm"] = json!("0.0.1");
    let patch = json!({"data": {"applied": applied.to_string()}}).to_string();
    kubectl(world, &["patch", record, "--type=merge", "-p", &patch]).await;
}

/// The record of a server's pod that a node was too full for.
async fn evicted_beside(world: &World, pod: &str) {
    let live = kubectl(world, &["get", pod.trim(), "-o", "json"]).await;
    let live: serde_json::Value = serde_json::from_str(&live).unwrap();
    let containers = &live["spec"]["containers"];
    let containers = json!([{"name": containers[0]["name"], "image": containers[0]["image"]}]);
    let evicted = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "velero-evicted", "namespace": world.namespace,
                     "labels": {"deploy": "velero", "component": "velero"}},
        "spec": {"schedulerName": "nobody", "containers": containers},
    });
    world.apply(&evicted).await.unwrap();
    let status = json!({"status": {"phase": "Failed", "reason": "Evicted"}}).to_string();
    let patch = ["--subresource=status", "--type=merge", "-p", &status];
    kubectl(
        world,
        &[&["patch", "pod", "velero-evicted"], &patch[..]].concat(),
    )
    .await;
}

#[tokio::test]
async fn restart_of_velero_waits_for_the_backup_that_runs() {
    let mut world = HalfNode::connected("in-flight").await.unwrap();
    world.back_up_files().await.unwrap();
    let shop = Shop::open(&world.stack, "shop-in-flight").await.unwrap();
    shop.detain_backups().await.unwrap();
    let backup = json!({
        "command": "backup create slow --include-namespaces shop-in-flight --wait",
        "timeout": "2s",
    });
    run_with(&mut world, "run", backup).await;
    evicted_beside(&world, &server_pod(&world).await).await;
    let pod = server_pod(&world).await;
    let held = "waiting: waiting for Backup `slow` to end: a change is held back";

    let (image, plugin) = (versions::velero_image(), versions::plugin_aws_image());
    for (option, changed, original) in [
        ("velero-image", "velero/velero:v1.18.2", image.as_str()),
        (
            "velero-aws-plugin-image",
            "velero/velero-plugin-for-aws:v1.14.1",
            plugin.as_str(),
        ),
        ("default-volumes-to-fs-backup", "false", "true"),
    ] {
        world.config(option, changed).await.unwrap();
        world.expect_status(held).unwrap();
        world.config(option, original).await.unwrap();
        world.expect_status("active: ").unwrap();
    }
    let nothing_of_files = [
        ("use-node-agent", "false"),
        ("default-volumes-to-fs-backup", "false"),
    ];
    world.juju.config(APP, &nothing_of_files).unwrap();
    world.settle().await.unwrap();
    world.expect_status(held).unwrap();
    world.back_up_files().await.unwrap();
    world.expect_status("active: ").unwrap();
    world.juju.remove_relation(APP, S3).unwrap();
    world.juju.settle().await.unwrap();
    let message = [" (and 1 more)"];
    world
        .expect_in_status("blocked: run `juju integrate ", &message)
        .unwrap();
    world.juju.integrate(APP, S3).unwrap();
    world.juju.settle().await.unwrap();
    world.expect_status("active: ").unwrap();
    applied_by_an_earlier_charm(&world).await;
    world
        .juju
        .run_hook("velero-operator/0", "upgrade-charm")
        .await
        .unwrap();
    world.expect_status(held).unwrap();
    world
        .config("default-volumes-to-fs-backup", "false")
        .await
        .unwrap();
    world.expect_status(held).unwrap();
    assert_eq!(server_pod(&world).await, pod, "the server was restarted");

    shop.let_backup_go().await.unwrap();
    let done = "--for=jsonpath={.status.phase}=Completed";
    let wait = ["wait", "backups.velero.io/slow", done, TIMEOUT];
    kubectl(&world, &wait).await;
    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();
    assert_ne!(server_pod(&world).await, pod, "the change came after it");
    let arguments = "jsonpath={.spec.template.spec.containers[0].args}";
    let arguments = kubectl(&world, &["get", "deployment", "velero", "-o", arguments]).await;
    assert!(
        !arguments.contains("--default-volumes-to-fs-backup"),
        "{arguments}"
    );
    shop.lose().await.unwrap();
}
