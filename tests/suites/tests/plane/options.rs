//! What options become in the cluster, set and set back; who is restarted, and what waits for work in flight.

use serde_json::{Value, json};
use worlds::operator::APP;
use worlds::plane::{LightWorld, Plane};

use crate::here;

const SERVER: &str = "deployment/velero";
const NODE_AGENT: &str = "daemonset/node-agent";

/// An option, a value, and what is to be seen where.
struct Case {
    option: &'static str,
    value: &'static str,
    seen: &'static [(&'static str, &'static str, &'static str)],
    /// Whose pods are replaced.
    restarts: &'static [&'static str],
}

const ARGUMENTS: &str = "/spec/template/spec/containers/0/args";
const RESOURCES: &str = "/spec/template/spec/containers/0/resources";

const CASES: &[Case] = &[
    Case {
        option: "csi-snapshots",
        value: "false",
        seen: &[
            (SERVER, ARGUMENTS, "\"--features=\""),
            (NODE_AGENT, ARGUMENTS, "\"--features=\""),
        ],
        restarts: &[SERVER, NODE_AGENT],
    },
    Case {
        option: "snapshot-move-data",
        value: "true",
        seen: &[(SERVER, ARGUMENTS, "\"--default-snapshot-move-data=true\"")],
        restarts: &[SERVER],
    },
    Case {
        option: "cpu-request",
        value: "250m",
        seen: &[(SERVER, RESOURCES, r#""requests":{"cpu":"250m""#)],
        restarts: &[SERVER],
    },
    Case {
        option: "cpu-limit",
        value: "2",
        seen: &[(SERVER, RESOURCES, r#""limits":{"cpu":"2""#)],
        restarts: &[SERVER],
    },
    Case {
        option: "memory-request",
        value: "200Mi",
        seen: &[(SERVER, RESOURCES, r#""memory":"200Mi""#)],
        restarts: &[SERVER],
    },
    Case {
        option: "memory-limit",
        value: "2Gi",
        seen: &[(SERVER, RESOURCES, r#""memory":"2Gi""#)],
        restarts: &[SERVER],
    },
    Case {
        option: "node-agent-cpu-request",
        value: "100m",
        seen: &[(NODE_AGENT, RESOURCES, r#""requests":{"cpu":"100m""#)],
        restarts: &[NODE_AGENT],
    },
    Case {
        option: "node-agent-cpu-limit",
        value: "3",
        seen: &[(NODE_AGENT, RESOURCES, r#""limits":{"cpu":"3""#)],
        restarts: &[NODE_AGENT],
    },
    Case {
        option: "node-agent-memory-request",
        value: "64Mi",
        seen: &[(NODE_AGENT, RESOURCES, r#""memory":"64Mi""#)],
        restarts: &[NODE_AGENT],
    },
    Case {
        option: "node-agent-memory-limit",
        value: "1Gi",
        seen: &[(NODE_AGENT, RESOURCES, r#""memory":"1Gi""#)],
        restarts: &[NODE_AGENT],
    },
];

async fn object(world: &LightWorld, name: &str) -> Value {
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
async fn let_backup(world: &LightWorld, phase: &str) {
    let backup = json!({
        "apiVersion": "velero.io/v1", "kind": "Backup",
        "metadata": {"name": "nightly", "namespace": world.namespace},
        "status": {"phase": phase},
    });
    world.apply(&backup).await.unwrap();
}

impl Case {
    async fn is_seen(&self, world: &LightWorld) -> bool {
        for (name, place, text) in self.seen {
            let object = object(world, name).await;
            let found = object.pointer(place).unwrap_or(&Value::Null);
            if !found.to_string().contains(text) {
                return false;
            }
        }
        true
    }
}

/// What a cluster has whose volumes can be snapshotted.
async fn snapshots_can_be_taken(world: &LightWorld) {
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
    world
        .apply(&json!({
            "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotClass",
            "metadata": {"name": "fast"}, "driver": "disk.example.com", "deletionPolicy": "Delete",
        }))
        .await
        .unwrap();
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
    for folder in ["/var/lib/k0s/kubelet/pods", "/var/lib/k0s/kubelet/plugins"] {
        assert!(agent.contains(folder), "{folder}: {agent}");
    }

    let options: Vec<_> = TOGETHER.iter().map(|(option, _)| *option).collect();
    world.juju.model_proxy("juju-https-proxy", "").unwrap();
    world.reset(&options).await.unwrap();
    world.expect_in_status("active: ", &[]).unwrap();
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
    world.expect_in_status("active: ", &[]).unwrap();
    assert_eq!(features(&world).await, "--features=EnableCSI");
    let named =
        "Volumes of StorageClass `local` are not snapshotted: there is no VolumeSnapshotClass";
    assert_eq!(world.log().matches(named).count(), 1);

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
    edits_stay_where_no_option_is_set(&mut world).await;
    set_options_together(&mut world).await;
}
