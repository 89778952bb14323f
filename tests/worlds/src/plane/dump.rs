//! What there is of a world, as text.
//!
//! Invariant: worlds in which the same was brought about give the same text, whatever their names and
//! however often they were disturbed on the way; and whatever a charm could leave behind is in it. So
//! what only counts or dates events is left out, as are the statuses of what Kubernetes itself runs,
//! the history of rollouts, and Juju's own objects.

use std::collections::BTreeSet;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use juju_emulator::SECRET_CONSUMER;
use kube::api::{DynamicObject, ListParams, PartialObjectMeta};
use kube::core::GroupVersionKind;
use kube::discovery::{ApiResource, Discovery};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

use crate::kinds::{self, VELERO};
use crate::operator::APP;

/// Kinds that tell what happened, not what is.
const HISTORY: [&str; 6] = [
    "ControllerRevision",
    "Endpoints",
    "EndpointSlice",
    "Event",
    "Lease",
    "ReplicaSet",
];

/// What Kubernetes gives each namespace.
const GIVEN: [(&str, &str); 2] = [
    ("ConfigMap", "kube-root-ca.crt"),
    ("ServiceAccount", "default"),
];

/// What Juju gives each application, and makes for each reading of a secret.
const JUJUS: [&str; 3] = ["ServiceAccount", "Role", "RoleBinding"];

/// Fields that differ though nothing else does.
const PASSING: [&str; 15] = [
    "controller-revision-hash",
    "creationTimestamp",
    "deprecated.daemonset.template.generation",
    "deployment.kubernetes.io/revision",
    "generation",
    "lastValidationTime",
    "nodeName",
    "observedGeneration",
    "pod-template-generation",
    "resourceVersion",
    "selfLink",
    "time",
    "uid",
    "velero.io/backup-uid",
    // When, where and by whom a relation's secret was read.
    "velero-operator/read",
];

/// The label of a relation, `endpoint.number`: another number for each one that was ever made.
const RELATION: &str = "velero-operator/relation";

/// Managers that write what others told them to.
const CONTROLLERS: [&str; 2] = ["kube-controller-manager", "kube-scheduler"];

const CREDENTIAL: (&str, &str) = ("velero-operator/role", "storage-credential");

/// Of the kinds of Kubernetes, those that a charm of ours writes, and what comes of them.
const CHARMS: [&str; 7] = [
    "ConfigMap",
    "DaemonSet",
    "Deployment",
    "Pod",
    "Secret",
    "Service",
    "ServiceAccount",
];

/// How much is in a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All that a namespace can have.
    Whole,
    /// What a charm of ours writes.
    Charms,
}

/// The text for a model.
pub(super) async fn dump(
    client: &Client,
    extent: Extent,
    known: &Kinds,
    namespace: &str,
    model: &str,
) -> Result<String> {
    let mut found = of_namespace(client, extent, known, namespace).await?;
    let mine = format!("velero-operator/model={model}");
    found.extend(
        wide(
            client,
            &kind("rbac.authorization.k8s.io", "ClusterRoleBinding"),
            &mine,
        )
        .await?,
    );
    found.extend(definitions(client).await?);
    let mut names = passing_names(&found);
    names.insert((namespace.to_owned(), "NAMESPACE".to_owned()));
    names.insert((model.to_owned(), "MODEL".to_owned()));
    let mut texts = Vec::new();
    for object in found {
        let text = serde_saphyr::to_string(&normal(object)?)?;
        // A name can be a part of another one; the longer of the two begins alike and comes later.
        let renamed = names.iter().rev();
        texts.push(renamed.fold(text, |text, (name, constant)| text.replace(name, constant)));
    }
    texts.sort();
    Ok(texts.join("---\n"))
}

/// The kinds of Kubernetes itself, which do not change.
#[derive(Default)]
pub(super) struct Kinds(OnceCell<Vec<ApiResource>>);

impl Kinds {
    async fn get(&self, client: &Client) -> Result<&[ApiResource]> {
        let discovered = async || -> Result<Vec<ApiResource>> {
            let discovery = Discovery::new(client.clone()).exclude(&[VELERO]);
            let discovery = discovery.run_aggregated().await?;
            let all = discovery.groups().flat_map(kinds::listed);
            Ok(all
                .filter(|one| !HISTORY.contains(&one.kind.as_str()))
                .collect())
        };
        Ok(self.0.get_or_try_init(discovered).await?)
    }
}

async fn of_namespace(
    client: &Client,
    extent: Extent,
    known: &Kinds,
    namespace: &str,
) -> Result<Vec<DynamicObject>> {
    let veleros = kinds::of_velero(client).await?;
    let kubernetes = known.get(client).await?.iter();
    let kubernetes =
        kubernetes.filter(|one| extent == Extent::Whole || CHARMS.contains(&one.kind.as_str()));
    let mut all = Vec::new();
    for resource in kubernetes.chain(&veleros) {
        let found = kinds::objects(client, resource, namespace).await?;
        let kind = resource.kind.as_str();
        all.extend(
            found
                .into_iter()
                .filter(|one| !is_given(kind, &one.name_any()))
                .map(|one| typed(one, &resource.api_version, kind)),
        );
    }
    Ok(all)
}

fn kind(group: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind))
}

async fn wide(client: &Client, resource: &ApiResource, labels: &str) -> Result<Vec<DynamicObject>> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), resource);
    let found = api.list(&ListParams::default().labels(labels)).await?;
    let typed = |one| typed(one, &resource.api_version, &resource.kind);
    Ok(found.items.into_iter().map(typed).collect())
}

/// What is said of Velero's definitions; the whole would be a megabyte.
async fn definitions(client: &Client) -> Result<Vec<DynamicObject>> {
    let resource = kind("apiextensions.k8s.io", "CustomResourceDefinition");
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let labels = ListParams::default().labels("component=velero");
    let found = api.list_metadata(&labels).await?;
    let whole = |one: PartialObjectMeta<DynamicObject>| {
        let object = DynamicObject {
            types: None,
            metadata: one.metadata,
            data: json!({}),
        };
        typed(object, &resource.api_version, &resource.kind)
    };
    Ok(found.items.into_iter().map(whole).collect())
}

/// Items of a list do not say what they are.
fn typed(mut object: DynamicObject, api_version: &str, kind: &str) -> DynamicObject {
    object.types = Some(kube::core::TypeMeta {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
    });
    object
}

fn is_given(kind: &str, name: &str) -> bool {
    let jujus = JUJUS.contains(&kind) && (name == APP || name.starts_with(SECRET_CONSUMER));
    GIVEN.contains(&(kind, name)) || jujus
}

/// Names that were made up at random, and what stands for them.
fn passing_names(found: &[DynamicObject]) -> BTreeSet<(String, String)> {
    let mut names = BTreeSet::new();
    let mut take = |name: String, constant: &str| names.insert((name, constant.to_owned()));
    for object in found {
        let labels = object.labels();
        if labels
            .get(CREDENTIAL.0)
            .is_some_and(|role| role == CREDENTIAL.1)
        {
            take(object.name_any(), "CREDENTIAL");
        }
        if object.metadata.generate_name.is_some() {
            take(object.name_any(), "POD");
        }
        if let Some(hash) = labels.get("pod-template-hash") {
            take(hash.clone(), "HASH");
        }
        let volumes = object
            .data
            .pointer("/spec/volumes")
            .and_then(Value::as_array);
        let volumes = volumes
            .into_iter()
            .flatten()
            .filter_map(|v| v["name"].as_str());
        for token in volumes.filter(|name| name.starts_with("kube-api-access-")) {
            take(token.to_owned(), "TOKEN");
        }
    }
    names
}

fn normal(object: DynamicObject) -> Result<Value> {
    let velero = object
        .types
        .as_ref()
        .is_some_and(|types| types.api_version.starts_with("velero.io"));
    let mut value = serde_json::to_value(object)?;
    if let Some(fields) = value.as_object_mut().filter(|_| !velero) {
        fields.remove("status");
    }
    if let Some(read) = value.pointer_mut("/data/read") {
        *read = without_relations(read);
    }
    Ok(lasting(value))
}

/// What was read of the secrets of relations, without the relations' numbers.
fn without_relations(read: &Value) -> Value {
    let packed = read.as_str().unwrap_or_default();
    let text = STANDARD.decode(packed).unwrap_or_default();
    let read: Map<String, Value> = serde_json::from_slice(&text).unwrap_or_default();
    Value::Array(read.into_values().collect())
}

fn lasting(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(lasting_fields(fields)),
        Value::Array(items) => items.into_iter().map(lasting).collect(),
        // A record in a ConfigMap.
        Value::String(text) if text.starts_with('{') => match serde_json::from_str(&text) {
            Ok(inner) => lasting(inner),
            Err(_) => Value::String(text),
        },
        other => other,
    }
}

fn lasting_fields(fields: Map<String, Value>) -> Map<String, Value> {
    let lasts = |key: &str| !PASSING.contains(&key.trim_start_matches("f:"));
    let kept = fields.into_iter().filter(|(key, _)| lasts(key));
    kept.map(|(key, value)| {
        let value = match value {
            Value::Array(entries) if key == "managedFields" => owners(entries),
            Value::String(relation) if key == RELATION => {
                let endpoint = relation.split('.').next().unwrap_or_default();
                Value::String(endpoint.to_owned())
            }
            other => lasting(other),
        };
        (key, value)
    })
    .collect()
}

/// Who owns what, in an order that does not depend on when it was written.
fn owners(entries: Vec<Value>) -> Value {
    let writes = |entry: &Value| {
        let manager = entry["manager"].as_str().unwrap_or_default();
        entry.get("subresource").is_none() && !CONTROLLERS.contains(&manager)
    };
    let kept = entries.into_iter().filter(|entry| writes(entry));
    let mut kept: Vec<Value> = kept.map(lasting).collect();
    kept.sort_by_cached_key(Value::to_string);
    Value::Array(kept)
}
