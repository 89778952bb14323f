//! Backups that the rule of option `keep` is for, as far as they were made here.
//!
//! **Invariant:** one that came from the store is not among them (`only_what_was_made_here_is_governed`): another
//! cluster that made it may rely on it, and one that is set up again has nothing else.

use jiff::Timestamp;
use kube::{ResourceExt as _, api::DynamicObject};

use crate::{
    ours::{
        Owner,
        keep::{self, Grade},
        schedule::Key,
    },
    velero::{job::Light, schedule::MADE_BY},
    volumes::note::{LOOKED_AT, Note},
};

/// Such a Backup. One that Velero works on is none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::reconcile) struct Governed {
    pub(in crate::reconcile) key: Key,
    pub(in crate::reconcile) schedule: String,
    pub(in crate::reconcile) name: String,
    pub(in crate::reconcile) uid: String,
    pub(in crate::reconcile) begun: Timestamp,
    pub(in crate::reconcile) state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::reconcile) enum State {
    Ended(Grade),
    /// Velero was asked to delete it, and has not done so yet.
    Deleting,
}

impl Governed {
    /// Reads a Backup; one that the rule of this owner is not for is none.
    pub(super) fn of(backup: &DynamicObject, owner: &Owner) -> Option<Self> {
        keep::is_for(backup.labels(), owner)
            .then(|| governed(Light::of(backup)))
            .flatten()
    }
}

fn governed(backup: Light) -> Option<Governed> {
    let key = Key::of_labels(&backup.metadata.labels)?;
    let state = state(&backup)?;
    if !is_made_here(&backup) {
        return None;
    }
    let Light { metadata, status } = backup;
    Some(Governed {
        key,
        schedule: metadata.labels.get(MADE_BY)?.clone(),
        begun: status.begun().or_else(|| metadata.created())?,
        name: metadata.name,
        uid: metadata.uid,
        state,
    })
}

/// One that came from the store was made here after it had ended. What Velero refused never was in the store.
fn is_made_here(backup: &Light) -> bool {
    let Light { metadata, status } = backup;
    let times = metadata.created().zip(status.ended());
    status.phase == "FailedValidation" || times.is_some_and(|(made, ended)| made <= ended)
}

/// `None` for one that Velero works on, and for one of which it is not known yet what it holds of volumes.
fn state(backup: &Light) -> Option<State> {
    let metadata = &backup.metadata;
    let grade = match backup.status.phase.as_str() {
        "Completed" => {
            metadata.labels.get(LOOKED_AT)?;
            match Note::of(&metadata.annotations) {
                Some(note) if note.without_data.is_none() => Grade::Good,
                _ => Grade::Partial,
            }
        }
        "PartiallyFailed" => Grade::Partial,
        "Failed" | "FailedValidation" => Grade::Failed,
        "Deleting" => return Some(State::Deleting),
        _ => return None,
    };
    Some(State::Ended(grade))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn read(created: &str, phase: &str, note: &Value) -> Option<State> {
        let mut labels = json!({
            "app": "minio", "endpoint": "backup", "model": "m", MADE_BY: "minio-backup-1",
        });
        let mut annotations = json!({});
        if !note.is_null() {
            labels[LOOKED_AT] = json!("known");
            annotations["velero-operator/volumes"] = json!(note.to_string());
        }
        let backup = json!({
            "metadata": {
                "name": "b", "uid": "u", "creationTimestamp": created, "labels": labels,
                "annotations": annotations,
            },
            "status": {
                "phase": phase, "startTimestamp": "2026-11-28T02:00:00Z",
                "completionTimestamp": "2026-11-28T02:01:00Z",
            },
        });
        governed(from_value(backup).unwrap()).map(|one| one.state)
    }

    const HERE: &str = "2026-11-28T02:00:00Z";

    fn whole() -> Value {
        json!({"saved": "2 of 2", "bytes": 7})
    }

    #[test]
    fn only_what_was_made_here_is_governed() {
        assert!(read(HERE, "Completed", &whole()).is_some());
        for phase in ["Completed", "PartiallyFailed", "Failed", "Deleting"] {
            let from_the_store = read("2026-11-28T02:01:01Z", phase, &whole());
            assert_eq!(from_the_store, None, "{phase}");
        }
    }

    #[test]
    fn good_is_what_holds_the_data_of_all_volumes() {
        let graded = |phase: &str, note: Value| read(HERE, phase, &note);
        let lacks = json!({"saved": "1 of 2", "bytes": 7, "without-data": "shop/data (no agent)"});
        assert_eq!(
            graded("Completed", whole()),
            Some(State::Ended(Grade::Good))
        );
        assert_eq!(
            graded("Completed", lacks),
            Some(State::Ended(Grade::Partial))
        );
        assert_eq!(graded("Completed", Value::Null), None, "nobody has looked");
        let unknown = graded("Completed", json!("unknown"));
        assert_eq!(unknown, Some(State::Ended(Grade::Partial)));
        let partial = graded("PartiallyFailed", whole());
        assert_eq!(partial, Some(State::Ended(Grade::Partial)));
        for phase in ["Failed", "FailedValidation"] {
            let failed = graded(phase, Value::Null);
            assert_eq!(failed, Some(State::Ended(Grade::Failed)), "{phase}");
        }
        assert_eq!(graded("Deleting", whole()), Some(State::Deleting));
        for phase in ["", "New", "InProgress", "Finalizing", "NeverHeardOf"] {
            assert_eq!(graded(phase, whole()), None, "{phase}");
        }
    }
}
