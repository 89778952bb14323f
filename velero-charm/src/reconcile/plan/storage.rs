//! What is to become of the store: its locations, its credential, and what leaves with an old store.

use k8s_openapi::api::core::v1::Secret;
use kube::{ResourceExt, api::DynamicObject};
use provider_api::{Descriptor, Storage, secrecy::SecretString};
use serde_json::{Value, json};

use super::{Body, Credential, Steps, World};
use crate::{
    cluster::{Kind, deletion::Deletion, owned},
    context::Place,
    ours::{
        Owner,
        credential::{self, Readings},
        location,
    },
    reconcile::{
        observe::Live,
        validate::{Intent, Why},
    },
    velero::{self, LOCATION, LOCATION_LABEL, location::other_default},
};

/// Uses this store.
pub(super) fn set(steps: &mut Steps, descriptor: &Descriptor, storage: &Storage, world: World<'_>) {
    let World {
        live,
        readings,
        place: Place { namespace, owner },
        ..
    } = world;
    let file = storage.credential.file();
    let secret_name = (file.is_some() || !readings.is_empty()).then(|| {
        let holds = |secret: &&Secret| credential::holds(secret, file, readings);
        let held = live.credentials.iter().find(holds);
        note(steps, held, file, world)
    });
    let of_locations = secret_name.as_deref().filter(|_| file.is_some());
    let wanted = location::backup_location(
        descriptor.name,
        &storage.location,
        location::rank(&live.running.locations),
        of_locations,
        namespace,
        owner,
    );
    let live_location = live.running.location();
    if live_location.is_some_and(|live| leaves_store(live, &wanted)) {
        steps.repositories = Some(repositories());
    }
    if let Some(wanted) = unless_as_wanted(live_location, wanted) {
        if location::is_judged_again(live_location, &wanted) {
            steps.remarks = remarks(storage, live);
            steps.locations.push(wanted);
        } else {
            steps.relabelled = Some(wanted);
        }
    }
    let live_snapshots = own_snapshots(live);
    match &storage.snapshots {
        Some(snapshots) => {
            let wanted = location::snapshot_location(
                descriptor.name,
                snapshots,
                of_locations,
                namespace,
                owner,
            );
            steps
                .locations
                .extend(unless_as_wanted(live_snapshots, wanted));
        }
        None => delete_snapshot_location(steps, live_snapshots, owner),
    }
    delete_credentials(steps, live, secret_name.as_deref());
}

/// Keeps what was read though it cannot be used, or not now. The Secret of a location is not touched.
pub(super) fn keep(steps: &mut Steps, intent: &Intent, world: World<'_>) {
    let World { live, readings, .. } = world;
    let is_read = match intent {
        Intent::Set { .. } | Intent::Keep(Why::Waiting(_) | Why::Invalid { .. } | Why::Options) => {
            true
        }
        Intent::Keep(Why::Several(_)) | Intent::None => false,
    };
    if !is_read || readings.is_empty() {
        return;
    }
    let keeps = |secret: &&Secret| credential::keeps(secret, readings);
    let held = live.credentials.iter().find(keeps);
    let name = note(steps, held, None, world);
    let spent = live
        .credentials
        .iter()
        .filter(|secret| credential::is_without_file(secret) && secret.name_any() != name);
    let spent = spent.map(|secret| Deletion::named(Kind::of::<Secret>(), secret.name_any()));
    steps.deletions.extend(spent);
}

/// Uses no store.
pub(super) fn clear(steps: &mut Steps, world: World<'_>) {
    let World {
        live,
        place: Place { owner, .. },
        ..
    } = world;
    let location = live.running.location();
    if location.is_some_and(|location| owner.owns(location)) {
        let kind = velero::kind("BackupStorageLocation");
        steps.deletions.push(Deletion::named(kind, LOCATION));
        steps.repositories = Some(repositories());
    }
    delete_snapshot_location(steps, own_snapshots(live), owner);
    delete_credentials(steps, live, None);
}

/// Sees to it that a Secret, the one that holds them or a fresh one, tells of these readings and no other
/// does. The others go first: at no time can an older one be believed.
fn note(
    steps: &mut Steps,
    held: Option<&Secret>,
    file: Option<&SecretString>,
    world: World<'_>,
) -> String {
    let World {
        live,
        readings,
        fresh_name,
        ..
    } = world;
    let name = held.map_or_else(|| fresh_name.to_owned(), ResourceExt::name_any);
    let outdated = live
        .credentials
        .iter()
        .filter(|secret| credential::has_notes(secret) && secret.name_any() != name);
    steps.credentials.extend(outdated.map(|secret| Credential {
        name: secret.name_any(),
        content: Body::AsItIs,
        readings: Readings::new(),
    }));
    let content = match held {
        None => Some(Body::New(file.cloned())),
        Some(held) if !credential::has_notes_of(held, readings) => Some(Body::AsItIs),
        Some(_) => None,
    };
    steps.credentials.extend(content.map(|content| Credential {
        name: name.clone(),
        content,
        readings: readings.clone(),
    }));
    name
}

/// What there is to say of a store though nothing is wrong.
fn remarks(storage: &Storage, live: &Live) -> Vec<String> {
    let theirs = other_default(&live.running.locations).map(|theirs| {
        format!("Backups go to location `{theirs}` unless they name another: it stays the default.")
    });
    storage.remarks.iter().cloned().chain(theirs).collect()
}

/// Those of the volumes that were backed up to the location.
fn repositories() -> Deletion {
    Deletion::labelled(
        velero::kind("BackupRepository"),
        format!("{LOCATION_LABEL}={LOCATION}"),
    )
}

/// The snapshot location of our name.
fn own_snapshots(live: &Live) -> Option<&DynamicObject> {
    let mut all = live.snapshot_locations.iter();
    all.find(|location| location.name_any() == LOCATION)
}

fn delete_snapshot_location(steps: &mut Steps, live: Option<&DynamicObject>, owner: &Owner) {
    if live.is_some_and(|location| owner.owns(location)) {
        let kind = velero::kind("VolumeSnapshotLocation");
        steps.deletions.push(Deletion::named(kind, LOCATION));
    }
}

fn delete_credentials(steps: &mut Steps, live: &Live, keep: Option<&str>) {
    let old = live.credentials.iter().map(ResourceExt::name_any);
    let old = old.filter(|name| Some(name.as_str()) != keep);
    steps
        .deletions
        .extend(old.map(|name| Deletion::named(Kind::of::<Secret>(), name)));
}

/// What is to be applied, unless the live object says all of it.
pub(super) fn unless_as_wanted(
    live: Option<&DynamicObject>,
    wanted: DynamicObject,
) -> Option<DynamicObject> {
    let as_wanted = live.is_some_and(|live| {
        let managers = live.metadata.managed_fields.as_ref();
        owned::is_as_wanted(&comparable(live), &comparable(&wanted), managers)
    });
    (!as_wanted).then_some(wanted)
}

/// What is kept in the one location is not in the other.
fn leaves_store(live: &DynamicObject, wanted: &DynamicObject) -> bool {
    let mut there = live.clone();
    if let Some(spec) = there.data["spec"].as_object_mut() {
        for field in ["provider", "objectStorage", "config"] {
            spec.remove(field);
            let wanted = wanted.data["spec"].get(field);
            spec.extend(wanted.map(|wanted| (field.to_owned(), wanted.clone())));
        }
    }
    unless_as_wanted(Some(live), there).is_some()
}

/// Spec and labels, in the shape of managed fields.
fn comparable(object: &DynamicObject) -> Value {
    json!({"metadata": {"labels": object.labels()}, "spec": object.data["spec"]})
}
