//! Eighth stage: how Velero is doing, by what was seen of it.
//!
//! Containers decide, not the Deployment's `Available`, which flickers in a crash loop; a verdict on the store counts
//! only if it is younger than our last write and the running server.

mod lapse;
mod pods;
mod protection;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment, DeploymentCondition},
        core::v1::{Event, Pod},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{ResourceExt, api::DynamicObject};

pub(super) use self::lapse::moment;
pub(super) use self::pods::{Working, working};
pub(super) use self::protection::{Protection, protection};
use self::{
    lapse::Lost,
    pods::{NODE_AGENT, Pods, SERVER},
};
use super::plan::{Expected, Judged, Presence};
use crate::{
    juju::Clause,
    ours::location::changed_at,
    velero::{
        self, LOCATION,
        location::{self, Phase, Verdict},
        running::Running,
    },
};

/// A store that works is judged in seconds, and one that is out of reach in ten.
const PATIENCE: SignedDuration = SignedDuration::from_mins(2);
/// Pods that have not come up by then do not come up on their own, nor do nodes. Kubernetes calls a rollout failed
/// after as long.
const PATIENCE_WITH_PODS: SignedDuration = SignedDuration::from_mins(10);
/// Verdicts carry whole seconds, so this is one at least.
const OVERTAKEN: SignedDuration = SignedDuration::from_secs(2);
/// Five checks were missed.
const STALE: SignedDuration = SignedDuration::from_mins(6);

/// How one part of Velero is doing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum PartHealth {
    Good,
    /// On its way; waiting can help.
    Pending(String),
    /// Waiting can help, but for longer than a hook has.
    Later(Clause),
    /// It will not recover on its own.
    Bad(Clause),
}

/// How Velero is doing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Health {
    pub(super) server: PartHealth,
    pub(super) node_agent: PartHealth,
    pub(super) location: PartHealth,
}

impl Health {
    /// Nothing that is awaited can still make it good.
    pub(super) fn is_settled(&self) -> bool {
        let parts = self.parts();
        let is_awaited = |part: &&PartHealth| matches!(part, PartHealth::Pending(_));
        parts.iter().any(|part| matches!(part, PartHealth::Bad(_))) || !parts.iter().any(is_awaited)
    }

    fn parts(&self) -> [&PartHealth; 3] {
        [&self.server, &self.node_agent, &self.location]
    }
}

/// Reads the health of what is expected.
pub(super) fn assess(running: &Running, expected: &Expected, now: Timestamp) -> Health {
    let server = server(running.server(), &running.pods, now);
    let node_agent = match (expected.node_agent, running.node_agent()) {
        (Presence::No, _) | (Presence::AsItIs, None) => PartHealth::Good,
        (Presence::AsItIs | Presence::Yes, live) => node_agent(live, running, now),
    };
    let location = match (&expected.location, running.location(), &server) {
        (Judged::No, ..) | (Judged::AsItIs, None, _) => PartHealth::Good,
        (wanted, live, PartHealth::Good | PartHealth::Later(_)) => {
            judged(live, wanted, running, now)
        }
        // Only a running server gives a verdict.
        _ => PartHealth::Pending(String::new()),
    };
    Health {
        server,
        node_agent,
        location,
    }
}

/// The server alone.
fn server(
    deployment: Option<&Deployment>,
    pods: &BTreeMap<String, Pod>,
    now: Timestamp,
) -> PartHealth {
    let Some(deployment) = deployment else {
        return PartHealth::Pending("the leader to install Velero".into());
    };
    if let Some(reason) = refused(deployment, now) {
        return PartHealth::Bad(reason.prefix("the Velero server's pod is refused"));
    }
    let pods = Pods::of(&SERVER, pods);
    let status = deployment.status.clone().unwrap_or_default();
    // A pod that is about to be replaced says nothing about its successor.
    let is_taken_up = status.observed_generation >= deployment.metadata.generation
        && status.updated_replicas.unwrap_or(0) == status.replicas.unwrap_or(0);
    if is_taken_up && let Some(trouble) = trouble(&pods, now) {
        return PartHealth::Bad(trouble);
    }
    if let Some(lost) = pods.lost() {
        return down(&lost, pods.workload.name, now);
    }
    let wanted = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1);
    let rolled_out = is_taken_up
        && status.replicas.unwrap_or(0) == wanted
        && status.available_replicas.unwrap_or(0) == wanted;
    if rolled_out && pods.are_steady(now) {
        return pods
            .unproven(now)
            .map_or(PartHealth::Good, PartHealth::Later);
    }
    let written = last_write(deployment);
    let since = match available(deployment) {
        Some(available) if available.status == "True" && is_taken_up => None,
        Some(available) => available
            .last_transition_time
            .as_ref()
            .map(|time| time.0.max(written)),
        None => Some(written),
    };
    if let Some(overdue) = overdue(&pods, since, &deployment.metadata, "", now) {
        return overdue;
    }
    PartHealth::Pending(pods.progress().map_or_else(
        || "the Velero server to start".into(),
        |what| format!("the Velero server to start ({what})"),
    ))
}

/// What nobody but the user ends, of pods that are there to stay.
fn trouble(pods: &Pods<'_>, now: Timestamp) -> Option<Clause> {
    let hopeless = || {
        let reason = pods.hopeless(now)?;
        Some(reason.prefix(&format!("{} does not start", pods.workload.name)))
    };
    pods.starved(now).or_else(hopeless)
}

/// A node is down, and with it what runs there.
fn down(lost: &Lost<'_>, what: &str, now: Timestamp) -> PartHealth {
    let Lost { node, since } = *lost;
    let cause = format!("{what} on it has not been ready since {}", moment(since));
    if now.duration_since(since) < PATIENCE_WITH_PODS {
        let advice = format!("waiting for node `{node}` to come back");
        return PartHealth::Later(Clause::new(advice, cause));
    }
    let advice = format!(
        "bring node `{node}` back, or run `kubectl delete node {node}` if it is gone for good"
    );
    PartHealth::Bad(Clause::new(advice, cause))
}

/// Pods that have been on their way for too long.
fn overdue(
    pods: &Pods<'_>,
    since: Option<Timestamp>,
    of: &ObjectMeta,
    ready: &str,
    now: Timestamp,
) -> Option<PartHealth> {
    let since = since.filter(|since| now.duration_since(*since) >= PATIENCE_WITH_PODS)?;
    let namespace = of.namespace.as_deref().unwrap_or_default();
    let (what, since) = (pods.workload.name, moment(since));
    let cause = format!("{what} has not been ready since {since}{ready}");
    Some(PartHealth::Bad(Clause::new(pods.see(namespace), cause)))
}

/// Whether the Deployment has a pod that is ready, and since when.
fn available(deployment: &Deployment) -> Option<&DeploymentCondition> {
    let mut conditions = deployment.status.as_ref()?.conditions.iter().flatten();
    conditions.find(|condition| condition.type_ == "Available")
}

/// When what is wanted of the object was last written, by anyone.
fn last_write(object: &impl ResourceExt) -> Timestamp {
    let writes = object.managed_fields().iter();
    let writes = writes.filter(|entry| entry.subresource.as_deref().unwrap_or_default().is_empty());
    let times = writes.filter_map(|entry| entry.time.as_ref());
    let times = times.chain(object.meta().creation_timestamp.as_ref());
    times.map(|time| time.0).max().unwrap_or(Timestamp::MAX)
}

/// The API server's reason for not letting a pod be made at all.
fn refused(deployment: &Deployment, now: Timestamp) -> Option<Clause> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    let failure = conditions
        .iter()
        .find(|c| c.type_ == "ReplicaFailure" && c.status == "True")?;
    let since = failure.last_transition_time.as_ref().map(|time| time.0);
    let message = failure.message.as_deref()?;
    if may_be_outdated(message, since, deployment, now) {
        return None;
    }
    // As the charm makes it, every level takes it.
    let undo = "undo what was edited in Deployment `velero`";
    Some(plain_refusal(message, undo))
}

/// The same for the node agent, of which only events tell.
fn refused_agent(
    daemon_set: &DaemonSet,
    events: &BTreeMap<String, Event>,
    now: Timestamp,
) -> Option<Clause> {
    let status = daemon_set.status.as_ref()?;
    if status.current_number_scheduled >= status.desired_number_scheduled {
        return None;
    }
    let of_this_one = events
        .values()
        .filter(|event| event.involved_object.uid == daemon_set.metadata.uid);
    let at = |event: &Event| event.last_timestamp.as_ref().map(|time| time.0);
    let latest = of_this_one.max_by_key(|event| at(event))?;
    let message = latest.message.as_deref()?;
    if may_be_outdated(message, at(latest), daemon_set, now) {
        return None;
    }
    // It mounts folders of the node, which no other level takes.
    let label = "label the namespace `pod-security.kubernetes.io/enforce=privileged`";
    Some(plain_refusal(message, label))
}

/// Controllers try again later and later: a refusal stays on record when what it is about has been put right. It may be
/// about what the workload was before it was last written; and the ServiceAccount is made before the workload is looked
/// at.
fn may_be_outdated(
    message: &str,
    refused: Option<Timestamp>,
    workload: &impl ResourceExt,
    now: Timestamp,
) -> bool {
    let written = last_write(workload);
    let is_older = refused.is_some_and(|refused| refused.as_second() < written.as_second());
    let missing = format!("serviceaccount \"{}\" not found", velero::SERVER);
    message.contains(&missing) || is_older && now.duration_since(written) < PATIENCE
}

/// The API server's words without the name of the pod, which is another one each time.
fn plain_refusal(message: &str, advice: &str) -> Clause {
    let reason = message
        .split_once(" is forbidden: ")
        .map_or(message, |(_, reason)| reason);
    if reason.contains("PodSecurity") {
        return Clause::new(advice, without_asides(reason));
    }
    Clause::of_cause(reason)
}

/// The text without what stands in brackets: each container by name, with every setting it lacks, which
/// would leave no room for what to do.
fn without_asides(text: &str) -> String {
    let mut parts = text.split(" (");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |kept, part| {
        kept + part.split_once(')').map_or("", |(_, rest)| rest)
    })
}

fn node_agent(live: Option<&DaemonSet>, running: &Running, now: Timestamp) -> PartHealth {
    let Some(daemon_set) = live else {
        return PartHealth::Pending("the leader to install the node agent".into());
    };
    let pods = Pods::of(&NODE_AGENT, &running.pods);
    let status = daemon_set.status.clone().unwrap_or_default();
    let is_taken_up = status.observed_generation >= daemon_set.metadata.generation;
    if is_taken_up && let Some(trouble) = trouble(&pods, now) {
        return PartHealth::Bad(trouble);
    }
    if let Some(reason) = refused_agent(daemon_set, &running.refusals, now) {
        return PartHealth::Bad(reason.prefix("the node agent's pods are refused"));
    }
    if let Some(lost) = pods.lost() {
        return down(&lost, pods.workload.name, now);
    }
    let wanted = status.desired_number_scheduled;
    let ready = status.number_ready;
    let rolled_out = is_taken_up
        && status.observed_generation.is_some()
        && status.updated_number_scheduled.unwrap_or(0) == wanted
        && ready == wanted;
    if rolled_out && pods.are_steady(now) {
        return pods
            .unproven(now)
            .map_or(PartHealth::Good, PartHealth::Later);
    }
    let ready = format!(" ({ready} of {wanted} ready)");
    let written = last_write(daemon_set);
    let since = if is_taken_up && !pods.is_empty() {
        // As long as all are ready, the others' turn has yet to come.
        pods.unready_since().map(|since| since.max(written))
    } else {
        Some(written)
    };
    if let Some(overdue) = overdue(&pods, since, &daemon_set.metadata, &ready, now) {
        return overdue;
    }
    PartHealth::Pending(format!("the node agent to start{ready}"))
}

fn judged(
    live: Option<&DynamicObject>,
    wanted: &Judged,
    running: &Running,
    now: Timestamp,
) -> PartHealth {
    let Some(live) = live else {
        return PartHealth::Pending("the leader to configure the object store".into());
    };
    let verdict = location::verdict(live);
    let (changed, started) = (changed_at(live), server_started(&running.pods));
    if !is_news(&verdict, wanted, changed, started) {
        let asked = changed.max(started);
        let is_overdue = asked.is_some_and(|asked| now.duration_since(asked) > PATIENCE);
        return if is_overdue {
            PartHealth::Bad(silence(running))
        } else {
            PartHealth::Pending("Velero to check the object store".into())
        };
    }
    match &verdict.phase {
        Some(Phase::Available) if is_stale(live, &verdict, now) => {
            PartHealth::Bad(silence(running))
        }
        Some(Phase::Available) => PartHealth::Good,
        Some(Phase::Unavailable)
            if may_be_overtaken(&verdict, wanted, now)
                || has_yet_to_see_credential(&verdict, live, now) =>
        {
            PartHealth::Pending("Velero to check the object store".into())
        }
        Some(Phase::Unavailable) => {
            let cause = location::plain_message(&verdict.message);
            let cause = cause.trim_end_matches('.');
            PartHealth::Bad(Clause::of_cause(format!(
                "object store unavailable: {cause}"
            )))
        }
        Some(Phase::Other(phase)) => PartHealth::Bad(in_other_words(phase, &verdict, live)),
        None => PartHealth::Pending("Velero to check the object store".into()),
    }
}

/// What this charm has no words for is passed on in Velero's own.
fn in_other_words(phase: &str, verdict: &Verdict, location: &DynamicObject) -> Clause {
    let message = match location::plain_message(&verdict.message) {
        message if message.is_empty() => String::new(),
        message => format!(": {}", message.trim_end_matches('.')),
    };
    let namespace = location.metadata.namespace.as_deref().unwrap_or_default();
    Clause::new(
        format!(
            "see `kubectl describe backupstoragelocations.velero.io {LOCATION} -n {namespace}`"
        ),
        format!("Velero reports `{phase}` for the object store{message}"),
    )
}

/// Velero checks one location after the other: one whose store takes the connection and then says
/// nothing keeps all of them waiting.
fn silence(running: &Running) -> Clause {
    let others: Vec<_> = running
        .locations
        .keys()
        .filter(|name| *name != LOCATION)
        .collect();
    let others = match others.as_slice() {
        [] => String::new(),
        [first, ..] => format!(" (or that of location `{first}` does not)"),
    };
    Clause::new(
        "check the object store",
        format!("it accepts connections but does not respond{others}"),
    )
}

/// A check of the location as it was may still have been under way when it was changed; then the
/// verdict on the new one follows at once.
fn may_be_overtaken(verdict: &Verdict, wanted: &Judged, now: Timestamp) -> bool {
    let Judged::Changed { .. } = wanted else {
        return false;
    };
    verdict.last_validation_time.is_some_and(|given| {
        let age = now.duration_since(given);
        // Clocks may differ; one that is ahead must not make us wait.
        !age.is_negative() && age < OVERTAKEN
    })
}

/// Velero reads Secrets out of a cache, which may lag behind the location that names a new one. It finds that at its next
/// check, within a minute.
fn has_yet_to_see_credential(verdict: &Verdict, live: &DynamicObject, now: Timestamp) -> bool {
    let is_missed = location::credential(live)
        .is_some_and(|name| verdict.message.contains(&format!("\"{name}\" not found")));
    let changed = changed_at(live);
    is_missed && changed.is_some_and(|changed| now.duration_since(changed) < PATIENCE)
}

/// Velero checks a location every minute unless the location says otherwise.
fn is_stale(location: &DynamicObject, verdict: &Verdict, now: Timestamp) -> bool {
    let every_minute = location.data.pointer("/spec/validationFrequency").is_none();
    let given = verdict.last_validation_time;
    every_minute && given.is_some_and(|given| now.duration_since(given) > STALE)
}

/// The verdict is on the location as it is now. The hook that changed it goes by what Velero said
/// before; later ones can only compare times.
fn is_news(
    verdict: &Verdict,
    wanted: &Judged,
    changed: Option<Timestamp>,
    server_started: Option<Timestamp>,
) -> bool {
    // Where Velero has said something without a time that can be read, there is nothing to compare.
    let given = verdict.last_validation_time;
    let not_before =
        |moment: Timestamp| given.is_none_or(|given| given.as_second() >= moment.as_second());
    let on_this_location = match wanted {
        Judged::Changed { before } => verdict != before,
        Judged::Yes | Judged::AsItIs | Judged::No => changed.is_none_or(not_before),
    };
    verdict.phase.is_some() && on_this_location && server_started.is_none_or(not_before)
}

fn server_started(pods: &BTreeMap<String, Pod>) -> Option<Timestamp> {
    Pods::of(&SERVER, pods).started(velero::SERVER)
}

#[cfg(test)]
mod tests;
