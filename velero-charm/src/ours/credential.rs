//! The one Kubernetes Secret that holds the store's credential, and what it was made from.
//!
//! **Invariant:** immutable, and of a new name for each new content, so that pointing the location at
//! it makes Velero judge again at once. The name tells nothing about the content.
//!
//! In addition to the file that the location names it keeps what was read of the relations' Juju secrets, so that a
//! hook need not ask for them. Where that content cannot be used, a Secret without a file keeps it. Where,
//! when and by whom it was read stands in an annotation, which an immutable Secret can change; of several
//! Secrets only the newest has one, and what the others hold is believed no more.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, Hasher as _, RandomState},
};

use jiff::Timestamp;
use k8s_openapi::{
    ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry,
};
use kube::{
    ResourceExt as _,
    api::{ListParams, ObjectMeta},
};
use provider_api::{
    Registry,
    secrecy::{ExposeSecret as _, SecretString},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::debug;

use super::Owner;
use crate::{
    cluster::{Cluster, ClusterError, owned},
    juju::{Secrets, secret::Content},
};

/// The key in the Secret that the location names.
pub(crate) const KEY: &str = "cloud";
/// The key with what was read.
const READ: &str = "read";
/// The annotation that tells of it.
pub(super) const NOTES: &str = "velero-operator/read";
/// As many are held at once while they are read.
const AT_ONCE: u32 = 10;
/// What is no larger is kept, no matter who has made it: it may be what the store repeats.
const SMALL: usize = 64 * 1024;
const ROLE: (&str, &str) = ("velero-operator/role", "storage-credential");

/// What was read of the secrets of relations, by the relation's id.
pub(crate) type Readings = BTreeMap<String, Reading>;

/// What was read of a relation's secret.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) note: Note,
    pub(crate) content: Content,
}

/// Where something was read, by whom and when.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Note {
    pub(crate) address: String,
    pub(crate) unit: String,
    pub(crate) at: Timestamp,
}

/// A name for a Secret with new content.
pub(crate) fn fresh_name(owner: &Owner) -> String {
    let random = RandomState::new().build_hasher().finish();
    format!("{}-storage-{:08x}", owner.application, random >> 32)
}

/// The Secret to apply.
pub(crate) fn secret(
    name: &str,
    namespace: &str,
    owner: &Owner,
    file: Option<&SecretString>,
    readings: &Readings,
) -> Secret {
    let mut labels = owner.labels();
    labels.extend([role()]);
    Secret {
        metadata: ObjectMeta {
            name: Some(name.into()),
            namespace: Some(namespace.into()),
            labels: Some(labels),
            annotations: notes(readings).map(|text| BTreeMap::from([(NOTES.into(), text)])),
            ..ObjectMeta::default()
        },
        data: Some(data(file, readings)),
        immutable: Some(true),
        type_: Some("Opaque".into()),
        ..Secret::default()
    }
}

/// The same Secret with other notes, to apply.
pub(crate) fn noted(secret: &Secret, owner: &Owner, readings: &Readings) -> Secret {
    let mut labels = owner.labels();
    labels.extend([role()]);
    // Empty and not absent: an apply leaves what somebody else has written.
    let text = notes(readings).unwrap_or_default();
    Secret {
        metadata: ObjectMeta {
            name: secret.metadata.name.clone(),
            namespace: secret.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: Some(BTreeMap::from([(NOTES.into(), text)])),
            ..ObjectMeta::default()
        },
        data: secret.data.clone(),
        immutable: secret.immutable,
        type_: secret.type_.clone(),
        ..Secret::default()
    }
}

/// The label that tells this Secret from others of ours.
pub(crate) fn role() -> (String, String) {
    (ROLE.0.into(), ROLE.1.into())
}

/// Selects the Secrets of this kind that are ours.
fn selector(owner: &Owner) -> String {
    let (label, value) = ROLE;
    format!("{},{label}={value}", owner.selector())
}

/// The application's Secrets of this kind. Somebody else's under our labels can be many and large, so they come a
/// few at a time, and of what we cannot have made nothing is kept but the name.
pub(crate) async fn read(cluster: &Cluster, owner: &Owner) -> Result<Vec<Secret>, ClusterError> {
    let select = ListParams::default()
        .labels(&selector(owner))
        .limit(AT_ONCE);
    let api = cluster.api::<Secret>();
    cluster
        .sift(&api, select, |secret| Some(reduced(secret)))
        .await
}

fn reduced(mut secret: Secret) -> Secret {
    let values = secret.data.iter().flat_map(BTreeMap::values);
    let size: usize = values.map(|value| value.0.len()).sum();
    if size > SMALL && !is_as_made(&secret) {
        secret.data = None;
        secret.annotations_mut().clear();
    }
    secret
}

/// From now on nothing that a Secret holds is told: each of its values, each that was read, and what providers know
/// to be secret inside of these, whatever became of the relation that they came by.
pub(crate) fn learn_contents(secret: &Secret, registry: &Registry, secrets: &Secrets) {
    for (key, value) in secret.data.iter().flatten() {
        let text = String::from_utf8_lossy(&value.0).into_owned().into();
        if key == KEY {
            learn_file(&text, registry, secrets);
        } else {
            learn(&text, registry, secrets);
        }
    }
    for (_, value) in kept(secret).unwrap_or_default().into_values().flatten() {
        learn(&value.into(), registry, secrets);
    }
}

/// The same of a secret that was sent.
pub(crate) fn learn(text: &SecretString, registry: &Registry, secrets: &Secrets) {
    secrets.learn(text);
    for inside in registry.secrets_inside(text) {
        secrets.learn(&inside);
    }
}

/// The same of a credential file, which also names places, and those are what messages are about. One that no
/// provider knows is secret line by line.
pub(crate) fn learn_file(file: &SecretString, registry: &Registry, secrets: &Secrets) {
    let inside = registry.secrets_inside(file);
    if inside.is_empty() {
        return secrets.learn(file);
    }
    secrets.learn_whole(file);
    for secret in &inside {
        secrets.learn(secret);
    }
}

/// The Secret is as we made it, with this file or none, what was read, and nothing else.
pub(crate) fn holds(secret: &Secret, file: Option<&SecretString>, readings: &Readings) -> bool {
    is_as_made(secret) && secret.data.as_ref() == Some(&data(file, readings))
}

/// The Secret is as we made it, and what was read is in it.
pub(crate) fn keeps(secret: &Secret, readings: &Readings) -> bool {
    let kept = secret.data.as_ref().and_then(|data| data.get(READ));
    is_as_made(secret) && kept == data(None, readings).get(READ)
}

/// The Secret has no file, so no location can name it.
pub(crate) fn is_without_file(secret: &Secret) -> bool {
    let data = secret.data.as_ref();
    is_as_made(secret) && data.is_some_and(|data| !data.contains_key(KEY))
}

/// The Secret has notes of its own.
pub(crate) fn has_notes(secret: &Secret) -> bool {
    annotation(secret).is_some()
}

/// The Secret's notes are these.
pub(crate) fn has_notes_of(secret: &Secret, readings: &Readings) -> bool {
    annotation(secret) == notes(readings).as_deref()
}

/// What was read earlier, if there is exactly one Secret that tells of it, and that is as we made it.
pub(crate) fn readings(secrets: &[Secret]) -> Readings {
    let mut noted = secrets.iter().filter(|secret| has_notes(secret));
    match (noted.next(), noted.next()) {
        (Some(only), None) if is_as_made(only) => read_back(only).unwrap_or_default(),
        _ => Readings::new(),
    }
}

fn read_back(secret: &Secret) -> Option<Readings> {
    let mut notes: BTreeMap<String, Note> = serde_json::from_str(annotation(secret)?)
        .inspect_err(|error| not_understood(secret, error))
        .ok()?;
    let readings = kept(secret)?.into_iter().filter_map(|(relation, content)| {
        let note = notes.remove(&relation)?;
        let content = content.into_iter();
        let content = content
            .map(|(field, value)| (field, value.into()))
            .collect();
        Some((relation, Reading { note, content }))
    });
    Some(readings.collect())
}

/// What was read, field by field, for each relation.
fn kept(secret: &Secret) -> Option<BTreeMap<String, BTreeMap<String, String>>> {
    serde_json::from_slice(&secret.data.as_ref()?.get(READ)?.0)
        .inspect_err(|error| not_understood(secret, error))
        .ok()
}

/// Where, but not what: it may be a secret.
fn not_understood(secret: &Secret, error: &serde_json::Error) {
    let (name, line, column) = (secret.name_any(), error.line(), error.column());
    debug!("What Secret `{name}` keeps is not understood (line {line}, column {column}).");
}

fn annotation(secret: &Secret) -> Option<&str> {
    let text = secret.annotations().get(NOTES)?;
    Some(text.as_str()).filter(|text| !text.is_empty())
}

fn notes(readings: &Readings) -> Option<String> {
    let notes = readings
        .iter()
        .map(|(relation, reading)| (relation, json!(reading.note)));
    (!readings.is_empty()).then(|| json!(notes.collect::<BTreeMap<_, _>>()).to_string())
}

fn data(file: Option<&SecretString>, readings: &Readings) -> BTreeMap<String, ByteString> {
    let mut data = BTreeMap::new();
    let mut put = |key: &str, text: &str| {
        data.insert(key.to_owned(), ByteString(text.as_bytes().to_vec()));
    };
    if let Some(file) = file {
        put(KEY, file.expose_secret());
    }
    if !readings.is_empty() {
        let open = |content: &Content| -> Value {
            let fields = content.iter();
            let open = fields.map(|(field, value)| (field.clone(), json!(value.expose_secret())));
            Value::Object(open.collect())
        };
        let all = readings.iter();
        let read = all.map(|(relation, reading)| (relation.clone(), open(&reading.content)));
        put(READ, &Value::Object(read.collect()).to_string());
    }
    data
}

/// We made it, nobody has changed it, and nobody can but by making it again.
fn is_as_made(secret: &Secret) -> bool {
    let managers = secret.metadata.managed_fields.as_ref();
    let ours = owned::our_entry(managers);
    let has_data = |entry: &ManagedFieldsEntry| {
        let fields = entry.fields_v1.as_ref();
        fields.is_some_and(|fields| fields.0.get("f:data").is_some())
    };
    let mut others = managers
        .into_iter()
        .flatten()
        .filter(|entry| Some(*entry) != ours);
    secret.immutable == Some(true) && ours.is_some_and(has_data) && !others.any(has_data)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::FieldsV1;

    use provider_api::{Answer, Descriptor, Inputs, Problems, StorageProvider};
    use provider_testkit::TAPE;

    use super::*;

    /// Its integrator sends a card, and its file is that card.
    #[derive(Debug)]
    struct Cards;

    impl StorageProvider for Cards {
        fn descriptor(&self) -> &'static Descriptor {
            const { &TAPE }
        }

        fn resolve(&self, _: &Inputs) -> Result<Answer, Problems> {
            Ok(Answer::Waiting("a card".into()))
        }

        fn secrets_inside(&self, text: &SecretString) -> Vec<SecretString> {
            let card: Value = serde_json::from_str(text.expose_secret()).unwrap_or_default();
            let parts = ["id", "key"].map(|part| card[part].as_str().map(SecretString::from));
            parts.into_iter().flatten().collect()
        }
    }

    /// What is left of a text once a Secret is known.
    fn told(secret: &Secret, text: &str) -> String {
        let (known, registry) = (Secrets::default(), Registry::new(vec![&Cards]).unwrap());
        learn_contents(secret, &registry, &known);
        known.presentable(text)
    }

    #[test]
    fn parts_of_a_live_document_are_masked() {
        let key =
            "-----BEGIN KEY-----\nVGhlIGZpcnN0IGxpbmU=\nVGhlIHNlY29uZCBsaW5l\n-----END KEY-----\n";
        let card = json!({"id": "0123456789abcdef", "key": key, "mail": "me@example.com"});
        let card = card.to_string();
        let refused = secret("x", "n", &owner(), None, &reading(&card));
        let used = secret("x", "n", &owner(), Some(&card.into()), &Readings::new());
        for secret in [refused, used] {
            let text = "`VGhlIHNlY29uZCBsaW5l` of 0123456789abcdef for me@example.com";
            assert_eq!(told(&secret, text), "`***` of *** for me@example.com");
        }
    }

    #[test]
    fn file_that_no_provider_knows_is_masked_by_line() {
        let file = "[default]\nname=a-key-4711\n";
        let secret = secret("x", "n", &owner(), Some(&file.into()), &Readings::new());
        assert_eq!(told(&secret, "name=a-key-4711"), "***");
    }

    fn owner() -> Owner {
        Owner {
            application: "velero".into(),
            model_uuid: "m".into(),
        }
    }

    fn reading(key: &str) -> Readings {
        let note = Note {
            address: "secret:x".into(),
            unit: "velero/0".into(),
            at: "2026-01-01T00:00:00Z".parse().unwrap(),
        };
        let content = BTreeMap::from([("key".to_owned(), key.into())]);
        BTreeMap::from([("tape:1".to_owned(), Reading { note, content })])
    }

    fn entry(manager: &str, operation: &str, fields: Value) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            manager: Some(manager.into()),
            operation: Some(operation.into()),
            fields_v1: Some(FieldsV1(fields)),
            ..ManagedFieldsEntry::default()
        }
    }

    fn live(file: Option<&str>, readings: &Readings) -> Secret {
        let file = file.map(SecretString::from);
        let mut secret = secret("s", "ns", &owner(), file.as_ref(), readings);
        secret.metadata.managed_fields = Some(vec![entry(
            "velero-operator",
            "Apply",
            json!({"f:data": {}}),
        )]);
        secret
    }

    fn key(readings: &Readings) -> Option<&str> {
        let reading = readings.get("tape:1")?;
        Some(reading.content.get("key")?.expose_secret())
    }

    #[test]
    fn reading_is_read_back() {
        let kept = readings(&[live(Some("file"), &reading("one"))]);

        assert_eq!(key(&kept), Some("one"));
        assert_eq!(kept["tape:1"].note, reading("one")["tape:1"].note);
        assert!(!format!("{kept:?}").contains("one"));
    }

    #[test]
    fn a_secret_that_is_not_as_it_was_made_is_not_believed() {
        let spoil: [fn(&mut Secret); 5] = [
            |secret| secret.immutable = None,
            |secret| secret.metadata.managed_fields = None,
            |secret| {
                let theirs = entry("kubectl", "Update", json!({"f:data": {}}));
                secret
                    .metadata
                    .managed_fields
                    .as_mut()
                    .unwrap()
                    .push(theirs);
            },
            |secret| {
                let text = r#"{"tape:1": "yesterday"}"#.to_owned();
                secret.annotations_mut().insert(NOTES.into(), text);
            },
            |secret| {
                let read = ByteString(b"{".to_vec());
                secret.data.as_mut().unwrap().insert(READ.into(), read);
            },
        ];
        for spoil in spoil {
            let mut secret = live(Some("file"), &reading("one"));
            spoil(&mut secret);
            assert_eq!(key(&readings(&[secret])), None);
        }
        let mut touched = live(Some("file"), &reading("one"));
        let label = entry("kubectl", "Update", json!({"f:metadata": {}}));
        touched
            .metadata
            .managed_fields
            .as_mut()
            .unwrap()
            .push(label);
        assert_eq!(key(&readings(&[touched])), Some("one"));
    }

    #[test]
    fn large_secret_that_is_not_ours_is_reduced() {
        let file = "x".repeat(SMALL + 1);
        let ours = live(Some(&file), &reading("one"));
        assert_eq!(reduced(ours.clone()), ours);

        let theirs = Secret {
            immutable: None,
            ..ours
        };
        let left = reduced(theirs);
        assert!(left.data.is_none() && !has_notes(&left) && owner().owns(&left));

        let mut edited = live(Some("file"), &reading("one"));
        edited.immutable = None;
        assert_eq!(reduced(edited.clone()), edited);
    }

    #[test]
    fn secret_with_notes_is_the_one_believed() {
        let (old, new) = (
            live(Some("old"), &reading("old")),
            live(None, &reading("new")),
        );
        let both = [old.clone(), new.clone()];
        assert_eq!(key(&readings(&both)), None, "which one is the newest?");

        let superseded = noted(&old, &owner(), &Readings::new());
        assert!(!has_notes(&superseded) && has_notes(&new));
        assert_eq!(key(&readings(&[superseded, new])), Some("new"));
    }
}
