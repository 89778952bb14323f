//! From S3 to Azure and back. The plugin for Azure is the stand-in.

use worlds::kubectl::TIMEOUT;
use worlds::operator::run_well;
use worlds::shop::Shop;
use worlds::store::Store;
use worlds::world::{HalfNode, World};

use crate::kubectl;

/// Which pods the server has had so far, and which the node agent has.
async fn pods(world: &World) -> (u32, String) {
    let revision = r"jsonpath={.metadata.annotations.deployment\.kubernetes\.io/revision}";
    let revision = kubectl(world, &["get", "deployment", "velero", "-o", revision]).await;
    let agents = ["get", "pods", "-l", "name=node-agent", "-o", "name"];
    (revision.parse().unwrap(), kubectl(world, &agents).await)
}

/// Integrates with `to` in addition to `from`, takes `from` away, and looks at what is left of it.
async fn change(world: &mut World, from: &Store, to: &Store) {
    let (revision, agents) = pods(world).await;
    assert!(agents.starts_with("pod/"), "{agents}");
    world.integrate_with(to).await.unwrap();
    let both = ["more than one object store"];
    world.expect_in_status("blocked: ", &both).unwrap();
    world.juju.remove_application(from.integrator()).unwrap();
    world.settle().await.unwrap();
    world.expect_status("active: ").unwrap();

    let one_restart = (revision + 1, agents);
    assert_eq!(pods(world).await, one_restart, "of the server alone");
    let init = "jsonpath={.spec.template.spec.initContainers[*].name}";
    let plugins = kubectl(world, &["get", "deployment", "velero", "-o", init]).await;
    let location = world.location().await.unwrap().unwrap();
    let provider = location["provider"].as_str().unwrap();
    assert_eq!(plugins, format!("storage-plugin-{provider}"));
    let locations = ["get", "backupstoragelocations.velero.io", "-o", "name"];
    assert_eq!(
        kubectl(world, &locations).await,
        "backupstoragelocation.velero.io/default"
    );
    let repositories = ["get", "backuprepositories.velero.io", "-o", "name"];
    assert_eq!(kubectl(world, &repositories).await, "");
    let belongings = world.belongings().await.unwrap();
    assert_eq!(belongings.matches("secret/").count(), 1, "{belongings}");
    let secret = location["credential"]["name"].as_str().unwrap();
    assert!(belongings.contains(secret), "{belongings}");
}

async fn back_up(world: &mut World, shop: &str, name: &str) {
    let backup = format!("backup create {name} --include-namespaces {shop} --wait");
    let outcome = run_well(&mut world.juju, &backup).await.unwrap();
    let output = outcome.results["output"].as_str().unwrap();
    assert!(
        output.contains("completed with status: Completed"),
        "{output}"
    );
}

/// Lets Velero look what backups a store has whenever it starts; else it does so once a minute.
async fn let_it_look_at_start(world: &World) {
    let location = "backupstoragelocations.velero.io/default";
    let period = r#"{"spec":{"backupSyncPeriod":"1s"}}"#;
    kubectl(world, &["patch", location, "--type=merge", "-p", period]).await;
}

/// Waits until Velero has found a backup in its store, or found that it is not there.
async fn look(world: &World, backup: &str, found: &str) {
    kubectl(world, &["delete", "pod", "-l", "deploy=velero"]).await;
    let backup = format!("backups.velero.io/{backup}");
    let until = format!("--for={found}");
    kubectl(world, &["wait", &backup, &until, TIMEOUT]).await;
}

async fn restore(world: &mut World, shop: &Shop, backup: &str) {
    shop.lose().await.unwrap();
    let restore = format!("restore create --from-backup {backup} --wait");
    run_well(&mut world.juju, &restore).await.unwrap();
    shop.ready().await.unwrap();
}

#[tokio::test]
async fn change_of_store_costs_one_restart_and_keeps_backups() {
    const SHOP: &str = "shop-moving";
    let mut world = HalfNode::deployed("moving").await.unwrap();
    let s3 = Store::S3(world.stack.s3());
    let azure = Store::Azure(world.stack.azure());
    azure.make_bucket(&world.bucket).await.unwrap();
    world.back_up_files().await.unwrap();
    world.integrate_with(&s3).await.unwrap();
    let_it_look_at_start(&world).await;
    let shop = Shop::open(&world.stack, SHOP).await.unwrap();
    let files = shop.checksums().await.unwrap();
    back_up(&mut world, SHOP, "in-s3").await;
    let in_s3 = s3.list(&world.bucket).await.unwrap();

    change(&mut world, &s3, &azure).await;
    look(&world, "in-s3", "delete").await;
    // The volume's repository is one for each store.
    back_up(&mut world, SHOP, "in-azure").await;
    restore(&mut world, &shop, "in-azure").await;
    assert_eq!(shop.checksums().await.unwrap(), files);
    assert_eq!(s3.list(&world.bucket).await.unwrap(), in_s3);

    change(&mut world, &azure, &s3).await;
    look(&world, "in-s3", "create").await;
    restore(&mut world, &shop, "in-s3").await;
    assert_eq!(shop.checksums().await.unwrap(), files);

    change(&mut world, &s3, &azure).await;
    look(&world, "in-azure", "create").await;
    shop.lose().await.unwrap();
}

/// Velero asks for a volume's repository again when it sees the location change, but not when it starts.
#[tokio::test]
async fn a_change_of_store_that_velero_did_not_see_leaves_no_repository_behind() {
    const SHOP: &str = "shop-unseen";
    let mut world = HalfNode::deployed("unseen").await.unwrap();
    let s3 = Store::S3(world.stack.s3());
    let azure = Store::Azure(world.stack.azure());
    azure.make_bucket(&world.bucket).await.unwrap();
    world.back_up_files().await.unwrap();
    world.integrate_with(&s3).await.unwrap();
    let shop = Shop::open(&world.stack, SHOP).await.unwrap();
    back_up(&mut world, SHOP, "in-s3").await;
    world.integrate_with(&azure).await.unwrap();
    kubectl(&world, &["scale", "deployment", "velero", "--replicas=0"]).await;
    let pods = ["wait", "pod", "-l", "deploy=velero"];
    let gone = ["--for=delete", TIMEOUT];
    kubectl(&world, &[&pods[..], &gone].concat()).await;

    world.juju.remove_application(s3.integrator()).unwrap();
    world.settle().await.unwrap();

    world.expect_status("active: ").unwrap();
    back_up(&mut world, SHOP, "in-azure").await;
    shop.lose().await.unwrap();
}
