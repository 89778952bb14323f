//! Who watches from outside: a charm of the tests' that stands on the own library of Juju's observability stack.

use std::fs;

use anyhow::Result;
use juju_emulator::{DeployOptions, Juju};
use serde_json::Value;

use crate::foreign_charms::ForeignCharm;

/// Its application.
pub const COS: &str = "cos";

/// What COS Lite offers to other models, and the endpoint of each: its `offers-overlay.yaml`.
pub const OFFERS: [(&str, &str); 4] = [
    ("alertmanager-karma-dashboard", "karma-dashboard"),
    ("grafana-dashboards", "grafana-dashboard"),
    ("loki-logging", "logging"),
    ("prometheus-scrape", "metrics-endpoint"),
];

/// Deploys it; no hook has run yet.
pub async fn deploy(juju: &mut Juju) -> Result<()> {
    deploy_as(juju, COS).await
}

/// Deploys it under a name of its own.
pub async fn deploy_as(juju: &mut Juju, app: &str) -> Result<()> {
    let source = ForeignCharm::Observability.source().await?;
    juju.deploy(&source, app, DeployOptions::default()).await
}

/// What the library makes of what it was told.
pub fn seen(juju: &Juju) -> Result<Value> {
    seen_by(juju, COS)
}

/// The same of one with a name of its own.
pub fn seen_by(juju: &Juju, app: &str) -> Result<Value> {
    let file = juju.charm_dir(&format!("{app}/0")).join("seen.json");
    Ok(serde_json::from_str(&fs::read_to_string(file)?)?)
}
