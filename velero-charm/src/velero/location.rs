//! Velero's locations, and what Velero says of them.
//!
//! **Invariant:** a verdict is read with the time at which Velero gave it, and what Velero says is never
//! left out for not being known here.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use kube::api::DynamicObject;
use serde::Deserialize as _;
use serde_json::Value;
use tracing::debug;

use super::LOCATION;

/// Velero's own word on a location.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Verdict {
    /// None if Velero has never said anything.
    pub(crate) phase: Option<Phase>,
    pub(crate) message: String,
    pub(crate) last_validation_time: Option<Timestamp>,
}

/// The phases of a location.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    Available,
    Unavailable,
    /// One that this charm's Velero does not have.
    Other(String),
}

impl From<&str> for Phase {
    fn from(text: &str) -> Self {
        match text {
            "Available" => Self::Available,
            "Unavailable" => Self::Unavailable,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// The location that somebody else has made the default.
pub(crate) fn other_default(all: &BTreeMap<String, DynamicObject>) -> Option<&str> {
    let is_default = |one: &DynamicObject| {
        let default = one.data.pointer("/spec/default").and_then(Value::as_bool);
        default == Some(true) && one.metadata.deletion_timestamp.is_none()
    };
    let mut others = all.iter().filter(|(name, _)| *name != LOCATION);
    others.find_map(|(name, one)| is_default(one).then_some(name.as_str()))
}

/// It is for backups, and not for snapshots. Of the latter Velero gives no verdict.
pub(crate) fn is_backup_location(location: &DynamicObject) -> bool {
    let types = location.types.as_ref();
    types.is_some_and(|types| types.kind == "BackupStorageLocation")
}

/// The provider that serves a location, as Velero knows it.
pub(crate) fn provider(location: &DynamicObject) -> Option<&str> {
    location.data.pointer("/spec/provider")?.as_str()
}

/// The Secret that it names.
pub(crate) fn credential(location: &DynamicObject) -> Option<&str> {
    location.data.pointer("/spec/credential/name")?.as_str()
}

/// Velero writes nothing into it, and deletes nothing.
pub(crate) fn is_read_only(location: &DynamicObject) -> bool {
    location
        .data
        .pointer("/spec/accessMode")
        .and_then(Value::as_str)
        == Some("ReadOnly")
}

/// The folder that a location has its objects in.
pub(crate) fn prefix(location: &DynamicObject) -> Option<String> {
    text(location, "/spec/objectStorage/prefix")
}

/// The certificates that a location trusts.
pub(crate) fn ca_certificates(location: &DynamicObject) -> Option<String> {
    let packed = text(location, "/spec/objectStorage/caCert")?;
    let bytes = STANDARD
        .decode(packed)
        .inspect_err(|error| debug!("The location's `caCert` is not understood: {error}."))
        .ok()?;
    String::from_utf8(bytes)
        .inspect_err(|error| debug!("The location's `caCert` is no text: {error}."))
        .ok()
}

/// The plugin's settings for a location.
pub(crate) fn config(location: &DynamicObject) -> BTreeMap<String, String> {
    let config = location.data.pointer("/spec/config");
    let read = |config| {
        BTreeMap::deserialize(config)
            .inspect_err(|error| debug!("The location's `config` is not understood: {error}."))
            .ok()
    };
    config.and_then(read).unwrap_or_default()
}

fn text(location: &DynamicObject, path: &str) -> Option<String> {
    location.data.pointer(path)?.as_str().map(str::to_owned)
}

/// What Velero says of a location. Field by field: one that is not understood hides no other.
pub(crate) fn verdict(location: &DynamicObject) -> Verdict {
    let field = |name: &str| {
        let text = location.data.get("status")?.get(name)?.as_str()?;
        Some(text).filter(|text| !text.is_empty())
    };
    Verdict {
        phase: field("phase").map(Phase::from),
        message: field("message").unwrap_or_default().to_owned(),
        last_validation_time: field("lastValidationTime").and_then(|text| {
            let read = text.parse();
            read.inspect_err(|error| debug!("A verdict of `{text}` is not understood: {error}."))
                .ok()
        }),
    }
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
    use serde_json::json;

    use super::*;
    use crate::velero::kind;

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
    fn store_without_an_answer_is_shown_by_its_reason() {
        let message = "operation error List, exceeded maximum number of attempts, 3, https response \
                       error StatusCode: 0, RequestID: , HostID: , request send failed, Get \
                       \"http://tape/reel\": connection refused";
        assert_eq!(
            plain_message(message),
            "operation error List, Get \"http://tape/reel\": connection refused"
        );
    }

    #[test]
    fn connection_is_shown_by_its_other_end() {
        assert_eq!(
            plain_message("read tcp 10.0.0.1:40123->10.0.0.2:8333: i/o timeout"),
            "read tcp 10.0.0.2:8333: i/o timeout"
        );
    }

    #[test]
    fn a_verdict_in_unknown_words_is_kept_as_it_is() {
        let judged = |status: Value| {
            let location = DynamicObject::new("x", &kind("BackupStorageLocation"));
            verdict(&location.data(json!({"status": status})))
        };
        let other = judged(json!({"phase": "Throttled", "lastValidationTime": "at noon"}));
        assert_eq!(other.phase, Some(Phase::Other("Throttled".into())));
        assert_eq!(other.last_validation_time, None);
        let odd = judged(json!({"phase": "Unavailable", "message": 7,
                                "lastValidationTime": "2026-01-01T10:00:00Z"}));
        assert_eq!(odd.phase, Some(Phase::Unavailable));
        assert!(odd.last_validation_time.is_some());
    }

    #[test]
    fn a_location_that_was_never_judged_has_no_phase() {
        let location = DynamicObject::new("x", &kind("BackupStorageLocation")).data(json!({}));
        assert_eq!(verdict(&location), Verdict::default());
    }
}
