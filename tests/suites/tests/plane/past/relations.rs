//! The storage relation that the Python charm had, with integrators of either dialect.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use juju_emulator::Dialect;
use serde_json::json;
use worlds::operator::{APP, S3};
use worlds::plane::{LightWorld, Plane};
use worlds::stores::no_store;

use crate::node_in_amazon;

use super::given::{
    assert_ours, bag_of, connected, exists, get, init_containers, objects, our_bag, python,
    refresh, relate, until_it_serves,
};

/// The credential that the location names, as text.
async fn credential(world: &LightWorld) -> String {
    let location = get(world, "velero.io", "BackupStorageLocation", "default").await;
    let named = &location.data["spec"]["credential"];
    let secret = get(world, "", "Secret", named["name"].as_str().unwrap()).await;
    let text = secret.data["data"][named["key"].as_str().unwrap()]
        .as_str()
        .unwrap()
        .to_owned();
    String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
}

#[tokio::test]
async fn the_placeholder_is_taken_back_from_an_integrator_that_would_create_that_bucket() {
    let plane = Plane::shared().await.unwrap();
    let (mut world, _) = connected(&plane, "placeholder", &[]).await;
    assert!(our_bag(&world)["bucket"].starts_with("relation-"));

    refresh(&mut world).await;

    world.expect_status("active: ").unwrap();
    let bag = our_bag(&world);
    assert_eq!(bag.get("bucket"), None);
    assert_eq!(bag["version"], "1");
    assert_eq!(bag["requested-secrets"], r#"["access-key", "secret-key"]"#);
    let in_the_clear = |world: &LightWorld| {
        let theirs = bag_of(world, S3);
        (
            theirs.contains_key("secret-key"),
            theirs.contains_key("secret-extra"),
        )
    };
    assert_eq!(in_the_clear(&world), (true, false), "as it began");
    let commands =
        format!("Run `juju remove-relation {APP} {S3}`, then `juju integrate {APP} {S3}`");
    assert_eq!(world.log().matches(&commands).count(), 1, "{}", world.log());
    world.juju.remove_relation(APP, S3).unwrap();
    world.settle().await.unwrap();
    world.juju.integrate(APP, S3).unwrap();
    world.settle().await.unwrap();
    world.expect_status("active: ").unwrap();
    assert_eq!(in_the_clear(&world), (false, true));
    let bucket = &world.location().await.unwrap().unwrap()["objectStorage"]["bucket"];
    assert_eq!(*bucket, json!(world.bucket));
}

#[tokio::test]
async fn an_integrator_that_was_given_no_bucket_is_asked_for_none() {
    let plane = Plane::shared().await.unwrap();
    let (mut world, _) = python(&plane, "no-bucket", &[]).await;
    relate(&mut world, Dialect::V1).await;
    world.offer("bucket", "").await.unwrap();

    refresh(&mut world).await;

    world
        .expect_in_status("blocked: ", &["`bucket` is missing"])
        .unwrap();
    assert_eq!(
        bag_of(&world, S3).get("bucket"),
        None,
        "else it would have been created"
    );
    let bucket = world.bucket.clone();
    world.offer("bucket", &bucket).await.unwrap();
    world.expect_status("active: ").unwrap();
}

#[tokio::test]
async fn an_integrator_of_the_older_dialect_goes_on() {
    let plane = Plane::shared().await.unwrap();
    let (mut world, python) = python(&plane, "older-dialect", &[]).await;
    relate(&mut world, Dialect::V0).await;
    python.configure_storage(&world.settings()).await.unwrap();
    until_it_serves(&world).await;

    refresh(&mut world).await;

    world.expect_status("active: ").unwrap();
    assert_ours(&world, &objects(&world).await);
    assert!(
        our_bag(&world)["bucket"].starts_with("relation-"),
        "it answers nothing else"
    );
    let settings = world.settings();
    assert!(credential(&world).await.contains(&settings.secret_key));

    world.offer("secret-key", "a-new-secret-key").await.unwrap();
    world.expect_status("active: ").unwrap();
    assert!(credential(&world).await.contains("a-new-secret-key"));
}

#[tokio::test]
async fn a_store_of_amazon_keeps_its_snapshot_location() {
    // Nodes are everybody's.
    let plane = Plane::start().await.unwrap();
    let (mut world, python) = python(&plane, "amazon", &[]).await;
    node_in_amazon(&world).await;
    let mut settings = world.settings();
    settings
        .options
        .retain(|key, _| ["bucket", "region"].contains(&key.as_str()));
    world
        .juju
        .deploy_s3_integrator(S3, settings.clone())
        .unwrap();
    world.juju.integrate(APP, S3).unwrap();
    world.settle().await.unwrap();
    python.configure_storage(&settings).await.unwrap();
    until_it_serves(&world).await;
    let before = get(&world, "velero.io", "VolumeSnapshotLocation", "default").await;

    refresh(&mut world).await;

    world.expect_status("active: ").unwrap();
    let objects = objects(&world).await;
    assert_ours(&world, &objects);
    let after = &objects["VolumeSnapshotLocation/default"];
    assert_eq!(after.metadata.uid, before.metadata.uid);
    let location = get(&world, "velero.io", "BackupStorageLocation", "default").await;
    assert_eq!(
        after.data["spec"]["credential"],
        location.data["spec"]["credential"]
    );
}

#[tokio::test]
async fn the_relation_can_end_after_the_take_over() {
    let plane = Plane::shared().await.unwrap();
    let (mut world, _) = connected(&plane, "ended", &[]).await;
    refresh(&mut world).await;

    world.juju.remove_relation(APP, S3).unwrap();
    world.settle().await.unwrap();

    world.expect_status(&no_store()).unwrap();
    assert_eq!(init_containers(&world).await, Vec::<String>::new());
    let objects = objects(&world).await;
    for name in objects.keys() {
        assert!(
            !name.starts_with("Secret/") && !name.ends_with("Location/default"),
            "{name}"
        );
    }
    assert!(exists(&world, "apps", "Deployment", "velero").await);
}

/// The relation ended while the Python charm was still there and could not clear up.
#[tokio::test]
async fn a_store_that_nobody_relates_any_more_is_cleared_away() {
    let plane = Plane::shared().await.unwrap();
    let (mut world, _) = connected(&plane, "orphan", &[]).await;
    world.juju.remove_relation(APP, S3).unwrap();
    world.settle().await.unwrap();

    refresh(&mut world).await;

    world.expect_status(&no_store()).unwrap();
    assert_eq!(init_containers(&world).await, Vec::<String>::new());
    assert!(!exists(&world, "velero.io", "BackupStorageLocation", "default").await);
    assert!(!exists(&world, "velero.io", "VolumeSnapshotLocation", "default").await);
    assert!(!exists(&world, "", "Secret", "cloud-credentials").await);
}
