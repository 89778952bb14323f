//! A refresh from the Python charm, all in order.

use std::collections::BTreeMap;

use kube::api::DynamicObject;
use kube::{Api, ResourceExt as _};
use serde_json::json;
use worlds::operator::{APP, S3};
use worlds::past::VeleroCli;
use worlds::plane::Plane;
use worlds::stores::no_store;
use worlds::versions;

use super::given::{
    OLD_PLUGIN, OUR_PLUGIN, assert_ours, assert_up_to_date, backup, connected, create, edit,
    essence, exists, get, init_containers, kind, mark, new_servers, objects, python, refresh,
    servers, servers_so_far, until_it_serves, until_rolled_out, writes,
};

const NODE_AGENT: (&str, &str) = ("use-node-agent", "true");

#[tokio::test]
async fn a_refresh_makes_all_of_it_ours_and_restarts_velero_once() {
    let plane = Plane::shared().await.unwrap();
    let (mut world, _) = connected(&plane, "takeover", &[NODE_AGENT]).await;
    let location = get(&world, "velero.io", "BackupStorageLocation", "default").await;
    let history = servers_so_far(&world).await;
    let mark = mark(&world).await;

    refresh(&mut world).await;

    world.expect_status("active: ").unwrap();
    let objects = objects(&world).await;
    assert_ours(&world, &objects);
    assert_up_to_date(&world).await;
    assert_eq!(init_containers(&world).await, [OUR_PLUGIN]);
    assert!(
        !objects.contains_key("Secret/cloud-credentials"),
        "nothing names it any more"
    );
    let plain = format!("ClusterRoleBinding/velero-{}", world.namespace);
    let ours = format!("{plain}-{}", world.juju.model().uuid);
    assert!(objects.contains_key(&ours), "it is called after the model");
    assert!(!objects.contains_key(&plain), "nobody needs it any more");
    assert!(objects.contains_key("DaemonSet/node-agent"));
    assert!(
        objects.contains_key("Service/velero-metrics"),
        "what scrapes it still can"
    );
    assert_eq!(new_servers(&world, &history).await, 1);
    assert_eq!(servers(&world).await.len(), 1);

    let kept = &objects["BackupStorageLocation/default"];
    assert_eq!(kept.uid(), location.uid(), "it was never deleted");
    assert_eq!(
        kept.data["spec"].get("accessMode"),
        None,
        "the CLI had set it; we do not"
    );
    let mut deletions = writes(&world, &mark).await;
    deletions.retain(|write| write.starts_with("delete"));
    // Right after its definition changed, a kind may have to be asked for again.
    deletions.dedup();
    // The config of the location changes, whose repositories are then asked for again. And a store that is
    // not Amazon's has no snapshots.
    let binding = format!("delete clusterrolebindings velero-{}", world.namespace);
    let expected = [
        binding.as_str(),
        "deletecollection backuprepositories ",
        "delete volumesnapshotlocations default",
        "delete secrets cloud-credentials",
    ];
    assert_eq!(deletions, expected);
}

#[tokio::test]
async fn a_velero_that_was_taken_over_is_as_one_of_our_own() {
    let plane = Plane::shared().await.unwrap();
    let (mut world, _) = connected(&plane, "adopted", &[NODE_AGENT]).await;
    refresh(&mut world).await;
    // Before, its integrator keeps to keys in the clear.
    world.juju.remove_relation(APP, S3).unwrap();
    world.settle().await.unwrap();
    world.juju.integrate(APP, S3).unwrap();
    world.settle().await.unwrap();
    world.expect_status("active: ").unwrap();
    let mut own = plane.world("own").await.unwrap();
    own.deploy(super::given::trusted_with(&[NODE_AGENT]))
        .await
        .unwrap();
    own.connect().await.unwrap();

    let (adopted, own) = (essence(&world).await, essence(&own).await);
    assert_eq!(adopted, own);
}

#[tokio::test]
async fn after_the_take_over_a_hook_writes_nothing() {
    let plane = Plane::shared().await.unwrap();
    let (mut world, _) = connected(&plane, "quiet", &[NODE_AGENT]).await;
    refresh(&mut world).await;
    let mark = mark(&world).await;

    world.update_status().await.unwrap();

    world.expect_status("active: ").unwrap();
    assert_eq!(writes(&world, &mark).await, Vec::<String>::new());
}

#[tokio::test]
async fn additions_of_the_user_stay() {
    let plane = Plane::shared().await.unwrap();
    let (mut world, _) = connected(&plane, "additions", &[]).await;
    let by_hand = json!({"spec": {"template": {"spec": {
        "initContainers": [{"name": "by-hand", "image": "by/hand:1"}],
        "containers": [{"name": "velero", "env": [{"name": "THEIRS", "value": "kept"}]}],
    }}}});
    edit(&world, "deployment/velero", "strategic", &by_hand).await;
    let cli = VeleroCli::of_an_admin(&world.juju).unwrap();
    cli.add_plugin("some/further-plugin:v1").await.unwrap();
    let label =
        json!({"metadata": {"labels": {"theirs": "kept"}}, "spec": {"validationFrequency": "2m"}});
    edit(
        &world,
        "backupstoragelocations.velero.io/default",
        "merge",
        &label,
    )
    .await;
    let theirs = create(&world, json!({
        "apiVersion": "velero.io/v1", "kind": "BackupStorageLocation", "metadata": {"name": "theirs"},
        "spec": {"provider": "aws", "objectStorage": {"bucket": "theirs"}},
    }))
    .await;
    until_it_serves(&world).await;

    refresh(&mut world).await;

    world.expect_status("active: ").unwrap();
    let mut plugins = init_containers(&world).await;
    plugins.sort();
    assert_eq!(plugins, ["by-hand", "some-further-plugin", OUR_PLUGIN]);
    let server = get(&world, "apps", "Deployment", "velero").await;
    let container = &server.data["spec"]["template"]["spec"]["containers"][0];
    let variable = container["env"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == "THEIRS");
    assert_eq!(variable.unwrap()["value"], "kept");
    let location = get(&world, "velero.io", "BackupStorageLocation", "default").await;
    assert_eq!(location.labels()["theirs"], "kept");
    assert_eq!(location.data["spec"]["validationFrequency"], "2m");
    let left = get(&world, "velero.io", "BackupStorageLocation", "theirs").await;
    assert_eq!(left.uid(), theirs.uid());
    assert_eq!(
        left.labels().get("velero-operator/application"),
        None,
        "it is not ours"
    );
    assert_eq!(left.data["spec"], theirs.data["spec"]);
}

#[tokio::test]
async fn a_backup_in_flight_outlives_the_refresh() {
    let plane = Plane::shared().await.unwrap();
    let (mut world, _) = connected(&plane, "in-flight", &[]).await;
    let server = servers(&world).await;
    create(&world, backup("slow", "InProgress")).await;

    refresh(&mut world).await;

    let held = "waiting: waiting for Backup `slow` to end: a change is held back";
    world.expect_status(held).unwrap();
    assert_eq!(servers(&world).await, server, "the pod that works on it");
    world.update_status().await.unwrap();
    world.expect_status(held).unwrap();
    assert_eq!(servers(&world).await, server);

    let done = json!({"status": {"phase": "Completed"}});
    edit(&world, "backups.velero.io/slow", "merge", &done).await;
    world.update_status().await.unwrap();

    world.expect_status("active: ").unwrap();
    assert_ours(&world, &objects(&world).await);
    assert_up_to_date(&world).await;
    assert_eq!(init_containers(&world).await, [OUR_PLUGIN]);
    assert!(!exists(&world, "", "Secret", "cloud-credentials").await);
}

#[tokio::test]
async fn without_a_store_the_server_alone_comes_over() {
    let plane = Plane::shared().await.unwrap();
    let (mut world, _) = python(&plane, "no-store", &[]).await;
    until_rolled_out(&world).await;

    refresh(&mut world).await;

    world.expect_status(&no_store()).unwrap();
    assert_ours(&world, &objects(&world).await);
    assert_up_to_date(&world).await;
    assert_eq!(init_containers(&world).await, Vec::<String>::new());
    assert!(!exists(&world, "velero.io", "BackupStorageLocation", "default").await);

    world.connect().await.unwrap();
    assert_eq!(init_containers(&world).await, [OUR_PLUGIN]);
}

/// Its first `config-changed` has not run: the server would roll, and its own entry is only on the Service.
#[tokio::test]
async fn a_server_that_would_roll_is_replaced() {
    let plane = Plane::shared().await.unwrap();
    let mut world = plane.world("rolling").await.unwrap();
    let options = super::given::trusted_with(&[]);
    let python = worlds::past::PythonCharm::deploy(&mut world.juju, options)
        .await
        .unwrap();
    python.install().await.unwrap();
    until_rolled_out(&world).await;
    let server = get(&world, "apps", "Deployment", "velero").await;
    assert_eq!(server.data["spec"]["strategy"]["type"], "RollingUpdate");

    refresh(&mut world).await;

    world.expect_status(&no_store()).unwrap();
    assert_ours(&world, &objects(&world).await);
    assert_up_to_date(&world).await;
}

/// Both plugins at once would do no harm, so only their names tell that the old one has gone.
#[tokio::test]
async fn a_plugin_from_another_registry_is_known_by_the_users_option() {
    let plane = Plane::shared().await.unwrap();
    let image = "registry.example:5000/mirror/velero-plugin-for-aws:v1.14.0";
    let (mut world, _) = connected(&plane, "registry", &[("velero-aws-plugin-image", image)]).await;
    assert_ne!(init_containers(&world).await, [OLD_PLUGIN]);

    refresh(&mut world).await;

    world.expect_status("active: ").unwrap();
    assert_eq!(init_containers(&world).await, [OUR_PLUGIN]);
    let server = get(&world, "apps", "Deployment", "velero").await;
    let plugin = &server.data["spec"]["template"]["spec"]["initContainers"][0];
    assert_eq!(plugin["image"], image, "what the user has set stays");
}

/// The definitions are the cluster's. Juju had put its labels on them, and would sweep them with the
/// application, and every backup of the cluster with them.
#[tokio::test]
async fn the_definitions_are_nobodys() {
    // Of its own, as others would have upgraded them already.
    let plane = Plane::start().await.unwrap();
    let (mut world, _) = python(&plane, "nobodys", &[]).await;
    let wide = kind("apiextensions.k8s.io", "CustomResourceDefinition");
    let all: Api<DynamicObject> = Api::all_with(world.client(), &wide);
    let before = all.get("schedules.velero.io").await.unwrap();
    assert_eq!(before.labels()["app.juju.is/created-by"], APP);

    refresh(&mut world).await;

    let definition = all.get("schedules.velero.io").await.unwrap();
    let labels = [
        ("component", "velero"),
        ("model.juju.is/disable-webhook", "true"),
    ];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(definition.labels(), &BTreeMap::from(labels));
    let version = &definition.annotations()["velero-operator/velero-version"];
    assert_eq!(version, versions::VELERO);
}
