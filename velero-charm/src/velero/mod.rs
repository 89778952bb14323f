//! Velero: its CLI, its objects, and what they are called.
//!
//! **Invariant:** nothing here knows what this charm makes of it (`floors.rs`).

pub(crate) mod cli;
pub(crate) mod companion;
pub(crate) mod cron;
pub(crate) mod definitions;
pub(crate) mod deletion;
pub(crate) mod document;
pub(crate) mod duration;
pub(crate) mod install;
pub(crate) mod job;
pub(crate) mod location;
pub(crate) mod restore;
pub(crate) mod running;
pub(crate) mod schedule;
pub(crate) mod server;
pub(crate) mod settings;
pub(crate) mod snapshots;
pub(crate) mod template;
pub(crate) mod version;
pub(crate) mod work;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;

use crate::cluster::Kind;

/// The version of the CLI in the charm, and so of the CRDs and manifests.
pub(crate) const BUNDLED: &str = "1.18.3";
/// The server image of that version.
pub(crate) const DEFAULT_IMAGE: &str = "velero/velero:v1.18.3";

/// The server's Deployment, its container and the ServiceAccount of everything.
pub(crate) const SERVER: &str = "velero";
/// The node agent's DaemonSet and its container.
pub(crate) const NODE_AGENT: &str = "node-agent";
/// The location that backups go to unless they say otherwise.
pub(crate) const LOCATION: &str = "default";

/// Where server and node agents show their metrics.
pub(crate) const METRICS_PORT: u16 = 8085;

/// Selects the server's pods.
pub(crate) const SERVER_PODS: &str = "deploy=velero";
/// Selects the node agent's pods.
pub(crate) const NODE_AGENT_PODS: &str = "name=node-agent";
/// Selects what Velero's own manifests make, the CRDs among it.
pub(crate) const COMPONENT: &str = "component=velero";
/// Names the location that an object belongs to.
pub(crate) const LOCATION_LABEL: &str = "velero.io/storage-location";

/// The group of its kinds.
const GROUP: &str = "velero.io";

/// The Secret with the password of the volumes' files in the store. Velero makes it if it is not there.
pub(crate) const REPOSITORY_PASSWORD: &str = "velero-repo-credentials";

/// The key in it.
pub(crate) const REPOSITORY_PASSWORD_KEY: &str = "repository-password";

pub(crate) fn repository_password(secret: &Secret) -> Option<&[u8]> {
    let password = secret.data.as_ref()?.get(REPOSITORY_PASSWORD_KEY)?;
    Some(&password.0)
}

/// It holds what Velero puts there on its own, which is the same everywhere.
pub(crate) fn is_built_in_password(secret: &Secret) -> bool {
    repository_password(secret) == Some(b"static-passw0rd")
}

/// Velero's custom resources that live in a namespace, as `(version, kind)`.
pub(crate) const CUSTOM_RESOURCES: [(&str, &str); 13] = [
    ("v1", "Schedule"),
    ("v1", "BackupStorageLocation"),
    ("v1", "VolumeSnapshotLocation"),
    ("v1", "Restore"),
    ("v1", "Backup"),
    ("v1", "BackupRepository"),
    ("v1", "DeleteBackupRequest"),
    ("v1", "DownloadRequest"),
    ("v1", "PodVolumeBackup"),
    ("v1", "PodVolumeRestore"),
    ("v1", "ServerStatusRequest"),
    ("v2alpha1", "DataDownload"),
    ("v2alpha1", "DataUpload"),
];

/// The bundled Velero's CRDs: their names, and the kinds that they define. Others of the group are somebody
/// else's: older Veleros had more kinds, and later ones will.
pub(crate) fn definition_names() -> BTreeMap<String, &'static str> {
    let kinds = CUSTOM_RESOURCES.iter().map(|(_, name)| *name);
    kinds
        .map(|name| (format!("{}.{GROUP}", kind(name).plural), name))
        .collect()
}

/// The kind that one of them defines, in a version that need not be ours.
pub(crate) fn kind_defined_by(definition: &str, version: &str) -> Option<Kind> {
    let kind = *definition_names().get(definition)?;
    Some(Kind::custom(GROUP, version, kind))
}

/// A kind of Velero's.
pub(crate) fn kind(kind: &str) -> Kind {
    let version = CUSTOM_RESOURCES
        .iter()
        .find_map(|(version, name)| (*name == kind).then_some(*version))
        .unwrap_or("v1");
    Kind::custom(GROUP, version, kind)
}

/// What Velero's CLI calls the binding that makes the server an administrator. Others may have one of that
/// name: Helm's is `velero-server`, and so would be that of a model `server`.
pub(crate) fn plain_role_binding(namespace: &str) -> String {
    if namespace == SERVER {
        SERVER.into()
    } else {
        format!("{SERVER}-{namespace}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_named_as_velero_names_them() {
        let names = definition_names();
        assert_eq!(names.len(), CUSTOM_RESOURCES.len());
        assert!(names.contains_key("backuprepositories.velero.io"));
        assert!(!names.contains_key("resticrepositories.velero.io"));
    }

    #[test]
    fn definitions_are_named_in_the_command_that_deletes_them() {
        let page = include_str!("../../../docs/reference/what-stays-behind.md");
        let command = page.split_once("kubectl delete crd ").unwrap().1;
        let command = command.split_once('`').unwrap().0;
        let named: Vec<_> = command.split_whitespace().collect();
        assert!(named.iter().copied().eq(definition_names().keys()));
    }
}
