//! What an action refuses because its data could not be saved, and what it tells of a Backup's volumes.

use worlds::kubectl::{Kubectl, TIMEOUT};
use worlds::plane::NODE;

use super::*;

#[tokio::test]
async fn wishes_that_cannot_come_true_are_refused() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "wishes").await.unwrap();
    let agent = "`juju config velero-operator use-node-agent=true`";
    for (command, parts) in [
        (
            "backup create x --snapshot-move-data --wait",
            ["EnableCSI", agent],
        ),
        (
            "schedule create x --schedule @daily --snapshot-move-data",
            ["EnableCSI", agent],
        ),
        (
            "backup create x --default-volumes-to-fs-backup",
            ["needs Velero's node agent", agent],
        ),
        (
            "schedule create x --schedule @daily --default-volumes-to-fs-backup=true",
            ["needs Velero's node agent", agent],
        ),
    ] {
        let message = refusal(&mut world, command).await;
        for part in parts {
            assert!(message.contains(part), "`{command}`: {message}");
        }
    }
    world
        .apply(&json!({
            "apiVersion": "velero.io/v1",
            "kind": "Schedule",
            "metadata": {"name": "daily", "namespace": world.namespace},
            "spec": {"schedule": "@daily", "template": {"snapshotMoveData": true}},
        }))
        .await
        .unwrap();
    let message = refusal(&mut world, "backup create --from-schedule daily").await;
    assert!(
        message.contains("`--snapshot-move-data` of schedule `daily`"),
        "{message}"
    );

    let made = [
        "-n",
        &world.namespace,
        "get",
        "backups.velero.io",
        "-o",
        "name",
    ];
    assert_eq!(world.kubectl(&made).await.unwrap(), "");
    world.config("use-node-agent", "true").await.unwrap();
    output(&run(&mut world, "backup create x --default-volumes-to-fs-backup").await);
    let message = refusal(&mut world, "backup create y --snapshot-move-data").await;
    assert!(
        message.contains("instead with `--default-volumes-to-fs-backup`"),
        "{message}"
    );
}

#[tokio::test]
async fn restore_of_files_needs_the_node_agent() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "files").await.unwrap();
    let kubectl = plane.kubectl();
    output(&run(&mut world, "backup create held --include-namespaces shop").await);
    complete(
        &kubectl,
        &world.namespace,
        "held",
        &[("shop", "cart", "data")],
    )
    .await;

    let message = refusal(&mut world, "restore create --from-backup held").await;
    assert!(
        message.contains("backup `held` holds files of volumes"),
        "{message}"
    );
    assert!(message.contains("use-node-agent=true"), "{message}");
    let without_pods = "restore create --from-backup held --exclude-resources pods";
    output(&run(&mut world, without_pods).await);
    world.config("use-node-agent", "true").await.unwrap();
    output(&run(&mut world, "restore create again --from-backup held").await);
}

#[tokio::test]
async fn volumes_that_nothing_saved_are_named_at_the_end() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "volumes").await.unwrap();
    let kubectl = plane.kubectl();
    open_shop(&world, "light-volumes-shop").await;
    world.config("use-node-agent", "true").await.unwrap();

    let command = "backup create nothing --include-namespaces light-volumes-shop --wait";
    let outcome = back_up(&mut world, &kubectl, command, "nothing", &[]).await;
    let warning = "WARNING: backup `nothing` holds no data of 4 of 4 volumes:\n  \
                   light-volumes-shop/data\n  light-volumes-shop/cart:cache\n";
    assert!(output(&outcome).contains("Backup completed with status: Completed"));
    assert!(output(&outcome).contains(warning), "{}", output(&outcome));
    let remedy =
        "`juju config velero-operator use-node-agent=true default-volumes-to-fs-backup=true`";
    assert!(output(&outcome).contains(remedy));
    let last = &outcome.log.last().unwrap().1;
    assert!(
        last.starts_with(warning) && output(&outcome).ends_with(last),
        "{last}"
    );
    assert_eq!(outcome.results["volumes"], "0 of 4");
    assert_eq!(
        outcome.results["volumes-without-data"],
        "light-volumes-shop/data (file-system backup not asked for), light-volumes-shop/cart:cache \
         (file-system backup not asked for), light-volumes-shop/idle (no running pod to read it \
         through), light-volumes-shop/local (a hostPath volume)"
    );
    let described = run(&mut world, "backup describe nothing").await;
    assert!(output(&described).ends_with(last), "{}", output(&described));

    let shop = "light-volumes-shop";
    let saved = [(shop, "cart", "cache"), (shop, "cart", "data")];
    let command = "backup create files --include-namespaces light-volumes-* --exclude-resources \
                   nodes --default-volumes-to-fs-backup --wait";
    let outcome = back_up(&mut world, &kubectl, command, "files", &saved).await;
    assert_eq!(outcome.results["volumes"], "2 of 4");
    assert!(
        !output(&outcome).contains("not asked for"),
        "{}",
        output(&outcome)
    );

    let command = "backup create some --include-namespaces light-volumes-shop --wait \
                   --selector app=cart --default-volumes-to-fs-backup";
    let outcome = back_up(&mut world, &kubectl, command, "some", &saved).await;
    assert_eq!(outcome.results["volumes"], "2 of 2");
    assert_eq!(outcome.results.get("volumes-without-data"), None);
    assert!(
        !output(&outcome).contains("WARNING"),
        "{}",
        output(&outcome)
    );

    let outcome = run(
        &mut world,
        "backup create later --include-namespaces light-volumes-shop",
    )
    .await;
    let hint = "juju run velero-operator/0 run command=\"backup describe later\"";
    assert!(output(&outcome).ends_with("with `--wait`.") && output(&outcome).contains(hint));

    output(&run(&mut world, "schedule create daily --schedule @daily --paused --include-namespaces light-volumes-shop").await);
    let command = "backup create of-schedule --from-schedule daily --wait";
    let outcome = back_up(&mut world, &kubectl, command, "of-schedule", &[]).await;
    assert_eq!(outcome.results["volumes"], "0 of 4");
}

/// Runs a backup that Velero completes, with copies of these volumes of pods.
async fn back_up(
    world: &mut LightWorld,
    kubectl: &Kubectl,
    command: &str,
    name: &str,
    saved: &[(&str, &str, &str)],
) -> ActionOutcome {
    let namespace = world.namespace.clone();
    let (outcome, ()) = tokio::join!(
        run(world, command),
        complete(kubectl, &namespace, name, saved)
    );
    outcome
}

/// What Velero does to a Backup, as far as the cluster shows it.
pub(super) async fn complete(
    kubectl: &Kubectl,
    space: &str,
    name: &str,
    saved: &[(&str, &str, &str)],
) {
    let object = format!("backups.velero.io/{name}");
    let wait = ["-n", space, "wait", "--for=create", &object, TIMEOUT];
    kubectl.run(&wait).await.unwrap();
    let get = [
        "-n",
        space,
        "get",
        &object,
        "-o",
        "jsonpath={.metadata.uid}",
    ];
    let uid = kubectl.run(&get).await.unwrap();
    for (namespace, pod, volume) in saved {
        let copy = json!({
            "apiVersion": "velero.io/v1",
            "kind": "PodVolumeBackup",
            "metadata": {
                "name": format!("{name}-{volume}"),
                "namespace": space,
                "labels": {"velero.io/backup-name": name, "velero.io/backup-uid": uid},
            },
            "spec": {
                "backupStorageLocation": "default",
                "node": NODE,
                "pod": {"namespace": namespace, "name": pod},
                "repoIdentifier": "",
                "volume": volume,
            },
            "status": {"phase": "Completed"},
        });
        let apply = ["apply", "-f", "-"];
        kubectl.run_on(&apply, &copy.to_string()).await.unwrap();
    }
    let now = jiff::Timestamp::now().to_string();
    let status = json!({"phase": "Completed", "startTimestamp": now, "completionTimestamp": now});
    let status = json!({ "status": status }).to_string();
    let patch = ["-n", space, "patch", &object, "--type=merge", "-p", &status];
    kubectl.run(&patch).await.unwrap();
}

/// A namespace with a pod that has a claim, a volume of its own and a Secret, with a claim on a node's
/// folder, and with one that nobody mounts.
pub(super) async fn open_shop(world: &LightWorld, shop: &str) {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": shop}});
    world.apply(&namespace).await.unwrap();
    for (claim, source) in [
        (
            "data",
            json!({"nfs": {"server": "192.0.2.9", "path": "/data"}}),
        ),
        (
            "idle",
            json!({"nfs": {"server": "192.0.2.9", "path": "/idle"}}),
        ),
        ("local", json!({"hostPath": {"path": "/srv/local"}})),
    ] {
        let volume = format!("{shop}-{claim}");
        let size = json!({"storage": "1Gi"});
        let mut spec = json!({
            "accessModes": ["ReadWriteOnce"],
            "capacity": size,
            "claimRef": {"namespace": shop, "name": claim},
            "storageClassName": "",
        });
        spec.as_object_mut()
            .unwrap()
            .extend(source.as_object().unwrap().clone());
        let object = json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume}, "spec": spec,
        });
        world.apply(&object).await.unwrap();
        let object = json!({
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": claim, "namespace": shop},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": size},
                "storageClassName": "",
                "volumeName": volume,
            },
        });
        world.apply(&object).await.unwrap();
        // No controller of the plane binds claims.
        let bound = json!({"status": {"phase": "Bound"}}).to_string();
        let patch = [
            "-n",
            shop,
            "patch",
            "pvc",
            claim,
            "--subresource=status",
            "-p",
            &bound,
        ];
        world.kubectl(&patch).await.unwrap();
    }
    world.apply(&pod(shop, "cart", "data")).await.unwrap();
    world.apply(&pod(shop, "till", "local")).await.unwrap();
    let ready = ["pod/cart", "pod/till", TIMEOUT, "--for=condition=Ready"];
    let wait = [&["-n", shop, "wait"], &ready[..]].concat();
    world.kubectl(&wait).await.unwrap();
}

fn pod(shop: &str, name: &str, claim: &str) -> Value {
    let mut volumes = vec![
        json!({"name": claim, "persistentVolumeClaim": {"claimName": claim}}),
        json!({"name": "settings", "configMap": {"name": "settings", "optional": true}}),
    ];
    if name == "cart" {
        volumes.push(json!({"name": "cache", "emptyDir": {}}));
    }
    let names = volumes.iter().filter_map(|volume| volume["name"].as_str());
    let mounts: Vec<_> = names
        .map(|name| json!({"name": name, "mountPath": format!("/{name}")}))
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": shop, "labels": {"app": name}},
        "spec": {
            "automountServiceAccountToken": false,
            "nodeName": NODE,
            "containers": [{"name": "shop", "image": "shop", "volumeMounts": mounts}],
            "volumes": volumes,
        },
    })
}
