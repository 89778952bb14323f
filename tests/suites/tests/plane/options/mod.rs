//! What options become in the cluster, set and set back; who is restarted, and what waits for work in flight.

mod cases;

use serde_json::{Value, json};
use worlds::operator::APP;
use worlds::plane::{LightWorld, Plane};

use self::cases::CASES;
use crate::here;

const SERVER: &str = "deployment/velero";
const NODE_AGENT: &str = "daemonset/node-agent";

const NODE_AGENT_CONFIG: &str = "configmap/velero-node-agent-config";
const REPOSITORY_CONFIG: &str = "configmap/velero-repository-config";
const ARGUMENTS: &str = "/spec/template/spec/containers/0/args";
const RESOURCES: &str = "/spec/template/spec/containers/0/resources";

pub(crate) async fn object(world: &LightWorld, name: &str) -> Value {
    let text = here(world, &["get", name, "-o", "json", "--ignore-not-found"]).await;
    serde_json::from_str(&text).unwrap_or_default()
}

/// The generations of the pod templates' owners.
async fn generations(world: &LightWorld) -> Vec<(&'static str, Value)> {
    let mut all = Vec::new();
    for name in [SERVER, NODE_AGENT] {
        all.push((
            name,
            object(world, name).await["metadata"]["generation"].clone(),
        ));
    }
    all
}

/// Whether a Backup is worked on.
pub(crate) async fn let_backup(world: &LightWorld, phase: &str) {
    let backup = json!({
        "apiVersion": "velero.io/v1", "kind": "Backup",
        "metadata": {"name": "nightly", "namespace": world.namespace},
        "status": {"phase": phase},
    });
    world.apply(&backup).await.unwrap();
}

/// What a cluster has that can snapshot the volumes of one of its two `StorageClass`es.
pub(crate) async fn snapshots_can_be_taken(world: &LightWorld) {
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    world
        .apply(&json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {
                "name": "volumesnapshotclasses.snapshot.storage.k8s.io",
                "annotations": {"api-approved.kubernetes.io": "unapproved, a test's"},
            },
            "spec": {
                "group": "snapshot.storage.k8s.io", "scope": "Cluster",
                "names": {"kind": "VolumeSnapshotClass", "plural": "volumesnapshotclasses"},
                "versions": [{
                    "name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
                }],
            },
        }))
        .await
        .unwrap();
    let crd = "crd/volumesnapshotclasses.snapshot.storage.k8s.io";
    here(world, &["wait", crd, "--for=condition=Established"]).await;
    for (name, driver) in [("fast", "disk.example.com"), ("local", "local.example.com")] {
        world
            .apply(&json!({
                "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
                "metadata": {"name": name}, "provisioner": driver,
            }))
            .await
            .unwrap();
    }
    let class = snapshot_class("fast", "disk.example.com");
    world.apply(&class).await.unwrap();
}

/// A class whose snapshots are of this driver's volumes.
pub(crate) fn snapshot_class(name: &str, driver: &str) -> Value {
    json!({
        "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotClass",
        "metadata": {"name": name}, "driver": driver, "deletionPolicy": "Delete",
    })
}

/// Options of which each has a row in the table, and a unit test; here they meet the API server and the scheduler.
const TOGETHER: &[(&str, &str)] = &[
    ("default-backup-ttl", "48h"),
    ("concurrent-backups", "2"),
    ("item-block-workers", "3"),
    ("tolerations", "dedicated=backup:NoSchedule,gpu"),
    ("priority-class", "system-cluster-critical"),
    ("image-pull-secret", "pull"),
    ("log-level", "debug"),
    ("log-format", "json"),
    ("kubelet-root-dir", "/var/lib/k0s/kubelet"),
];

async fn set_options_together(world: &mut LightWorld) {
    let before = [object(world, SERVER).await, object(world, NODE_AGENT).await];
    world.juju.config(APP, TOGETHER).unwrap();
    world
        .juju
        .model_proxy("juju-https-proxy", "http://egress.example:3128")
        .unwrap();
    world.settle().await.unwrap();
    world.expect_in_status("active: ", &[]).unwrap();
    let run = world.update_status().await.unwrap();
    assert_eq!(run.statuses, [], "the next hook changes nothing");
    let [server, agent] = [SERVER, NODE_AGENT].map(|name| object(world, name));
    let [server, agent] =
        [server.await, agent.await].map(|one| one["spec"]["template"].to_string());
    for text in [
        r#""--default-backup-ttl=48h""#,
        r#""--concurrent-backups=2""#,
        r#""--item-block-worker-count=3""#,
    ] {
        assert!(
            server.contains(text) && !agent.contains(text),
            "{text}: {server}"
        );
    }
    for text in [
        r#"{"effect":"NoSchedule","key":"dedicated","operator":"Equal","value":"backup"}"#,
        r#""priorityClassName":"system-cluster-critical""#,
        r#""imagePullSecrets":[{"name":"pull"}]"#,
        r#""--log-level=debug""#,
        r#""--log-format=json""#,
        r#"{"name":"HTTPS_PROXY","value":"http://egress.example:3128"}"#,
        ".svc,.cluster.local,",
    ] {
        assert!(
            server.contains(text) && agent.contains(text),
            "{text}: {server} {agent}"
        );
    }
    for (map, key) in [
        (NODE_AGENT_CONFIG, "config"),
        ("configmap/velero-maintenance-config", "global"),
    ] {
        let map = object(world, map).await;
        let class = r#"{"priorityClassName":"system-cluster-critical"}"#;
        assert_eq!(map["data"][key], class);
    }
    for folder in ["/var/lib/k0s/kubelet/pods", "/var/lib/k0s/kubelet/plugins"] {
        assert!(agent.contains(folder), "{folder}: {agent}");
    }

    let options: Vec<_> = TOGETHER.iter().map(|(option, _)| *option).collect();
    world.juju.model_proxy("juju-https-proxy", "").unwrap();
    world.reset(&options).await.unwrap();
    world.expect_in_status("active: ", &[]).unwrap();
    assert_eq!(documents(world).await.trim(), "");
    for (name, before) in [SERVER, NODE_AGENT].into_iter().zip(before) {
        let after = object(world, name).await;
        assert_eq!(after["spec"], before["spec"], "{name}");
    }

    world.config("priority-class", "high").await.unwrap();
    let named = "make the PriorityClass, or reset the option: `priority-class` is `high`";
    world.expect_in_status("blocked: ", &[named]).unwrap();
    world.reset(&["priority-class"]).await.unwrap();
    world.expect_in_status("active: ", &[]).unwrap();
}

/// Of a distribution that says so on its nodes.
async fn kubelets_folder_is_found(world: &mut LightWorld) {
    let folders = async |world: &LightWorld| {
        let agent = object(world, NODE_AGENT).await;
        let volumes = agent["spec"]["template"]["spec"]["volumes"].clone();
        let paths = volumes.as_array().unwrap().iter();
        let paths: Vec<_> = paths
            .filter_map(|volume| volume["hostPath"]["path"].as_str().map(str::to_owned))
            .collect();
        paths
    };
    let below = |root: &str| ["pods", "plugins"].map(|folder| format!("{root}/{folder}"));
    assert_eq!(folders(world).await, below("/var/lib/kubelet"));
    // The API server lists it before the one where the pods are.
    let node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": "first", "labels": {"microk8s.io/cluster": "true"}},
        "spec": {"unschedulable": true},
    });
    world.apply(&node).await.unwrap();
    world.update_status().await.unwrap();
    let found = below("/var/snap/microk8s/common/var/lib/kubelet");
    assert_eq!(folders(world).await, found);
    let run = world.update_status().await.unwrap();
    assert_eq!(run.statuses, [], "the next hook changes nothing");

    world.config("kubelet-root-dir", "/kubelet").await.unwrap();
    assert_eq!(
        folders(world).await,
        below("/kubelet"),
        "the user knows better"
    );
    here(world, &["delete", "node/first"]).await;
    world.reset(&["kubelet-root-dir"]).await.unwrap();
    assert_eq!(folders(world).await, below("/var/lib/kubelet"));
}

async fn edits_stay_where_no_option_is_set(world: &mut LightWorld) {
    let memory = async |world: &LightWorld| {
        let server = object(world, SERVER).await;
        server.pointer(RESOURCES).unwrap()["limits"]["memory"].clone()
    };
    let by_hand = [
        "set",
        "resources",
        SERVER,
        "-c",
        "velero",
        "--limits=memory=3Gi",
    ];
    here(world, &by_hand).await;
    world.update_status().await.unwrap();
    world.config("cpu-limit", "2").await.unwrap();
    assert_eq!(memory(world).await, "3Gi", "no option is set");
    world.config("memory-limit", "2Gi").await.unwrap();
    world.update_status().await.unwrap();
    assert_eq!(memory(world).await, "2Gi");
    let said = "An option takes the place of what somebody had set";
    assert_eq!(world.log().matches(said).count(), 1);
    world.reset(&["memory-limit", "cpu-limit"]).await.unwrap();
    assert_eq!(memory(world).await, "512Mi");
}

/// The ConfigMaps of ours, but for the record.
async fn documents(world: &LightWorld) -> String {
    let ours = format!("velero-operator/application={APP}");
    let names = here(world, &["get", "configmaps", "-o", "name", "-l", &ours]).await;
    names.replace(&format!("configmap/{APP}-applied"), "")
}

async fn documents_change_as_their_readers_need(world: &mut LightWorld) {
    let content = async |world: &LightWorld, name: &str, key: &str| {
        let map = object(world, name).await;
        map["data"][key].clone()
    };
    let settings = [("repository-gc", "fastGC"), ("data-mover-concurrency", "2")];
    world.juju.config(APP, &settings).unwrap();
    world.settle().await.unwrap();
    let repository = json!({
        "apiVersion": "velero.io/v1", "kind": "BackupRepository",
        "metadata": {"name": "shop", "namespace": world.namespace},
        "spec": {
            "backupStorageLocation": "default", "maintenanceFrequency": "1h0m0s",
            "volumeNamespace": "shop", "repositoryConfig": {"fullMaintenanceInterval": "normalGC"},
        },
    });
    world.apply(&repository).await.unwrap();
    let of_repository = async |world: &LightWorld| {
        let repository = object(world, "backuprepository/shop").await;
        repository["spec"]["repositoryConfig"].to_string()
    };
    let before = generations(world).await;
    let_backup(world, "InProgress").await;

    // Read at each use: nobody waits for it, nobody is restarted.
    world.config("repository-cache-mb", "800").await.unwrap();
    world.expect_in_status("active: ", &[]).unwrap();
    let both = r#"{"cacheLimitMB":800,"fullMaintenanceInterval":"fastGC"}"#;
    assert_eq!(content(world, REPOSITORY_CONFIG, "kopia").await, both);
    let followed = r#"{"cacheLimitMB":"800","fullMaintenanceInterval":"normalGC"}"#;
    assert_eq!(of_repository(world).await, followed);
    assert_eq!(generations(world).await, before);

    // Read at start: the pods and what they would read stay as they are until the Backup has ended.
    world.config("data-mover-concurrency", "4").await.unwrap();
    world
        .expect_in_status("waiting: waiting for Backup `nightly`", &[])
        .unwrap();
    let loads = r#"{"loadConcurrency":{"globalConfig":2}}"#;
    assert_eq!(content(world, NODE_AGENT_CONFIG, "config").await, loads);
    assert_eq!(generations(world).await, before);
    let_backup(world, "Completed").await;
    world.update_status().await.unwrap();
    world.expect_in_status("active: ", &[]).unwrap();
    let loads = r#"{"loadConcurrency":{"globalConfig":4}}"#;
    assert_eq!(content(world, NODE_AGENT_CONFIG, "config").await, loads);
    let after = generations(world).await;
    assert_eq!(after[0], before[0], "the server");
    assert_ne!(after[1], before[1], "the node agent");

    let options = settings.map(|(option, _)| option);
    world.reset(&options).await.unwrap();
    world.reset(&["repository-cache-mb"]).await.unwrap();
    assert_eq!(documents(world).await.trim(), "");
    let made_with = r#"{"fullMaintenanceInterval":"normalGC"}"#;
    assert_eq!(of_repository(world).await, made_with);

    let policies =
        "{version: v1, volumePolicies: [{action: {type: skip}, conditions: {capacity: 1Gi}}, {}]}";
    world.config("volume-policies", policies).await.unwrap();
    let both = [
        "`volumePolicies[0].conditions.capacity`",
        "`volumePolicies[1].action`",
    ];
    world.expect_in_status("blocked: ", &both).unwrap();
    assert_eq!(documents(world).await.trim(), "", "nothing is done");
    world.reset(&["volume-policies"]).await.unwrap();
}

#[tokio::test]
async fn edits_of_documents_are_undone_and_said_once() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "edited-documents")
        .await
        .unwrap();
    let settings = [
        ("use-node-agent", "true"),
        ("data-mover-concurrency", "2"),
        ("repository-gc", "fastGC"),
    ];
    world.juju.config(APP, &settings).unwrap();
    world.settle().await.unwrap();
    let data = async |world: &LightWorld, name: &str| object(world, name).await["data"].clone();
    let own = data(&world, NODE_AGENT_CONFIG).await;

    // Velero's node agents do not start with this.
    let edit = r#"{"data":{"config":"{}","mine":"{}"}}"#;
    here(&world, &["patch", NODE_AGENT_CONFIG, "-p", edit]).await;
    // It reads this one, whatever is next to its own.
    let edit = r#"{"data":{"restic":"{}","kopia":"{}"}}"#;
    here(&world, &["patch", REPOSITORY_CONFIG, "-p", edit]).await;
    let before = generations(&world).await;
    world.update_status().await.unwrap();

    assert_eq!(data(&world, NODE_AGENT_CONFIG).await, own);
    let both = json!({"kopia": r#"{"fullMaintenanceInterval":"fastGC"}"#, "restic": "{}"});
    assert_eq!(data(&world, REPOSITORY_CONFIG).await, both);
    assert_eq!(generations(&world).await, before);
    let run = world.update_status().await.unwrap();
    assert_eq!(run.statuses, [], "the next hook changes nothing");
    for said in [
        "Undid an edit of `config` in ConfigMap `velero-node-agent-config`",
        "Took `mine` out of ConfigMap `velero-node-agent-config`",
        "Undid an edit of `kopia` in ConfigMap `velero-repository-config`",
    ] {
        let log = world.log();
        assert_eq!(log.matches(said).count(), 1, "{said}: {log}");
    }
}

/// One of a user's is refused by name.
async fn document_of_another_is_left_alone(world: &mut LightWorld) {
    let theirs = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "velero-repository-config", "namespace": world.namespace},
        "data": {"kopia": "{}"},
    });
    world.apply(&theirs).await.unwrap();
    world.config("repository-cache-mb", "800").await.unwrap();
    world
        .expect_in_status("blocked: ", &["ConfigMap `velero-repository-config`"])
        .unwrap();
    let there = object(world, REPOSITORY_CONFIG).await;
    assert_eq!(there["data"], theirs["data"]);
    here(world, &["delete", REPOSITORY_CONFIG]).await;
    world.update_status().await.unwrap();
    world.expect_in_status("active: ", &[]).unwrap();
    world.reset(&["repository-cache-mb"]).await.unwrap();
}

#[tokio::test]
async fn options_are_set_and_set_back_and_restarts_wait() {
    let plane = Plane::start().await.unwrap();
    let mut world = LightWorld::connected(&plane, "options").await.unwrap();
    world.config("use-node-agent", "true").await.unwrap();
    let features = async |world: &LightWorld| {
        let server = object(world, SERVER).await;
        server.pointer(ARGUMENTS).unwrap()[1].clone()
    };
    assert_eq!(features(&world).await, "--features=");
    snapshots_can_be_taken(&world).await;
    world.update_status().await.unwrap();
    world
        .expect_in_status("active: ", &["StorageClass `local`"])
        .unwrap();
    assert_eq!(features(&world).await, "--features=EnableCSI");

    let mut wrong = Vec::new();
    for case in CASES {
        let option = case.option;
        let before = generations(&world).await;
        let holds = !case.restarts.is_empty();
        assert!(!case.is_seen(&world).await, "{option} is seen before");
        if holds {
            let_backup(&world, "InProgress").await;
            world.config(option, case.value).await.unwrap();
            let is_held = world
                .status()
                .starts_with("waiting: waiting for Backup `nightly`");
            if !is_held || generations(&world).await != before {
                wrong.push(format!("{option} is not held: {}", world.status()));
            }
            let_backup(&world, "Completed").await;
            world.update_status().await.unwrap();
        } else {
            let_backup(&world, "InProgress").await;
            world.config(option, case.value).await.unwrap();
            let_backup(&world, "Completed").await;
        }
        if !world.status().starts_with("active: ") || !case.is_seen(&world).await {
            wrong.push(format!("{option} is not seen: {}", world.status()));
        }
        for ((name, old), (_, new)) in before.iter().zip(generations(&world).await) {
            if (*old != new) != case.restarts.contains(name) {
                wrong.push(format!("{option}: {name} went from {old} to {new}"));
            }
        }
        let run = world.update_status().await.unwrap();
        assert_eq!(run.statuses, [], "{option}: the next hook changes nothing");
        world.reset(&[option]).await.unwrap();
        if !world.status().starts_with("active: ") || case.is_seen(&world).await {
            wrong.push(format!("{option} stays: {}", world.status()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(documents(&world).await.trim(), "");
    documents_change_as_their_readers_need(&mut world).await;
    document_of_another_is_left_alone(&mut world).await;
    edits_stay_where_no_option_is_set(&mut world).await;
    set_options_together(&mut world).await;
    kubelets_folder_is_found(&mut world).await;
}
