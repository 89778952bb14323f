//! `prometheus_scrape`: what Prometheus is to ask, and when it is to raise an alarm.
//!
//! **Invariant:** what is said is the same for equal targets and rules, no matter who leads
//! (`data_bag_is_as_the_python_library_writes_it`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    observer::{Endpoint, Observer, Units, Words},
    topology::Topology,
};
use crate::{
    juju::Unit,
    ours::alerts::{self, AGENT_PART, NODE, PART, SERVER_PART},
};

/// Where those are who scrape.
pub(crate) const ENDPOINT: Endpoint = Endpoint {
    name: "metrics-endpoint",
    units: Units::Speak,
};
/// What Juju itself writes into a unit's data bag.
const INGRESS_ADDRESS: &str = "ingress-address";

/// What there is to scrape.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Targets {
    /// Host and port of the server's metrics.
    pub(crate) server: Option<String>,
    /// The same of each node agent, by its node.
    pub(crate) node_agents: BTreeMap<String, String>,
}

/// What Prometheus says of rules or jobs that it cannot use.
#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    errors: Value,
    #[serde(default)]
    scrape_job_errors: Value,
}

/// What is yet to be said of our application.
pub(crate) fn of_application(
    observer: &Observer,
    topology: &Topology,
    targets: &Targets,
    rules: &[alerts::Rule],
) -> Option<Words> {
    observer.unsaid(BTreeMap::from([
        ("scrape_metadata", topology.metadata().to_string()),
        ("scrape_jobs", jobs(targets).to_string()),
        ("alert_rules", groups(rules, topology).to_string()),
    ]))
}

/// What is yet to be said of this unit: without one that names its address nothing is scraped.
pub(crate) fn of_unit(observer: &Observer, unit: &Unit) -> Option<Words> {
    let address = observer.of_unit(INGRESS_ADDRESS)?;
    observer.unsaid_by_unit(BTreeMap::from([
        ("prometheus_scrape_unit_address", address.to_owned()),
        ("prometheus_scrape_unit_name", unit.name.clone()),
    ]))
}

/// What Prometheus cannot use of what was said.
pub(crate) fn complaint(observer: &Observer) -> Option<String> {
    let event: Event = serde_json::from_str(observer.event()?).ok()?;
    let said = [event.errors, event.scrape_job_errors];
    let said = said.iter().filter_map(Value::as_str);
    let said: Vec<_> = said.filter(|text| !text.trim().is_empty()).collect();
    (!said.is_empty()).then(|| said.join("; "))
}

fn jobs(targets: &Targets) -> Value {
    let job = |part: &str, configs: Vec<Value>| {
        (!configs.is_empty()).then(
            || json!({"job_name": part, "metrics_path": "/metrics", "static_configs": configs}),
        )
    };
    let server = targets.server.iter();
    let server = server.map(|target| json!({"targets": [target], "labels": {PART: SERVER_PART}}));
    let agents = targets.node_agents.iter().map(
        |(node, target)| json!({"targets": [target], "labels": {PART: AGENT_PART, NODE: node}}),
    );
    let jobs = [
        job(SERVER_PART, server.collect()),
        job(AGENT_PART, agents.collect()),
    ];
    jobs.into_iter().flatten().collect()
}

fn groups(rules: &[alerts::Rule], topology: &Topology) -> Value {
    let rules: Vec<_> = rules.iter().map(|one| rule(one, topology)).collect();
    json!({"groups": [{"name": topology.group("velero"), "rules": rules}]})
}

/// With the labels by which Prometheus sees whose it is.
fn rule(rule: &alerts::Rule, topology: &Topology) -> Value {
    let alerts::Rule {
        alert,
        severity,
        expr,
        patience,
        about,
        summary,
        description,
    } = rule;
    let about = about.iter().map(|(label, value)| (*label, value.as_str()));
    let labels: BTreeMap<_, _> = about.chain(topology.labels()).collect();
    let mut labels = json!(labels);
    labels["severity"] = severity.to_string().into();
    json!({
        "alert": alert,
        "expr": expr,
        "for": format!("{}m", patience.as_mins()),
        "labels": labels,
        "annotations": {"summary": summary, "description": description},
    })
}

#[cfg(test)]
mod tests;
