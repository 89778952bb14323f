//! What was tried and what was told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;

use super::scenes::Scene;
use super::targets::Ill;

/// One hook that met a fault.
pub(crate) struct Case {
    pub(crate) scene: Scene,
    pub(crate) target: String,
    pub(crate) ill: Ill,
    pub(crate) took: Duration,
    pub(crate) requests: usize,
    pub(crate) status: String,
}

#[derive(Default)]
pub(crate) struct Report(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    counts: BTreeMap<Scene, BTreeMap<Ill, usize>>,
    told: BTreeMap<String, BTreeSet<(Scene, Ill)>>,
    slowest: BTreeMap<Scene, Duration>,
    failures: Vec<String>,
    missed: usize,
}

impl Report {
    pub(crate) fn note(&self, case: Case, verdict: Result<()>) {
        let mut pages = self.pages();
        *pages
            .counts
            .entry(case.scene)
            .or_default()
            .entry(case.ill)
            .or_default() += 1;
        let slowest = pages.slowest.entry(case.scene).or_default();
        *slowest = case.took.max(*slowest);
        let Case {
            scene,
            target,
            ill,
            took,
            requests,
            status,
        } = case;
        println!(
            "{scene:?} | {target} | {ill} | {:.1} s | {requests} | {status}",
            took.as_secs_f32()
        );
        pages.told.entry(status).or_default().insert((scene, ill));
        drop(pages);
        if let Err(error) = verdict {
            self.fail(format!("{scene:?}, {target}, {ill}: {error:#}"));
        }
    }

    /// The request that was to be disturbed was not needed this time.
    pub(crate) fn miss(&self) {
        self.pages().missed += 1;
    }

    pub(crate) fn fail(&self, text: String) {
        println!("FAILED {text}");
        self.pages().failures.push(text);
    }

    /// Kinds of faults that no request met.
    pub(crate) fn unmet(&self) -> Vec<Ill> {
        let pages = self.pages();
        let is_met = |ill: &Ill| pages.counts.values().any(|counts| counts.contains_key(ill));
        Ill::ALL.into_iter().filter(|ill| !is_met(ill)).collect()
    }

    pub(crate) fn failures(&self) -> Vec<String> {
        self.pages().failures.clone()
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pages = self.pages();
        let mut total = 0;
        for (scene, counts) in &pages.counts {
            write!(formatter, "{:21}", format!("{scene:?}"))?;
            for (ill, count) in counts {
                write!(formatter, " {ill}: {count:3}")?;
                total += count;
            }
            let slowest = pages.slowest.get(scene).copied().unwrap_or_default();
            writeln!(formatter, "; the slowest took {} s", slowest.as_secs())?;
        }
        writeln!(
            formatter,
            "{total} cases, {} missed their request; {} statuses:",
            pages.missed,
            pages.told.len()
        )?;
        for (status, by) in &pages.told {
            writeln!(formatter, "{:4} {status}", by.len())?;
        }
        Ok(())
    }
}
