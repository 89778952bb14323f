//! A store of Amazon: snapshots of volumes, and what the user knows better of it.

use juju_emulator::S3Settings;
use kube::api::DynamicObject;
use worlds::plane::{LightWorld, Plane};

use crate::azure::lists_of_nodes;
use crate::node_in_amazon;

fn in_amazon(world: &LightWorld) -> S3Settings {
    let mut settings = world.settings();
    settings.options.remove("region");
    let endpoint = "https://s3.us-east-1.amazonaws.com".to_owned();
    settings.options.insert("endpoint".to_owned(), endpoint);
    settings
}

async fn snapshots(world: &LightWorld) -> Option<DynamicObject> {
    let location = world.velero_object("VolumeSnapshotLocation", "default");
    location.await.unwrap()
}

#[tokio::test]
async fn snapshots_are_made_where_the_nodes_are() {
    // Nodes are everybody's.
    let plane = Plane::start().await.unwrap();
    let mut elsewhere = LightWorld::connected(&plane, "elsewhere").await.unwrap();
    assert_eq!(lists_of_nodes(&mut elsewhere).await, 0, "nobody asks");
    let mut world = LightWorld::deployed(&plane, "amazon").await.unwrap();
    let settings = in_amazon(&world);
    world.integrate(settings).await.unwrap();
    world.expect_status("active: ").unwrap();
    assert!(snapshots(&world).await.is_none());
    let location = world.location().await.unwrap().unwrap();
    assert_eq!(location["config"]["region"], "us-east-1");
    assert_eq!(lists_of_nodes(&mut world).await, 1);

    node_in_amazon(&world).await;
    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();
    let made = snapshots(&world).await.unwrap();
    assert_eq!(made.data["spec"]["config"]["region"], "eu-central-1");
    assert_eq!(world.location().await.unwrap().unwrap(), location);

    world.config("volume-snapshots", "false").await.unwrap();
    world.expect_status("active: ").unwrap();
    assert!(snapshots(&world).await.is_none());
    world.config("volume-snapshots", "true").await.unwrap();
    assert!(snapshots(&world).await.is_some());
}

#[tokio::test]
async fn settings_of_the_plugin_are_the_users_or_refused() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "settings").await.unwrap();
    let before = world.location().await.unwrap().unwrap();
    assert_eq!(before["config"]["checksumAlgorithm"], "");

    world
        .config("s3-config", "checksumAlgorithm=SHA256")
        .await
        .unwrap();
    world.expect_status("active: ").unwrap();
    let changed = world.location().await.unwrap().unwrap();
    assert_eq!(changed["config"]["checksumAlgorithm"], "SHA256");

    world.config("s3-config", "profile=other").await.unwrap();
    world
        .expect_in_status("blocked: ", &["`s3-config` has `profile`"])
        .unwrap();
    assert_eq!(
        world.location().await.unwrap().unwrap(),
        changed,
        "what worked is touched"
    );

    world.reset(&["s3-config"]).await.unwrap();
    world.expect_status("active: ").unwrap();
    assert_eq!(world.location().await.unwrap().unwrap(), before);
}
