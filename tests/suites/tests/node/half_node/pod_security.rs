//! A namespace that enforces Pod Security's `restricted`. The node agent has no place there, as it mounts folders of
//! the node, and neither have the pods in which the data of volumes is moved.

use worlds::kubectl::TIMEOUT;
use worlds::operator::run_well;
use worlds::shop::Shop;
use worlds::world::{HalfNode, World};

use crate::{kubectl, server_pod};

async fn restrict(world: &World) {
    let label = "pod-security.kubernetes.io/enforce=restricted";
    let namespace = ["label", "namespace", &world.namespace, label];
    world.kubectl(&namespace).await.unwrap();
}

/// Objects are saved and brought back, and nothing of the namespace is weakened.
#[tokio::test]
async fn server_backs_up_and_restores_under_restricted() {
    let mut world = HalfNode::open("restricted").await.unwrap();
    restrict(&world).await;
    world
        .deploy(juju_emulator::DeployOptions::trusted())
        .await
        .unwrap();
    world.connect().await.unwrap();
    world.expect_status("active: ").unwrap();
    let shop = Shop::open(&world.stack, "shop-restricted").await.unwrap();
    let backup = "backup create nightly --include-namespaces shop-restricted --wait";
    run_well(&mut world.juju, backup).await.unwrap();
    shop.lose().await.unwrap();

    let restore = "restore create --from-backup nightly --wait";
    run_well(&mut world.juju, restore).await.unwrap();

    shop.ready().await.unwrap();
    assert_eq!(shop.motto().await.unwrap(), "never lose anything");
    let who = "jsonpath={.spec.securityContext.runAsUser}";
    let pod = server_pod(&world).await;
    assert_eq!(kubectl(&world, &["get", &pod, "-o", who]).await, "65532");
}

/// The pods of maintenance take their rights, their home and their volumes from the server.
#[tokio::test]
async fn repositories_are_maintained_under_restricted() {
    let mut world = HalfNode::connected("maintained").await.unwrap();
    world.config("use-node-agent", "true").await.unwrap();
    let _shop = Shop::open(&world.stack, "shop-maintained").await.unwrap();
    let backup = "backup create files --include-namespaces shop-maintained \
                  --default-volumes-to-fs-backup --wait";
    run_well(&mut world.juju, backup).await.unwrap();
    let repository = kubectl(&world, &["get", "backuprepositories", "-o", "name"]).await;
    let due = r#"{"spec":{"maintenanceFrequency":"1s"}}"#;
    let patch = ["patch", &repository, "--type=merge", "-p", due];
    kubectl(&world, &patch).await;
    restrict(&world).await;

    // What is due is looked at when the server starts.
    let pod = server_pod(&world).await;
    kubectl(&world, &["delete", &pod]).await;
    let label = "velero.io/repo-name";
    let made = ["wait", "job", "-l", label, "--for=create", TIMEOUT];
    kubectl(&world, &made).await;

    let ended = ["wait", "job", "-l", label, "--for=condition=complete"];
    kubectl(&world, &[&ended[..], &[TIMEOUT]].concat()).await;
}
