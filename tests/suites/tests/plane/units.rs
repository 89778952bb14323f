//! Units and leaders come and go; removal is the application's, never a unit's.

use juju_emulator::{ActionOutcome, Resolve};
use serde_json::{Map, Value, json};
use worlds::operator::{APP, UNIT};
use worlds::plane::{LightWorld, Plane};
use worlds::stores::no_store_for_actions;

use crate::writes;

const SECOND: &str = "velero-operator/1";

async fn run(world: &mut LightWorld, unit: &str, command: &str) -> ActionOutcome {
    let params = Map::from_iter([("command".to_owned(), Value::from(command))]);
    world.juju.run_action(unit, "run", &params).await.unwrap()
}

fn status(world: &LightWorld, unit: &str) -> String {
    let status = world.juju.unit_status(unit).unwrap();
    format!("{}: {}", status.level, status.message)
}

#[tokio::test]
async fn a_unit_that_joins_and_leaves_writes_nothing_and_tells_how_it_is() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "scale").await.unwrap();
    let mark = world.plane().audit().mark().await.unwrap();

    world.juju.scale(APP, 3).unwrap();
    world.settle().await.unwrap();
    assert_eq!(status(&world, SECOND), "active: ");
    world.juju.scale(APP, 1).unwrap();
    world.settle().await.unwrap();

    assert_eq!(world.juju.unit_status(SECOND), None, "the unit is gone");
    assert_eq!(writes(&world, &mark).await, Vec::<String>::new());
    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();
}

#[tokio::test]
async fn a_new_leader_goes_on_where_the_old_one_was() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "leaders").await.unwrap();
    world.juju.scale(APP, 2).unwrap();
    world.settle().await.unwrap();
    world.juju.move_leadership(SECOND).unwrap();
    world.settle().await.unwrap();
    let mark = world.plane().audit().mark().await.unwrap();

    world.update_status().await.unwrap();
    assert_eq!(
        writes(&world, &mark).await,
        Vec::<String>::new(),
        "the old leader follows"
    );
    world.config("use-node-agent", "true").await.unwrap();
    assert_eq!(status(&world, SECOND), "active: ");
    // It may have looked before the leader was done.
    world.update_status().await.unwrap();
    assert_eq!(status(&world, UNIT), "active: ");
    let belongings = world.belongings().await.unwrap();
    assert!(belongings.contains("daemonset/node-agent"), "{belongings}");
}

#[tokio::test]
async fn scaling_to_zero_takes_velero_away_and_a_new_unit_brings_it_back() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "zero").await.unwrap();
    let before = world.dump().await.unwrap();

    world.juju.scale(APP, 0).unwrap();
    world.settle().await.unwrap();
    assert_eq!(world.belongings().await.unwrap(), "");

    world.juju.scale(APP, 1).unwrap();
    world.settle().await.unwrap();
    assert_eq!(status(&world, SECOND), "active: ");
    assert_eq!(world.dump().await.unwrap(), before);
}

#[tokio::test]
async fn unit_that_goes_last_takes_velero_away() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "last").await.unwrap();
    world.juju.scale(APP, 3).unwrap();
    world.settle().await.unwrap();

    world.juju.remove_application(APP).unwrap();
    world.settle().await.unwrap();

    assert_eq!(world.belongings().await.unwrap(), "");
    let runs = world.juju.hook_runs().iter();
    let removals: Vec<_> = runs.filter(|run| run.hook == "remove").collect();
    assert_eq!(removals.len(), 3);
    assert!(removals.iter().all(|run| run.exit.is_success()));
}

#[tokio::test]
async fn an_action_runs_on_any_unit_and_says_why_it_cannot() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::deployed(&plane, "actions").await.unwrap();
    let outcome = run(&mut world, UNIT, "backup get").await;
    assert_eq!(
        (
            outcome.status.as_str(),
            outcome.message.contains(&no_store_for_actions())
        ),
        ("failed", true),
        "{}",
        outcome.message
    );

    world.connect().await.unwrap();
    world.juju.scale(APP, 2).unwrap();
    world.settle().await.unwrap();
    for unit in [UNIT, SECOND] {
        let outcome = run(&mut world, unit, "schedule get").await;
        assert_eq!(outcome.status, "completed", "{unit}: {}", outcome.message);
    }

    world
        .config("default-volumes-to-fs-backup", "true")
        .await
        .unwrap();
    world
        .expect_in_status("blocked: ", &["needs the node agent"])
        .unwrap();
    let outcome = run(&mut world, UNIT, "schedule get").await;
    assert_eq!(
        outcome.status, "completed",
        "blocked for another reason: {}",
        outcome.message
    );
}

#[tokio::test]
async fn an_action_runs_while_a_hook_is_in_error() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "in-error").await.unwrap();
    let charm = world.juju.charm_dir(UNIT).join("dispatch");
    let aside = charm.with_extension("aside");
    std::fs::rename(&charm, &aside).unwrap();
    std::fs::write(&charm, "#!/bin/sh\nexit 1\n").unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&charm, executable).unwrap();
    world.config("use-node-agent", "true").await.unwrap();
    assert!(status(&world, UNIT).starts_with("error: "));
    std::fs::rename(&aside, &charm).unwrap();

    let outcome = run(&mut world, UNIT, "schedule get").await;
    assert_eq!(outcome.status, "completed", "{}", outcome.message);

    world.juju.resolved(UNIT, Resolve::Retry).unwrap();
    world.settle().await.unwrap();
    world.expect_status("active: ").unwrap();
}

#[tokio::test]
async fn a_server_that_lost_our_label_gets_it_back() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "label").await.unwrap();
    let unlabel = [
        "-n",
        &world.namespace,
        "label",
        "deployment",
        "velero",
        "velero-operator/application-",
    ];
    world.kubectl(&unlabel).await.unwrap();

    world.update_status().await.unwrap();

    world.expect_status("active: ").unwrap();
    let belongings = world.belongings().await.unwrap();
    assert!(belongings.contains("deployment/velero"), "{belongings}");
}

/// A Velero of another namespace: its server, or only what one has left.
async fn another_velero(world: &LightWorld, namespace: &str) -> Vec<Value> {
    let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    let backup = json!({
        "apiVersion": "velero.io/v1", "kind": "Backup",
        "metadata": {"name": "theirs", "namespace": namespace}, "spec": {},
    });
    let restore = json!({
        "apiVersion": "velero.io/v1", "kind": "Restore",
        "metadata": {"name": "theirs", "namespace": namespace,
                     "finalizers": ["restores.velero.io/external-resources-finalizer"]},
        "spec": {"backupName": "theirs"},
    });
    for object in [space, backup, restore] {
        world.apply(&object).await.unwrap();
    }
    objects(world, namespace).await
}

async fn objects(world: &LightWorld, namespace: &str) -> Vec<Value> {
    let get = [
        "-n",
        namespace,
        "get",
        "backups.velero.io,restores.velero.io",
        "-o",
        "json",
    ];
    let list = world.kubectl(&get).await.unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    list["items"].as_array().unwrap().clone()
}

/// Alone on its plane: the CRDs are the whole cluster's.
#[tokio::test]
async fn velero_elsewhere_keeps_its_definitions_and_objects() {
    let plane = Plane::start().await.unwrap();
    let mut world = LightWorld::connected(&plane, "neighbour").await.unwrap();
    let theirs = another_velero(&world, "theirs").await;

    world.juju.remove_application(APP).unwrap();
    world.settle().await.unwrap();

    assert_eq!(world.belongings().await.unwrap(), "");
    assert_eq!(objects(&world, "theirs").await, theirs);
    assert!(world.log().contains("namespace `theirs` uses them"));
}

#[tokio::test]
async fn removal_without_rights_ends_and_says_what_is_left() {
    let plane = Plane::start().await.unwrap();
    let mut world = LightWorld::connected(&plane, "no-rights").await.unwrap();
    world.juju.untrust(APP).await.unwrap();

    world.juju.remove_application(APP).unwrap();
    world.settle().await.unwrap();

    assert_eq!(world.juju.app_status(APP), None, "the application is gone");
    let said = world.log();
    let advice = "delete it with `kubectl delete all,secret,configmap,serviceaccount,clusterrolebinding \
                  -A -l velero-operator/application=velero-operator,velero-operator/model=";
    assert!(said.contains(advice), "{said}");
}

/// Else a Velero that comes next would meet definitions that are on their way out.
#[tokio::test]
async fn removal_waits_for_its_definitions_and_names_one_that_somebody_holds() {
    let plane = Plane::start().await.unwrap();
    let mut world = LightWorld::connected(&plane, "held").await.unwrap();
    let hold = [
        "patch",
        "customresourcedefinition",
        "backups.velero.io",
        "--type=json",
        r#"--patch=[{"op": "add", "path": "/metadata/finalizers", "value": ["acme.example/hold"]}]"#,
    ];
    world.kubectl(&hold).await.unwrap();

    world.juju.remove_application(APP).unwrap();
    world.settle().await.unwrap();

    let left = ["get", "customresourcedefinitions", "-o", "name"];
    let left = world.kubectl(&left).await.unwrap();
    assert_eq!(
        left.trim(),
        "customresourcedefinition.apiextensions.k8s.io/backups.velero.io"
    );
    let said = "The CustomResourceDefinition `backups.velero.io` has not gone yet.";
    assert!(world.log().contains(said), "{}", world.log());
}

/// A finalizer keeps its object, and with it the definition, until somebody takes it off.
#[tokio::test]
async fn removal_lets_go_of_what_no_server_lets_go_of() {
    let plane = Plane::start().await.unwrap();
    let mut world = LightWorld::connected(&plane, "stuck").await.unwrap();
    let backup = json!({
        "apiVersion": "velero.io/v1", "kind": "Backup",
        "metadata": {"name": "stuck", "namespace": world.namespace, "finalizers": ["acme.example/hold"]},
        "spec": {},
    });
    world.apply(&backup).await.unwrap();

    world.juju.remove_application(APP).unwrap();
    world.settle().await.unwrap();

    let definitions = ["get", "customresourcedefinitions", "-o", "name"];
    assert_eq!(world.kubectl(&definitions).await.unwrap(), "");
}
