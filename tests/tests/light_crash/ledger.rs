//! What is to be tried, what was tried, and what came of it.
//!
//! Invariant: each point is given out once. What was seen undisturbed is noted before anything is given
//! out, and does not change.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::Method;
use tests::juju::HookRun;
use tests::plane::Sight;
use tests::stack::proxy::Exchange;

use crate::steps::{Site, Step};

/// Where a hook is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// When it calls a tool for this many-th time, before the call is answered.
    Tool(usize),
    /// Before the API server hears of this request.
    Before(usize),
    /// After the API server has done what this request asks, before the charm hears of it.
    After(usize),
}

/// A hook: the how-many-th of which step, where.
pub(crate) type Place = (Site, Step, usize);
/// The same, for steps that differ in no call.
type Kin = (Site, &'static str, usize);

/// What one hook did undisturbed.
pub(crate) struct Undisturbed {
    pub(crate) run: HookRun,
    pub(crate) record: Vec<Exchange>,
    pub(crate) sight: Sight,
}

#[derive(Default)]
struct Row {
    hook: String,
    tools: usize,
    requests: usize,
    due: VecDeque<Point>,
    tried: usize,
    survived: usize,
}

#[derive(Default)]
pub(crate) struct Ledger(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    rows: BTreeMap<Kin, Row>,
    sights: BTreeMap<Place, Sight>,
    failures: Vec<String>,
}

fn kin((site, step, hook): Place) -> Kin {
    (site, step.family(), hook)
}

impl Ledger {
    /// Notes what a hook does undisturbed, and with it where it can be killed.
    pub(crate) fn note(&self, place: Place, undisturbed: Undisturbed) {
        let Undisturbed { run, record, sight } = undisturbed;
        let mut pages = self.pages();
        pages.sights.insert(place, sight);
        let mut walked = place.0.walkers().into_iter().flat_map(|(_, round)| round);
        if !walked.any(|step| step.family() == place.1.family()) {
            return;
        }
        let points = points(place.0, run.tool_calls.len(), &record);
        pages.rows.entry(kin(place)).or_insert_with(|| Row {
            hook: run.hook,
            tools: run.tool_calls.len(),
            requests: record.len(),
            due: points,
            ..Row::default()
        });
    }

    /// A point of this hook that nobody has tried.
    pub(crate) fn take(&self, place: Place) -> Option<Point> {
        self.pages().rows.get_mut(&kin(place))?.due.pop_front()
    }

    /// Whether one of these steps has a point left.
    pub(crate) fn has_any(&self, site: Site, steps: &[Step]) -> bool {
        let wanted = |kin: &Kin| kin.0 == site && steps.iter().any(|step| step.family() == kin.1);
        let pages = self.pages();
        pages
            .rows
            .iter()
            .any(|(kin, row)| wanted(kin) && !row.due.is_empty())
    }

    /// What is to be seen after a hook.
    pub(crate) fn sight(&self, place: Place) -> Sight {
        self.pages().sights[&place].clone()
    }

    /// Notes what came of a point.
    pub(crate) fn tried(&self, place: Place, point: Point, outcome: anyhow::Result<()>) {
        let mut pages = self.pages();
        let row = pages.rows.get_mut(&kin(place)).unwrap();
        row.tried += 1;
        row.survived += usize::from(outcome.is_ok());
        if let Err(error) = outcome {
            let (site, family, _) = kin(place);
            let text = format!("{site:?}, {family}, {}, {point:?}:\n{error:#}", row.hook);
            println!("{text}");
            pages.failures.push(text);
        }
    }

    pub(crate) fn failures(&self) -> Vec<String> {
        self.pages().failures.clone()
    }

    /// A line for each hook.
    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "{:9} {:26} {:34} {:>5} {:>8} {:>5} {:>8}\n",
            "site", "step", "hook", "tools", "requests", "tried", "survived"
        );
        let pages = self.pages();
        let mut sums = (0, 0);
        for ((site, family, _), row) in &pages.rows {
            let Row {
                hook,
                tools,
                requests,
                tried,
                survived,
                due,
            } = row;
            assert!(due.is_empty(), "{family}, {hook}: {due:?} was not tried");
            sums = (sums.0 + tried, sums.1 + survived);
            let site = format!("{site:?}");
            writeln!(
                text,
                "{site:9} {family:26} {hook:34} {tools:5} {requests:8} {tried:5} {survived:8}"
            )
            .unwrap();
        }
        text + &format!("{:>91} {:8}", sums.0, sums.1)
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn points(site: Site, tools: usize, record: &[Exchange]) -> VecDeque<Point> {
    let tools = (1..=tools).map(Point::Tool);
    let requests = record.iter().flat_map(|exchange| {
        let writes = exchange.asked.method != Method::GET;
        let after = writes.then_some(Point::After(exchange.number));
        [Some(Point::Before(exchange.number)), after]
            .into_iter()
            .flatten()
    });
    // Elsewhere all the others are tried.
    let is_due = |point: &Point| match point {
        _ if site != Site::Bare => true,
        Point::Tool(_) => false,
        Point::Before(number) | Point::After(number) => record[number - 1]
            .asked
            .path
            .contains("/customresourcedefinitions"),
    };
    tools.chain(requests).filter(is_due).collect()
}
