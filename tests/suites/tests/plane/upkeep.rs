//! What a hook finds changed: edits, losses, a unit that comes and goes, a hook nobody knows, a cluster without Velero.

use juju_emulator::DeployOptions;
use serde_json::json;
use worlds::operator::{self, APP, UNIT};
use worlds::plane::{LightWorld, Plane};
use worlds::stores::no_store;
use worlds::versions;

use crate::here;

#[tokio::test]
async fn edits_by_others_stay_and_edits_of_ours_are_undone() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "drift").await.unwrap();
    let patch = json!({"spec": {"template": {"spec": {
        "initContainers": [{"name": "theirs", "image": versions::BUSYBOX_IMAGE, "command": ["true"]}],
        "containers": [{"name": "velero", "image": "velero/velero:v1.18.0"}],
    }}}});
    let patch = patch.to_string();
    here(&world, &["patch", "deployment", "velero", "-p", &patch]).await;
    let bucket = r#"{"spec":{"objectStorage":{"bucket":"elsewhere"},"validationFrequency":"2m"}}"#;
    let location = "backupstoragelocations.velero.io/default";
    here(&world, &["patch", location, "--type=merge", "-p", bucket]).await;

    world.update_status().await.unwrap();

    world.expect_status("active: ").unwrap();
    let shown = "jsonpath={.spec.template.spec.containers[0].image} \
                {.spec.template.spec.initContainers[*].name}";
    let pod = here(&world, &["get", "deployment", "velero", "-o", shown]).await;
    assert!(pod.starts_with(&versions::velero_image()), "{pod}");
    assert!(
        pod.contains("theirs") && pod.contains("storage-plugin-aws"),
        "{pod}"
    );
    let spec = world.location().await.unwrap().unwrap();
    assert_eq!(spec["objectStorage"]["bucket"], json!(world.bucket));
    assert_eq!(spec["validationFrequency"], "2m");
}

#[tokio::test]
async fn an_unknown_hook_is_an_ordinary_one() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::deployed(&plane, "unknown-hook").await.unwrap();
    let run = world.juju.run_hook(UNIT, "never-heard-of").await.unwrap();
    assert!(run.exit.is_success());
    assert_eq!(operator::status(&world.juju), no_store());
}

#[tokio::test]
async fn a_unit_that_comes_and_goes_changes_nothing() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "scaled").await.unwrap();
    let mark = plane.audit().mark().await.unwrap();

    let second = world.juju.add_unit(APP).unwrap();
    world.juju.settle().await.unwrap();
    let status = world.juju.unit_status(&second).unwrap();
    assert_eq!(
        (status.level.as_str(), status.message.as_str()),
        ("active", "")
    );
    world.juju.remove_unit(&second).unwrap();
    world.juju.settle().await.unwrap();
    assert_eq!(world.juju.unit_status(&second), None, "the unit is gone");

    let user = world.charm_user();
    let writes = plane.audit().writes_of(&user, &mark).await.unwrap();
    assert_eq!(writes, []);
    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();
}

#[tokio::test]
async fn lost_objects_are_made_again_by_one_hook() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "lost").await.unwrap();
    world.config("use-node-agent", "true").await.unwrap();
    let secret = world.location().await.unwrap().unwrap()["credential"]["name"]
        .as_str()
        .unwrap()
        .to_owned();

    for lost in [
        "daemonset/node-agent",
        "deployment/velero",
        "serviceaccount/velero",
        "backupstoragelocations.velero.io/default",
        &format!("secret/{secret}"),
        "configmap/velero-operator-applied",
    ] {
        here(&world, &["delete", lost]).await;
        world.update_status().await.unwrap();
        world.expect_status("active: ").unwrap();
    }
    let daemon_set = here(&world, &["get", "daemonsets", "-o", "name"]).await;
    assert_eq!(daemon_set, "daemonset.apps/node-agent");
}

#[tokio::test]
async fn a_strategy_set_by_hand_is_set_back() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::deployed(&plane, "strategy").await.unwrap();
    let rolling =
        r#"{"spec":{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1}}}}"#;
    here(&world, &["patch", "deployment", "velero", "-p", rolling]).await;

    world.update_status().await.unwrap();

    world.expect_status(&no_store()).unwrap();
    let strategy = "jsonpath={.spec.strategy}";
    let strategy = here(&world, &["get", "deployment", "velero", "-o", strategy]).await;
    assert_eq!(strategy, r#"{"type":"Recreate"}"#);
}

/// Right after a CRD was made, the API server is too busy for its objects for a moment.
#[tokio::test]
async fn a_cluster_that_never_had_velero_is_ready_after_one_hook() {
    let plane = Plane::start().await.unwrap();
    let mut world = plane.world("first").await.unwrap();
    world.deploy(DeployOptions::trusted()).await.unwrap();

    let install = &world.juju.hook_runs()[0];
    assert_eq!(install.hook, "install");
    let status = install.statuses.last().unwrap();
    assert_eq!(format!("{}: {}", status.level, status.message), no_store());
}
