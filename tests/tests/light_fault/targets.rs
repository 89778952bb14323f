//! Which requests there are to disturb, and by what.
//!
//! Invariant: two requests are one target if they differ only in a name that the charm made up, or in
//! which of Velero's kinds they are about where the charm treats all alike.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::{self, Display};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use tests::stack::proxy::{Asked, Exchange, Fault, Refusal, Rule};

use crate::scenes::Scene;

/// The kinds of Velero that stand for all; the charm has an order for the first three.
const KINDS: [&str; 4] = ["schedules", "backupstoragelocations", "restores", "backups"];

const SLOW: Duration = Duration::from_secs(2);

/// A request, by its purpose.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    shape: String,
    /// As often has it been sent for another purpose.
    skip: usize,
}

/// What it meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ill {
    Forbidden,
    NotFound,
    Conflict,
    ConflictOnce,
    Busy,
    Broken,
    Hang,
    Slow,
    Cut,
}

use Ill::{Broken, Busy, Conflict, ConflictOnce, Cut, Forbidden, Hang, NotFound, Slow};

/// Faults of one request, one hook each. Where the first of them ends is where the next begins, until
/// one hook without a fault has to set it right.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) target: Target,
    pub(crate) ills: Vec<Ill>,
}

impl Target {
    fn of(exchange: &Exchange, before: &[Exchange]) -> Option<Self> {
        let shape = shape(&exchange.asked)?;
        let same = |one: &&Exchange| crate::targets::shape(&one.asked).as_ref() == Some(&shape);
        let skip = before.iter().filter(same).count();
        Some(Self { shape, skip })
    }

    /// The rule that lets it meet a fault.
    pub(crate) fn rule(&self, ill: Ill) -> Rule {
        let (wanted, skip, seen) = (self.shape.clone(), self.skip, AtomicUsize::new(0));
        let matches = move |asked: &Asked| {
            shape(asked).as_ref() == Some(&wanted) && seen.fetch_add(1, Ordering::Relaxed) >= skip
        };
        let fault = match ill {
            Forbidden => Fault::Refuse(Refusal::Forbidden),
            NotFound => Fault::Refuse(Refusal::NotFound),
            Conflict | ConflictOnce => Fault::Refuse(Refusal::Conflict),
            Busy => Fault::Refuse(Refusal::Busy),
            Broken => Fault::Refuse(Refusal::Broken),
            Hang => Fault::Hang,
            Slow => Fault::Slow(SLOW),
            Cut => Fault::Cut,
        };
        if ill == ConflictOnce {
            Rule::first(matches, fault)
        } else {
            Rule::every(matches, fault)
        }
    }
}

/// Method, path without what is only a name, and whether it is a watch; none for kinds that are like
/// another one.
pub(crate) fn shape(asked: &Asked) -> Option<String> {
    let mut parts: Vec<&str> = asked
        .path
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    if let Some(space) = parts.iter().position(|part| *part == "namespaces") {
        parts.drain(space..(space + 2).min(parts.len()));
    }
    let namespaced = asked.path.contains("/namespaces/");
    if asked.path.contains("/velero.io/") && asked.method == Method::DELETE || !namespaced {
        let kind = parts.get(3).copied().unwrap_or_default();
        if asked.path.contains("/velero.io/") && !KINDS.contains(&kind) {
            return None;
        }
    }
    let made_up = |part: &str| {
        part.contains("-storage-")
            || part.ends_with(".velero.io")
            || part.starts_with("velero-light-")
    };
    let path: Vec<&str> = parts
        .into_iter()
        .map(|part| if made_up(part) { "*" } else { part })
        .collect();
    let place = if namespaced { "" } else { " (cluster)" };
    let watch = if asked.is_watch() { " watch" } else { "" };
    Some(format!(
        "{} /{}{place}{watch}",
        asked.method,
        path.join("/")
    ))
}

/// All rounds of a scene.
pub(crate) fn rounds(scene: Scene, record: &[Exchange]) -> VecDeque<Round> {
    let _ = Arc::new(());
    let last_write = record
        .iter()
        .rposition(|one| one.asked.method != Method::GET);
    let mut known = BTreeSet::new();
    let mut rounds = VecDeque::new();
    for (number, exchange) in record.iter().enumerate() {
        let Some(target) = Target::of(exchange, &record[..number]) else {
            continue;
        };
        if target.skip > 1 || !known.insert(target.clone()) {
            continue;
        }
        let follows = last_write.is_some_and(|last| number > last);
        for ills in ills(scene, follows) {
            rounds.push_back(Round {
                target: target.clone(),
                ills,
            });
        }
    }
    rounds
}

fn ills(scene: Scene, follows: bool) -> Vec<Vec<Ill>> {
    let refusals = [
        Forbidden,
        NotFound,
        Conflict,
        ConflictOnce,
        Busy,
        Broken,
        Hang,
    ];
    match (scene, follows) {
        (Scene::Steady, _) => vec![[refusals.as_slice(), &[Slow, Cut]].concat()],
        (_, false) => vec![[refusals.as_slice(), &[Cut]].concat()],
        // What is asked for after the last write is not asked for again by the next hook.
        (Scene::NodeAgentOn, true) => {
            let all = [refusals.as_slice(), &[Slow, Cut]].concat();
            all.into_iter().map(|ill| vec![ill]).collect()
        }
        (_, true) => vec![vec![Hang], vec![Cut]],
    }
}

impl Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.shape)?;
        if self.skip > 0 {
            formatter.write_str(" again")?;
        }
        Ok(())
    }
}

impl Display for Ill {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Forbidden => "403",
            NotFound => "404",
            Conflict => "409",
            ConflictOnce => "409 once",
            Busy => "429",
            Broken => "500",
            Hang => "hang",
            Slow => "2 s slow",
            Cut => "cut",
        })
    }
}
