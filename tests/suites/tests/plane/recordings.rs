//! The replay of the Python charm against what an API server had after the real thing.

use juju_emulator::{DeployOptions, Juju, S3Settings};
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client, ResourceExt as _};
use kube_stack::ControlPlaneOnly;
use serde_json::{Map, Value, json};
use worlds::clusters;
use worlds::past::{PythonCharm, left_by_the_python_charm};

const MODEL: &str = "the-model";
const KINDS: [(&str, &str, &str); 9] = [
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
    ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding"),
    ("", "v1", "ServiceAccount"),
    ("", "v1", "Service"),
    ("", "v1", "Secret"),
    ("apps", "v1", "Deployment"),
    ("apps", "v1", "DaemonSet"),
    ("velero.io", "v1", "BackupStorageLocation"),
    ("velero.io", "v1", "VolumeSnapshotLocation"),
];

/// All that is labelled as Velero's, without what differs from run to run.
async fn left(client: &Client) -> Value {
    let mut left = Map::new();
    for (group, version, kind) in KINDS {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        let select = ListParams::default().labels("component=velero");
        for object in api.list(&select).await.unwrap() {
            left.insert(
                format!("{kind}/{}", object.name_any()),
                essence(kind, object),
            );
        }
    }
    Value::Object(left)
}

fn essence(kind: &str, object: DynamicObject) -> Value {
    let mut labels = object.labels().clone();
    labels.remove("model.juju.is/id");
    let definition = kind == "CustomResourceDefinition";
    let managers = object.managed_fields().iter().map(|entry| {
        let mut entry = json!(entry);
        let fields = entry.as_object_mut().unwrap();
        fields.remove("time");
        if definition {
            fields.remove("fieldsV1");
        }
        entry
    });
    let mut managers: Vec<Value> = managers.collect();
    // The order is that of the times, which are whole seconds.
    managers.sort_by_key(|entry| entry["manager"].to_string());
    let mut essence = json!({"labels": labels, "managedFields": managers});
    if !definition {
        let mut data = object.data;
        // The API server's choice.
        if let Some(spec) = data["spec"].as_object_mut() {
            spec.retain(|key, _| !key.starts_with("clusterIP"));
        }
        essence["rest"] = data;
    }
    essence
}

fn store() -> S3Settings {
    let mut store = S3Settings::path_style("http://the-store", "the-region", "the-bucket");
    store.options.insert("path".into(), "the-path".into());
    store.credentials("the-id", "the-key")
}

#[tokio::test]
async fn the_replay_of_the_python_charm_leaves_what_it_left() {
    let plane = ControlPlaneOnly::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let cluster = clusters::of_control_plane(&plane).await.unwrap();
    let mut juju = Juju::bootstrap(&dir.path().join("juju"), MODEL, Some(cluster.clone()))
        .await
        .unwrap();
    let mut options = DeployOptions::trusted();
    options
        .config
        .insert("use-node-agent".into(), "true".into());
    let python = PythonCharm::deploy(&mut juju, options).await.unwrap();

    python.install().await.unwrap();
    python.config_changed().await.unwrap();
    python.configure_storage(&store()).await.unwrap();

    let (ours, theirs) = (
        left(&cluster.client).await,
        left_by_the_python_charm().unwrap(),
    );
    for (name, object) in theirs.as_object().unwrap() {
        assert_eq!(&ours[name], object, "{name}");
    }
    assert_eq!(ours, theirs);
}
