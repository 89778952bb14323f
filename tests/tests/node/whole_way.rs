//! From nothing to a restored backup, and away again.

use tests::juju::DeployOptions;
use tests::operator::{APP, run_well};
use tests::shop::Shop;
use tests::stack::versions;
use tests::store::Store;
use tests::world::World;

use super::{NO_STORE, kubectl, writes};

#[tokio::test]
async fn one_backup_lost_and_restored() {
    let world = World::open("whole-way").await.unwrap();
    let store = Store::S3(world.stack.s3());
    lose_and_restore(world, &store).await;
}

/// With the stand-in for Velero's plugin.
#[tokio::test]
async fn one_backup_lost_and_restored_in_azure() {
    let world = World::open("whole-way-in-azure").await.unwrap();
    let store = Store::Azure(world.stack.azure());
    store.make_bucket(&world.bucket).await.unwrap();
    lose_and_restore(world, &store).await;
}

async fn lose_and_restore(mut world: World, store: &Store) {
    world.deploy(DeployOptions::default()).await.unwrap();
    world
        .expect_status("blocked: not trusted: run `juju trust velero-operator --scope=cluster`")
        .unwrap();

    world.juju.trust(APP).await.unwrap();
    world.juju.settle().await.unwrap();
    world.expect_status(NO_STORE).unwrap();
    assert_eq!(world.juju.workload_version(APP), Some(versions::VELERO));

    world.config("use-node-agent", "true").await.unwrap();
    world.integrate_with(store).await.unwrap();
    world.expect_status("active: ").unwrap();

    let shop = Shop::open(&world.stack, "shop-whole-way").await.unwrap();
    let files = shop.checksums().await.unwrap();
    let backup = "backup create nightly --include-namespaces shop-whole-way \
                  --default-volumes-to-fs-backup --wait";
    let outcome = run_well(&mut world.juju, backup).await.unwrap();
    assert!(outcome.log.len() >= 2, "the output is logged while it runs");
    let output = outcome.results["output"].as_str().unwrap();
    assert!(
        output.contains("completed with status: Completed"),
        "{output}"
    );
    let objects = store.list(&world.bucket).await.unwrap();
    assert!(
        objects
            .iter()
            .any(|object| object.key.starts_with("kopia/")),
        "{objects:?}"
    );

    shop.lose().await.unwrap();
    run_well(
        &mut world.juju,
        "restore create --from-backup nightly --wait",
    )
    .await
    .unwrap();
    shop.ready().await.unwrap();
    assert_eq!(shop.checksums().await.unwrap(), files);
    assert_eq!(shop.motto().await.unwrap(), "never lose anything");

    world.juju.remove_relation(APP, store.integrator()).unwrap();
    world.juju.settle().await.unwrap();
    world.expect_status(NO_STORE).unwrap();
    assert_eq!(world.location().await.unwrap(), None);
    let init = "jsonpath={.spec.template.spec.initContainers[*].name}";
    let plugins = kubectl(&world, &["get", "deployment", "velero", "-o", init]).await;
    assert_eq!(plugins, "", "the plugin went with the relation");
    let secrets = world.belongings().await.unwrap();
    assert!(!secrets.contains("secret/"), "{secrets}");

    let before = store.list(&world.bucket).await.unwrap();
    world.juju.remove_application(APP).unwrap();
    world.juju.settle().await.unwrap();
    assert_eq!(world.belongings().await.unwrap(), "");
    let after = store.list(&world.bucket).await.unwrap();
    assert_eq!(after, before, "what is in the bucket stays");

    let said = world.everything_said();
    for secret in store.secrets() {
        assert!(!said.contains(secret), "a key was said");
    }
}

/// Right after a CRD was made, the API server is too busy for its objects for a moment.
#[tokio::test]
async fn a_cluster_that_never_had_velero_is_ready_after_one_hook() {
    let mut world = World::open("first").await.unwrap();
    let definitions = [
        "delete",
        "customresourcedefinitions",
        "-l",
        "component=velero",
    ];
    world.kubectl(&definitions).await.unwrap();

    world.deploy(DeployOptions::trusted()).await.unwrap();

    let install = &world.juju.hook_runs()[0];
    assert_eq!(install.hook, "install");
    let status = install.statuses.last().unwrap();
    assert_eq!(format!("{}: {}", status.level, status.message), NO_STORE);
}

#[tokio::test]
async fn a_velero_of_somebody_else_is_left_alone() {
    let mut world = World::open("foreign").await.unwrap();
    let image = format!("--image={}", versions::BUSYBOX_IMAGE);
    kubectl(&world, &["create", "deployment", "velero", &image]).await;
    let mark = world.stack.audit().mark().await.unwrap();

    world.deploy(DeployOptions::trusted()).await.unwrap();

    world
        .expect_in_status("blocked: ", &["has a Velero that is not this charm's"])
        .unwrap();
    assert_eq!(writes(&world, &mark).await, Vec::<String>::new());
}
