//! Restores that Velero works on, and what they are from.

use kube::api::ListParams;
use serde::Deserialize;

use super::{
    job::{Metadata, Status},
    kind,
};
use crate::cluster::{Cluster, ClusterError};

/// A Restore that has not ended.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Unfinished {
    pub(crate) metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    backup_name: String,
    /// Velero takes its newest Backup, and has not said yet which that is.
    schedule_name: String,
}

/// All of them.
pub(crate) async fn unfinished(cluster: &Cluster) -> Result<Vec<Unfinished>, ClusterError> {
    let those = |one: Unfinished| (!one.status.has_ended()).then_some(one);
    cluster
        .glean(&kind("Restore"), ListParams::default(), those)
        .await
}

impl Unfinished {
    pub(crate) fn is_from(&self, backup: &str) -> bool {
        self.spec.backup_name == backup
    }

    /// It is from a Backup of this Schedule, and nothing tells from which.
    pub(crate) fn is_from_any_of(&self, schedule: &str) -> bool {
        self.spec.backup_name.is_empty() && self.spec.schedule_name == schedule
    }
}
