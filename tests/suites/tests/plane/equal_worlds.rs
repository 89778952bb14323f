//! The plane itself: what starts there runs, equal worlds look equal, and one that has ended costs the others nothing.

use std::time::Instant;

use juju_emulator::DeployOptions;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use worlds::kubectl::TIMEOUT;
use worlds::operator;
use worlds::plane::{LightWorld, Plane};

/// A world from nothing to active, with the time that each step took.
async fn connected(plane: &Plane, name: &str) -> LightWorld {
    let begun = Instant::now();
    let mut world = plane.world(name).await.unwrap();
    let opened = begun.elapsed();
    let begun = Instant::now();
    world.deploy(DeployOptions::trusted()).await.unwrap();
    let deployed = begun.elapsed();
    let begun = Instant::now();
    world.connect().await.unwrap();
    let connected = begun.elapsed();
    println!("{name}: open {opened:?}, deploy {deployed:?}, connect {connected:?}");
    world
}

#[tokio::test]
async fn worlds_in_which_the_same_was_done_look_the_same() {
    operator::program().await.unwrap();
    let plane = Plane::start().await.unwrap();
    println!("plane: {:?}", plane.took());
    let one = connected(&plane, "one").await;
    let two = connected(&plane, "two").await;
    let dump = two.dump().await.unwrap();
    assert_eq!(one.dump().await.unwrap(), dump);

    let others = Patch::Merge(json!({"metadata": {"annotations": {"by": "somebody else"}}}));
    let deployments: Api<Deployment> = Api::namespaced(two.client(), &two.namespace);
    let how = PatchParams::default();
    deployments.patch("velero", &how, &others).await.unwrap();
    assert_ne!(two.dump().await.unwrap(), dump, "an edit does not show");
}

#[tokio::test]
async fn policy_of_a_world_that_has_ended_goes() {
    let plane = Plane::shared().await.unwrap();
    let kubectl = plane.kubectl();
    let world = plane.world("over").await.unwrap();
    let policies = ["policies", "policybindings"].map(|plural| {
        let name = &world.namespace;
        format!("mutatingadmission{plural}/juju-model-admission-{name}")
    });
    for policy in &policies {
        kubectl.run(&["get", policy]).await.unwrap();
    }
    drop(world);
    for policy in &policies {
        let gone = ["wait", "--for=delete", policy, TIMEOUT];
        kubectl.run(&gone).await.unwrap();
    }
}
