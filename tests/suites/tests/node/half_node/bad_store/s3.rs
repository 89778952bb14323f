//! A store of S3 that refuses, that is not there, and that says nothing.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpListener;
use worlds::store::Store;
use worlds::world::{HalfNode, World};

use super::{Fault, dead, explained_and_healed};
use crate::kubectl;

#[tokio::test]
async fn a_store_that_does_not_work_is_explained_and_heals() {
    let mut world = HalfNode::deployed("bad-store").await.unwrap();
    let store = world.stack.s3();
    let reason = [
        "SignatureDoesNotMatch",
        "correct the secret key, or `region`, in `s3-integrator`",
    ];
    let key = Fault::new(
        "secret-key",
        "not-the-secret-key",
        &store.secret_key,
        reason,
    );
    let reason = ["NoSuchBucket", "create the bucket or correct `bucket`"];
    let bucket = Fault::new("bucket", "no-such-bucket", &world.bucket, reason);
    let reason = [
        "connection refused",
        "correct `endpoint` in `s3-integrator`",
    ];
    let endpoint = Fault::new("endpoint", &dead(&world), &store.endpoint, reason);
    let faults = [key, bucket, endpoint];
    explained_and_healed(&mut world, &Store::S3(store), &faults).await;
    silence_is_explained_and_heals(&mut world).await;
}

/// A store that takes connections and never answers is reported after two minutes: Velero asks one store after
/// the other, and this one keeps it waiting.
async fn silence_is_explained_and_heals(world: &mut World) {
    let host = world.stack.host_ip();
    let silent = TcpListener::bind((host, 0)).await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let taken = tokio::spawn(async move {
        let mut connections = Vec::new();
        while let Ok(connection) = silent.accept().await {
            connections.push(connection);
        }
    });

    let begun = Instant::now();
    world.offer("endpoint", &endpoint).await.unwrap();

    let message = ["it accepts connections but does not respond"];
    world
        .expect_in_status("blocked: check the object store: ", &message)
        .unwrap();
    let took = begun.elapsed();
    println!("a silent store is told after {:.0} s", took.as_secs_f64());
    assert!(took > Duration::from_mins(1), "too hasty for a slow store");

    let good = json!({
        "apiVersion": "velero.io/v1", "kind": "BackupStorageLocation",
        "metadata": {"name": "theirs", "namespace": world.namespace},
        "spec": world.location().await.unwrap().unwrap(),
    });
    let mut good = good;
    good["spec"]["default"] = json!(false);
    good["spec"]["config"]["s3Url"] = json!(world.settings().options["endpoint"]);
    world.apply(&good).await.unwrap();
    world.update_status().await.unwrap();
    world
        .expect_in_status("blocked: ", &["location `theirs`"])
        .unwrap();

    taken.abort();
    let endpoint = world.settings().options["endpoint"].clone();
    world.offer("endpoint", &endpoint).await.unwrap();
    world.expect_status("active: ").unwrap();
    kubectl(
        world,
        &["delete", "backupstoragelocations.velero.io", "theirs"],
    )
    .await;
}
