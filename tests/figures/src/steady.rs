//! A hook that finds nothing to do, against a bare program that makes the same calls of hook tools.
//!
//! Invariant: the two are started the same way by the same emulator, in turns, in the same model; what is
//! compared is measured in the same turn. What is counted is counted from outside.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use juju_emulator::{BARE_CALLS, HookRun, Pace, ToolCall, helper};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use kube_stack::AuditEvent;
use worlds::charmed::CharmedModel;
use worlds::operator::{APP, UNIT};
use worlds::options;

use super::many;
use super::relay::Relay;
use super::sheet::{Samples, Sheet, Unit};
use super::site::Site;
use super::stages::{by_stage, timeline};
use super::{milliseconds, number};

const NO_SLOWER_THAN_BARE: f64 = 1.5;
const MEGABYTES: f64 = 15.0;
const TOOL_CALLS: f64 = 14.0;
/// The programs that are compared.
const NAMES: [&str; 3] = ["charm", "bare program", "other build of the charm"];
pub(super) const CHARM: usize = 0;
pub(super) const BARE: usize = 1;
/// As many there are when this is measured.
pub(super) const BACKUPS: usize = 500;
const OTHERS: usize = 50;

/// Tells what a steady hook costs, in an almost empty namespace and in a full one.
pub(super) async fn measure(
    site: &mut Site,
    against: Option<&Path>,
    turns: usize,
    sheet: &mut Sheet,
) -> Result<()> {
    let programs = Programs::prepare(site, against).await?;
    one(site, &programs, turns, "update-status, steady", sheet).await?;
    options::set(&mut site.juju)?;
    programs.follow(site).await?;
    let title = "update-status, steady, with all options set";
    one(site, &programs, turns, title, sheet).await?;
    programs.put(CHARM)?;
    options::reset(&mut site.juju)?;
    site.update_status().await?;
    programs.follow(site).await?;
    crowd(site).await?;
    until_quiet(site).await?;
    let title = format!(
        "update-status, steady, with {OTHERS} other labelled objects and {BACKUPS} Backups"
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
    turn(site, programs, Pace::Emulators).await?;
    let (mut as_is, mut slow) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        as_is.push(turn(site, programs, Pace::Emulators).await?);
        slow.push(turn(site, programs, Pace::Jujus).await?);
    }
    sheet.note("hook tools as fast as the emulator's:");
    let met = compare(sheet, &as_is);
    sheet.note("hook tools at real Juju's pace, each as long as there:");
    compare(sheet, &slow);
    let quick = |which| as_is.iter().filter_map(move |turn| turn.get(which));
    let memory = quick(CHARM).map(|run| number(run.max_rss) / 1e6).collect();
    sheet.judged("resident memory", MEGABYTES, Unit::Megabytes, &memory);
    for (which, who) in [(CHARM, NAMES[CHARM]), (BARE, NAMES[BARE])] {
        let what = format!("start to the first hook tool, {who}");
        let first = quick(which).map(first_call).collect();
        sheet.figure(what, Unit::Milliseconds, &first);
    }
    for (stage, took) in by_stage(quick(CHARM)) {
        sheet.figure(stage, Unit::Milliseconds, &took);
    }
    let (run, requests) = counts(site, programs, sheet).await?;
    if !met {
        sheet.note("where the time goes with hook tools as fast as the emulator's, in seconds:");
        for (at, what) in timeline(&run, &requests) {
            let since = at.duration_since(run.at).unwrap_or_default();
            sheet.note(format!("{:8.3}  {what}", since.as_secs_f64()));
        }
    }
    Ok(())
}

/// Each program alone, and for each of the bare one; tells whether the charm meets its goal.
pub(super) fn compare(sheet: &mut Sheet, turns: &[Vec<HookRun>]) -> bool {
    let took = |turn: &[HookRun], which: usize| Some(milliseconds(turn.get(which)?.duration));
    let ratio = |turn, which| Some(took(turn, which)? / took(turn, BARE)?);
    let mut met = true;
    for (which, who) in NAMES.into_iter().enumerate() {
        let took: Samples = turns.iter().filter_map(|turn| took(turn, which)).collect();
        if took.is_empty() {
            continue;
        }
        sheet.figure(who, Unit::Milliseconds, &took);
        let ratios = turns.iter().filter_map(|turn| ratio(turn, which)).collect();
        let what = format!("{who} / {}", NAMES[BARE]);
        match which {
            CHARM => met = sheet.judged(what, NO_SLOWER_THAN_BARE, Unit::Times, &ratios),
            BARE => {}
            _ => sheet.figure(what, Unit::Times, &ratios),
        }
    }
    met
}

/// A run of each program, one after the other.
pub(super) async fn turn(site: &mut Site, programs: &Programs, pace: Pace) -> Result<Vec<HookRun>> {
    site.juju.keep_pace(pace);
    let mut runs = Vec::new();
    for which in 0..programs.all.len() {
        programs.put(which)?;
        let run = site.update_status().await?;
        ensure!(run.exit.is_success(), "update-status: {:?}", run.exit);
        runs.push(run);
    }
    Ok(runs)
}

/// What can be counted is counted once: it does not vary.
async fn counts(
    site: &mut Site,
    programs: &Programs,
    sheet: &mut Sheet,
) -> Result<(HookRun, Vec<AuditEvent>)> {
    programs.put(CHARM)?;
    site.juju.keep_pace(Pace::Emulators);
    let relay = Relay::to(site.api()).await?;
    let direct = site.api().clone();
    let through = relay.api();
    site.juju.lead_to(&through.host, through.port);
    let starts = site.cli_starts()?.len();
    let (run, requests) = site.asked_in_a_hook().await?;
    site.juju.lead_to(&direct.host, direct.port);
    let traffic = relay.take();
    let verbs: Vec<_> = requests.iter().map(|one| &one.verb).collect();
    let writes = requests.iter().filter(|one| one.writes());

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
    Ok((run, requests))
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

pub(super) fn just(count: impl TryInto<u32>) -> Samples {
    std::iter::once(number(count)).collect()
}

fn kilobytes(bytes: u64) -> Samples {
    std::iter::once(number(bytes) / 1000.0).collect()
}

fn first_call(run: &HookRun) -> f64 {
    let first = run.tool_calls.first();
    let after = first.and_then(|call| call.at.duration_since(run.at).ok());
    after.map_or(f64::NAN, milliseconds)
}

/// The programs that take turns, in the unit's charm directory.
pub(super) struct Programs {
    dispatch: PathBuf,
    /// In the order of [`NAMES`]; the last one is not always there.
    all: Vec<PathBuf>,
}

impl Programs {
    pub(super) async fn prepare(site: &mut Site, against: Option<&Path>) -> Result<Self> {
        note_calls(site).await?;
        let dir = site.juju.charm_dir(UNIT);
        let dispatch = dir.join("dispatch");
        let mut all = Vec::new();
        let bare = helper("bare-tools")?;
        for from in [Some(dispatch.as_path()), Some(&bare), against]
            .into_iter()
            .flatten()
        {
            let program = dir.join(format!("program-{}", all.len()));
            fs::copy(from, &program)?;
            all.push(program);
        }
        Ok(Self { dispatch, all })
    }

    /// The bare program makes the calls that the charm makes from now on.
    pub(super) async fn follow(&self, site: &mut Site) -> Result<()> {
        self.put(CHARM)?;
        site.settle().await?;
        note_calls(site).await
    }

    /// Lets the next hooks start the bare program, which makes no calls until it [follows](Self::follow) the charm
    /// again.
    pub(super) fn idle(&self) -> Result<()> {
        fs::write(self.dispatch.with_file_name(BARE_CALLS), "")?;
        self.put(BARE)
    }

    /// Lets the next hooks start one of them.
    pub(super) fn put(&self, which: usize) -> Result<()> {
        let program = self.all.get(which).context("there is no such program")?;
        // As a link next to it and then in its place: a program that has just run may not be written.
        let next = self.dispatch.with_extension("next");
        fs::hard_link(program, &next)?;
        fs::rename(&next, &self.dispatch).context("putting a program in place")?;
        // Two names of one file are left as they are.
        let _ = fs::remove_file(next);
        Ok(())
    }
}

/// Notes the calls of a hook that finds nothing to do, for the bare program.
async fn note_calls(site: &mut Site) -> Result<()> {
    let model: &mut CharmedModel = site;
    let first = model.update_status().await?;
    let steady = model.update_status().await?;
    ensure!(
        calls(&first.tool_calls) == calls(&steady.tool_calls),
        "the hook is not steady:\n{}",
        calls(&first.tool_calls)
    );
    let noted = model.juju.charm_dir(UNIT).join(BARE_CALLS);
    fs::write(noted, calls(&steady.tool_calls))?;
    Ok(())
}

fn calls(calls: &[ToolCall]) -> String {
    let line = |word: &String| format!("{word}\n");
    let lines = |call: &ToolCall| {
        let words = std::iter::once(&call.tool).chain(&call.args);
        words.map(line).collect::<String>() + "\n"
    };
    calls.iter().map(lines).collect()
}

/// What the charm finds out once, of some Backups in each hook, is found out of all.
async fn until_quiet(site: &mut Site) -> Result<()> {
    for _ in 0..BACKUPS {
        let (_, requests) = site.asked_in_a_hook().await?;
        if !requests.iter().any(AuditEvent::writes) {
            return Ok(());
        }
    }
    bail!("each hook writes")
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

    many::make(site, 0, BACKUPS).await
}
