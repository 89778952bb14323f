//! A Backup or a Restore, as far as it tells how it is doing.
//!
//! **Invariant:** read leniently: one moment that is not understood hides nothing else.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use kube::{ResourceExt as _, api::DynamicObject};
use serde::Deserialize;
use serde_json::{Value, from_value};

use super::work;

/// One of many, without what nobody reads: what managers own of it is half of an object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Light {
    pub(crate) metadata: Metadata,
    pub(crate) status: Status,
}

impl Light {
    /// Of a whole object.
    pub(crate) fn of(object: &DynamicObject) -> Self {
        let created = object.metadata.creation_timestamp.as_ref();
        Self {
            metadata: Metadata {
                name: object.name_any(),
                uid: object.uid().unwrap_or_default(),
                labels: object.labels().clone(),
                annotations: object.annotations().clone(),
                creation_timestamp: created.map(|time| time.0.to_string()),
            },
            status: Status::of(object),
        }
    }
}

/// Of the metadata.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Metadata {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    creation_timestamp: Option<String>,
}

impl Metadata {
    pub(crate) fn created(&self) -> Option<Timestamp> {
        moment(self.creation_timestamp.as_deref())
    }
}

/// What Velero says of it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Status {
    pub(crate) phase: String,
    start_timestamp: Option<String>,
    completion_timestamp: Option<String>,
    expiration: Option<String>,
    progress: Option<Progress>,
    pub(crate) errors: u64,
    pub(crate) warnings: u64,
    failure_reason: String,
    validation_errors: Option<Vec<String>>,
}

/// Items, of those that are known so far.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Progress {
    #[serde(alias = "itemsBackedUp", alias = "itemsRestored")]
    pub(crate) items_done: u64,
    pub(crate) total_items: u64,
}

impl Status {
    /// Of a whole object; nothing said is a state of its own.
    pub(crate) fn of(object: &DynamicObject) -> Self {
        from_value(object.data["status"].clone()).unwrap_or_default()
    }

    /// Velero does nothing more of its own accord.
    pub(crate) fn has_ended(&self) -> bool {
        work::has_ended(&self.phase)
    }

    /// There is something in the store that a Restore can be from.
    pub(crate) fn is_restorable(&self) -> bool {
        matches!(self.phase.as_str(), "Completed" | "PartiallyFailed")
    }

    pub(crate) fn is_success(&self) -> bool {
        self.phase == "Completed"
    }

    /// Velero's phase, or what stands for none.
    pub(crate) fn phase(&self) -> &str {
        match self.phase.as_str() {
            "" => "New",
            phase => phase,
        }
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress.unwrap_or_default()
    }

    /// Why it was refused or given up, as far as it says.
    pub(crate) fn reason(&self) -> Option<String> {
        let refusals = self.validation_errors.as_deref().unwrap_or_default();
        let all: Vec<_> = refusals
            .iter()
            .map(String::as_str)
            .chain([self.failure_reason.as_str()])
            .filter(|reason| !reason.is_empty())
            .collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    pub(crate) fn begun(&self) -> Option<Timestamp> {
        moment(self.start_timestamp.as_deref())
    }

    pub(crate) fn ended(&self) -> Option<Timestamp> {
        moment(self.completion_timestamp.as_deref())
    }

    pub(crate) fn expires(&self) -> Option<Timestamp> {
        moment(self.expiration.as_deref())
    }

    pub(crate) fn duration(&self) -> Option<SignedDuration> {
        Some(self.ended()?.duration_since(self.begun()?))
    }
}

fn moment(text: Option<&str>) -> Option<Timestamp> {
    text?.parse().ok()
}

/// Every field that is asked for is there with this value; what the server has filled in is its own.
pub(crate) fn holds(live: &Value, asked: &Value) -> bool {
    match (live, asked) {
        (Value::Object(live), Value::Object(asked)) => asked
            .iter()
            .all(|(key, value)| live.get(key).is_some_and(|live| holds(live, value))),
        _ => live == asked,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn status_is_read_whatever_is_missing() {
        let status: Status = from_value(json!({
            "phase": "PartiallyFailed", "startTimestamp": "2026-11-28T20:00:00Z",
            "completionTimestamp": "2026-11-28T20:01:05Z", "expiration": "at noon",
            "progress": {"totalItems": 7, "itemsBackedUp": 5}, "errors": 2, "validationErrors": null,
        }))
        .unwrap();
        assert_eq!(status.duration(), Some(SignedDuration::from_secs(65)));
        assert_eq!(status.expires(), None);
        assert_eq!((status.progress().items_done, status.errors), (5, 2));
        assert!(status.has_ended() && status.is_restorable() && !status.is_success());
        let restore: Status = from_value(json!({"progress": {"itemsRestored": 3}})).unwrap();
        assert_eq!((restore.phase(), restore.progress().items_done), ("New", 3));
        assert!(!restore.has_ended() && restore.reason().is_none());
    }

    #[test]
    fn what_the_server_fills_in_does_not_count() {
        let live = json!({"ttl": "720h0m0s", "includedNamespaces": ["shop"], "hooks": {}});
        assert!(holds(&live, &json!({"includedNamespaces": ["shop"]})));
        assert!(!holds(
            &live,
            &json!({"includedNamespaces": ["shop", "bank"]})
        ));
        assert!(!holds(&live, &json!({"existingResourcePolicy": "update"})));
    }
}
