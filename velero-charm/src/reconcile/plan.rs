//! Third stage: what has to be done.
//!
//! **Invariant:** pure, and equal worlds give an empty plan. Whether something changed is decided
//! without rendering a manifest: by generation for workloads, by content for the rest. What safety depends
//! on is compared itself (programs, arguments, accounts, whom the binding names), whatever the record says.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment},
    core::v1::{PodSpec, Secret, ServiceAccount},
    rbac::v1::ClusterRoleBinding,
};
use kube::{ResourceExt, api::DynamicObject};
use provider_api::{Descriptor, Storage, secrecy::SecretString};
use serde_json::{Value, json};

use super::{
    observe::{Definition, Live},
    validate::{Core, Desired, Intent, Why},
};
use crate::{
    cluster::{Kind, owned},
    ours::{
        self, Owner,
        credential::{self, Readings},
        location,
        manifests::{self, Plugin, Workload},
        record::{Inputs, Record, Seen},
    },
    velero::{
        self, LOCATION, LOCATION_LABEL, NODE_AGENT, install::NodeAgent,
        version::is_bundled_or_later,
    },
};

/// What has to be done, in this order: definitions, accounts, repositories, Secrets, locations,
/// workloads, and at last the deletions.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) install: Option<Install>,
    /// Known to be in a store that the location leaves. Velero takes them for being in the next one too,
    /// unless it sees the location change; and once that has changed, nothing tells where they were.
    pub(crate) repositories: Option<Deletion>,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) locations: Vec<DynamicObject>,
    pub(crate) deletions: Vec<Deletion>,
}

/// The manifests are to be rendered and applied.
#[derive(Debug)]
pub(crate) struct Install {
    pub(crate) inputs: Inputs,
    pub(crate) workload: Workload,
    /// CRDs that are as new as ours or newer, and so are left alone.
    pub(crate) settled_definitions: BTreeSet<String>,
    /// CRDs of which it was found out earlier that they are newer.
    pub(crate) newer_definitions: BTreeMap<String, Seen>,
    /// Our binding to another role than ours. A binding's role cannot be changed.
    pub(crate) misbound: Option<String>,
    /// Bindings of ours under a name that we gave them before.
    pub(crate) former_bindings: Vec<String>,
    pub(crate) effect: Effect,
    pub(crate) rollout: Rollout,
}

/// How the live server is replaced when its pod template changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rollout {
    /// As we want it, or there is no server.
    Settled,
    /// Pod by pod. The API server refuses our way as long as the settings of that one are there.
    Rolling,
}

/// What an install does to the pods that run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Effect {
    /// There are none yet, or they stay as they are.
    Harmless,
    /// The server's is replaced, which fails what it is working on.
    EndsServer,
    /// The node agent's are, and perhaps the server's too.
    EndsAgents,
}

/// One or more objects that have to go.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Deletion {
    pub(crate) resource: Kind,
    pub(crate) what: Selection,
}

/// Which objects of a kind.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Selection {
    Named(String),
    Labelled(String),
}

/// Where the objects live and whose they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) owner: &'a Owner,
}

impl Plan {
    pub(crate) fn is_empty(&self) -> bool {
        let Self {
            install,
            repositories,
            secrets,
            locations,
            deletions,
        } = self;
        install.is_none()
            && repositories.is_none()
            && secrets.is_empty()
            && locations.is_empty()
            && deletions.is_empty()
    }

    /// Nothing in it concerns Velero: it keeps what was read, no more.
    pub(crate) fn is_only_secrets(&self) -> bool {
        let Self {
            install,
            repositories,
            secrets: _,
            locations,
            deletions,
        } = self;
        install.is_none() && repositories.is_none() && locations.is_empty() && deletions.is_empty()
    }

    /// Carrying it out ends pods that may be working on a Backup or Restore.
    pub(crate) fn interrupts(&self) -> bool {
        let restarts = |install: &Install| install.effect != Effect::Harmless;
        self.install.as_ref().is_some_and(restarts) || self.ends_node_agents()
    }

    /// Carrying it out ends pods that may be moving the data of volumes.
    pub(crate) fn ends_node_agents(&self) -> bool {
        let ends = |install: &Install| install.effect == Effect::EndsAgents;
        self.install.as_ref().is_some_and(ends) || self.deletions.iter().any(is_node_agent)
    }

    /// Credentials go that something in flight may have begun with.
    pub(crate) fn drops_credentials(&self) -> bool {
        self.deletions.iter().any(is_credential)
    }

    /// Leaves credentials where they are.
    pub(crate) fn keep_credentials(&mut self) {
        self.deletions.retain(|deletion| !is_credential(deletion));
    }

    /// Leaves out what [interrupts](Self::interrupts). A location can only change without the pods if
    /// they have the plugin for it already.
    pub(crate) fn put_off_interruptions(&mut self, server: Option<&Deployment>) {
        let same_plugin = match &self.install {
            Some(install) => {
                let container = |plugin: Option<Plugin>| plugin.map(|plugin| plugin.container);
                container(install.workload.plugin.clone()) == container(server.and_then(Plugin::of))
            }
            None => true,
        };
        if same_plugin {
            self.install = None;
            self.deletions.retain(|deletion| !is_node_agent(deletion));
        } else {
            // What was read is kept all the same, or each hook would ask for it.
            *self = Self {
                secrets: std::mem::take(&mut self.secrets),
                ..Self::default()
            };
        }
    }
}

fn is_credential(deletion: &Deletion) -> bool {
    deletion.resource.kind == "Secret"
}

fn is_node_agent(deletion: &Deletion) -> bool {
    deletion.resource.kind == "DaemonSet"
}

/// Compares what is asked for with what is there. Without a valid config nothing is done but to keep what was
/// read.
pub(crate) fn plan(desired: &Desired, readings: &Readings, live: &Live, place: Place<'_>) -> Plan {
    let Ok(core) = &desired.core else {
        let mut plan = Plan::default();
        keep(&mut plan, &desired.storage, readings, live, place);
        return plan;
    };
    let mut plan = Plan {
        install: install(core, &desired.storage, live, place),
        ..Plan::default()
    };
    match &desired.storage {
        Intent::Set {
            descriptor,
            storage,
            ..
        } => set(&mut plan, descriptor, storage, readings, live, place),
        Intent::None => clear(&mut plan, live, place),
        Intent::Keep(_) => keep(&mut plan, &desired.storage, readings, live, place),
    }
    if core.node_agent == NodeAgent::Off
        && live
            .running
            .node_agent()
            .is_some_and(|agent| place.owner.owns(agent))
    {
        plan.deletions
            .push(named(Kind::of::<DaemonSet>(), NODE_AGENT));
    }
    plan
}

fn install(core: &Core, storage: &Intent, live: &Live, place: Place<'_>) -> Option<Install> {
    let server = live.running.server();
    let workload = Workload {
        velero_image: core.velero_image.clone(),
        node_agent: core.node_agent,
        volume_backups: core.volume_backups,
        plugin: match storage {
            Intent::Set {
                descriptor,
                storage,
                ..
            } => Some(Plugin::new(descriptor.name, &storage.plugin_image)),
            Intent::Keep(_) => server.and_then(Plugin::of),
            Intent::None => None,
        },
    };
    let inputs = Inputs::new(workload.clone());
    let record = Record::read(live.record.as_ref());
    let settled_definitions = settled_definitions(live, record.as_ref());
    let same_inputs = record
        .as_ref()
        .is_some_and(|record| record.inputs == inputs);
    let newer_definitions = record
        .as_ref()
        .map(|record| record.newer_definitions.clone())
        .unwrap_or_default();
    let unchanged = same_inputs
        && settled_definitions.len() >= velero::CUSTOM_RESOURCES.len()
        && live
            .account
            .as_ref()
            .is_some_and(|account| is_account(account, place))
        && is_bound(&live.bindings, place)
        && workloads_untouched(record.as_ref(), &workload, live, place);
    if unchanged {
        return None;
    }
    let record = record.as_ref();
    let name = ours::role_binding(place.namespace, place.owner);
    let (own, former): (Vec<_>, Vec<_>) =
        (live.bindings.iter()).partition(|binding| binding.name_any() == name);
    let misbound = own.into_iter().find(|binding| !has_our_role(binding));
    let server_goes = server.is_some_and(|live| !stays(live, record, &inputs, &workload));
    let agent_goes = live
        .running
        .node_agent()
        .is_some_and(|live| !agent_stays(live, record, &inputs, &workload));
    let effect = match (server_goes, agent_goes) {
        (_, true) => Effect::EndsAgents,
        (true, false) => Effect::EndsServer,
        (false, false) => Effect::Harmless,
    };
    Some(Install {
        inputs,
        workload,
        settled_definitions,
        newer_definitions,
        misbound: misbound.map(ResourceExt::name_any),
        former_bindings: former.into_iter().map(ResourceExt::name_any).collect(),
        effect,
        rollout: rollout(server),
    })
}

fn rollout(server: Option<&Deployment>) -> Rollout {
    let strategy = server.and_then(|server| server.spec.as_ref()?.strategy.as_ref());
    match strategy.and_then(|strategy| strategy.rolling_update.as_ref()) {
        Some(_) => Rollout::Rolling,
        None => Rollout::Settled,
    }
}

/// The server's pod stays as it is when these inputs are applied.
fn stays(
    server: &Deployment,
    record: Option<&Record>,
    inputs: &Inputs,
    workload: &Workload,
) -> bool {
    // Without a record nothing tells what was applied; what shows is all there is to go by.
    let is_recorded = record.is_none_or(|record| {
        record.inputs.same_server_as(inputs) && record.server == Seen::of(server)
    });
    is_recorded && runs(server, workload)
}

/// The agent's pods stay as they are when these inputs are applied.
fn agent_stays(
    agent: &DaemonSet,
    record: Option<&Record>,
    inputs: &Inputs,
    workload: &Workload,
) -> bool {
    let is_recorded = record.is_some_and(|record| {
        record.inputs.same_node_agent_as(inputs) && record.node_agent == Seen::of(agent)
    });
    is_recorded && is_agent_of(agent, workload)
}

/// The workloads are just what our last apply made of them.
fn workloads_untouched(
    record: Option<&Record>,
    workload: &Workload,
    live: &Live,
    place: Place<'_>,
) -> bool {
    let Some(record) = record else {
        return false;
    };
    let server = live.running.server();
    let agent = live.running.node_agent();
    let server_untouched = server
        .is_some_and(|live| place.owner.owns(live) && runs(live, workload))
        && server.and_then(Seen::of) == record.server;
    let agent_untouched = workload.node_agent == NodeAgent::Off
        || (agent.is_some_and(|live| place.owner.owns(live) && is_agent_of(live, workload))
            && agent.and_then(Seen::of) == record.node_agent);
    server_untouched && agent_untouched
}

/// The server's pod is what it would be under this workload, as far as safety depends on it.
fn runs(server: &Deployment, workload: &Workload) -> bool {
    let pod = server
        .spec
        .as_ref()
        .and_then(|spec| spec.template.spec.as_ref());
    is_pod_of(pod, &manifests::server_pod(workload)) && Plugin::of(server) == workload.plugin
}

/// The same of the node agent's pods.
fn is_agent_of(agent: &DaemonSet, workload: &Workload) -> bool {
    let pod = agent
        .spec
        .as_ref()
        .and_then(|spec| spec.template.spec.as_ref());
    is_pod_of(pod, &manifests::agent_pod(workload))
}

fn is_pod_of(pod: Option<&PodSpec>, wanted: &Value) -> bool {
    owned::covers(&json!(pod), wanted)
}

/// Marked as made for our Velero or a later one, or found to be of a later one.
fn settled_definitions(live: &Live, record: Option<&Record>) -> BTreeSet<String> {
    let is_settled = |name: &str, live: &Definition| {
        let marked = live.velero.as_deref().is_some_and(is_bundled_or_later);
        let known = record.and_then(|record| record.newer_definitions.get(name));
        marked || known.is_some_and(|known| live.seen.as_ref() == Some(known))
    };
    let all = live.definitions.iter();
    let settled = all.filter(|(name, live)| is_settled(name, live));
    settled.map(|(name, _)| name.clone()).collect()
}

fn is_account(account: &ServiceAccount, place: Place<'_>) -> bool {
    place.owner.owns(account)
}

/// Our rights are those of one binding, and nobody else has them through it.
fn is_bound(bindings: &[ClusterRoleBinding], place: Place<'_>) -> bool {
    let [binding] = bindings else {
        return false;
    };
    let subjects = binding.subjects.as_deref().unwrap_or_default();
    let [subject] = subjects else {
        return false;
    };
    binding.name_any() == ours::role_binding(place.namespace, place.owner)
        && has_our_role(binding)
        && subject.kind == "ServiceAccount"
        && subject.name == velero::SERVER
        && subject.namespace.as_deref() == Some(place.namespace)
}

fn has_our_role(binding: &ClusterRoleBinding) -> bool {
    let role = &binding.role_ref;
    (role.kind.as_str(), role.name.as_str()) == ("ClusterRole", "cluster-admin")
}

fn set(
    plan: &mut Plan,
    descriptor: &Descriptor,
    storage: &Storage,
    readings: &Readings,
    live: &Live,
    place: Place<'_>,
) {
    let Place { namespace, owner } = place;
    let holds = |secret: &&Secret| credential::holds(secret, &storage.credential, readings);
    let held = live.credentials.iter().find(holds);
    let secret_name = note(plan, held, Some(&storage.credential), readings, live, place);
    let wanted = location::backup_location(
        descriptor.name,
        &storage.location,
        location::rank(&live.running.locations),
        &secret_name,
        namespace,
        owner,
    );
    let live_location = live.running.location();
    if live_location.is_some_and(|live| leaves_store(live, &wanted)) {
        plan.repositories = Some(repositories());
    }
    plan.locations
        .extend(unless_as_wanted(live_location, wanted));
    let live_snapshots = live
        .snapshot_locations
        .iter()
        .find(|l| l.name_any() == LOCATION);
    match &storage.snapshots {
        Some(snapshots) => {
            let wanted = location::snapshot_location(
                descriptor.name,
                snapshots,
                &secret_name,
                namespace,
                owner,
            );
            plan.locations
                .extend(unless_as_wanted(live_snapshots, wanted));
        }
        None => delete_snapshot_location(plan, live_snapshots, owner),
    }
    delete_credentials(plan, live, Some(&secret_name));
}

/// Keeps what was read though it cannot be used, or not now. The Secret of a location is not touched.
fn keep(plan: &mut Plan, intent: &Intent, readings: &Readings, live: &Live, place: Place<'_>) {
    let is_read = match intent {
        Intent::Set { .. } | Intent::Keep(Why::Waiting(_) | Why::Invalid { .. }) => true,
        Intent::Keep(Why::Several(_)) | Intent::None => false,
    };
    if !is_read || readings.is_empty() {
        return;
    }
    let keeps = |secret: &&Secret| credential::keeps(secret, readings);
    let held = live.credentials.iter().find(keeps);
    let name = note(plan, held, None, readings, live, place);
    let spent = live
        .credentials
        .iter()
        .filter(|secret| credential::is_without_file(secret) && secret.name_any() != name);
    let spent = spent.map(|secret| named(Kind::of::<Secret>(), secret.name_any()));
    plan.deletions.extend(spent);
}

/// Sees to it that a Secret, the one that holds them or a fresh one, tells of these readings and no other
/// does. The others go first: at no time can an older one be believed.
fn note(
    plan: &mut Plan,
    held: Option<&Secret>,
    file: Option<&SecretString>,
    readings: &Readings,
    live: &Live,
    place: Place<'_>,
) -> String {
    let Place { namespace, owner } = place;
    let name = held.map_or_else(|| credential::fresh_name(owner), Secret::name_any);
    let outdated = live
        .credentials
        .iter()
        .filter(|secret| credential::has_notes(secret) && secret.name_any() != name);
    plan.secrets
        .extend(outdated.map(|secret| credential::noted(secret, owner, &Readings::new())));
    match held {
        None => {
            let fresh = credential::secret(&name, namespace, owner, file, readings);
            plan.secrets.push(fresh);
        }
        Some(held) if !credential::has_notes_of(held, readings) => {
            plan.secrets.push(credential::noted(held, owner, readings));
        }
        Some(_) => {}
    }
    name
}

fn clear(plan: &mut Plan, live: &Live, place: Place<'_>) {
    if live
        .running
        .location()
        .is_some_and(|location| place.owner.owns(location))
    {
        plan.deletions
            .push(named(velero::kind("BackupStorageLocation"), LOCATION));
        plan.repositories = Some(repositories());
    }
    let snapshots = live
        .snapshot_locations
        .iter()
        .find(|l| l.name_any() == LOCATION);
    delete_snapshot_location(plan, snapshots, place.owner);
    delete_credentials(plan, live, None);
}

/// Those of the volumes that were backed up to the location.
fn repositories() -> Deletion {
    Deletion {
        resource: velero::kind("BackupRepository"),
        what: Selection::Labelled(format!("{LOCATION_LABEL}={LOCATION}")),
    }
}

fn delete_snapshot_location(plan: &mut Plan, live: Option<&DynamicObject>, owner: &Owner) {
    if live.is_some_and(|location| owner.owns(location)) {
        plan.deletions
            .push(named(velero::kind("VolumeSnapshotLocation"), LOCATION));
    }
}

fn delete_credentials(plan: &mut Plan, live: &Live, keep: Option<&str>) {
    let old = live.credentials.iter().map(kube::ResourceExt::name_any);
    let old = old.filter(|name| Some(name.as_str()) != keep);
    plan.deletions
        .extend(old.map(|name| named(Kind::of::<Secret>(), name)));
}

fn named(resource: Kind, name: impl Into<String>) -> Deletion {
    Deletion {
        resource,
        what: Selection::Named(name.into()),
    }
}

fn unless_as_wanted(live: Option<&DynamicObject>, wanted: DynamicObject) -> Option<DynamicObject> {
    let as_wanted = live.is_some_and(|live| {
        let managers = live.metadata.managed_fields.as_ref();
        owned::is_as_wanted(&comparable(live), &comparable(&wanted), managers)
    });
    (!as_wanted).then_some(wanted)
}

/// What is kept in the one location is not in the other.
fn leaves_store(live: &DynamicObject, wanted: &DynamicObject) -> bool {
    let mut there = live.clone();
    if let Some(spec) = there.data["spec"].as_object_mut() {
        for field in ["provider", "objectStorage", "config"] {
            spec.remove(field);
            let wanted = wanted.data["spec"].get(field);
            spec.extend(wanted.map(|wanted| (field.to_owned(), wanted.clone())));
        }
    }
    unless_as_wanted(Some(live), there).is_some()
}

/// Spec and labels, in the shape that ownership is told in.
fn comparable(object: &DynamicObject) -> Value {
    json!({"metadata": {"labels": object.labels()}, "spec": object.data["spec"]})
}

#[cfg(test)]
mod tests;
