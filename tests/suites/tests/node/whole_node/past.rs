//! A refresh from the Python charm on a real node: real Velero before it and after it.

use std::process::Stdio;

use juju_emulator::DeployOptions;
use worlds::documented;
use worlds::kubectl::TIMEOUT;
use worlds::operator::{self, APP, S3, run_well};
use worlds::past::PythonCharm;
use worlds::shop::Shop;
use worlds::versions;
use worlds::world::World;

/// Velero's CLI in an admin's hands.
async fn velero(world: &World, arguments: &[&str]) {
    let output = tokio::process::Command::new(operator::velero().unwrap())
        .env("KUBECONFIG", world.stack.kubeconfig())
        .arg(format!("--namespace={}", world.namespace))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said} {complaint}");
}

/// The Python charm with the Velero that runs here: its own images are not to be had.
async fn python(world: &mut World) -> PythonCharm {
    let config = [
        ("velero-image", versions::velero_image()),
        ("velero-aws-plugin-image", versions::plugin_aws_image()),
    ];
    let mut options = DeployOptions::trusted();
    let config = config.map(|(key, value)| (key.to_owned(), value));
    options.config.extend(config);
    options.config.extend(documented::options().unwrap());
    // This server needs its own; the Python charm leaves alone what is there.
    velero(world, &["install", "--crds-only"]).await;
    let python = PythonCharm::deploy(&mut world.juju, options).await.unwrap();
    python.install().await.unwrap();
    python.config_changed().await.unwrap();
    // This server finds its node agents by a label that older manifests do not have.
    let label = r#"{"spec":{"template":{"metadata":{"labels":{"role":"node-agent"}}}}}"#;
    let namespace = &world.namespace;
    let patch = [
        "-n",
        namespace,
        "patch",
        "daemonset",
        "node-agent",
        "-p",
        label,
    ];
    world.kubectl(&patch).await.unwrap();
    python
}

async fn connect(world: &mut World, python: &PythonCharm) {
    let settings = world.settings();
    world
        .juju
        .deploy_s3_integrator(S3, settings.clone())
        .unwrap();
    world.juju.integrate(APP, S3).unwrap();
    world.settle().await.unwrap();
    python.configure_storage(&settings).await.unwrap();
    let here = ["-n", &world.namespace.clone()];
    let waits: [&[&str]; 3] = [
        &["rollout", "status", "deployment/velero", TIMEOUT],
        &["rollout", "status", "daemonset/node-agent", TIMEOUT],
        &[
            "wait",
            "backupstoragelocations.velero.io/default",
            "--for=jsonpath={.status.phase}=Available",
            TIMEOUT,
        ],
    ];
    for wait in waits {
        world.kubectl(&[&here[..], wait].concat()).await.unwrap();
    }
}

/// Name and init containers of each server pod that is not on its way out.
async fn servers(world: &World) -> Vec<String> {
    let shown =
        "jsonpath={range .items[*]}{.metadata.uid} {.spec.initContainers[*].name}{\"\\n\"}{end}";
    let get = [
        "-n",
        &world.namespace,
        "get",
        "pods",
        "-l",
        "deploy=velero",
        "-o",
        shown,
    ];
    let pods = world.kubectl(&get).await.unwrap();
    pods.lines().map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn a_backup_of_the_python_charm_is_restored_after_the_refresh() {
    let mut world = World::open("past").await.unwrap();
    let python = python(&mut world).await;
    connect(&mut world, &python).await;
    let shop = Shop::open(&world.stack, "shop-past").await.unwrap();
    let files = shop.checksums().await.unwrap();
    let backup = [
        "backup",
        "create",
        "before",
        "--include-namespaces=shop-past",
        "--wait",
    ];
    velero(&world, &backup).await;
    // Of a pod whose volumes could not be backed up, nothing is in the backup.
    let made = world.velero_object("Backup", "before").await.unwrap();
    assert_eq!(made.unwrap().data["status"]["phase"], "Completed");
    let location = "BackupStorageLocation";
    let before = world.velero_object(location, "default").await.unwrap();
    let server = servers(&world).await;

    world.refresh().await.unwrap();

    world.expect_status("active: ").unwrap();
    let after = world.velero_object(location, "default").await.unwrap();
    assert_eq!(after.unwrap().metadata.uid, before.unwrap().metadata.uid);
    let replaced = servers(&world).await;
    assert_eq!(replaced.len(), 1, "{replaced:?}");
    assert_ne!(replaced, server);
    assert!(replaced[0].ends_with(" storage-plugin-aws"), "{replaced:?}");

    shop.lose().await.unwrap();
    let restore = "restore create --from-backup before --wait";
    run_well(&mut world.juju, restore).await.unwrap();
    shop.ready().await.unwrap();
    assert_eq!(shop.checksums().await.unwrap(), files);
    assert_eq!(shop.motto().await.unwrap(), "never lose anything");
    let next = "backup create after --include-namespaces shop-past --wait";
    let outcome = run_well(&mut world.juju, next).await.unwrap();
    let output = outcome.results["output"].as_str().unwrap();
    assert!(
        output.contains("completed with status: Completed"),
        "{output}"
    );
    shop.lose().await.unwrap();

    let stored = world.stack.s3().list(&world.bucket, "").await.unwrap();
    world.juju.remove_application(APP).unwrap();
    world.settle().await.unwrap();
    assert_eq!(world.belongings().await.unwrap(), "");
    let left = world.stack.s3().list(&world.bucket, "").await.unwrap();
    assert_eq!(left, stored, "what is in the bucket stays");
}
