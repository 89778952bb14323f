//! What Juju does to the objects that a charm makes through the Kubernetes API.
//!
//! Invariant: an object that an application's ServiceAccount creates or updates carries Juju's labels in
//! the very answer to that request, unless it carries the label that opts out; and what carries them
//! goes with the application, after its last `remove`.
//!
//! Juju puts the labels on by a mutating webhook. Here a mutating admission *policy* does, which the API
//! server evaluates itself: in the same place of the same request, with the same selectors, so a charm
//! sees the same answers and field owners. It needs no server of ours with a certificate that the API
//! server must reach, and it cannot be late, as labels that the emulator patched on afterwards would
//! be. Like Juju's, it knows a model's applications by the UIDs of their service accounts, which are its
//! parameters, it is not asked again when others have changed an object, and its failure is ignored.
//!
//! The sweep takes what is labelled in every namespace. Jobs, claims and webhook configurations stay.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

use super::model::Model;

/// Objects with it are not labelled. One that was labelled before it had this is swept all the same.
pub const OPT_OUT: &str = "model.juju.is/disable-webhook";
/// The application whose ServiceAccount made an object.
pub const CREATED_BY: &str = "app.juju.is/created-by";

/// Group and plurals of what Juju labels: these kinds of Kubernetes, and of other kinds their definitions
/// alone. Webhook configurations are on its list too, but no webhook is called for them.
const LABELLED: [(&str, &[&str]); 5] = [
    (
        "",
        &[
            "configmaps",
            "pods",
            "secrets",
            "serviceaccounts",
            "services",
        ],
    ),
    ("apps", &["daemonsets", "deployments", "statefulsets"]),
    ("networking.k8s.io", &["ingresses"]),
    (
        "rbac.authorization.k8s.io",
        &[
            "clusterrolebindings",
            "clusterroles",
            "rolebindings",
            "roles",
        ],
    ),
    ("apiextensions.k8s.io", &["customresourcedefinitions"]),
];

/// Group, kind and plural of what Juju sweeps; definitions first, with all objects of theirs.
const SWEPT: [(&str, &str, &str); 13] = [
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "customresourcedefinitions",
    ),
    ("apps", "Deployment", "deployments"),
    ("apps", "DaemonSet", "daemonsets"),
    ("apps", "StatefulSet", "statefulsets"),
    ("", "Service", "services"),
    ("", "Secret", "secrets"),
    ("", "ConfigMap", "configmaps"),
    ("networking.k8s.io", "Ingress", "ingresses"),
    ("", "ServiceAccount", "serviceaccounts"),
    ("rbac.authorization.k8s.io", "Role", "roles"),
    ("rbac.authorization.k8s.io", "RoleBinding", "rolebindings"),
    ("rbac.authorization.k8s.io", "ClusterRole", "clusterroles"),
    (
        "rbac.authorization.k8s.io",
        "ClusterRoleBinding",
        "clusterrolebindings",
    ),
];

/// What every object of a model carries.
pub(crate) fn of_model(model: &Model) -> Value {
    json!({
        "app.kubernetes.io/managed-by": "juju",
        "model.juju.is/name": model.name,
        "model.juju.is/id": model.uuid,
    })
}

/// Kind and name of the policy of the model of this name, and of what puts it in force.
pub(crate) fn policy_names(model: &str) -> [(ApiResource, String); 2] {
    let name = format!("juju-model-admission-{model}");
    [
        ("MutatingAdmissionPolicy", "mutatingadmissionpolicies"),
        (
            "MutatingAdmissionPolicyBinding",
            "mutatingadmissionpolicybindings",
        ),
    ]
    .map(|(kind, plural_name)| {
        let version = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1beta1", kind);
        let kind = plural(&ApiResource::from_gvk(&version), plural_name);
        (kind, name.clone())
    })
}

/// The policy of a model, and what puts it in force.
pub(crate) fn policy(model: &Model) -> [(ApiResource, String, Value); 2] {
    let [(policy, name), (binding, _)] = policy_names(&model.name);
    let spec = json!({
        "failurePolicy": "Ignore",
        "reinvocationPolicy": "Never",
        "paramKind": {"apiVersion": "v1", "kind": "ServiceAccount"},
        "matchConstraints": {
            "matchPolicy": "Equivalent",
            "namespaceSelector": {"matchLabels": {"model.juju.is/name": model.name}},
            "objectSelector": {"matchExpressions": [{"key": OPT_OUT, "operator": "DoesNotExist"}]},
            "resourceRules": LABELLED.map(|(group, resources)| json!({
                "apiGroups": [group],
                "apiVersions": ["*"],
                "operations": ["CREATE", "UPDATE"],
                "resources": resources,
                "scope": "*",
            })),
        },
        "matchConditions": [{
            "name": "made-by-the-application",
            "expression": "request.userInfo.uid == params.metadata.uid",
        }],
        "mutations": [{
            "patchType": "JSONPatch",
            "jsonPatch": {"expression": expression(model)},
        }],
    });
    let body = |kind: &ApiResource, spec: Value| {
        json!({
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {"name": name, "labels": of_model(model)},
            "spec": spec,
        })
    };
    let bound = json!({
        "policyName": name,
        "paramRef": {
            "namespace": model.name,
            "parameterNotFoundAction": "Allow",
            "selector": {"matchLabels": of_model(model)},
        },
    });
    let (spec, bound) = (body(&policy, spec), body(&binding, bound));
    [(policy, name.clone(), spec), (binding, name, bound)]
}

fn plural(kind: &ApiResource, plural: &str) -> ApiResource {
    ApiResource {
        plural: plural.to_owned(),
        ..kind.clone()
    }
}

/// The labels as a JSON patch in CEL; one that holds the value already is written again, to no effect.
fn expression(model: &Model) -> String {
    let texts = [
        ("app.kubernetes.io/managed-by", "'juju'".to_owned()),
        ("model.juju.is/name", format!("'{}'", model.name)),
        ("model.juju.is/id", format!("'{}'", model.uuid)),
        (CREATED_BY, "params.metadata.name".to_owned()),
    ];
    let one = |(key, value): &(&str, String)| {
        format!(
            "JSONPatch{{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('{key}'), \
             value: {value}}}"
        )
    };
    let all: Vec<_> = texts.iter().map(one).collect();
    format!(
        "(has(object.metadata.labels) ? [] : \
         [JSONPatch{{op: 'add', path: '/metadata/labels', value: {{}}}}]) + [{}]",
        all.join(", ")
    )
}

/// Deletes what carries the labels of an application.
pub(crate) async fn sweep(client: &Client, model: &Model, app: &str) -> Result<()> {
    let selector = format!("{CREATED_BY}={app},model.juju.is/id={}", model.uuid);
    let params = ListParams::default().labels(&selector);
    for (group, kind, plural_name) in SWEPT {
        let version = GroupVersionKind::gvk(group, "v1", kind);
        let resource = plural(&ApiResource::from_gvk(&version), plural_name);
        let all: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        for object in all.list(&params).await.context(kind)?.items {
            if kind == "CustomResourceDefinition" {
                sweep_objects_of(client, &object).await?;
            }
            delete(client, &resource, &object).await?;
        }
    }
    Ok(())
}

/// Deletes every object of a definition, in whatever namespace.
async fn sweep_objects_of(client: &Client, definition: &DynamicObject) -> Result<()> {
    let text = |path: &str| {
        let found = definition.data.pointer(path).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    let version = text("/spec/versions/0/name");
    let gvk = GroupVersionKind::gvk(&text("/spec/group"), &version, &text("/spec/names/kind"));
    let resource = plural(&ApiResource::from_gvk(&gvk), &text("/spec/names/plural"));
    let all: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let found = match all.list(&ListParams::default()).await {
        // Not served any more.
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
        found => found?.items,
    };
    for object in found {
        delete(client, &resource, &object).await?;
    }
    Ok(())
}

/// Deletes one of these, unless it is gone already.
async fn delete(client: &Client, resource: &ApiResource, object: &DynamicObject) -> Result<()> {
    let api: Api<DynamicObject> = match &object.metadata.namespace {
        Some(space) => Api::namespaced_with(client.clone(), space, resource),
        None => Api::all_with(client.clone(), resource),
    };
    let name = object.name_any();
    match api.delete(&name, &DeleteParams::background()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other
            .map(drop)
            .with_context(|| format!("{} {name}", resource.kind)),
    }
}

/// Whether the API server labels what this application would make now, asked without making it.
pub(crate) async fn in_force(
    client: &Client,
    model: &Model,
    app: &str,
    account: &str,
) -> Result<bool> {
    let space = &model.name;
    let path = format!("/api/v1/namespaces/{space}/configmaps?dryRun=All");
    let body = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "juju-is-it-labelled"},
    });
    let request = http::Request::post(path)
        .header("Content-Type", "application/json")
        .header(
            "Impersonate-User",
            format!("system:serviceaccount:{space}:{app}"),
        )
        .header("Impersonate-Uid", account)
        .body(serde_json::to_vec(&body)?)?;
    let made: ConfigMap = client.request(request).await?;
    let labels = made.metadata.labels.unwrap_or_default();
    Ok(labels.get(CREATED_BY).is_some_and(|name| name == app))
}
