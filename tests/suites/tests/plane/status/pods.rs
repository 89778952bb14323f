//! What becomes of Velero's pods. Where they wait for something, the kubelet's words are real ones.

use jiff::{Timestamp, ToSpan as _};
use juju_emulator::DeployOptions;
use serde_json::{Value, json};
use worlds::kubectl::TIMEOUT;
use worlds::operator::APP;
use worlds::plane::{Fate, LightWorld, Plane, Verdict};

use super::table::{Rows, Section};
use crate::{here, patch_status};

fn not_found(image: &str) -> Fate {
    let message = format!(
        "Back-off pulling image \"{image}\": ErrImagePull: rpc error: code = NotFound desc = failed to \
         pull and unpack image \"docker.io/{image}\": docker.io/{image}: not found"
    );
    Fate::waits("ImagePullBackOff", &message)
}

fn crashes() -> Fate {
    Fate::CrashLoops {
        code: 1,
        last_words: "time=\"2026-01-01T00:00:00Z\" level=info msg=\"setting log-level to INFO\"\n\
                     An error occurred: unknown flag: --no-such-flag\n"
            .to_owned(),
    }
}

pub(crate) async fn broken(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let mut world = LightWorld::connected(plane, "broken").await.unwrap();
    images(&mut world, &mut rows).await;

    world.let_containers("velero", crashes()).await.unwrap();
    world.update_status().await.unwrap();
    let situation = "The server ends again and again";
    rows.take(&world, Section::Velero, "blocked", situation);
    world.let_containers("velero", Fate::Runs).await.unwrap();

    world.config("use-node-agent", "true").await.unwrap();
    rows.healed(&world);
    let image = "velero/velero:v1.18.3";
    world
        .let_containers("node-agent", not_found(image))
        .await
        .unwrap();
    world.update_status().await.unwrap();
    let situation = "A node cannot pull the node agent's image";
    rows.take(&world, Section::Velero, "blocked", situation);
    world.let_containers("node-agent", crashes()).await.unwrap();
    world.update_status().await.unwrap();
    let situation = "The node agent ends again and again";
    rows.take(&world, Section::Velero, "blocked", situation);

    let full = Verdict::Unavailable("it is full".into());
    let bucket = world.bucket.clone();
    world.let_bucket(&bucket, full).await.unwrap();
    world.config("velero-aws-plugin-image", "").await.unwrap();
    let situation = "Several things are wrong: here an option, the node agent and the store";
    rows.take(&world, Section::Setup, "blocked", situation);
    world.reset(&["velero-aws-plugin-image"]).await.unwrap();
    let bucket = world.bucket.clone();
    world.let_bucket(&bucket, Verdict::Available).await.unwrap();
    world
        .let_containers("node-agent", Fate::Runs)
        .await
        .unwrap();
    world.update_status().await.unwrap();
    rows.healed(&world);
    rows
}

async fn images(world: &mut LightWorld, rows: &mut Rows) {
    let (server, plugin) = ("velero-image", "velero-aws-plugin-image");
    let cases = [
        (
            server,
            "velero/velero:v1.18.99",
            not_found("velero/velero:v1.18.99"),
            "The server's image cannot be pulled",
        ),
        (
            plugin,
            "velero/velero-plugin-for-aws:v1.14.99",
            not_found("velero/velero-plugin-for-aws:v1.14.99"),
            "The plugin's image cannot be pulled",
        ),
    ];
    for (option, image, fate, situation) in cases {
        world.let_containers(image, fate).await.unwrap();
        world.config(option, image).await.unwrap();
        rows.take(world, Section::Velero, "blocked", situation);
        world.reset(&[option]).await.unwrap();
        rows.healed(world);
    }
}

/// It runs, and cannot be relied on.
pub(crate) async fn unreliable(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let mut world = LightWorld::connected(plane, "unreliable").await.unwrap();
    let fails = Fate::Returns { code: 2 };
    world.let_containers("velero", fails).await.unwrap();
    long_back(&world, &pod(&world, "deploy=velero").await).await;
    world.update_status().await.unwrap();
    let situation = "The server has ended in the last ten minutes, and runs again";
    rows.take(&world, Section::Velero, "waiting", situation);

    let starves = Fate::StarvesAt("512Mi".into());
    world.let_containers("velero", starves).await.unwrap();
    world.update_status().await.unwrap();
    let situation = "The server was killed for memory in the last day";
    rows.take(&world, Section::Velero, "blocked", situation);
    let advice = ["set `memory-limit` to 1024Mi"];
    world.expect_in_status("blocked: ", &advice).unwrap();
    world.config("memory-limit", "1024Mi").await.unwrap();
    rows.healed(&world);
    rows
}

/// A node is down, as the node controller says it of the node's pods.
pub(crate) async fn node_down(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let mut world = LightWorld::connected(plane, "node-down").await.unwrap();
    world.config("use-node-agent", "true").await.unwrap();
    let pod = pod(&world, "name=node-agent").await;
    set_ready(&world, &pod, "False", Timestamp::now()).await;
    world.update_status().await.unwrap();
    let situation = "A node is down";
    rows.take(&world, Section::Velero, "waiting", situation);
    set_ready(&world, &pod, "False", an_hour_ago()).await;
    world.update_status().await.unwrap();
    let situation = "A node has been down for ten minutes";
    rows.take(&world, Section::Velero, "blocked", situation);
    set_ready(&world, &pod, "True", Timestamp::now()).await;
    world.update_status().await.unwrap();
    rows.healed(&world);
    rows
}

/// Controllers try again by and by.
pub(super) async fn until_server_is_available(world: &LightWorld) {
    let wait = ["wait", "deployment/velero", "--for=condition=Available"];
    here(world, &[&wait[..], &[TIMEOUT]].concat()).await;
}

fn an_hour_ago() -> Timestamp {
    Timestamp::now() - 1.hour()
}

async fn pod(world: &LightWorld, label: &str) -> String {
    let get = ["get", "pods", "-l", label, "-o", "name"];
    here(world, &get).await.trim().to_owned()
}

async fn set_ready(world: &LightWorld, pod: &str, status: &str, since: Timestamp) {
    let since = since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let ready = json!({"type": "Ready", "status": status, "lastTransitionTime": since});
    patch_status(world, pod, &json!({"conditions": [ready]})).await;
}

/// Its first minute is over.
async fn long_back(world: &LightWorld, pod: &str) {
    let get = here(world, &["get", pod, "-o", "json"]).await;
    let live: Value = serde_json::from_str(&get).unwrap();
    let mut statuses = live["status"]["containerStatuses"].clone();
    let then = (Timestamp::now() - 1.minute()).strftime("%Y-%m-%dT%H:%M:%SZ");
    statuses[0]["state"]["running"]["startedAt"] = json!(then.to_string());
    patch_status(world, pod, &json!({"containerStatuses": statuses})).await;
}

pub(crate) async fn slow_server(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let mut world = LightWorld::connected(plane, "slow-server").await.unwrap();
    let creating = Fate::waits("ContainerCreating", "");
    world.let_containers("velero", creating).await.unwrap();
    world.update_status().await.unwrap();
    let situation = "The server is on its way for longer than a hook can wait";
    rows.take(&world, Section::Velero, "waiting", situation);
    world.let_containers("velero", Fate::Runs).await.unwrap();
    until_server_is_available(&world).await;
    world.update_status().await.unwrap();
    rows.healed(&world);
    rows
}

pub(crate) async fn slow_agent(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let mut world = LightWorld::connected(plane, "slow-agent").await.unwrap();
    world.config("use-node-agent", "true").await.unwrap();
    let once = Fate::waits(
        "ErrImagePull",
        "failed to pull and unpack image \"docker.io/velero/velero:v1.18.3\": connection reset",
    );
    world.let_containers("node-agent", once).await.unwrap();
    world.update_status().await.unwrap();
    let situation = "The node agent is on its way for longer than a hook can wait";
    rows.take(&world, Section::Velero, "waiting", situation);
    world
        .let_containers("node-agent", Fate::Runs)
        .await
        .unwrap();
    world.update_status().await.unwrap();
    rows.healed(&world);
    rows
}

/// Somebody deletes what the charm made, and the leader has not come to it yet.
pub(crate) async fn lost(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let mut world = LightWorld::connected(plane, "lost").await.unwrap();
    let follower = world.juju.add_unit(APP).unwrap();
    world.settle().await.unwrap();
    let delete = ["delete", "deployment", "velero", "-n", &world.namespace];
    world.kubectl(&delete).await.unwrap();
    world.juju.update_status(&follower).await.unwrap();
    let situation = "Velero is gone, as a unit sees it that is not the leader";
    rows.take_of(&world, &follower, Section::Velero, "waiting", situation);
    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();
    rows
}

pub(crate) async fn unschedulable(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    plane.fill_up().await.unwrap();
    let mut world = plane.world("no-room").await.unwrap();
    world.deploy(DeployOptions::trusted()).await.unwrap();
    let settings = world.settings();
    world.integrate(settings).await.unwrap();
    let situation = "No node has room for the server";
    rows.take(&world, Section::Velero, "blocked", situation);
    plane.clear_up().await.unwrap();
    until_server_is_available(&world).await;
    world.update_status().await.unwrap();
    rows.healed(&world);
    rows
}
