//! Velero's objects that tell how it is doing, read once or followed.

use std::{collections::BTreeMap, ops::ControlFlow};

use futures::stream::{SelectAll, select_all};
use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment},
    core::v1::{Event, Pod},
};
use kube::{
    Api, ResourceExt as _,
    api::{DynamicObject, ListParams},
};
use tokio::{time::Instant, try_join};

use super::{COMPONENT, LOCATION, NODE_AGENT, SERVER, kind, server::is_deployment};
use crate::cluster::{
    Cluster, ClusterError,
    follow::{self, Changes, by_name, watch},
    those,
};

/// What Velero's health is read from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running {
    /// Every Deployment that is a server's. Only ours is followed.
    pub(crate) servers: BTreeMap<String, Deployment>,
    pub(crate) node_agents: BTreeMap<String, DaemonSet>,
    pub(crate) pods: BTreeMap<String, Pod>,
    pub(crate) locations: BTreeMap<String, DynamicObject>,
    /// What the DaemonSet controller says when the API server takes none of its pods. It says so
    /// nowhere else.
    pub(crate) refusals: BTreeMap<String, Event>,
}

impl Running {
    pub(crate) fn server(&self) -> Option<&Deployment> {
        self.servers.get(SERVER)
    }

    pub(crate) fn node_agent(&self) -> Option<&DaemonSet> {
        self.node_agents.get(NODE_AGENT)
    }

    pub(crate) fn location(&self) -> Option<&DynamicObject> {
        self.locations.get(LOCATION)
    }

    /// Reads it once.
    pub(crate) async fn read(cluster: &Cluster) -> Result<Self, ClusterError> {
        // All of them, as a Velero of somebody else's can be called anything.
        let servers = async {
            let anywhere = ListParams::default();
            cluster
                .sift(&cluster.api(), anywhere, those(is_of_a_server))
                .await
        };
        let node_agents = async {
            let api = cluster.api::<DaemonSet>();
            cluster.list(&api, &only(NODE_AGENT)).await
        };
        let pods = async { cluster.list(&cluster.api(), &pods()).await };
        let locations = async {
            let anywhere = ListParams::default();
            cluster.list(&locations(cluster), &anywhere).await
        };
        let (servers, node_agents, pods, locations) =
            try_join!(servers, node_agents, pods, locations)?;
        let refusals = if node_agents.iter().any(lacks_pods) {
            cluster.list(&cluster.api(), &refusals()).await?
        } else {
            Vec::new()
        };
        Ok(Self {
            servers: by_name(servers),
            node_agents: by_name(node_agents),
            refusals: by_name(refusals),
            pods: by_name(pods),
            locations: by_name(locations),
        })
    }
}

/// Follows them until `decide` breaks or the deadline passes; gives them as last seen.
pub(crate) async fn follow(
    cluster: &Cluster,
    deadline: Instant,
    decide: impl FnMut(&Running) -> ControlFlow<()>,
) -> Result<Running, ClusterError> {
    follow::follow(|| begin(cluster), deadline, decide).await
}

async fn begin(cluster: &Cluster) -> Result<(Running, SelectAll<Changes<Running>>), ClusterError> {
    let (server, agent, labelled) = (only(SERVER), only(NODE_AGENT), pods());
    let (anywhere, refused) = (ListParams::default(), refusals());
    let (deployments, daemon_sets, all_pods) = (cluster.api(), cluster.api(), cluster.api());
    let (all_locations, events) = (locations(cluster), cluster.api());
    // Side by side: right after a write, the API server may take a tenth of a second for each list.
    let (
        (servers, of_servers),
        (node_agents, of_agents),
        (pods, of_pods),
        (locations, of_locations),
        (refusals, of_refusals),
    ) = try_join!(
        watch(&deployments, &server, |r: &mut Running| &mut r.servers),
        watch(&daemon_sets, &agent, |r: &mut Running| &mut r.node_agents),
        watch(&all_pods, &labelled, |r: &mut Running| &mut r.pods),
        watch(&all_locations, &anywhere, |r: &mut Running| &mut r
            .locations),
        watch(&events, &refused, |r: &mut Running| &mut r.refusals),
    )?;
    let changes = [of_servers, of_agents, of_pods, of_locations, of_refusals];
    Ok((
        Running {
            servers,
            node_agents,
            pods,
            locations,
            refusals,
        },
        select_all(changes),
    ))
}

fn is_of_a_server(deployment: &Deployment) -> bool {
    deployment.name_any() == SERVER || is_deployment(deployment)
}

fn only(name: &str) -> ListParams {
    ListParams::default().fields(&format!("metadata.name={name}"))
}

fn lacks_pods(daemon_set: &DaemonSet) -> bool {
    let status = daemon_set.status.as_ref();
    status.is_some_and(|status| status.current_number_scheduled < status.desired_number_scheduled)
}

fn refusals() -> ListParams {
    ListParams::default().fields(&format!(
        "involvedObject.kind=DaemonSet,involvedObject.name={NODE_AGENT},reason=FailedCreate"
    ))
}

fn pods() -> ListParams {
    ListParams::default().labels(COMPONENT)
}

fn locations(cluster: &Cluster) -> Api<DynamicObject> {
    cluster.dynamic(&kind("BackupStorageLocation"))
}
