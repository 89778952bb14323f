//! Many objects, and large ones: what they cost, and that removal comes to an end.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Map, from_value, json};
use worlds::operator::{APP, UNIT};
use worlds::plane::{LightWorld, Plane};

use crate::keep::{self, End, Origin};
use crate::writes;

/// Without anything else in the namespace the program has 10 MB, unoptimised 25; with these Secrets read as a whole it
/// would be well above 100.
const MEMORY: u64 = 80 << 20;

async fn make(world: &LightWorld, api: &Api<DynamicObject>, objects: Vec<DynamicObject>) {
    let parameters = PostParams::default();
    let made = stream::iter(&objects).map(|object| api.create(&parameters, object));
    let made: Vec<_> = made.buffer_unordered(16).try_collect().await.unwrap();
    assert_eq!(made.len(), objects.len(), "{}", world.namespace);
}

fn api(world: &LightWorld, group: &str, kind: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
    Api::namespaced_with(world.client(), &world.namespace, &resource)
}

#[tokio::test]
async fn large_secrets_under_our_labels_cost_little() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "large").await.unwrap();
    let secrets = api(&world, "", "Secret");
    let ours = ListParams::default().labels("velero-operator/role=storage-credential");
    let ours = secrets.list(&ours).await.unwrap();
    let labels = ours.items[0].labels().clone();
    let before = world.update_status().await.unwrap().max_rss;
    let large = |number: usize| {
        from_value(json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": format!("large-{number}"), "labels": labels},
            "stringData": {"cloud": "x".repeat(900_000)},
        }))
    };
    let objects: Result<_, _> = (0..60).map(large).collect();
    make(&world, &secrets, objects.unwrap()).await;

    let run = world.update_status().await.unwrap();

    println!(
        "memory: {} MB before, {} MB with them",
        before >> 20,
        run.max_rss >> 20
    );
    assert!(run.max_rss < MEMORY, "{} MB", run.max_rss >> 20);
    world.expect_status("active: ").unwrap();
    assert_eq!(
        secrets
            .list_metadata(&ListParams::default().labels("velero-operator/role"))
            .await
            .unwrap()
            .items
            .len(),
        1
    );
}

/// They do not fit on a page. `MANY` makes them more.
#[tokio::test]
async fn removal_of_many_backups_comes_to_an_end() {
    let plane = Plane::start().await.unwrap();
    let mut world = LightWorld::connected(&plane, "many").await.unwrap();
    let number = std::env::var("MANY").map_or(600, |number| number.parse().unwrap());
    for kind in ["Backup", "PodVolumeRestore"] {
        let held = json!(["velero.io/held"]);
        let restored = json!({
            "backupStorageLocation": "default", "pod": {}, "repoIdentifier": "r", "snapshotID": "s",
            "sourceNamespace": "shop", "volume": "data",
        });
        let one = |number: usize| {
            let (finalizers, spec) = if kind == "Backup" {
                (json!([]), json!({}))
            } else {
                (held.clone(), restored.clone())
            };
            from_value(json!({
                "apiVersion": "velero.io/v1", "kind": kind,
                "metadata": {"name": format!("many-{number}"), "finalizers": finalizers},
                "spec": spec,
            }))
        };
        let objects: Result<_, _> = (0..number).map(one).collect();
        make(&world, &api(&world, "velero.io", kind), objects.unwrap()).await;
    }

    world.juju.remove_application(APP).unwrap();
    let begun = std::time::Instant::now();
    let runs = world.juju.settle().await.unwrap();

    let memory = runs.iter().map(|run| run.max_rss).max().unwrap();
    println!(
        "removal of {number}: {} s, {} MB",
        begun.elapsed().as_secs(),
        memory >> 20
    );
    assert!(memory < MEMORY, "{} MB", memory >> 20);
    assert_eq!(world.belongings().await.unwrap(), "");
    assert!(
        !world.log().contains("What is left goes with the namespace"),
        "{}",
        world.log()
    );
}

/// `MANY=10000` gives the figures that the charm is measured by.
fn many() -> usize {
    std::env::var("MANY").map_or(1200, |number| number.parse().unwrap())
}

#[tokio::test]
async fn many_backups_are_listed_in_little_time_and_memory() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "listed").await.unwrap();
    let number = many();
    let one = |number: usize| {
        from_value(json!({
            "apiVersion": "velero.io/v1", "kind": "Backup",
            "metadata": {
                "name": format!("many-{number:05}"),
                "labels": {"app": "minio", "endpoint": "velero-backup-config", "model": "prod"},
            },
            "spec": {"includedNamespaces": ["shop"], "ttl": "720h0m0s", "storageLocation": "default"},
            "status": {
                "phase": "Completed", "startTimestamp": "2026-11-28T02:00:00Z",
                "completionTimestamp": "2026-11-28T02:01:05Z", "expiration": "2026-12-28T02:00:00Z",
                "progress": {"totalItems": 90, "itemsBackedUp": 90},
            },
        }))
    };
    let objects: Result<_, _> = (0..number).map(one).collect();
    make(
        &world,
        &api(&world, "velero.io", "Backup"),
        objects.unwrap(),
    )
    .await;

    let outcome = world
        .juju
        .run_action(UNIT, "list-backups", &Map::new())
        .await
        .unwrap();

    let run = world.juju.hook_runs().last().unwrap();
    assert_eq!(run.hook, "list-backups");
    println!(
        "list of {number}: {} ms, {} MB",
        run.duration.as_millis(),
        run.max_rss >> 20
    );
    assert!(run.max_rss < MEMORY, "{} MB", run.max_rss >> 20);
    assert_eq!(outcome.results["number"], number.to_string());
    let text = outcome.results["backups"].as_str().unwrap();
    let shown = text.lines().count() - 5;
    assert!(shown > 500 && shown < number);
    assert_eq!(
        outcome.results["left-out"],
        format!("{} older backups", number - shown)
    );
}

/// Nearly all of them are to go, and Velero has been asked for as many as it gets at once.
#[tokio::test]
async fn many_governed_backups_cost_a_quiet_hook_little() {
    let plane = Plane::shared().await.unwrap();
    let (mut world, schedule) = keep::kept(&plane, "many-governed", "last 3").await;
    let before = world.update_status().await.unwrap();
    let number = many();
    let first: Timestamp = "2025-01-01T00:00:00Z".parse().unwrap();
    let one = |hour: usize| {
        let mut one = keep::backup(&schedule, 1, End::Whole, Origin::Here);
        let begun = first + SignedDuration::from_hours(hour.try_into().unwrap());
        one["metadata"]["name"] = json!(format!("governed-{hour:05}"));
        one["status"]["startTimestamp"] = json!(begun.to_string());
        from_value(one)
    };
    let objects: Result<_, _> = (0..number).map(one).collect();
    let backups = api(&world, "velero.io", "Backup");
    make(&world, &backups, objects.unwrap()).await;
    world.update_status().await.unwrap();

    let mark = world.plane().audit().mark().await.unwrap();
    let quiet = world.update_status().await.unwrap();

    println!(
        "quiet hook with {number} governed: {} ms, {} MB; without: {} ms, {} MB",
        quiet.duration.as_millis(),
        quiet.max_rss >> 20,
        before.duration.as_millis(),
        before.max_rss >> 20,
    );
    assert_eq!(writes(&world, &mark).await, Vec::<String>::new());
    assert!(quiet.max_rss < MEMORY, "{} MB", quiet.max_rss >> 20);
    let asked = api(&world, "velero.io", "DeleteBackupRequest");
    let asked = asked.list(&ListParams::default()).await.unwrap();
    assert_eq!(asked.items.len(), 20);
}
