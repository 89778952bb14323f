//! Pods that have ended for good and stay behind as a record.

use serde_json::{Value, json};
use worlds::plane::{LightWorld, Plane};

use crate::{here, patch_status};

/// A pod of the server or the node agent as an eviction, a node that was shut down, or a kubelet that turned
/// it away leaves it. Nobody controls it, and it is on no node.
pub(super) async fn leave_behind(world: &LightWorld, name: &str, label: &str, status: &Value) {
    let (key, value) = label.split_once('=').unwrap();
    let map = here(
        world,
        &["get", "configmap", "velero-operator-applied", "-o", "json"],
    );
    let map: Value = serde_json::from_str(&map.await).unwrap();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": world.namespace,
            "labels": {key: value, "component": "velero"},
            // Without an owner, the controller of such pods would adopt it.
            "ownerReferences": [{
                "apiVersion": "v1", "kind": "ConfigMap", "controller": true,
                "name": map["metadata"]["name"], "uid": map["metadata"]["uid"],
            }],
        },
        "spec": {
            "schedulerName": "nobody",
            "containers": [{"name": "velero", "image": "velero/velero:v1.18.3"}],
        },
    });
    world.apply(&pod).await.unwrap();
    patch_status(world, &format!("pod/{name}"), status).await;
}

#[tokio::test]
async fn dead_pods_beside_those_that_run_do_not_count() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "dead-pods").await.unwrap();
    world.config("use-node-agent", "true").await.unwrap();
    world.expect_status("active: ").unwrap();
    let waiting = json!([{
        "name": "velero", "image": "velero/velero:v1.18.3", "imageID": "", "ready": false,
        "restartCount": 0, "state": {"waiting": {"reason": "CreateContainerError"}},
    }]);
    let ends = [
        json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource."}),
        json!({"phase": "Failed", "reason": "NodeAffinity", "containerStatuses": waiting}),
        json!({"phase": "Succeeded", "reason": "Terminated"}),
        json!({"phase": "Unknown", "reason": "NodeLost"}),
    ];
    for (number, end) in ends.iter().enumerate() {
        for (part, label) in [("server", "deploy=velero"), ("agent", "name=node-agent")] {
            let name = format!("dead-{part}-{number}");
            leave_behind(&world, &name, label, end).await;
            world.update_status().await.unwrap();
            world.expect_status("active: ").unwrap();
        }
    }
}
