//! From nothing to a restored backup, as the tutorial and the README say, and away again.

use juju_emulator::ActionOutcome;
use kube_stack::StoredObject;
use worlds::documented::{self, Hand, Line, Moment, SHOP};
use worlds::operator::APP;
use worlds::shop::Shop;
use worlds::store::Store;
use worlds::stores::no_store;
use worlds::versions;
use worlds::world::World;

use crate::kubectl;

#[tokio::test]
async fn one_backup_lost_and_restored() {
    let world = World::open("whole-way").await.unwrap();
    let store = Store::S3(world.stack.s3());
    let tutorial = documented::lines_of_page("tutorial.md").unwrap();
    lose_and_restore(world, &store, tutorial).await;
}

/// With the stand-in for Velero's plugin.
#[tokio::test]
async fn one_backup_lost_and_restored_in_azure() {
    let world = World::open("whole-way-in-azure").await.unwrap();
    let store = Store::Azure(world.stack.azure());
    store.make_bucket(&world.bucket).await.unwrap();
    let readme = documented::lines(store.integrator()).unwrap();
    lose_and_restore(world, &store, readme).await;
}

/// Google is fake-gcs-server under Google's names, and a stand-in for its token endpoint.
#[tokio::test]
async fn one_backup_lost_and_restored_in_google_cloud() {
    let world = World::open("whole-way-in-google").await.unwrap();
    let store = Store::Gcs(world.stack.gcs().await.unwrap());
    store.make_bucket(&world.bucket).await.unwrap();
    let readme = documented::lines(store.integrator()).unwrap();
    lose_and_restore(world, &store, readme).await;
}

async fn lose_and_restore(mut world: World, store: &Store, lines: Vec<Line>) {
    follow(&mut world, store, lines).await;
    assert_eq!(world.juju.workload_version(APP), Some(versions::VELERO));

    world.juju.remove_relation(APP, store.integrator()).unwrap();
    world.juju.settle().await.unwrap();
    world.expect_status(&no_store()).unwrap();
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

/// Carries out a page's commands, and loses what they are to bring back.
async fn follow(world: &mut World, store: &Store, lines: Vec<Line>) {
    let mut hand = Hand::new(world.charm().await.unwrap(), store, &world.bucket);
    let mut at_stake = None;
    for line in lines {
        match line.moment() {
            Moment::BackUp => {
                world.expect_status("active: ").unwrap();
                let shop = Shop::open(&world.stack, SHOP).await.unwrap();
                let files = shop.checksums().await.unwrap();
                at_stake = Some((shop, files));
            }
            Moment::Restore => {
                has_files(&store.list(&world.bucket).await.unwrap());
                let (shop, _) = at_stake.as_ref().unwrap();
                shop.lose().await.unwrap();
            }
            Moment::Integrate => world.expect_status(&no_store()).unwrap(),
            Moment::Other => {}
        }
        let outcome = hand.carry_out(&mut world.juju, &line).await.unwrap();
        if let Some(outcome) = outcome {
            is_complete(&outcome);
        }
    }
    let (shop, files) = at_stake.unwrap();
    shop.ready().await.unwrap();
    assert_eq!(shop.checksums().await.unwrap(), files);
    assert_eq!(shop.motto().await.unwrap(), "never lose anything");
}

fn has_files(objects: &[StoredObject]) {
    let of_files = |object: &StoredObject| object.key.starts_with("kopia/");
    assert!(objects.iter().any(of_files), "{objects:?}");
}

fn is_complete(outcome: &ActionOutcome) {
    assert!(outcome.log.len() >= 2, "the output is logged while it runs");
    let output = outcome.results["output"].as_str().unwrap();
    let complete = "completed with status: Completed";
    assert!(output.contains(complete), "{output}");
}
