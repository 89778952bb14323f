//! What pods say of themselves.
//!
//! The health of pods that are on their way out or have ended for good is not looked at; whether they work is asked of
//! all.

use std::{cmp::Reverse, collections::BTreeMap};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition};

use super::lapse::{ends, failure, is_in_a_loop, is_shaky};
use crate::{
    juju::Clause,
    velero::{self, server},
};

/// Waiting reasons that no waiting helps against. `ErrImagePull` is not among them: it is the first
/// try, and turns into `ImagePullBackOff` if the second fails too.
const HOPELESS: [&str; 7] = [
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    CRASH_LOOP,
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
];

const CRASH_LOOP: &str = "CrashLoopBackOff";

/// Those of them whose cause is the image.
const IMAGE: [&str; 3] = ["ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"];

/// What pods belong to.
#[derive(Debug)]
pub(super) struct Workload {
    /// Selects its pods: `key=value`.
    label: &'static str,
    /// As kubectl takes it.
    pub(super) resource: &'static str,
    pub(super) container: &'static str,
    /// In the words of a status.
    pub(super) name: &'static str,
    /// The option for the container's limit of memory.
    pub(super) memory_option: &'static str,
}

pub(super) const SERVER: Workload = Workload {
    label: velero::SERVER_PODS,
    resource: "deployment/velero",
    container: velero::SERVER,
    name: "the Velero server",
    memory_option: "memory-limit",
};

pub(super) const NODE_AGENT: Workload = Workload {
    label: velero::NODE_AGENT_PODS,
    resource: "daemonset/node-agent",
    container: velero::NODE_AGENT,
    name: "the node agent",
    memory_option: "node-agent-memory-limit",
};

/// The pods of one workload.
#[derive(Debug)]
pub(super) struct Pods<'a> {
    pub(super) workload: &'static Workload,
    pub(super) pods: Vec<&'a Pod>,
}

impl<'a> Pods<'a> {
    /// Those that belong to the workload and are there to stay.
    pub(super) fn of(workload: &'static Workload, pods: &'a BTreeMap<String, Pod>) -> Self {
        let stays = |pod: &&Pod| {
            pod.metadata.deletion_timestamp.is_none()
                && !server::has_ended(pod)
                && carries(pod, workload.label)
        };
        Self {
            workload,
            pods: pods.values().filter(stays).collect(),
        }
    }

    /// What to do about one of them that will not run, and why it does not, with the image where that is the cause.
    pub(super) fn hopeless(&self, now: Timestamp) -> Option<Clause> {
        let mut pods = self.pods.iter();
        if let Some(clause) = pods.find_map(|pod| unschedulable(pod)) {
            return Some(clause);
        }
        let pods = self.pods.iter();
        let mut all =
            pods.flat_map(|pod| all_containers(pod).map(move |container| (pod, container)));
        all.find_map(|(pod, container)| {
            let (reason, message) = hindrance(container, now)?;
            let cause = explain(container, reason, message);
            Some(Clause::new(self.next_step(pod, container, reason), cause))
        })
    }

    /// What they are busy with.
    pub(super) fn progress(&self) -> Option<String> {
        self.containers().find_map(|container| {
            let reason = container
                .state
                .as_ref()?
                .waiting
                .as_ref()?
                .reason
                .as_deref()?;
            match reason {
                "ErrImagePull" => Some(format!("`{reason}` of image `{}`", container.image)),
                _ => None,
            }
        })
    }

    /// All containers run, and none has come back from a failure so lately that it may fail again.
    pub(super) fn are_steady(&self, now: Timestamp) -> bool {
        self.pods.iter().all(|pod| {
            let status = pod.status.as_ref();
            let containers = status.and_then(|status| status.container_statuses.as_ref());
            containers.is_some_and(|all| all.iter().all(|one| one.ready && !is_shaky(one, now)))
        })
    }

    /// When the named container last started.
    pub(super) fn started(&self, container: &str) -> Option<Timestamp> {
        let named = self.containers().filter(|status| status.name == container);
        named
            .filter_map(|status| {
                Some(
                    status
                        .state
                        .as_ref()?
                        .running
                        .as_ref()?
                        .started_at
                        .as_ref()?
                        .0,
                )
            })
            .max()
    }

    pub(super) fn containers(&self) -> impl Iterator<Item = &'a ContainerStatus> {
        self.pods.iter().flat_map(|pod| all_containers(pod))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pods.is_empty()
    }

    /// Where to read what they are doing.
    pub(super) fn see(&self, namespace: &str) -> String {
        let Workload {
            label, resource, ..
        } = self.workload;
        if self.is_empty() {
            return format!("see `kubectl describe {resource} -n {namespace}`");
        }
        format!("see `kubectl describe pods -n {namespace} -l {label}`")
    }

    /// What somebody can do about a container that does not start.
    fn next_step(&self, pod: &Pod, container: &ContainerStatus, reason: &str) -> String {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let label = self.workload.label;
        match reason {
            reason if IMAGE.contains(&reason) => "set an image that the nodes can pull".into(),
            CRASH_LOOP => format!(
                "see `kubectl logs -n {namespace} -l {label} -c {} --previous`",
                container.name
            ),
            _ => self.see(namespace),
        }
    }
}

/// The kubelet's word for why a container does not run, and its explanation. Of a crash loop it is the same in
/// between, while the container runs for no longer than it did before.
fn hindrance(container: &ContainerStatus, now: Timestamp) -> Option<(&str, Option<&str>)> {
    let waiting = container
        .state
        .as_ref()
        .and_then(|state| state.waiting.as_ref());
    let reason = waiting.and_then(|waiting| waiting.reason.as_deref());
    match reason.filter(|reason| HOPELESS.contains(reason)) {
        Some(reason) => Some((
            reason,
            waiting.and_then(|waiting| waiting.message.as_deref()),
        )),
        None => is_in_a_loop(container, now).then_some((CRASH_LOOP, None)),
    }
}

/// What pods of a workload may be working on.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(in crate::reconcile) enum Working {
    No,
    /// A container is about to start. It may have done so since it was looked at, and have begun something, but
    /// nothing that was there when it ended last, or when its pod was made.
    OnWhatBeganSince(Reverse<Timestamp>),
    /// A container runs, whatever is to become of its pod.
    Yes,
}

/// What the pods that carry the label `key=value` may be working on.
pub(in crate::reconcile) fn working(pods: &BTreeMap<String, Pod>, label: &str) -> Working {
    let runs = |container: &ContainerStatus| {
        let state = container.state.as_ref();
        state.is_some_and(|state| state.running.is_some())
    };
    let of_pod = |pod: &Pod| {
        let status = pod.status.as_ref();
        let containers = status.into_iter();
        let containers = containers.flat_map(|one| one.container_statuses.iter().flatten());
        if containers.clone().any(runs) {
            return Working::Yes;
        }
        if server::has_ended(pod) {
            return Working::No;
        }
        let ended = containers.flat_map(ends);
        let times = ended.filter_map(|ended| ended.finished_at.as_ref());
        let times = times.chain(&pod.metadata.creation_timestamp);
        let last = times.map(|time| time.0).max();
        last.map_or(Working::No, |last| Working::OnWhatBeganSince(Reverse(last)))
    };
    let ours = pods.values().filter(|pod| carries(pod, label));
    ours.map(of_pod).max().unwrap_or(Working::No)
}

fn carries(pod: &Pod, label: &str) -> bool {
    let (key, value) = label.split_once('=').unwrap_or((label, ""));
    let labels = pod.metadata.labels.as_ref();
    labels
        .and_then(|labels| labels.get(key))
        .map(String::as_str)
        == Some(value)
}

/// What a pod says of itself under this name.
pub(super) fn condition<'a>(pod: &'a Pod, name: &str) -> Option<&'a PodCondition> {
    let mut conditions = pod.status.as_ref()?.conditions.iter().flatten();
    conditions.find(|condition| condition.type_ == name)
}

/// Its init containers, and then the others.
pub(super) fn all_containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    pod.status.iter().flat_map(|status| {
        let init = status.init_container_statuses.iter().flatten();
        init.chain(status.container_statuses.iter().flatten())
    })
}

fn unschedulable(pod: &Pod) -> Option<Clause> {
    let condition = condition(pod, "PodScheduled").filter(|condition| {
        condition.status == "False" && condition.reason.as_deref() == Some("Unschedulable")
    })?;
    let message = condition.message.as_deref();
    // Then comes what preemption would do, in other words each time.
    let reason = message.and_then(|message| message.split(". ").next());
    let reason = reason.map_or("no node takes its pod", |reason| {
        reason.trim_end_matches('.')
    });
    Some(Clause::new("make room on a node or add one", reason))
}

fn explain(container: &ContainerStatus, reason: &str, message: Option<&str>) -> String {
    let image = &container.image;
    match reason {
        reason if IMAGE.contains(&reason) => {
            // The chain of causes ends with the one that counts; old kubelets give none.
            match message.and_then(|message| message.rsplit_once(": ")) {
                Some((_, cause)) => format!("`{reason}` of image `{image}`: {cause}"),
                None => format!("`{reason}` of image `{image}`"),
            }
        }
        CRASH_LOOP => {
            let ended = failure(container);
            let words = ended
                .and_then(|ended| ended.message.as_deref())
                .and_then(last_line);
            match (words, ended) {
                (Some(words), _) => format!("`{reason}` of image `{image}`: {words}"),
                (None, Some(ended)) => {
                    format!(
                        "`{reason}` of image `{image}`: exit code {}",
                        ended.exit_code
                    )
                }
                (None, None) => format!("`{reason}` of image `{image}`"),
            }
        }
        _ => match message {
            Some(message) => format!("`{reason}`: {message}"),
            None => format!("`{reason}` of image `{image}`"),
        },
    }
}

/// A log ends with its cause.
fn last_line(log: &str) -> Option<&str> {
    log.lines().map(str::trim).rfind(|line| !line.is_empty())
}
