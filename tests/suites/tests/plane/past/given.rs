//! Pasts to begin with, and ways to look at what became of them.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use jiff::Timestamp;
use juju_emulator::{DeployOptions, Dialect};
use kube::api::{ApiResource, DynamicObject, ListParams, PostParams, WatchEvent, WatchParams};
use kube::core::GroupVersionKind;
use kube::{Api, ResourceExt as _};
use kube_stack::{DEADLINE, Mark};
use serde_json::{Value, json};
use tokio::time::timeout;
use worlds::kubectl::TIMEOUT;
use worlds::operator::{APP, S3};
use worlds::past::{CLI, LIGHTKUBE, PythonCharm};
use worlds::plane::{LightWorld, Plane};
use worlds::versions;

pub(crate) const OLD_PLUGIN: &str = "velero-velero-plugin-for-aws";
pub(crate) const OUR_PLUGIN: &str = "storage-plugin-aws";

/// Kinds of which something in a namespace can be the charm's.
const NAMESPACED: [(&str, &str); 8] = [
    ("apps", "Deployment"),
    ("apps", "DaemonSet"),
    ("", "ServiceAccount"),
    ("", "Service"),
    ("", "Secret"),
    ("", "ConfigMap"),
    ("velero.io", "BackupStorageLocation"),
    ("velero.io", "VolumeSnapshotLocation"),
];

pub(crate) fn kind(group: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind))
}

pub(crate) fn trusted_with(config: &[(&str, &str)]) -> DeployOptions {
    let mut options = DeployOptions::trusted();
    let config = config
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()));
    options.config.extend(config);
    options
}

/// The Python charm, deployed with these options and at rest, without a store.
pub(crate) async fn python(
    plane: &Plane,
    name: &str,
    config: &[(&str, &str)],
) -> (LightWorld, PythonCharm) {
    let mut world = plane.world(name).await.unwrap();
    let python = PythonCharm::deploy(&mut world.juju, trusted_with(config))
        .await
        .unwrap();
    python.install().await.unwrap();
    python.config_changed().await.unwrap();
    (world, python)
}

/// Relates an integrator, and lets the Python charm's library say its word.
pub(crate) async fn relate(world: &mut LightWorld, dialect: Dialect) {
    let settings = world.settings();
    world
        .juju
        .deploy_s3_integrator_of(S3, settings, dialect)
        .unwrap();
    world.juju.integrate(APP, S3).unwrap();
    world.settle().await.unwrap();
}

/// The Python charm with a store that works.
pub(crate) async fn connected(
    plane: &Plane,
    name: &str,
    config: &[(&str, &str)],
) -> (LightWorld, PythonCharm) {
    let (mut world, python) = python(plane, name, config).await;
    relate(&mut world, Dialect::V1).await;
    python.configure_storage(&world.settings()).await.unwrap();
    until_it_serves(&world).await;
    (world, python)
}

/// Waits until the server's newest pod runs and has judged the location: a verdict may be there that an
/// earlier one gave.
pub(crate) async fn until_it_serves(world: &LightWorld) {
    until_rolled_out(world).await;
    let started = server_started(world).await;
    let locations = api(world, "velero.io", "BackupStorageLocation");
    let judged = async {
        let from_now = WatchParams::default();
        let mut events = locations.watch(&from_now, "0").await.unwrap().boxed();
        while let Some(event) = events.next().await {
            if let WatchEvent::Added(location) | WatchEvent::Modified(location) = event.unwrap() {
                let given = &location.data["status"]["lastValidationTime"];
                let given = given
                    .as_str()
                    .and_then(|text| text.parse::<Timestamp>().ok());
                if given.is_some_and(|given| given.as_second() >= started.as_second()) {
                    return;
                }
            }
        }
        panic!("the watch of the locations has ended");
    };
    timeout(DEADLINE, judged)
        .await
        .expect("the location is not judged");
}

async fn server_started(world: &LightWorld) -> Timestamp {
    let select = ListParams::default().labels("deploy=velero");
    let pods = api(world, "", "Pod").list(&select).await.unwrap();
    let started = "/status/containerStatuses/0/state/running/startedAt";
    let times = pods
        .iter()
        .filter_map(|pod| pod.data.pointer(started)?.as_str());
    let times = times.map(|text| text.parse::<Timestamp>().unwrap());
    times.max().expect("no server runs")
}

pub(crate) async fn until_rolled_out(world: &LightWorld) {
    let namespace = &world.namespace;
    let wait = [
        "-n",
        namespace,
        "rollout",
        "status",
        "deployment/velero",
        TIMEOUT,
    ];
    world.kubectl(&wait).await.unwrap();
}

pub(crate) async fn refresh(world: &mut LightWorld) {
    world.refresh().await.unwrap();
}

pub(crate) fn api(world: &LightWorld, group: &str, of_kind: &str) -> Api<DynamicObject> {
    Api::namespaced_with(world.client(), &world.namespace, &kind(group, of_kind))
}

pub(crate) async fn get(
    world: &LightWorld,
    group: &str,
    of_kind: &str,
    name: &str,
) -> DynamicObject {
    let found = api(world, group, of_kind).get_opt(name).await.unwrap();
    found.unwrap_or_else(|| panic!("there is no {of_kind} `{name}`"))
}

pub(crate) async fn exists(world: &LightWorld, group: &str, of_kind: &str, name: &str) -> bool {
    let found = api(world, group, of_kind).get_opt(name).await;
    match found {
        Ok(found) => found.is_some(),
        // The kind itself is gone.
        Err(kube::Error::Api(status)) if status.code == 404 => false,
        Err(error) => panic!("{error}"),
    }
}

/// Makes an object as an admin does.
pub(crate) async fn create(world: &LightWorld, object: Value) -> DynamicObject {
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    let types = object.types.clone().unwrap();
    let group = types
        .api_version
        .rsplit_once('/')
        .map_or("", |(group, _)| group);
    let how = PostParams {
        field_manager: Some("kubectl-create".into()),
        ..PostParams::default()
    };
    api(world, group, &types.kind)
        .create(&how, &object)
        .await
        .unwrap()
}

pub(crate) fn backup(name: &str, phase: &str) -> Value {
    json!({
        "apiVersion": "velero.io/v1", "kind": "Backup", "metadata": {"name": name},
        "spec": {"storageLocation": "default"},
        "status": {"phase": phase, "startTimestamp": jiff::Timestamp::now().to_string()},
    })
}

/// Merges a patch as an admin does.
pub(crate) async fn edit(world: &LightWorld, what: &str, how: &str, patch: &Value) {
    let (patch, how) = (patch.to_string(), format!("--type={how}"));
    let edit = ["-n", &world.namespace, "patch", what, &how, "-p", &patch];
    world.kubectl(&edit).await.unwrap();
}

/// Everything of Velero's that the charm makes, by `Kind/name`.
pub(crate) async fn objects(world: &LightWorld) -> BTreeMap<String, DynamicObject> {
    let mut found = BTreeMap::new();
    for (group, of_kind) in NAMESPACED {
        for object in api(world, group, of_kind)
            .list(&ListParams::default())
            .await
            .unwrap()
        {
            let labels = object.labels();
            if labels.contains_key("component")
                || labels.contains_key("velero-operator/application")
            {
                found.insert(format!("{of_kind}/{}", object.name_any()), object);
            }
        }
    }
    let wide = kind("rbac.authorization.k8s.io", "ClusterRoleBinding");
    let bindings: Api<DynamicObject> = Api::all_with(world.client(), &wide);
    let plain = format!("velero-{}", world.namespace);
    for name in [format!("{plain}-{}", world.juju.model().uuid), plain] {
        if let Some(binding) = bindings.get_opt(&name).await.unwrap() {
            found.insert(format!("ClusterRoleBinding/{name}"), binding);
        }
    }
    found
}

/// Fails unless all of it carries our labels, and nobody of the past owns any field of it.
pub(crate) fn assert_ours(world: &LightWorld, objects: &BTreeMap<String, DynamicObject>) {
    let model = &world.juju.model().uuid;
    for (name, object) in objects {
        let labels = object.labels();
        let owner = (
            labels.get("velero-operator/application"),
            labels.get("velero-operator/model"),
        );
        assert_eq!(owner, (Some(&APP.to_owned()), Some(model)), "{name}");
        for manager in managers(object) {
            assert!(
                ![CLI, LIGHTKUBE].contains(&manager.as_str()),
                "{manager} still owns {name}"
            );
        }
    }
}

pub(crate) fn managers(object: &DynamicObject) -> Vec<String> {
    let entries = object.managed_fields().iter();
    entries.filter_map(|entry| entry.manager.clone()).collect()
}

/// The names of the server's init containers.
pub(crate) async fn init_containers(world: &LightWorld) -> Vec<String> {
    let server = get(world, "apps", "Deployment", "velero").await;
    names(&server.data["spec"]["template"]["spec"]["initContainers"])
}

pub(crate) fn names(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect()
}

/// The uids of the server's pods.
pub(crate) async fn servers(world: &LightWorld) -> Vec<String> {
    let select = ListParams::default().labels("deploy=velero");
    let pods = api(world, "", "Pod").list(&select).await.unwrap();
    pods.into_iter().filter_map(|pod| pod.uid()).collect()
}

/// A place in the history of the server's pods.
pub(crate) async fn servers_so_far(world: &LightWorld) -> String {
    let pods = api(world, "", "Pod")
        .list(&ListParams::default())
        .await
        .unwrap();
    pods.metadata.resource_version.unwrap()
}

/// How many server pods there have been since then that were not there before.
pub(crate) async fn new_servers(world: &LightWorld, since: &str) -> usize {
    let pods = api(world, "", "Pod");
    let select = ListParams::default().labels("deploy=velero");
    let last = pods
        .list(&select)
        .await
        .unwrap()
        .items
        .pop()
        .unwrap()
        .name_any();
    // Tells where the history ends.
    let end = json!({"metadata": {"annotations": {"the": "end"}}});
    edit(world, &format!("pod/{last}"), "merge", &end).await;
    let how = WatchParams::default().labels("deploy=velero");
    let mut events = pods.watch(&how, since).await.unwrap().boxed();
    let mut new = 0;
    while let Some(event) = events.next().await {
        match event.unwrap() {
            WatchEvent::Added(_) => new += 1,
            WatchEvent::Modified(pod) if pod.annotations().contains_key("the") => return new,
            _ => {}
        }
    }
    panic!("the watch has ended before its end");
}

/// What the charm wrote to the cluster, `verb resource name` in order.
pub(crate) async fn writes(world: &LightWorld, mark: &Mark) -> Vec<String> {
    let user = world.charm_user();
    let writes = world.plane().audit().writes_of(&user, mark).await.unwrap();
    writes
        .into_iter()
        .map(|request| {
            let applies = request.uri.contains("force=true");
            let verb = if applies { "apply" } else { &request.verb };
            format!("{verb} {} {}", request.resource, request.name)
        })
        .collect()
}

pub(crate) async fn mark(world: &LightWorld) -> Mark {
    world.plane().audit().mark().await.unwrap()
}

/// The image that the server has now.
pub(crate) async fn server_image(world: &LightWorld) -> String {
    let server = get(world, "apps", "Deployment", "velero").await;
    let image = &server.data["spec"]["template"]["spec"]["containers"][0]["image"];
    image.as_str().unwrap().to_owned()
}

/// Fails unless Velero is the bundled one, replaced and never doubled.
pub(crate) async fn assert_up_to_date(world: &LightWorld) {
    assert_eq!(server_image(world).await, versions::velero_image());
    let server = get(world, "apps", "Deployment", "velero").await;
    assert_eq!(server.data["spec"]["strategy"], json!({"type": "Recreate"}));
    assert_eq!(server.data["spec"]["replicas"], 1);
}

/// Our own bag of the storage relation.
pub(crate) fn our_bag(world: &LightWorld) -> BTreeMap<String, String> {
    bag_of(world, APP)
}

pub(crate) fn bag_of(world: &LightWorld, app: &str) -> BTreeMap<String, String> {
    let relation = world.juju.model().relations.values().next().unwrap();
    relation.local(app).unwrap().bag.data.clone()
}

/// A world's dump without what tells how its labels and statuses came about: those of what was taken over
/// were put on, and those of what we made came with it.
pub(crate) async fn essence(world: &LightWorld) -> String {
    let service = [
        "-n",
        &world.namespace,
        "delete",
        "service",
        "velero-metrics",
    ];
    // Of our own there is none; others have addresses of their own.
    let _ = world.kubectl(&service).await;
    let dump = world.dump().await.unwrap();
    let mut kept = Vec::new();
    let mut entry = Vec::new();
    for line in dump.lines().filter(|line| line.trim() != r#"".": {}"#) {
        if !line.starts_with("    ") {
            kept.append(&mut without_labelling(std::mem::take(&mut entry)));
        }
        entry.push(line);
    }
    kept.append(&mut without_labelling(entry));
    kept.join("\n")
}

/// Nothing, of an owner's entry that says that we have put labels on.
fn without_labelling(entry: Vec<&str>) -> Vec<&str> {
    let ours = ["    manager: velero-operator", "    operation: Update"];
    if ours.iter().all(|line| entry.contains(line)) {
        Vec::new()
    } else {
        entry
    }
}
