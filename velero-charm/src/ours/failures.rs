//! Backups and Restores that have failed, as lines of a log.

use jiff::{SignedDuration, Timestamp};
use kube::{ResourceExt as _, api::DynamicObject};
use serde_json::{Value, json};

/// On what was told of: when.
const TOLD: &str = "velero-operator/told";
/// What is older is history: a Backup may come from the store, into a cluster that has never seen it.
const NEWS: SignedDuration = SignedDuration::from_hours(24);
/// So many lines of one failure, and of each so much, are enough to see what happened.
const LINES: usize = 20;
const LENGTH: usize = 1000;

/// One that nobody was told of yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Failed {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) at: Timestamp,
    /// What Velero says of it.
    lines: Vec<String>,
}

/// What can fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Backup,
    Restore,
}

impl Kind {
    /// As Kubernetes calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Backup => "Backup",
            Self::Restore => "Restore",
        }
    }

    /// What moves data for it.
    pub(crate) fn movers(self) -> [&'static str; 2] {
        match self {
            Self::Backup => ["PodVolumeBackup", "DataUpload"],
            Self::Restore => ["PodVolumeRestore", "DataDownload"],
        }
    }

    /// Selects what belongs to the one of a name.
    pub(crate) fn selector(self, name: &str) -> String {
        match self {
            Self::Backup => format!("velero.io/backup-name={name}"),
            Self::Restore => format!("velero.io/restore-name={name}"),
        }
    }
}

impl Failed {
    /// Reads a Backup or Restore; one that has not failed, is old, or was told of, is none.
    pub(crate) fn of(kind: Kind, object: &DynamicObject, now: Timestamp) -> Option<Self> {
        let status = object.data.get("status")?;
        let phase = status.get("phase")?.as_str()?;
        let is_bad = ["Failed", "PartiallyFailed", "FailedValidation"].contains(&phase);
        let ended = status.get("completionTimestamp").and_then(Value::as_str);
        let ended = ended.and_then(|text| text.parse().ok());
        let created = object.metadata.creation_timestamp.as_ref();
        let at: Timestamp = ended.or_else(|| created.map(|time| time.0))?;
        if !is_bad || object.annotations().contains_key(TOLD) || now.duration_since(at) > NEWS {
            return None;
        }
        let name = object.name_any();
        let number = |field| status.get(field).and_then(Value::as_u64).unwrap_or(0);
        let (errors, warnings) = (number("errors"), number("warnings"));
        let what = kind.name();
        let mut lines = vec![format!(
            "{what} `{name}` ended `{phase}` with {errors} errors and {warnings} warnings."
        )];
        let reason = status.get("failureReason").into_iter();
        let refused = status.get("validationErrors").and_then(Value::as_array);
        let reasons = reason.chain(refused.into_iter().flatten());
        let reasons = reasons.filter_map(Value::as_str);
        lines.extend(reasons.map(|reason| format!("{what} `{name}`: {reason}")));
        Some(Self {
            kind,
            name,
            at,
            lines,
        })
    }

    /// What is told of it, with what its movers of data say.
    pub(crate) fn told(&self, movers: &[DynamicObject]) -> Vec<String> {
        let (what, name) = (self.kind.name(), &self.name);
        let said = movers.iter().filter_map(|mover| {
            let text = |path| mover.data.pointer(path).and_then(Value::as_str);
            let message = text("/status/message").filter(|message| !message.is_empty())?;
            let is_bad = text("/status/phase") == Some("Failed");
            let mover = mover.name_any();
            is_bad.then(|| format!("{what} `{name}`, `{mover}`: {message}"))
        });
        let all = self.lines.iter().cloned().chain(said).take(LINES);
        all.map(|line| {
            let end = line.floor_char_boundary(LENGTH);
            line.get(..end).unwrap_or_default().to_owned()
        })
        .collect()
    }

    /// Remembers that it was told of.
    pub(crate) fn mark(now: Timestamp) -> Value {
        json!({"metadata": {"annotations": {TOLD: now.to_string()}}})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(annotations: &Value, status: &Value) -> DynamicObject {
        serde_json::from_value(json!({
            "metadata": {
                "name": "b", "creationTimestamp": "2026-01-01T00:00:00Z", "annotations": annotations,
            },
            "status": status,
        }))
        .unwrap()
    }

    fn read(annotations: &Value, status: &Value) -> Option<Failed> {
        let now = "2026-01-01T12:00:00Z".parse().unwrap();
        Failed::of(Kind::Backup, &object(annotations, status), now)
    }

    #[test]
    fn failure_is_told_once_and_soon() {
        let failed = json!({"phase": "Failed", "failureReason": "the store is gone"});
        let found = read(&json!({}), &failed).unwrap();
        let lines = [
            "Backup `b` ended `Failed` with 0 errors and 0 warnings.",
            "Backup `b`: the store is gone",
        ];
        assert_eq!(found.told(&[]), lines);
        assert_eq!(read(&json!({TOLD: "yesterday"}), &failed), None);
        assert_eq!(read(&json!({}), &json!({"phase": "Completed"})), None);
        let old = json!({"phase": "Failed", "completionTimestamp": "2025-12-31T00:00:00Z"});
        assert_eq!(read(&json!({}), &old), None);
    }

    #[test]
    fn lines_are_bounded_and_name_the_mover() {
        let reasons: Vec<_> = (0..30).map(|number| "ä".repeat(600 + number)).collect();
        let status = json!({"phase": "FailedValidation", "validationErrors": reasons});
        let lines = read(&json!({}), &status).unwrap().told(&[]);
        assert_eq!(lines.len(), LINES);
        assert!(lines.iter().all(|line| line.len() <= LENGTH));

        let mover = object(
            &json!({}),
            &json!({"phase": "Failed", "message": "no space"}),
        );
        let failed = read(&json!({}), &json!({"phase": "PartiallyFailed"})).unwrap();
        let told = failed.told(&[mover]);
        assert_eq!(told.last().unwrap(), "Backup `b`, `b`: no space");
    }
}
