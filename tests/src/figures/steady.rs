//! A hook that finds nothing to do, beside a bare program that makes the same calls of hook tools.
//!
//! Invariant: the two are started the same way by the same emulator, in turns, in the same model; what is
//! compared is measured in the same turn. What is counted is counted from outside.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DynamicObject, ObjectMeta, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use serde_json::{Value, json};

use super::relay::Relay;
use super::sheet::{Samples, Sheet, Unit};
use super::site::Site;
use super::stages::by_stage;
use super::{milliseconds, number};
use crate::charmed::CharmedModel;
use crate::juju::{HookRun, ToolCall, helper};
use crate::operator::{APP, UNIT};

/// The calls that the bare program makes, in its charm directory.
pub const CALLS: &str = "bare-calls";
/// What a hook tool takes longer than the emulator's own, so that it is as slow as Juju's.
const AS_SLOW_AS_JUJU: Duration = Duration::from_millis(10);
const NO_SLOWER_THAN_BARE: f64 = 1.5;
const MEGABYTES: f64 = 15.0;
const TOOL_CALLS: f64 = 9.0;
const BACKUPS: usize = 500;
const OTHERS: usize = 50;

/// Four runs, one after the other.
struct Turn {
    charm: HookRun,
    bare: HookRun,
    slow_charm: HookRun,
    slow_bare: HookRun,
}

/// Tells what a steady hook costs, in an almost empty namespace and in a full one.
pub(super) async fn measure(site: &mut Site, turns: usize, sheet: &mut Sheet) -> Result<()> {
    let programs = Programs::prepare(site).await?;
    one(site, &programs, turns, "update-status, steady", sheet).await?;
    crowd(site).await?;
    let title = format!(
        "update-status, steady, beside {OTHERS} other labelled objects and {BACKUPS} Backups"
    );
    one(site, &programs, turns, &title, sheet).await
}

async fn one(
    site: &mut Site,
    programs: &Programs,
    turns: usize,
    title: &str,
    sheet: &mut Sheet,
) -> Result<()> {
    sheet.heading(title);
    // Not measured: whatever is cached is cached now.
    turn(site, programs).await?;
    let mut all = Vec::new();
    for _ in 0..turns {
        all.push(turn(site, programs).await?);
    }
    let quick = |turn: &Turn| ratio(&turn.charm, &turn.bare);
    let slow = |turn: &Turn| ratio(&turn.slow_charm, &turn.slow_bare);
    compare(sheet, "as fast as the emulator's", &all, quick, |turn| {
        [&turn.charm, &turn.bare]
    });
    compare(sheet, "10 ms slower each", &all, slow, |turn| {
        [&turn.slow_charm, &turn.slow_bare]
    });
    let of_charm = |take: fn(&HookRun) -> f64| all.iter().map(|turn| take(&turn.charm)).collect();
    sheet.judged(
        "resident memory, at most",
        MEGABYTES,
        Unit::Megabytes,
        &of_charm(memory),
    );
    sheet.figure(
        "start to the first hook tool",
        Unit::Milliseconds,
        &of_charm(first_call),
    );
    let bare: Samples = all.iter().map(|turn| first_call(&turn.bare)).collect();
    sheet.figure("the same, bare program", Unit::Milliseconds, &bare);
    for (stage, took) in by_stage(all.iter().map(|turn| &turn.charm)) {
        sheet.figure(stage, Unit::Milliseconds, &took);
    }
    counts(site, programs, sheet).await
}

fn compare<'a>(
    sheet: &mut Sheet,
    tools: &str,
    all: &'a [Turn],
    ratio: impl Fn(&Turn) -> f64,
    runs: impl Fn(&'a Turn) -> [&'a HookRun; 2],
) {
    let took = |which: usize| {
        let runs = all.iter().map(&runs);
        let took = runs.map(|runs| {
            runs.get(which)
                .map_or(f64::NAN, |run| milliseconds(run.duration))
        });
        took.collect::<Samples>()
    };
    sheet.note(format!("hook tools {tools}:"));
    sheet.figure("charm", Unit::Milliseconds, &took(0));
    sheet.figure("bare program", Unit::Milliseconds, &took(1));
    let ratios = all.iter().map(ratio).collect();
    sheet.judged("charm / bare", NO_SLOWER_THAN_BARE, Unit::Times, &ratios);
}

async fn turn(site: &mut Site, programs: &Programs) -> Result<Turn> {
    let mut run = async |dispatch: &PathBuf, delay| {
        site.juju.slow_tools(delay);
        programs.put(dispatch)?;
        let run = site.update_status().await?;
        ensure!(run.exit.is_success(), "update-status: {:?}", run.exit);
        anyhow::Ok(run)
    };
    Ok(Turn {
        charm: run(&programs.charm, Duration::ZERO).await?,
        bare: run(&programs.bare, Duration::ZERO).await?,
        slow_charm: run(&programs.charm, AS_SLOW_AS_JUJU).await?,
        slow_bare: run(&programs.bare, AS_SLOW_AS_JUJU).await?,
    })
}

/// What can be counted is counted once: it does not vary.
async fn counts(site: &mut Site, programs: &Programs, sheet: &mut Sheet) -> Result<()> {
    programs.put(&programs.charm)?;
    site.juju.slow_tools(Duration::ZERO);
    let relay = Relay::to(site.api()).await?;
    let direct = site.api().clone();
    site.juju.lead_to(relay.api());
    let starts = site.cli_starts()?.len();
    let audit = site.audit();
    let mark = audit.mark().await?;
    let run = site.update_status().await?;
    let requests = audit.since(&mark).await?;
    site.juju.lead_to(&direct);
    let traffic = relay.take();
    let user = site.charm_user();
    let verbs: Vec<_> = requests
        .iter()
        .filter(|one| one.user == user)
        .map(|one| &one.verb)
        .collect();
    let writes = verbs
        .iter()
        .filter(|verb| !["get", "list", "watch"].contains(&verb.as_str()));

    let tools = count(run.tool_calls.iter().map(|call| &call.tool));
    sheet.judged(
        "hook-tool calls",
        TOOL_CALLS,
        Unit::Count,
        &just(run.tool_calls.len()),
    );
    sheet.note(format!("{tools} (the emulator's record)"));
    sheet.figure("API requests", Unit::Count, &just(verbs.len()));
    sheet.note(format!("{} (the audit log)", count(verbs.iter())));
    sheet.judged("API writes", 0.0, Unit::Count, &just(writes.count()));
    sheet.judged(
        "API connections",
        1.0,
        Unit::Count,
        &just(traffic.connections),
    );
    sheet.figure(
        "sent to the API server",
        Unit::Kilobytes,
        &kilobytes(traffic.sent),
    );
    sheet.figure(
        "received from it",
        Unit::Kilobytes,
        &kilobytes(traffic.received),
    );
    let started = site.cli_starts()?.len() - starts;
    sheet.judged("starts of the Velero CLI", 0.0, Unit::Count, &just(started));
    sheet.note(
        "bytes are counted by a relay in front of the API server, TLS and TCP's payload alike;",
    );
    sheet.note("starts by a script in the CLI's place that notes each and becomes the CLI");
    Ok(())
}

/// `3 get, 1 list`, most often first.
fn count<T: Display>(all: impl Iterator<Item = T>) -> String {
    let mut counts = BTreeMap::<String, usize>::new();
    all.for_each(|one| *counts.entry(one.to_string()).or_default() += 1);
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let counts = counts.iter().map(|(what, count)| format!("{count} {what}"));
    counts.collect::<Vec<_>>().join(", ")
}

fn just(count: impl TryInto<u32>) -> Samples {
    std::iter::once(number(count)).collect()
}

fn kilobytes(bytes: u64) -> Samples {
    std::iter::once(number(bytes) / 1000.0).collect()
}

fn memory(run: &HookRun) -> f64 {
    number(run.max_rss) / 1e6
}

fn ratio(charm: &HookRun, bare: &HookRun) -> f64 {
    charm.duration.as_secs_f64() / bare.duration.as_secs_f64()
}

fn first_call(run: &HookRun) -> f64 {
    let first = run.tool_calls.first();
    let after = first.and_then(|call| call.at.duration_since(run.at).ok());
    after.map_or(f64::NAN, milliseconds)
}

/// The charm's program and the bare one, in the unit's charm directory.
struct Programs {
    dispatch: PathBuf,
    charm: PathBuf,
    bare: PathBuf,
}

impl Programs {
    async fn prepare(site: &mut Site) -> Result<Self> {
        let model: &mut CharmedModel = site;
        let first = model.update_status().await?;
        let steady = model.update_status().await?;
        ensure!(
            calls(&first.tool_calls) == calls(&steady.tool_calls),
            "the hook is not steady:\n{}",
            calls(&first.tool_calls)
        );
        let dir = model.juju.charm_dir(UNIT);
        let programs = Self {
            dispatch: dir.join("dispatch"),
            charm: dir.join("dispatch-of-the-charm"),
            bare: dir.join("dispatch-bare"),
        };
        fs::rename(&programs.dispatch, &programs.charm)?;
        fs::copy(helper("bare-tools")?, &programs.bare)?;
        fs::write(dir.join(CALLS), calls(&steady.tool_calls))?;
        Ok(programs)
    }

    /// Lets the next hooks start one of them.
    fn put(&self, program: &PathBuf) -> Result<()> {
        // As a link beside it and then in its place: a program that has just run may not be written.
        let next = self.dispatch.with_extension("next");
        fs::hard_link(program, &next)?;
        fs::rename(&next, &self.dispatch).context("putting a program in place")?;
        // Two names of one file are left as they are.
        let _ = fs::remove_file(next);
        Ok(())
    }
}

fn calls(calls: &[ToolCall]) -> String {
    let line = |word: &String| format!("{word}\n");
    let lines = |call: &ToolCall| {
        let words = std::iter::once(&call.tool).chain(&call.args);
        words.map(line).collect::<String>() + "\n"
    };
    calls.iter().map(lines).collect()
}

/// Fills the namespace with what a busy one has.
async fn crowd(site: &Site) -> Result<()> {
    let namespace = &site.namespace;
    let secrets: Api<Secret> = Api::namespaced(site.client(), namespace);
    let labels = BTreeMap::from([
        ("velero-operator/application".to_owned(), APP.to_owned()),
        (
            "velero-operator/model".to_owned(),
            site.juju.model().uuid.clone(),
        ),
    ]);
    let how = PostParams::default();
    let others = (0..OTHERS).map(|number| Secret {
        metadata: ObjectMeta {
            name: Some(format!("other-{number}")),
            labels: Some(labels.clone()),
            ..ObjectMeta::default()
        },
        string_data: Some(BTreeMap::from([("text".to_owned(), "x".repeat(1000))])),
        ..Secret::default()
    });
    let create = async |secret: Secret| secrets.create(&how, &secret).await.map(drop);
    stream::iter(others)
        .map(Ok)
        .try_for_each_concurrent(4, create)
        .await?;

    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("velero.io", "v1", "Backup"));
    let backups: Api<DynamicObject> = Api::namespaced_with(site.client(), namespace, &resource);
    let create = async |number| {
        let backup = serde_json::from_value(backup(number)).map_err(kube::Error::SerdeError)?;
        backups.create(&how, &backup).await.map(drop)
    };
    stream::iter(0..BACKUPS)
        .map(Ok)
        .try_for_each_concurrent(4, create)
        .await?;
    Ok(())
}

/// One that has ended well, so that Velero has nothing to do about it.
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
