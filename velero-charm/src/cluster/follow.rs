//! Waiting for the cluster to come round, by watch.
//!
//! **Invariant:** nothing is polled. The world is listed once and then follows the API server's
//! events; it is looked at again after each event, and after a second in which nothing happened.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    ops::ControlFlow,
    pin::Pin,
    time::Duration,
};

use futures::{
    Stream, StreamExt as _,
    future::ready,
    stream::{once, select_all},
};
use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment},
    core::v1::{Event, Pod},
};
use kube::{
    Api, ResourceExt,
    api::{DynamicObject, ListParams, WatchEvent, WatchParams},
};
use serde::de::DeserializeOwned;
use tokio::{
    time::{Instant, sleep_until, timeout_at},
    try_join,
};

use super::{Cluster, ClusterError, ask, list, plural};
use crate::velero;

/// How long a world is left unlooked at when nothing happens.
const GLANCE: Duration = Duration::from_secs(1);

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
        self.servers.get(velero::SERVER)
    }

    pub(crate) fn node_agent(&self) -> Option<&DaemonSet> {
        self.node_agents.get(velero::NODE_AGENT)
    }

    pub(crate) fn location(&self) -> Option<&DynamicObject> {
        self.locations.get(velero::LOCATION)
    }

    /// Reads it once.
    pub(crate) async fn read(cluster: &Cluster) -> Result<Self, ClusterError> {
        // All of them, as a Velero of somebody else's can be called anything.
        let servers = async {
            let anywhere = ListParams::default();
            cluster.sift(&cluster.api(), anywhere, is_of_a_server).await
        };
        let node_agents = async {
            let api = cluster.api::<DaemonSet>();
            cluster.list(&api, &only(velero::NODE_AGENT)).await
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

/// Follows the cluster until `decide` breaks or the deadline passes; gives the world as last seen.
pub(crate) async fn follow(
    cluster: &Cluster,
    deadline: Instant,
    mut decide: impl FnMut(&Running) -> ControlFlow<()>,
) -> Result<Running, ClusterError> {
    loop {
        let (mut running, mut changes) = begin(cluster).await?;
        loop {
            if decide(&running).is_break() || Instant::now() >= deadline {
                return Ok(running);
            }
            let glance = (Instant::now() + GLANCE).min(deadline);
            match timeout_at(glance, changes.next()).await {
                Ok(Some(Ok(change))) => change(&mut running),
                // A watch ended or was too slow: list anew, but not without a pause.
                Ok(Some(Err(Lost)) | None) => {
                    sleep_until(glance).await;
                    break;
                }
                Err(_) => {}
            }
        }
    }
}

/// Waits until no object is as `awaited` says; gives the names of those that still are at the deadline.
pub(crate) async fn until_none<K>(
    api: &Api<K>,
    labels: &str,
    deadline: Instant,
    awaited: impl Fn(&K) -> bool,
) -> Result<BTreeSet<String>, ClusterError>
where
    K: Clone + DeserializeOwned + Debug + ResourceExt,
{
    let parameters = WatchParams::default().labels(labels);
    loop {
        let found = list(api, &ListParams::default().labels(labels)).await?;
        let waiting = found.items.iter().filter(|object| awaited(object));
        let mut left: BTreeSet<String> = waiting.map(ResourceExt::name_any).collect();
        if left.is_empty() {
            return Ok(left);
        }
        let version = found.metadata.resource_version.unwrap_or_default();
        let doing = format!("watch {}", plural(api));
        let mut events = ask(doing, || api.watch(&parameters, &version))
            .await?
            .boxed();
        while !left.is_empty() {
            match timeout_at(deadline, events.next()).await {
                Ok(Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)))) => {
                    if awaited(&object) {
                        left.insert(object.name_any());
                    } else {
                        left.remove(&object.name_any());
                    }
                }
                Ok(Some(Ok(WatchEvent::Deleted(object)))) => {
                    left.remove(&object.name_any());
                }
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(_)) | None) | Err(_) => break,
            }
        }
        if left.is_empty() || Instant::now() >= deadline {
            return Ok(left);
        }
        // The watch ended: list anew.
        sleep_until((Instant::now() + GLANCE).min(deadline)).await;
    }
}

/// A watch that cannot go on.
struct Lost;

type Change = Box<dyn FnOnce(&mut Running) + Send>;
type Changes = Pin<Box<dyn Stream<Item = Result<Change, Lost>> + Send>>;

async fn begin(
    cluster: &Cluster,
) -> Result<(Running, impl Stream<Item = Result<Change, Lost>>), ClusterError> {
    let (server, agent, labelled) = (only(velero::SERVER), only(velero::NODE_AGENT), pods());
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
        watch(&deployments, &server, |r| &mut r.servers),
        watch(&daemon_sets, &agent, |r| &mut r.node_agents),
        watch(&all_pods, &labelled, |r| &mut r.pods),
        watch(&all_locations, &anywhere, |r| &mut r.locations),
        watch(&events, &refused, |r| &mut r.refusals),
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

/// Lists objects, then streams what happens to them.
async fn watch<K>(
    api: &Api<K>,
    select: &ListParams,
    place: fn(&mut Running) -> &mut BTreeMap<String, K>,
) -> Result<(BTreeMap<String, K>, Changes), ClusterError>
where
    K: Clone + DeserializeOwned + Debug + ResourceExt + Send + 'static,
{
    let found = list(api, select).await?;
    let version = found.metadata.resource_version.unwrap_or_default();
    let parameters = WatchParams {
        label_selector: select.label_selector.clone(),
        field_selector: select.field_selector.clone(),
        ..WatchParams::default()
    };
    let doing = format!("watch {}", plural(api));
    let events = ask(doing, || api.watch(&parameters, &version)).await?;
    let changes = events.map(move |event| -> Result<Change, Lost> {
        match event {
            Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                Ok(Box::new(move |running| {
                    place(running).insert(object.name_any(), object);
                }))
            }
            Ok(WatchEvent::Deleted(object)) => Ok(Box::new(move |running| {
                place(running).remove(&object.name_any());
            })),
            Ok(WatchEvent::Bookmark(_)) => Ok(Box::new(|_| {})),
            Ok(WatchEvent::Error(_)) | Err(_) => Err(Lost),
        }
    });
    // Or nobody would miss one watch among those that go on.
    let changes = changes.chain(once(ready(Err(Lost))));
    Ok((by_name(found.items), Box::pin(changes)))
}

fn by_name<K: ResourceExt>(objects: Vec<K>) -> BTreeMap<String, K> {
    objects
        .into_iter()
        .map(|object| (object.name_any(), object))
        .collect()
}

fn is_of_a_server(deployment: &Deployment) -> bool {
    deployment.name_any() == velero::SERVER || velero::server::is_deployment(deployment)
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
        "involvedObject.kind=DaemonSet,involvedObject.name={},reason=FailedCreate",
        velero::NODE_AGENT
    ))
}

fn pods() -> ListParams {
    ListParams::default().labels(velero::COMPONENT)
}

fn locations(cluster: &Cluster) -> Api<DynamicObject> {
    cluster.dynamic(&velero::kind("BackupStorageLocation"))
}
