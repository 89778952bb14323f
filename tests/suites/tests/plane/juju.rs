//! What real Juju does otherwise than one would think: a broken hook that lists its relation, trust that
//! comes after the hook that tells of it, and ends that are not orderly.

use juju_emulator::{AzureSettings, DeployOptions, Echo, LastHooks, PodLoss};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Map, Value};
use worlds::operator::{APP, AZURE, S3, UNIT};
use worlds::plane::{LightWorld, Plane};
use worlds::stores::no_store;

const NOT_TRUSTED: &str = "blocked: run `juju trust velero-operator --scope=cluster`: not trusted";

/// What connects Velero to a store.
async fn connection(world: &LightWorld) -> String {
    let secrets = ["get", "secrets", "-o", "name", "-n", &world.namespace];
    let role = "-l=velero-operator/role=storage-credential";
    let secrets = [secrets.as_slice(), &[role]].concat();
    let secrets = world.kubectl(&secrets).await.unwrap();
    let location = world.location().await.unwrap();
    format!("{location:?} {secrets}")
}

async fn connected_to(plane: &Plane, name: &str, integrator: &str) -> LightWorld {
    let mut world = LightWorld::deployed(plane, name).await.unwrap();
    if integrator == S3 {
        world.connect().await.unwrap();
    } else {
        let settings = AzureSettings::of_account("acme", "velero", "YSBsaWdodCBrZXk=");
        world.juju.deploy_azure_integrator(AZURE, settings).unwrap();
        world.juju.integrate(APP, AZURE).unwrap();
        world.settle().await.unwrap();
    }
    world.expect_status("active: ").unwrap();
    world
}

/// The names of hooks, from the first one on that was not there before.
fn hooks(world: &LightWorld, before: usize) -> Vec<String> {
    let runs = &world.juju.hook_runs()[before..];
    runs.iter().map(|run| run.hook.clone()).collect()
}

fn runs(world: &LightWorld) -> usize {
    world.juju.hook_runs().len()
}

async fn definitions(world: &LightWorld) -> usize {
    let arguments = ["get", "customresourcedefinitions", "-o", "name"];
    let names = world.kubectl(&arguments).await.unwrap();
    names
        .lines()
        .filter(|name| name.ends_with("velero.io"))
        .count()
}

#[tokio::test]
async fn a_broken_hook_disconnects_though_it_lists_its_relation() {
    let plane = Plane::shared().await.unwrap();
    for (name, integrator) in [("broken-s3", S3), ("broken-azure", AZURE)] {
        let mut world = connected_to(&plane, name, integrator).await;

        world.juju.remove_relation(APP, integrator).unwrap();
        world.settle().await.unwrap();

        let last = world.juju.hook_runs().last().unwrap();
        assert!(last.hook.ends_with("-relation-broken"), "{}", last.hook);
        let asked = ["relation-get", "relation-list", "secret-get"];
        let asked = last
            .tool_calls
            .iter()
            .filter(|call| asked.contains(&&*call.tool));
        assert_eq!(asked.count(), 0, "what is over is not looked at");
        assert_eq!(connection(&world).await, "None ");
        world.expect_status(&no_store()).unwrap();
    }
}

/// Its agent is started between the two last hooks: this one does not list the relation.
#[tokio::test]
async fn a_broken_hook_after_a_restart_disconnects_too() {
    let plane = Plane::shared().await.unwrap();
    let mut world = connected_to(&plane, "broken-restart", S3).await;

    world.juju.remove_relation(APP, S3).unwrap();
    let departed = world.juju.step().await.unwrap().unwrap();
    assert_eq!(departed.hook, "s3-credentials-relation-departed");
    world.juju.restart_container(UNIT).unwrap();
    world.settle().await.unwrap();

    assert_eq!(connection(&world).await, "None ");
    world.expect_status(&no_store()).unwrap();
}

#[tokio::test]
async fn an_integrator_removed_by_force_is_disconnected() {
    let plane = Plane::shared().await.unwrap();
    let mut world = connected_to(&plane, "forced-integrator", S3).await;

    world.juju.remove_application_by_force(S3).unwrap();
    let departed = world.juju.step().await.unwrap().unwrap();

    assert_eq!(departed.hook, "s3-credentials-relation-departed");
    assert!(departed.exit.is_success(), "{}", world.log());
    assert_eq!(connection(&world).await, "None ");
    world.settle().await.unwrap();
    world.expect_status(&no_store()).unwrap();
}

#[tokio::test]
async fn trust_that_comes_after_its_hook_is_waited_for() {
    let plane = Plane::shared().await.unwrap();
    let mut world = plane.world("late-trust").await.unwrap();
    world.juju.play_trust(Echo::Once);
    world.deploy(DeployOptions::default()).await.unwrap();
    world.expect_status(NOT_TRUSTED).unwrap();

    let before = runs(&world);
    world.juju.trust(APP).await.unwrap();
    world.settle().await.unwrap();

    assert_eq!(hooks(&world, before), ["config-changed"]);
    world.expect_status(&no_store()).unwrap();
}

#[tokio::test]
async fn a_second_hook_after_trust_finds_nothing_to_do() {
    let plane = Plane::shared().await.unwrap();
    let mut world = plane.world("echoed-trust").await.unwrap();
    world.juju.play_trust(Echo::Twice);
    world.deploy(DeployOptions::default()).await.unwrap();

    let before = runs(&world);
    world.juju.trust(APP).await.unwrap();
    world.settle().await.unwrap();

    assert_eq!(hooks(&world, before), ["config-changed", "config-changed"]);
    world.expect_status(&no_store()).unwrap();
    let second = world.juju.hook_runs().last().unwrap();
    assert!(second.statuses.is_empty(), "{:?}", second.statuses);
}

/// No hook tells of it.
#[tokio::test]
async fn trust_given_while_the_unit_starts_is_waited_for() {
    let plane = Plane::shared().await.unwrap();
    let mut world = plane.world("starting-trust").await.unwrap();
    let charm = world.charm().await.unwrap();
    let untrusted = DeployOptions::default();
    world.juju.deploy(&charm, APP, untrusted).await.unwrap();
    while world.juju.step().await.unwrap().unwrap().hook != "config-changed" {}
    world.expect_status(NOT_TRUSTED).unwrap();

    let before = runs(&world);
    world.juju.trust(APP).await.unwrap();
    world.settle().await.unwrap();

    assert_eq!(hooks(&world, before), ["start"]);
    world.expect_status(&no_store()).unwrap();
}

#[tokio::test]
async fn an_action_waits_for_trust_and_says_when_none_comes() {
    let plane = Plane::shared().await.unwrap();
    let mut world = plane.world("action-trust").await.unwrap();
    world.deploy(DeployOptions::default()).await.unwrap();
    let params = Map::from_iter([("command".to_owned(), Value::from("backup get"))]);

    let refused = world.juju.run_action(UNIT, "run", &params).await.unwrap();
    let told = &refused.message;
    let remedy = "run `juju trust velero-operator --scope=cluster`: not trusted";
    assert!(told.starts_with(remedy), "{told}");

    world.juju.trust(APP).await.unwrap();
    let outcome = world.juju.run_action(UNIT, "run", &params).await.unwrap();
    let message = &outcome.message;
    assert!(message.ends_with(": no object store"), "{message}");
}

#[tokio::test]
async fn leftovers_of_force_are_taken_over_by_the_next() {
    let plane = Plane::start().await.unwrap();
    let mut world = connected_to(&plane, "forced", S3).await;
    let before = world.dump().await.unwrap();
    let first = runs(&world);

    world.juju.remove_application_by_force(APP).unwrap();
    // The cluster is away at the last moment, say: no hook of the unit ends well.
    let fails = juju_emulator::ToolFault::Fails {
        code: 1,
        stderr: "ERROR connection is shut down\n".to_owned(),
    };
    world.juju.sabotage_next("is-leader", 1, fails);
    world.settle().await.unwrap();

    assert_eq!(hooks(&world, first), ["stop"], "and no `remove`");
    assert_eq!(world.juju.app_status(APP), None, "the application is gone");
    assert_eq!(world.dump().await.unwrap(), before, "nothing was swept");

    world.juju.remove_application(S3).unwrap();
    world.settle().await.unwrap();
    world.deploy(DeployOptions::trusted()).await.unwrap();
    world.connect().await.unwrap();
    assert_eq!(world.dump().await.unwrap(), before);
    world.juju.remove_application(APP).unwrap();
    world.settle().await.unwrap();
    assert_eq!(world.belongings().await.unwrap(), "");
    assert_eq!(definitions(&world).await, 0);
}

/// Its relation is listed and cannot be read; nothing of that fails a hook.
#[tokio::test]
async fn a_forced_removal_lets_every_hook_end_well() {
    let plane = Plane::start().await.unwrap();
    let mut world = connected_to(&plane, "forced-well", S3).await;
    let first = runs(&world);

    world.juju.remove_application_by_force(APP).unwrap();
    world.settle().await.unwrap();

    assert_eq!(hooks(&world, first), ["stop", "remove"]);
    let last = &world.juju.hook_runs()[first..];
    assert!(last.iter().all(|run| run.exit.is_success()), "{last:#?}");
    assert_eq!(world.belongings().await.unwrap(), "");
}

#[tokio::test]
async fn a_destroyed_model_leaves_definitions_alone() {
    let plane = Plane::start().await.unwrap();
    for (name, last) in [
        ("destroyed", LastHooks::Stop),
        ("destroyed-slowly", LastHooks::StopAndRemove),
    ] {
        let mut world = connected_to(&plane, name, S3).await;
        let known = definitions(&world).await;

        let runs = world.juju.destroy_model(last).await.unwrap();

        assert!(runs.iter().all(|run| run.exit.is_success()), "{runs:#?}");
        let client = world.client();
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let namespace = namespaces.get_opt(&world.namespace).await.unwrap();
        assert!(namespace.is_none_or(|one| one.metadata.deletion_timestamp.is_some()));
        assert_eq!(definitions(&world).await, known, "they are opted out");
        let bindings = ["get", "clusterrolebindings,clusterroles", "-o", "name"];
        let bindings = world.kubectl(&bindings).await.unwrap();
        assert!(!bindings.contains(name), "{bindings}");
        let servers: Api<Deployment> = Api::all(client);
        let veleros = ListParams::default().labels("component=velero");
        let servers = servers.list(&veleros).await.unwrap();
        assert_eq!(servers.items.len(), 0);
    }
}

#[tokio::test]
async fn a_forgotten_unit_takes_nothing_from_those_that_stay() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "forgotten").await.unwrap();
    world.juju.scale(APP, 2).unwrap();
    world.settle().await.unwrap();
    let before = world.dump().await.unwrap();

    world.juju.remove_unit(UNIT).unwrap();
    world.juju.model_mut().unit_mut(UNIT).unwrap().forgotten = true;
    let first = runs(&world);
    world.settle().await.unwrap();

    let last = &world.juju.hook_runs()[first..];
    assert!(last.iter().all(|run| run.exit.is_success()), "{last:#?}");
    assert_eq!(world.dump().await.unwrap(), before);
    let said = "Juju has forgotten this unit, so that other units may need Velero: it stays.";
    assert!(world.log().contains(said), "{}", world.log());
}

/// The pod is deleted by force: in its last hook nobody accepts its token.
#[tokio::test]
async fn a_pod_deleted_by_force_comes_back_as_it_was() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "void-token").await.unwrap();

    world.juju.replace_pod(UNIT, PodLoss::Deleted).unwrap();
    world.settle().await.unwrap();

    world.expect_status("active: ").unwrap();
}

#[tokio::test]
async fn secret_get_leaves_three_objects_each_time() {
    let plane = Plane::shared().await.unwrap();
    let world = LightWorld::connected(&plane, "consumers").await.unwrap();
    let runs = world.juju.hook_runs().iter();
    let calls = runs.flat_map(|run| &run.tool_calls);
    let readings = calls.filter(|call| call.tool == "secret-get" && call.exit == 0);
    let readings = readings.count();

    assert!(readings > 0);
    assert_eq!(world.secret_consumers().await.unwrap(), readings);
}
