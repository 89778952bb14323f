//! The bundle that users start from is deployed, each charm of it as itself or by what stands for it in the tests.

use std::collections::BTreeMap;
use std::fs;

use juju_emulator::{DeployOptions, S3Settings};
use serde_json::{Map, Value, json};
use worlds::cos::{self, OFFERS};
use worlds::operator::{APP, S3, workspace};
use worlds::plane::{LightWorld, Plane};

use crate::{clients, options};

const CLIENT: &str = "minio";
const ENDS: [&str; 3] = ["prometheus-scrape", "grafana-dashboards", "loki-logging"];

fn read(name: &str) -> Value {
    let text = fs::read_to_string(workspace().join(name)).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

fn bundle() -> Value {
    read("examples/bundle.yaml")
}

/// As `juju config` takes them.
fn settings(application: &Value) -> BTreeMap<String, String> {
    let options = application["options"].as_object().into_iter().flatten();
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let options = options.map(|(option, value)| (option.clone(), text(value)));
    options.collect()
}

/// What the charm `minio` says of itself: claims and volumes, without the pods that mount them.
fn wish(model: &str, app: &str) -> Value {
    json!({
        "include_namespaces": [model], "include_resources": ["persistentvolumeclaims", "persistentvolumes"],
        "exclude_namespaces": null, "exclude_resources": null,
        "label_selector": {"app.kubernetes.io/name": app}, "ttl": null, "include_cluster_resources": null,
        "schedule": null, "paused": null, "skip_immediately": null, "use_owner_references_in_backup": null,
    })
}

async fn deploy(world: &mut LightWorld, applications: &Map<String, Value>) {
    for (app, wanted) in applications {
        match wanted["charm"].as_str().unwrap() {
            APP => {
                let options = DeployOptions {
                    trust: wanted["trust"] == true,
                    config: settings(wanted),
                    units: wanted["scale"].as_u64().unwrap().try_into().unwrap(),
                };
                assert_eq!(app, APP);
                world.deploy(options).await.unwrap();
            }
            S3 => {
                let told = S3Settings {
                    options: settings(wanted),
                    ..S3Settings::default()
                };
                world.juju.deploy_s3_integrator(app, told).unwrap();
            }
            CLIENT => {
                clients::deploy(world, app);
                let model = world.namespace.clone();
                let wish = wish(&model, app);
                clients::ask(world, app, &model, &wish);
            }
            other => panic!("nothing stands for `{other}`"),
        }
    }
}

/// Offers are those of COS Lite, in a model of its own: what consumes them has their names here.
async fn consume(world: &mut LightWorld, offers: &Map<String, Value>) {
    for (name, offer) in offers {
        let url = offer["url"].as_str().unwrap();
        let offered = OFFERS.map(|(offer, _)| format!("admin/cos.{offer}"));
        assert!(offered.contains(&url.to_owned()), "COS has no offer {url}");
        assert!(url.ends_with(&format!(".{name}")), "{name} is {url}");
        cos::deploy_as(&mut world.juju, name).await.unwrap();
    }
}

fn relate(world: &mut LightWorld, relations: &[Value]) {
    for relation in relations {
        let ends: [String; 2] = serde_json::from_value(relation.clone()).unwrap();
        for (offer, endpoint) in OFFERS {
            let of_offer = ends.iter().filter_map(|end| end.split_once(':'));
            let mut of_offer = of_offer.filter(|(app, _)| *app == offer);
            assert!(of_offer.all(|(_, its)| its == endpoint), "{ends:?}");
        }
        world.juju.integrate(&ends[0], &ends[1]).unwrap();
    }
}

#[tokio::test]
async fn bundle_works_as_it_stands() {
    let bundle = bundle();
    // Snapshots are the cluster's.
    let plane = Plane::start().await.unwrap();
    let mut world = plane.world("bundle").await.unwrap();
    options::snapshots_can_be_taken(&world).await;
    let class = options::snapshot_class("local", "local.example.com");
    world.apply(&class).await.unwrap();
    deploy(&mut world, bundle["applications"].as_object().unwrap()).await;
    consume(&mut world, bundle["saas"].as_object().unwrap()).await;
    relate(&mut world, bundle["relations"].as_array().unwrap());
    world.settle().await.unwrap();
    let keys = [("access-key", "a-key"), ("secret-key", "its-secret")];
    world.juju.config(S3, &keys).unwrap();
    world.settle().await.unwrap();

    world.expect_status("active: ").unwrap();
    let location = world.location().await.unwrap().unwrap();
    assert_eq!(location["objectStorage"]["bucket"], "backups");
    let schedule = clients::only(&world).await;
    let template = &schedule.data["spec"]["template"];
    assert_eq!(schedule.data["spec"]["schedule"], "0 2 * * *");
    assert_eq!(template["includedNamespaces"], json!([world.namespace]));

    // Alerts are about the Schedules that a hook finds, not about those that it makes.
    world.update_status().await.unwrap();
    world.settle().await.unwrap();
    let [metrics, dashboards, logs] = ENDS.map(|app| cos::seen_by(&world.juju, app).unwrap());
    let server = format!("velero-metrics.{}.svc:8085", world.namespace);
    let metrics = &metrics["metrics"][0];
    let job = &metrics["jobs"][0];
    assert_eq!(job["static_configs"][0]["targets"], json!([server]));
    let rules = metrics["rules"].to_string();
    assert!(rules.contains("VeleroBackupMissed"), "{rules}");
    let dashboard = &dashboards["dashboards"][0][0]["dashboard"];
    assert_eq!(dashboard["title"], "Velero");
    let sender = logs["logs"].as_str().unwrap();
    assert!(sender.ends_with(APP), "{sender}");
}

/// Values are of the types of the charm's options: those of a command line are all text.
#[test]
fn bundle_sets_options_as_the_charm_declares_them() {
    let (bundle, charm) = (bundle(), read("charmcraft.yaml"));
    let ours = &bundle["applications"][APP];
    assert_eq!(ours["charm"], charm["name"]);
    assert_eq!(ours["trust"], true);
    for (option, value) in ours["options"].as_object().unwrap() {
        let declared = &charm["config"]["options"][option]["type"];
        let fits = match declared.as_str() {
            Some("boolean") => value.is_boolean(),
            Some("int") => value.is_i64(),
            Some("string") => value.is_string(),
            _ => false,
        };
        assert!(fits, "{option}: {value} is no {declared}");
    }
}
