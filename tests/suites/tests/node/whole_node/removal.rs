//! The way out, with a Velero that is busy and with one that is dead.

use juju_emulator::DeployOptions;
use serde_json::json;
use worlds::kubectl::TIMEOUT;
use worlds::operator::{APP, run_well};
use worlds::shop::Shop;
use worlds::world::World;

use crate::{kubectl, run_with};

/// `kind namespace/name` of every object in the cluster that does not come and go on its own.
async fn everything(world: &World) -> Vec<String> {
    let fleeting = [
        "componentstatuses",
        "events",
        "events.events.k8s.io",
        "leases.coordination.k8s.io",
    ];
    let kinds = ["api-resources", "--verbs=list", "-o", "name"];
    let kinds = world.kubectl(&kinds).await.unwrap();
    let kinds: Vec<_> = kinds
        .lines()
        .filter(|kind| !fleeting.contains(kind))
        .collect();
    let columns = "-o=custom-columns=:kind,:metadata.namespace,:metadata.name";
    let get = ["get", &kinds.join(","), "-A", "--no-headers", columns];
    let list = world.kubectl(&get).await.unwrap();
    let mut lines: Vec<_> = list.lines().map(ToOwned::to_owned).collect();
    lines.sort();
    lines
}

async fn forget_definitions(world: &World) {
    let definitions = [
        "delete",
        "customresourcedefinitions",
        "-l",
        "component=velero",
    ];
    world.kubectl(&definitions).await.unwrap();
}

#[tokio::test]
async fn removal_in_the_middle_of_a_backup_leaves_the_cluster_as_it_was() {
    let mut world = World::open("removal").await.unwrap();
    forget_definitions(&world).await;
    let shop = Shop::open(&world.stack, "shop-removal").await.unwrap();
    let before = everything(&world).await;
    world.deploy(DeployOptions::trusted()).await.unwrap();
    world.back_up_files().await.unwrap();
    let settings = world.settings();
    world.integrate(settings).await.unwrap();
    for command in [
        "backup create one --include-namespaces default --wait",
        "restore create one --from-backup one --wait",
        "schedule create often --schedule @hourly --include-namespaces default",
    ] {
        run_well(&mut world.juju, command).await.unwrap();
    }
    shop.detain_backups().await.unwrap();
    let command = "backup create slow --include-namespaces shop-removal --wait";
    run_with(
        &mut world,
        "run",
        json!({"command": command, "timeout": "2s"}),
    )
    .await;
    let bucket = world.stack.s3().list(&world.bucket, "").await.unwrap();

    world.juju.remove_application(APP).unwrap();
    world.juju.remove_application("s3-integrator").unwrap();
    world.juju.settle().await.unwrap();

    let last = world.juju.hook_runs().last().unwrap();
    assert_eq!(last.hook, "remove");
    assert_eq!(last.statuses[0].message, "removing Velero");
    println!(
        "removal in the middle of a backup: {:.1} s",
        last.duration.as_secs_f64()
    );
    let after = world.stack.s3().list(&world.bucket, "").await.unwrap();
    assert!(
        bucket.iter().all(|object| after.contains(object)),
        "the bucket lost objects"
    );
    shop.let_backup_go().await.unwrap();
    let left: Vec<_> = everything(&world).await;
    // Juju's own, of which it leaves three for each secret that a unit has read.
    let is_jujus = |line: &str| line.contains("juju-secret-consumer-");
    let left: Vec<_> = left
        .iter()
        .filter(|line| !before.contains(line) && !is_jujus(line))
        .collect();
    assert_eq!(left, Vec::<&String>::new());
    shop.lose().await.unwrap();
}

#[tokio::test]
async fn a_dead_server_does_not_hold_up_removal() {
    let mut world = World::connected("dead-server").await.unwrap();
    for command in [
        "backup create one --include-namespaces default --wait",
        "restore create one --from-backup one --wait",
    ] {
        run_well(&mut world.juju, command).await.unwrap();
    }
    let bucket = world.stack.s3().list(&world.bucket, "").await.unwrap();
    kubectl(&world, &["scale", "deployment", "velero", "--replicas=0"]).await;
    kubectl(
        &world,
        &[
            "wait",
            "pod",
            "-l",
            "deploy=velero",
            "--for=delete",
            TIMEOUT,
        ],
    )
    .await;

    world.juju.remove_application(APP).unwrap();
    world.juju.settle().await.unwrap();

    assert_eq!(world.belongings().await.unwrap(), "");
    let left = kubectl(
        &world,
        &["get", "all,secrets,serviceaccounts", "-o", "name"],
    )
    .await;
    assert!(!left.contains("velero"), "{left}");
    let definitions = [
        "get",
        "customresourcedefinitions",
        "-l",
        "component=velero",
        "-o",
        "name",
    ];
    assert_eq!(world.kubectl(&definitions).await.unwrap(), "");
    assert_eq!(
        world.stack.s3().list(&world.bucket, "").await.unwrap(),
        bucket
    );
}
