//! Stores and integrators, good and bad.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpListener;
use worlds::foreign_charms;
use worlds::operator::APP;
use worlds::store::Store;
use worlds::world::{HalfNode, World};

use super::kubectl;

/// What an integrator may offer wrongly, and what the status says then.
pub(super) struct Fault {
    option: &'static str,
    wrong: String,
    right: String,
    reason: [&'static str; 2],
}

impl Fault {
    pub(super) fn new(
        option: &'static str,
        wrong: &str,
        right: &str,
        reason: [&'static str; 2],
    ) -> Self {
        let (wrong, right) = (wrong.to_owned(), right.to_owned());
        Self {
            option,
            wrong,
            right,
            reason,
        }
    }
}

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

pub(super) fn dead(world: &World) -> String {
    format!("http://{}:1", world.stack.host_ip())
}

pub(super) async fn explained_and_healed(world: &mut World, store: &Store, faults: &[Fault]) {
    let integrator = store.integrator();
    let offer = async |world: &mut World, option: &str, value: &str| {
        world.juju.config(integrator, &[(option, value)]).unwrap();
        world.settle().await.unwrap();
    };
    let bucket = world.bucket.clone();
    store.deploy_integrator(&mut world.juju, &bucket).unwrap();
    let first = &faults[0];
    offer(world, first.option, &first.wrong).await;
    world.juju.integrate(APP, integrator).unwrap();
    for fault in faults {
        offer(world, fault.option, &fault.wrong).await;
        world.expect_in_status("blocked: ", &fault.reason).unwrap();
        let status = world.status();
        // An id of the request or a time would make it differ at every try.
        assert!(!status.to_lowercase().contains("requestid"), "{status}");
        if fault.option.ends_with("key") {
            assert!(!status.contains(&fault.wrong), "{status}");
        }
        offer(world, fault.option, &fault.right).await;
        world.expect_status("active: ").unwrap();
    }
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

/// The other end is not ours: a charm on `ops`, with the library that the real integrators use.
#[tokio::test]
async fn the_integrators_own_library_connects_us() {
    let mut world = HalfNode::deployed("real-library").await.unwrap();
    let settings = world.settings();
    let provider = "object-storage";
    foreign_charms::deploy_s3_provider(&mut world.juju, provider, &settings)
        .await
        .unwrap();
    world.juju.settle().await.unwrap();

    world
        .juju
        .integrate(APP, "object-storage:s3-credentials")
        .unwrap();
    world.juju.settle().await.unwrap();
    world.expect_status("active: ").unwrap();
    let spec = world.location().await.unwrap().unwrap();
    assert_eq!(spec["objectStorage"]["bucket"], json!(world.bucket));

    for (key, status) in [
        ("wrong", "blocked: correct the secret key"),
        (settings.secret_key.as_str(), "active: "),
    ] {
        world.juju.config(provider, &[("secret-key", key)]).unwrap();
        world.juju.settle().await.unwrap();
        world.expect_in_status(status, &[]).unwrap();
    }
}
