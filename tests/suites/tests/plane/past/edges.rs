//! A refresh that does not find everything in order.

use juju_emulator::{Dialect, Interruption};
use serde_json::json;
use worlds::operator::{APP, UNIT};
use worlds::past::{CLI, Installation, PythonCharm, Release, VeleroCli, take_back};
use worlds::plane::{LightWorld, Plane};
use worlds::stores::no_store;

use super::given::{
    OLD_PLUGIN, OUR_PLUGIN, assert_ours, assert_up_to_date, backup, connected, create, essence,
    exists, get, init_containers, managers, mark, new_servers, objects, python, refresh, relate,
    server_image, servers, servers_so_far, trusted_with, until_it_serves, until_rolled_out, writes,
};

#[tokio::test]
async fn without_trust_nothing_is_touched_and_with_it_all_comes_over() {
    let plane = Plane::shared().await.unwrap();
    let (mut world, _) = connected(&plane, "no-trust", &[]).await;
    world.juju.untrust(APP).await.unwrap();
    let mark = mark(&world).await;

    refresh(&mut world).await;

    let blocked = "blocked: run `juju trust velero-operator --scope=cluster`: not trusted";
    world.expect_status(blocked).unwrap();
    assert_eq!(writes(&world, &mark).await, Vec::<String>::new());

    world.juju.trust(APP).await.unwrap();
    world.settle().await.unwrap();
    world.expect_status("active: ").unwrap();
    assert_ours(&world, &objects(&world).await);
    assert_up_to_date(&world).await;
}

/// Where the Python charm stays forever: it had made the Secret, and then a step failed.
#[tokio::test]
async fn a_store_that_was_half_configured_is_configured() {
    let plane = Plane::shared().await.unwrap();
    let (mut world, python) = python(&plane, "half", &[]).await;
    relate(&mut world, Dialect::V1).await;
    python.create_secret(&world.settings()).await.unwrap();
    until_rolled_out(&world).await;

    refresh(&mut world).await;

    world.expect_status("active: ").unwrap();
    assert_ours(&world, &objects(&world).await);
    assert_eq!(init_containers(&world).await, [OUR_PLUGIN]);
    assert!(!exists(&world, "", "Secret", "cloud-credentials").await);
}

/// It was installed, and not even that to its end: the Service comes last there.
#[tokio::test]
async fn beginning_is_found_by_a_secret_and_definitions() {
    let plane = Plane::shared().await.unwrap();
    let mut world = plane.world("barely").await.unwrap();
    let python = PythonCharm::deploy(&mut world.juju, trusted_with(&[]))
        .await
        .unwrap();
    python.create_secret(&world.settings()).await.unwrap();

    refresh(&mut world).await;

    world.expect_status(&no_store()).unwrap();
    world.connect().await.unwrap();
    assert_ours(&world, &objects_but_the_stray_secret(&world).await);
}

/// No Velero names it, so nothing tells that it is anybody's but a user's.
async fn objects_but_the_stray_secret(
    world: &LightWorld,
) -> std::collections::BTreeMap<String, kube::api::DynamicObject> {
    let mut all = objects(world).await;
    all.remove("Secret/cloud-credentials");
    all
}

#[tokio::test]
async fn a_velero_of_neither_charm_is_refused() {
    let plane = Plane::shared().await.unwrap();
    let mut world = plane.world("by-hand").await.unwrap();
    PythonCharm::deploy(&mut world.juju, trusted_with(&[]))
        .await
        .unwrap();
    let cli = VeleroCli::of_an_admin(&world.juju).unwrap();
    cli.install(Installation::Server, "velero/velero:v1.15.2")
        .await
        .unwrap();
    cli.add_plugin("velero/velero-plugin-for-aws:v1.10.0")
        .await
        .unwrap();
    until_rolled_out(&world).await;
    let before = get(&world, "apps", "Deployment", "velero").await;
    let mark = mark(&world).await;

    refresh(&mut world).await;
    world.update_status().await.unwrap();

    world
        .expect_in_status(
            "blocked: ",
            &["it is a Velero that this charm did not install"],
        )
        .unwrap();
    assert_eq!(writes(&world, &mark).await, Vec::<String>::new());
    let after = get(&world, "apps", "Deployment", "velero").await;
    assert_eq!(
        after.metadata.managed_fields,
        before.metadata.managed_fields
    );
    assert!(managers(&after).contains(&CLI.to_owned()));
    world.juju.remove_application(APP).unwrap();
    world.settle().await.unwrap();
    assert!(
        exists(&world, "apps", "Deployment", "velero").await,
        "nor is it removed"
    );
}

#[tokio::test]
async fn an_image_that_was_pinned_to_the_older_velero_is_named_and_nothing_breaks() {
    let plane = Plane::shared().await.unwrap();
    let pinned = "velero/velero:v1.15.2";
    let (mut world, _) = connected(&plane, "pinned", &[("velero-image", pinned)]).await;
    let server = servers(&world).await;

    refresh(&mut world).await;

    world
        .expect_in_status("blocked: ", &["velero-image", "1.18"])
        .unwrap();
    assert_eq!(servers(&world).await, server);
    assert_eq!(
        init_containers(&world).await,
        [OLD_PLUGIN],
        "it still works as it did"
    );
    assert!(exists(&world, "", "Secret", "cloud-credentials").await);

    world.reset(&["velero-image"]).await.unwrap();
    world.expect_status("active: ").unwrap();
    assert_ours(&world, &objects(&world).await);
    assert_up_to_date(&world).await;
}

/// The Python charm let this be set; every backup of files fails there.
#[tokio::test]
async fn files_without_a_node_agent_are_named_and_nothing_breaks() {
    let plane = Plane::shared().await.unwrap();
    let (mut world, _) = connected(&plane, "files", &[]).await;
    world
        .juju
        .config(APP, &[("default-volumes-to-fs-backup", "true")])
        .unwrap();
    world.settle().await.unwrap();
    PythonCharm::of(&world.juju)
        .await
        .unwrap()
        .config_changed()
        .await
        .unwrap();
    until_it_serves(&world).await;
    let server = servers(&world).await;

    refresh(&mut world).await;

    world
        .expect_in_status("blocked: ", &["needs the node agent"])
        .unwrap();
    assert_eq!(servers(&world).await, server);

    world.config("use-node-agent", "true").await.unwrap();
    world.expect_status("active: ").unwrap();
    assert_ours(&world, &objects(&world).await);
    let server = get(&world, "apps", "Deployment", "velero").await;
    let arguments = server.data["spec"]["template"]["spec"]["containers"][0]["args"].to_string();
    assert_eq!(
        arguments.matches("--default-volumes-to-fs-backup").count(),
        1,
        "{arguments}"
    );
}

#[tokio::test]
async fn a_node_agent_that_is_not_wanted_any_more_goes() {
    let plane = Plane::shared().await.unwrap();
    let (mut world, _) = connected(&plane, "no-agent", &[("use-node-agent", "true")]).await;
    world
        .juju
        .config(APP, &[("use-node-agent", "false")])
        .unwrap();

    refresh(&mut world).await;

    world.expect_status("active: ").unwrap();
    assert!(!exists(&world, "apps", "DaemonSet", "node-agent").await);
}

/// A unit that does not lead comes first; it leaves everything to the other one.
#[tokio::test]
async fn leader_of_two_units_takes_over() {
    let plane = Plane::shared().await.unwrap();
    let (mut world, _) = connected(&plane, "two-units", &[]).await;
    let second = world.juju.add_unit(APP).unwrap();
    world.settle().await.unwrap();
    world.juju.move_leadership(&second).unwrap();
    world.settle().await.unwrap();
    let mark = mark(&world).await;

    refresh(&mut world).await;

    assert_ours(&world, &objects(&world).await);
    assert_up_to_date(&world).await;
    let status = world.juju.unit_status(&second).unwrap();
    assert_eq!(
        (status.level.as_str(), status.message.as_str()),
        ("active", "")
    );
    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();
    let first = world.juju.hook_runs().iter().filter(|run| run.unit == UNIT);
    assert!(first.clone().all(|run| run.exit.is_success()), "{first:?}");
    assert!(!writes(&world, &mark).await.is_empty(), "the leader wrote");
}

#[tokio::test]
async fn a_refresh_that_is_killed_again_and_again_ends_alike() {
    let plane = Plane::shared().await.unwrap();
    let (mut steady, _) = connected(&plane, "not-killed", &[]).await;
    refresh(&mut steady).await;
    steady.expect_status("active: ").unwrap();
    let (mut world, _) = connected(&plane, "killed", &[]).await;
    world.stage_refresh().await.unwrap();

    for call in 1..=8 {
        world.juju.interrupt_next(Interruption::Killed, call);
        world.settle().await.unwrap();
    }
    world.settle().await.unwrap();

    world.expect_status("active: ").unwrap();
    assert_ours(&world, &objects(&world).await);
    assert_eq!(essence(&world).await, essence(&steady).await);
}

/// The same charm, which brought an older Velero then; its definitions too, hence a plane of its own.
#[tokio::test]
async fn an_older_release_of_this_charm_is_brought_up_with_one_restart() {
    let plane = Plane::start().await.unwrap();
    let mut world = LightWorld::connected(&plane, "own-past").await.unwrap();
    world.config("use-node-agent", "true").await.unwrap();
    let fresh = world.dump().await.unwrap();
    take_back(&world.juju, Release::V1_17, Installation::NodeAgent)
        .await
        .unwrap();
    until_it_serves(&world).await;
    assert_eq!(server_image(&world).await, Release::V1_17.image());
    let history = servers_so_far(&world).await;

    refresh(&mut world).await;

    world.expect_status("active: ").unwrap();
    assert_up_to_date(&world).await;
    assert_eq!(world.dump().await.unwrap(), fresh);
    assert_eq!(new_servers(&world, &history).await, 1);
    let server = get(&world, "apps", "Deployment", "velero").await;
    let pod = &server.data["spec"]["template"]["spec"];
    assert_eq!(
        pod.get("nodeSelector"),
        None,
        "only the older manifest has it"
    );
    let runs = world.juju.hook_runs().iter();
    assert!(runs.clone().all(|run| run.exit.is_success()), "{runs:?}");
}

#[tokio::test]
async fn a_backup_in_flight_holds_the_upgrade_of_an_older_release_of_this_charm() {
    let plane = Plane::start().await.unwrap();
    let mut world = LightWorld::connected(&plane, "own-in-flight")
        .await
        .unwrap();
    take_back(&world.juju, Release::V1_17, Installation::Server)
        .await
        .unwrap();
    until_it_serves(&world).await;
    let server = servers(&world).await;
    create(&world, backup("slow", "InProgress")).await;

    refresh(&mut world).await;

    world
        .expect_status("waiting: waiting for Backup `slow` to end: a change is held back")
        .unwrap();
    assert_eq!(servers(&world).await, server);
    let done = json!({"status": {"phase": "Completed"}});
    super::given::edit(&world, "backups.velero.io/slow", "merge", &done).await;
    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();
    assert_up_to_date(&world).await;
}
