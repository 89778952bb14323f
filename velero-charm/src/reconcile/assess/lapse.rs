//! Pods that run, or seem to, and cannot be relied on: killed for memory, back from a failure, or on a node that is
//! down.
//!
//! What is said does not change from hook to hook: since when, not for how long. Kubernetes keeps these times.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};

use super::pods::{Pods, all_containers, condition};
use crate::juju::Clause;

/// A container that fails at its start does so within this.
const PROBATION: SignedDuration = SignedDuration::from_secs(15);
/// After a run of this length the kubelet takes a container for healthy again.
const PROVEN: SignedDuration = SignedDuration::from_mins(10);
/// What fails again and again does not run for this long, and for twice as long as before, by accident.
const OUTLIVED: SignedDuration = SignedDuration::from_mins(1);
/// What was too large once is so again at the next backup, and most are made daily.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);
/// One restart is an accident.
const RESTARTS_IN_A_LOOP: i32 = 2;

const OUT_OF_MEMORY: &str = "OOMKilled";

/// A pod whose node says nothing more of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Lost<'a> {
    pub(super) node: &'a str,
    pub(super) since: Timestamp,
}

impl Pods<'_> {
    /// What to do about one that was killed for memory, though it may run again.
    pub(super) fn starved(&self, now: Timestamp) -> Option<Clause> {
        let all = self.pods.iter();
        let all = all.flat_map(|pod| all_containers(pod).map(move |container| (pod, container)));
        let mut starved = all.filter(|(_, container)| is_starved(container, now));
        let (pod, container) = starved.next()?;
        let (who, name) = (self.workload.name, &container.name);
        let who = if *name == self.workload.container {
            who.to_owned()
        } else {
            format!("container `{name}` of {who}")
        };
        let Some(limit) = memory_limit(pod, name) else {
            let node = node(pod).unwrap_or_default();
            return Some(Clause::new(
                format!("make room in the memory of node `{node}`"),
                format!("{who} was killed for memory"),
            ));
        };
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let (workload, more) = (self.workload, doubled(limit));
        let advice = if *name == workload.container {
            format!("set `{}` to {more}", workload.memory_option)
        } else {
            let resource = workload.resource;
            format!(
                "raise the memory limit with `kubectl set resources {resource} -n {namespace} \
                 -c {name} --limits=memory={more}`"
            )
        };
        let cause = format!("{who} was killed for memory at {limit}");
        Some(Clause::new(advice, cause))
    }

    /// A container that runs has failed so lately that it may fail again: when and how.
    pub(super) fn unproven(&self, now: Timestamp) -> Option<Clause> {
        let failed = self.containers().find_map(|container| {
            let ended = failure(container)?;
            let is_unproven = age(container, now).is_some_and(|age| age < PROVEN);
            is_unproven.then_some(ended)
        })?;
        let ended = failed.finished_at.as_ref();
        let ended = ended.map_or_else(String::new, |time| format!(" at {}", moment(time.0)));
        let who = self.workload.name;
        Some(Clause::new(
            format!("waiting for {who} to run for {} minutes", PROVEN.as_mins()),
            format!("it ended with exit code {}{ended}", failed.exit_code),
        ))
    }

    /// The pod that a node has been silent of for the longest time.
    pub(super) fn lost(&self) -> Option<Lost<'_>> {
        let all = self.pods.iter();
        all.filter_map(|pod| lost(pod)).min_by_key(|one| one.since)
    }

    /// Since when one of them has not been ready.
    pub(super) fn unready_since(&self) -> Option<Timestamp> {
        let all = self.pods.iter();
        let since = all.filter_map(|pod| match condition(pod, "Ready") {
            Some(ready) if ready.status == "True" => None,
            Some(ready) => ready.last_transition_time.as_ref(),
            None => pod.metadata.creation_timestamp.as_ref(),
        });
        since.map(|time| time.0).min()
    }
}

/// The container has just come back from a failure, and will show soon whether it fails again.
pub(super) fn is_shaky(container: &ContainerStatus, now: Timestamp) -> bool {
    failure(container).is_some() && age(container, now).is_some_and(|age| age < PROBATION)
}

/// The container fails again and again, whether it runs just now or not. One that has outlived its last failure by far
/// runs because somebody has removed the cause, and is only to prove itself (`Pods::unproven`). So a loop is never good
/// in between, and one whose lives are alike is the same all the time.
pub(super) fn is_in_a_loop(container: &ContainerStatus, now: Timestamp) -> bool {
    let Some(life) = failure(container).and_then(life) else {
        return false;
    };
    let holds_on = |age: SignedDuration| age >= OUTLIVED && age >= life.saturating_mul(2);
    container.restart_count >= RESTARTS_IN_A_LOOP
        && life < PROVEN
        && !has_ended_well(container)
        && !age(container, now).is_some_and(|age| age >= PROVEN || holds_on(age))
}

/// What ends well and is not started again is an init container.
fn has_ended_well(container: &ContainerStatus) -> bool {
    ends(container)
        .next()
        .is_some_and(|last| last.exit_code == 0)
}

/// How long it ran before it ended so.
fn life(ended: &ContainerStateTerminated) -> Option<SignedDuration> {
    let (from, to) = ended.started_at.as_ref().zip(ended.finished_at.as_ref())?;
    Some(to.0.duration_since(from.0))
}

/// A moment as it stands in a status.
pub(in crate::reconcile) fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%MZ").to_string()
}

/// How the container has failed last.
pub(super) fn failure(container: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    ends(container).find(|ended| ended.exit_code != 0)
}

/// How the container has ended, the last time first.
pub(super) fn ends(container: &ContainerStatus) -> impl Iterator<Item = &ContainerStateTerminated> {
    let states = [&container.state, &container.last_state];
    let states = states.into_iter().flatten();
    states.filter_map(|state| state.terminated.as_ref())
}

/// How long the container has been running, if it is.
fn age(container: &ContainerStatus, now: Timestamp) -> Option<SignedDuration> {
    let running = container.state.as_ref()?.running.as_ref()?;
    Some(now.duration_since(running.started_at.as_ref()?.0))
}

fn is_starved(container: &ContainerStatus, now: Timestamp) -> bool {
    let lately = |ended: &ContainerStateTerminated| {
        let time = ended.finished_at.as_ref();
        time.is_none_or(|time| now.duration_since(time.0) < REMEMBERED)
    };
    ends(container).any(|ended| ended.reason.as_deref() == Some(OUT_OF_MEMORY) && lately(ended))
}

fn memory_limit<'a>(pod: &'a Pod, container: &str) -> Option<&'a str> {
    let spec = pod.spec.as_ref()?;
    let mut all = spec
        .init_containers
        .iter()
        .flatten()
        .chain(&spec.containers);
    let named = all.find(|one| one.name == container)?;
    let limits = named.resources.as_ref()?.limits.as_ref()?;
    Some(limits.get("memory")?.0.as_str())
}

/// Twice as much of a quantity. The API server writes them as a number and a unit.
fn doubled(quantity: &str) -> String {
    let digits = quantity.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = quantity.split_at(digits.unwrap_or(quantity.len()));
    match number.parse::<u64>().ok().and_then(|n| n.checked_mul(2)) {
        Some(number) => format!("{number}{unit}"),
        None => "1Gi".into(),
    }
}

/// The node controller takes a pod's readiness when its node is down; what the kubelet said of the containers stays.
fn lost(pod: &Pod) -> Option<Lost<'_>> {
    let ready = condition(pod, "Ready").filter(|ready| ready.status == "False")?;
    let mut containers = pod.status.as_ref()?.container_statuses.iter().flatten();
    let are_said_to_run = containers.next().is_some_and(|first| first.ready)
        && containers.all(|container| container.ready);
    are_said_to_run.then_some(Lost {
        node: node(pod)?,
        since: ready.last_transition_time.as_ref()?.0,
    })
}

fn node(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}
