//! `goal-state`.
//!
//! Invariant: it tells what the model is to become: every unit that is there, those that go as
//! `dying`, and the relations that stay.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::flags::{OUTPUT, YAML, flag};
use super::output::{Out, quote};
use super::{Call, Failure, Outcome, parse, print};
use crate::context::HookContext;
use crate::model::{Application, Life, Relation, Unit};
use crate::resolver::app_status;
use crate::views::{shown, stamp};

pub(super) fn goal_state(context: &mut HookContext<'_>, call: &Call) -> Outcome {
    let parsed = parse(context, call, &[flag("format", YAML), OUTPUT])?;
    parsed.finish()?;
    if context
        .model
        .unit(&context.unit)
        .is_none_or(|u| u.forgotten)
    {
        let why = format!("unit {} not found", quote(&context.unit));
        return Err(Failure::run(why));
    }
    let Some(app) = context.model.app_of(&context.unit) else {
        return print(context, call, &parsed, "yaml", &Out::Null);
    };
    let mut relations: BTreeMap<String, Vec<(String, Out)>> = BTreeMap::new();
    for relation in context.model.relations_of(&app.name) {
        let alive = relation.life == Life::Alive && !relation.is_peer();
        if let (true, Some(local)) = (alive, relation.local(&app.name)) {
            let goals = relations.entry(local.endpoint.clone()).or_default();
            goals.extend(remote_goals(context, relation, &app.name));
        }
    }
    let relations = relations.into_iter().map(|(endpoint, mut goals)| {
        goals.sort_by(|one, two| one.0.cmp(&two.0));
        (endpoint, Out::Map(goals))
    });
    let value = Out::map([
        ("units", Out::Map(units(app))),
        ("relations", Out::map(relations)),
    ]);
    print(context, call, &parsed, "yaml", &value)
}

fn remote_goals(context: &HookContext<'_>, relation: &Relation, app: &str) -> Vec<(String, Out)> {
    let remote = relation
        .remote(app)
        .and_then(|side| context.model.applications.get(&side.app));
    let Some(remote) = remote else {
        return Vec::new();
    };
    let mut goals = vec![(
        remote.name.clone(),
        goal("joined", app_status(remote).since),
    )];
    goals.extend(units(remote));
    goals
}

fn units(app: &Application) -> Vec<(String, Out)> {
    let goal = |unit: &Unit| {
        let status = shown(unit);
        let dying = unit.life == Life::Dying;
        let level = if dying { "dying" } else { &status.level };
        goal(level, status.since)
    };
    // One that has run `remove` is dead, and no more listed.
    app.units
        .values()
        .filter(|unit| !unit.agent.removed)
        .map(|unit| (app.unit_name(unit.number), goal(unit)))
        .collect()
}

fn goal(status: &str, since: SystemTime) -> Out {
    Out::map([
        ("status", Out::text(status)),
        ("since", Out::text(stamp(since))),
    ])
}
