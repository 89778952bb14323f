//! CustomResourceDefinitions of other versions. They are the cluster's, so each test has one of its own.

use juju_emulator::DeployOptions;
use kube::Api;
use kube::ResourceExt as _;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use worlds::past::{Installation, Release, take_back};
use worlds::plane::{LightWorld, Plane};
use worlds::stores::no_store;

use super::given::{connected, kind, mark, refresh, writes};

const LOCATIONS: &str = "backupstoragelocations.velero.io";
/// Of these, only the bundled Velero knows.
const SINCE_OURS: [(&str, &str); 2] = [
    (
        LOCATIONS,
        "/spec/properties/objectStorage/properties/caCertRef",
    ),
    ("backups.velero.io", "/status/properties/queuePosition"),
];

async fn definition(world: &LightWorld, name: &str) -> DynamicObject {
    definitions(world).get(name).await.unwrap()
}

fn definitions(world: &LightWorld) -> Api<DynamicObject> {
    let kind = kind("apiextensions.k8s.io", "CustomResourceDefinition");
    Api::all_with(world.client(), &kind)
}

fn schema<'a>(definition: &'a DynamicObject, path: &str) -> Option<&'a Value> {
    let place = format!("/spec/versions/0/schema/openAPIV3Schema/properties{path}");
    definition.data.pointer(&place)
}

async fn assert_ours(world: &LightWorld) {
    for (name, path) in SINCE_OURS {
        let live = definition(world, name).await;
        assert!(schema(&live, path).is_some(), "{name} lacks {path}");
        assert_eq!(
            live.annotations()["velero-operator/velero-version"],
            "1.18.3"
        );
    }
}

async fn assert_older(world: &LightWorld) {
    for (name, path) in SINCE_OURS {
        assert!(
            schema(&definition(world, name).await, path).is_none(),
            "{name} has {path}"
        );
    }
}

/// The first hook brings them up, and before the server that relies on them.
async fn assert_upgraded_first(world: &mut LightWorld) {
    assert_older(world).await;
    let mark = mark(world).await;
    let past = world.juju.hook_runs().len();

    refresh(world).await;

    assert_ours(world).await;
    let writes = writes(world, &mark).await;
    let of_them = |write: &String| write.starts_with("apply customresourcedefinitions ");
    let of_the_server = |write: &String| write == "apply deployments velero";
    let last_of_them = writes.iter().rposition(of_them).unwrap();
    let server = writes.iter().position(of_the_server).unwrap();
    assert!(last_of_them < server, "{writes:#?}");
    let runs = world.juju.hook_runs().get(past..).unwrap();
    assert!(runs.iter().all(|run| run.exit.is_success()), "{runs:#?}");
    let hooks: Vec<_> = runs.iter().map(|run| run.hook.as_str()).collect();
    assert_eq!(hooks[..2], ["stop", "upgrade-charm"]);
}

#[tokio::test]
async fn crds_of_the_python_charm_are_upgraded_first() {
    let plane = Plane::start().await.unwrap();
    let (mut world, _) = connected(&plane, "definitions", &[]).await;

    assert_upgraded_first(&mut world).await;

    world.expect_status("active: ").unwrap();
}

/// It applies them when it is refreshed, under its own name, and never gives them back.
#[tokio::test]
async fn crds_applied_by_the_python_charm_are_upgraded_too() {
    let plane = Plane::start().await.unwrap();
    let (mut world, python) = connected(&plane, "applied", &[]).await;
    python.upgrade_definitions().await.unwrap();

    assert_upgraded_first(&mut world).await;

    world.expect_status("active: ").unwrap();
    let required = "/spec/required";
    let live = definition(&world, "backuprepositories.velero.io").await;
    let required = schema(&live, required).unwrap().to_string();
    assert!(
        !required.contains("resticIdentifier"),
        "the bundled Velero leaves it out: {required}"
    );
}

#[tokio::test]
async fn crds_of_an_older_release_are_upgraded_first() {
    let plane = Plane::start().await.unwrap();
    let mut world = LightWorld::connected(&plane, "older").await.unwrap();
    take_back(&world.juju, Release::V1_17, Installation::Server)
        .await
        .unwrap();

    assert_upgraded_first(&mut world).await;

    world.expect_status("active: ").unwrap();
}

/// Puts a later Velero's definition of locations where ours is.
async fn make_newer(world: &LightWorld, metadata: &Value) {
    let mut later = json!({
        "metadata": metadata,
        "spec": {"versions": definition(world, LOCATIONS).await.data["spec"]["versions"]},
    });
    let place = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    let properties = later.pointer_mut(place).unwrap().as_object_mut().unwrap();
    properties.insert("fromTheFuture".into(), json!({"type": "string"}));
    let how = PatchParams {
        field_manager: Some("later".into()),
        ..PatchParams::default()
    };
    definitions(world)
        .patch(LOCATIONS, &how, &Patch::Merge(&later))
        .await
        .unwrap();
}

/// A second model finds the cluster's definitions as a later Velero made them.
async fn assert_left_alone(metadata: &Value) {
    let plane = Plane::start().await.unwrap();
    let first = LightWorld::deployed(&plane, "before").await.unwrap();
    make_newer(&first, metadata).await;
    let later = definition(&first, LOCATIONS).await;
    let mut world = plane.world("after").await.unwrap();
    let mark = mark(&world).await;

    world.deploy(DeployOptions::trusted()).await.unwrap();
    world.expect_status(&no_store()).unwrap();
    world.connect().await.unwrap();
    world.update_status().await.unwrap();

    world.expect_status("active: ").unwrap();
    assert_eq!(definition(&world, LOCATIONS).await, later);
    let writes = writes(&world, &mark).await;
    let to_them = writes.iter().filter(|write| write.contains(LOCATIONS));
    assert_eq!(to_them.count(), 0, "{writes:#?}");
    let quiet = super::given::mark(&world).await;
    world.update_status().await.unwrap();
    assert_eq!(
        super::given::writes(&world, &quiet).await,
        Vec::<String>::new()
    );
}

fn marked(version: &Value) -> Value {
    json!({"annotations": {"velero-operator/velero-version": version}})
}

/// Nor with the label that Velero's own CLI gives them.
#[tokio::test]
async fn newer_ones_without_a_mark_stay_to_the_byte() {
    let mut metadata = marked(&Value::Null);
    metadata["labels"] = json!({"component": Value::Null});
    assert_left_alone(&metadata).await;
}

#[tokio::test]
async fn newer_ones_with_a_mark_stay_to_the_byte() {
    assert_left_alone(&marked(&json!("1.19.0"))).await;
}

/// A refresh must not take them back either, as the Python charm's own was older.
#[tokio::test]
async fn newer_ones_outlive_a_refresh() {
    let plane = Plane::start().await.unwrap();
    let (mut world, _) = connected(&plane, "future", &[]).await;
    refresh(&mut world).await;
    make_newer(&world, &marked(&Value::Null)).await;
    let later = definition(&world, LOCATIONS).await;

    refresh(&mut world).await;

    world.expect_status("active: ").unwrap();
    assert_eq!(definition(&world, LOCATIONS).await, later);
}
