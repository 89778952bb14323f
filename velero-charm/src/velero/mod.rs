//! Velero: its CLI, its objects, and what they are called.
//!
//! **Invariant:** what is Velero's own (names, kinds, labels, phases) stands here once; what the
//! charm decides about it stands elsewhere.

pub(crate) mod cli;
pub(crate) mod companion;
pub(crate) mod definitions;
pub(crate) mod location;
pub(crate) mod server;
pub(crate) mod work;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Secret;
use kube::{ResourceExt, api::ApiResource};

use crate::cluster::{owned, resource};

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

/// Selects the server's pods.
pub(crate) const SERVER_PODS: &str = "deploy=velero";
/// Selects the node agent's pods.
pub(crate) const NODE_AGENT_PODS: &str = "name=node-agent";
/// Selects what Velero's own manifests make, the CRDs among it.
pub(crate) const COMPONENT: &str = "component=velero";
/// Names the location that an object belongs to.
pub(crate) const LOCATION_LABEL: &str = "velero.io/storage-location";

/// Juju leaves alone what carries this: the CRDs serve every Velero of the cluster.
pub(crate) const UNSWEPT: (&str, &str) = ("model.juju.is/disable-webhook", "true");
/// What Juju has put on CRDs that were made without it, and sweeps by: all of the cluster's backups would
/// go with one application.
pub(crate) const SWEPT_BY: [&str; 4] = [
    "app.juju.is/created-by",
    "app.kubernetes.io/managed-by",
    "model.juju.is/id",
    "model.juju.is/name",
];
/// On CRDs: the Velero that they were made for.
pub(crate) const CRD_VERSION: &str = "velero-operator/velero-version";

/// The group of its kinds.
const GROUP: &str = "velero.io";

/// The Secret with the password of the volumes' files in the store. Velero makes it if it is not there.
pub(crate) const REPOSITORY_PASSWORD: &str = "velero-repo-credentials";

/// It holds what Velero puts there by itself, which is the same everywhere.
pub(crate) fn is_built_in_password(secret: &Secret) -> bool {
    let password = secret
        .data
        .as_ref()
        .and_then(|data| data.get("repository-password"));
    password.is_some_and(|password| password.0 == b"static-passw0rd")
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

/// The names of the bundled Velero's CRDs. Others of the group are somebody else's: older Veleros had
/// more kinds, and later ones will.
pub(crate) fn definition_names() -> BTreeSet<String> {
    let plurals = CUSTOM_RESOURCES.iter().map(|(_, name)| kind(name).plural);
    plurals.map(|plural| format!("{plural}.{GROUP}")).collect()
}

/// Whose an object is: the application, in the model, that made it.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) application: String,
    pub(crate) model_uuid: String,
}

impl Owner {
    const APPLICATION: &str = "velero-operator/application";
    const MODEL: &str = "velero-operator/model";

    /// The labels that everything of ours carries.
    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        let pairs = [
            (Self::APPLICATION, &self.application),
            (Self::MODEL, &self.model_uuid),
        ];
        pairs
            .map(|(key, value)| (key.to_owned(), value.clone()))
            .into()
    }

    /// Selects everything of ours.
    pub(crate) fn selector(&self) -> String {
        format!(
            "{}={},{}={}",
            Self::APPLICATION,
            self.application,
            Self::MODEL,
            self.model_uuid
        )
    }

    /// Selects what any application of this charm has made.
    pub(crate) const ANY: &str = Self::APPLICATION;

    /// The application whose label the object carries.
    pub(crate) fn labelled_by(object: &impl ResourceExt) -> Option<&str> {
        object.labels().get(Self::APPLICATION).map(String::as_str)
    }

    /// The object is ours: by its label, or it has lost that and we have applied it.
    pub(crate) fn made(&self, object: &impl ResourceExt) -> bool {
        let entries = object.meta().managed_fields.as_ref();
        self.owns(object)
            || (Self::labelled_by(object).is_none() && owned::our_entry(entries).is_some())
    }

    /// The object carries our label.
    pub(crate) fn owns(&self, object: &impl ResourceExt) -> bool {
        self.labels()
            .iter()
            .all(|(key, value)| object.labels().get(key) == Some(value))
    }
}

/// A kind of Velero's.
pub(crate) fn kind(kind: &str) -> ApiResource {
    let version = CUSTOM_RESOURCES
        .iter()
        .find_map(|(version, name)| (*name == kind).then_some(*version))
        .unwrap_or("v1");
    resource(GROUP, version, kind)
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

/// What we call it: cluster-wide, hence the model in it.
pub(crate) fn role_binding(namespace: &str, owner: &Owner) -> String {
    format!("{}-{}", plain_role_binding(namespace), owner.model_uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_named_as_velero_names_them() {
        let names = definition_names();
        assert_eq!(names.len(), CUSTOM_RESOURCES.len());
        assert!(names.contains("backuprepositories.velero.io"));
        assert!(!names.contains("resticrepositories.velero.io"));
    }

    #[test]
    fn role_binding_cannot_meet_one_of_helm() {
        let owner = Owner {
            application: "velero".into(),
            model_uuid: "m".into(),
        };
        assert_eq!(role_binding("server", &owner), "velero-server-m");
        assert_eq!(role_binding("velero", &owner), "velero-m");
    }
}
