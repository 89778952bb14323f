//! Does a live object still say what we want it to say?
//!
//! **Invariant:** fields that others own are never looked at.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::Value;

use super::FIELD_MANAGER;

/// The live object has every field of ours as we want it, and we own none that we no longer want.
pub(crate) fn is_as_wanted(
    live: &Value,
    wanted: &Value,
    managers: Option<&Vec<ManagedFieldsEntry>>,
) -> bool {
    covers(live, wanted) && our_fields(managers).is_some_and(|ours| !exceeds(ours, wanted))
}

/// Applying `wanted` changes something of this part of the live object.
pub(crate) fn changes(
    part: &str,
    live: &Value,
    wanted: &Value,
    managers: Option<&Vec<ManagedFieldsEntry>>,
) -> bool {
    let of = |object: &Value| object.get(part).cloned().unwrap_or_default();
    let ours = our_fields(managers).and_then(|ours| ours.get(format!("f:{part}")));
    !covers(&of(live), &of(wanted)) || ours.is_some_and(|ours| exceeds(ours, &of(wanted)))
}

/// Every field of `wanted` is in `live` with the same value. Items of lists are known by their names where they
/// have any, as those of containers are, and others may be among them.
pub(crate) fn covers(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => wanted.iter().all(|(key, wanted)| {
            let live = live.get(key).unwrap_or(&Value::Null);
            covers(live, wanted)
        }),
        (live, Value::Array(wanted)) if wanted.iter().all(is_named) => {
            let live = live.as_array().map(Vec::as_slice).unwrap_or_default();
            wanted.iter().all(|wanted| {
                let named = live.iter().find(|one| one["name"] == wanted["name"]);
                named.is_some_and(|live| covers(live, wanted))
            })
        }
        _ => live == wanted,
    }
}

fn is_named(item: &Value) -> bool {
    item.get("name").is_some()
}

/// The entry that our applies have left on an object.
pub(crate) fn our_entry(managers: Option<&Vec<ManagedFieldsEntry>>) -> Option<&ManagedFieldsEntry> {
    managers?.iter().find(|entry| {
        entry.manager.as_deref() == Some(FIELD_MANAGER)
            && entry.operation.as_deref() == Some("Apply")
            && entry.subresource.as_deref().unwrap_or_default().is_empty()
    })
}

/// Somebody else owns the field at this path, or one below it.
pub(crate) fn is_of_others(path: &[String], managers: Option<&Vec<ManagedFieldsEntry>>) -> bool {
    let ours = our_entry(managers);
    let others = managers.into_iter().flatten();
    let mut others = others.filter(|entry| Some(*entry) != ours);
    others.any(|entry| {
        let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
        let mut steps = path.iter();
        let found = steps.try_fold(fields, |fields, step| Some(fields?.get(step)));
        found.flatten().is_some()
    })
}

fn our_fields(managers: Option<&Vec<ManagedFieldsEntry>>) -> Option<&Value> {
    our_entry(managers)?
        .fields_v1
        .as_ref()
        .map(|fields| &fields.0)
}

/// The owned set has a field that the wanted object lacks. Lists are compared by value in
/// [`covers`], so only the fields of maps matter here.
fn exceeds(owned: &Value, wanted: &Value) -> bool {
    let Value::Object(owned) = owned else {
        return false;
    };
    owned
        .iter()
        .filter_map(|(key, below)| Some((key.strip_prefix("f:")?, below)))
        .any(|(field, below)| match wanted.get(field) {
            Some(wanted) => exceeds(below, wanted),
            None => true,
        })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::FieldsV1;
    use serde_json::json;

    use super::*;

    fn managed(fields: Value) -> Vec<ManagedFieldsEntry> {
        let other = ManagedFieldsEntry {
            manager: Some("somebody".into()),
            operation: Some("Update".into()),
            fields_v1: Some(FieldsV1(json!({"f:spec": {"f:theirs": {}}}))),
            ..ManagedFieldsEntry::default()
        };
        let ours = ManagedFieldsEntry {
            manager: Some(FIELD_MANAGER.into()),
            operation: Some("Apply".into()),
            fields_v1: Some(FieldsV1(fields)),
            ..ManagedFieldsEntry::default()
        };
        vec![other, ours]
    }

    #[test]
    fn fields_that_others_added_do_not_count() {
        let live = json!({"spec": {"a": 1, "theirs": true}});
        let wanted = json!({"spec": {"a": 1}});
        let managers = managed(json!({"f:spec": {"f:a": {}}}));

        assert!(is_as_wanted(&live, &wanted, Some(&managers)));
    }

    #[test]
    fn items_are_compared_by_name_and_words_by_place() {
        let wanted = json!({"containers": [{"name": "a", "args": ["x"]}], "init": []});
        let others = json!({"containers": [
            {"name": "theirs"},
            {"name": "a", "args": ["x"], "tty": true},
        ]});
        assert!(covers(&others, &wanted));
        for args in [json!(["x", "y"]), json!(["y"]), json!([]), Value::Null] {
            let changed = json!({"containers": [{"name": "a", "args": args}]});
            assert!(!covers(&changed, &wanted), "{changed}");
        }
        assert!(!covers(&json!({}), &wanted));
    }

    #[test]
    fn a_changed_a_missing_and_a_left_over_field_count() {
        let wanted = json!({"spec": {"a": 1}});
        let owned = managed(json!({"f:spec": {"f:a": {}}}));
        let owned_more = managed(json!({"f:spec": {"f:a": {}, "f:prefix": {}}}));

        assert!(!is_as_wanted(
            &json!({"spec": {"a": 2}}),
            &wanted,
            Some(&owned)
        ));
        assert!(!is_as_wanted(&json!({"spec": {}}), &wanted, Some(&owned)));
        let live = json!({"spec": {"a": 1, "prefix": "old"}});
        assert!(!is_as_wanted(&live, &wanted, Some(&owned_more)));
        assert!(
            !is_as_wanted(&json!({"spec": {"a": 1}}), &wanted, None),
            "never applied by us"
        );
    }
}
