//! What the charm relies on, seen on the real thing: who owns a field, what a generation counts, how
//! soon Velero judges.

use std::time::Instant;

use futures::StreamExt as _;
use kube::api::{DynamicObject, Patch, PatchParams, WatchEvent, WatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use worlds::world::{HalfNode, World};

/// A location in the stack's store, in a bucket that is not there.
fn location(world: &World, more: &Value) -> Value {
    let store = world.stack.s3();
    let mut object = json!({
        "apiVersion": "velero.io/v1", "kind": "BackupStorageLocation",
        "metadata": {"name": "probe", "namespace": world.namespace},
        "spec": {
            "provider": "aws",
            "objectStorage": {"bucket": "nowhere"},
            "config": {"region": store.region, "s3Url": store.endpoint, "s3ForcePathStyle": "true"},
        },
    });
    for (field, value) in more.as_object().unwrap() {
        object["spec"][field] = value.clone();
    }
    object
}

async fn apply(api: &Api<DynamicObject>, object: &Value) -> DynamicObject {
    let parameters = PatchParams::apply("experiment").force();
    api.patch("probe", &parameters, &Patch::Apply(object))
        .await
        .unwrap()
}

/// The probe as soon as Velero has said this of it.
async fn verdict(api: &Api<DynamicObject>, after: &DynamicObject, said: &str) -> DynamicObject {
    let version = after.resource_version().unwrap();
    let only = WatchParams::default().fields("metadata.name=probe");
    let mut events = api.watch(&only, &version).await.unwrap().boxed();
    while let Some(event) = events.next().await {
        let WatchEvent::Modified(object) = event.unwrap() else {
            continue;
        };
        let message = object
            .data
            .pointer("/status/message")
            .and_then(Value::as_str);
        if message.is_some_and(|message| message.contains(said)) {
            return object;
        }
    }
    panic!("the watch ended without a verdict");
}

#[tokio::test]
async fn ownership_and_verdicts_are_as_relied_on() {
    let world = HalfNode::connected("experiments").await.unwrap();
    let api = world.velero_objects("BackupStorageLocation");

    // A field that is left out of an apply goes, if it was ours; one of somebody else's stays.
    let bare = location(&world, &json!({}));
    let full = location(
        &world,
        &json!({"backupSyncPeriod": "1h0m0s", "credential": {"name": "lost", "key": "cloud"}}),
    );
    let created = apply(&api, &full).await;
    let judged = verdict(&api, &created, "Secret \"lost\" not found").await;
    let theirs = json!({"spec": {"validationFrequency": "0s"}});
    let parameters = PatchParams::default();
    api.patch("probe", &parameters, &Patch::Merge(&theirs))
        .await
        .unwrap();
    let applied = apply(&api, &bare).await;
    assert_eq!(applied.data["spec"].get("backupSyncPeriod"), None);
    assert_eq!(applied.data["spec"].get("credential"), None);
    assert_eq!(applied.data["spec"]["validationFrequency"], "0s");

    // The same again writes nothing. Velero may write in between: it judges what has changed.
    let mut versions = vec![applied.resource_version()];
    for _ in 0..3 {
        versions.push(apply(&api, &bare).await.resource_version());
    }
    let mut pairs = versions.windows(2);
    assert!(pairs.any(|pair| pair[0] == pair[1]), "{versions:?}");

    // Velero's verdicts move the generation: a location has no status subresource. So it says nothing
    // about the spec, and the times of managedFields do.
    assert!(judged.metadata.generation > created.metadata.generation);
    let managers = judged.metadata.managed_fields.unwrap();
    let times: Vec<_> = managers
        .iter()
        .filter(|entry| entry.manager.as_deref() == Some("experiment"))
        .filter_map(|entry| entry.time.clone())
        .collect();
    let then = created.metadata.managed_fields.unwrap()[0]
        .time
        .clone()
        .unwrap();
    assert_eq!(
        times,
        [then],
        "Velero's writes do not touch our entry's time"
    );

    // A changed spec is judged at once, without a restart: hence a new Secret name for new content.
    let begun = Instant::now();
    let changed = location(
        &world,
        &json!({"credential": {"name": "none", "key": "cloud"}}),
    );
    let applied = apply(&api, &changed).await;
    verdict(&api, &applied, "Secret \"none\" not found").await;
    let waited = begun.elapsed();
    println!(
        "a changed location was judged after {:.2} s",
        waited.as_secs_f64()
    );
}
