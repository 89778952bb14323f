//! What is to be tried, what was tried, and what came of it.
//!
//! Invariant: each point is given out once. What was seen undisturbed is noted before anything is given
//! out, and does not change.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::Method;
use juju_emulator::HookRun;
use kube_stack::proxy::Exchange;
use worlds::matrix::{everything, part};
use worlds::plane::Sight;

use super::steps::{Site, Step};

/// Of the points that leave a world of their own behind, one in so many is tried, unless all are.
const SHARE: usize = 3;

/// Where a hook is killed. Of requests, those count that are no watch: what is already gone is not watched, and a kill
/// before a watch leaves behind what one before the next request does.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) site: Site,
    pub(crate) step: Step,
    pub(crate) number: usize,
}

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

impl Place {
    const fn kin(self) -> Kin {
        (self.site, self.step.family(), self.number)
    }
}

impl Ledger {
    /// Notes what a hook does undisturbed, and with it where it can be killed if somebody comes by.
    pub(crate) fn note(&self, place: Place, undisturbed: Undisturbed) {
        let Undisturbed { run, record, sight } = undisturbed;
        let is_counted = |one: &Exchange| !one.asked.is_watch();
        let record: Vec<Exchange> = record.into_iter().filter(is_counted).collect();
        let mut pages = self.pages();
        pages.sights.insert(place, sight);
        if place.site.walks(place.step, &run.hook) {
            let turn = pages.rows.len();
            pages.rows.entry(place.kin()).or_insert_with(|| Row {
                tools: run.tool_calls.len(),
                requests: record.len(),
                due: points(place.site, &run, &record, turn),
                hook: run.hook,
                ..Row::default()
            });
        }
    }

    /// Where a hook was noted that is a step of its own.
    pub(crate) fn place_of(&self, site: Site, step: Step, hook: &str) -> Place {
        let pages = self.pages();
        let mut rows = pages.rows.iter();
        let row =
            rows.find(|(kin, row)| (kin.0, kin.1) == (site, step.family()) && row.hook == hook);
        let ((_, _, number), _) = row.unwrap();
        Place {
            site,
            step,
            number: *number,
        }
    }

    /// A point of this hook that nobody has tried.
    pub(crate) fn take(&self, place: Place) -> Option<Point> {
        self.pages().rows.get_mut(&place.kin())?.due.pop_front()
    }

    /// Whether one of these steps has a point left that is best tried by them.
    pub(crate) fn has_any(&self, site: Site, steps: &[Step]) -> bool {
        let pages = self.pages();
        let mut rows = pages
            .rows
            .iter()
            .filter(|(kin, row)| kin.0 == site && !row.due.is_empty());
        rows.any(|(kin, row)| {
            steps.iter().any(|step| {
                let alone = site.has_alone(&row.hook);
                step.family() == kin.1 && step.event().is_some() == alone
            })
        })
    }

    /// What is to be seen after a hook.
    pub(crate) fn sight(&self, place: Place) -> Sight {
        self.pages().sights[&Place {
            step: place.step.whole(),
            ..place
        }]
            .clone()
    }

    /// Notes what came of a point.
    pub(crate) fn tried(&self, place: Place, point: Point, outcome: anyhow::Result<()>) {
        let mut pages = self.pages();
        let row = pages.rows.get_mut(&place.kin()).unwrap();
        row.tried += 1;
        row.survived += usize::from(outcome.is_ok());
        if let Err(error) = outcome {
            let text = format!("{place:?}, {}, {point:?}:\n{error:#}", row.hook);
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
            assert!(
                row.due.is_empty(),
                "{family}, {}: {:?} was not tried",
                row.hook,
                row.due
            );
            sums = (sums.0 + row.tried, sums.1 + row.survived);
            let site = format!("{site:?}");
            let Row {
                hook,
                tools,
                requests,
                tried,
                survived,
                ..
            } = row;
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

fn points(site: Site, run: &HookRun, record: &[Exchange], turn: usize) -> VecDeque<Point> {
    let tools = (1..=run.tool_calls.len()).map(Point::Tool);
    let requests = (1..).zip(record).flat_map(|(number, exchange)| {
        let after = writes(exchange).then_some(Point::After(number));
        [Some(Point::Before(number)), after].into_iter().flatten()
    });
    let is_due = |point: &Point| {
        let counts = match site {
            Site::Bare => is_about_definitions(*point, record),
            Site::Shared | Site::Upgraded => true,
        };
        counts && (everything() || leaves_a_world_of_its_own(*point, run))
    };
    let due: Vec<_> = tools.chain(requests).filter(is_due).collect();
    if everything() {
        due.into()
    } else {
        part(due, SHARE, turn).into()
    }
}

fn writes(exchange: &Exchange) -> bool {
    exchange.asked.method != Method::GET
}

/// Whether no point before it leaves the same behind: it is the first, or comes right after a write.
fn leaves_a_world_of_its_own(point: Point, run: &HookRun) -> bool {
    match point {
        Point::Tool(1) | Point::After(_) => true,
        Point::Tool(call) => {
            let before = &run.tool_calls[call - 2].tool;
            before.ends_with("-set") || before.ends_with("-remove")
        }
        Point::Before(_) => false,
    }
}

/// Whether the kill leaves behind what only a bare cluster can show: some of the definitions.
fn is_about_definitions(point: Point, record: &[Exchange]) -> bool {
    let (number, after) = match point {
        Point::Tool(_) => return false,
        Point::Before(number) => (number, false),
        Point::After(number) => (number, true),
    };
    let exchange = &record[number - 1];
    let is_definition = exchange.asked.path.contains("/customresourcedefinitions");
    is_definition && after == writes(exchange)
}
