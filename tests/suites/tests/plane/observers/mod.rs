//! Those who watch from outside: what they are told, read by COS's own library at the other end.
//!
//! COS's charms are played by a charm of the tests' (`charms/observability`), which stands on that library.

mod logs;
mod picture;
mod rules;
mod scraped;
mod steady;

use juju_emulator::HookRun;
use serde_json::{Value, json};
use worlds::cos::{self, COS};
use worlds::operator::{APP, UNIT};
use worlds::plane::{LightWorld, Plane};
use worlds::prometheus::promtool;

use crate::past::given::python;
use crate::{here, patch_status, writes};

const SECOND: &str = "velero-operator/1";
const SAID: [&str; 3] = ["alert_rules", "scrape_jobs", "scrape_metadata"];

pub(crate) async fn deploy_cos(world: &mut LightWorld) {
    cos::deploy(&mut world.juju).await.unwrap();
    world.settle().await.unwrap();
}

pub(crate) async fn relate(world: &mut LightWorld) -> (u32, u32) {
    let metrics = world
        .juju
        .integrate("velero-operator:metrics-endpoint", "cos:metrics-endpoint");
    let dashboards = world
        .juju
        .integrate("velero-operator:grafana-dashboard", "cos:grafana-dashboard");
    world.settle().await.unwrap();
    (metrics.unwrap(), dashboards.unwrap())
}

fn seen(world: &LightWorld) -> Value {
    cos::seen(&world.juju).unwrap()
}

fn alerts(world: &LightWorld) -> Vec<String> {
    let groups = &seen(world)["metrics"][0]["rules"]["groups"];
    let rules = groups[0]["rules"].as_array().unwrap().iter();
    rules
        .map(|rule| {
            let about = rule["labels"]["schedule"].as_str().unwrap_or_default();
            format!("{} {about}", rule["alert"].as_str().unwrap())
        })
        .collect()
}

fn targets(world: &LightWorld) -> Vec<(String, String)> {
    let jobs = seen(world)["metrics"][0]["jobs"].clone();
    let jobs = jobs.as_array().unwrap().iter();
    let configs = jobs.flat_map(|job| job["static_configs"].as_array().unwrap().clone());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    configs
        .map(|config| {
            let node = text(&config["labels"]["k8s_node"]);
            (text(&config["targets"][0]), node)
        })
        .collect()
}

/// What a hook wrote into data bags.
fn told(run: &HookRun) -> usize {
    let calls = run.tool_calls.iter();
    calls.filter(|call| call.tool == "relation-set").count()
}

fn bag(world: &LightWorld, relation: u32) -> (u64, Vec<String>) {
    let side = world.juju.model().relations[&relation].local(APP).unwrap();
    let keys = side.bag.data.keys().cloned().collect();
    (side.bag.version, keys)
}

/// A pod of a node agent's, as its DaemonSet would make it.
async fn agent_pod(world: &LightWorld, name: &str, node: &str, address: &str) {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": world.namespace,
            "labels": {"component": "velero", "name": "node-agent"},
        },
        "spec": {
            "nodeName": node, "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "node-agent", "image": "agent"}],
        },
    });
    world.apply(&pod).await.unwrap();
    let status = json!({"podIP": address, "podIPs": [{"$patch": "replace"}, {"ip": address}]});
    patch_status(world, &format!("pod/{name}"), &status).await;
}

#[tokio::test]
async fn data_bags_are_read_by_the_real_library() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "observed").await.unwrap();
    deploy_cos(&mut world).await;
    relate(&mut world).await;
    world.expect_status("active: ").unwrap();

    let seen = seen(&world);
    let metrics = &seen["metrics"][0];
    assert_eq!(metrics["rules"], metrics["sent"], "nothing is left to add");
    let folder = tempfile::tempdir().unwrap();
    let rules = metrics["rules"].to_string();
    std::fs::write(folder.path().join("rules.yaml"), rules).unwrap();
    let check = ["check", "rules", "rules.yaml"];
    promtool(&check, folder.path()).await.unwrap();
    let unit = metrics["units"][UNIT].as_str().unwrap();
    assert!(unit.parse::<std::net::IpAddr>().is_ok(), "{unit}");
    let server = format!("velero-metrics.{}.svc:8085", world.namespace);
    assert_eq!(targets(&world), [(server, String::new())]);
    let service = here(&world, &["get", "service", "velero-metrics", "-o", "json"]).await;
    let service: Value = serde_json::from_str(&service).unwrap();
    assert_eq!(service["spec"]["selector"], json!({"deploy": "velero"}));
    assert_eq!(service["spec"]["ports"][0]["port"], 8085);
    let dashboard = &seen["dashboards"][0][0];
    assert_eq!(dashboard["name"], "file:velero");
    assert_eq!(dashboard["uid_is_valid"], true);
    assert_eq!(dashboard["alternative_is_of_its_name"], true);
    assert_eq!(dashboard["topology"]["application"], APP);
    assert_eq!(dashboard["dashboard"]["title"], "Velero");

    let mark = world.plane().audit().mark().await.unwrap();
    let quiet = world.update_status().await.unwrap();
    assert_eq!(told(&quiet), 0, "{:#?}", quiet.tool_calls);
    assert_eq!(writes(&world, &mark).await, Vec::<String>::new());
    world.juju.remove_application(APP).unwrap();
    world.settle().await.unwrap();
    assert_eq!(world.belongings().await.unwrap(), "");
}

#[tokio::test]
async fn rules_and_targets_follow_the_cluster() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "rules").await.unwrap();
    deploy_cos(&mut world).await;
    relate(&mut world).await;
    let before = alerts(&world);
    assert!(before.contains(&"VeleroLocationUnavailable ".to_owned()));
    assert!(!before.iter().any(|alert| alert.contains("Missed")));

    let schedule = json!({
        "apiVersion": "velero.io/v1", "kind": "Schedule",
        "metadata": {"name": "nightly", "namespace": world.namespace},
        "spec": {"schedule": "@daily", "template": {}},
    });
    world.apply(&schedule).await.unwrap();
    agent_pod(&world, "agent-a", "n1", "10.9.0.1").await;
    update(&mut world).await;
    let of_schedule = |world: &LightWorld| {
        let mut found = alerts(world);
        found.retain(|alert| alert.ends_with(" nightly"));
        found
    };
    let due = [
        "VeleroBackupMissed nightly",
        "VeleroBackupNeverSucceeded nightly",
    ];
    assert_eq!(of_schedule(&world), due);
    let agents = |world: &LightWorld| targets(world).split_off(1);
    assert_eq!(
        agents(&world),
        [("10.9.0.1:8085".to_owned(), "n1".to_owned())]
    );

    let note =
        json!({"saved": "1 of 2", "bytes": 7, "without-data": "shop/data (a hostPath volume)"});
    let mut backup = json!({
        "apiVersion": "velero.io/v1", "kind": "Backup",
        "metadata": {
            "name": "nightly-1", "namespace": world.namespace,
            "labels": {"velero.io/schedule-name": "nightly"},
            "annotations": {"velero-operator/volumes": note.to_string()},
        },
        "spec": {},
        "status": {"phase": "PartiallyFailed", "startTimestamp": "2026-01-01T00:00:00Z"},
    });
    world.apply(&backup).await.unwrap();
    here(&world, &["delete", "pod", "agent-a"]).await;
    agent_pod(&world, "agent-b", "n2", "10.9.0.2").await;
    update(&mut world).await;
    let told = of_schedule(&world);
    for alert in ["VeleroBackupPartiallyFailed", "VeleroBackupWithoutData"] {
        assert!(told.contains(&format!("{alert} nightly")), "{told:?}");
    }
    assert_eq!(
        agents(&world),
        [("10.9.0.2:8085".to_owned(), "n2".to_owned())]
    );

    backup["metadata"]["name"] = json!("nightly-2");
    backup["status"] = json!({"phase": "Completed", "startTimestamp": "2026-01-02T00:00:00Z"});
    world.apply(&backup).await.unwrap();
    here(
        &world,
        &[
            "patch",
            "schedules.velero.io",
            "nightly",
            "--type=merge",
            "-p",
            r#"{"spec": {"paused": true}}"#,
        ],
    )
    .await;
    update(&mut world).await;
    assert_eq!(of_schedule(&world), ["VeleroSchedulePaused nightly"]);

    here(&world, &["delete", "schedules.velero.io", "nightly"]).await;
    here(&world, &["delete", "pod", "agent-b"]).await;
    update(&mut world).await;
    assert_eq!(alerts(&world), before);
}

/// One hook, and all that it brings about.
async fn update(world: &mut LightWorld) {
    world.update_status().await.unwrap();
    world.settle().await.unwrap();
}

#[tokio::test]
async fn a_new_leader_says_nothing_again() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "watched-leader")
        .await
        .unwrap();
    deploy_cos(&mut world).await;
    let (metrics, dashboards) = relate(&mut world).await;
    let before = (bag(&world, metrics), bag(&world, dashboards));
    assert_eq!(before.0.1, SAID);

    world.juju.scale(APP, 2).unwrap();
    world.settle().await.unwrap();
    let units = seen(&world)["metrics"][0]["units"].clone();
    assert!(
        units[UNIT].is_string() && units[SECOND].is_string(),
        "{units}"
    );
    world.juju.move_leadership(SECOND).unwrap();
    world.settle().await.unwrap();

    assert_eq!((bag(&world, metrics), bag(&world, dashboards)), before);
}

#[tokio::test]
async fn complaints_are_shown_and_the_service_goes_with_the_last_reader() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "complaints").await.unwrap();
    deploy_cos(&mut world).await;
    relate(&mut world).await;

    world
        .juju
        .config(COS, &[("complaint", "group 1, rule 2: bad")])
        .unwrap();
    world.settle().await.unwrap();
    let parts = [
        "see `juju debug-log --include cos`",
        "group 1, rule 2: bad",
        "(and 1 more)",
    ];
    world.expect_in_status("active: ", &parts).unwrap();
    world.juju.config(COS, &[("complaint", "")]).unwrap();
    world.settle().await.unwrap();
    world.expect_status("active: ").unwrap();

    let service = async |world: &LightWorld| {
        let named = [
            "get",
            "service",
            "velero-metrics",
            "--ignore-not-found",
            "-o",
            "name",
        ];
        here(world, &named).await
    };
    assert_ne!(service(&world).await, "");
    let ends = ("velero-operator:metrics-endpoint", "cos:metrics-endpoint");
    world.juju.remove_relation(ends.0, ends.1).unwrap();
    world.settle().await.unwrap();
    assert_eq!(service(&world).await, "");

    let theirs = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "velero-metrics", "namespace": world.namespace},
        "spec": {"ports": [{"port": 80}], "selector": {"theirs": "yes"}},
    });
    world.apply(&theirs).await.unwrap();
    world.juju.integrate(ends.0, ends.1).unwrap();
    world.settle().await.unwrap();
    let parts = ["rename Service `velero-metrics`"];
    world.expect_in_status("active: ", &parts).unwrap();
    assert_eq!(targets(&world), []);
    let kept = here(&world, &["get", "service", "velero-metrics", "-o", "yaml"]).await;
    assert!(kept.contains("theirs: \"yes\""), "{kept}");
}

#[tokio::test]
async fn previous_charm_s_words_give_way_to_ours() {
    // Its definitions are everybody's.
    let plane = Plane::start().await.unwrap();
    let (mut world, _) = python(&plane, "observed-past", &[]).await;
    deploy_cos(&mut world).await;
    let (metrics, dashboards) = relate(&mut world).await;
    let said = |world: &LightWorld, relation, key: &str| {
        let side = world.juju.model().relations[&relation].local(APP).unwrap();
        side.bag.data[key].clone()
    };
    assert!(said(&world, metrics, "alert_rules").contains("VeleroAlerts"));
    assert!(said(&world, dashboards, "dashboards").contains("file:grafana_dashboard"));

    world.refresh().await.unwrap();

    assert_eq!(bag(&world, metrics).1, SAID);
    assert!(!said(&world, metrics, "alert_rules").contains("VeleroAlerts"));
    let dashboard = said(&world, dashboards, "dashboards");
    assert!(!dashboard.contains("grafana_dashboard"), "{dashboard:.200}");
    let count = |text: &str, of: &str| {
        let value: Value = serde_json::from_str(text).unwrap();
        let found = &value[of];
        let groups = found.as_array().map(Vec::len);
        groups.or_else(|| found.as_object().map(serde_json::Map::len))
    };
    assert_eq!(count(&dashboard, "templates"), Some(1));
    let rules = said(&world, metrics, "alert_rules");
    assert_eq!(count(&rules, "groups"), Some(1));
    assert_eq!(seen(&world)["dashboards"][0][0]["uid_is_valid"], true);
    let owner = here(
        &world,
        &["get", "service", "velero-metrics", "--show-labels"],
    )
    .await;
    assert!(owner.contains("velero-operator/role=metrics"), "{owner}");
}
