//! Locations, and the credentials that they name.

use provider_api::SnapshotLocation;

use super::*;
use crate::ours::location;

#[test]
fn a_rotated_credential_gets_a_new_secret_and_restarts_nothing() {
    let live = world(&core(), set(storage(None, "old")));
    let old = live.credentials[0].name_any();

    let plan = planned(core(), set(storage(None, "new")), &live);

    assert!(plan.install.is_none());
    let new = plan.credentials[0].name.clone();
    assert_ne!(new, old);
    assert_eq!(
        plan.locations[0].data["spec"]["credential"]["name"],
        json!(new)
    );
    assert_eq!(plan.deletions, [Deletion::named(Kind::of::<Secret>(), old)]);
}

#[test]
fn store_that_knows_its_pods_gets_no_secret() {
    let credential = |plan: &Steps| plan.locations[0].data["spec"].get("credential").cloned();
    let plan = planned(core(), set(of_pods()), &Live::default());
    assert!(plan.credentials.is_empty());
    assert_eq!(credential(&plan), None);
    let by_pods = world(&core(), set(of_pods()));
    assert!(planned(core(), set(of_pods()), &by_pods).is_empty());

    let by_keys = world(&core(), set(storage(None, "file")));
    let plan = planned(core(), set(of_pods()), &by_keys);
    assert_eq!(credential(&plan), None);
    let old = by_keys.credentials[0].name_any();
    assert_eq!(plan.deletions, [Deletion::named(Kind::of::<Secret>(), old)]);
    assert!(plan.repositories.is_none(), "it is the same store");
    let back = planned(core(), set(storage(None, "file")), &by_pods);
    assert_eq!(back.credentials.len(), 1);
    assert!(credential(&back).is_some());

    // What was read is kept, and is no credential.
    let read = readings("pin", "velero/0");
    let plan = planned_with(Ok(core()), set(of_pods()), &read, &by_pods);
    assert_eq!(plan.credentials.len(), 1);
    assert!(plan.locations.is_empty(), "it stays as it is");
}

#[test]
fn a_setting_that_is_gone_from_the_data_goes_from_the_location() {
    let live = world(&core(), set(storage(Some("shelf"), "file")));
    let plan = planned(core(), set(storage(None, "file")), &live);

    assert_eq!(
        plan.locations[0].data["spec"]["objectStorage"],
        json!({"bucket": "reel"})
    );
    assert!(plan.install.is_none() && plan.credentials.is_empty());
}

#[test]
fn bad_data_keeps_location_secret_and_plugin() {
    let live = world(&core(), set(storage(None, "file")));
    let changed = Core {
        velero_image: "velero/velero:v1.18.2".into(),
        ..core()
    };

    assert!(planned(core(), kept(), &live).is_empty());
    let plan = planned(changed, kept(), &live);
    assert_eq!(
        plan.install.unwrap().basis.workload().plugin.clone(),
        Some(Plugin::new("tape", "tape/plugin:v1"))
    );
    assert_eq!(plan.deletions, []);
}

#[test]
fn the_end_of_the_relation_takes_storage_away() {
    let live = world(&core(), set(storage(None, "file")));
    let plan = planned(core(), Intent::None, &live);

    assert!(restarts(&plan), "the plugin goes");
    let kinds: Vec<_> = plan
        .deletions
        .iter()
        .map(|d| d.kind.kind.as_str())
        .collect();
    assert_eq!(kinds, ["BackupStorageLocation", "Secret"]);
    assert!(plan.repositories.is_some());
}

#[test]
fn repositories_are_forgotten_when_the_location_goes_elsewhere() {
    let live = world(&core(), set(storage(None, "file")));
    let forgets = |prefix, credential, live: &Live| {
        let plan = planned(core(), set(storage(prefix, credential)), live);
        assert_eq!(plan.deletions.len(), usize::from(credential != "file"));
        plan.repositories.is_some()
    };
    assert!(forgets(Some("a-folder"), "file", &live));
    assert!(!forgets(None, "file", &live));
    assert!(!forgets(None, "other-key", &live));

    let mut live = live;
    let location = live.running.locations.get_mut("default").unwrap();
    location.data["spec"]["config"]["theirs"] = json!("stays");
    assert!(!forgets(None, "other-key", &live));
}

#[test]
fn a_location_that_is_not_ours_is_never_deleted() {
    let mut live = world(&core(), set(storage(None, "file")));
    for location in live.running.locations.values_mut() {
        location.metadata.labels = None;
    }
    let plan = planned(core(), Intent::None, &live);
    assert!(
        plan.deletions.iter().all(|d| d.kind.kind == "Secret"),
        "{:?}",
        plan.deletions
    );
}

#[test]
fn rank_goes_to_another_default_location() {
    let intent = || set(storage(None, "file"));
    let theirs = |default: bool| -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "velero.io/v1", "kind": "BackupStorageLocation",
            "metadata": {"name": "theirs"}, "spec": {"default": default},
        }))
        .unwrap()
    };
    let mut live = world(&core(), intent());
    live.running.locations.insert("theirs".into(), theirs(true));

    let plan = planned(core(), intent(), &live);
    assert_eq!(plan.locations[0].name_any(), LOCATION);
    assert_eq!(plan.locations[0].data["spec"].get("default"), None);

    // As Velero leaves ours, whether or not the charm was there first.
    let ours = live.running.locations.get_mut(LOCATION).unwrap();
    ours.data["spec"].as_object_mut().unwrap().remove("default");
    let managers = ours.metadata.managed_fields.as_mut().unwrap();
    let fields = &mut managers[0].fields_v1.as_mut().unwrap().0;
    fields["f:spec"]
        .as_object_mut()
        .unwrap()
        .remove("f:default");
    assert!(planned(core(), intent(), &live).is_empty());

    live.running
        .locations
        .insert("theirs".into(), theirs(false));
    let plan = planned(core(), intent(), &live);
    assert_eq!(plan.locations[0].data["spec"]["default"], json!(true));
}

fn with_snapshots() -> Intent {
    set(Storage {
        snapshots: Some(SnapshotLocation {
            config: BTreeMap::from([("speed".into(), "slow".into())]),
        }),
        ..storage(None, "file")
    })
}

fn snapshots_of(owner: &Owner) -> DynamicObject {
    let config = SnapshotLocation {
        config: BTreeMap::new(),
    };
    location::snapshot_location("tape", &config, Some("s"), "ns", owner)
}

#[test]
fn snapshot_location_comes_with_a_store_that_has_one() {
    let live = world(&core(), set(storage(None, "file")));

    let steps = planned(core(), with_snapshots(), &live);

    let kinds: Vec<_> = (steps.locations.iter())
        .map(|location| location.types.as_ref().unwrap().kind.as_str())
        .collect();
    assert_eq!(kinds, ["VolumeSnapshotLocation"]);
    assert_eq!(steps.locations[0].labels(), &labels_of_a_location());
    let name = live.credentials[0].name_any();
    assert_eq!(
        steps.locations[0].data["spec"]["credential"]["name"],
        json!(name)
    );
}

fn labels_of_a_location() -> BTreeMap<String, String> {
    let mut labels = owner().labels();
    labels.insert("component".into(), "velero".into());
    labels
}

#[test]
fn snapshot_location_goes_only_if_it_is_ours() {
    let another = Owner {
        application: "another".into(),
        ..owner()
    };
    for (owner, goes) in [(owner(), true), (another, false)] {
        let mut live = world(&core(), set(storage(None, "file")));
        live.snapshot_locations = vec![snapshots_of(&owner)];
        for intent in [Intent::None, set(storage(None, "file"))] {
            let steps = planned(core(), intent, &live);
            let kind = velero::kind("VolumeSnapshotLocation");
            let deletion = Deletion::named(kind, LOCATION);
            assert_eq!(steps.deletions.contains(&deletion), goes, "{owner:?}");
        }
    }
}

#[test]
fn plan_shows_no_secret() {
    let live = world(&core(), set(storage(None, "old-credential")));
    let read = readings("a-key", "v/0");
    let plan = drafted(
        Ok(core()),
        set(storage(None, "new-credential")),
        &read,
        &live,
    );

    assert_eq!(plan.stage.0.credentials.len(), 1);
    let shown = format!("{plan:?} {live:?}");
    for secret in ["old-credential", "new-credential", "a-key"] {
        let as_bytes = format!("{:?}", secret.as_bytes());
        let bytes = as_bytes.trim_matches(['[', ']']);
        assert!(
            !shown.contains(secret) && !shown.contains(bytes),
            "{secret}"
        );
    }
}
