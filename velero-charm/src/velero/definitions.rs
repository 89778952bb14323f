//! Velero's `CustomResourceDefinition` objects: which of two is the newer.
//!
//! **Invariant:** the one that has fields which the other lacks is the newer. Nothing in them names their
//! Velero, but they only ever grow. A field that this charm's version drops from a newer one would be lost
//! from every object in the cluster.

use std::collections::BTreeSet;

use kube::{ResourceExt as _, api::DynamicObject};
use semver::Version;
use serde_json::Value;

use super::version;

/// The generator that wrote the schema; its version only goes up.
const GENERATOR: &str = "controller-gen.kubebuilder.io/version";

/// The live definition is of a later Velero than ours.
pub(crate) fn is_newer(live: &DynamicObject, ours: &DynamicObject) -> bool {
    let (there, here) = (fields(live), fields(ours));
    let has_more = there.difference(&here).next().is_some();
    let lacks_some = here.difference(&there).next().is_some();
    match (has_more, lacks_some) {
        (false, _) => false,
        (true, false) => true,
        // Something came and something went.
        (true, true) => generator(live) > generator(ours),
    }
}

/// The path of every field, in every version.
fn fields(definition: &DynamicObject) -> BTreeSet<String> {
    let mut fields = BTreeSet::new();
    let versions = definition.data.pointer("/spec/versions");
    for version in versions.and_then(Value::as_array).into_iter().flatten() {
        let name = version.get("name").and_then(Value::as_str).unwrap_or("");
        if let Some(schema) = version.pointer("/schema/openAPIV3Schema") {
            collect(schema, name, &mut fields);
        }
    }
    fields
}

fn collect(schema: &Value, path: &str, fields: &mut BTreeSet<String>) {
    fields.insert(path.to_owned());
    for (name, below) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        collect(below, &format!("{path}.{name}"), fields);
    }
    for (key, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(below) = schema.get(key).filter(|below| below.is_object()) {
            collect(below, &format!("{path}{mark}"), fields);
        }
    }
}

fn generator(definition: &DynamicObject) -> Option<Version> {
    version::parse(definition.annotations().get(GENERATOR)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn definition(fields: &[&str], generator: &str) -> DynamicObject {
        let properties: serde_json::Map<_, _> = fields
            .iter()
            .map(|field| ((*field).to_owned(), json!({"type": "string"})))
            .collect();
        serde_json::from_value(json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "tapes.velero.io", "annotations": {GENERATOR: generator}},
            "spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {
                "properties": {"spec": {"items": {"properties": properties}}},
            }}}]},
        }))
        .unwrap()
    }

    #[test]
    fn the_one_with_more_fields_is_the_newer() {
        let ours = definition(&["a", "b"], "v0.16.5");

        assert!(is_newer(&definition(&["a", "b", "c"], "v0.16.5"), &ours));
        assert!(!is_newer(&definition(&["a"], "v0.16.5"), &ours));
        assert!(
            !is_newer(&definition(&["a", "b"], "v0.17.0"), &ours),
            "the same"
        );
    }

    #[test]
    fn the_generator_decides_when_fields_came_and_went() {
        let ours = definition(&["a", "b"], "v0.16.5");

        assert!(is_newer(&definition(&["a", "c"], "v0.17.1"), &ours));
        assert!(!is_newer(&definition(&["a", "c"], "v0.9.0"), &ours));
        assert!(!is_newer(&definition(&["a", "c"], "v0.16.5"), &ours));
    }

    #[test]
    fn a_further_version_is_a_further_field() {
        let ours = definition(&["a"], "v0.16.5");
        let mut later = ours.clone();
        let versions = later.data["spec"]["versions"].as_array_mut().unwrap();
        versions.push(json!({"name": "v2", "schema": {"openAPIV3Schema": {}}}));

        assert!(is_newer(&later, &ours));
        assert!(!is_newer(&ours, &later));
    }
}
