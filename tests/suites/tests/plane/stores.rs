//! Several kinds of stores, of which exactly one is used.

use std::fs;

use juju_emulator::HookRun;
use kube_stack::{AzureStore, GcsStore, S3Store};
use worlds::documented::{self, Hand, Moment};
use worlds::operator::{APP, AZURE, S3};
use worlds::plane::{LightWorld, Plane, StoreKind};
use worlds::store::Store;

use crate::here;

const PLUGINS: &str = "jsonpath={.spec.template.spec.initContainers[*].name}";

async fn plugins(world: &LightWorld) -> String {
    let get = [
        "-n",
        &world.namespace,
        "get",
        "deployment",
        "velero",
        "-o",
        PLUGINS,
    ];
    world.kubectl(&get).await.unwrap()
}

async fn secrets(world: &LightWorld) -> usize {
    let belongings = world.belongings().await.unwrap();
    belongings.matches("secret/").count()
}

fn azure(world: &mut LightWorld) {
    StoreKind::Azure.deploy(world).unwrap();
    world.juju.integrate(APP, AZURE).unwrap();
}

#[tokio::test]
async fn a_second_store_is_refused_and_takes_over_when_the_first_goes() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "two-stores").await.unwrap();
    let before = (world.location().await.unwrap(), plugins(&world).await);

    azure(&mut world);
    world.settle().await.unwrap();
    let both = ["more than one object store", AZURE, S3];
    world.expect_in_status("blocked: ", &both).unwrap();
    let now = (world.location().await.unwrap(), plugins(&world).await);
    assert_eq!(now, before, "what worked is touched");

    world.juju.remove_relation(APP, S3).unwrap();
    let runs = world.juju.settle().await.unwrap();
    world.expect_status("active: ").unwrap();
    // The relation is gone in the hook that tells of its end, though Juju still lists it there.
    let of_end = |run: &&HookRun| run.hook.ends_with("-relation-broken");
    let broken = runs.iter().find(of_end).unwrap();
    let last = broken.statuses.last().map(|status| status.level.as_str());
    assert_eq!(last, Some("active"));
    let location = world.location().await.unwrap().unwrap();
    assert_eq!(location["provider"], "azure");
    assert_eq!(location["objectStorage"]["bucket"], world.bucket);
    assert_eq!(plugins(&world).await, "storage-plugin-azure");
    assert_eq!(secrets(&world).await, 1);
}

#[tokio::test]
async fn change_there_and_back_leaves_nothing_of_the_other_store() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "there-and-back")
        .await
        .unwrap();
    let before = world.dump().await.unwrap();

    world.juju.remove_relation(APP, S3).unwrap();
    world.settle().await.unwrap();
    azure(&mut world);
    world.settle().await.unwrap();
    world.expect_status("active: ").unwrap();
    world.juju.remove_relation(APP, AZURE).unwrap();
    world.settle().await.unwrap();
    world.juju.integrate(APP, S3).unwrap();
    world.settle().await.unwrap();

    world.expect_status("active: ").unwrap();
    assert_eq!(world.dump().await.unwrap(), before);
}

#[tokio::test]
async fn one_write_of_a_location_brings_no_restart() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "no-restart").await.unwrap();
    let revision = r"jsonpath={.metadata.annotations.deployment\.kubernetes\.io/revision}";
    let servers = async |world: &LightWorld| {
        let pods = ["get", "pods", "-l", "deploy=velero", "-o", "name"];
        let revision = ["get", "deployment", "velero", "-o", revision];
        (here(world, &pods).await, here(world, &revision).await)
    };
    let before = servers(&world).await;

    world.offer("path", "a-folder").await.unwrap();
    world.expect_status("active: ").unwrap();

    assert_eq!(servers(&world).await, before, "the server was restarted");
    let spec = world.location().await.unwrap().unwrap();
    assert_eq!(spec["objectStorage"]["prefix"], "a-folder");
}

#[tokio::test]
async fn readme_s_commands_connect_each_store() {
    let plane = Plane::shared().await.unwrap();
    let s3 = Store::S3(S3Store {
        endpoint: "https://s3.example.com".to_owned(),
        region: "us-east-1".to_owned(),
        access_key: "an-access-key".to_owned(),
        secret_key: "a-secret-key".to_owned(),
    });
    let azure = Store::Azure(AzureStore {
        endpoint: "https://acme.blob.core.windows.net".to_owned(),
        account: "acme".to_owned(),
        key: "YSBrZXk=".to_owned(),
    });
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("key.json");
    let key = StoreKind::Gcs.key_of("the secret part of a key");
    fs::write(&key_file, &key).unwrap();
    let gcs = Store::Gcs(GcsStore {
        deleted_key: key.clone(),
        key,
        key_file,
    });
    for store in [s3, azure, gcs] {
        let integrator = store.integrator();
        let world = plane.world(&format!("readme-{integrator}")).await;
        let mut world = world.unwrap();
        let charm = world.charm().await.unwrap();
        let mut hand = Hand::new(charm, &store, &world.bucket);
        let lines = documented::lines(integrator).unwrap();
        let before = |line: &documented::Line| line.moment() != Moment::BackUp;
        for line in lines.into_iter().take_while(before) {
            hand.carry_out(&mut world.juju, &line).await.unwrap();
        }
        world.expect_status("active: ").unwrap();
        let bucket = &world.location().await.unwrap().unwrap()["objectStorage"]["bucket"];
        assert_eq!(*bucket, world.bucket);
        for secret in store.secrets() {
            assert!(!world.everything_said().contains(secret), "{secret}");
        }
    }
}
