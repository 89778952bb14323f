//! The actions that make objects for Velero on their own. What Velero does to these is played here.

use std::future::Future;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::from_value;
use tokio::sync::mpsc;
use worlds::kubectl::Kubectl;

use super::volumes::{complete, open_shop};
use super::*;
use crate::clients;

async fn act(world: &mut LightWorld, action: &str, params: Value) -> ActionOutcome {
    let params: Map<String, Value> = from_value(params).unwrap();
    world.juju.run_action(UNIT, action, &params).await.unwrap()
}

/// Runs an action, and what Velero does to the object that its log names first.
async fn act_with<F: Future<Output = ()>>(
    world: &mut LightWorld,
    action: &str,
    params: Value,
    velero: impl FnOnce(String) -> F,
) -> ActionOutcome {
    let params: Map<String, Value> = from_value(params).unwrap();
    let (said, mut heard) = mpsc::unbounded_channel();
    let mut listener = |_, text: &str| drop(said.send(text.to_owned()));
    let played = async {
        let first = heard.recv().await.unwrap();
        velero(first.split('`').nth(1).unwrap().to_owned()).await;
    };
    let action = world
        .juju
        .follow_action(UNIT, action, &params, &mut listener);
    let (outcome, ()) = tokio::join!(action, played);
    outcome.unwrap()
}

/// Sets an object's status, as Velero does.
async fn say(kubectl: &Kubectl, space: &str, object: &str, status: Value) {
    let status = json!({ "status": status }).to_string();
    let patch = ["-n", space, "patch", object, "--type=merge", "-p", &status];
    kubectl.run(&patch).await.unwrap();
}

/// The names of all objects of a kind.
async fn names(world: &LightWorld, kind: &str) -> Vec<String> {
    let get = ["-n", &world.namespace, "get", kind, "-o", "name"];
    let found = world.kubectl(&get).await.unwrap();
    let names = found.lines().filter_map(|line| line.rsplit('/').next());
    names.map(ToOwned::to_owned).collect()
}

fn text<'a>(outcome: &'a ActionOutcome, key: &str) -> &'a str {
    let value = outcome.results.get(key).and_then(Value::as_str);
    value.unwrap_or_else(|| panic!("no `{key}` in {:?}: {}", outcome.results, outcome.message))
}

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

#[tokio::test]
async fn detail_of_a_status_has_all_findings() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::deployed(&plane, "detail").await.unwrap();
    let outcome = act(&mut world, "status-detail", json!({})).await;
    let findings = text(&outcome, "findings");
    assert!(
        findings.starts_with("blocked: run `juju integrate velero-operator"),
        "{findings}"
    );
    world
        .config("velero-image", "velero:no:image")
        .await
        .unwrap();
    let before = world.status();
    let outcome = act(&mut world, "status-detail", json!({})).await;
    let findings = text(&outcome, "findings");
    assert_eq!(
        text(&outcome, "number"),
        findings.lines().count().to_string()
    );
    assert!(
        findings.lines().count() > 1 && findings.contains("velero-image"),
        "{findings}"
    );
    assert_eq!(world.status(), before);
    world.reset(&["velero-image"]).await.unwrap();
    world.connect().await.unwrap();
    let outcome = act(&mut world, "status-detail", json!({})).await;
    assert_eq!(text(&outcome, "findings"), "active: all is well");
}

#[tokio::test]
async fn phase_without_work_ends_the_action() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "phases").await.unwrap();
    let (kubectl, space) = (plane.kubectl(), world.namespace.clone());
    let described = "Errors:\\n  Velero:  no node\\n  Namespaces:\\n    shop:  cart is locked\\n";
    replace_cli(&world, &format!("printf '{described}'"));
    for (name, status, words) in [
        (
            "refused",
            json!({"phase": "FailedValidation", "validationErrors": ["no such location"]}),
            "ended `FailedValidation`: no such location",
        ),
        (
            "failed",
            json!({"phase": "Failed", "failureReason": "no bucket"}),
            "ended `Failed`: no bucket",
        ),
        (
            "partial",
            json!({"phase": "PartiallyFailed", "errors": 2}),
            "ended `PartiallyFailed` with 2 errors: no node",
        ),
        ("deleting", json!({"phase": "Deleting"}), "ended `Deleting`"),
    ] {
        let params = json!({"namespaces": "default", "name": name});
        let outcome = act_with(&mut world, "create-backup", params, async |name| {
            say(
                &kubectl,
                &space,
                &format!("backups.velero.io/{name}"),
                status,
            )
            .await;
        })
        .await;
        assert_eq!(outcome.status, "failed");
        assert!(outcome.message.contains(words), "{}", outcome.message);
        let logs = format!("run command=\"backup logs {name}\"");
        assert!(outcome.message.contains(&logs), "{}", outcome.message);
        assert_eq!(text(&outcome, "backup-id"), name);
        assert_eq!(text(&outcome, "status"), "failed");
        if name == "partial" {
            assert_eq!(
                text(&outcome, "first-errors"),
                "no node\nshop: cart is locked"
            );
        }
    }
    let params = json!({"namespaces": "default", "name": "gone"});
    let outcome = act_with(&mut world, "create-backup", params, async |name| {
        let delete = ["-n", &space, "delete", "backups.velero.io", &name];
        kubectl.run(&delete).await.unwrap();
    })
    .await;
    assert_eq!(
        outcome.message,
        "backup `gone` is gone: somebody has deleted it"
    );
}

#[tokio::test]
async fn wrong_parameters_start_nothing() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "wrong").await.unwrap();
    for (action, params, parts) in [
        (
            "create-backup",
            json!({"namespaces": "A,b", "name": "-", "ttl": "30d", "timeout": "25h"}),
            &[
                "`namespaces` has `A`",
                "`name` is `-`",
                "`ttl` is `30d`",
                "`timeout` is `25h`",
            ][..],
        ),
        (
            "create-backup",
            json!({"namespaces": "default,nowhere"}),
            &["does not have: `nowhere`"],
        ),
        (
            "restore",
            json!({"selector": "a b", "namespace-mapping": "x"}),
            &[
                "`backup-id` is missing",
                "`selector` has `a b`",
                "`namespace-mapping` has `x`",
            ],
        ),
        (
            "restore",
            json!({"backup-id": "nothing"}),
            &["there is no backup `nothing`"],
        ),
        (
            "restore",
            json!({"backup-uid": "0-0"}),
            &["there is no backup `0-0`"],
        ),
        (
            "delete-backup",
            json!({"backup-id": "x"}),
            &["add `confirm=x`"],
        ),
        (
            "delete-backup",
            json!({"backup-id": "x", "confirm": "x"}),
            &["there is no backup `x`"],
        ),
        (
            "list-backups",
            json!({"target": "minio"}),
            &["`target` is `minio`"],
        ),
    ] {
        let outcome = act(&mut world, action, params).await;
        assert_eq!(
            (outcome.status.as_str(), &outcome.results["return-code"]),
            ("failed", &json!(0))
        );
        for part in parts {
            assert!(
                outcome.message.contains(part),
                "{part}: {}",
                outcome.message
            );
        }
    }
    for kind in [
        "backups.velero.io",
        "restores.velero.io",
        "deletebackuprequests.velero.io",
    ] {
        assert!(names(&world, kind).await.is_empty(), "{kind}");
    }
}

#[tokio::test]
async fn killed_action_is_taken_up_by_the_next() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "taken-up").await.unwrap();
    let (kubectl, space) = (plane.kubectl(), world.namespace.clone());
    let nightly = json!({"namespaces": "default", "name": "nightly"});
    let killer = world.juju.killer();
    let outcome = act_with(&mut world, "create-backup", nightly.clone(), async |_| {
        killer.kill().unwrap();
    })
    .await;
    assert_eq!(outcome.status, "failed");
    let params = json!({"namespaces": "default", "name": "nightly", "timeout": "2s"});
    let outcome = act(&mut world, "create-backup", params).await;
    assert_eq!(
        outcome.log[0].1,
        "Backup `nightly` was made before and continues."
    );
    let deadline =
        "not finished after 2s: backup `nightly` continues in Velero (New: 0 of 0 items)";
    assert!(outcome.message.starts_with(deadline), "{}", outcome.message);
    assert!(
        outcome
            .message
            .contains("run command=\"backup describe nightly\"")
    );
    assert_eq!(text(&outcome, "backup-id"), "nightly");
    complete(&kubectl, &space, "nightly", &[]).await;
    let outcome = act(&mut world, "create-backup", nightly).await;
    assert!(
        outcome
            .message
            .starts_with("backup `nightly` exists already (Completed)")
    );
    assert_eq!(names(&world, "backups.velero.io").await, ["nightly"]);

    let restore = json!({"backup-id": "nightly", "namespace-mapping": "default:copy"});
    let killer = world.juju.killer();
    let outcome = act_with(&mut world, "restore", restore.clone(), async |_| {
        killer.kill().unwrap();
    })
    .await;
    assert_eq!(outcome.status, "failed");
    let outcome = act_with(&mut world, "restore", restore, async |name| {
        let object = format!("restores.velero.io/{name}");
        let progress = json!({"totalItems": 4, "itemsRestored": 4});
        say(
            &kubectl,
            &space,
            &object,
            json!({"phase": "Completed", "progress": progress}),
        )
        .await;
    })
    .await;
    assert_eq!(outcome.status, "completed", "{}", outcome.message);
    assert!(outcome.log[0].1.ends_with("was made before and continues."));
    assert_eq!(text(&outcome, "items"), "4 of 4");
    let restores = names(&world, "restores.velero.io").await;
    assert_eq!(restores, [text(&outcome, "restore-name")]);
    let restore = world
        .velero_object("Restore", &restores[0])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        restore.data["spec"]["namespaceMapping"],
        json!({"default": "copy"})
    );
}

#[tokio::test]
async fn restore_is_of_what_can_be_restored() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "restorable").await.unwrap();
    let (kubectl, space) = (plane.kubectl(), world.namespace.clone());
    let params = json!({"namespaces": "default", "name": "nightly", "wait": false});
    act(&mut world, "create-backup", params).await;
    let nightly = json!({"backup-id": "nightly"});
    let outcome = act(&mut world, "restore", nightly.clone()).await;
    let refused = "backup `nightly` cannot be restored: it has not ended (`New`)";
    assert_eq!(outcome.message, refused);

    complete(&kubectl, &space, "nightly", &[]).await;
    let list = "Resource List:\\n  v1/Pod:\\n    - default/cart\\n    - other/till\\n  v1/Namespace:\\n    - default\\n";
    replace_cli(&world, &format!("printf '{list}'"));
    let params = json!({"backup-id": "nightly", "dry-run": true, "namespace-mapping": "default:copy",
                        "exclude-resources": "namespaces"});
    let outcome = act(&mut world, "restore", params).await;
    assert_eq!(
        text(&outcome, "would-restore"),
        "default as copy: 1 Pod\nother: 1 Pod"
    );
    assert!(names(&world, "restores.velero.io").await.is_empty());

    replace_cli(
        &world,
        "printf 'Errors:\\n  Namespaces:\\n    copy:  no room\\n'",
    );
    let outcome = act_with(&mut world, "restore", nightly, async |name| {
        let object = format!("restores.velero.io/{name}");
        say(
            &kubectl,
            &space,
            &object,
            json!({"phase": "PartiallyFailed", "errors": 1}),
        )
        .await;
    })
    .await;
    assert!(
        outcome
            .message
            .contains("ended `PartiallyFailed` with 1 error: copy: no room"),
        "{}",
        outcome.message
    );
    assert!(text(&outcome, "restore-id").starts_with("nightly-2"));
}

#[tokio::test]
async fn backup_is_deleted_by_velero_or_named_as_left() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "deleted").await.unwrap();
    let (kubectl, space) = (plane.kubectl(), world.namespace.clone());
    for name in ["one", "two"] {
        act(
            &mut world,
            "create-backup",
            json!({"namespaces": "default", "name": name, "wait": false}),
        )
        .await;
    }
    let one = json!({"backup-id": "one", "confirm": "one"});
    let outcome = act(&mut world, "delete-backup", one.clone()).await;
    assert!(
        outcome
            .message
            .contains("backup `one` is still running (New)"),
        "{}",
        outcome.message
    );
    complete(&kubectl, &space, "one", &[]).await;
    complete(&kubectl, &space, "two", &[]).await;

    let killer = world.juju.killer();
    act_with(&mut world, "delete-backup", one.clone(), async |_| {
        killer.kill().unwrap();
    })
    .await;
    let requests = "deletebackuprequests.velero.io";
    assert_eq!(names(&world, requests).await.len(), 1);
    let outcome = act_with(&mut world, "delete-backup", one, async |_| {
        let delete = ["-n", &space, "delete", "backups.velero.io", "one"];
        kubectl.run(&delete).await.unwrap();
    })
    .await;
    assert_eq!(text(&outcome, "status"), "deleted");
    let asked = names(&world, requests).await;
    assert_eq!(
        asked.len(),
        1,
        "the request of the killed action was taken up"
    );

    let two = json!({"backup-id": "two", "confirm": "two"});
    let outcome = act_with(&mut world, "delete-backup", two, async |_| {
        let get = [
            "-n",
            &space,
            "get",
            requests,
            "-l",
            "velero.io/backup-name=two",
            "-o",
            "name",
        ];
        let request = kubectl.run(&get).await.unwrap();
        let status = json!({"phase": "Processed", "errors": ["the store says no"]});
        say(&kubectl, &space, request.trim(), status).await;
    })
    .await;
    assert_eq!(outcome.status, "failed");
    assert!(
        outcome.message.contains("the store says no; see"),
        "{}",
        outcome.message
    );
    assert_eq!(names(&world, "backups.velero.io").await, ["two"]);
}
