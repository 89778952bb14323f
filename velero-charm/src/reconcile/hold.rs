//! Fifth stage: the last word on what is done. What would fail work in flight is put off, what such work still
//! needs is kept, and a unit that may not write does nothing.
//!
//! **Invariant:** only this stage makes a [`Final`], and only a final plan can be carried out.
//!
//! A Backup that is being restored is not deleted either, nor one of which it was asked before (`spare.rs`).
//!
//! Containers show whether somebody works, never health: a server that is stopping, or next to a dead one, may still be
//! working, and one that is starting may be working by now.

mod spare;

use std::cmp::Reverse;

use futures::future::try_join_all;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    ResourceExt as _,
    api::{DynamicObject, ListParams},
};
use tracing::{debug, info};

use self::spare::{Spared, Undeleted, spare};
use super::{
    assess::{self, Working},
    observe::Observed,
    plan::{Draft, Expected, Install, Judged, OpenedBy, Plan, Steps, is_credential, is_node_agent},
};
use crate::{
    cluster::{Cluster, ClusterError},
    context::Role,
    error::Error,
    ours::manifests::{self, Plugin},
    velero::{self, running::Running, work},
};

/// What is done, and what is not done for now.
#[derive(Debug)]
pub(super) struct Final {
    /// None for a unit that may not write.
    steps: Option<Steps>,
    held: Held,
}

/// What is not done.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The work that a change waits for.
    pub(super) by: Vec<String>,
    /// What Velero could not delete.
    pub(super) undeleted: Vec<Undeleted>,
}

/// ``Kind `name` `` of each piece of work in flight, by who works on it.
#[derive(Debug, Default)]
struct Work {
    of_server: Vec<String>,
    of_agents: Vec<String>,
}

impl Final {
    /// The steps, none for a unit that may not write, and what is not done.
    pub(super) fn into_parts(self) -> (Option<Steps>, Held) {
        (self.steps, self.held)
    }
}

/// Puts off what would fail work in flight, and keeps the credentials that it began with.
pub(super) async fn hold(
    plan: Plan<Draft>,
    observed: &Observed,
    cluster: &Cluster,
) -> Result<Plan<Final>, Error> {
    let running = &observed.live.running;
    let (work, spared) = match observed.role {
        Role::Leads => (
            in_the_way(&plan.stage.0, running, cluster).await?,
            spare(&plan.stage.0.surplus, cluster).await?,
        ),
        Role::Follows | Role::Leaves => (Work::default(), Spared::default()),
    };
    Ok(finish(plan, observed.role, work, spared, running.server()))
}

/// What the plan could fail of what is in flight. Looks for nothing that it could not.
async fn in_the_way(
    steps: &Steps,
    running: &Running,
    cluster: &Cluster,
) -> Result<Work, ClusterError> {
    let mut work = Work::default();
    if !steps.interrupts() && !steps.drops_credentials() {
        return Ok(work);
    }
    let server = assess::working(&running.pods, velero::SERVER_PODS);
    work.of_server = in_flight(&work::OF_THE_SERVER, server, cluster).await?;
    // As a rule it belongs to a Backup or Restore, which is what a user knows.
    let concerns_agents = steps.ends_node_agents() || steps.drops_credentials();
    if work.of_server.is_empty() && concerns_agents {
        let agents = assess::working(&running.pods, velero::NODE_AGENT_PODS);
        work.of_agents = in_flight(&work::OF_THE_NODE_AGENT, agents, cluster).await?;
    }
    Ok(work)
}

/// ``Kind `name` `` of each that is in flight.
async fn in_flight(
    kinds: &[&str],
    working: Working,
    cluster: &Cluster,
) -> Result<Vec<String>, ClusterError> {
    if working == Working::No {
        return Ok(Vec::new());
    }
    let of_kind = async |kind: &&str| {
        let api = cluster.dynamic(&velero::kind(kind));
        let name = |object: DynamicObject| {
            is_worked_on(&object, working, Timestamp::now())
                .then(|| format!("{kind} `{}`", object.name_any()))
        };
        cluster.sift(&api, ListParams::default(), name).await
    };
    let all = try_join_all(kinds.iter().map(of_kind)).await?;
    Ok(all.into_iter().flatten().collect())
}

/// What was in flight before a server was made is lost already, and must not hold up what lets that one start.
fn is_worked_on(object: &DynamicObject, working: Working, now: Timestamp) -> bool {
    let is_in_flight = || work::is_in_flight(object, now);
    match working {
        Working::No => false,
        Working::OnWhatBeganSince(Reverse(moment)) => {
            is_in_flight() && work::begun(object, now).is_none_or(|begun| begun >= moment)
        }
        Working::Yes => is_in_flight(),
    }
}

/// Makes the plan final.
fn finish(
    plan: Plan<Draft>,
    role: Role,
    work: Work,
    spared: Spared,
    server: Option<&Deployment>,
) -> Plan<Final> {
    let Plan {
        stage: Draft(steps),
        expected,
        of_unit,
    } = plan;
    if role != Role::Leads {
        let stage = Final {
            steps: None,
            held: Held::default(),
        };
        let expected = unchanged(expected);
        return Plan {
            stage,
            expected,
            of_unit,
        };
    }
    let steps = Steps {
        surplus: spared.surplus,
        ..keep_credentials(steps, &work)
    };
    let held_by = held_by(&steps, work);
    let (steps, expected) = if held_by.is_empty() {
        (steps, expected)
    } else {
        let all = held_by.join(", ");
        info!("A change that restarts Velero waits for {all}.");
        put_off(steps, expected, server)
    };
    let stage = Final {
        steps: Some(steps),
        held: Held {
            by: held_by,
            undeleted: spared.undeleted,
        },
    };
    Plan {
        stage,
        expected,
        of_unit,
    }
}

/// Work asks for its credential by name until the end. A former one goes in a later hook.
fn keep_credentials(mut steps: Steps, work: &Work) -> Steps {
    let all = [work.of_server.as_slice(), &work.of_agents].concat();
    if steps.drops_credentials() && !all.is_empty() {
        debug!("The former credential stays for {}.", all.join(", "));
        steps.deletions.retain(|deletion| !is_credential(deletion));
    }
    steps
}

/// The work that the steps would fail.
fn held_by(steps: &Steps, work: Work) -> Vec<String> {
    if !steps.interrupts() {
        return Vec::new();
    }
    let mut all = work.of_server;
    if steps.ends_node_agents() {
        all.extend(work.of_agents);
    }
    all
}

/// Leaves out what ends pods, and what would be of no use without it.
fn put_off(steps: Steps, expected: Expected, server: Option<&Deployment>) -> (Steps, Expected) {
    if can_open(steps.install.as_ref(), server) {
        let mut deletions = steps.deletions;
        deletions.retain(|deletion| !is_node_agent(deletion));
        let steps = Steps {
            install: None,
            deletions,
            ..steps
        };
        return (steps, expected);
    }
    // What was read is kept all the same, or each hook would ask for it.
    let steps = Steps {
        credentials: steps.credentials,
        waits: steps.waits,
        password: steps.password,
        observers: steps.observers,
        ..Steps::default()
    };
    (steps, unchanged(expected))
}

/// The server that runs can open the store that is asked for. A location can only change without the pods if they have
/// the plugin for it already, and are who they have to be.
fn can_open(install: Option<&Install>, server: Option<&Deployment>) -> bool {
    let container = |plugin: Option<Plugin>| plugin.map(|plugin| plugin.container);
    install.is_none_or(|install| {
        let wanted = install.basis.workload();
        let is_known = match install.opened_by {
            OpenedBy::Keys => true,
            OpenedBy::Pods => server.is_some_and(|server| manifests::is_identified(server, wanted)),
        };
        is_known && container(wanted.plugin.clone()) == container(server.and_then(Plugin::of))
    })
}

/// The same if the location does not change.
fn unchanged(expected: Expected) -> Expected {
    let location = match expected.location {
        Judged::Changed { .. } => Judged::Yes,
        location @ (Judged::No | Judged::AsItIs | Judged::Yes) => location,
    };
    Expected {
        location,
        ..expected
    }
}

#[cfg(test)]
mod tests;
