//! Whether everybody who is to be backed up is, by what came of the Schedules.
//!
//! All Schedules of the namespace count that Velero runs for our location, no matter who made them. What is said does not
//! change from hook to hook: since when, not for how long.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use kube::{ResourceExt as _, api::DynamicObject};
use serde_json::Value;

use super::moment;
use crate::{
    juju::Clause,
    velero::{
        cron::Cron,
        schedule::{End, Made, going_since, is_of_our_location, is_paused, time},
    },
};

/// A Backup may wait for others, and Velero looks once a minute.
const GRACE: SignedDuration = SignedDuration::from_mins(10);
/// What runs longer than this will not end well.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// How far backups can be relied on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::reconcile) struct Protection {
    /// When the last good Backup of a Schedule began.
    pub(in crate::reconcile) last_good: Option<Timestamp>,
    pub(in crate::reconcile) troubles: Vec<Clause>,
}

/// Reads it off the Schedules and their Backups.
pub(in crate::reconcile) fn protection(
    schedules: &[DynamicObject],
    made: &[Made],
    now: Timestamp,
) -> Protection {
    let mut by_schedule = BTreeMap::<&str, Vec<&Made>>::new();
    for one in made {
        by_schedule.entry(&one.schedule).or_default().push(one);
    }
    for history in by_schedule.values_mut() {
        history.sort_by_key(|one| one.begun);
    }
    let counted = schedules.iter().filter(|one| is_of_our_location(one));
    let troubles = counted.filter_map(|schedule| {
        let name = schedule.name_any();
        let history = by_schedule.get(name.as_str());
        trouble(schedule, &name, history.map_or(&[], Vec::as_slice), now)
    });
    let good = made.iter().filter(|one| one.end == End::Good);
    Protection {
        troubles: troubles.collect(),
        last_good: good.map(|one| one.begun).max(),
    }
}

/// What is wrong with a Schedule whose Backups are these, the oldest first.
fn trouble(
    schedule: &DynamicObject,
    name: &str,
    history: &[&Made],
    now: Timestamp,
) -> Option<Clause> {
    if let Some(since) = going_since(schedule) {
        return held(schedule, name, since).filter(|_| now.duration_since(since) > GRACE);
    }
    if is_paused(schedule) {
        return None;
    }
    if let Some(refusal) = refusal(schedule) {
        let advice = format!("correct Schedule `{name}`");
        return Some(Clause::new(advice, format!("Velero says: {refusal}")));
    }
    let mut ended = history.iter().rev().filter(|one| one.end != End::None);
    if let (Some(last), Some(before)) = (ended.next(), ended.next())
        && (last.end, before.end) == (End::Bad, End::Bad)
    {
        let cause = format!("the last two backups of Schedule `{name}` failed");
        return Some(Clause::new(describe(&last.backup), cause));
    }
    let works = |one: &&Made| one.end == End::None && now.duration_since(one.begun) < LONGEST;
    if history.iter().any(works) {
        return None;
    }
    let cron = schedule.data.pointer("/spec/schedule")?.as_str()?;
    let cron = Cron::parse(cron).ok()?;
    let is_over = |due: Option<Timestamp>| due.is_some_and(|due| now.duration_since(due) > GRACE);
    let born = schedule.metadata.creation_timestamp.as_ref()?.0;
    let counted_from = born.max(time(schedule, "lastSkipped").unwrap_or(born));
    let good = history.iter().rev().find(|one| one.end == End::Good);
    // Of one whose Backups have all expired nothing is known but that it ran.
    let good = good.map(|one| one.begun).or_else(|| {
        let ran = time(schedule, "lastBackup");
        ran.filter(|_| history.is_empty())
    });
    let see = || match history.last() {
        Some(last) => describe(&last.backup),
        None => format!("see `schedule describe {name}` in action `run`"),
    };
    let Some(good) = good else {
        let cause = format!("Schedule `{name}` has never made a good backup");
        return is_over(cron.next(counted_from)).then(|| Clause::new(see(), cause));
    };
    let first = cron.next(good.max(counted_from))?;
    let since = moment(good);
    let cause = format!("Schedule `{name}` has made no good backup since {since}");
    is_over(cron.next(first)).then(|| Clause::new(see(), cause))
}

/// Something keeps it that does not let it go: while it is there, none of its name can take its place.
fn held(schedule: &DynamicObject, name: &str, since: Timestamp) -> Option<Clause> {
    let by = schedule.finalizers().first()?;
    let advice = format!("let go of finalizer `{by}` of Schedule `{name}`");
    let cause = format!("it was deleted at {} and makes no backups", moment(since));
    Some(Clause::new(advice, cause))
}

fn describe(backup: &str) -> String {
    format!("see `backup describe {backup}` in action `run`")
}

/// Why Velero does not run it.
fn refusal(schedule: &DynamicObject) -> Option<String> {
    let status = schedule.data.get("status")?;
    if status.get("phase").and_then(Value::as_str) != Some("FailedValidation") {
        return None;
    }
    let errors = status.get("validationErrors").and_then(Value::as_array);
    let errors = errors.into_iter().flatten().filter_map(Value::as_str);
    Some(errors.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests;
