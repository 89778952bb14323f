//! What is in our way. Whose an object is, its labels and field managers tell, never its name.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{ConfigMap, Pod, Secret, ServiceAccount},
};
use kube::{
    Api, Resource, ResourceExt,
    api::{DynamicObject, ListParams},
    core::NamespaceResourceScope,
};

use super::observe::Live;
use crate::{
    cluster::{Cluster, ClusterError, Kind, those},
    ours::Owner,
    stranger::Stranger,
    velero::{self, LOCATION, SERVER, install::NodeAgent, running::Running, server},
};

/// Pods that no controller of Kubernetes' own has made.
const BARE: &str = "!pod-template-hash,!controller-revision-hash,!job-name";

/// Objects under our names that are not ours, of those that each hook reads.
pub(super) fn namesakes(live: &Live, agent: NodeAgent, owner: &Owner) -> Vec<Stranger> {
    fn unless_ours<K: ResourceExt>(
        object: Option<&K>,
        kind: &str,
        owner: &Owner,
    ) -> Option<Stranger> {
        let stranger = object.filter(|object| !owner.made(*object))?;
        Some(Stranger::namesake(stranger, kind))
    }
    let running = &live.running;
    let server = running.server().filter(|server| !owner.made(*server));
    // One that is not asked for is in nobody's way.
    let agents = running.node_agent().filter(|_| agent == NodeAgent::On);
    let snapshots = live.snapshot_locations.iter();
    let snapshots = snapshots.into_iter().find(|one| one.name_any() == LOCATION);
    [
        server.map(|server| Stranger::server(server, "Deployment")),
        unless_ours(agents, "DaemonSet", owner),
        unless_ours(live.account.as_ref(), "ServiceAccount", owner),
        unless_ours(live.record.as_ref(), "ConfigMap", owner),
        unless_ours(running.location(), "BackupStorageLocation", owner),
        unless_ours(snapshots, "VolumeSnapshotLocation", owner),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Servers under other names, of those that each hook reads.
pub(super) fn other_servers(running: &Running) -> Vec<Stranger> {
    let deployments = running
        .servers
        .values()
        .filter(|one| one.name_any() != SERVER);
    let deployments = deployments.map(|one| Stranger::server(one, "Deployment"));
    let pods = running.pods.values().filter(|pod| server::is_pod(pod));
    deployments.chain(pods.filter_map(apart)).collect()
}

/// What controls a server's pod, or the pod itself; nothing if that is a Deployment.
fn apart(pod: &Pod) -> Option<Stranger> {
    let keepers = pod.owner_references().iter();
    match keepers.into_iter().find(|one| one.controller == Some(true)) {
        None => Some(Stranger::server(pod, "Pod")),
        Some(keeper) if keeper.kind == "ReplicaSet" => None,
        Some(keeper) => Some(Stranger::server(pod, "Pod").controlled_by(keeper)),
    }
}

/// Where others are looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scope {
    Namespace,
    Cluster,
}

impl Scope {
    fn api<K>(self, cluster: &Cluster) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match self {
            Self::Namespace => cluster.api(),
            Self::Cluster => cluster.all(),
        }
    }

    fn dynamic(self, kind: &Kind, cluster: &Cluster) -> Api<DynamicObject> {
        match self {
            Self::Namespace => cluster.dynamic(kind),
            Self::Cluster => cluster.everywhere(kind),
        }
    }
}

/// Every server but the one of our name, of whatever kind, and what other applications of this charm have
/// made, whose server may be away.
pub(crate) async fn search(
    scope: Scope,
    cluster: &Cluster,
    owner: &Owner,
) -> Result<Vec<Stranger>, ClusterError> {
    let anywhere = ListParams::default;
    let deployments = scope.api::<Deployment>(cluster);
    let deployments = cluster
        .sift(&deployments, anywhere(), those(server::is_deployment))
        .await?;
    let sets = scope.api::<StatefulSet>(cluster);
    let sets = cluster
        .sift(&sets, anywhere(), those(server::is_stateful_set))
        .await?;
    let pods = scope.api::<Pod>(cluster);
    let pods = cluster
        .sift(&pods, anywhere().labels(BARE), those(server::is_pod))
        .await?;
    let is_ours = |one: &Deployment| {
        let is_here = one.namespace().as_deref() == Some(cluster.namespace());
        is_here && one.name_any() == SERVER && owner.made(one)
    };
    let deployments = deployments.iter().filter(|one| !is_ours(one));
    let mut found: Vec<_> = deployments
        .map(|one| Stranger::server(one, "Deployment"))
        .chain(sets.iter().map(|one| Stranger::server(one, "StatefulSet")))
        .chain(pods.iter().filter_map(apart))
        .collect();
    for kind in [
        Kind::of::<ConfigMap>(),
        Kind::of::<ServiceAccount>(),
        Kind::of::<Secret>(),
        velero::kind("BackupStorageLocation"),
    ] {
        let api = scope.dynamic(&kind, cluster);
        let labelled = cluster.list_metadata(&api, &kind.kind, Owner::ANY).await?;
        let others = labelled.into_iter().filter(|one| !owner.owns(one));
        found.extend(others.map(|one| Stranger::namesake(&one, &kind.kind)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
