//! What Velero is asked to delete: a Backup with all that the store holds of it, and the Restores from it.
//!
//! A request that fails stays for a day, with what Velero says; one that succeeds goes with its Backup, which until then
//! is in phase `Deleting`, however often it fails.

use kube::api::{DynamicObject, ListParams};
use serde::Deserialize;
use serde_json::{from_value, json};

use super::{job::Metadata, kind};
use crate::cluster::{Cluster, ClusterError};

const KIND: &str = "DeleteBackupRequest";
const BACKUP_NAME: &str = "velero.io/backup-name";
/// Names the Backup in an API server that may see others of its name.
pub(crate) const BACKUP_UID: &str = "velero.io/backup-uid";

/// A request, as far as it tells how it is doing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Request {
    metadata: Metadata,
    spec: Spec,
    pub(crate) status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    backup_name: String,
}

/// What Velero says of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Status {
    phase: String,
    errors: Option<Vec<String>>,
}

/// The request to make.
pub(crate) fn request(name: &str, backup: &str, uid: &str, namespace: &str) -> DynamicObject {
    let mut request = DynamicObject::new(name, &kind(KIND)).within(namespace);
    let labels = [(BACKUP_NAME, backup), (BACKUP_UID, uid)];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    request.metadata.labels = Some(labels.into());
    request.data(json!({"spec": {"backupName": backup}}))
}

/// Every request that there is.
pub(crate) async fn requests(cluster: &Cluster) -> Result<Vec<Request>, ClusterError> {
    cluster
        .glean(&kind(KIND), ListParams::default(), Some)
        .await
}

impl Request {
    /// It is for this Backup, and not for an earlier one of its name.
    pub(crate) fn is_for(&self, backup: &str, uid: &str) -> bool {
        let labelled = self.metadata.labels.get(BACKUP_UID);
        self.spec.backup_name == backup && labelled.is_none_or(|label| label == uid)
    }
}

impl Status {
    /// Of a whole object.
    pub(crate) fn of(request: &DynamicObject) -> Self {
        from_value(request.data["status"].clone()).unwrap_or_default()
    }

    /// Velero has yet to do something about it.
    pub(crate) fn is_open(&self) -> bool {
        self.phase != "Processed"
    }

    /// What went wrong.
    pub(crate) fn errors(&self) -> &[String] {
        self.errors.as_deref().unwrap_or_default()
    }
}
