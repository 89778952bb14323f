//! What is to become of the Schedules of those who ask to be backed up.
//!
//! A Schedule is changed and never made again: when it ran last stands in it. Those of the previous charm are known by
//! its labels and go on under the names that they have. What is deleted leaves its Backups behind.

use std::collections::{BTreeMap, BTreeSet};

use kube::{ResourceExt as _, api::DynamicObject};

use super::{World, storage::unless_as_wanted};
use crate::{
    cluster::{deletion::Deletion, owned},
    ours::{
        Owner,
        schedule::{Key, Lifetime, Order, Timing, is_for, schedule},
    },
    reconcile::{
        adopt::{PREVIOUS_CHARM, written_by},
        validate::{Core, Desired, Intent, clients::Wanted},
    },
    velero::{
        self, LOCATION,
        schedule::{goes, is_paused},
        template::Saving,
    },
};

/// The label by which the previous charm knew its Schedules.
const MANAGED_BY: (&str, &str) = ("managed-by", "velero-operator");

/// What is to be done about Schedules, in this order.
#[derive(Debug, Default)]
pub(in crate::reconcile) struct Schedules {
    /// The previous charm's, with the labels that make them ours.
    pub(in crate::reconcile) taken: Vec<(DynamicObject, BTreeMap<String, String>)>,
    pub(in crate::reconcile) applied: Vec<DynamicObject>,
    pub(in crate::reconcile) deleted: Vec<Deletion>,
}

/// Whether there is a store that Backups can go to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Store {
    /// It is there, with these ways for volumes.
    There(Saving),
    /// What Velero would make now would fail, and stay as long as somebody deletes it.
    Missing(Saving),
}

impl Schedules {
    pub(in crate::reconcile) fn is_empty(&self) -> bool {
        let Self {
            taken,
            applied,
            deleted,
        } = self;
        taken.is_empty() && applied.is_empty() && deleted.is_empty()
    }
}

pub(super) fn schedules(core: &Core, desired: &Desired, world: World<'_>) -> Schedules {
    let World { live, place, .. } = world;
    let owner = place.owner;
    let clients = &desired.clients;
    let store = store(core, &desired.storage, world);
    let mut steps = Schedules::default();
    let wanted = clients
        .wanted
        .iter()
        .filter_map(|(key, wanted)| Some((key, wanted, wanted.timing.as_ref()?)));
    let wanted: Vec<_> = wanted.collect();
    let keys = wanted.iter().map(|(key, ..)| *key).collect();
    let there = found(&live.schedules, &keys, owner);
    for (key, wanted, timing) in wanted {
        let there = there.get(key).copied();
        let object = match (store, there) {
            (Store::Missing(_), None) => continue,
            (Store::Missing(saving) | Store::There(saving), there) => {
                let timing = effective(timing, store, there);
                let name = there.map_or_else(|| key.name(), kube::ResourceExt::name_any);
                let order = Order {
                    key,
                    relation: &wanted.relation,
                    timing: &timing,
                    template: &wanted.template,
                    saving,
                    lifetime: lifetime(wanted),
                };
                schedule(&name, order, (place.namespace, owner))
            }
        };
        let Some(object) = unless_as_wanted(there, object) else {
            continue;
        };
        if let Some(there) = there.filter(|there| !owner.made(*there)) {
            steps.taken.push((there.clone(), object.labels().clone()));
        }
        steps.applied.push(object);
    }
    let used: BTreeSet<_> = there.values().filter_map(|there| there.uid()).collect();
    let doubtful: BTreeSet<_> = clients
        .faults
        .iter()
        .filter_map(|fault| fault.key().cloned())
        .collect();
    let is_kept = |schedule: &&DynamicObject| {
        let is_doubtful = Key::of(*schedule).is_some_and(|key| doubtful.contains(&key));
        let is_unknown = clients
            .unknown
            .iter()
            .any(|relation| is_for(*schedule, relation));
        is_doubtful || is_unknown || schedule.uid().is_some_and(|uid| used.contains(&uid))
    };
    let ours = live
        .schedules
        .iter()
        .filter(|schedule| owner.owns(*schedule));
    let ours = ours.filter(|schedule| !goes(schedule));
    let gone = ours.filter(|schedule| !is_kept(schedule));
    steps.deleted = gone
        .map(|schedule| Deletion::sparing_dependents(velero::kind("Schedule"), schedule.name_any()))
        .collect();
    steps
}

fn lifetime(wanted: &Wanted) -> Lifetime {
    match wanted.keep {
        Some(_) => Lifetime::ByRule,
        None => Lifetime::OfTemplate,
    }
}

/// Tells whether a Schedule is that of a target.
type Way<'a> = &'a dyn Fn(&Key, &DynamicObject) -> bool;

/// The Schedule of each target that has one: ours, or the previous charm's, which called its own model what is the
/// client's. One that is on its way out is none.
pub(super) fn found<'a>(
    all: &'a [DynamicObject],
    keys: &BTreeSet<&'a Key>,
    owner: &Owner,
) -> BTreeMap<&'a Key, &'a DynamicObject> {
    let mut found = BTreeMap::new();
    let mut taken = BTreeSet::new();
    let all: Vec<_> = all.iter().filter(|one| !goes(one)).collect();
    let is_ours = |key: &Key, one: &DynamicObject| {
        owner.owns(one) && Key::of(one).as_ref() == Some(key)
            || owner.made(one) && one.name_any() == key.name()
    };
    let is_exactly_theirs = |key: &Key, one: &DynamicObject| {
        is_previous_charms(one) && Key::of(one).as_ref() == Some(key)
    };
    let is_theirs = |key: &Key, one: &DynamicObject| {
        let of_its_name = |of: Key| of.app == key.app && of.endpoint == key.endpoint;
        is_previous_charms(one) && Key::of(one).is_some_and(of_its_name)
    };
    let ways: [Way<'_>; 3] = [&is_ours, &is_exactly_theirs, &is_theirs];
    for is_it in ways {
        for key in keys {
            if found.contains_key(key) {
                continue;
            }
            let mut candidates = all.iter().copied();
            let free = |one: &&DynamicObject| !taken.contains(&one.name_any()) && is_it(key, one);
            if let Some(one) = candidates.find(free) {
                taken.insert(one.name_any());
                found.insert(*key, one);
            }
        }
    }
    found
}

fn is_previous_charms(schedule: &DynamicObject) -> bool {
    let (label, value) = MANAGED_BY;
    schedule.labels().get(label).map(String::as_str) == Some(value)
        && Owner::labelled_by(schedule).is_none()
        && written_by(schedule, &[PREVIOUS_CHARM])
}

fn store(core: &Core, storage: &Intent, world: World<'_>) -> Store {
    let live = world.live;
    let owner = world.place.owner;
    let has_snapshots = match storage {
        Intent::Set { storage, .. } => storage.snapshots.is_some(),
        Intent::Keep(_) | Intent::None => live
            .snapshot_locations
            .iter()
            .any(|one| one.name_any() == LOCATION && owner.owns(one)),
    };
    let saving = Saving {
        snapshot_location: has_snapshots.then_some(LOCATION),
        volume_backups: core.volume_backups,
    };
    let is_there = match storage {
        Intent::Set { .. } => true,
        Intent::Keep(_) => live.running.location().is_some(),
        Intent::None => false,
    };
    if is_there {
        Store::There(saving)
    } else {
        Store::Missing(saving)
    }
}

/// Without a store a Schedule is paused, whatever the client says. Whether one that is due is left out counts at its
/// birth and when it is no longer paused; Velero takes the word back, and it is not said again.
fn effective(timing: &Timing, store: Store, there: Option<&DynamicObject>) -> Timing {
    let paused = match store {
        Store::Missing(_) => Some(true),
        Store::There(_) => timing.paused,
    };
    let skip_immediately = match there {
        None => timing.skip_immediately,
        Some(there) => {
            let kept = said(there, "skipImmediately");
            let was_paused = is_paused(there);
            let is_paused = paused.unwrap_or_else(|| was_paused && said(there, "paused").is_none());
            if is_paused == was_paused {
                kept
            } else {
                timing.skip_immediately.or(kept)
            }
        }
    };
    Timing {
        paused,
        skip_immediately,
        ..timing.clone()
    }
}

/// What the live Schedule says in a field of its spec that is ours.
fn said(there: &DynamicObject, field: &str) -> Option<bool> {
    let ours = owned::our_entry(there.metadata.managed_fields.as_ref())?;
    ours.fields_v1
        .as_ref()?
        .0
        .get("f:spec")?
        .get(format!("f:{field}"))?;
    there.data["spec"][field].as_bool()
}

#[cfg(test)]
mod tests;
