//! A stand-in for the kubelet: pods of the node run without a container anywhere.
//!
//! Invariant: it writes the status of pods that are bound to a node, and finally deletes those that are to
//! go; nothing else. A pod is reported once for each part that it is to play, so what a test writes over
//! it stays. What is missing from the real one: time (images are pulled and containers started at once, and
//! nobody is given a grace period), probes, and events.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, WatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::follow::follow;
use super::script::{Fate, Parts, Role};

/// The node's address.
pub(super) const NODE_ADDRESS: &str = "192.0.2.1";
/// Where pods are reached: nowhere.
const POD_ADDRESS: &str = "192.0.2.2";
/// As often has a container in a crash loop been started again.
const RESTARTS: u32 = 3;

/// Works until it fails.
pub(super) async fn run(client: Client, role: Role) -> Result<()> {
    let Role { parts, mut cues } = role;
    let (found, mut inbox) = mpsc::unbounded_channel::<Pod>();
    let mut kubelet = Kubelet {
        client: client.clone(),
        parts,
        played: BTreeMap::new(),
    };
    let work = async {
        loop {
            tokio::select! {
                Some(pod) = inbox.recv() => kubelet.see(&pod).await?,
                Some(cue) = cues.recv() => kubelet.see_all(&cue.namespace).await?,
            }
        }
    };
    tokio::select! {
        () = follow(Api::all(client), WatchParams::default(), found, Some) => Ok(()),
        ended = work => ended,
    }
}

struct Kubelet {
    client: Client,
    parts: Arc<Parts>,
    /// What each pod, by its uid, was told to play.
    played: BTreeMap<String, Vec<Fate>>,
}

impl Kubelet {
    async fn see_all(&mut self, namespace: &str) -> Result<()> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        for pod in pods.list(&ListParams::default()).await? {
            self.see(&pod).await?;
        }
        Ok(())
    }

    async fn see(&mut self, pod: &Pod) -> Result<()> {
        let Some(spec) = pod.spec.as_ref().filter(|spec| spec.node_name.is_some()) else {
            return Ok(());
        };
        let namespace = pod.namespace().unwrap_or_default();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
        let (name, uid) = (pod.name_any(), pod.uid().unwrap_or_default());
        if pod.metadata.deletion_timestamp.is_some() {
            self.played.remove(&uid);
            let now = DeleteParams::default().grace_period(0);
            return unless_gone(pods.delete(&name, &now).await.map(drop));
        }
        let init = spec.init_containers.as_deref().unwrap_or_default();
        let fate = |one: &Container| {
            let image = one.image.as_deref().unwrap_or_default();
            self.parts.fate(&namespace, &one.name, image)
        };
        let fates: Vec<Fate> = init.iter().chain(&spec.containers).map(fate).collect();
        if self.played.get(&uid) == Some(&fates) {
            return Ok(());
        }
        let status = json!({"status": status(init, &spec.containers, &fates)});
        let (how, patch) = (PatchParams::default(), Patch::Strategic(&status));
        let written = pods.patch_status(&name, &how, &patch);
        unless_gone(written.await.map(drop))?;
        self.played.insert(uid, fates);
        Ok(())
    }
}

/// Pods come and go under its hands.
fn unless_gone(outcome: kube::Result<()>) -> Result<()> {
    match outcome {
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        other => Ok(other?),
    }
}

fn status(init: &[Container], containers: &[Container], fates: &[Fate]) -> Value {
    let now = Timestamp::now().to_string();
    let (init_fates, fates) = fates.split_at(init.len().min(fates.len()));
    let initialized = init_fates.iter().all(|fate| *fate == Fate::Runs);
    let runs = |fate: &Fate| matches!(fate, Fate::Runs | Fate::Returns { .. } | Fate::StarvesAt(_));
    let ready = initialized && fates.iter().all(runs);
    let condition = |kind: &str, holds: bool| {
        let status = if holds { "True" } else { "False" };
        json!({"type": kind, "status": status, "lastTransitionTime": now})
    };
    // An init container is started when those before it have ended.
    let reached = init_fates
        .iter()
        .position(|fate| *fate != Fate::Runs)
        .unwrap_or(init.len());
    let init_statuses: Vec<_> = init
        .iter()
        .zip(init_fates)
        .enumerate()
        .map(|(place, (container, fate))| match fate {
            _ if place > reached => container_status(container, &not_yet(), &now),
            Fate::Runs => ended_well(container, &now),
            other => container_status(container, other, &now),
        })
        .collect();
    let statuses: Vec<_> = containers
        .iter()
        .zip(fates)
        .map(|(container, fate)| match fate {
            _ if !initialized => container_status(container, &not_yet(), &now),
            fate => container_status(container, fate, &now),
        })
        .collect();
    json!({
        "phase": if ready { "Running" } else { "Pending" },
        "hostIP": NODE_ADDRESS,
        "podIP": POD_ADDRESS,
        "podIPs": [{"ip": POD_ADDRESS}],
        "startTime": now,
        "conditions": [
            condition("PodReadyToStartContainers", true),
            condition("Initialized", initialized),
            condition("ContainersReady", ready),
            condition("Ready", ready),
        ],
        "initContainerStatuses": init_statuses,
        "containerStatuses": statuses,
    })
}

fn not_yet() -> Fate {
    Fate::waits("PodInitializing", "")
}

fn ended_well(container: &Container, now: &str) -> Value {
    let ended = json!({"terminated": {
        "exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now,
    }});
    of(container, true, &ended)
}

fn container_status(container: &Container, fate: &Fate, now: &str) -> Value {
    match fate {
        Fate::Runs => of(container, true, &json!({"running": {"startedAt": now}})),
        Fate::Waits { reason, message } => {
            let mut waiting = json!({"reason": reason});
            if !message.is_empty() {
                waiting["message"] = json!(message);
            }
            of(container, false, &json!({"waiting": waiting}))
        }
        Fate::Returns { code } => returned(container, *code, "Error", now),
        Fate::StarvesAt(limit) if memory_limit(container) == Some(limit) => {
            returned(container, 137, "OOMKilled", now)
        }
        Fate::StarvesAt(_) => container_status(container, &Fate::Runs, now),
        Fate::CrashLoops { code, last_words } => {
            let waiting = json!({"waiting": {
                "reason": "CrashLoopBackOff",
                "message": format!("back-off restarting failed container {}", container.name),
            }});
            let mut status = of(container, false, &waiting);
            status["restartCount"] = json!(RESTARTS);
            status["lastState"] = json!({"terminated": {
                "exitCode": code, "reason": "Error", "message": last_words,
                "startedAt": now, "finishedAt": now,
            }});
            status
        }
    }
}

/// It runs again after an end.
fn returned(container: &Container, code: i32, reason: &str, now: &str) -> Value {
    let mut status = of(container, true, &json!({"running": {"startedAt": now}}));
    status["restartCount"] = json!(1);
    status["lastState"] = json!({"terminated": {
        "exitCode": code, "reason": reason, "startedAt": now, "finishedAt": now,
    }});
    status
}

fn memory_limit(container: &Container) -> Option<&str> {
    let limits = container.resources.as_ref()?.limits.as_ref()?;
    Some(limits.get("memory")?.0.as_str())
}

fn of(container: &Container, ready: bool, state: &Value) -> Value {
    json!({
        "name": container.name,
        "image": container.image,
        "imageID": "",
        "ready": ready,
        "started": ready,
        "restartCount": 0,
        "state": state,
    })
}
