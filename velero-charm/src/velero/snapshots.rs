//! What of the cluster Velero can take CSI snapshots of.

use std::collections::BTreeMap;

use k8s_openapi::api::storage::v1::StorageClass;
use kube::{
    ResourceExt as _,
    api::{DynamicObject, ListParams},
};

use crate::cluster::{Cluster, ClusterError, Kind};

/// The feature of Velero that takes them.
pub(crate) const FEATURE: &str = "EnableCSI";

/// Of several classes for one driver Velero takes the one that is marked in one of these ways, or none.
pub(crate) const CHOSEN: &str = "velero.io/csi-volumesnapshot-class";
const DEFAULT: &str = "snapshot.storage.kubernetes.io/is-default-class";

/// StorageClasses by whether Velero finds a VolumeSnapshotClass for their driver.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Snapshots {
    pub(crate) covered: Vec<String>,
    pub(crate) uncovered: Vec<Uncovered>,
}

/// A StorageClass whose volumes cannot be snapshotted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Uncovered {
    pub(crate) class: String,
    pub(crate) driver: String,
    pub(crate) lack: Lack,
}

/// Why Velero finds no VolumeSnapshotClass for a driver.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Lack {
    None,
    /// There are several and none is marked.
    Choice,
}

/// What is there of one driver.
#[derive(Clone, Copy, Debug, Default)]
struct Classes {
    all: usize,
    is_one_marked: bool,
}

impl Snapshots {
    /// Finds out. A cluster without the CRDs is asked for nothing else.
    pub(crate) async fn read(cluster: &Cluster) -> Result<Self, ClusterError> {
        let kind = Kind::custom("snapshot.storage.k8s.io", "v1", "VolumeSnapshotClass");
        let recent = ListParams::default().match_any();
        let classes = cluster.list(&cluster.everywhere(&kind), &recent).await?;
        if classes.is_empty() {
            return Ok(Self::default());
        }
        let storage = cluster.all::<StorageClass>();
        let storage = cluster.list(&storage, &recent).await?;
        Ok(Self::of(&classes, &storage))
    }

    fn of(classes: &[DynamicObject], storage: &[StorageClass]) -> Self {
        let mut by_driver = BTreeMap::<&str, Classes>::new();
        for class in classes {
            let driver = class.data["driver"].as_str().unwrap_or_default();
            let found = by_driver.entry(driver).or_default();
            found.all += 1;
            found.is_one_marked |=
                class.labels().contains_key(CHOSEN) || class.annotations().contains_key(DEFAULT);
        }
        let mut snapshots = Self::default();
        for storage in storage {
            let (class, driver) = (storage.name_any(), storage.provisioner.clone());
            let found = by_driver.get(driver.as_str()).copied().unwrap_or_default();
            let lack = match found {
                Classes { all: 0, .. } => Lack::None,
                Classes { all: 1, .. }
                | Classes {
                    is_one_marked: true,
                    ..
                } => {
                    snapshots.covered.push(class);
                    continue;
                }
                Classes { .. } => Lack::Choice,
            };
            let uncovered = Uncovered {
                class,
                driver,
                lack,
            };
            snapshots.uncovered.push(uncovered);
        }
        snapshots
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn snapshots(classes: &Value) -> Snapshots {
        let classes: Vec<DynamicObject> = serde_json::from_value(classes.clone()).unwrap();
        let storage = json!([
            {"metadata": {"name": "fast"}, "provisioner": "csi.disk"},
            {"metadata": {"name": "local"}, "provisioner": "local-path"},
        ]);
        let storage: Vec<StorageClass> = serde_json::from_value(storage).unwrap();
        Snapshots::of(&classes, &storage)
    }

    fn class(driver: &str, metadata: &Value) -> Value {
        json!({
            "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotClass",
            "metadata": metadata, "driver": driver,
        })
    }

    #[test]
    fn class_is_found_as_velero_finds_it() {
        let plain = || class("csi.disk", &json!({"name": "a"}));
        let labelled = || {
            class(
                "csi.disk",
                &json!({"name": "b", "labels": {CHOSEN: "true"}}),
            )
        };
        let default = || {
            class(
                "csi.disk",
                &json!({"name": "c", "annotations": {DEFAULT: "true"}}),
            )
        };
        let other = || class("csi.tape", &json!({"name": "d"}));
        for covering in [
            json!([plain()]),
            json!([plain(), other()]),
            json!([plain(), labelled()]),
            json!([default(), plain()]),
        ] {
            assert_eq!(snapshots(&covering).covered, ["fast"], "{covering}");
        }
        for (lacking, lack) in [
            (json!([other()]), Lack::None),
            (json!([plain(), plain()]), Lack::Choice),
        ] {
            let found = snapshots(&lacking);
            assert_eq!(found.covered, Vec::<String>::new());
            assert_eq!(found.uncovered[0].lack, lack);
        }
        let local = &snapshots(&json!([plain()])).uncovered[0];
        assert_eq!((local.class.as_str(), local.lack), ("local", Lack::None));
    }
}
