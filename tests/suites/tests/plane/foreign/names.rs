//! Objects of somebody else's under the names that we use.

use juju_emulator::DeployOptions;
use kube::ResourceExt as _;
use kube::api::{DynamicObject, ListParams};
use kube_stack::proxy::{Asked, Face, Fault, Rule};
use serde_json::{Value, json};
use worlds::operator::APP;
use worlds::plane::{LightWorld, Plane};

use super::{Id, api, bucket, find, made, mark, remove, with_definitions, writes};

fn account(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
}

fn agent() -> Value {
    let labels = json!({"name": "agent"});
    let container = json!({"name": "agent", "image": "acme/agent:1"});
    json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "node-agent"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    })
}

fn server() -> Value {
    let mut server = agent();
    server["kind"] = json!("Deployment");
    server["metadata"]["name"] = json!("velero");
    server
}

fn location(kind: &str) -> Value {
    let spec = if kind == "BackupStorageLocation" {
        bucket("theirs")
    } else {
        json!({"provider": "aws"})
    };
    json!({"apiVersion": "velero.io/v1", "kind": kind, "metadata": {"name": "default"}, "spec": spec})
}

fn map() -> Value {
    let name = format!("{APP}-applied");
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}})
}

/// Accounts that a binding of the charm's gives its rights to.
async fn bound(world: &LightWorld) -> Vec<Value> {
    let bindings = api(
        world,
        ("rbac.authorization.k8s.io", "ClusterRoleBinding", ""),
    );
    let select = ListParams::default().labels("velero-operator/application");
    let mut found = bindings.list(&select).await.unwrap().items;
    found.retain(|one| one.data["subjects"].to_string().contains(&world.namespace));
    found
        .into_iter()
        .map(|one| one.data["subjects"].clone())
        .collect()
}

#[tokio::test]
async fn namesake_of_each_kind_is_named_and_left_alone() {
    let plane = Plane::shared().await.unwrap();
    let namesakes = [
        ("account", "", account("velero")),
        ("agent", "apps", agent()),
        ("server", "apps", server()),
        ("location", "velero.io", location("BackupStorageLocation")),
        ("snapshots", "velero.io", location("VolumeSnapshotLocation")),
        ("map", "", map()),
    ];
    for (short, group, mut object) in namesakes {
        let mut world = plane.world(&format!("namesake-{short}")).await.unwrap();
        with_definitions(&world).await;
        object["metadata"]["namespace"] = json!(world.namespace);
        world.apply(&object).await.unwrap();
        let kind = object["kind"].as_str().unwrap();
        let id: Id<'_> = (group, kind, object["metadata"]["name"].as_str().unwrap());
        let before = made(&world, id).await;
        let mark = mark(&world).await;

        let mut options = DeployOptions::trusted();
        options
            .config
            .insert("use-node-agent".into(), "true".into());
        world.deploy(options).await.unwrap();
        let settings = world.settings();
        world.integrate(settings).await.unwrap();

        let named = format!("{kind} `{}`", id.2);
        let advice = "or deploy into another model";
        world
            .expect_in_status("blocked: ", &[&named, advice])
            .unwrap();
        assert_eq!(writes(&world, &mark).await, Vec::<String>::new(), "{short}");
        assert_eq!(bound(&world).await, Vec::<Value>::new(), "{short}");
        let account = format!("system:serviceaccount:{}:velero", world.namespace);
        let may = ["auth", "can-i", "get", "secrets", "-A", "--as", &account];
        assert!(world.kubectl(&may).await.is_err(), "it got our rights");
        remove(&mut world, APP).await;
        assert_eq!(made(&world, id).await, before, "{short}");
    }
}

/// A DaemonSet of this name is only a problem if the charm is to run a node agent.
#[tokio::test]
async fn agent_of_others_is_in_nobodys_way_unless_wanted() {
    let plane = Plane::shared().await.unwrap();
    let mut world = plane.world("their-agent").await.unwrap();
    let mut object = agent();
    object["metadata"]["namespace"] = json!(world.namespace);
    world.apply(&object).await.unwrap();
    let id = ("apps", "DaemonSet", "node-agent");
    let before = made(&world, id).await;

    world.deploy(DeployOptions::trusted()).await.unwrap();
    world.connect().await.unwrap();
    remove(&mut world, APP).await;

    assert_eq!(made(&world, id).await, before);
}

/// Helm's is `velero-server`, and a model may be called `server`.
#[tokio::test]
async fn role_binding_of_another_velero_stays() {
    let plane = Plane::shared().await.unwrap();
    let mut world = plane.world("bound").await.unwrap();
    let theirs = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "velero-light-bound"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "velero-server", "namespace": "elsewhere"}],
    });
    world.apply(&theirs).await.unwrap();
    let id = (
        "rbac.authorization.k8s.io",
        "ClusterRoleBinding",
        "velero-light-bound",
    );
    let before = made(&world, id).await;

    world.deploy(DeployOptions::trusted()).await.unwrap();
    world.connect().await.unwrap();
    assert_eq!(bound(&world).await.len(), 1);
    assert_eq!(made(&world, id).await, before);
    remove(&mut world, APP).await;

    assert_eq!(made(&world, id).await, before);
    assert_eq!(bound(&world).await, Vec::<Value>::new());
}

/// It has the name that our binding gives an administrator's rights to.
#[tokio::test]
async fn account_that_took_the_place_of_ours_gets_no_rights() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "tenant").await.unwrap();
    for verb in ["delete", "create"] {
        let command = ["-n", &world.namespace, verb, "serviceaccount", "velero"];
        world.kubectl(&command).await.unwrap();
    }
    let id = ("", "ServiceAccount", "velero");
    let before = made(&world, id).await;

    world.update_status().await.unwrap();

    world
        .expect_in_status("blocked: ", &["ServiceAccount `velero`"])
        .unwrap();
    assert_eq!(bound(&world).await, Vec::<Value>::new());
    assert_eq!(made(&world, id).await, before);

    let delete = ["-n", &world.namespace, "delete", "serviceaccount", "velero"];
    world.kubectl(&delete).await.unwrap();
    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();
    assert_eq!(bound(&world).await.len(), 1);
}

/// The charm has looked and found nothing; before it writes, somebody else does.
#[tokio::test]
async fn object_that_comes_in_between_is_not_taken() {
    let plane = Plane::shared().await.unwrap();
    let objects = [
        ("account", "serviceaccounts", "", account("velero")),
        (
            "location",
            "backupstoragelocations",
            "velero.io",
            location("BackupStorageLocation"),
        ),
        ("map", "configmaps", "", map()),
        ("server", "deployments", "apps", server()),
    ];
    for (short, resource, group, mut object) in objects {
        let proxy = plane.proxy(Face::Valid).await.unwrap();
        let name = format!("between-{short}");
        let mut world = plane.world_at(&name, proxy.api()).await.unwrap();
        with_definitions(&world).await;
        object["metadata"]["namespace"] = json!(world.namespace);
        let text = object.to_string();
        let kubectl = plane.kubectl();
        let first = move |asked: &Asked| {
            if asked.method.as_str() != "PATCH" || !asked.path.contains(resource) {
                return false;
            }
            let (kubectl, text) = (kubectl.clone(), text.clone());
            let create = std::thread::spawn(move || {
                let mut runtime = tokio::runtime::Builder::new_current_thread();
                let runtime = runtime.enable_all().build().unwrap();
                // Only the first time it is not there.
                let _ = runtime.block_on(kubectl.run_on(&["create", "-f", "-"], &text));
            });
            create.join().unwrap();
            false
        };
        proxy.play(vec![Rule::every(first, Fault::Cut)]);

        world.deploy(DeployOptions::trusted()).await.unwrap();
        let settings = world.settings();
        world.integrate(settings).await.unwrap();

        let kind = object["kind"].as_str().unwrap();
        let id: Id<'_> = (group, kind, object["metadata"]["name"].as_str().unwrap());
        let named = format!("{kind} `{}`", id.2);
        world.expect_in_status("blocked: ", &[&named]).unwrap();
        let live = find(&world, id).await.unwrap();
        assert_eq!(
            live.labels().get("velero-operator/application"),
            None,
            "{short}"
        );
        assert!(!managers(&live).contains(&"velero-operator"), "{short}");
    }
}

fn managers(object: &DynamicObject) -> Vec<&str> {
    let entries = object.managed_fields().iter();
    let written = entries.filter(|entry| entry.subresource.is_none());
    let managers = written.filter_map(|entry| entry.manager.as_deref());
    managers
        .filter(|manager| *manager != "velero-server")
        .collect()
}
