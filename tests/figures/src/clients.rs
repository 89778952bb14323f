//! A quiet hook, and many applications that ask to be backed up.
//!
//! Invariant: Juju has run every hook that their relations bring. A program that does nothing ran in them in the
//! charm's place: the charm would read all relations in each, which is minutes for the last hundred alone. So the
//! charm finds them in one hook, and its quiet hook finds what it finds however they came.

use std::time::Duration;

use anyhow::{Context as _, Result};
use juju_emulator::{HookRun, Pace};
use serde_json::json;
use worlds::operator::APP;

use super::number;
use super::sheet::{Samples, Sheet, Unit};
use super::site::Site;
use super::steady::{BARE, CHARM, Programs, compare, just, turn};

/// As many there are when it is measured; the difference of two is what one of them costs.
const CLIENTS: [usize; 2] = [100, 500];
/// What the charm may add to the hook tools.
const SECONDS: f64 = 1.0;
/// Of the older interface, which one target asks by.
const ENDPOINT: (&str, &str) = ("velero-backup-config", "velero_backup_config");
/// Of these the hooks are run at once. Each brings four.
const AT_ONCE: usize = 100;

/// What a hook takes.
#[derive(Debug)]
struct Taken {
    whole: f64,
    own: f64,
}

/// Tells what the quiet hook costs.
pub(super) async fn measure(site: &mut Site, turns: usize, sheet: &mut Sheet) -> Result<()> {
    let programs = Programs::prepare(site, None).await?;
    let mut already = 0;
    let mut per_number = Vec::new();
    for number in CLIENTS {
        sheet.heading(format!(
            "update-status, steady, with {number} applications that ask to be backed up"
        ));
        programs.idle()?;
        relate(site, already, number).await?;
        already = number;
        programs.put(CHARM)?;
        let first = site.update_status().await?;
        sheet.note(
            "what ran in the hooks of their relations did nothing, so one hook of the charm found all that are new:",
        );
        let first = [first.duration.as_secs_f64()].into_iter().collect();
        sheet.figure("that hook", Unit::Seconds, &first);
        programs.follow(site).await?;
        per_number.push((number, one(site, &programs, turns, sheet).await?));
    }
    let [(few, of_few), (many, of_many)] = per_number.as_slice() else {
        return Ok(());
    };
    let more = number(many - few);
    let each = |take: fn(&Taken) -> f64| {
        let one = (take(of_many) - take(of_few)) * 1000.0 / more;
        [one].into_iter().collect::<Samples>()
    };
    let what = "one of them more, hook tools at real Juju's pace";
    sheet.figure(what, Unit::Milliseconds, &each(|taken| taken.whole));
    let what = "of that, the charm's own time";
    sheet.figure(what, Unit::Milliseconds, &each(|taken| taken.own));
    Ok(())
}

/// At both paces; gives what it takes at real Juju's.
async fn one(
    site: &mut Site,
    programs: &Programs,
    turns: usize,
    sheet: &mut Sheet,
) -> Result<Taken> {
    // Not measured: whatever is cached is cached now.
    turn(site, programs, Pace::Emulators).await?;
    let mut taken = None;
    for (pace, note) in [
        (Pace::Emulators, "hook tools as fast as the emulator's:"),
        (
            Pace::Jujus,
            "hook tools at real Juju's pace, each as long as there:",
        ),
    ] {
        let mut all = Vec::new();
        for _ in 0..turns {
            all.push(turn(site, programs, pace).await?);
        }
        sheet.note(note);
        compare(sheet, &all);
        let more = |take: fn(&HookRun) -> Duration| -> Samples {
            all.iter().filter_map(|turn| more(turn, take)).collect()
        };
        let own = more(|run| run.duration);
        let what = "the charm's own time: what it takes longer than the bare program";
        sheet.judged(what, SECONDS, Unit::Seconds, &own);
        let what = "of processors alone: what it takes more than the bare program";
        sheet.figure(what, Unit::Seconds, &more(|run| run.processor));
        let quick = || all.iter().filter_map(|turn| turn.get(CHARM));
        let within = quick().map(within_tools).collect();
        sheet.figure(
            "the agent's time for its hook tools",
            Unit::Seconds,
            &within,
        );
        let whole: Samples = quick().map(|run| run.duration.as_secs_f64()).collect();
        taken = Some(Taken {
            whole: whole.median(),
            own: own.median(),
        });
    }
    site.juju.keep_pace(Pace::Emulators);
    counts(site, programs, sheet).await?;
    taken.context("nothing was measured")
}

/// Both make the same calls of hook tools.
fn more(turn: &[HookRun], take: fn(&HookRun) -> Duration) -> Option<f64> {
    let took = |which: usize| Some(take(turn.get(which)?).as_secs_f64());
    Some(took(CHARM)? - took(BARE)?)
}

fn within_tools(run: &HookRun) -> f64 {
    let calls = run.tool_calls.iter();
    calls.map(|call| call.duration.as_secs_f64()).sum()
}

async fn counts(site: &mut Site, programs: &Programs, sheet: &mut Sheet) -> Result<()> {
    programs.put(CHARM)?;
    let (run, requests) = site.asked_in_a_hook().await?;
    sheet.figure("hook-tool calls", Unit::Count, &just(run.tool_calls.len()));
    sheet.figure("API requests", Unit::Count, &just(requests.len()));
    let writes = requests.iter().filter(|one| one.writes()).count();
    sheet.judged("API writes", 0.0, Unit::Count, &just(writes));
    let memory = [number(run.max_rss) / 1e6].into_iter().collect();
    sheet.figure("resident memory", Unit::Megabytes, &memory);
    Ok(())
}

/// Relates more of them, up to so many, and lets Juju run all that comes of it.
async fn relate(site: &mut Site, already: usize, up_to: usize) -> Result<()> {
    let ours = format!("{APP}:velero-backups");
    for number in already..up_to {
        let name = format!("client{number}");
        let spec = json!({
            "include_namespaces": [name], "schedule": "@daily", "paused": true, "ttl": "720h",
        });
        let spec = spec.to_string();
        let fields = [
            ("app", name.as_str()),
            ("model", "here"),
            ("relation_name", ENDPOINT.0),
            ("spec", &spec),
        ];
        site.juju.deploy_backup_client(&name, ENDPOINT)?;
        site.juju.config(&name, &fields)?;
        site.juju.integrate(&ours, &name)?;
        if (number + 1) % AT_ONCE == 0 {
            site.settle().await?;
        }
    }
    site.settle().await
}
