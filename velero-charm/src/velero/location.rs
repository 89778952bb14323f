//! Velero's locations: what we ask for, and what Velero says of it.
//!
//! **Invariant:** a location is built from a provider's data alone, and a verdict is read with the
//! time at which Velero gave it.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use kube::api::DynamicObject;
use provider_api::{Location, SnapshotLocation};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{LOCATION, Owner, credential, kind};
use crate::cluster::owned;

/// Velero's own word on a location.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Verdict {
    pub(crate) phase: Option<Phase>,
    pub(crate) message: String,
    pub(crate) last_validation_time: Option<Timestamp>,
}

/// The phases of a location.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub(crate) enum Phase {
    Available,
    Unavailable,
}

/// The location to apply.
pub(crate) fn backup_location(
    provider: &str,
    location: &Location,
    secret_name: &str,
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
    let mut spec = json!({
        "provider": provider,
        "default": true,
        "objectStorage": store,
        "credential": {"name": secret_name, "key": credential::KEY},
    });
    if !location.config.is_empty() {
        spec["config"] = json!(location.config);
    }
    object("BackupStorageLocation", &spec, namespace, owner)
}

/// The snapshot location to apply.
pub(crate) fn snapshot_location(
    provider: &str,
    location: &SnapshotLocation,
    secret_name: &str,
    namespace: &str,
    owner: &Owner,
) -> DynamicObject {
    let spec = json!({
        "provider": provider,
        "config": location.config,
        "credential": {"name": secret_name, "key": credential::KEY},
    });
    object("VolumeSnapshotLocation", &spec, namespace, owner)
}

fn object(name: &str, spec: &Value, namespace: &str, owner: &Owner) -> DynamicObject {
    let mut object = DynamicObject::new(LOCATION, &kind(name)).within(namespace);
    let mut labels = owner.labels();
    labels.insert("component".into(), "velero".into());
    object.metadata.labels = Some(labels);
    object.data(json!({ "spec": spec }))
}

/// The provider that serves a location, as Velero knows it.
pub(crate) fn provider(location: &DynamicObject) -> Option<&str> {
    location.data.pointer("/spec/provider")?.as_str()
}

/// The folder that a location has its objects in.
pub(crate) fn prefix(location: &DynamicObject) -> Option<String> {
    text(location, "/spec/objectStorage/prefix")
}

/// The certificates that a location trusts.
pub(crate) fn ca_certificates(location: &DynamicObject) -> Option<String> {
    let packed = text(location, "/spec/objectStorage/caCert")?;
    String::from_utf8(STANDARD.decode(packed).ok()?).ok()
}

/// The plugin's settings for a location.
pub(crate) fn config(location: &DynamicObject) -> BTreeMap<String, String> {
    let config = location.data.pointer("/spec/config");
    config
        .and_then(|config| BTreeMap::deserialize(config).ok())
        .unwrap_or_default()
}

fn text(location: &DynamicObject, path: &str) -> Option<String> {
    location.data.pointer(path)?.as_str().map(str::to_owned)
}

/// What Velero says of a location.
pub(crate) fn verdict(location: &DynamicObject) -> Verdict {
    location
        .data
        .get("status")
        .and_then(|status| Verdict::deserialize(status).ok())
        .unwrap_or_default()
}

/// When we last changed a location. Velero writes to it too, so its generation says nothing.
pub(crate) fn changed_at(location: &DynamicObject) -> Option<Timestamp> {
    owned::our_entry(location.metadata.managed_fields.as_ref())?
        .time
        .as_ref()
        .map(|time| time.0)
}

/// What says nothing where a store gives no answer: how often it was asked, and that it did not.
const PADDING: [&str; 4] = [
    "exceeded maximum number of attempts",
    "3",
    "https response error StatusCode: 0",
    "request send failed",
];

/// Velero's message without what wraps it, and without what differs at every try.
pub(crate) fn plain_message(message: &str) -> String {
    let message = message
        .split_once(" is unavailable: ")
        .map_or(message, |(_, cause)| cause)
        .trim_start_matches("rpc error: code = Unknown desc = ");
    let kept: Vec<&str> = message
        .split(", ")
        .filter(|part| !is_padding(part))
        .collect();
    kept.join(", ")
        .split_whitespace()
        .map(without_own_port)
        .collect::<Vec<_>>()
        .join(" ")
}

/// `10.0.0.1:40123->10.0.0.2:443`: our end of a connection is another one each time.
fn without_own_port(word: &str) -> &str {
    word.split_once("->").map_or(word, |(_, theirs)| theirs)
}

fn is_padding(part: &str) -> bool {
    let value = |part: &str| part.starts_with("RequestID:") || part.starts_with("HostID:");
    value(part) || PADDING.contains(&part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_the_same_at_every_try() {
        let message = |id: &str| {
            format!(
                "BackupStorageLocation \"default\" is unavailable: rpc error: code = Unknown desc = \
                 operation error List, https response error StatusCode: 403, RequestID: {id}, \
                 HostID: , api error Torn: The tape is torn."
            )
        };
        assert_eq!(plain_message(&message("1")), plain_message(&message("2")));
        assert_eq!(
            plain_message(&message("1")),
            "operation error List, https response error StatusCode: 403, api error Torn: The tape \
             is torn."
        );
    }

    #[test]
    fn of_a_store_that_gives_no_answer_only_the_reason_is_left() {
        let message = "operation error List, exceeded maximum number of attempts, 3, https response \
                       error StatusCode: 0, RequestID: , HostID: , request send failed, Get \
                       \"http://tape/reel\": connection refused";
        assert_eq!(
            plain_message(message),
            "operation error List, Get \"http://tape/reel\": connection refused"
        );
    }

    #[test]
    fn of_a_connection_only_the_other_end_is_told() {
        assert_eq!(
            plain_message("read tcp 10.0.0.1:40123->10.0.0.2:8333: i/o timeout"),
            "read tcp 10.0.0.2:8333: i/o timeout"
        );
    }

    #[test]
    fn a_location_that_was_never_judged_has_no_phase() {
        let location = DynamicObject::new("x", &kind("BackupStorageLocation")).data(json!({}));
        assert_eq!(verdict(&location), Verdict::default());
    }
}
