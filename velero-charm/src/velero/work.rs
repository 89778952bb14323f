//! What Velero works on, and how far it is.
//!
//! **Invariant:** a phase that this charm's Velero does not have counts as work.

use jiff::{SignedDuration, Timestamp};
use kube::{ResourceExt as _, api::DynamicObject};
use serde_json::Value;
use tracing::debug;

/// What the server works on.
pub(crate) const OF_THE_SERVER: [&str; 2] = ["Backup", "Restore"];
/// What the node agent works on, each on behalf of a Backup or Restore: the data of volumes.
pub(crate) const OF_THE_NODE_AGENT: [&str; 4] = [
    "PodVolumeBackup",
    "PodVolumeRestore",
    "DataUpload",
    "DataDownload",
];

/// What runs longer than this is taken for dead.
const LONGEST: SignedDuration = SignedDuration::from_hours(6);

/// How far a piece of work is.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Progress {
    /// Nobody has begun; a pod that comes later will.
    Ahead,
    UnderWay,
    Over,
    /// A phase that this charm's Velero does not have.
    Other(String),
}

/// Ending the pod that works on this now would lose what was done.
pub(crate) fn is_in_flight(object: &DynamicObject, now: Timestamp) -> bool {
    let phase = object.data.pointer("/status/phase").and_then(Value::as_str);
    let is_worked_on = match progress(phase.unwrap_or_default()) {
        Progress::UnderWay => true,
        Progress::Ahead | Progress::Over => false,
        Progress::Other(phase) => {
            let name = object.name_any();
            debug!("Velero says `{phase}` of `{name}`, which is unknown here: it counts as work.");
            true
        }
    };
    is_worked_on && begun(object, now).is_none_or(|begun| now.duration_since(begun) < LONGEST)
}

/// Nobody waits for it any longer.
pub(crate) fn has_ended(phase: &str) -> bool {
    progress(phase) == Progress::Over
}

/// From the enumerations in the CRDs of Velero 1.18.
fn progress(phase: &str) -> Progress {
    match phase {
        // The next server or agent finds these in the same state and begins with them.
        "" | "New" | "Queued" | "ReadyToStart" => Progress::Ahead,
        // A deletion is a request of its own, which the next server takes up again.
        "FailedValidation" | "Completed" | "PartiallyFailed" | "Failed" | "Canceled"
        | "Deleting" => Progress::Over,
        // `InProgress` is marked as failed by the next server. `Accepted` and `Prepared` have pods that move
        // the data, `WaitingForPluginOperations` waits for such, `Finalizing` is writing to the store, and
        // `Canceling` has yet to release a volume.
        "InProgress"
        | "WaitingForPluginOperations"
        | "WaitingForPluginOperationsPartiallyFailed"
        | "Finalizing"
        | "FinalizingPartiallyFailed"
        | "Accepted"
        | "Prepared"
        | "Canceling" => Progress::UnderWay,
        other => Progress::Other(other.to_owned()),
    }
}

/// When the work began, as far as that can be believed: the start is Velero's word, and one in the future
/// would never stop holding.
pub(crate) fn begun(object: &DynamicObject, now: Timestamp) -> Option<Timestamp> {
    let started = object.data.pointer("/status/startTimestamp");
    let started = started.and_then(Value::as_str);
    let started = started.and_then(|text| {
        let read = text.parse::<Timestamp>();
        read.inspect_err(|error| debug!("A start at `{text}` is not understood: {error}."))
            .ok()
    });
    let created = object.metadata.creation_timestamp.as_ref();
    started
        .filter(|started| *started <= now)
        .or_else(|| created.map(|time| time.0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::velero;

    const NOW: &str = "2026-01-01T12:00:00Z";

    fn is_held(created: &str, status: &Value) -> bool {
        let backup: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "velero.io/v1", "kind": "Backup",
            "metadata": {"name": "b", "creationTimestamp": created},
            "status": status,
        }))
        .unwrap();
        is_in_flight(&backup, NOW.parse().unwrap())
    }

    #[test]
    fn phases_in_which_somebody_works_count() {
        let counts = |phase: &str| is_held(NOW, &json!({"phase": phase}));

        for phase in [
            "InProgress",
            "WaitingForPluginOperations",
            "WaitingForPluginOperationsPartiallyFailed",
            "Finalizing",
            "FinalizingPartiallyFailed",
            "Accepted",
            "Prepared",
            "Canceling",
            "NeverHeardOf",
        ] {
            assert!(counts(phase), "{phase}");
        }
        for phase in [
            "",
            "New",
            "Queued",
            "ReadyToStart",
            "FailedValidation",
            "Completed",
            "PartiallyFailed",
            "Failed",
            "Canceled",
            "Deleting",
        ] {
            assert!(!counts(phase), "{phase}");
        }
        assert!(!is_held(NOW, &Value::Null));
    }

    #[test]
    fn work_is_taken_for_dead_after_hours() {
        let since = |created: &str, start: &str| {
            is_held(
                created,
                &json!({"phase": "InProgress", "startTimestamp": start}),
            )
        };
        let (earlier, now) = ("2026-01-01T05:59:00Z", NOW);

        assert!(
            since(earlier, "2026-01-01T11:00:00Z"),
            "it was queued first"
        );
        assert!(!since(earlier, earlier));
        assert!(since(now, "2099-01-01T00:00:00Z"));
        assert!(
            !since(earlier, "2099-01-01T00:00:00Z"),
            "a start in the future"
        );
        assert!(!since(earlier, "at noon"));
        assert!(!is_held(earlier, &json!({"phase": "Accepted"})), "no start");
    }

    #[test]
    fn kinds_of_work_are_veleros() {
        for kind in OF_THE_SERVER.iter().chain(&OF_THE_NODE_AGENT) {
            assert!(
                velero::CUSTOM_RESOURCES
                    .iter()
                    .any(|(_, name)| name == kind),
                "{kind}"
            );
        }
    }
}
