//! What optional fields that cannot be read would have filled stays as it is in the cluster.
//!
//! Only from a location of ours that the same provider serves. Without one there is nothing to stay, and everything is
//! refused: half of what was asked for is nobody's wish.

use kube::{ResourceExt as _, api::DynamicObject};
use provider_api::{Part, Problems, SnapshotLocation, Storage};

use super::{Intent, Why};
use crate::{
    ours::Owner,
    reconcile::observe::Live,
    velero::{LOCATION, location},
};

/// Fills the gaps of a store from what is there.
pub(super) fn over(intent: Intent, live: &Live, owner: &Owner) -> Intent {
    let Intent::Set {
        descriptor,
        plugin_image,
        mut storage,
    } = intent
    else {
        return intent;
    };
    let problems = storage.gaps.iter().map(|gap| gap.problem.clone());
    let Some(problems) = Problems::from_vec(problems.collect()) else {
        return Intent::Set {
            descriptor,
            plugin_image,
            storage,
        };
    };
    let there = live.running.location().filter(|location| {
        owner.owns(*location) && location::provider(location) == Some(descriptor.name)
    });
    let Some(there) = there else {
        return Intent::Keep(Why::Invalid(problems));
    };
    let parts: Vec<_> = storage.gaps.iter().flat_map(|gap| gap.parts).collect();
    let snapshots = live.snapshot_locations.iter();
    let snapshots = snapshots
        .filter(|location| location.name_any() == LOCATION && owner.owns(*location))
        .find(|location| location::provider(location) == Some(descriptor.name));
    for part in parts {
        fill(&mut storage, *part, there, snapshots);
    }
    Intent::Set {
        descriptor,
        plugin_image,
        storage,
    }
}

fn fill(
    storage: &mut Storage,
    part: Part,
    there: &DynamicObject,
    snapshots: Option<&DynamicObject>,
) {
    let place = &mut storage.location;
    match part {
        Part::Prefix => place.prefix = location::prefix(there),
        Part::CaCertificates => place.ca_certificates = location::ca_certificates(there),
        Part::Config(key) => match location::config(there).remove(key) {
            Some(value) => drop(place.config.insert(key.to_owned(), value)),
            None => drop(place.config.remove(key)),
        },
        Part::Snapshots => {
            storage.snapshots = snapshots.map(|location| SnapshotLocation {
                config: location::config(location),
            });
        }
    }
}
