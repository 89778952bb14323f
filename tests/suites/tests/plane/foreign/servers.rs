//! A Velero of somebody else's, or of another application of this charm.

use juju_emulator::DeployOptions;
use serde_json::{Value, json};
use worlds::operator::{APP, UNIT};
use worlds::plane::{LightWorld, Plane};

use super::{bucket, daily, find, helms, made, mark, put, remove, with_definitions, writes};

const LOCATION: super::Id<'_> = ("velero.io", "BackupStorageLocation", "default");
const SCHEDULE: super::Id<'_> = ("velero.io", "Schedule", "nightly");
const BACKUP: super::Id<'_> = ("velero.io", "Backup", "done");
const HELMS: super::Id<'_> = ("apps", "Deployment", "shop-velero");
const SECOND: &str = "other";

/// What a Velero has, under the names that Helm and people use.
async fn use_it(world: &LightWorld) {
    put(world, "BackupStorageLocation", "default", bucket("theirs")).await;
    put(world, "Schedule", "nightly", daily()).await;
    put(world, "Backup", "done", json!({})).await;
}

async fn theirs(world: &LightWorld) -> Vec<Value> {
    let mut found = Vec::new();
    for id in [LOCATION, SCHEDULE, BACKUP, HELMS] {
        found.push(made(world, id).await);
    }
    found
}

fn status_of(world: &LightWorld, unit: &str) -> String {
    let status = world.juju.unit_status(unit).unwrap();
    format!("{}: {}", status.level, status.message)
}

#[tokio::test]
async fn helms_velero_is_named_and_left_alone() {
    let plane = Plane::shared().await.unwrap();
    let mut world = plane.world("helm").await.unwrap();
    with_definitions(&world).await;
    world.apply(&helms(&world.namespace, 1)).await.unwrap();
    use_it(&world).await;
    let before = theirs(&world).await;
    let mark = mark(&world).await;

    world.deploy(DeployOptions::trusted()).await.unwrap();
    let settings = world.settings();
    world.integrate(settings).await.unwrap();

    world
        .expect_status(
            "blocked: remove Deployment `shop-velero` in namespace `light-helm`, or deploy into another \
             model: it is a Velero that this charm did not install (and 1 more)",
        )
        .unwrap();
    assert_eq!(writes(&world, &mark).await, Vec::<String>::new());
    let command = (
        "command".to_owned(),
        json!("schedule delete --all --confirm"),
    );
    let params = serde_json::Map::from_iter([command]);
    let outcome = world.juju.run_action(UNIT, "run", &params).await.unwrap();
    assert_eq!(
        outcome.status, "failed",
        "their location is not for us to use"
    );
    assert_eq!(theirs(&world).await, before);

    remove(&mut world, APP).await;
    assert_eq!(theirs(&world).await, before);
    assert!(
        world.log().contains("Deployment `shop-velero`"),
        "{}",
        world.log()
    );
}

/// Scaled to nothing it is a Velero still, whose objects are its own.
#[tokio::test]
async fn helms_velero_that_is_away_is_found_too() {
    let plane = Plane::shared().await.unwrap();
    let mut world = plane.world("helm-away").await.unwrap();
    with_definitions(&world).await;
    world.apply(&helms(&world.namespace, 0)).await.unwrap();
    use_it(&world).await;
    let before = theirs(&world).await;

    world.deploy(DeployOptions::trusted()).await.unwrap();
    world
        .expect_in_status("blocked: ", &["Deployment `shop-velero`"])
        .unwrap();
    remove(&mut world, APP).await;

    assert_eq!(theirs(&world).await, before);
}

fn pod(command: &[&str], image: &str) -> Value {
    json!({"containers": [{"name": "main", "image": image, "command": command}]})
}

/// One that neither labels nor a name tell of.
fn unlabelled(kind: &str, pod: &Value) -> Value {
    let labels = json!({"app": "rescue"});
    let mut spec = json!({
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    });
    if kind == "StatefulSet" {
        spec["serviceName"] = json!("rescue");
    }
    json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "rescue"}, "spec": spec})
}

#[tokio::test]
async fn velero_is_found_in_every_form() {
    let plane = Plane::shared().await.unwrap();
    let command = pod(&["/velero", "server"], "acme/rescue:1");
    let image = json!({"containers": [{"name": "main", "image": "acme/mirror/velero:v1.16.0"}]});
    let bare = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "rescue"}, "spec": command,
    });
    let forms = [
        (
            "by-command",
            "Deployment",
            unlabelled("Deployment", &command),
        ),
        ("by-image", "Deployment", unlabelled("Deployment", &image)),
        ("by-set", "StatefulSet", unlabelled("StatefulSet", &command)),
        ("by-pod", "Pod", bare),
    ];
    for (name, kind, mut object) in forms {
        let mut world = plane.world(name).await.unwrap();
        object["metadata"]["namespace"] = json!(world.namespace);
        world.apply(&object).await.unwrap();
        let mark = mark(&world).await;

        world.deploy(DeployOptions::trusted()).await.unwrap();

        let named = format!("{kind} `rescue`");
        world.expect_in_status("blocked: ", &[&named]).unwrap();
        assert_eq!(writes(&world, &mark).await, Vec::<String>::new(), "{name}");
    }
}

/// Ours goes, and nothing else: whose a Schedule is, nobody can tell any more.
#[tokio::test]
async fn velero_that_comes_later_keeps_what_is_there() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "later").await.unwrap();
    world.apply(&helms(&world.namespace, 1)).await.unwrap();
    put(&world, "BackupStorageLocation", "theirs", bucket("theirs")).await;
    put(&world, "Schedule", "nightly", daily()).await;
    let quiet = mark(&world).await;

    world.update_status().await.unwrap();

    let named = [
        "remove Deployment `shop-velero` in namespace ",
        ", or deploy into another model: ",
    ];
    world.expect_in_status("blocked: ", &named).unwrap();
    assert_eq!(writes(&world, &quiet).await, Vec::<String>::new());

    remove(&mut world, APP).await;
    let location = ("velero.io", "BackupStorageLocation", "theirs");
    for kept in [HELMS, SCHEDULE, location] {
        assert!(find(&world, kept).await.is_some(), "{} is gone", kept.1);
    }
    assert_eq!(find(&world, LOCATION).await, None, "this one was ours");
    assert_eq!(world.belongings().await.unwrap(), "");
    let said = "stay, for others are here: Deployment `shop-velero` in namespace `light-later`";
    assert!(world.log().contains(said), "{}", world.log());
}

#[tokio::test]
async fn second_application_of_this_charm_touches_nothing() {
    let plane = Plane::start().await.unwrap();
    let mut world = LightWorld::connected(&plane, "two").await.unwrap();
    world.use_velero().await.unwrap();
    let before = world.dump().await.unwrap();
    let source = world.charm().await.unwrap();

    let options = DeployOptions::trusted();
    world.juju.deploy(&source, SECOND, options).await.unwrap();
    world.settle().await.unwrap();

    let told = status_of(&world, "other/0");
    let wanted = "blocked: remove `velero-operator` (if Juju has lost it, deploy this charm as \
                  `velero-operator` first), or deploy into another model: Deployment `velero` in \
                  namespace `light-two` belongs to application `velero-operator`";
    assert!(told.starts_with(wanted), "{told}");

    // Its server is away: only its other objects tell whose it is.
    let delete = ["-n", &world.namespace, "delete", "deployment", "velero"];
    world.kubectl(&delete).await.unwrap();
    remove(&mut world, SECOND).await;
    for kind in ["Schedule", "Backup", "Restore"] {
        let kept = world.velero_object(kind, "left").await.unwrap();
        assert!(kept.is_some(), "{kind} is gone");
    }
    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();
    assert_eq!(world.dump().await.unwrap(), before);
}

/// The one that waited takes over, once the other has gone.
#[tokio::test]
async fn second_application_begins_when_the_first_has_gone() {
    let plane = Plane::start().await.unwrap();
    let mut world = LightWorld::connected(&plane, "turns").await.unwrap();
    world.use_velero().await.unwrap();
    let source = world.charm().await.unwrap();
    let options = DeployOptions::trusted();
    world.juju.deploy(&source, SECOND, options).await.unwrap();
    world.settle().await.unwrap();

    remove(&mut world, APP).await;

    assert_eq!(world.belongings().await.unwrap(), "");
    assert_eq!(world.velero_object("Schedule", "left").await.unwrap(), None);
    world.juju.update_status("other/0").await.unwrap();
    let told = status_of(&world, "other/0");
    assert!(told.contains(": no object store"), "{told}");
}
