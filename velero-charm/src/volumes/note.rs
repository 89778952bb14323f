//! What was found out of a Backup's volumes, written down at the Backup.
//!
//! An annotation has it, and a label that says that it was looked at, by which the others are selected. Neither is
//! known to Velero, so both are gone in a cluster that finds the Backup in the store.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::report::Report;

/// The label of a Backup that was looked at, and the annotation.
pub(crate) const LOOKED_AT: &str = "velero-operator/volumes-looked-at";
const ANNOTATION: &str = "velero-operator/volumes";

/// What is written down.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Note {
    /// `2 of 3`, of the volumes that have data.
    pub(crate) saved: String,
    /// Of the data that was copied.
    pub(crate) bytes: u64,
    /// Names of those without, each with the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) without_data: Option<String>,
}

impl From<&Report> for Note {
    fn from(report: &Report) -> Self {
        Self {
            saved: report.saved(),
            bytes: report.bytes(),
            without_data: report.missing(),
        }
    }
}

impl Note {
    /// As it stands in a Backup's annotations.
    pub(crate) fn of(annotations: &BTreeMap<String, String>) -> Option<Self> {
        serde_json::from_str(annotations.get(ANNOTATION)?).ok()
    }

    /// What of a Backup's metadata says that it was looked at, and what was found if that can be known.
    pub(crate) fn metadata(found: Option<&Self>) -> Value {
        let label = if found.is_some() { "known" } else { "unknown" };
        let annotation = found.and_then(|note| serde_json::to_string(note).ok());
        let annotations: BTreeMap<_, _> = annotation
            .map(|text| (ANNOTATION, text))
            .into_iter()
            .collect();
        json!({"metadata": {"labels": {LOOKED_AT: label}, "annotations": annotations}})
    }
}

#[cfg(test)]
mod tests {
    use kube::{ResourceExt as _, api::DynamicObject};

    use super::*;

    #[test]
    fn note_is_read_as_it_was_written() {
        let note = Note {
            saved: "2 of 3".into(),
            bytes: 7,
            without_data: Some("shop/data (a hostPath volume)".into()),
        };
        let backup: DynamicObject = serde_json::from_value(Note::metadata(Some(&note))).unwrap();
        assert_eq!(Note::of(backup.annotations()), Some(note));
        assert_eq!(backup.labels()[LOOKED_AT], "known");
    }

    #[test]
    fn unknown_leaves_no_annotation() {
        let backup: DynamicObject = serde_json::from_value(Note::metadata(None)).unwrap();
        assert_eq!(Note::of(backup.annotations()), None);
        assert_eq!(backup.labels()[LOOKED_AT], "unknown");
    }
}
