//! What is in our way, of what a hook reads.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use serde_json::{Value, json};

use super::*;

fn owner(application: &str, model: &str) -> Owner {
    Owner {
        application: application.into(),
        model_uuid: model.into(),
    }
}

fn ours() -> Owner {
    owner("velero", "m")
}

/// Objects under each of our names, with these metadata.
fn namesakes_with(metadata: &Value) -> Live {
    let named = |name: &str| {
        let mut metadata = metadata.clone();
        metadata["name"] = json!(name);
        metadata
    };
    let workload = |name: &str| {
        json!({
            "metadata": named(name),
            "spec": {"selector": {}, "template": {}},
        })
    };
    let of_velero = |kind: &str| -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "velero.io/v1", "kind": kind, "metadata": named(LOCATION),
        }))
        .unwrap()
    };
    let server: Deployment = serde_json::from_value(workload(SERVER)).unwrap();
    let agent: DaemonSet = serde_json::from_value(workload("node-agent")).unwrap();
    Live {
        account: serde_json::from_value(json!({"metadata": named(SERVER)})).unwrap(),
        record: serde_json::from_value(json!({"metadata": named("velero-operator-applied")}))
            .unwrap(),
        snapshot_locations: vec![of_velero("VolumeSnapshotLocation")],
        running: Running {
            servers: [(SERVER.to_owned(), server)].into(),
            node_agents: [("node-agent".to_owned(), agent)].into(),
            locations: [(LOCATION.to_owned(), of_velero("BackupStorageLocation"))].into(),
            ..Running::default()
        },
        ..Live::default()
    }
}

fn told(strangers: &[Stranger]) -> Vec<String> {
    strangers.iter().map(ToString::to_string).collect()
}

#[test]
fn object_of_nobody_is_never_taken_for_ours() {
    let everything = [
        "Deployment `velero`",
        "DaemonSet `node-agent`",
        "ServiceAccount `velero`",
        "ConfigMap `velero-operator-applied`",
        "BackupStorageLocation `default`",
        "VolumeSnapshotLocation `default`",
    ];
    let applied = |labels: &Value| {
        let entry = json!({"manager": "velero-operator", "operation": "Apply"});
        json!({"labels": labels, "managedFields": [entry]})
    };
    for theirs in [
        json!({}),
        json!({"labels": owner("another", "m").labels()}),
        json!({"labels": owner("velero", "another").labels()}),
        applied(&json!(owner("another", "m").labels())),
        json!({"managedFields": [{"manager": "helm", "operation": "Update"}]}),
    ] {
        let live = namesakes_with(&theirs);
        let found = namesakes(&live, NodeAgent::On, &ours());
        assert_eq!(told(&found), everything, "{theirs}");
    }
    for own in [json!({"labels": ours().labels()}), applied(&Value::Null)] {
        let live = namesakes_with(&own);
        assert_eq!(namesakes(&live, NodeAgent::On, &ours()), [], "{own}");
    }
}

#[test]
fn node_agent_that_nobody_asks_for_is_in_nobodys_way() {
    let live = namesakes_with(&json!({}));
    let found = told(&namesakes(&live, NodeAgent::Off, &ours()));
    assert!(!found.contains(&"DaemonSet `node-agent`".to_owned()));
    assert_eq!(found.len(), 5);
}

#[test]
fn snapshot_location_of_another_name_is_left_alone() {
    let mut live = namesakes_with(&json!({"labels": ours().labels()}));
    let mut theirs = live.snapshot_locations[0].clone();
    theirs.metadata.labels = None;
    theirs.metadata.name = Some("theirs".into());
    live.snapshot_locations.insert(0, theirs);
    assert_eq!(namesakes(&live, NodeAgent::On, &ours()), []);
}

fn pod(name: &str, keeper: &Value) -> (String, Pod) {
    let pod = serde_json::from_value(json!({
        "metadata": {"name": name, "ownerReferences": keeper},
        "spec": {"containers": [{"name": "c", "image": "velero/velero:v1.18.3"}]},
        "status": {"phase": "Running"},
    }));
    (name.to_owned(), pod.unwrap())
}

#[test]
fn server_under_another_name_is_found_by_what_keeps_it() {
    let keeper = |kind: &str, controls: bool| json!([{"apiVersion": "v1", "kind": kind, "name": "keeper", "uid": "u", "controller": controls}]);
    let another: Deployment = serde_json::from_value(json!({
        "metadata": {"name": "backup-velero"}, "spec": {"selector": {}, "template": {}},
    }))
    .unwrap();
    let mut running = namesakes_with(&json!({})).running;
    running.servers.insert("backup-velero".into(), another);
    running.pods = [
        pod("a", &Value::Null),
        pod("b", &keeper("StatefulSet", true)),
        // The Deployment is named itself.
        pod("c", &keeper("ReplicaSet", true)),
        pod("d", &keeper("ReplicaSet", false)),
    ]
    .into();
    assert_eq!(
        told(&other_servers(&running)),
        [
            "Deployment `backup-velero`",
            "Pod `a`",
            "StatefulSet `keeper`",
            "Pod `d`"
        ]
    );
}
