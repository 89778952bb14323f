//! Our locations: what we ask Velero for.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use kube::api::DynamicObject;
use provider_api::{Location, SnapshotLocation};
use serde_json::{Value, json};

use super::{Owner, credential};
use crate::{
    cluster::owned,
    velero::{LOCATION, kind, location::other_default},
};

/// Which place our location has among those of its namespace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rank {
    /// Backups that name no location go to ours.
    Default,
    /// They go to one that somebody else has made the default. Of two defaults Velero takes one away, so
    /// asking for it again would never end.
    Further,
}

/// The rank that is left for ours.
pub(crate) fn rank(all: &BTreeMap<String, DynamicObject>) -> Rank {
    match other_default(all) {
        Some(_) => Rank::Further,
        None => Rank::Default,
    }
}

/// The location to apply.
pub(crate) fn backup_location(
    provider: &str,
    location: &Location,
    rank: Rank,
    secret_name: Option<&str>,
    namespace: &str,
    owner: &Owner,
) -> DynamicObject {
    let mut store = json!({"bucket": location.bucket});
    if let Some(prefix) = &location.prefix {
        store["prefix"] = json!(prefix);
    }
    if let Some(certificates) = &location.ca_certificates {
        store["caCert"] = json!(STANDARD.encode(certificates));
    }
    let mut spec = json!({"provider": provider, "objectStorage": store});
    name_credential(&mut spec, secret_name);
    if rank == Rank::Default {
        spec["default"] = json!(true);
    }
    if !location.config.is_empty() {
        spec["config"] = json!(location.config);
    }
    object("BackupStorageLocation", &spec, namespace, owner)
}

/// The snapshot location to apply.
pub(crate) fn snapshot_location(
    provider: &str,
    location: &SnapshotLocation,
    secret_name: Option<&str>,
    namespace: &str,
    owner: &Owner,
) -> DynamicObject {
    let mut spec = json!({"provider": provider, "config": location.config});
    name_credential(&mut spec, secret_name);
    object("VolumeSnapshotLocation", &spec, namespace, owner)
}

/// Without one the plugin takes what the cloud gives to its pod.
fn name_credential(spec: &mut Value, secret_name: Option<&str>) {
    if let Some(name) = secret_name {
        spec["credential"] = json!({"name": name, "key": credential::KEY});
    }
}

fn object(name: &str, spec: &Value, namespace: &str, owner: &Owner) -> DynamicObject {
    let mut object = DynamicObject::new(LOCATION, &kind(name)).within(namespace);
    let mut labels = owner.labels();
    labels.insert("component".into(), "velero".into());
    object.metadata.labels = Some(labels);
    object.data(json!({ "spec": spec }))
}

/// Applying this makes Velero judge the location again: it does for a change of the spec alone. Where we
/// have never applied it, nothing tells what goes with an apply.
pub(crate) fn is_judged_again(live: Option<&DynamicObject>, wanted: &DynamicObject) -> bool {
    live.is_none_or(|live| {
        let managers = live.metadata.managed_fields.as_ref();
        owned::our_entry(managers).is_none()
            || owned::changes("spec", &live.data, &wanted.data, managers)
    })
}

/// When we last changed a location. Velero writes to it too, so its generation says nothing.
pub(crate) fn changed_at(location: &DynamicObject) -> Option<Timestamp> {
    owned::our_entry(location.metadata.managed_fields.as_ref())?
        .time
        .as_ref()
        .map(|time| time.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_is_what_other_locations_leave() {
        let location = |name: &str, default: Value| {
            let location = DynamicObject::new(name, &kind("BackupStorageLocation"));
            (
                name.to_owned(),
                location.data(json!({"spec": {"default": default}})),
            )
        };
        let ours = location(LOCATION, json!(true));
        let with = |other| rank(&[ours.clone(), location("theirs", other)].into());

        assert_eq!(rank(&[ours.clone()].into()), Rank::Default);
        assert_eq!(with(json!(false)), Rank::Default);
        assert_eq!(with(json!(true)), Rank::Further);
    }

    #[test]
    fn location_is_judged_again_for_its_spec_alone() {
        let location = |labels: &str, spec: Value, owned: Value| -> DynamicObject {
            serde_json::from_value(json!({
                "apiVersion": "velero.io/v1", "kind": "BackupStorageLocation",
                "metadata": {"name": "default", "labels": {"a": labels}, "managedFields": [{
                    "manager": "velero-operator", "operation": "Apply",
                    "fieldsV1": {"f:metadata": {"f:labels": {"f:gone": {}}}, "f:spec": owned},
                }]},
                "spec": spec,
            }))
            .unwrap()
        };
        let owned = json!({"f:provider": {}, "f:default": {}});
        let live = location(
            "1",
            json!({"provider": "tape", "default": true, "theirs": 1}),
            owned,
        );
        let again = |labels, spec| is_judged_again(Some(&live), &location(labels, spec, json!({})));

        assert!(!again("2", json!({"provider": "tape", "default": true})));
        assert!(again("1", json!({"provider": "disk", "default": true})));
        assert!(
            again("1", json!({"provider": "tape"})),
            "a field of ours goes"
        );
        assert!(is_judged_again(None, &live), "there was none");
    }
}
