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
mod amazon;
mod azure;
mod bad_input;
mod binary;
mod bundle;
mod charm;
mod clients;
mod crash;
mod documents;
mod dotenv;
mod equal_worlds;
mod fault;
mod foreign;
mod gcs;
mod guide;
mod health;
mod identity;
mod integrators;
mod juju;
mod keep;
mod many;
mod neutral;
mod observers;
mod options;
mod pages;
mod papers;
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

use std::fs;
use std::path::{Path, PathBuf};

use kube_stack::Mark;
use serde_json::{Value, json};
use worlds::plane::LightWorld;

/// `verb resource` of each write of the charm since a mark.
async fn writes(world: &LightWorld, mark: &Mark) -> Vec<String> {
    let (user, audit) = (world.charm_user(), world.plane().audit());
    audit.writes_of_in_short(&user, mark).await.unwrap()
}

/// kubectl in the world's namespace.
async fn here(world: &LightWorld, arguments: &[&str]) -> String {
    let namespace = ["-n", &world.namespace];
    world
        .kubectl(&[&namespace[..], arguments].concat())
        .await
        .unwrap()
}

/// Says what the controller or kubelet of an object would say of it.
async fn patch_status(world: &LightWorld, object: &str, status: &Value) {
    let patch = json!({"status": status}).to_string();
    let patch = ["patch", object, "--subresource=status", "-p", &patch];
    here(world, &patch).await;
}

/// A node for its provider id, which everybody on the plane sees. Nothing runs on it.
async fn node_in_amazon(world: &LightWorld) {
    let node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "instance"},
        "spec": {"providerID": "aws:///eu-central-1a/i-0abc", "unschedulable": true},
    });
    world.apply(&node).await.unwrap();
}

/// The files below a folder, without hidden ones and what was built.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !path.is_dir() {
            found.push(path);
        } else if !name.starts_with('.') && name != "target" {
            found.extend(files(&path));
        }
    }
    found
}
