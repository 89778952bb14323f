//! What a hook costs that finds nothing to do where everybody is related.

use std::collections::BTreeMap;

use serde_json::json;
use worlds::plane::{LightWorld, Plane};

use super::{deploy_cos, relate, told, update};
use crate::{clients, writes};

#[tokio::test]
async fn quiet_hook_with_all_relations_lists_backups_once() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "all-relations")
        .await
        .unwrap();
    deploy_cos(&mut world).await;
    relate(&mut world).await;
    world.config("keep", "last 3").await.unwrap();
    let logging = ("velero-operator:logging", "cos:logging");
    world.juju.integrate(logging.0, logging.1).unwrap();
    clients::deploy(&mut world, "till");
    clients::ask(&mut world, "till", "here", &clients::daily());
    clients::relate(&mut world, "till");
    world.settle().await.unwrap();
    let schedule = clients::only(&world).await.metadata.name.unwrap();
    for (name, phase) in [("good", "Completed"), ("bad", "Failed")] {
        let backup = json!({
            "apiVersion": "velero.io/v1", "kind": "Backup",
            "metadata": {
                "name": name, "namespace": world.namespace,
                "labels": {"velero.io/schedule-name": schedule},
                // Loki has no address here: nothing else would ever be told.
                "annotations": {"velero-operator/told": "long ago"},
            },
            "spec": {},
            "status": {"phase": phase, "startTimestamp": "2026-01-01T00:00:00Z"},
        });
        world.apply(&backup).await.unwrap();
    }
    for _ in 0..3 {
        update(&mut world).await;
    }

    let mark = world.plane().audit().mark().await.unwrap();
    let quiet = world.update_status().await.unwrap();

    assert_eq!(told(&quiet), 0, "{:#?}", quiet.tool_calls);
    assert_eq!(writes(&world, &mark).await, Vec::<String>::new());
    let user = world.charm_user();
    let mut lists = BTreeMap::<String, u32>::new();
    let mut requests = 0;
    for event in world.plane().audit().since(&mark).await.unwrap() {
        if event.user == user {
            requests += 1;
            *lists
                .entry(format!("{} {}", event.verb, event.resource))
                .or_default() += 1;
        }
    }
    println!(
        "with all relations: {} hook-tool calls, {requests} requests: {lists:?}",
        quiet.tool_calls.len()
    );
    // Once for all who want to know of them, option `keep` too, and once for those that nobody has looked at yet.
    assert_eq!(lists["list backups"], 2, "{lists:?}");
    for once in ["schedules", "restores", "backuprepositories"] {
        assert_eq!(lists[&format!("list {once}")], 1, "{lists:?}");
    }
}
