//! What is to be installed: workloads, RBAC and CRDs, compared with the record of the last apply.
//!
//! Whether something changed is found without rendering a manifest: by generation for workloads, and what safety
//! depends on is compared itself (programs, arguments, accounts, whom the binding names), whatever the record
//! says.

use std::collections::BTreeSet;

use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment},
    core::v1::{PodSpec, ServiceAccount},
    rbac::v1::ClusterRoleBinding,
};
use kube::ResourceExt;
use provider_api::Credential;
use serde_json::{Value, json};

use super::{Effect, Install, OpenedBy, Rollout};
use crate::{
    cluster::{Kind, deletion::Deletion, owned},
    context::Place,
    ours::{
        self, documents,
        manifests::{self, Plugin, Workload},
        record::{Basis, Record, Seen},
    },
    reconcile::{
        observe::{Definition, Live},
        validate::{Core, Intent},
    },
    velero::{
        self, NODE_AGENT,
        document::{self, Document},
        install::NodeAgent,
        version::is_bundled_or_later,
    },
};

/// What has to be installed, unless all of it is there.
pub(super) fn install(
    core: &Core,
    storage: &Intent,
    live: &Live,
    place: Place<'_>,
) -> Option<Install> {
    let server = live.running.server();
    let basis = Basis::new(Workload {
        velero_image: core.velero_image.clone(),
        node_agent: core.node_agent,
        volume_backups: core.volume_backups,
        settings: core.settings.clone(),
        plugin: match storage {
            Intent::Set {
                descriptor,
                plugin_image,
                ..
            } => Some(Plugin::new(descriptor.name, plugin_image)),
            Intent::Keep(_) => server.and_then(Plugin::of),
            Intent::None => None,
        },
    });
    let record = Record::read(live.record.as_ref());
    let record = record.as_ref();
    let current_definitions = current_definitions(live, record);
    let config_maps = documents::config_maps(basis.workload(), place.namespace, place.owner);
    let unread = documents::unread(&config_maps, &live.config_maps);
    let unchanged = record.is_some_and(|record| record.inputs == basis)
        && current_definitions.len() >= velero::CUSTOM_RESOURCES.len()
        && live
            .account
            .as_ref()
            .is_some_and(|account| is_account(account, basis.workload(), place))
        && is_bound(&live.bindings, place)
        && documents::are_there(&config_maps, &live.config_maps)
        && unread.is_empty()
        && workloads_untouched(record, basis.workload(), live, place);
    if unchanged {
        return None;
    }
    let name = ours::role_binding(place.namespace, place.owner);
    let (own, former): (Vec<_>, Vec<_>) =
        (live.bindings.iter()).partition(|binding| binding.name_any() == name);
    let misbound = own.into_iter().find(|binding| !has_our_role(binding));
    let agent = live.running.node_agent();
    let server_goes = server.is_some_and(|live| !stays(live, record, &basis));
    let agent_goes = agent.is_some_and(|live| !agent_stays(live, record, &basis));
    let effect = match (server_goes, agent_goes) {
        (_, true) => Effect::EndsAgents,
        (true, false) => Effect::EndsServer,
        (false, false) => Effect::Harmless,
    };
    Some(Install {
        current_definitions,
        newer_definitions: record
            .map(|record| record.newer_definitions.clone())
            .unwrap_or_default(),
        misbound: misbound.map(ResourceExt::name_any),
        former_bindings: former.into_iter().map(ResourceExt::name_any).collect(),
        config_maps,
        cache_limit: cache_limit(record, &basis),
        unread,
        effect,
        opened_by: opened_by(storage),
        rollout: rollout(server),
        basis,
    })
}

fn opened_by(storage: &Intent) -> OpenedBy {
    match storage {
        Intent::Set { storage, .. } => match storage.credential {
            Credential::Keys(_) => OpenedBy::Keys,
            Credential::OfPods { .. } => OpenedBy::Pods,
        },
        Intent::Keep(_) | Intent::None => OpenedBy::Keys,
    }
}

/// The node agent, where none is wanted and there is one of ours.
pub(super) fn unwanted_agent(core: &Core, live: &Live, place: Place<'_>) -> Option<Deletion> {
    let agent = live.running.node_agent()?;
    let is_unwanted = core.node_agent == NodeAgent::Off && place.owner.owns(agent);
    is_unwanted.then(|| Deletion::named(Kind::of::<DaemonSet>(), NODE_AGENT))
}

fn cache_limit(record: Option<&Record>, basis: &Basis) -> Option<Value> {
    let limit = |basis: &Basis| {
        let documents = &basis.workload().settings.documents;
        let repositories = documents.get(&Document::Repositories)?;
        repositories.get(document::CACHE_LIMIT).cloned()
    };
    let (before, wanted) = (
        record.and_then(|record| limit(&record.inputs)),
        limit(basis),
    );
    (before != wanted).then(|| wanted.unwrap_or_default())
}

fn rollout(server: Option<&Deployment>) -> Rollout {
    let strategy = server.and_then(|server| server.spec.as_ref()?.strategy.as_ref());
    match strategy.and_then(|strategy| strategy.rolling_update.as_ref()) {
        Some(_) => Rollout::Rolling,
        None => Rollout::AsWanted,
    }
}

/// The server's pod stays as it is when this is applied.
fn stays(server: &Deployment, record: Option<&Record>, basis: &Basis) -> bool {
    // Without a record nothing tells what was applied; what shows is all there is to go by.
    let is_recorded = record.is_none_or(|record| {
        record.inputs.same_server_as(basis) && record.server == Seen::of(server)
    });
    is_recorded && runs(server, basis.workload())
}

/// The agent's pods stay as they are when this is applied.
fn agent_stays(agent: &DaemonSet, record: Option<&Record>, basis: &Basis) -> bool {
    let is_recorded = record.is_some_and(|record| {
        record.inputs.same_node_agent_as(basis) && record.node_agent == Seen::of(agent)
    });
    is_recorded && is_agent_of(agent, basis.workload())
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
fn current_definitions(live: &Live, record: Option<&Record>) -> BTreeSet<String> {
    let is_current = |name: &str, live: &Definition| {
        let marked = live.velero.as_deref().is_some_and(is_bundled_or_later);
        let known = record.and_then(|record| record.newer_definitions.get(name));
        marked || known.is_some_and(|known| live.seen.as_ref() == Some(known))
    };
    let all = live.definitions.iter();
    let current = all.filter(|(name, live)| is_current(name, live));
    current.map(|(name, _)| name.clone()).collect()
}

/// Ours, with the annotations that are wanted and perhaps more.
fn is_account(account: &ServiceAccount, workload: &Workload, place: Place<'_>) -> bool {
    let there = account.annotations();
    let mut wanted = workload.settings.account.iter();
    place.owner.owns(account) && wanted.all(|(key, value)| there.get(key) == Some(value))
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
