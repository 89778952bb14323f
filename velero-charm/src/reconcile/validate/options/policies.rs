//! Policies of volumes, by Velero's own rules: each fault with its path.
//!
//! Velero reads them when its server starts and before each Backup, and refuses all of them for one fault. It does so
//! for what is written down here (`internal/resourcepolicies` of Velero 1.18.3), but for what it lets pass and nobody
//! can mean: a type of volumes that it does not know, which no volume has, and a field or list with nothing in it,
//! which would make a condition hold for every volume.

use serde_json::{Map, Value};

use super::Fault;
use crate::cluster::quantity::Quantity;

/// What a value may be.
enum Shape {
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    List(&'static Self),
    /// Any fields of this shape.
    Each(&'static Self),
    Object(&'static [Field]),
    /// A least and a greatest quantity, of which one may be left out.
    Range,
    Anything,
    /// What counts in the policies of single Backups alone.
    OfOneBackup,
}

struct Field {
    name: &'static str,
    shape: Shape,
    needed: Needed,
}

enum Needed {
    Always,
    Never,
    /// Where this other field is.
    With(&'static str),
}

const fn needed(name: &'static str, shape: Shape) -> Field {
    let needed = Needed::Always;
    Field {
        name,
        shape,
        needed,
    }
}

const fn optional(name: &'static str, shape: Shape) -> Field {
    let needed = Needed::Never;
    Field {
        name,
        shape,
        needed,
    }
}

const POLICIES: Shape = Shape::Object(&[
    needed("version", Shape::Word(&["v1"])),
    needed("volumePolicies", Shape::List(&POLICY)),
    optional("includeExcludePolicy", Shape::OfOneBackup),
    optional("clusterScopedFilterPolicy", Shape::OfOneBackup),
    optional("namespacedFilterPolicies", Shape::OfOneBackup),
]);

const POLICY: Shape =
    Shape::Object(&[optional("conditions", CONDITIONS), needed("action", ACTION)]);

const ACTION: Shape = Shape::Object(&[
    needed(
        "type",
        Shape::Word(&["skip", FS_BACKUP, "snapshot", "custom"]),
    ),
    optional("parameters", Shape::Each(&Shape::Anything)),
]);

const CONDITIONS: Shape = Shape::Object(&[
    optional("capacity", Shape::Range),
    optional("storageClass", TEXTS),
    optional(
        "nfs",
        Shape::Object(&[
            optional("server", Shape::Text),
            optional("path", Shape::Text),
        ]),
    ),
    optional(
        "csi",
        Shape::Object(&[
            Field {
                name: "driver",
                shape: Shape::Text,
                needed: Needed::With("volumeAttributes"),
            },
            optional("volumeAttributes", Shape::Each(&Shape::Text)),
        ]),
    ),
    optional("volumeTypes", Shape::List(&Shape::Word(VOLUME_TYPES))),
    optional("pvcLabels", Shape::Each(&Shape::Text)),
    optional("pvcPhase", TEXTS),
    optional("pvcVolumeMode", Shape::Text),
    optional("pvcAccessModes", TEXTS),
]);

const TEXTS: Shape = Shape::List(&Shape::Text);

const FS_BACKUP: &str = "fs-backup";

const VOLUME_TYPES: &[&str] = &[
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "glusterfs",
    "hostPath",
    "iscsi",
    "local",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "projected",
    "quobyte",
    "rbd",
    "scaleIO",
    "secret",
    "storageOS",
    "vsphereVolume",
];

/// The policies, or everything that is wrong with them.
pub(super) fn read(text: &str) -> Result<Value, Vec<Fault>> {
    let policies: Value = serde_saphyr::from_str(text).map_err(|error| {
        let error = error.to_string();
        let reason = error.lines().next().unwrap_or_default();
        vec![Fault::new(format!("is no YAML: {reason}"), "correct it")]
    })?;
    match POLICIES.faults(&policies, "") {
        none if none.is_empty() => Ok(policies),
        faults => Err(faults),
    }
}

/// A policy has the files of volumes copied.
pub(super) fn copy_files(policies: &Map<String, Value>) -> bool {
    let all = policies.get("volumePolicies").and_then(Value::as_array);
    let mut all = all.into_iter().flatten();
    all.any(|policy| policy["action"]["type"] == FS_BACKUP)
}

impl Shape {
    /// What is wrong with what is at this path.
    fn faults(&self, value: &Value, path: &str) -> Vec<Fault> {
        let wrong = |remedy: String| vec![Fault::new(format!("has {value} there"), remedy)];
        match (self, value) {
            (Self::Anything, _) => Vec::new(),
            (Self::OfOneBackup, _) => vec![Fault::new(
                "has what counts in the policies of single Backups alone",
                format!("take out `{path}`"),
            )],
            (Self::Text, Value::String(text)) if !text.is_empty() => Vec::new(),
            (Self::Text, _) => wrong(format!("set `{path}` to a text, in quotes")),
            (Self::Word(words), value) if words.iter().any(|word| value == word) => Vec::new(),
            (Self::Word(words), _) => wrong(format!("set `{path}` to {}", any_of(words))),
            (Self::List(shape), Value::Array(items)) if !items.is_empty() => {
                let items = items.iter().enumerate();
                items
                    .flat_map(|(index, item)| shape.faults(item, &format!("{path}[{index}]")))
                    .collect()
            }
            (Self::List(_), _) => wrong(format!("set `{path}` to a list")),
            (Self::Each(shape), Value::Object(fields)) => fields
                .iter()
                .flat_map(|(name, value)| shape.faults(value, &below(path, name)))
                .collect(),
            (Self::Object(known), Value::Object(fields)) => {
                let strange = fields.keys().filter(|name| !is_known(known, name));
                let strange = strange.map(|name| {
                    let path = below(path, name);
                    let remedy = format!("take out `{path}`");
                    Fault::new("has a field there that Velero does not know", remedy)
                });
                let known = known.iter().flat_map(|field| field.faults(fields, path));
                strange.chain(known).collect()
            }
            (Self::Each(_) | Self::Object(_), _) if path.is_empty() => {
                vec![Fault::new(
                    "has no fields",
                    "set `version` and `volumePolicies` in it",
                )]
            }
            (Self::Each(_) | Self::Object(_), _) => wrong(format!("give `{path}` fields")),
            (Self::Range, value) => match value.as_str().and_then(range) {
                Some((least, most)) if most == Quantity::ZERO || least <= most => Vec::new(),
                _ => wrong(format!(
                    "set `{path}` to a least and a greatest quantity such as `\"10Gi,1Ti\"`"
                )),
            },
        }
    }
}

impl Field {
    fn faults(&self, fields: &Map<String, Value>, path: &str) -> Vec<Fault> {
        let Self {
            name,
            shape,
            needed,
        } = self;
        let is_needed = match needed {
            Needed::Always => true,
            Needed::Never => false,
            Needed::With(other) => fields.contains_key(*other),
        };
        match fields.get(*name) {
            Some(value) => shape.faults(value, &below(path, name)),
            None if is_needed => vec![Fault::new(
                "lacks it",
                format!("set `{}`", below(path, name)),
            )],
            None => Vec::new(),
        }
    }
}

fn is_known(fields: &[Field], name: &str) -> bool {
    fields.iter().any(|field| field.name == name)
}

fn below(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

fn any_of(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

/// What is left out is zero, which stands for no bound.
fn range(text: &str) -> Option<(Quantity, Quantity)> {
    let (least, most) = text.split_once(',')?;
    let quantity = |text: &str| match text.trim() {
        "" => Some(Quantity::ZERO),
        text => Quantity::parse(text),
    };
    Some((quantity(least)?, quantity(most)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let faults = read(text).err().unwrap_or_default();
        let faults = faults.into_iter();
        faults
            .map(|fault| format!("{}: {}", fault.remedy, fault.reason))
            .collect()
    }

    fn copied(text: &str) -> bool {
        copy_files(read(text).unwrap().as_object().unwrap())
    }

    /// A policy of these conditions.
    fn with(conditions: &str) -> String {
        format!(
            "version: v1\nvolumePolicies: [{{conditions: {{{conditions}}}, action: {{type: skip}}}}]"
        )
    }

    #[test]
    fn policies_of_every_kind_are_read() {
        let text = "
version: v1
volumePolicies:
- conditions:
    capacity: 10Gi,100Gi
    storageClass: [fast, slow]
    csi: {driver: disk.example.com, volumeAttributes: {tier: a}}
    volumeTypes: [csi, local]
    pvcLabels: {app: shop}
    pvcPhase: [Bound]
    pvcVolumeMode: Filesystem
    pvcAccessModes: [ReadWriteOnce]
  action: {type: snapshot}
- conditions: {nfs: {server: 10.0.0.1, path: /exports}}
  action: {type: custom, parameters: {fast: true}}
- conditions: {}
  action:
    type: fs-backup
";
        assert_eq!(faults(text), [""; 0]);
        assert!(copied(text));
        for bounds in ["\"10Gi,\"", "\",1Ti\"", "\",\"", "\" 1Gi , 1Gi \""] {
            let text = with(&format!("capacity: {bounds}"));
            assert_eq!(faults(&text), [""; 0], "{bounds}");
            assert!(!copied(&text));
        }
    }

    #[test]
    fn faults_are_named_by_their_paths_all_at_once() {
        let text = "
version: v2
volumePolicys: []
includeExcludePolicy: {}
volumePolicies:
- action: {type: backup}
  conditions:
    capacity: 10Gi
    storageClass: fast
    csi: {volumeAttributes: {tier: 1}}
- conditions: {volumeTypes: [csi, disk], nfs:}
";
        let found = faults(text);
        let paths: Vec<_> = found
            .iter()
            .map(|fault| fault.split('`').nth(1).unwrap())
            .collect();
        let wanted = [
            "volumePolicys",
            "version",
            "volumePolicies[0].conditions.capacity",
            "volumePolicies[0].conditions.storageClass",
            "volumePolicies[0].conditions.csi.driver",
            "volumePolicies[0].conditions.csi.volumeAttributes.tier",
            "volumePolicies[0].action.type",
            "volumePolicies[1].conditions.nfs",
            "volumePolicies[1].conditions.volumeTypes[1]",
            "volumePolicies[1].action",
            "includeExcludePolicy",
        ];
        assert_eq!(paths, wanted, "{found:#?}");
    }

    #[test]
    fn text_that_is_no_policies_is_refused() {
        for (text, reason) in [
            ("a: [", "is no YAML"),
            ("version: v1\nversion: v1", "is no YAML"),
            ("skip", "has no fields"),
            ("version: v1\nvolumePolicies: []", "has [] there"),
            (&with("capacity: \"2Gi,1Gi\""), "has \"2Gi,1Gi\" there"),
            (&with("capacity: \"a,1Gi\""), "has \"a,1Gi\" there"),
            (&with("pvcAccessModes: [1]"), "has 1 there"),
        ] {
            let found = faults(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].contains(reason), "{text}: {found:?}");
        }
    }
}
