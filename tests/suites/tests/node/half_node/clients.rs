//! An application that asks to be backed up, while all options are set that Velero is started with.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use juju_emulator::ActionOutcome;
use kube::ResourceExt as _;
use kube::api::{DynamicObject, ListParams, WatchEvent, WatchParams};
use kube_stack::StoredObject;
use serde_json::{Value, json};
use worlds::kubectl::TIMEOUT;
use worlds::operator::APP;
use worlds::shop::Shop;
use worlds::world::{HalfNode, World};

use crate::{kubectl, run_with};

const CLIENT: &str = "till";
const ENDPOINT: (&str, &str) = ("velero-backup-config", "velero_backup_config");
const SHOP: &str = "shop-client";
const COPY: &str = "shop-client-copy";

/// Without `snapshot-move-data`: there is no CSI driver here.
const OPTIONS: &[(&str, &str)] = &[
    ("csi-snapshots", "false"),
    ("cpu-request", "100m"),
    ("cpu-limit", "2"),
    ("memory-request", "64Mi"),
    ("memory-limit", "1Gi"),
    ("node-agent-cpu-request", "50m"),
    ("node-agent-cpu-limit", "2"),
    ("node-agent-memory-request", "64Mi"),
    ("node-agent-memory-limit", "1Gi"),
    ("default-backup-ttl", "48h"),
    ("concurrent-backups", "2"),
    ("item-block-workers", "3"),
    ("node-selector", "kubernetes.io/os=linux"),
    ("tolerations", "dedicated=backup:NoSchedule,gpu"),
    ("priority-class", "system-cluster-critical"),
    ("image-pull-secret", "pull"),
    ("log-level", "debug"),
    ("log-format", "json"),
    ("kubelet-root-dir", "/var/lib/kubelet"),
    ("volume-snapshots", "false"),
];

async fn all(world: &World, kind: &str) -> Vec<DynamicObject> {
    let everything = ListParams::default();
    world
        .velero_objects(kind)
        .list(&everything)
        .await
        .unwrap()
        .items
}

fn names(objects: &[DynamicObject]) -> BTreeSet<String> {
    objects.iter().map(DynamicObject::name_any).collect()
}

/// As actions call it.
fn target() -> String {
    format!("{CLIENT}:{}", ENDPOINT.0)
}

/// Sends what the library of `velero_backup_config` does.
async fn ask(world: &mut World, mut spec: Value) {
    spec["include_namespaces"] = json!([SHOP]);
    spec["use_owner_references_in_backup"] = json!(true);
    let spec = spec.to_string();
    let fields = [
        ("app", CLIENT),
        ("model", "here"),
        ("relation_name", ENDPOINT.0),
        ("spec", &spec),
    ];
    world.juju.config(CLIENT, &fields).unwrap();
    world.settle().await.unwrap();
}

async fn pause(world: &mut World) {
    ask(world, json!({"schedule": "@every 1s", "paused": true})).await;
}

/// Velero looks at a Schedule when its spec changes, and once a minute; this one is due then.
async fn resume(world: &mut World) {
    ask(world, json!({"schedule": "@every 1s"})).await;
}

/// The Backups that have ended so, once there are as many.
async fn ended(world: &World, phase: &str, number: usize) -> Vec<DynamicObject> {
    let (every, from_the_first) = (WatchParams::default(), "0");
    let backups = world.velero_objects("Backup");
    let events = backups.watch(&every, from_the_first).await.unwrap();
    let mut events = events.boxed();
    let mut found = Vec::<DynamicObject>::new();
    while found.len() < number {
        let event = events.next().await;
        let event = event.unwrap_or_else(|| panic!("{number} `{phase}`: {found:#?}"));
        let (WatchEvent::Added(backup) | WatchEvent::Modified(backup)) = event.unwrap() else {
            continue;
        };
        let is_new = !names(&found).contains(&backup.name_any());
        if is_new && backup.data["status"]["phase"] == phase {
            found.push(backup);
        }
    }
    found
}

/// Runs an action that must end well, and what it has started too.
async fn act(world: &mut World, action: &str, params: Value) -> ActionOutcome {
    let outcome = run_with(world, action, params).await;
    let results = &outcome.results;
    let message = &outcome.message;
    assert_eq!(outcome.status, "completed", "{message} {results:?}");
    assert_eq!(results["phase"], "Completed", "{message} {results:?}");
    outcome
}

/// Whether the server and the node agent log as the options say.
async fn log_as_json(world: &World) -> [bool; 2] {
    let is_json = async |workload| {
        let log = kubectl(world, &["logs", workload]).await;
        assert!(log.contains("level"), "{workload}: {log}");
        log.lines().any(|line| {
            let entry = serde_json::from_str::<Value>(line);
            entry.is_ok_and(|entry| entry["level"] == "debug")
        })
    };
    [
        is_json("deployment/velero").await,
        is_json("daemonset/node-agent").await,
    ]
}

#[tokio::test]
async fn related_application_is_backed_up_lost_and_restored() {
    let mut world = HalfNode::connected("client").await.unwrap();
    set_all_options(&mut world).await;
    let shop = Shop::open(&world.stack, SHOP).await.unwrap();
    let files = shop.checksums().await.unwrap();

    let backup = backed_up_by_schedule(&mut world).await;
    assert_eq!(log_as_json(&world).await, [true, true]);

    let mapping = format!("{SHOP}:{COPY}");
    let params = json!({"backup-id": backup, "namespace-mapping": mapping});
    act(&mut world, "restore", params).await;
    let copy = Shop::at(&world.stack, COPY);
    copy.ready().await.unwrap();
    assert_eq!(copy.checksums().await.unwrap(), files);
    assert_eq!(shop.checksums().await.unwrap(), files, "the original");

    let options: Vec<_> = OPTIONS.iter().map(|(option, _)| *option).collect();
    world.reset(&options).await.unwrap();
    world
        .expect_in_status("active: last good backup after ", &[])
        .unwrap();
    let kept = older_ones_go_from_the_store(&mut world, &backup).await;

    shop.lose().await.unwrap();
    act(&mut world, "restore", json!({"backup-id": kept})).await;
    assert_eq!(log_as_json(&world).await, [false, false]);
    shop.ready().await.unwrap();
    assert_eq!(shop.checksums().await.unwrap(), files);
    assert_eq!(shop.motto().await.unwrap(), "never lose anything");
    for mut params in [json!({"namespaces": SHOP}), json!({"target": target()})] {
        params["require-volumes"] = json!(true);
        let outcome = act(&mut world, "create-backup", params).await;
        assert_eq!(outcome.results["volumes"], "1 of 1");
    }

    failures_are_reported(&mut world).await;
    backups_outlive_the_relation(&mut world).await;
}

async fn set_all_options(world: &mut World) {
    let registry = ["--docker-server=registry.example", "--docker-username=u"];
    let secret = ["create", "secret", "docker-registry", "pull"];
    let password = ["--docker-password=p"];
    kubectl(world, &[&secret[..], &registry, &password].concat()).await;
    world.juju.config(APP, OPTIONS).unwrap();
    world.back_up_files().await.unwrap();
    world.expect_status("active: ").unwrap();
}

/// The first Backup of the application's Schedule, which is paused again.
async fn backed_up_by_schedule(world: &mut World) -> String {
    world.juju.deploy_backup_client(CLIENT, ENDPOINT).unwrap();
    pause(world).await;
    let ours = format!("{APP}:velero-backups");
    world.juju.integrate(&ours, CLIENT).unwrap();
    world.settle().await.unwrap();
    world.expect_status("active: ").unwrap();
    assert_eq!(all(world, "Schedule").await.len(), 1);
    assert_eq!(names(&all(world, "Backup").await), BTreeSet::new());

    resume(world).await;
    let backup = ended(world, "Completed", 1).await.remove(0);
    pause(world).await;
    assert_eq!(backup.data["spec"]["ttl"], "48h0m0s", "as the option says");
    let name = backup.name_any();
    let params = json!({"target": target(), "output": "json"});
    let listed = run_with(world, "list-backups", params).await;
    let listed = listed.results["backups"].as_str().unwrap();
    let listed: Vec<Value> = serde_json::from_str(listed).unwrap();
    assert_eq!(listed[0]["name"], name, "{listed:?}");
    assert_eq!(listed[0]["volumes"], "1 of 1", "{listed:?}");
    name
}

/// Two Backups under option `keep`, of which it then keeps one: gives that, and only the other leaves the store. The
/// one that is there already was not made under the rule.
async fn older_ones_go_from_the_store(world: &mut World, before: &str) -> String {
    world.config("keep", "last 2").await.unwrap();
    for number in [2, 3] {
        resume(world).await;
        ended(world, "Completed", number).await;
        pause(world).await;
    }
    // One more may have begun before the pause.
    let label = "velero-operator/kept-by";
    let good = "--for=jsonpath={.status.phase}=Completed";
    let wait = ["wait", "backups.velero.io", "-l", label, good, TIMEOUT];
    kubectl(world, &wait).await;
    world.update_status().await.unwrap();
    let mut governed = all(world, "Backup").await;
    governed.retain(|backup| backup.labels().contains_key(label));
    governed.sort_by_key(|backup| backup.data["status"]["startTimestamp"].to_string());
    assert!(governed.len() >= 2, "{governed:#?}");
    let kept = governed.pop().unwrap();
    assert_eq!(kept.data["spec"]["ttl"], "876000h0m0s", "Velero spares it");
    let kept = kept.name_any();
    let stays = [stored(world, before).await, stored(world, &kept).await];
    assert!(!stays.contains(&Vec::new()), "{stays:?}");

    world.config("keep", "last 1").await.unwrap();
    let log = world.log();
    for older in names(&governed) {
        let asked = format!("is asked to delete Backup `{older}` of Schedule");
        assert!(log.contains(&asked), "{log}");
        for object in [
            format!("backups.velero.io/{older}"),
            format!("deletebackuprequests.velero.io/{older}-not-kept"),
        ] {
            let gone = ["wait", &object, "--for=delete", TIMEOUT];
            kubectl(world, &gone).await;
        }
        assert_eq!(stored(world, &older).await, []);
    }
    world.update_status().await.unwrap();
    let there = names(&all(world, "Backup").await);
    assert_eq!(there, [before.to_owned(), kept.clone()].into());
    assert_eq!(
        names(&all(world, "DeleteBackupRequest").await),
        BTreeSet::new()
    );
    let left = [stored(world, before).await, stored(world, &kept).await];
    assert_eq!(left, stays);
    world.reset(&["keep"]).await.unwrap();
    kept
}

/// What the store has of a Backup: keys and sizes.
async fn stored(world: &World, backup: &str) -> Vec<StoredObject> {
    let of_backup = format!("backups/{backup}/");
    let store = world.stack.s3();
    store.list(&world.bucket, &of_backup).await.unwrap()
}

async fn failures_are_reported(world: &mut World) {
    let hook = r#"pre.hook.backup.velero.io/command=["/bin/false"]"#;
    let annotate = ["-n", SHOP, "annotate", "pod", "shop", hook];
    world.kubectl(&annotate).await.unwrap();
    for number in [1, 2] {
        resume(world).await;
        ended(world, "PartiallyFailed", number).await;
        world.update_status().await.unwrap();
        if number == 1 {
            world.expect_in_status("active: ", &[]).unwrap();
            pause(world).await;
        }
    }
    let schedule = all(world, "Schedule").await.remove(0).name_any();
    let cause = format!("the last two backups of Schedule `{schedule}` failed");
    world
        .expect_in_status("blocked: see `backup describe ", &[&cause])
        .unwrap();
    pause(world).await;
    world.expect_in_status("active: ", &[]).unwrap();
}

/// Their Schedule owns them, and what is owned goes with its owner.
async fn backups_outlive_the_relation(world: &mut World) {
    let before = all(world, "Backup").await;
    let owned = before.iter().any(|one| !one.owner_references().is_empty());
    assert!(owned, "{before:#?}");
    world.juju.remove_relation(APP, CLIENT).unwrap();
    world.settle().await.unwrap();
    let gone = ["wait", "schedules.velero.io", "--all", "--for=delete"];
    kubectl(world, &[&gone[..], &[TIMEOUT]].concat()).await;
    let after = all(world, "Backup").await;
    assert_eq!(names(&after), names(&before));
    let owned = after.iter().any(|one| !one.owner_references().is_empty());
    assert!(!owned, "{after:#?}");
}
