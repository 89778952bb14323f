//! `list-backups` where there are ten thousand Backups.
//!
//! Invariant: what the API server takes is told by its audit log, so that the ratio is of one and the same run.

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use juju_emulator::HookRun;
use kube::Api;
use kube::api::{DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube_stack::AuditEvent;
use serde_json::{Map, Value, json};
use worlds::operator::UNIT;

use super::number;
use super::sheet::{Samples, Sheet, Unit};
use super::site::Site;

const BACKUPS: usize = 10_000;
const SECONDS: f64 = 1.0;
const MEGABYTES: f64 = 50.0;

/// Tells what the action costs. There are so many Backups already.
pub(super) async fn measure(
    site: &mut Site,
    already: usize,
    turns: usize,
    sheet: &mut Sheet,
) -> Result<()> {
    sheet.heading(format!("list-backups, with {BACKUPS} Backups"));
    make(site, already, BACKUPS).await?;
    // Not measured: whatever is cached is cached now.
    listed(site).await?;
    let mut all = Vec::new();
    for _ in 0..turns {
        all.push(listed(site).await?);
    }
    let figure =
        |of: fn(&(HookRun, Vec<AuditEvent>)) -> f64| all.iter().map(of).collect::<Samples>();
    let took = figure(|(run, _)| run.duration.as_secs_f64());
    sheet.judged("the action", SECONDS, Unit::Seconds, &took);
    let ratio = figure(|(run, lists)| {
        let server: f64 = lists.iter().map(|one| one.took.as_secs_f64()).sum();
        run.duration.as_secs_f64() / server
    });
    let what = "the action / what the API server takes for its lists of Backups";
    sheet.figure(what, Unit::Times, &ratio);
    let lists = figure(|(_, lists)| number(lists.len()));
    sheet.figure("lists of Backups", Unit::Count, &lists);
    let memory = figure(|(run, _)| number(run.max_rss) / 1e6);
    sheet.judged("resident memory", MEGABYTES, Unit::Megabytes, &memory);
    Ok(())
}

/// Runs the action, which must list all; with the API server's lists of Backups.
async fn listed(site: &mut Site) -> Result<(HookRun, Vec<AuditEvent>)> {
    let mark = site.audit().mark().await?;
    let outcome = site
        .juju
        .run_action(UNIT, "list-backups", &Map::new())
        .await?;
    let found = outcome.results["number"].as_str();
    let found = found.and_then(|number| number.parse().ok());
    ensure!(found == Some(BACKUPS), "{found:?}: {}", outcome.message);
    let run = site.juju.hook_runs().last().cloned();
    let run = run.filter(|run| run.hook == "list-backups");
    let mut lists = site.audit().since(&mark).await?;
    let user = site.charm_user();
    lists.retain(|one| one.user == user && one.verb == "list" && one.resource == "backups");
    Ok((run.context("the action was not run")?, lists))
}

/// Makes Backups that have ended well, so that Velero has nothing to do about them, up to so many.
pub(super) async fn make(site: &Site, already: usize, up_to: usize) -> Result<()> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("velero.io", "v1", "Backup"));
    let backups: Api<DynamicObject> =
        Api::namespaced_with(site.client(), &site.namespace, &resource);
    let how = PostParams::default();
    let create = async |number| {
        let backup = serde_json::from_value(backup(number)).map_err(kube::Error::SerdeError)?;
        backups.create(&how, &backup).await.map(drop)
    };
    stream::iter(already..up_to)
        .map(Ok::<_, kube::Error>)
        .try_for_each_concurrent(4, create)
        .await?;
    Ok(())
}

fn backup(number: usize) -> Value {
    json!({
        "apiVersion": "velero.io/v1",
        "kind": "Backup",
        "metadata": {"name": format!("backup-{number}")},
        "spec": {
            "includedNamespaces": ["*"],
            "storageLocation": "default",
            "ttl": "720h0m0s",
            "hooks": {},
        },
        "status": {
            "phase": "Completed",
            "formatVersion": "1.1.0",
            "version": 1,
            "startTimestamp": "2026-01-01T12:00:00Z",
            "completionTimestamp": "2026-01-01T12:05:00Z",
            "expiration": "2126-01-01T12:00:00Z",
            "progress": {"itemsBackedUp": 500, "totalItems": 500},
        },
    })
}
