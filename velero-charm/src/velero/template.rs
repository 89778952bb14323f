//! What Backups are to hold, as a Schedule's template or a Backup's spec says it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{LOCATION, install::VolumeBackups};

const PODS: [&str; 3] = ["pods", "pod", "po"];
const CLAIMS: [&str; 3] = ["persistentvolumeclaims", "persistentvolumeclaim", "pvc"];
const VOLUMES: [&str; 3] = ["persistentvolumes", "persistentvolume", "pv"];

/// What a Backup is to hold, and for how long. An empty list leaves nothing out.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Template {
    pub(crate) included_namespaces: Vec<String>,
    pub(crate) excluded_namespaces: Vec<String>,
    pub(crate) included_resources: Vec<String>,
    pub(crate) excluded_resources: Vec<String>,
    pub(crate) cluster_resources: Option<bool>,
    /// Only what carries all of these.
    pub(crate) labels: BTreeMap<String, String>,
    /// In Go's words.
    pub(crate) ttl: Option<String>,
}

/// Where Backups go, and how volumes get into them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Saving {
    pub(crate) snapshot_location: Option<&'static str>,
    pub(crate) volume_backups: VolumeBackups,
}

impl Template {
    /// The spec of a Backup that goes to our location.
    pub(crate) fn spec(&self, saving: Saving) -> Value {
        let mut spec = json!({
            "storageLocation": LOCATION,
            "defaultVolumesToFsBackup": saving.volume_backups == VolumeBackups::FileSystem,
        });
        if let Some(location) = saving.snapshot_location {
            spec["volumeSnapshotLocations"] = json!([location]);
        }
        for (field, list) in [
            ("includedNamespaces", &self.included_namespaces),
            ("excludedNamespaces", &self.excluded_namespaces),
            ("includedResources", &self.included_resources),
            ("excludedResources", &self.excluded_resources),
        ] {
            if !list.is_empty() {
                spec[field] = json!(list);
            }
        }
        if let Some(included) = self.cluster_resources {
            spec["includeClusterResources"] = json!(included);
        }
        if !self.labels.is_empty() {
            spec["labelSelector"] = json!({"matchLabels": self.labels});
        }
        if let Some(ttl) = &self.ttl {
            spec["ttl"] = json!(ttl);
        }
        spec
    }

    /// Why Backups of this hold no data of volumes where only the node agent saves it, though volumes are asked for.
    /// The agent reads files through pods, and only while a Backup handles these.
    pub(crate) fn lack(&self) -> Option<&'static str> {
        let (pods, claims) = (self.takes(&PODS), self.takes(&CLAIMS));
        if !pods && (claims || self.takes(&VOLUMES)) {
            Some("they leave out `pods`, through which the node agent reads files")
        } else if pods && !claims {
            Some("they leave out `persistentvolumeclaims`, to which files are restored")
        } else {
            None
        }
    }

    /// Resources of one of these names are in it.
    fn takes(&self, names: &[&str]) -> bool {
        let has = |list: &[String]| {
            let is_named = |resource: &String| names.contains(&resource.to_lowercase().as_str());
            list.iter()
                .any(|resource| resource == "*" || is_named(resource))
        };
        let included = &self.included_resources;
        (included.is_empty() || has(included)) && !has(&self.excluded_resources)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(included: &[&str], excluded: &[&str]) -> Template {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Template {
            included_resources: owned(included),
            excluded_resources: owned(excluded),
            ..Template::default()
        }
    }

    #[test]
    fn lack_is_told_of_specs_that_ask_for_volumes() {
        let lacks = |included: &[&str], excluded: &[&str]| with(included, excluded).lack();

        // minio, mlmd; the namespaces of Kubeflow's users; the infrastructure of a cluster.
        assert!(lacks(&["persistentvolumeclaims", "persistentvolumes"], &[]).is_some());
        assert!(lacks(&[], &["Pods", "jobs"]).is_some());
        assert!(lacks(&[], &["pvc"]).is_some());
        assert_eq!(lacks(&["profiles.kubeflow.org"], &[]), None);
        assert_eq!(lacks(&[], &["pods", "pvc", "persistentvolumes"]), None);
        assert_eq!(lacks(&["*"], &[]), None);
        assert_eq!(lacks(&[], &[]), None);
    }

    #[test]
    fn spec_says_nothing_that_was_not_asked_for() {
        let saving = Saving {
            snapshot_location: None,
            volume_backups: VolumeBackups::Snapshot,
        };
        assert_eq!(
            Template::default().spec(saving),
            json!({"storageLocation": "default", "defaultVolumesToFsBackup": false})
        );
    }
}
