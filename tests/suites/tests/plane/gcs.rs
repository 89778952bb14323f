//! A store of Google Cloud Storage, from the first word to the last; and what of a key may be shown.

use juju_emulator::{GcsRelease, GcsSettings};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};
use worlds::operator::{APP, GCS};
use worlds::plane::{LightWorld, Plane, StoreKind, Verdict};
use worlds::stores::no_store;

const NODE: &str = "gce://shop-project/europe-west1-b/vm";

/// The line of a key's PEM that nobody may see.
fn secret_line(key: &str) -> String {
    let key: Value = serde_json::from_str(key).unwrap();
    let pem = key["private_key"].as_str().unwrap();
    pem.lines().nth(1).unwrap().to_owned()
}

async fn deployed(plane: &Plane, name: &str, release: GcsRelease) -> (LightWorld, String) {
    let mut world = LightWorld::deployed(plane, name).await.unwrap();
    let key = StoreKind::Gcs.secret_key(&world);
    let settings = GcsSettings::of_bucket(&world.bucket, &key);
    let juju = &mut world.juju;
    juju.deploy_gcs_integrator(GCS, settings, release).unwrap();
    (world, key)
}

async fn connected(plane: &Plane, name: &str) -> (LightWorld, String) {
    let (mut world, key) = deployed(plane, name, GcsRelease::Library).await;
    world.juju.integrate(APP, GCS).unwrap();
    world.settle().await.unwrap();
    world.expect_status("active: ").unwrap();
    (world, key)
}

/// The credential files that there are.
pub(crate) async fn files(world: &LightWorld) -> Vec<String> {
    let secrets: Api<Secret> = Api::namespaced(world.client(), &world.namespace);
    let role = ListParams::default().labels("velero-operator/role=storage-credential");
    let secrets = secrets.list(&role).await.unwrap().items;
    let files = secrets
        .into_iter()
        .filter_map(|secret| Some(secret.data?.get("cloud")?.0.clone()));
    files.map(|file| String::from_utf8(file).unwrap()).collect()
}

#[tokio::test]
async fn bucket_is_connected_and_given_back() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::deployed(&plane, "gcs").await.unwrap();
    let key = StoreKind::Gcs.secret_key(&world);
    let keyless = GcsSettings::of_bucket(&world.bucket, "");
    let juju = &mut world.juju;
    juju.deploy_gcs_integrator(GCS, keyless, GcsRelease::Library)
        .unwrap();
    juju.integrate(APP, GCS).unwrap();
    world.settle().await.unwrap();
    world
        .expect_in_status("waiting: ", &["`gcs-integrator`"])
        .unwrap();

    let settings = [("secret-key", key.as_str())];
    world.juju.config(GCS, &settings).unwrap();
    world.settle().await.unwrap();
    world.expect_status("active: ").unwrap();
    let location = world.location().await.unwrap().unwrap();
    assert_eq!(location["provider"], "gcp");
    assert_eq!(location["objectStorage"], json!({"bucket": world.bucket}));
    assert_eq!(files(&world).await, [key.as_str()], "to the byte");

    let wrong = [
        ("bucket", "Backups"),
        ("secret-key", "{\"type\": \"external_account\"}"),
    ];
    world.juju.config(GCS, &wrong).unwrap();
    world.settle().await.unwrap();
    let both = [
        "`gcs-integrator`",
        "`bucket` has more in it",
        "`external_account`",
    ];
    world.expect_in_status("blocked: ", &both).unwrap();
    let kept = world.location().await.unwrap().unwrap();
    assert_eq!(kept, location, "what worked is touched");
    assert_eq!(files(&world).await, [key.as_str()]);

    world.juju.remove_relation(APP, GCS).unwrap();
    world.settle().await.unwrap();
    world.expect_status(&no_store()).unwrap();
    assert_eq!(files(&world).await, [""; 0]);
    assert!(!world.everything_said().contains(&secret_line(&key)));
}

#[tokio::test]
async fn user_s_bucket_is_used_with_either_release() {
    let plane = Plane::shared().await.unwrap();
    for (name, release) in [
        ("gcs-library", GcsRelease::Library),
        ("gcs-unversioned", GcsRelease::Unversioned),
    ] {
        let (mut world, key) = deployed(&plane, name, release).await;
        let id = world.juju.integrate(APP, GCS).unwrap();
        world.settle().await.unwrap();

        world.expect_status("active: ").unwrap();
        let said = &world.juju.model().relations[&id]
            .local(APP)
            .unwrap()
            .bag
            .data;
        assert!(!said.contains_key("bucket"), "{said:?}");
        let location = world.location().await.unwrap().unwrap();
        assert_eq!(location["objectStorage"]["bucket"], world.bucket);
        assert_eq!(files(&world).await, [key]);
    }
}

#[tokio::test]
async fn line_of_a_key_is_redacted_wherever_it_stands() {
    let plane = Plane::shared().await.unwrap();
    let (mut world, key) = connected(&plane, "gcs-redacted").await;
    let line = secret_line(&key);
    let verdict = Verdict::Unavailable(format!("the key has {line} in it"));
    let bucket = world.bucket.clone();
    world.let_bucket(&bucket, verdict).await.unwrap();
    world.update_status().await.unwrap();

    world
        .expect_in_status("blocked: ", &["the key has *** in it"])
        .unwrap();
    assert!(!world.everything_said().contains(&line));
}

#[tokio::test]
async fn snapshots_are_for_nodes_in_google_cloud() {
    // Its node would count for every other world.
    let plane = Plane::start().await.unwrap();
    let (mut world, _) = connected(&plane, "gcs-snapshots").await;
    let snapshots = ("VolumeSnapshotLocation", "default");
    let there = world.velero_object(snapshots.0, snapshots.1).await.unwrap();
    assert!(there.is_none(), "no disk is at Google");

    let node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "vm"},
        "spec": {"providerID": NODE, "unschedulable": true},
    });
    world.apply(&node).await.unwrap();
    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();
    let there = world.velero_object(snapshots.0, snapshots.1).await.unwrap();
    let config = &there.unwrap().data["spec"]["config"];
    assert_eq!(*config, json!({"volumeProject": "shop-project"}));
}
