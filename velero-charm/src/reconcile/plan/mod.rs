//! Fourth stage: what has to be done, and what is to be seen afterwards.
//!
//! **Invariant:** equal worlds give an empty plan (`equal_worlds_give_an_empty_plan`). Pure: what is drawn by
//! lot or read from a clock is handed in.

mod clients;
mod expected;
mod install;
mod keep;
pub(super) mod observers;
mod storage;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::DynamicObject;
use provider_api::secrecy::SecretString;
use serde_json::Value;

pub(super) use self::clients::Schedules;
pub(super) use self::expected::{Expected, Judged, Presence};
pub(super) use self::keep::Surplus;
use self::observers::ForObservers;
use super::{
    observe::{Governed, Live, Observed},
    validate::{Desired, Intent},
};
use crate::{
    cluster::deletion::Deletion,
    context::Place,
    juju::Unit,
    ours::{
        credential::Readings,
        password::{Password, Step},
        record::{Basis, Seen},
    },
    relations::{observer::Words, storage::StorageRelation},
};

/// What has to be done, and what is to be seen once it is. Only a plan of the stage
/// [`Final`](super::hold::Final) can be carried out.
#[derive(Debug)]
pub(super) struct Plan<S> {
    pub(super) stage: S,
    pub(super) expected: Expected,
    /// What this unit has to say of itself, no matter who leads.
    pub(super) of_unit: Vec<Words>,
}

/// Everything that would have to be done if nobody were working.
#[derive(Debug)]
pub(super) struct Draft(pub(super) Steps);

/// What has to be done, in this order: labels, CRDs, RBAC, repositories, Secrets (the
/// password before the first server, which else makes one that everybody knows), locations, Schedules, workloads, and at
/// last the deletions.
#[derive(Debug, Default)]
pub(super) struct Steps {
    /// Of a location only labels are missing. They are put back without an apply, which would give the location a
    /// new date: what Velero has said of it would no longer count, and it would say nothing more for a while.
    pub(super) relabelled: Option<DynamicObject>,
    /// What the user may want to know of a location that changes.
    pub(super) remarks: Vec<String>,
    pub(super) install: Option<Install>,
    /// Known to be in a store that the location leaves. Velero takes them for being in the next one too,
    /// unless it sees the location change; and once that has changed, nothing tells where they were.
    pub(super) repositories: Option<Deletion>,
    pub(super) password: Option<Step>,
    pub(super) credentials: Vec<Credential>,
    pub(super) locations: Vec<DynamicObject>,
    pub(super) schedules: Schedules,
    pub(super) deletions: Vec<Deletion>,
    /// What Velero is to be asked to delete, which takes its time: nothing waits for it.
    pub(super) surplus: Vec<Surplus>,
    pub(super) waits: Vec<Wait>,
    pub(super) observers: ForObservers,
}

/// Since when an integrator is waited for, to be noted in its relation; `None` if it no longer is.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Wait {
    pub(super) relation: String,
    pub(super) since: Option<Timestamp>,
}

/// The manifests are to be rendered and applied.
#[derive(Debug)]
pub(super) struct Install {
    pub(super) basis: Basis,
    /// CRDs that are as new as ours or newer, and so are left alone.
    pub(super) current_definitions: BTreeSet<String>,
    /// CRDs of which it was found out earlier that they are newer.
    pub(super) newer_definitions: BTreeMap<String, Seen>,
    /// Our binding to another role than ours. A binding's role cannot be changed.
    pub(super) misbound: Option<String>,
    /// Bindings of ours under a name that we gave them before.
    pub(super) former_bindings: Vec<String>,
    /// Documents that Velero's programs read. They come before the pods, which find them when they start.
    pub(super) config_maps: Vec<ConfigMap>,
    /// How much of a repository is kept on a node, if it has changed; null for Velero's own limit. Those that are there
    /// keep what they were made with unless they are told.
    pub(super) cache_limit: Option<Value>,
    /// Names of ConfigMaps with documents that nobody reads once it is done.
    pub(super) unread: Vec<String>,
    pub(super) effect: Effect,
    pub(super) opened_by: OpenedBy,
    pub(super) rollout: Rollout,
}

/// What opens the store that is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum OpenedBy {
    /// Keys in the cluster, or it is left as it is.
    Keys,
    /// What the cloud gives to Velero's pods.
    Pods,
}

/// How the live server is replaced when its pod template changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Rollout {
    /// As we want it, or there is no server.
    AsWanted,
    /// Pod by pod. The API server refuses our way as long as the settings of that one are there.
    Rolling,
}

/// What an install does to the pods that run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Effect {
    /// There are none yet, or they stay as they are.
    Harmless,
    /// The server's is replaced, which fails what it is working on.
    EndsServer,
    /// The node agent's are, and perhaps the server's too.
    EndsAgents,
}

/// A Secret of ours that is to be written.
#[derive(Debug)]
pub(super) struct Credential {
    pub(super) name: String,
    pub(super) content: Body,
    /// What its notes are to tell of.
    pub(super) readings: Readings,
}

/// What is in a Secret that is to be written.
#[derive(Debug)]
pub(super) enum Body {
    /// What was read, and the credential file if the store can be used.
    New(Option<SecretString>),
    /// What is in it already: only the notes change.
    AsItIs,
}

/// What a plan is made from, in addition to what is asked for.
#[derive(Clone, Copy, Debug)]
struct World<'a> {
    live: &'a Live,
    governed: &'a [Governed],
    /// What was read of relations' secrets.
    readings: &'a Readings,
    password: Option<&'a Password>,
    place: Place<'a>,
    /// For a Secret, if a new one is needed.
    fresh_name: &'a str,
    relations: &'a [StorageRelation],
    now: Timestamp,
}

/// Compares what is asked for with what is there.
pub(super) fn plan(
    desired: &Desired,
    observed: &Observed,
    place: Place<'_>,
    unit: &Unit,
    fresh_name: &str,
    now: Timestamp,
) -> Plan<Draft> {
    let world = World {
        live: &observed.live,
        governed: &observed.backups.governed,
        readings: &observed.readings(),
        password: observed.password.as_ref(),
        place,
        fresh_name,
        relations: &observed.relations,
        now,
    };
    let Plan {
        stage: Draft(steps),
        expected,
        ..
    } = draft(desired, world);
    Plan {
        stage: Draft(Steps {
            observers: observers::of_application(observed, place, unit),
            ..steps
        }),
        expected,
        of_unit: observers::of_unit(observed, unit),
    }
}

fn draft(desired: &Desired, world: World<'_>) -> Plan<Draft> {
    let steps = steps(desired, world);
    let live = world.live.running.location();
    Plan {
        expected: Expected::of(&steps, desired, live),
        stage: Draft(steps),
        of_unit: Vec::new(),
    }
}

/// Without a valid config nothing is done but to keep what was read, or to doubt it.
fn steps(desired: &Desired, world: World<'_>) -> Steps {
    let World {
        live,
        place,
        password,
        ..
    } = world;
    let mut steps = Steps {
        waits: waits(desired, world),
        ..Steps::default()
    };
    let Ok(core) = &desired.core else {
        steps.password = password.and_then(Password::doubt);
        storage::keep(&mut steps, &desired.storage, world);
        return steps;
    };
    steps.password = password.and_then(Password::step);
    steps.install = install::install(core, &desired.storage, live, place);
    match &desired.storage {
        Intent::Set {
            descriptor,
            storage,
            ..
        } => storage::set(&mut steps, descriptor, storage, world),
        Intent::None => storage::clear(&mut steps, world),
        Intent::Keep(_) => storage::keep(&mut steps, &desired.storage, world),
    }
    steps.schedules = clients::schedules(core, desired, world);
    let agent = install::unwanted_agent(core, live, place);
    steps.deletions.extend(agent);
    steps.surplus = keep::surplus(desired, &steps, world);
    steps
}

/// What is to be noted of how long integrators are waited for.
fn waits(desired: &Desired, world: World<'_>) -> Vec<Wait> {
    let changed = world.relations.iter().filter_map(|relation| {
        let since = match (desired.is_awaited(), relation.own.waiting_since) {
            (true, None) => Some(world.now),
            (false, Some(_)) => None,
            (true, Some(_)) | (false, None) => return None,
        };
        let relation = relation.own.id.clone();
        Some(Wait { relation, since })
    });
    changed.collect()
}

impl Steps {
    /// Nothing is to be done.
    pub(super) fn is_empty(&self) -> bool {
        self.is_only_notes()
            && self.credentials.is_empty()
            && self.waits.is_empty()
            && self.password.is_none()
            && self.observers.is_empty()
            && self.schedules.is_empty()
            && self.surplus.is_empty()
    }

    /// Nothing in it concerns Velero: it keeps what was read or awaited, or tells others, no more.
    pub(super) fn is_only_notes(&self) -> bool {
        // Taken apart without `..`: a field that is added must count here.
        let Self {
            relabelled,
            remarks: _,
            install,
            repositories,
            password: _,
            credentials: _,
            waits: _,
            observers: _,
            locations,
            // Velero takes these up without a word.
            schedules: _,
            surplus: _,
            deletions,
        } = self;
        relabelled.is_none()
            && install.is_none()
            && repositories.is_none()
            && locations.is_empty()
            && deletions.is_empty()
    }

    /// Carrying it out ends pods that may be working on a Backup or Restore.
    pub(super) fn interrupts(&self) -> bool {
        let restarts = |install: &Install| install.effect != Effect::Harmless;
        self.install.as_ref().is_some_and(restarts) || self.ends_node_agents()
    }

    /// Carrying it out ends pods that may be moving the data of volumes.
    pub(super) fn ends_node_agents(&self) -> bool {
        let ends = |install: &Install| install.effect == Effect::EndsAgents;
        self.install.as_ref().is_some_and(ends) || self.deletions.iter().any(is_node_agent)
    }

    /// Credentials go that something in flight may have begun with.
    pub(super) fn drops_credentials(&self) -> bool {
        self.deletions.iter().any(is_credential)
    }
}

pub(super) fn is_credential(deletion: &Deletion) -> bool {
    deletion.kind.kind == "Secret"
}

pub(super) fn is_node_agent(deletion: &Deletion) -> bool {
    deletion.kind.kind == "DaemonSet"
}

#[cfg(test)]
pub(super) mod tests;
