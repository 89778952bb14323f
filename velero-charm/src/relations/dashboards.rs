//! `grafana_dashboard`: a picture of what Velero does.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    observer::{Endpoint, Observer, Units, Words},
    topology::{CHARM, Topology},
};
use crate::ours::dashboard;

/// Where those are who draw.
pub(crate) const ENDPOINT: Endpoint = Endpoint {
    name: "grafana-dashboard",
    units: Units::AreSilent,
};
/// What the library calls a dashboard that was the file `velero.json`.
const TEMPLATE: &str = "file:velero";
/// What it makes of charm and template: the first 8 bytes of SHAKE-256 of `velero-operator-file:velero`
/// (`data_bags_are_read_by_the_real_library`).
const ALTERNATIVE_UID: &str = "90fd3c43554b5a4d";

/// What Grafana says of dashboards that it cannot use.
#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    errors: Vec<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    error: Value,
}

/// What is yet to be said.
pub(crate) fn of_application(observer: &Observer, topology: &Topology) -> Option<Words> {
    let dashboards = json!({
        "templates": {TEMPLATE: {
            "charm": CHARM,
            "content": dashboard::PACKED,
            "juju_topology": topology.of_dashboard(),
            "inject_dropdowns": true,
            "dashboard_alt_uid": ALTERNATIVE_UID,
        }},
        // Nobody reads it. Python makes a new one each time, which wakes Grafana for nothing.
        "uuid": ALTERNATIVE_UID,
    });
    observer.unsaid(BTreeMap::from([("dashboards", dashboards.to_string())]))
}

/// What Grafana cannot use of what was said.
pub(crate) fn complaint(observer: &Observer) -> Option<String> {
    let event: Event = serde_json::from_str(observer.event()?).ok()?;
    let said = event.errors.iter().map(|refusal| match &refusal.error {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    let said: Vec<_> = said.collect();
    (!said.is_empty()).then(|| said.join("; "))
}

#[cfg(test)]
mod tests;
