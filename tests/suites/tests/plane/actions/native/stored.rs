//! What becomes of Backups that are there: they are restored, or deleted.

use super::*;

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
