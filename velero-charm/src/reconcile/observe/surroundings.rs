//! What options ask to know of the cluster.

use serde_json::{Map, Value};

use crate::{
    cluster::{Cluster, ClusterError},
    velero::snapshots::Snapshots,
};

/// The option that says whether Velero takes CSI snapshots.
pub(in crate::reconcile) const CSI_SNAPSHOTS: &str = "csi-snapshots";

/// As far as an option that is set asks for it.
#[derive(Clone, Debug, Default)]
pub(in crate::reconcile) struct Surroundings {
    pub(in crate::reconcile) snapshots: Snapshots,
}

impl Surroundings {
    pub(super) async fn read(
        config: &Map<String, Value>,
        cluster: &Cluster,
    ) -> Result<Self, ClusterError> {
        let word = config.get(CSI_SNAPSHOTS).and_then(Value::as_str);
        let snapshots = match word.map(str::trim) {
            Some("false") => Snapshots::default(),
            _ => Snapshots::read(cluster).await?,
        };
        Ok(Self { snapshots })
    }
}
