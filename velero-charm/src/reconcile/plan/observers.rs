//! What is to be said to those who watch from outside, and the Service that they ask.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{ResourceExt as _, api::DynamicObject};

use super::storage::unless_as_wanted;
use crate::{
    cluster::{Kind, deletion::Deletion},
    context::{Place, Role},
    juju::Unit,
    ours::{
        alerts::{
            self, Facts,
            schedules::{Schedule, interval},
        },
        metrics::{NAME, address, is_made_by_us, service},
    },
    reconcile::{
        observe::{Live, Observed},
        validate::observers::is_foreign_service,
    },
    relations::{
        dashboards, logging,
        metrics::{self, Targets},
        observer::Words,
        topology::Topology,
    },
    velero::{METRICS_PORT, NODE_AGENT_PODS, running::Running},
};

/// What is to be done for them. Nothing of it concerns Velero's work.
#[derive(Debug, Default)]
pub(in crate::reconcile) struct ForObservers {
    pub(in crate::reconcile) service: Option<DynamicObject>,
    pub(in crate::reconcile) unused: Option<Deletion>,
    pub(in crate::reconcile) words: Vec<Words>,
}

impl ForObservers {
    pub(super) fn is_empty(&self) -> bool {
        let Self {
            service,
            unused,
            words,
        } = self;
        service.is_none() && unused.is_none() && words.is_empty()
    }
}

/// What the leader has to do for them.
pub(super) fn of_application(observed: &Observed, place: Place<'_>, unit: &Unit) -> ForObservers {
    let (live, observers) = (&observed.live, &observed.observers);
    let topology = Topology::of(unit);
    let is_scraped = !observers.metrics.is_empty();
    let targets = targets(live, place);
    let rules = || alerts::rules(&facts(observed), &topology.matchers());
    let rules = is_scraped.then(rules).unwrap_or_default();
    let metrics = observers.metrics.iter();
    let metrics =
        metrics.filter_map(|one| metrics::of_application(one, &topology, &targets, &rules));
    let dashboards = observers.dashboards.iter();
    let dashboards = dashboards.filter_map(|one| dashboards::of_application(one, &topology));
    let logging = observers.logging.iter();
    let logging = logging.filter_map(|one| logging::of_application(one, &topology));
    let ours = live.metrics.as_ref();
    let ours = ours.filter(|one| place.owner.made(*one) && is_made_by_us(one));
    ForObservers {
        service: (is_scraped && !is_foreign_service(live, place.owner))
            .then(|| service(place.namespace, place.owner))
            .and_then(|wanted| unless_as_wanted(live.metrics.as_ref(), wanted)),
        unused: ours
            .filter(|_| !is_scraped)
            .map(|_| Deletion::named(Kind::of::<Service>(), NAME)),
        words: metrics.chain(dashboards).chain(logging).collect(),
    }
}

/// What each unit says of itself, unless it is on its way out.
pub(super) fn of_unit(observed: &Observed, unit: &Unit) -> Vec<Words> {
    match observed.role {
        Role::Leads | Role::Follows => {
            let metrics = observed.observers.metrics.iter();
            metrics
                .filter_map(|one| metrics::of_unit(one, unit))
                .collect()
        }
        Role::Leaves => Vec::new(),
    }
}

fn targets(live: &Live, place: Place<'_>) -> Targets {
    let server = (!is_foreign_service(live, place.owner)).then(|| address(place.namespace));
    Targets {
        server,
        node_agents: agents(&live.running),
    }
}

/// By node. There is no Service for them, since each counts for itself.
fn agents(running: &Running) -> BTreeMap<String, String> {
    let pods = running.pods.values().filter(|pod| is_agent(pod));
    let target = |pod: &Pod| {
        let node = pod.spec.as_ref()?.node_name.clone()?;
        let address = pod.status.as_ref()?.pod_ip.as_ref()?;
        // What Prometheus's charm takes a target apart by.
        let is_read = !address.contains(':');
        is_read.then(|| (node, format!("{address}:{METRICS_PORT}")))
    };
    pods.filter_map(target).collect()
}

fn is_agent(pod: &Pod) -> bool {
    let (label, value) = NODE_AGENT_PODS.split_once('=').unwrap_or_default();
    let is_labelled = pod.labels().get(label).is_some_and(|found| found == value);
    is_labelled && pod.metadata.deletion_timestamp.is_none()
}

fn facts(observed: &Observed) -> Facts {
    let running = &observed.live.running;
    let watched = &observed.observers.watched;
    let schedules = observed.live.schedules.iter();
    let wanted = running
        .node_agent()
        .and_then(|agent| agent.status.as_ref())
        .map(|status| status.desired_number_scheduled);
    Facts {
        schedules: schedules
            .filter_map(|one| Schedule::of(one, &observed.backups.ended, interval))
            .collect(),
        locations: running.locations.keys().cloned().collect(),
        node_agents: wanted.filter(|wanted| *wanted > 0),
        neglected: watched.neglected.clone(),
        password: watched.password,
    }
}

#[cfg(test)]
mod tests;
