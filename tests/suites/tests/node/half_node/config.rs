//! Options, good and bad.

use kube_stack::versions::BUSYBOX_IMAGE;
use kube_stack::{DEADLINE, until};
use serde_json::{Value, json};
use worlds::kubectl::TIMEOUT;
use worlds::namespaces;
use worlds::operator::APP;
use worlds::shop::Shop;
use worlds::stores::no_store;
use worlds::versions;
use worlds::world::{HalfNode, World};

use crate::{kubectl, run_with};

#[tokio::test]
async fn an_image_that_cannot_be_pulled_is_named() {
    let mut world = HalfNode::deployed("bad-image").await.unwrap();

    world
        .config("velero-image", "velero/velero:v1.18.99")
        .await
        .unwrap();
    let reason = ["`ImagePullBackOff` of image `", "velero/velero:v1.18.99`"];
    world
        .expect_in_status("blocked: set an image that the nodes can pull: ", &reason)
        .unwrap();
    world
        .config("velero-image", &versions::velero_image())
        .await
        .unwrap();
    world.expect_status(&no_store()).unwrap();

    let plugin = "velero/velero-plugin-for-aws:v1.14.99";
    world
        .config("velero-aws-plugin-image", plugin)
        .await
        .unwrap();
    let settings = world.settings();
    world.integrate(settings).await.unwrap();
    let reason = ["`ImagePullBackOff` of image `", plugin];
    world
        .expect_in_status("blocked: set an image that the nodes can pull: ", &reason)
        .unwrap();
    world
        .config("velero-aws-plugin-image", &versions::plugin_aws_image())
        .await
        .unwrap();
    world.expect_status("active: ").unwrap();
}

/// What the results of a Backup of the shop say of its volume.
async fn back_up(world: &mut World, shop: &str, name: &str) -> Value {
    let backup = json!({"namespaces": shop, "name": name});
    let outcome = run_with(world, "create-backup", backup).await;
    assert_eq!(outcome.status, "completed", "{}", outcome.message);
    outcome.results["volumes"].clone()
}

/// What Velero has made a repository with.
async fn of_repository(world: &World) -> String {
    let path = "jsonpath={.items[*].spec.repositoryConfig}";
    kubectl(world, &["get", "backuprepositories", "-o", path]).await
}

async fn documents(world: &World) -> String {
    let ours = format!("velero-operator/application={APP}");
    let names = kubectl(world, &["get", "configmaps", "-o", "name", "-l", &ours]).await;
    names.replace(&format!("configmap/{APP}-applied"), "")
}

#[tokio::test]
async fn documents_reach_the_server_and_go_again() {
    let mut world = HalfNode::connected("documents").await.unwrap();
    world.back_up_files().await.unwrap();
    let shop = Shop::open(&world.stack, "shop-documents").await.unwrap();
    let skip = "{version: v1, volumePolicies: [
        {conditions: {storageClass: [local-path]}, action: {type: skip}}]}";
    let options = [("volume-policies", skip), ("repository-gc", "fastGC")];
    world.juju.config(APP, &options).unwrap();
    world.settle().await.unwrap();
    world.expect_in_status("active: ", &[]).unwrap();

    let skipped = back_up(&mut world, "shop-documents", "skipped").await;
    assert_eq!(skipped, "0 of 1");
    let store = world.stack.s3();
    assert_eq!(store.list(&world.bucket, "kopia/").await.unwrap(), []);

    world.reset(&["volume-policies"]).await.unwrap();
    let saved = back_up(&mut world, "shop-documents", "saved").await;
    assert_eq!(saved, "1 of 1");
    assert_ne!(store.list(&world.bucket, "kopia/").await.unwrap(), []);
    let made_with = r#"{"fullMaintenanceInterval":"fastGC"}"#;
    assert_eq!(of_repository(&world).await, made_with);

    world.config("repository-cache-mb", "300").await.unwrap();
    let followed = r#"{"cacheLimitMB":"300","fullMaintenanceInterval":"fastGC"}"#;
    assert_eq!(of_repository(&world).await, followed);
    let saved = back_up(&mut world, "shop-documents", "cached").await;
    assert_eq!(saved, "1 of 1");
    world.config("repository-cache-mb", "7").await.unwrap();
    let wrong = ["set it to a number from 100 to 999999: `repository-cache-mb` is 7"];
    world.expect_in_status("blocked: ", &wrong).unwrap();
    assert_eq!(of_repository(&world).await, followed);

    let options = ["repository-cache-mb", "repository-gc"];
    world.reset(&options).await.unwrap();
    world.expect_in_status("active: ", &[]).unwrap();
    assert_eq!(of_repository(&world).await, made_with);
    assert_eq!(documents(&world).await.trim(), "");
    let saved = back_up(&mut world, "shop-documents", "plain").await;
    assert_eq!(saved, "1 of 1");
    shop.lose().await.unwrap();
}

/// The node agent's pod.
async fn agent(world: &World, path: &str) -> String {
    let path = format!("jsonpath={{{path}}}");
    kubectl(
        world,
        &["get", "pods", "-l", "name=node-agent", "-o", &path],
    )
    .await
}

/// The node agent that runs says so.
async fn until_document_is_read(world: &World) {
    let log = ["logs", "-l", "name=node-agent", "--tail=-1"];
    let is_read = async || {
        let said = kubectl(world, &log).await;
        said.contains("Using customized loadAffinity")
    };
    until("the document is read", DEADLINE, is_read)
        .await
        .unwrap();
}

async fn agents_document(world: &World) -> String {
    kubectl(world, &["get", NODE_AGENT_CONFIG, "-o", "jsonpath={.data}"]).await
}

const NODE_AGENT_CONFIG: &str = "configmap/velero-node-agent-config";
const LAST_SAID: &str = ".items[*].status.containerStatuses[*].lastState.terminated.message";
const UID: &str = ".items[*].metadata.uid";

#[tokio::test]
async fn node_agent_starts_with_its_document_alone() {
    let mut world = HalfNode::connected("its-document").await.unwrap();
    world.config("use-node-agent", "true").await.unwrap();
    let bare = agent(&world, UID).await;
    let options = [
        ("data-mover-nodes", "disk=ssd"),
        ("data-mover-concurrency", "2"),
    ];
    world.juju.config(APP, &options).unwrap();
    world.settle().await.unwrap();
    world.expect_status("active: ").unwrap();
    let with_document = agent(&world, UID).await;
    assert_ne!(with_document, bare);
    until_document_is_read(&world).await;

    let own = agents_document(&world).await;
    world.config("data-mover-nodes", "disk").await.unwrap();
    world
        .expect_in_status("blocked: ", &["`data-mover-nodes` has no `=`"])
        .unwrap();
    assert_eq!(agents_document(&world).await, own);
    assert_eq!(agent(&world, UID).await, with_document);
    world.config("data-mover-nodes", "disk=ssd").await.unwrap();
    world.expect_status("active: ").unwrap();

    let edit = r#"{"data":{"mine":"{}"}}"#;
    kubectl(&world, &["patch", NODE_AGENT_CONFIG, "-p", edit]).await;
    kubectl(&world, &["delete", "pods", "-l", "name=node-agent"]).await;
    let refuses = async || {
        let said = agent(&world, LAST_SAID).await;
        said.contains("more than one keys are found in ConfigMap")
    };
    until("Velero refuses it", DEADLINE, refuses).await.unwrap();
    world.update_status().await.unwrap();
    assert_eq!(agents_document(&world).await, own);
    until_document_is_read(&world).await;
    let said = "Took `mine` out of ConfigMap `velero-node-agent-config`";
    assert_eq!(world.log().matches(said).count(), 1);

    let options = ["data-mover-nodes", "data-mover-concurrency"];
    world.reset(&options).await.unwrap();
    world.expect_status("active: ").unwrap();
    assert_eq!(documents(&world).await.trim(), "");
}

/// Velero's requests to copy the files of volumes.
const COPIES: &str = "podvolumebackups.velero.io";

/// How far the copies of a Backup are, in the order of the words.
async fn copies(world: &World, backup: &str) -> Vec<String> {
    let of_backup = format!("velero.io/backup-name={backup}");
    let path = "jsonpath={.items[*].status.phase}";
    let phases = kubectl(world, &["get", COPIES, "-l", &of_backup, "-o", path]).await;
    let mut phases: Vec<_> = phases.split_whitespace().map(str::to_owned).collect();
    phases.sort();
    phases
}

async fn cancel_copies(world: &World, backup: &str) {
    let of_backup = format!("velero.io/backup-name={backup}");
    let names = kubectl(world, &["get", COPIES, "-l", &of_backup, "-o", "name"]).await;
    for copy in names.split_whitespace() {
        let patch = r#"{"spec":{"cancel":true}}"#;
        kubectl(world, &["patch", copy, "--type=merge", "-p", patch]).await;
    }
    let ended = "--for=jsonpath={.status.phase}=PartiallyFailed";
    let backup = format!("backups.velero.io/{backup}");
    kubectl(world, &["wait", &backup, ended, TIMEOUT]).await;
}

/// A pod with two volumes that take minutes to read, and nothing to keep.
async fn open_an_endless_shop(world: &World, namespace: &str) {
    let volumes = ["one", "other"];
    let script = "truncate -s 200G /one/endless /other/endless && touch /tmp/open && sleep 3600";
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "endless", "namespace": namespace},
        "spec": {
            "containers": [{
                "name": "endless", "image": BUSYBOX_IMAGE, "command": ["sh", "-c", script],
                "readinessProbe": {"exec": {"command": ["cat", "/tmp/open"]}, "periodSeconds": 1},
                "volumeMounts": volumes.map(|name| json!({"name": name, "mountPath": format!("/{name}")})),
            }],
            "volumes": volumes.map(|name| json!({"name": name, "emptyDir": {}})),
            "terminationGracePeriodSeconds": 0,
        },
    });
    world
        .kubectl(&["create", "namespace", namespace])
        .await
        .unwrap();
    world.apply(&pod).await.unwrap();
    let ready = ["wait", "pod/endless", "--for=condition=Ready", TIMEOUT];
    world
        .kubectl(&[&["-n", namespace], &ready[..]].concat())
        .await
        .unwrap();
}

#[tokio::test]
async fn data_movers_work_as_many_at_once_as_is_set() {
    const SHOP: &str = "shop-movers";
    let mut world = HalfNode::connected("movers").await.unwrap();
    world.back_up_files().await.unwrap();
    // It tells who waits for others at this level alone.
    world.config("log-level", "debug").await.unwrap();
    open_an_endless_shop(&world, SHOP).await;
    let start = async |world: &mut World, name: &str| {
        let backup = json!({"namespaces": SHOP, "name": name, "wait": false});
        let outcome = run_with(world, "create-backup", backup).await;
        assert_eq!(outcome.status, "completed", "{}", outcome.message);
    };

    start(&mut world, "one-by-one").await;
    let waits = async || {
        let log = ["logs", "-l", "name=node-agent", "--tail=-1"];
        let limited = "Data path instance is concurrent limited";
        copies(&world, "one-by-one").await == ["InProgress", "Prepared"]
            && kubectl(&world, &log).await.contains(limited)
    };
    until("one waits for the other", DEADLINE, waits)
        .await
        .unwrap();
    cancel_copies(&world, "one-by-one").await;

    world.config("data-mover-concurrency", "2").await.unwrap();
    world.expect_status("active: ").unwrap();
    start(&mut world, "both").await;
    let work = async || copies(&world, "both").await == ["InProgress"; 2];
    until("both work", DEADLINE, work).await.unwrap();

    // Velero holds them with a finalizer, and goes with its namespace: the world that comes next must not wait for it.
    let left_over = [SHOP.to_owned(), world.namespace.clone()];
    namespaces::delete(&world.client(), &left_over)
        .await
        .unwrap();
}
