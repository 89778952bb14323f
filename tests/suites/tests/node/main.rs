//! The charm on a real node: real Velero, a real store, real failures.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a test may stop at the first surprise, and shows what it has seen"
)]

mod half_node;
mod stack;
mod whole_node;

use juju_emulator::ActionOutcome;
use serde_json::{Map, Value};
use worlds::operator::UNIT;
use worlds::world::World;

async fn run_with(world: &mut World, action: &str, params: Value) -> ActionOutcome {
    let params: Map<String, Value> = serde_json::from_value(params).unwrap();
    world.juju.run_action(UNIT, action, &params).await.unwrap()
}

/// `verb resource` of each write of the charm since a mark.
async fn writes(world: &World, mark: &kube_stack::Mark) -> Vec<String> {
    let (user, audit) = (world.charm_user(), world.stack.audit());
    audit.writes_of_in_short(&user, mark).await.unwrap()
}

/// The name of the server's pod.
async fn server_pod(world: &World) -> String {
    let get = ["get", "pods", "-l", "deploy=velero", "-o", "name"];
    kubectl(world, &get).await
}

/// kubectl in the world's namespace.
async fn kubectl(world: &World, arguments: &[&str]) -> String {
    let here = ["-n", &world.namespace];
    world
        .kubectl(&[&here[..], arguments].concat())
        .await
        .unwrap()
}
