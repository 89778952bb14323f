//! What is in our way, and whose it is.
//!
//! **Invariant:** reads only. An object is ours, our predecessor's, or a stranger's, and nothing here looks
//! at its name to tell which.

use std::fmt::{self, Display};

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
    cluster::{Cluster, ClusterError, Kind},
    ours::Owner,
    velero::{self, LOCATION, SERVER, install::NodeAgent, running::Running, server},
};

/// Pods that no controller of Kubernetes' own has made.
const BARE: &str = "!pod-template-hash,!controller-revision-hash,!job-name";

/// An object that is neither ours nor our predecessor's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Stranger {
    kind: String,
    name: String,
    namespace: Option<String>,
    whose: Whose,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Whose {
    /// Somebody else's server.
    Velero,
    /// It has one of our names.
    Namesake,
    /// Another application of this charm has made it.
    Application(String),
}

impl Stranger {
    /// One that has a name of ours.
    pub(crate) fn namesake(object: &impl ResourceExt, kind: &str) -> Self {
        Self::new(object, kind, Whose::Namesake)
    }

    fn server(object: &impl ResourceExt, kind: &str) -> Self {
        Self::new(object, kind, Whose::Velero)
    }

    fn new(object: &impl ResourceExt, kind: &str, otherwise: Whose) -> Self {
        let application = Owner::labelled_by(object).map(ToOwned::to_owned);
        Self {
            kind: kind.to_owned(),
            name: object.name_any(),
            namespace: object.namespace(),
            whose: application.map_or(otherwise, Whose::Application),
        }
    }

    /// It is this object of our namespace, or outside of all.
    pub(crate) fn is(&self, object: &DynamicObject) -> bool {
        Kind::of_object(object).kind == self.kind && object.name_any() == self.name
    }

    /// What is wrong and what to do.
    pub(crate) fn advice(&self) -> String {
        let namespace = self.namespace.as_deref();
        let place = namespace.map_or_else(
            || "the cluster".to_owned(),
            |name| format!("namespace `{name}`"),
        );
        let (what, remedy) = match &self.whose {
            Whose::Velero => (
                format!("has a Velero that is not this charm's, {self}"),
                "remove it".to_owned(),
            ),
            Whose::Namesake => (
                format!("has a {self} that is not this charm's"),
                "delete it".to_owned(),
            ),
            Whose::Application(name) => (
                format!("has the Velero of application `{name}` ({self})"),
                format!(
                    "remove `{name}` (if Juju has lost it, deploy this charm as `{name}` first)"
                ),
            ),
        };
        format!("{place} {what}: {remedy}, or deploy into another model")
    }

    fn place(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{self} in namespace `{namespace}`"),
            None => self.to_string(),
        }
    }
}

/// All of them, for a log.
pub(crate) fn places(strangers: &[Stranger]) -> String {
    let places: Vec<_> = strangers.iter().map(Stranger::place).collect();
    places.join(", ")
}

impl Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind, self.name)
    }
}

/// Objects under our names that are not ours, of those that each hook reads.
pub(crate) fn namesakes(live: &Live, agent: NodeAgent, owner: &Owner) -> Vec<Stranger> {
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
pub(crate) fn other_servers(running: &Running) -> Vec<Stranger> {
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
        Some(keeper) => Some(Stranger {
            kind: keeper.kind.clone(),
            name: keeper.name.clone(),
            ..Stranger::server(pod, "Pod")
        }),
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
        .sift(&deployments, anywhere(), server::is_deployment)
        .await?;
    let sets = scope.api::<StatefulSet>(cluster);
    let sets = cluster
        .sift(&sets, anywhere(), server::is_stateful_set)
        .await?;
    let pods = scope.api::<Pod>(cluster);
    let pods = cluster
        .sift(&pods, anywhere().labels(BARE), server::is_pod)
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
