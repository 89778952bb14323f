//! What is not ours: Veleros of others, objects under our names, definitions; and what somebody has made of
//! what is ours.

mod definitions;
mod edits;
mod names;
mod servers;

use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::{Api, ResourceExt as _};
use kube_stack::Mark;
use serde_json::{Value, json};
use worlds::kubectl::CRDS_ESTABLISHED;
use worlds::operator::APP;
use worlds::plane::LightWorld;

/// An object's kind and name, and which group the kind is of.
type Id<'a> = (&'a str, &'a str, &'a str);

fn api(world: &LightWorld, (group, kind, _): Id<'_>) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
    if kind == "ClusterRoleBinding" || kind == "CustomResourceDefinition" {
        Api::all_with(world.client(), &resource)
    } else {
        Api::namespaced_with(world.client(), &world.namespace, &resource)
    }
}

async fn find(world: &LightWorld, id: Id<'_>) -> Option<DynamicObject> {
    match api(world, id).get_opt(id.2).await {
        Ok(found) => found,
        // The kind itself is gone.
        Err(kube::Error::Api(status)) if status.code == 404 => None,
        Err(error) => panic!("{error}"),
    }
}

/// What somebody has made of an object, without what the cluster does to it on its own.
async fn made(world: &LightWorld, id: Id<'_>) -> Value {
    let object = find(world, id).await;
    let object = object.unwrap_or_else(|| panic!("{} `{}` is gone", id.1, id.2));
    let mut managers: Vec<_> = object
        .managed_fields()
        .iter()
        .filter(|entry| entry.subresource.is_none())
        .filter_map(|entry| entry.manager.clone())
        .filter(|manager| !["kube-controller-manager", "velero-server"].contains(&manager.as_str()))
        .collect();
    managers.sort();
    let mut data = object.data.clone();
    data.as_object_mut().unwrap().remove("status");
    json!({"uid": object.uid(), "labels": object.labels(), "managers": managers, "data": data})
}

/// What the charm wrote to the cluster, `verb resource name` in order.
async fn writes(world: &LightWorld, mark: &Mark) -> Vec<String> {
    let user = world.charm_user();
    let writes = world.plane().audit().writes_of(&user, mark).await.unwrap();
    writes
        .into_iter()
        .map(|request| format!("{} {} {}", request.verb, request.resource, request.name))
        .collect()
}

async fn mark(world: &LightWorld) -> Mark {
    world.plane().audit().mark().await.unwrap()
}

async fn remove(world: &mut LightWorld, app: &str) {
    world.juju.remove_application(app).unwrap();
    world.settle().await.unwrap();
    assert_eq!(world.juju.app_status(app), None, "the application is gone");
}

/// Puts an object of Velero's into the model's namespace, as a user does.
async fn put(world: &LightWorld, kind: &str, name: &str, spec: Value) {
    let object = json!({
        "apiVersion": "velero.io/v1", "kind": kind,
        "metadata": {"name": name, "namespace": world.namespace}, "spec": spec,
    });
    world.apply(&object).await.unwrap();
}

fn bucket(name: &str) -> Value {
    json!({"provider": "aws", "default": true, "objectStorage": {"bucket": name}})
}

fn daily() -> Value {
    json!({"schedule": "@daily", "template": {}})
}

/// A Deployment as Helm's chart makes it for a release `shop`.
fn helms(namespace: &str, replicas: u32) -> Value {
    let labels = json!({
        "app.kubernetes.io/instance": "shop", "app.kubernetes.io/name": "velero",
        "app.kubernetes.io/managed-by": "Helm",
    });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "shop-velero", "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app.kubernetes.io/instance": "shop"}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{
                    "name": "velero", "image": "velero/velero:v1.17.1",
                    "command": ["/velero"], "args": ["server"],
                }]},
            },
        },
    })
}

/// All that an earlier world's charm has left is defined here, as Velero's kinds are the cluster's.
async fn with_definitions(world: &LightWorld) {
    let defines = ["install", "--crds-only", "--dry-run", "-o", "json"];
    let rendered = tokio::process::Command::new(worlds::operator::velero().unwrap())
        .args(defines)
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(rendered.stdout).unwrap();
    let list: Value = serde_json::from_str(text.get(text.find('{').unwrap()..).unwrap()).unwrap();
    for definition in list["items"].as_array().unwrap() {
        // Without what only matters to its values: schemas do not fit into the annotation of an apply.
        let name = definition["metadata"]["name"].as_str().unwrap();
        let id = ("apiextensions.k8s.io", "CustomResourceDefinition", name);
        let object: DynamicObject = serde_json::from_value(definition.clone()).unwrap();
        let created = api(world, id)
            .create(&kube::api::PostParams::default(), &object)
            .await;
        match created {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            other => drop(other.unwrap()),
        }
    }
    world.kubectl(&CRDS_ESTABLISHED).await.unwrap();
}

const OURS: &str = APP;
