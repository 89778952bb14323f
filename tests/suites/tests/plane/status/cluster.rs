//! The cluster: what it refuses, who else is in it, and an API server that is away or sick.

use juju_emulator::DeployOptions;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use kube_stack::proxy::{Asked, Face, Fault, Refusal, Rule};
use kube_stack::{ApiEndpoint, DEADLINE};
use serde_json::{Value, json};
use worlds::kubectl::TIMEOUT;
use worlds::plane::{LightWorld, Plane};

use super::pods::until_server_is_available;
use super::table::{Rows, Section};
use crate::{here, options};

/// Nobody listens there.
const DEAD_PORT: u16 = 1;

async fn enforce(world: &LightWorld, level: &str) {
    let label = format!("pod-security.kubernetes.io/enforce={level}");
    let arguments = [
        "label",
        "namespace",
        &world.namespace,
        &label,
        "--overwrite",
    ];
    world.kubectl(&arguments).await.unwrap();
}

pub(crate) async fn not_snapshotted(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let mut world = LightWorld::connected(plane, "not-snapshotted")
        .await
        .unwrap();
    options::snapshots_can_be_taken(&world).await;
    world.update_status().await.unwrap();
    let situation = "Velero takes CSI snapshots, and a StorageClass has no VolumeSnapshotClass";
    rows.take(&world, Section::Backups, "active", situation);
    let class = options::snapshot_class("local", "local.example.com");
    world.apply(&class).await.unwrap();
    world.update_status().await.unwrap();
    rows.healed(&world);

    let of_same_driver = options::snapshot_class("second", "local.example.com");
    world.apply(&of_same_driver).await.unwrap();
    world.update_status().await.unwrap();
    let situation =
        "Velero takes CSI snapshots, and a StorageClass has several VolumeSnapshotClasses";
    rows.take(&world, Section::Backups, "active", situation);
    let chosen = "velero.io/csi-volumesnapshot-class=true";
    here(&world, &["label", "volumesnapshotclass", "second", chosen]).await;
    world.update_status().await.unwrap();
    rows.healed(&world);
    here(&world, &["delete", "volumesnapshotclasses", "--all"]).await;
    rows
}

pub(crate) async fn pod_security(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let mut world = LightWorld::connected(plane, "pod-security").await.unwrap();
    enforce(&world, "baseline").await;
    world.config("use-node-agent", "true").await.unwrap();
    let situation = "The namespace enforces `baseline`, and the node agent is wanted";
    rows.take(&world, Section::Velero, "blocked", situation);
    enforce(&world, "privileged").await;
    let made = ["wait", "pods", "-l", "name=node-agent", "--for=create"];
    here(&world, &[&made[..], &[TIMEOUT]].concat()).await;
    world.update_status().await.unwrap();
    rows.healed(&world);
    world.reset(&["use-node-agent"]).await.unwrap();
    world.expect_status("active: ").unwrap();

    enforce(&world, "restricted").await;
    pods_go(&world).await;
    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();
    let added = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "theirs", "image": "example/theirs:1"},
    ]}}}});
    edit_server(&world, &added).await;
    world.update_status().await.unwrap();
    let situation =
        "The namespace enforces `restricted`, and somebody has given the server another container";
    rows.take(&world, Section::Velero, "blocked", situation);
    let undone = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "theirs", "$patch": "delete"},
    ]}}}});
    edit_server(&world, &undone).await;
    until_server_is_available(&world).await;
    world.update_status().await.unwrap();
    rows.healed(&world);
    rows
}

async fn pods_go(world: &LightWorld) {
    let pods: Api<Pod> = Api::namespaced(world.client(), &world.namespace);
    let how = DeleteParams::default();
    pods.delete_collection(&how, &ListParams::default())
        .await
        .unwrap();
}

async fn edit_server(world: &LightWorld, patch: &Value) {
    let patch = patch.to_string();
    let arguments = [
        "-n",
        &world.namespace,
        "patch",
        "deployment",
        "velero",
        "-p",
        &patch,
    ];
    world.kubectl(&arguments).await.unwrap();
}

pub(crate) async fn foreign(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let mut world = plane.world("foreign").await.unwrap();
    let arguments = [
        "create",
        "deployment",
        "velero",
        "--image=velero/velero:v1.16.0",
        "-n",
        &world.namespace,
    ];
    world.kubectl(&arguments).await.unwrap();
    world.deploy(DeployOptions::trusted()).await.unwrap();
    let situation = "The namespace has a Velero that this charm did not install";
    rows.take(&world, Section::Setup, "blocked", situation);
    let delete = ["delete", "deployment", "velero", "-n", &world.namespace];
    world.kubectl(&delete).await.unwrap();
    world.connect().await.unwrap();
    rows.healed(&world);

    let mut world = plane.world("namesake").await.unwrap();
    let account = ["create", "serviceaccount", "velero", "-n", &world.namespace];
    world.kubectl(&account).await.unwrap();
    world.deploy(DeployOptions::trusted()).await.unwrap();
    let situation = "An object of somebody else's has a name that this charm uses";
    rows.take(&world, Section::Setup, "blocked", situation);
    let delete = ["delete", "serviceaccount", "velero", "-n", &world.namespace];
    world.kubectl(&delete).await.unwrap();
    world.connect().await.unwrap();
    rows.healed(&world);
    rows
}

pub(crate) async fn busy(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let mut world = LightWorld::connected(plane, "busy").await.unwrap();
    let now = jiff::Timestamp::now().to_string();
    let backup = json!({
        "apiVersion": "velero.io/v1", "kind": "Backup",
        "metadata": {"name": "nightly", "namespace": world.namespace},
        "spec": {}, "status": {"phase": "InProgress", "startTimestamp": now},
    });
    world.apply(&backup).await.unwrap();
    let image = "velero/velero-plugin-for-aws:v1.14.1";
    world
        .config("velero-aws-plugin-image", image)
        .await
        .unwrap();
    let situation = "An option would restart Velero in the middle of a backup";
    rows.take(&world, Section::Velero, "waiting", situation);
    rows
}

pub(crate) async fn busy_agent(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let mut world = LightWorld::connected(plane, "busy-agent").await.unwrap();
    world.config("use-node-agent", "true").await.unwrap();
    let upload = json!({
        "apiVersion": "velero.io/v2alpha1", "kind": "DataUpload",
        "metadata": {"name": "nightly-x7k2p", "namespace": world.namespace},
        "spec": {"backupStorageLocation": "default", "operationTimeout": "10m", "snapshotType": "CSI",
                 "sourceNamespace": "shop", "sourcePVC": "files"},
        "status": {"phase": "InProgress"},
    });
    world.apply(&upload).await.unwrap();
    world.config("use-node-agent", "false").await.unwrap();
    let situation = "An option would end the node agent while it moves the data of a volume";
    rows.take(&world, Section::Velero, "waiting", situation);
    rows
}

/// What others have laid down for the cluster stops the charm, trusted as it is.
pub(crate) async fn refused(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let mut world = LightWorld::deployed(plane, "refused").await.unwrap();
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "tiny", "namespace": world.namespace},
        "spec": {"hard": {"count/secrets": "0"}},
    });
    world.apply(&quota).await.unwrap();
    // What its controller, which is not there, would have counted.
    let counted = json!({"status": {
        "hard": {"count/secrets": "0"}, "used": {"count/secrets": "0"},
    }})
    .to_string();
    let patch = ["patch", "resourcequota", "tiny", "--subresource=status"];
    let with = ["-n", &world.namespace, "--type=merge", "-p", &counted];
    world.kubectl(&[&patch[..], &with].concat()).await.unwrap();
    let settings = world.settings();
    world.integrate(settings).await.unwrap();
    let situation = "A quota of the namespace is used up";
    rows.take(&world, Section::Cluster, "blocked", situation);
    let delete = ["-n", &world.namespace, "delete", "resourcequota", "tiny"];
    world.kubectl(&delete).await.unwrap();

    forbid_secrets(&world).await;
    world.update_status().await.unwrap();
    let situation = "A policy of the cluster forbids what the charm makes";
    rows.take(&world, Section::Cluster, "blocked", situation);
    let delete = ["delete", "validatingadmissionpolicybinding", "no-secrets"];
    world.kubectl(&delete).await.unwrap();
    until_secrets_are(Allowed::Yes, &world).await;
    world.update_status().await.unwrap();
    rows.healed(&world);
    rows
}

/// From the moment that this returns.
async fn forbid_secrets(world: &LightWorld) {
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "no-secrets"},
        "spec": {
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "resources": ["secrets"],
                "operations": ["CREATE"],
            }]},
            "validations": [{"expression": "false", "message": "secrets come from the vault"}],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "no-secrets"},
        "spec": {
            "policyName": "no-secrets", "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {
                "kubernetes.io/metadata.name": world.namespace,
            }}},
        },
    });
    world.apply(&policy).await.unwrap();
    world.apply(&binding).await.unwrap();
    until_secrets_are(Allowed::No, world).await;
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Allowed {
    Yes,
    No,
}

/// The API server takes up a policy, and its end, by and by.
async fn until_secrets_are(wanted: Allowed, world: &LightWorld) {
    let namespace = ["-n", &world.namespace];
    let create = ["create", "secret", "generic", "probe", "--dry-run=server"];
    let arguments = [&create[..], &namespace].concat();
    let taken_up = async {
        loop {
            let now = match world.kubectl(&arguments).await {
                Ok(_) => Allowed::Yes,
                Err(_) => Allowed::No,
            };
            if now == wanted {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, taken_up).await.unwrap();
}

pub(crate) async fn unreachable(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let nowhere = ApiEndpoint {
        port: DEAD_PORT,
        ..plane.api().clone()
    };
    let mut world = plane.world_at("unreachable", &nowhere).await.unwrap();
    world.deploy(DeployOptions::trusted()).await.unwrap();
    rows.take(
        &world,
        Section::Cluster,
        "waiting",
        "The API server is down",
    );

    let proxy = plane.proxy(Face::Expired).await.unwrap();
    let mut world = plane.world_at("expired", proxy.api()).await.unwrap();
    world.deploy(DeployOptions::trusted()).await.unwrap();
    let situation = "The API server's certificate has expired";
    rows.take(&world, Section::Cluster, "blocked", situation);
    rows
}

pub(crate) async fn sick_api_server(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let proxy = plane.proxy(Face::Valid).await.unwrap();
    let mut world = plane.world_at("sick", proxy.api()).await.unwrap();
    world.deploy(DeployOptions::trusted()).await.unwrap();
    let any = |_: &Asked| true;
    let definitions = |asked: &Asked| asked.path.ends_with("/customresourcedefinitions");
    let bindings = |asked: &Asked| asked.path.ends_with("/clusterrolebindings");
    let cases = [
        (
            Rule::every(any, Fault::Refuse(Refusal::Broken)),
            "waiting",
            "The API server fails",
        ),
        (
            Rule::every(definitions, Fault::Cut),
            "waiting",
            "The connection ends in the middle of an answer",
        ),
        (
            Rule::every(bindings, Fault::Refuse(Refusal::Forbidden)),
            "blocked",
            "The charm may read only a part of the cluster",
        ),
        (
            Rule::every(bindings, Fault::Refuse(Refusal::Terminating)),
            "waiting",
            "The model is being destroyed",
        ),
        (
            Rule::every(any, Fault::Refuse(Refusal::Busy)),
            "waiting",
            "The API server is overloaded",
        ),
        (
            Rule::every(any, Fault::Hang),
            "waiting",
            "The API server takes requests and does not answer",
        ),
    ];
    for (rule, level, situation) in cases {
        proxy.play(vec![rule]);
        world.update_status().await.unwrap();
        rows.take(&world, Section::Cluster, level, situation);
    }

    // What it said last is reported, though it has fallen silent since.
    let busy = Rule::first(any, Fault::Refuse(Refusal::Busy));
    proxy.play(vec![busy, Rule::every(any, Fault::Hang)]);
    world.update_status().await.unwrap();
    let told = ["Too many requests"];
    world.expect_in_status("waiting: ", &told).unwrap();
    rows
}
