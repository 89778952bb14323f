//! Which requests there are to disturb, and by what.
//!
//! Invariant: two requests are one target if they differ only in a name that the charm made up, or in
//! which of Velero's kinds they are about where the charm treats all alike.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::{self, Display};
use std::time::Duration;

use http::Method;
use kube_stack::proxy::{Asked, Exchange, Fault, Refusal, Rule};
use worlds::matrix::everything;

use super::scenes::Scene;

/// The kinds of Velero that stand for all; the charm has an order for the first three.
const KINDS: [&str; 4] = ["schedules", "backupstoragelocations", "restores", "backups"];

/// One in so many faults is tried at a request, unless all are.
const SHARE: usize = 16;

const WATCH: &str = " watch";

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
    HangOnce,
    Slow,
    Cut,
    CutOnce,
}

use Ill::{
    Broken, Busy, Conflict, ConflictOnce, Cut, CutOnce, Forbidden, Hang, HangOnce, NotFound, Slow,
};

/// Faults of one request, one hook each. Where the first of them ends is where the next begins, until
/// one hook without a fault has to set it right.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) target: Target,
    pub(crate) ills: Vec<Ill>,
}

impl Ill {
    /// Every kind.
    pub(crate) const ALL: [Self; 11] = [
        Forbidden,
        NotFound,
        Conflict,
        ConflictOnce,
        Busy,
        Broken,
        Hang,
        HangOnce,
        Slow,
        Cut,
        CutOnce,
    ];

    /// Whether only one request meets it.
    pub(crate) const fn is_once(self) -> bool {
        matches!(self, ConflictOnce | HangOnce | CutOnce)
    }
}

impl Target {
    fn of(exchange: &Exchange, before: &[Exchange]) -> Option<Self> {
        let shape = shape(&exchange.asked)?;
        let same = |one: &&Exchange| self::shape(&one.asked).as_ref() == Some(&shape);
        let skip = before.iter().filter(same).count();
        Some(Self { shape, skip })
    }

    /// Whether it is among these requests.
    pub(crate) fn is_in(&self, record: &[Exchange]) -> bool {
        let same = |one: &&Exchange| shape(&one.asked).as_ref() == Some(&self.shape);
        record.iter().filter(same).count() > self.skip
    }

    pub(crate) fn is_watch(&self) -> bool {
        self.shape.ends_with(WATCH)
    }

    /// The rule that lets it meet a fault.
    pub(crate) fn rule(&self, ill: Ill) -> Rule {
        let wanted = self.shape.clone();
        let matches = move |asked: &Asked| shape(asked).as_ref() == Some(&wanted);
        let fault = match ill {
            Forbidden => Fault::Refuse(Refusal::Forbidden),
            NotFound => Fault::Refuse(Refusal::NotFound),
            Conflict | ConflictOnce => Fault::Refuse(Refusal::Conflict),
            Busy => Fault::Refuse(Refusal::Busy),
            Broken => Fault::Refuse(Refusal::Broken),
            Hang | HangOnce => Fault::Hang,
            Slow => Fault::Slow(SLOW),
            Cut | CutOnce => Fault::Cut,
        };
        let rule = if ill.is_once() {
            Rule::first(matches, fault)
        } else {
            Rule::every(matches, fault)
        };
        rule.after(self.skip)
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
    let watch = if asked.is_watch() { WATCH } else { "" };
    Some(format!(
        "{} /{}{place}{watch}",
        asked.method,
        path.join("/")
    ))
}

/// All rounds of a scene.
pub(crate) fn rounds(scene: Scene, record: &[Exchange]) -> VecDeque<Round> {
    let last_write = record
        .iter()
        .rposition(|one| one.asked.method != Method::GET);
    let mut known = BTreeSet::new();
    // So many requests have had the same faults to meet: in turn they meet each of them.
    let mut turns = BTreeMap::<_, usize>::new();
    let mut rounds = VecDeque::new();
    for (number, exchange) in record.iter().enumerate() {
        let Some(target) = Target::of(exchange, &record[..number]) else {
            continue;
        };
        if target.skip > 1 || !known.insert(target.clone()) {
            continue;
        }
        let follows = last_write.is_some_and(|last| number > last);
        let all = ills(scene, &exchange.asked.method, follows);
        let turn = turns.entry(all.clone()).or_default();
        for ills in due(all, *turn) {
            rounds.push_back(Round {
                target: target.clone(),
                ills,
            });
        }
        *turn += 1;
    }
    rounds
}

/// One in [`SHARE`], from another one on at each turn; everything if that is asked for.
fn due(mut rounds: Vec<Vec<Ill>>, turn: usize) -> Vec<Vec<Ill>> {
    let mut places = turn..;
    for ills in &mut rounds {
        ills.retain(|_| {
            let place = places.next();
            everything() || place.is_some_and(|place| place.is_multiple_of(SHARE))
        });
    }
    rounds.retain(|ills| !ills.is_empty());
    rounds
}

/// What a request meets, round by round. What lets the hook continue comes last in its round.
fn ills(scene: Scene, method: &Method, follows: bool) -> Vec<Vec<Ill>> {
    let refusals = [Forbidden, Conflict, ConflictOnce, Busy, Broken, Hang];
    let alone = |all: &[Ill]| all.iter().map(|ill| vec![*ill]).collect();
    match (scene, method) {
        // A removal waits for what passes on its own.
        (Scene::Remove, &Method::DELETE) => {
            vec![
                vec![Forbidden, Broken],
                vec![ConflictOnce],
                vec![HangOnce],
                vec![CutOnce],
            ]
        }
        (Scene::Remove, _) => vec![vec![Forbidden], vec![CutOnce]],
        (Scene::Steady, _) => vec![[&refusals[..], &[Cut, Slow, NotFound]].concat()],
        // What is asked for after the last write is not asked for again by the next hook.
        (Scene::NodeAgentOn, _) if follows => {
            alone(&[&refusals[..], &[Cut, Slow, NotFound]].concat())
        }
        _ if follows => alone(&[Hang, Cut]),
        (_, &Method::DELETE) => vec![[&refusals[..], &[NotFound]].concat(), vec![Cut]],
        (_, &Method::PATCH) => vec![[&refusals[..], &[NotFound, Cut]].concat(), vec![Slow]],
        _ => vec![[&refusals[..], &[Cut, NotFound]].concat()],
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
            HangOnce => "hang once",
            Slow => "2 s slow",
            Cut => "cut",
            CutOnce => "cut once",
        })
    }
}

#[test]
fn requests_alike_meet_each_of_their_faults_in_turn() {
    let get = (Scene::Steady, Method::GET);
    let patch = (Scene::Install, Method::PATCH);
    for (scene, method) in [get, patch, (Scene::Remove, Method::DELETE)] {
        let all = ills(scene, &method, false);
        let met = (0..SHARE).flat_map(|turn| due(all.clone(), turn)).flatten();
        let met: BTreeSet<_> = met.collect();
        assert_eq!(met, all.into_iter().flatten().collect());
    }
}
