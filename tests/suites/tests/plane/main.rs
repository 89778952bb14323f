//! The charm on a real control plane, where kubelet and Velero are played: every promise that needs no pod.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    reason = "a test may stop at the first surprise, and shows what it has seen"
)]

mod actions;
mod alone;
mod azure;
mod bad_input;
mod binary;
mod charm;
mod crash;
mod documents;
mod dotenv;
mod equal_worlds;
mod fault;
mod foreign;
mod guide;
mod health;
mod juju;
mod neutral;
mod past;
mod property;
mod proxy;
mod recordings;
mod secrets;
mod status;
mod stores;
mod tools;
mod units;
mod upkeep;

use worlds::plane::LightWorld;

/// kubectl in the world's namespace.
async fn here(world: &LightWorld, arguments: &[&str]) -> String {
    let namespace = ["-n", &world.namespace];
    world
        .kubectl(&[&namespace[..], arguments].concat())
        .await
        .unwrap()
}
