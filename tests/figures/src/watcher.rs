//! Somebody else who watches the cluster, with a clock of its own.
//!
//! Invariant: it works in a thread that nothing else keeps busy, learns of things by watch as soon as the
//! API server tells them, and knows nothing of the charm.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DynamicObject, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt as _};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use worlds::plane::follow::{follow, follow_custom};

/// The API server tells everybody at the same time; a machine that is busy makes some hear it later.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

/// What there is of a Velero.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Scene {
    /// The plugins of each pod of the server that is ready.
    servers: BTreeMap<String, Vec<String>>,
    agent_is_ready: bool,
    /// Spec and status of the location.
    location: Value,
}

/// Every scene, and when it began.
pub(super) type History = Vec<(SystemTime, Scene)>;

/// A running watcher of one namespace; it ends with this value.
pub(super) struct Watcher {
    history: watch::Receiver<History>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

enum Sight {
    Pod(Pod),
    DaemonSet(DaemonSet),
    Location(DynamicObject),
}

impl Scene {
    /// A pod of the server is ready and has a plugin of this name, which may be a part of it.
    pub(super) fn serves_with(&self, plugin: &str) -> bool {
        let mut ready = self.servers.values();
        ready.any(|plugins| plugins.iter().any(|name| name.contains(plugin)))
    }

    pub(super) fn serves(&self) -> bool {
        !self.servers.is_empty()
    }

    pub(super) const fn has_agents(&self) -> bool {
        self.agent_is_ready
    }

    /// A store of this provider can be used, Velero says.
    pub(super) fn is_available(&self, provider: &str) -> bool {
        let named = self.location["spec"]["provider"].as_str();
        let named = named.and_then(|name| name.rsplit('/').next());
        named == Some(provider) && self.location["status"]["phase"] == "Available"
    }

    /// Which credential the location names.
    pub(super) fn credential(&self) -> &Value {
        &self.location["spec"]["credential"]["name"]
    }

    /// When Velero last gave a verdict.
    pub(super) fn judged_at(&self) -> &Value {
        &self.location["status"]["lastValidationTime"]
    }

    fn see(&mut self, sight: Sight) {
        match sight {
            Sight::Pod(pod) if is_ready(&pod) => {
                self.servers.insert(pod.name_any(), plugins(&pod));
            }
            Sight::Pod(pod) => {
                self.servers.remove(&pod.name_any());
            }
            Sight::DaemonSet(agent) => self.agent_is_ready = has_its_pods(&agent),
            Sight::Location(location) => self.location = location.data,
        }
    }
}

impl Watcher {
    pub(super) fn start(kubeconfig: PathBuf, namespace: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (notes, history) = watch::channel(History::new());
        let (stop, stopped) = oneshot::channel::<()>();
        let namespace = namespace.to_owned();
        let thread = thread::Builder::new()
            .name("watcher".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        // Without it nothing is seen, and that is reported as a failure.
                        _ = look(kubeconfig, &namespace, &notes) => {}
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self {
            history,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// All that it has seen, once it has seen that this holds: what the charm has seen, it is about to.
    pub(super) async fn history(&self, holds: &dyn Fn(&Scene) -> bool) -> Result<History> {
        let mut history = self.history.clone();
        let seen = |all: &History| all.last().is_some_and(|(_, scene)| holds(scene));
        let seen = timeout(SEEN_WITHIN, history.wait_for(seen)).await;
        let seen = seen.context("the watcher did not see what the charm saw")?;
        Ok(seen.context("the watcher has ended")?.clone())
    }

    pub(super) fn now(&self) -> Scene {
        let history = self.history.borrow();
        history
            .last()
            .map(|(_, scene)| scene.clone())
            .unwrap_or_default()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn look(kubeconfig: PathBuf, namespace: &str, notes: &watch::Sender<History>) -> Result<()> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    let client = Client::try_from(config)?;
    let (found, mut sights) = mpsc::unbounded_channel();
    let servers = WatchParams::default().labels("deploy=velero");
    let agents = WatchParams::default().fields("metadata.name=node-agent");
    let here = |object: DynamicObject| {
        let is_here = object.namespace().as_deref() == Some(namespace);
        is_here.then_some(Sight::Location(object))
    };
    let follow = async {
        tokio::join!(
            follow(
                Api::namespaced(client.clone(), namespace),
                servers,
                found.clone(),
                |pod| Some(Sight::Pod(pod))
            ),
            follow(
                Api::namespaced(client.clone(), namespace),
                agents,
                found.clone(),
                |agent| Some(Sight::DaemonSet(agent))
            ),
            follow_custom(client, "BackupStorageLocation", found.clone(), here),
        )
    };
    let note = async {
        let mut scene = Scene::default();
        while let Some(sight) = sights.recv().await {
            let at = SystemTime::now();
            scene.see(sight);
            notes.send_if_modified(|history| {
                let is_new = history.last().is_none_or(|(_, last)| *last != scene);
                if is_new {
                    history.push((at, scene.clone()));
                }
                is_new
            });
        }
    };
    tokio::join!(follow, note);
    Ok(())
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| &status.conditions);
    let mut ready = conditions.flatten().filter(|one| one.type_ == "Ready");
    pod.metadata.deletion_timestamp.is_none() && ready.any(|one| one.status == "True")
}

fn plugins(pod: &Pod) -> Vec<String> {
    let init = pod.spec.iter().flat_map(|spec| &spec.init_containers);
    init.flatten().map(|one| one.name.clone()).collect()
}

fn has_its_pods(agent: &DaemonSet) -> bool {
    agent.status.as_ref().is_some_and(|status| {
        status.observed_generation >= agent.metadata.generation
            && status.desired_number_scheduled > 0
            && status.number_ready == status.desired_number_scheduled
    })
}

/// When it came to be so, and stayed so until `end`.
pub(super) fn since(
    history: &[(SystemTime, Scene)],
    end: SystemTime,
    holds: impl Fn(&Scene) -> bool,
) -> Option<SystemTime> {
    let mut begun = None;
    for (at, scene) in history {
        // The one who asks was quicker than the watcher.
        if *at > end && begun.is_some() {
            break;
        }
        begun = holds(scene).then(|| begun.unwrap_or(*at));
    }
    begun
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    fn history(ready: &[(u64, bool)]) -> History {
        let scene = |agent_is_ready| Scene {
            agent_is_ready,
            ..Scene::default()
        };
        let scenes = ready.iter();
        scenes.map(|(when, so)| (at(*when), scene(*so))).collect()
    }

    #[test]
    fn passing_events_are_not_the_cause() {
        let history = history(&[(1, true), (2, false), (3, true), (4, true), (9, false)]);
        let cause = |end| since(&history, at(end), Scene::has_agents);

        assert_eq!(cause(5), Some(at(3)));
        assert_eq!(cause(1), Some(at(1)));
        assert_eq!(since(&[], at(5), Scene::has_agents), None);
    }

    #[test]
    fn sight_of_the_watcher_after_the_hook_counts_too() {
        let history = history(&[(1, false), (6, true)]);
        assert_eq!(since(&history, at(5), Scene::has_agents), Some(at(6)));
    }
}
