//! `create-backup`: what is asked for, what is waited for, and what it holds of volumes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::*;
use crate::actions::volumes::open_shop;
use crate::clients;

#[tokio::test]
async fn backup_is_waited_for_and_its_volumes_are_named() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "native").await.unwrap();
    let (kubectl, space) = (plane.kubectl(), world.namespace.clone());
    let shop = "light-native-shop";
    open_shop(&world, shop).await;

    let params = json!({"namespaces": shop, "name": "whole", "ttl": "48h"});
    let saved = [(shop, "cart", "cache"), (shop, "cart", "data")];
    let outcome = act_with(&mut world, "create-backup", params, async |name| {
        assert_eq!(name, "whole");
        complete(&kubectl, &space, &name, &saved).await;
    })
    .await;
    assert_eq!(outcome.status, "completed", "{}", outcome.message);
    assert_eq!(outcome.log[0].1, "Backup `whole` is made.");
    for (key, value) in [
        ("backup-id", "whole"),
        ("backup-name", "whole"),
        ("status", "success"),
        ("phase", "Completed"),
        ("volumes", "2 of 4"),
    ] {
        assert_eq!(text(&outcome, key), value);
    }
    assert!(text(&outcome, "volumes-without-data").contains("light-native-shop/local (a hostPath"));
    let backup = world.velero_object("Backup", "whole").await.unwrap();
    assert_eq!(
        backup.unwrap().data["spec"],
        json!({"includedNamespaces": [shop], "storageLocation": "default", "ttl": "48h"})
    );

    let params = json!({"namespaces": shop, "name": "strict", "require-volumes": true});
    let outcome = act_with(&mut world, "create-backup", params, async |name| {
        complete(&kubectl, &space, &name, &saved).await;
    })
    .await;
    assert_eq!(outcome.status, "failed");
    assert!(
        outcome.message.contains("`require-volumes`"),
        "{}",
        outcome.message
    );
    assert_eq!(text(&outcome, "volumes"), "2 of 4");

    let outcome = act(
        &mut world,
        "create-backup",
        json!({"namespaces": shop, "wait": false}),
    )
    .await;
    assert_eq!(text(&outcome, "status"), "started");
    assert!(text(&outcome, "backup-id").starts_with("light-native-shop-2"));
    assert_eq!(outcome.results.get("phase"), None, "it was not seen");

    let outcome = act(&mut world, "list-backups", json!({})).await;
    let listed = text(&outcome, "backups");
    let lines: Vec<_> = listed.lines().collect();
    assert_eq!(lines[0], format!("Storage bucket name: {}", world.bucket));
    // A moment as Velero writes it has whole seconds; those that are played here do not.
    let mut rows = lines[5..].to_vec();
    rows.sort_unstable();
    assert!(rows[0].contains("| waiting "), "{listed}");
    assert!(
        rows[1].starts_with("strict ") && rows[1].contains("| finished "),
        "{listed}"
    );
    assert!(rows[2].starts_with("whole "), "{listed}");
}

#[tokio::test]
async fn backup_of_a_target_is_that_of_its_schedule() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "of-target").await.unwrap();
    let unrelated = json!({"target": "minio:velero-backup-config"});
    let outcome = act(&mut world, "create-backup", unrelated).await;
    assert!(
        outcome.message.contains("nor does any other application"),
        "{}",
        outcome.message
    );
    let mut spec = clients::daily();
    spec["include_namespaces"] = json!(["default"]);
    clients::deploy(&mut world, "minio");
    clients::ask(&mut world, "minio", "shop", &spec);
    clients::relate(&mut world, "minio");
    world.settle().await.unwrap();
    let scheduled = clients::only(&world).await.data["spec"]["template"].clone();
    clients::deploy(&mut world, "other");
    clients::ask(&mut world, "other", "bank", &json!({"ttl": "30d"}));
    clients::relate(&mut world, "other");
    world.settle().await.unwrap();

    for (params, parts) in [
        (
            json!({"target": "mlmd:backup"}),
            &[
                "`mlmd:backup` does not ask",
                "(model `bank`)",
                "(model `shop`)",
            ][..],
        ),
        (
            json!({"target": "minio:velero-backup-config"}),
            &["name the `model`", "in `bank`, `shop`"],
        ),
        (
            json!({"target": "minio:velero-backup-config", "model": "bank"}),
            &["asks for what cannot be done", "`ttl` `30d`"],
        ),
        (
            json!({"target": "minio:velero-backup-config", "namespaces": "default", "ttl": "1d"}),
            &[
                "`target` and `namespaces` exclude each other",
                "`ttl` is `1d`",
            ],
        ),
    ] {
        let outcome = act(&mut world, "create-backup", params).await;
        assert_eq!(outcome.status, "failed");
        for part in parts {
            assert!(
                outcome.message.contains(part),
                "{part}: {}",
                outcome.message
            );
        }
    }
    assert!(names(&world, "backups.velero.io").await.is_empty());

    let target = json!({
        "target": "minio:velero-backup-config", "model": "shop", "wait": false,
    });
    let outcome = act(&mut world, "create-backup", target).await;
    assert_eq!(text(&outcome, "status"), "started", "{}", outcome.message);
    let name = text(&outcome, "backup-name").to_owned();
    assert!(name.starts_with("minio-velero-backup-config-2"), "{name}");
    let backup = world.velero_object("Backup", &name).await.unwrap().unwrap();
    let annotations = backup.metadata.annotations.unwrap();
    assert!(annotations.contains_key("created-at"));
    let mut made = backup.data["spec"].clone();
    made["metadata"] = json!({"labels": backup.metadata.labels});
    assert_eq!(made, scheduled);

    let listed = json!({"target": "minio:velero-backup-config", "model": "shop"});
    let outcome = act(&mut world, "list-backups", listed).await;
    assert!(text(&outcome, "backups").contains(&name));
    assert_eq!(text(&outcome, "number"), "1");
}

async fn metadata(world: &LightWorld, backup: &str) -> ObjectMeta {
    let backup = world.velero_object("Backup", backup).await.unwrap();
    backup.unwrap().metadata
}

#[tokio::test]
async fn backup_that_ended_is_looked_at_once() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "looked-at").await.unwrap();
    let (kubectl, space) = (plane.kubectl(), world.namespace.clone());
    let shop = "light-looked-at-shop";
    open_shop(&world, shop).await;
    for name in ["ended", "running", "old"] {
        let spec = json!({"includedNamespaces": [shop]});
        let meta = json!({"name": name, "namespace": space});
        let backup =
            json!({"apiVersion": "velero.io/v1", "kind": "Backup", "metadata": meta, "spec": spec});
        world.apply(&backup).await.unwrap();
    }
    say(
        &kubectl,
        &space,
        "backups.velero.io/running",
        json!({"phase": "InProgress"}),
    )
    .await;
    let long_ago = "2026-01-01T00:00:00Z";
    let old =
        json!({"phase": "Completed", "startTimestamp": long_ago, "completionTimestamp": long_ago});
    say(&kubectl, &space, "backups.velero.io/old", old).await;
    complete(&kubectl, &space, "ended", &[(shop, "cart", "data")]).await;

    world.update_status().await.unwrap();
    let ended = metadata(&world, "ended").await;
    let note = &ended.annotations.as_ref().unwrap()["velero-operator/volumes"];
    assert!(note.contains(r#""saved":"1 of 4""#), "{note}");
    assert!(
        note.contains("light-looked-at-shop/local (a hostPath volume)"),
        "{note}"
    );
    let label = "velero-operator/volumes-looked-at";
    assert_eq!(
        metadata(&world, "old").await.labels.unwrap()[label],
        "unknown"
    );
    assert_eq!(metadata(&world, "running").await.labels, None);
    assert!(
        world
            .log()
            .contains("Backup `ended` holds the data of 1 of 4 volumes."),
        "{}",
        world.log()
    );
    world.update_status().await.unwrap();
    assert_eq!(
        metadata(&world, "ended").await.resource_version,
        ended.resource_version
    );
    world.expect_status("active: ").unwrap();

    let listed = act(&mut world, "list-backups", json!({"output": "json"})).await;
    let listed: Vec<Value> = serde_json::from_str(text(&listed, "backups")).unwrap();
    let ended = listed.iter().find(|one| one["name"] == "ended").unwrap();
    assert_eq!(ended["volumes"], "1 of 4");
}
