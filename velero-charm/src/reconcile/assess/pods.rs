//! What pods say of themselves.
//!
//! The health of pods that are on their way out or have ended for good is not looked at; whether a container runs is
//! asked of all.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use crate::{juju::Clause, velero::server};

/// Waiting reasons that no waiting helps against. `ErrImagePull` is not among them: it is the first
/// try, and turns into `ImagePullBackOff` if the second fails too.
const HOPELESS: [&str; 7] = [
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
];

/// Those of them whose cause is the image.
const IMAGE: [&str; 3] = ["ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"];

/// A container that fails at its start does so within this.
const PROBATION: SignedDuration = SignedDuration::from_secs(15);

/// The pods of one workload.
#[derive(Debug)]
pub(super) struct Pods<'a> {
    label: &'a str,
    pods: Vec<&'a Pod>,
}

impl<'a> Pods<'a> {
    /// Those that carry the label `key=value` and are there to stay.
    pub(super) fn select(pods: &'a BTreeMap<String, Pod>, label: &'a str) -> Self {
        let stays = |pod: &&Pod| {
            pod.metadata.deletion_timestamp.is_none()
                && !server::has_ended(pod)
                && carries(pod, label)
        };
        Self {
            label,
            pods: pods.values().filter(stays).collect(),
        }
    }

    /// What to do about one of them that will not run, and why it does not, with the image where that is the cause.
    pub(super) fn hopeless(&self) -> Option<Clause> {
        self.pods
            .iter()
            .find_map(|pod| unschedulable(pod))
            .or_else(|| {
                self.pods
                    .iter()
                    .flat_map(|pod| containers(pod).map(move |container| (pod, container)))
                    .find_map(|(pod, container)| {
                        let waiting = container.state.as_ref()?.waiting.as_ref()?;
                        let reason = waiting.reason.as_deref()?;
                        HOPELESS.contains(&reason).then(|| {
                            let cause = explain(container, reason, waiting.message.as_deref());
                            Clause::new(self.next_step(pod, container, reason), cause)
                        })
                    })
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

    fn containers(&self) -> impl Iterator<Item = &'a ContainerStatus> {
        self.pods.iter().flat_map(|pod| containers(pod))
    }

    /// What somebody can do about a container that does not start.
    fn next_step(&self, pod: &Pod, container: &ContainerStatus, reason: &str) -> String {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let label = self.label;
        match reason {
            reason if IMAGE.contains(&reason) => "set an image that the nodes can pull".into(),
            "CrashLoopBackOff" => format!(
                "see `kubectl logs -n {namespace} -l {label} -c {} --previous`",
                container.name
            ),
            _ => format!("see `kubectl describe pods -n {namespace} -l {label}`"),
        }
    }
}

/// A container of a pod that carries the label `key=value` runs, whatever is to become of the pod.
pub(in crate::reconcile) fn has_running_container(
    pods: &BTreeMap<String, Pod>,
    label: &str,
) -> bool {
    let runs = |container: &ContainerStatus| {
        let state = container.state.as_ref();
        state.is_some_and(|state| state.running.is_some())
    };
    let ours = pods.values().filter(|pod| carries(pod, label));
    let mut statuses = ours.filter_map(|pod| pod.status.as_ref()?.container_statuses.as_ref());
    statuses.any(|containers| containers.iter().any(runs))
}

fn carries(pod: &Pod, label: &str) -> bool {
    let (key, value) = label.split_once('=').unwrap_or((label, ""));
    let labels = pod.metadata.labels.as_ref();
    labels
        .and_then(|labels| labels.get(key))
        .map(String::as_str)
        == Some(value)
}

fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    pod.status.iter().flat_map(|status| {
        let init = status.init_container_statuses.iter().flatten();
        init.chain(status.container_statuses.iter().flatten())
    })
}

/// In a crash loop a container is ready for a moment after each start.
fn is_shaky(container: &ContainerStatus, now: Timestamp) -> bool {
    let ended = container
        .last_state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    let running = container
        .state
        .as_ref()
        .and_then(|state| state.running.as_ref());
    let started = running.and_then(|running| running.started_at.as_ref());
    ended.is_some_and(|ended| ended.exit_code != 0)
        && started.is_some_and(|started| now.duration_since(started.0) < PROBATION)
}

fn unschedulable(pod: &Pod) -> Option<Clause> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions.iter().find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
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
        "CrashLoopBackOff" => {
            let ended = container
                .last_state
                .as_ref()
                .and_then(|state| state.terminated.as_ref());
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
