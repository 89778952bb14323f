//! Which Backups the rule of option `keep` keeps no longer.
//!
//! **Invariant:** a Backup of a Schedule that is not there, not ours or not asked for is none of them
//! (`backups_of_strangers_are_left_alone`).

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::ResourceExt as _;

use super::{Steps, World, clients::found};
use crate::{
    ours::keep::{Ended, Rule},
    reconcile::{
        observe::{Governed, State},
        validate::{Desired, Intent},
    },
    velero::location::{Phase, is_read_only, verdict},
};

/// A Backup that is to be deleted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::reconcile) struct Surplus {
    pub(in crate::reconcile) begun: Timestamp,
    pub(in crate::reconcile) backup: String,
    pub(in crate::reconcile) uid: String,
    pub(in crate::reconcile) schedule: String,
    /// The rule that does not keep it.
    pub(in crate::reconcile) rule: Rule,
}

/// The oldest first. None where Velero could not delete, or while it is about to be changed.
pub(super) fn surplus(desired: &Desired, steps: &Steps, world: World<'_>) -> Vec<Surplus> {
    if world.governed.is_empty() || !can_be_deleted(desired, steps, world) {
        return Vec::new();
    }
    let wanted = desired.clients.wanted.iter();
    let rules = wanted.filter_map(|(key, wanted)| {
        wanted.timing.as_ref()?;
        Some((key, wanted.keep?))
    });
    let rules: BTreeMap<_, _> = rules.collect();
    let owner = world.place.owner;
    let there = found(
        &world.live.schedules,
        &rules.keys().copied().collect(),
        owner,
    );
    let mut by_schedule = BTreeMap::<&str, Vec<&Governed>>::new();
    for one in world.governed {
        by_schedule.entry(&one.schedule).or_default().push(one);
    }
    let mut surplus = Vec::new();
    for (key, rule) in rules {
        let Some(schedule) = there.get(key).filter(|schedule| owner.owns(**schedule)) else {
            continue;
        };
        let its = by_schedule.get(schedule.name_any().as_str());
        let its = its.into_iter().flatten().filter(|one| one.key == *key);
        surplus.extend(of_schedule(rule, &its.copied().collect::<Vec<_>>()));
    }
    surplus.sort_by(|one, other| (one.begun, &one.backup).cmp(&(other.begun, &other.backup)));
    surplus
}

fn ended(one: &Governed) -> Option<Ended<'_>> {
    match one.state {
        State::Ended(grade) => Some(Ended {
            begun: one.begun,
            name: &one.name,
            grade,
        }),
        State::Deleting => None,
    }
}

/// What goes of the Backups of one Schedule; also what Velero was to delete already, and has not.
fn of_schedule(rule: Rule, all: &[&Governed]) -> Vec<Surplus> {
    let kept = rule.kept(&all.iter().filter_map(|one| ended(one)).collect());
    let gone = all
        .iter()
        .filter(|one| ended(one).is_none_or(|one| !kept.contains(&one)));
    let surplus = gone.map(|one| Surplus {
        begun: one.begun,
        backup: one.name.clone(),
        uid: one.uid.clone(),
        schedule: one.schedule.clone(),
        rule,
    });
    surplus.collect()
}

fn can_be_deleted(desired: &Desired, steps: &Steps, world: World<'_>) -> bool {
    let is_set = matches!(desired.storage, Intent::Set { .. });
    let stays = steps.install.is_none() && steps.locations.is_empty();
    let location = world.live.running.location();
    is_set
        && stays
        && location.is_some_and(|location| {
            verdict(location).phase == Some(Phase::Available) && !is_read_only(location)
        })
}

#[cfg(test)]
mod tests;
