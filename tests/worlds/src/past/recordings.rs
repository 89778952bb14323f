//! What older Velero CLIs print.
//!
//! Invariant: a recording is changed in this only: the namespace, and the store of a location.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use juju_emulator::S3Settings;
use kube::api::DynamicObject;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The namespace in the recordings.
const RECORDED: &str = "the-model";

/// A version of Velero of which there are recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// 1.15.2, which the Python charm brings along.
    V1_15,
    /// 1.17.2.
    V1_17,
}

/// What `velero install` was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installation {
    /// The server alone.
    Server,
    /// The node agent too.
    NodeAgent,
    /// The node agent too, and volumes' files are backed up unless a backup says otherwise.
    Files,
}

impl Release {
    /// Its number.
    #[must_use]
    pub const fn version(self) -> &'static str {
        match self {
            Self::V1_15 => "1.15.2",
            Self::V1_17 => "1.17.2",
        }
    }

    /// The image of its server.
    #[must_use]
    pub fn image(self) -> String {
        format!("velero/velero:v{}", self.version())
    }

    /// Its CRDs.
    pub fn definitions(self) -> Result<Vec<DynamicObject>> {
        self.read("definitions", RECORDED)
    }

    /// Everything else that it installs, the Namespace first.
    pub fn objects(self, how: Installation, namespace: &str) -> Result<Vec<DynamicObject>> {
        let file = match how {
            Installation::Server => "install",
            Installation::NodeAgent => "install-with-node-agent",
            Installation::Files => "install-with-files",
        };
        self.read(file, namespace)
    }

    /// The BackupStorageLocation for a store.
    pub fn backup_location(self, store: &S3Settings, namespace: &str) -> Result<DynamicObject> {
        let mut location: DynamicObject = self.read("backup-location", namespace)?;
        let option = |key: &str| store.options.get(key).filter(|text| !text.is_empty());
        let mut config = json!({"region": option("region")});
        if let Some(endpoint) = option("endpoint") {
            config["s3Url"] = json!(endpoint);
        }
        if option("s3-uri-style").is_some_and(|style| style == "path") {
            config["s3ForcePathStyle"] = json!("true");
        }
        let mut bucket = json!({"bucket": option("bucket")});
        if let Some(path) = option("path") {
            bucket["prefix"] = json!(path);
        }
        location.data["spec"]["config"] = config;
        location.data["spec"]["objectStorage"] = bucket;
        Ok(location)
    }

    /// The VolumeSnapshotLocation for a store.
    pub fn snapshot_location(self, store: &S3Settings, namespace: &str) -> Result<DynamicObject> {
        let mut location: DynamicObject = self.read("snapshot-location", namespace)?;
        location.data["spec"]["config"]["region"] = json!(store.options.get("region"));
        Ok(location)
    }

    fn read<T: DeserializeOwned>(self, file: &str, namespace: &str) -> Result<T> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("recordings")
            .join(format!("velero-{}/{file}.json", self.version()));
        let reading = || format!("reading {}", path.display());
        let text = fs::read_to_string(&path).with_context(reading)?;
        serde_json::from_str(&text.replace(RECORDED, namespace)).with_context(reading)
    }
}

/// What the Python charm left, by `Kind/name`, as an API server really had it.
pub fn left_by_the_python_charm() -> Result<Value> {
    Release::V1_15.read("left", RECORDED)
}
