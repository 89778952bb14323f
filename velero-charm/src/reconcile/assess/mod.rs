//! Eighth stage: how Velero is doing, by what was seen of it.
//!
//! Containers decide, not the Deployment's `Available`, which flickers in a crash loop; a verdict on the store counts
//! only if it is younger than our last write and the running server.

mod pods;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment},
    core::v1::{Event, Pod},
};
use kube::api::DynamicObject;

use self::pods::Pods;
pub(super) use self::pods::has_running_container;
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
/// Verdicts carry whole seconds, so this is one at least.
const OVERTAKEN: SignedDuration = SignedDuration::from_secs(2);
/// Five checks were missed.
const STALE: SignedDuration = SignedDuration::from_mins(6);

/// How one part of Velero is doing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Part {
    Good,
    /// On its way; waiting can help.
    Pending(String),
    /// It will not recover on its own.
    Bad(Clause),
}

/// How Velero is doing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Health {
    pub(super) server: Part,
    pub(super) node_agent: Part,
    pub(super) location: Part,
}

impl Health {
    /// Everything is as it should be.
    pub(super) fn is_good(&self) -> bool {
        self.parts().iter().all(|part| **part == Part::Good)
    }

    /// Nothing that is awaited can still make it good.
    pub(super) fn is_settled(&self) -> bool {
        let parts = self.parts();
        parts.iter().any(|part| matches!(part, Part::Bad(_))) || self.is_good()
    }

    fn parts(&self) -> [&Part; 3] {
        [&self.server, &self.node_agent, &self.location]
    }
}

/// Reads the health of what is expected.
pub(super) fn assess(running: &Running, expected: &Expected, now: Timestamp) -> Health {
    let server = server(running.server(), &running.pods, now);
    let node_agent = match (expected.node_agent, running.node_agent()) {
        (Presence::No, _) | (Presence::AsItIs, None) => Part::Good,
        (Presence::AsItIs | Presence::Yes, live) => node_agent(live, running, now),
    };
    let location = match (&expected.location, running.location(), &server) {
        (Judged::No, ..) | (Judged::AsItIs, None, _) => Part::Good,
        (wanted, live, Part::Good) => judged(live, wanted, running, now),
        // Only a running server gives a verdict.
        _ => Part::Pending(String::new()),
    };
    Health {
        server,
        node_agent,
        location,
    }
}

/// The server alone.
fn server(deployment: Option<&Deployment>, pods: &BTreeMap<String, Pod>, now: Timestamp) -> Part {
    let Some(deployment) = deployment else {
        return Part::Pending("the leader to install Velero".into());
    };
    if let Some(reason) = refused(deployment) {
        return Part::Bad(reason.prefix("the Velero server's pod is refused"));
    }
    let pods = Pods::select(pods, velero::SERVER_PODS);
    let status = deployment.status.clone().unwrap_or_default();
    // A pod that is about to be replaced says nothing about its successor.
    let is_taken_up = status.observed_generation >= deployment.metadata.generation
        && status.updated_replicas.unwrap_or(0) == status.replicas.unwrap_or(0);
    if let Some(reason) = pods.hopeless().filter(|_| is_taken_up) {
        return Part::Bad(reason.prefix("the Velero server does not start"));
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
        return Part::Good;
    }
    Part::Pending(pods.progress().map_or_else(
        || "the Velero server to start".into(),
        |what| format!("the Velero server to start ({what})"),
    ))
}

/// The API server's reason for not letting a pod be made at all.
fn refused(deployment: &Deployment) -> Option<Clause> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    let failure = conditions
        .iter()
        .find(|c| c.type_ == "ReplicaFailure" && c.status == "True")?;
    Some(plain_refusal(failure.message.as_deref()?, "baseline"))
}

/// The same for the node agent, of which only events tell.
fn refused_agent(daemon_set: &DaemonSet, events: &BTreeMap<String, Event>) -> Option<Clause> {
    let status = daemon_set.status.as_ref()?;
    if status.current_number_scheduled >= status.desired_number_scheduled {
        return None;
    }
    let of_this_one = events
        .values()
        .filter(|event| event.involved_object.uid == daemon_set.metadata.uid);
    let latest =
        of_this_one.max_by_key(|event| event.last_timestamp.as_ref().map(|time| time.0))?;
    // It mounts folders of the node.
    Some(plain_refusal(latest.message.as_deref()?, "privileged"))
}

/// The API server's words without the name of the pod, which is another one each time.
fn plain_refusal(message: &str, level: &str) -> Clause {
    let reason = message
        .split_once(" is forbidden: ")
        .map_or(message, |(_, reason)| reason);
    if reason.contains("PodSecurity") {
        let advice = format!("label the namespace `pod-security.kubernetes.io/enforce={level}`");
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

fn node_agent(live: Option<&DaemonSet>, running: &Running, now: Timestamp) -> Part {
    let Some(daemon_set) = live else {
        return Part::Pending("the leader to install the node agent".into());
    };
    let pods = Pods::select(&running.pods, velero::NODE_AGENT_PODS);
    let status = daemon_set.status.clone().unwrap_or_default();
    let is_taken_up = status.observed_generation >= daemon_set.metadata.generation;
    if let Some(reason) = pods.hopeless().filter(|_| is_taken_up) {
        return Part::Bad(reason.prefix("the node agent does not start"));
    }
    if let Some(reason) = refused_agent(daemon_set, &running.refusals) {
        return Part::Bad(reason.prefix("the node agent's pods are refused"));
    }
    let wanted = status.desired_number_scheduled;
    let ready = status.number_ready;
    let rolled_out = is_taken_up
        && status.observed_generation.is_some()
        && status.updated_number_scheduled.unwrap_or(0) == wanted
        && ready == wanted;
    if rolled_out && pods.are_steady(now) {
        return Part::Good;
    }
    Part::Pending(format!(
        "the node agent to start ({ready} of {wanted} ready)"
    ))
}

fn judged(
    live: Option<&DynamicObject>,
    wanted: &Judged,
    running: &Running,
    now: Timestamp,
) -> Part {
    let Some(live) = live else {
        return Part::Pending("the leader to configure the object store".into());
    };
    let verdict = location::verdict(live);
    let (changed, started) = (changed_at(live), server_started(&running.pods));
    if !is_news(&verdict, wanted, changed, started) {
        let asked = changed.max(started);
        let is_overdue = asked.is_some_and(|asked| now.duration_since(asked) > PATIENCE);
        return if is_overdue {
            Part::Bad(silence(running))
        } else {
            Part::Pending("Velero to check the object store".into())
        };
    }
    match &verdict.phase {
        Some(Phase::Available) if is_stale(live, &verdict, now) => Part::Bad(silence(running)),
        Some(Phase::Available) => Part::Good,
        Some(Phase::Unavailable) if may_be_overtaken(&verdict, wanted, now) => {
            Part::Pending("Velero to check the object store".into())
        }
        Some(Phase::Unavailable) => {
            let cause = location::plain_message(&verdict.message);
            let cause = cause.trim_end_matches('.');
            Part::Bad(Clause::of_cause(format!(
                "object store unavailable: {cause}"
            )))
        }
        Some(Phase::Other(phase)) => Part::Bad(in_other_words(phase, &verdict, live)),
        None => Part::Pending("Velero to check the object store".into()),
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
    Pods::select(pods, velero::SERVER_PODS).started(velero::SERVER)
}

#[cfg(test)]
mod tests;
