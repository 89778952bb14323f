//! The actions that make objects for Velero on their own. What Velero does to these is played here.

mod create;
mod stored;

use std::future::Future;

use serde_json::from_value;
use tokio::sync::mpsc;
use worlds::kubectl::Kubectl;

use super::volumes::complete;
use super::*;

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
