//! Hooks that change something, and the moment at which somebody else saw what they waited for.
//!
//! Invariant: a hook's lag is counted from when the watcher saw the last of what the hook is to wait for,
//! to the end of the hook's process.

use std::time::SystemTime;

use anyhow::{Context as _, Result};
use juju_emulator::{DeployOptions, HookRun};
use kube_stack::{AuditEvent, Mark};
use worlds::operator::{APP, AZURE, S3};

use super::sheet::{Samples, Sheet, Unit};
use super::site::{Ground, Site};
use super::stages::{by_stage, timeline};
use super::watcher::{Scene, Watcher, since};

/// How much later than its cause a hook may end.
const LAG: f64 = 0.1;
/// What takes so many times as long as the median is looked at.
const ODD: f64 = 3.0;

/// A kind of change, and what of it was seen in each round.
struct Change {
    title: &'static str,
    seen: Vec<Seen>,
}

/// One hook that waited, and what it waited for.
struct Seen {
    run: HookRun,
    /// When the watcher saw it.
    cause: SystemTime,
    /// What all hooks of this change took.
    in_all: f64,
    /// The charm's requests in them, as the API server saw them.
    requests: Vec<AuditEvent>,
}

/// What is known before a change.
struct Before {
    runs: usize,
    mark: Mark,
}

type Holds = Box<dyn Fn(&Scene) -> bool>;

/// Tells how long changes take.
pub(super) async fn measure(ground: &Ground, rounds: usize, sheet: &mut Sheet) -> Result<()> {
    let mut changes = Vec::<Change>::new();
    let mut note = |title, seen| match changes.iter_mut().find(|change| change.title == title) {
        Some(change) => change.seen.push(seen),
        None => changes.push(Change {
            title,
            seen: vec![seen],
        }),
    };
    let mut removals = Vec::new();
    for round in 0..rounds {
        let mut site = ground.site_of(&format!("round-{round}")).await?;
        let watcher = Watcher::start(site.kubeconfig(), &site.namespace)?;
        story(&mut site, &watcher, &mut note).await?;
        let first = site.juju.hook_runs().len();
        site.remove().await?;
        removals.push(seconds_of(
            site.juju.hook_runs().get(first..).unwrap_or_default(),
        ));
    }
    for change in &changes {
        change.tell(sheet);
    }
    sheet.heading("removal (with a location, a node agent and nothing in flight)");
    sheet.figure("all hooks", Unit::Seconds, &removals.into_iter().collect());
    Ok(())
}

/// What a user does, from the deployment on.
async fn story(
    site: &mut Site,
    watcher: &Watcher,
    note: &mut impl FnMut(&'static str, Seen),
) -> Result<()> {
    let before = Before::of(site).await?;
    site.deploy(DeployOptions::trusted()).await?;
    let installed = seen(site, &before, watcher, &Scene::serves).await?;
    note("install → the server's pod is ready", installed);

    let before = Before::of(site).await?;
    let settings = site.settings();
    site.integrate(settings.clone()).await?;
    site.expect_status("active: ")?;
    let connected: Holds = Box::new(|scene| scene.serves_with("aws") && scene.is_available("aws"));
    let title = "relation-changed → pod with the plugin is ready, and Velero's verdict";
    note(title, seen(site, &before, watcher, &connected).await?);

    site.offer("secret-key", "not-the-secret-key").await?;
    let before = Before::of(site).await?;
    let judged = is_news_to(&watcher.now());
    site.offer("secret-key", &settings.secret_key).await?;
    site.expect_status("active: ")?;
    note(
        "rotation (to the right key, in the very second of the verdict on a wrong one) → Velero's verdict",
        seen(site, &before, watcher, &judged).await?,
    );

    let before = Before::of(site).await?;
    site.config("use-node-agent", "true").await?;
    site.expect_status("active: ")?;
    note(
        "node agent on → its DaemonSet is ready",
        seen(site, &before, watcher, &Scene::has_agents).await?,
    );

    site.integrate_azure().await?;
    let before = Before::of(site).await?;
    site.juju.remove_relation(APP, S3)?;
    site.settle().await?;
    site.expect_status("active: ")?;
    let moved: Holds = Box::new(|scene| scene.serves_with("azure") && scene.is_available("azure"));
    let title = "S3 → Azure → pod with the plugin is ready, and Velero's verdict";
    note(title, seen(site, &before, watcher, &moved).await?);
    site.juju.remove_application(AZURE)?;
    site.settle().await
}

/// A verdict that is not this one, on another credential.
fn is_news_to(before: &Scene) -> Holds {
    let before = before.clone();
    Box::new(move |scene| {
        scene.credential() != before.credential() && scene.judged_at() != before.judged_at()
    })
}

impl Before {
    async fn of(site: &Site) -> Result<Self> {
        Ok(Self {
            runs: site.juju.hook_runs().len(),
            mark: site.audit().mark().await?,
        })
    }
}

/// The hook since then in which what holds now came to be so.
async fn seen(
    site: &Site,
    before: &Before,
    watcher: &Watcher,
    holds: &dyn Fn(&Scene) -> bool,
) -> Result<Seen> {
    let runs = site.juju.hook_runs().get(before.runs..).unwrap_or_default();
    let end = runs.last().map(|run| run.at + run.duration);
    let end = end.context("no hook ran")?;
    let history = watcher.history(holds).await?;
    let cause = since(&history, end, holds).context("what the hook waited for is no more")?;
    let run = runs.iter().rev().find(|run| run.at <= cause);
    let mut requests = site.audit().since(&before.mark).await?;
    let user = site.charm_user();
    requests.retain(|request| request.user == user);
    Ok(Seen {
        run: run.context("it was so before any hook ran")?.clone(),
        cause,
        in_all: seconds_of(runs),
        requests,
    })
}

fn seconds_of(runs: &[HookRun]) -> f64 {
    runs.iter().map(|run| run.duration.as_secs_f64()).sum()
}

/// Seconds from one moment to another, which may be the earlier one.
fn seconds(from: SystemTime, to: SystemTime) -> f64 {
    match to.duration_since(from) {
        Ok(later) => later.as_secs_f64(),
        Err(earlier) => -earlier.duration().as_secs_f64(),
    }
}

impl Seen {
    fn end(&self) -> SystemTime {
        self.run.at + self.run.duration
    }

    fn lag(&self) -> f64 {
        seconds(self.cause, self.end())
    }

    fn took(&self) -> f64 {
        self.run.duration.as_secs_f64()
    }
}

impl Change {
    fn tell(&self, sheet: &mut Sheet) {
        let samples = |take: &dyn Fn(&Seen) -> f64| self.seen.iter().map(take).collect::<Samples>();
        sheet.heading(self.title);
        sheet.figure("all hooks", Unit::Seconds, &samples(&|seen| seen.in_all));
        let hook = self.seen.first().map_or("", |seen| &seen.run.hook);
        let took = samples(&Seen::took);
        sheet.figure(hook, Unit::Seconds, &took);
        let to_cause = samples(&|seen| seconds(seen.run.at, seen.cause));
        sheet.figure("from its start to the cause", Unit::Seconds, &to_cause);
        let lag = samples(&Seen::lag);
        let met = sheet.judged("from the cause to its end", LAG, Unit::Seconds, &lag);
        for (stage, took) in by_stage(self.seen.iter().map(|seen| &seen.run)) {
            sheet.figure(stage, Unit::Milliseconds, &took);
        }
        if let Some(seen) = self.most(Seen::lag).filter(|_| !met) {
            explain("the one that ended latest", seen, sheet);
        }
        let longest = self.most(Seen::took);
        if let Some(seen) = longest.filter(|seen| seen.took() > ODD * took.median()) {
            explain("the longest one", seen, sheet);
        }
    }

    fn most(&self, measure: fn(&Seen) -> f64) -> Option<&Seen> {
        let by_measure = |a: &&Seen, b: &&Seen| measure(a).total_cmp(&measure(b));
        self.seen.iter().max_by(by_measure)
    }
}

/// What happened in a hook.
fn explain(which: &str, seen: &Seen, sheet: &mut Sheet) {
    sheet.note(format!("{which}, in seconds since its cause:"));
    let mut events = timeline(&seen.run, &seen.requests);
    events.push((seen.cause, "the cause".to_owned()));
    events.sort_by_key(|(at, _)| *at);
    for (at, what) in events {
        sheet.note(format!("{:8.3}  {what}", seconds(seen.cause, at)));
    }
}
