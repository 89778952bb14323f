//! Locations: whose is the default, what Velero says in words of its own, and what it says nothing of.

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube_stack::{DEADLINE, until};
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};
use worlds::plane::{LightWorld, Plane, Verdict};

use super::written_by_a_quiet_hook;
use crate::{here, node_in_amazon, writes};

const KIND: &str = "backupstoragelocations.velero.io";
/// Velero's cache is behind for as long, which is enough for a hook to take the first word for the last.
const LAG: Duration = Duration::from_secs(1);
const STAYS: &str = "Backups go to location `theirs` unless they name another";

async fn default_of(world: &LightWorld, name: &str) -> Option<bool> {
    let location = world.velero_object("BackupStorageLocation", name).await;
    location.unwrap().unwrap().data["spec"]["default"].as_bool()
}

async fn patch(world: &LightWorld, name: &str, patch: &Value) {
    let patch = patch.to_string();
    here(world, &["patch", KIND, name, "--type=merge", "-p", &patch]).await;
}

async fn make_theirs(world: &LightWorld) {
    let theirs = json!({
        "apiVersion": "velero.io/v1", "kind": "BackupStorageLocation",
        "metadata": {"name": "theirs", "namespace": world.namespace},
        "spec": {"provider": "aws", "default": true, "objectStorage": {"bucket": "theirs"}},
    });
    world.apply(&theirs).await.unwrap();
}

#[tokio::test]
async fn a_default_that_a_user_chose_stays() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "two-defaults").await.unwrap();
    assert_eq!(default_of(&world, "default").await, Some(true));

    make_theirs(&world).await;
    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();
    assert_eq!(default_of(&world, "default").await, None);
    assert_eq!(default_of(&world, "theirs").await, Some(true));
    assert_eq!(
        written_by_a_quiet_hook(&mut world).await,
        Vec::<String>::new()
    );
    assert_eq!(world.log().matches(STAYS).count(), 1, "{}", world.log());

    // Another change of ours does not take it back.
    world.offer("path", "elsewhere").await.unwrap();
    world.expect_status("active: ").unwrap();
    assert_eq!(default_of(&world, "default").await, None);
    assert_eq!(default_of(&world, "theirs").await, Some(true));

    patch(&world, "theirs", &json!({"spec": {"default": false}})).await;
    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();
    assert_eq!(default_of(&world, "default").await, Some(true));
    assert_eq!(
        written_by_a_quiet_hook(&mut world).await,
        Vec::<String>::new()
    );

    patch(&world, "theirs", &json!({"spec": {"default": true}})).await;
    world.update_status().await.unwrap();
    assert_eq!(default_of(&world, "default").await, None);
    here(&world, &["delete", KIND, "theirs"]).await;
    world.update_status().await.unwrap();
    assert_eq!(default_of(&world, "default").await, Some(true));
}

/// Velero takes `default` from all but the newest one that has it, before the charm looks.
#[tokio::test]
async fn a_default_that_velero_took_away_is_not_asked_for_again() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "default-taken")
        .await
        .unwrap();
    make_theirs(&world).await;
    patch(&world, "default", &json!({"spec": {"default": null}})).await;

    assert_eq!(
        written_by_a_quiet_hook(&mut world).await,
        Vec::<String>::new()
    );
    world.expect_status("active: ").unwrap();
}

#[tokio::test]
async fn a_default_that_was_there_first_stays() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::deployed(&plane, "default-first").await.unwrap();
    make_theirs(&world).await;

    world.connect().await.unwrap();

    assert_eq!(default_of(&world, "default").await, None);
    assert_eq!(default_of(&world, "theirs").await, Some(true));
}

#[tokio::test]
async fn a_lost_snapshot_location_is_put_back_without_a_verdict() {
    // Nodes are everybody's.
    let plane = Plane::start().await.unwrap();
    let mut world = LightWorld::deployed(&plane, "snapshots").await.unwrap();
    node_in_amazon(&world).await;
    let mut amazon = world.settings();
    let endpoint = "https://s3.amazonaws.com".to_owned();
    amazon.options.insert("endpoint".to_owned(), endpoint);
    world.integrate(amazon).await.unwrap();
    world.expect_status("active: ").unwrap();
    let remarks = world.log().matches("EBS volumes are snapshotted").count();
    assert!(remarks > 0, "{}", world.log());
    let kind = "volumesnapshotlocations.velero.io";
    here(&world, &["delete", kind, "default"]).await;

    // Like Velero, the stand-in gives no verdict on it: a hook that waited for one would take minutes.
    world.update_status().await.unwrap();

    world.expect_status("active: ").unwrap();
    let names = here(&world, &["get", kind, "-o", "name"]).await;
    assert_eq!(names.trim(), "volumesnapshotlocation.velero.io/default");
    let again = world.log().matches("EBS volumes are snapshotted").count();
    assert_eq!(again, remarks, "what was said of the store is said again");
}

#[tokio::test]
async fn labels_of_a_location_are_put_back_without_a_verdict() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "labels").await.unwrap();
    here(&world, &["label", KIND, "default", "component-"]).await;
    let mark = plane.audit().mark().await.unwrap();

    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();
    assert_eq!(
        writes(&world, &mark).await,
        ["patch backupstoragelocations"]
    );
    // Nor does a later hook take it for a location that is still to be judged.
    assert_eq!(
        written_by_a_quiet_hook(&mut world).await,
        Vec::<String>::new()
    );
    world.expect_status("active: ").unwrap();
}

async fn credential(locations: &Api<DynamicObject>) -> String {
    let live = locations.get("default").await.unwrap();
    let name = live.data["spec"]["credential"]["name"].as_str();
    name.unwrap().to_owned()
}

/// What Velero says while its cache lags: the Secret that the location names now is not there yet, and then it is.
async fn look_too_early_and_again(locations: Api<DynamicObject>, old: String) {
    let mut new = old.clone();
    let is_another = async || {
        new = credential(&locations).await;
        new != old
    };
    let what = "the location names another Secret";
    until(what, DEADLINE, is_another).await.unwrap();
    let missed = format!("unable to get key for secret: Secret {new:?} not found");
    // Without a time, as if the change was long enough ago for this to be no verdict on what was there before.
    let looks = [
        ("Unavailable", missed, LAG),
        ("Available", String::new(), Duration::ZERO),
    ];
    for (phase, message, lasts) in looks {
        let said = json!({"phase": phase, "message": message, "lastValidationTime": null});
        let said = Patch::Merge(json!({"status": said}));
        let how = PatchParams::default();
        locations.patch("default", &how, &said).await.unwrap();
        sleep(lasts).await;
    }
}

#[tokio::test]
async fn credential_that_velero_has_yet_to_see_is_waited_for() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "lagging").await.unwrap();
    let bucket = world.bucket.clone();
    world.let_bucket(&bucket, Verdict::Never).await.unwrap();
    let locations = world.velero_objects("BackupStorageLocation");
    let old = credential(&locations).await;

    let velero = look_too_early_and_again(locations, old);
    let (rotated, ()) = tokio::join!(world.offer("secret-key", "another"), velero);

    rotated.unwrap();
    world.expect_status("active: ").unwrap();
}
