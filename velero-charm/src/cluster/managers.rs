//! Taking over the fields that another charm's managers own.
//!
//! **Invariant:** only ownership moves: what the object says stays as it is. A forced apply alone would leave
//! the former managers as co-owners, and nothing of theirs could ever be removed by leaving it out. All goes
//! into one entry: of two with the same name, the API server drops one.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use serde_json::{Map, Value};

use super::FIELD_MANAGER;

/// The owned paths of a pod template's init containers.
const INIT_CONTAINERS: [&str; 4] = ["f:spec", "f:template", "f:spec", "f:initContainers"];

/// The field manager of init containers that are left alone.
const BYSTANDER: &str = "before-velero-operator";

/// Who owned our objects before us, and what of theirs was never for us to own.
#[derive(Clone, Debug)]
pub(crate) struct Former<'a> {
    /// Names of field managers.
    pub(crate) managers: &'a [&'a str],
    /// Names of the init containers that come over to us; others stay as they are.
    pub(crate) init_containers: BTreeSet<String>,
}

impl<'a> Former<'a> {
    /// Those of an object that has no init containers.
    pub(crate) fn of(managers: &'a [&'a str]) -> Self {
        Self {
            managers,
            init_containers: BTreeSet::new(),
        }
    }

    /// One of them has written to the object.
    fn have_written(&self, entries: &[ManagedFieldsEntry]) -> bool {
        entries.iter().any(|entry| self.is_theirs(entry))
    }

    /// The object's entries with all of theirs made ours; `None` if there is nothing of theirs.
    pub(super) fn fold(&self, entries: &[ManagedFieldsEntry]) -> Option<Vec<ManagedFieldsEntry>> {
        if !self.have_written(entries) {
            return None;
        }
        let (come, mut stay): (Vec<_>, Vec<_>) = entries
            .iter()
            .cloned()
            .partition(|entry| self.is_theirs(entry) || is_ours(entry));
        // Nothing is said again: a verdict on what they wrote still counts.
        let said = come.iter().filter_map(|entry| entry.time.clone());
        let time = said.max_by_key(|time| time.0);
        let mut fields = Value::Object(Map::new());
        for entry in come {
            let theirs = self.is_theirs(&entry);
            let mut owned = entry.fields_v1.clone().map_or(Value::Null, |owned| owned.0);
            if theirs && let Some(kept) = self.take_strangers(&mut owned) {
                stay.push(ManagedFieldsEntry {
                    manager: Some(BYSTANDER.into()),
                    fields_v1: Some(FieldsV1(kept)),
                    ..entry
                });
            }
            merge(&mut fields, owned);
        }
        stay.push(ManagedFieldsEntry {
            manager: Some(FIELD_MANAGER.into()),
            operation: Some("Apply".into()),
            api_version: api_version(entries),
            fields_type: Some("FieldsV1".into()),
            fields_v1: Some(FieldsV1(fields)),
            time,
            subresource: None,
        });
        Some(stay)
    }

    /// Writes of the status stay with their managers.
    fn is_theirs(&self, entry: &ManagedFieldsEntry) -> bool {
        let manager = entry.manager.as_deref().unwrap_or_default();
        entry.subresource.is_none() && self.managers.contains(&manager)
    }

    /// Takes out the init containers that do not come over, as a tree of their own.
    fn take_strangers(&self, owned: &mut Value) -> Option<Value> {
        let mut below = &mut *owned;
        for step in INIT_CONTAINERS {
            below = below.get_mut(step)?;
        }
        let items = below.as_object_mut()?;
        let strangers: Vec<String> = items
            .keys()
            .filter(|key| item_name(key).is_some_and(|name| !self.init_containers.contains(&name)))
            .cloned()
            .collect();
        let taken: Map<String, Value> = strangers
            .into_iter()
            .filter_map(|key| items.remove_entry(&key))
            .collect();
        if taken.is_empty() {
            return None;
        }
        let wrap = |tree, step: &&str| Value::Object(Map::from_iter([((*step).to_owned(), tree)]));
        Some(
            INIT_CONTAINERS
                .iter()
                .rev()
                .fold(Value::Object(taken), wrap),
        )
    }
}

fn is_ours(entry: &ManagedFieldsEntry) -> bool {
    entry.subresource.is_none()
        && entry.manager.as_deref() == Some(FIELD_MANAGER)
        && entry.operation.as_deref() == Some("Apply")
}

fn api_version(entries: &[ManagedFieldsEntry]) -> Option<String> {
    let versions = entries.iter().filter(|entry| entry.subresource.is_none());
    versions.rev().find_map(|entry| entry.api_version.clone())
}

/// The name in an item's key, `k:{"name":"…"}`.
fn item_name(key: &str) -> Option<String> {
    let keys: Value = serde_json::from_str(key.strip_prefix("k:")?).ok()?;
    keys.get("name")?.as_str().map(ToOwned::to_owned)
}

/// Everything that either owns.
fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        for (key, below) in more {
            match into.get_mut(&key) {
                Some(there) => merge(there, below),
                None => {
                    into.insert(key, below);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    use super::*;

    fn entry(manager: &str, operation: &str, fields: Value) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            manager: Some(manager.into()),
            operation: Some(operation.into()),
            api_version: Some("apps/v1".into()),
            fields_v1: Some(FieldsV1(fields)),
            ..ManagedFieldsEntry::default()
        }
    }

    fn former() -> Former<'static> {
        Former {
            managers: &["elder", "eldest"],
            init_containers: BTreeSet::from(["plugin".to_owned()]),
        }
    }

    fn ours(entries: &[ManagedFieldsEntry]) -> Vec<&Value> {
        let ours = entries.iter().filter(|entry| is_ours(entry));
        ours.filter_map(|entry| Some(&entry.fields_v1.as_ref()?.0))
            .collect()
    }

    #[test]
    fn entries_of_former_managers_end_in_one_of_ours() {
        let entries = [
            entry(
                "elder",
                "Update",
                json!({"f:spec": {"f:a": {}, "f:b": {"f:c": {}}}}),
            ),
            entry("eldest", "Update", json!({"f:spec": {"f:b": {"f:d": {}}}})),
            entry(
                FIELD_MANAGER,
                "Apply",
                json!({"f:metadata": {"f:labels": {}}}),
            ),
            entry(
                "kubectl-edit",
                "Update",
                json!({"f:spec": {"f:theirs": {}}}),
            ),
        ];

        let folded = former().fold(&entries).unwrap();

        assert_eq!(folded.len(), 2);
        assert_eq!(folded[0].manager.as_deref(), Some("kubectl-edit"));
        assert_eq!(
            ours(&folded),
            [&json!({
                "f:metadata": {"f:labels": {}},
                "f:spec": {"f:a": {}, "f:b": {"f:c": {}, "f:d": {}}},
            })]
        );
        assert_eq!(former().fold(&folded), None, "once is enough");
    }

    #[test]
    fn the_entry_is_as_old_as_their_last_write() {
        let at = |second| Some(Time(jiff::Timestamp::from_second(second).unwrap()));
        let written = |manager, second| ManagedFieldsEntry {
            time: at(second),
            ..entry(manager, "Update", json!({}))
        };

        let folded = former().fold(&[written("elder", 9), written("eldest", 7)]);

        assert_eq!(folded.unwrap()[0].time, at(9));
    }

    #[test]
    fn status_that_others_wrote_stays_theirs() {
        let status = ManagedFieldsEntry {
            subresource: Some("status".into()),
            ..entry("elder", "Update", json!({"f:status": {}}))
        };
        assert_eq!(former().fold(&[status]), None);
    }

    #[test]
    fn an_init_container_that_is_not_named_does_not_become_ours() {
        let containers = |items: Value| json!({"f:spec": {"f:template": {"f:spec": {"f:initContainers": items}}}});
        let plugin = r#"k:{"name":"plugin"}"#;
        let other = r#"k:{"name":"other"}"#;
        let entries = [entry(
            "elder",
            "Update",
            containers(json!({".": {}, plugin: {"f:image": {}}, other: {"f:image": {}}})),
        )];

        let folded = former().fold(&entries).unwrap();

        assert_eq!(
            ours(&folded),
            [&containers(json!({".": {}, plugin: {"f:image": {}}}))]
        );
        assert_eq!(folded[0].manager.as_deref(), Some(BYSTANDER));
        assert_eq!(former().fold(&folded), None, "once is enough");
        assert_eq!(
            folded[0].fields_v1.as_ref().unwrap().0,
            containers(json!({other: {"f:image": {}}}))
        );
    }
}
