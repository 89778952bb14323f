//! What providers may ask to know of the cluster.
//!
//! **Invariant:** of a node nothing is kept but its spec.

use std::time::SystemTime;

use k8s_openapi::api::core::v1::{Node, NodeSpec};
use kube::api::ListParams;
use provider_api::{Fact, Facts};

use crate::cluster::{Cluster, ClusterError};

/// Finds out what is wanted.
pub(crate) async fn read(
    cluster: &Cluster,
    wanted: impl Iterator<Item = Fact>,
) -> Result<Facts, ClusterError> {
    let mut facts = Facts::default();
    for fact in wanted {
        match fact {
            Fact::ProviderIds => facts.provider_ids = provider_ids(cluster).await?,
            Fact::Now => facts.now = Some(SystemTime::now()),
        }
    }
    Ok(facts)
}

async fn provider_ids(cluster: &Cluster) -> Result<Vec<String>, ClusterError> {
    // Any state of the last minutes will do, so the API server may answer from its cache.
    let parameters = ListParams::default().match_any();
    let nodes = cluster.specs::<Node, NodeSpec>();
    let nodes = cluster.list(&nodes, &parameters).await?;
    let ids = nodes.into_iter().map(|node| node.spec.provider_id);
    Ok(ids.flatten().collect())
}
