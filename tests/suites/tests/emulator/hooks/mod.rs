//! The emulator, with charms that are small shell scripts: what they are given, in which order
//! they are started, and what becomes of what they ask for. No cluster.

mod actions;
mod commit;
mod dialects;
mod disturbed;
mod given;
mod keys;
mod lifecycle;
mod order;
mod person;
mod relations;
mod secrets;
mod unkind;
mod views;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use juju_emulator::{CharmSource, DeployOptions, HookRun, Juju};
use serde_json::{Map, Value};

const METADATA: &str = r"
name: tiny
summary: a charm in a few lines of shell
description: it does what each test wants
requires:
  s3-credentials: {interface: s3, limit: 1}
  azure-storage-credentials: {interface: azure_storage}
  azure-service-principal-credentials: {interface: azure_service_principal}
  other: {interface: other}
provides:
  offer: {interface: other}
";

const ACTIONS: &str = r"
act:
  params:
    word: {type: string, default: none}
    count: {type: integer}
  additionalProperties: false
";

const CONFIG: &str = r"
options:
  word: {type: string, default: hello}
  number: {type: int}
  key: {type: secret}
";

struct World {
    juju: Juju,
    dir: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let juju = Juju::bootstrap(&dir.path().join("juju"), "m", None)
            .await
            .unwrap();
        Self { juju, dir }
    }

    /// A charm whose `dispatch` is this script.
    fn charm(&self, script: &str) -> CharmSource {
        charm_in(&self.dir.path().join("charm"), script)
    }

    async fn deploy(&mut self, script: &str) -> Vec<HookRun> {
        let charm = self.charm(script);
        self.juju
            .deploy(&charm, "app", DeployOptions::default())
            .await
            .unwrap();
        self.juju.settle().await.unwrap()
    }

    /// Replaces the script of the unit's charm.
    fn script(&self, script: &str) {
        write_script(&self.juju.charm_dir("app/0"), script);
    }

    fn written(&self, name: &str) -> String {
        fs::read_to_string(self.juju.charm_dir("app/0").join(name)).unwrap_or_default()
    }
}

fn charm_in(dir: &Path, script: &str) -> CharmSource {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("metadata.yaml"), METADATA).unwrap();
    fs::write(dir.join("actions.yaml"), ACTIONS).unwrap();
    fs::write(dir.join("config.yaml"), CONFIG).unwrap();
    write_script(dir, script);
    CharmSource::Directory(dir.to_owned())
}

fn write_script(dir: &Path, script: &str) {
    let path = dir.join("dispatch");
    // Another name of the file may be in use elsewhere.
    let _ = fs::remove_file(&path);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn names(runs: &[HookRun]) -> Vec<&str> {
    runs.iter().map(|run| run.hook.as_str()).collect()
}

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}
