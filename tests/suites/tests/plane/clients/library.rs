//! A charm on the real library of `k8s_backup_target`, as its authors publish it.

use juju_emulator::DeployOptions;
use kube::ResourceExt as _;
use serde_json::{Value, json};
use worlds::foreign_charms::ForeignCharm;
use worlds::operator::APP;
use worlds::plane::{LightWorld, Plane};

use super::{only, schedules, until_none};
use crate::writes;

const CLIENT: &str = "till";
const SECOND: &str = "till/1";

/// The application is there, asks for this, and nobody hears of it yet.
async fn deploy(world: &mut LightWorld, spec: &Value) {
    let source = ForeignCharm::BackupTarget.source().await.unwrap();
    let options = DeployOptions {
        config: [("spec".to_owned(), spec.to_string())].into(),
        ..DeployOptions::default()
    };
    world.juju.deploy(&source, CLIENT, options).await.unwrap();
    settle(world).await;
}

async fn ask(world: &mut LightWorld, spec: &Value) {
    let spec = spec.to_string();
    world.juju.config(CLIENT, &[("spec", &spec)]).unwrap();
    settle(world).await;
}

async fn relate(world: &mut LightWorld) -> u32 {
    let relation = world.juju.integrate(APP, CLIENT).unwrap();
    settle(world).await;
    relation
}

/// Runs every hook that is due, of which none may fail.
async fn settle(world: &mut LightWorld) {
    for run in world.juju.settle().await.unwrap() {
        assert!(run.exit.is_success(), "{run:#?}");
    }
}

/// What Velero is to make.
async fn template(world: &LightWorld) -> Value {
    only(world).await.data["spec"]["template"].clone()
}

fn shop() -> Value {
    json!({"include_namespaces": ["shop"], "label_selector": {"app": "till"}, "ttl": "24h"})
}

#[tokio::test]
async fn client_on_the_real_library_has_its_schedule() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "library").await.unwrap();
    world.config("schedule", "0 2 * * *").await.unwrap();
    deploy(&mut world, &shop()).await;
    relate(&mut world).await;
    world.expect_status("active: ").unwrap();
    let made = only(&world).await;
    let labels = json!({"app": CLIENT, "endpoint": "backup", "model": world.namespace});
    assert_eq!(made.data["spec"]["schedule"], "0 2 * * *", "of the option");
    assert_eq!(
        made.data["spec"]["template"],
        json!({
            "metadata": {"labels": labels}, "includedNamespaces": ["shop"], "ttl": "24h",
            "labelSelector": {"matchLabels": {"app": "till"}},
            "storageLocation": "default", "defaultVolumesToFsBackup": false,
        })
    );

    // Everything that the library can say.
    let whole = json!({
        "include_namespaces": ["shop", "bank"], "exclude_namespaces": ["bank-test"],
        "include_resources": ["persistentvolumeclaims", "pods"], "exclude_resources": ["events"],
        "include_cluster_resources": false, "label_selector": {"app": "till", "tier": "db"},
        "ttl": "10h10m10s",
    });
    ask(&mut world, &whole).await;
    world.expect_status("active: ").unwrap();
    let changed = only(&world).await;
    assert_eq!(changed.uid(), made.uid());
    assert_eq!(
        changed.data["spec"]["template"],
        json!({
            "metadata": {"labels": labels},
            "includedNamespaces": ["shop", "bank"], "excludedNamespaces": ["bank-test"],
            "includedResources": ["persistentvolumeclaims", "pods"], "excludedResources": ["events"],
            "includeClusterResources": false, "ttl": "10h10m10s",
            "labelSelector": {"matchLabels": {"app": "till", "tier": "db"}},
            "storageLocation": "default", "defaultVolumesToFsBackup": false,
        })
    );

    world.juju.remove_relation(APP, CLIENT).unwrap();
    settle(&mut world).await;
    until_none(&world).await;
    relate(&mut world).await;
    assert_eq!(only(&world).await.name_any(), made.name_any());
    world.juju.remove_application(CLIENT).unwrap();
    settle(&mut world).await;
    until_none(&world).await;
}

/// The library checks no `ttl`: what does so is never called. Nor does it see a list that came out empty.
#[tokio::test]
async fn spec_that_the_library_lets_through_is_named() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "library-lax").await.unwrap();
    world.config("schedule", "@daily").await.unwrap();
    deploy(&mut world, &shop()).await;
    relate(&mut world).await;
    let before = template(&world).await;

    for (field, value, named) in [
        ("ttl", json!("30d"), "`ttl` `30d` has a unit `d`"),
        ("include_namespaces", json!([]), "is an empty list"),
        (
            "label_selector",
            json!({"a b": "c"}),
            "`label_selector` has more in it",
        ),
    ] {
        let mut wrong = shop();
        wrong[field] = value;
        ask(&mut world, &wrong).await;
        let parts = ["`till:backup`", named];
        world
            .expect_in_status("blocked: let `till` send", &parts)
            .unwrap();
        assert_eq!(template(&world).await, before, "{field}");
    }
    let blank = json!({"include_namespaces": ["shop"], "ttl": ""});
    ask(&mut world, &blank).await;
    world.expect_status("active: ").unwrap();
    assert_eq!(template(&world).await.get("ttl"), None);
}

#[tokio::test]
async fn new_leader_of_a_client_changes_no_schedule() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "library-led").await.unwrap();
    world.config("schedule", "@daily").await.unwrap();
    deploy(&mut world, &shop()).await;
    world.juju.scale(CLIENT, 2).unwrap();
    let relation = relate(&mut world).await;
    assert_eq!(schedules(&world).await.len(), 1);

    let mark = world.plane().audit().mark().await.unwrap();
    world.juju.move_leadership(SECOND).unwrap();
    settle(&mut world).await;
    world.juju.scale(CLIENT, 3).unwrap();
    settle(&mut world).await;
    assert_eq!(writes(&world, &mark).await, Vec::<String>::new());
    let sides = &world.juju.model().relations[&relation];
    let bag = &sides.local(APP).unwrap().bag.data;
    assert!(bag.is_empty(), "this charm says nothing: {bag:?}");
}
