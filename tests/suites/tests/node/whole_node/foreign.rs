//! A real Velero of somebody else's in the model's namespace, under the names that Helm's chart gives.

use std::path::Path;

use juju_emulator::DeployOptions;
use serde_json::{Value, json};
use tokio::process::Command;
use worlds::kubectl::{CRDS_ESTABLISHED, Kubectl, TIMEOUT};
use worlds::operator::{self, APP};
use worlds::versions;
use worlds::world::World;

use crate::{kubectl, writes};

const ACCOUNT: &str = "shop-velero-server";
const SERVER: &str = "shop-velero";

/// What the real CLI would install for a store, credentials and all.
async fn rendered(world: &World, folder: &Path) -> Vec<Value> {
    let store = world.stack.s3();
    let secret = folder.join("credentials");
    let keys = format!(
        "[default]\naws_access_key_id={}\naws_secret_access_key={}\n",
        store.access_key, store.secret_key
    );
    std::fs::write(&secret, keys).unwrap();
    let config = format!(
        "region={},s3ForcePathStyle=true,s3Url={}",
        store.region, store.endpoint
    );
    let output = Command::new(operator::velero().unwrap())
        .arg("--kubeconfig")
        .arg(world.stack.kubeconfig())
        .arg(format!("--namespace={}", world.namespace))
        .args(["install", "--dry-run", "-o", "json", "--provider=aws"])
        .arg(format!("--image={}", versions::velero_image()))
        .arg(format!("--plugins={}", versions::plugin_aws_image()))
        .arg(format!("--bucket={}", world.bucket))
        .arg(format!("--backup-location-config={config}"))
        .arg(format!("--secret-file={}", secret.display()))
        .arg("--use-volume-snapshots=false")
        .output()
        .await
        .unwrap();
    let (text, said) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
    let start = text.iter().position(|byte| *byte == b'{');
    let start = start.unwrap_or_else(|| panic!("nothing is rendered: {said}"));
    let list: Value = serde_json::from_slice(&text[start..]).unwrap();
    list["items"].as_array().unwrap().clone()
}

/// Names and labels as in Helm's chart for a release `shop`.
fn as_helm_has_it(mut object: Value, namespace: &str) -> Value {
    let labels = json!({"app.kubernetes.io/name": "velero", "app.kubernetes.io/instance": "shop"});
    match object["kind"].as_str().unwrap() {
        "Deployment" => {
            object["metadata"]["name"] = json!(SERVER);
            object["metadata"]["labels"] = labels.clone();
            object["spec"]["selector"]["matchLabels"] = labels.clone();
            object["spec"]["template"]["metadata"]["labels"] = labels;
            object["spec"]["template"]["spec"]["serviceAccountName"] = json!(ACCOUNT);
        }
        "ServiceAccount" => object["metadata"]["name"] = json!(ACCOUNT),
        "ClusterRoleBinding" => {
            object["metadata"]["name"] = json!(format!("{namespace}-{ACCOUNT}"));
            object["subjects"][0]["name"] = json!(ACCOUNT);
        }
        _ => {}
    }
    object
}

async fn install(world: &World) {
    let folder = tempfile::tempdir().unwrap();
    let objects = rendered(world, folder.path()).await;
    let (definitions, others): (Vec<_>, Vec<_>) = objects
        .into_iter()
        .filter(|object| object["kind"] != "Namespace")
        .map(|object| as_helm_has_it(object, &world.namespace))
        .partition(|object| object["kind"] == "CustomResourceDefinition");
    let apply = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    let list = |items: Vec<Value>| json!({"apiVersion": "v1", "kind": "List", "items": items});
    let kubectl = Kubectl::of(&world.stack);
    for items in [definitions, others] {
        kubectl
            .run_on(&apply, &list(items).to_string())
            .await
            .unwrap();
        kubectl.run(&CRDS_ESTABLISHED).await.unwrap();
    }
    let available = "--for=jsonpath={.status.phase}=Available";
    let location = "backupstoragelocations.velero.io/default";
    self::kubectl(world, &["wait", location, available, TIMEOUT]).await;
}

/// A backup by their server, from beginning to end.
async fn back_up(world: &World, name: &str) {
    let backup = json!({
        "apiVersion": "velero.io/v1", "kind": "Backup",
        "metadata": {"name": name, "namespace": world.namespace},
        "spec": {"includedNamespaces": ["default"], "storageLocation": "default"},
    });
    world.apply(&backup).await.unwrap();
    let completed = "--for=jsonpath={.status.phase}=Completed";
    let backup = format!("backups.velero.io/{name}");
    kubectl(world, &["wait", &backup, completed, TIMEOUT]).await;
}

/// `kind name uid` and spec of what they have.
async fn theirs(world: &World) -> String {
    let kinds = "backupstoragelocations.velero.io,schedules.velero.io,backups.velero.io";
    let columns = "-o=jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.uid} {.spec}{\"\\n\"}{end}";
    kubectl(world, &["get", kinds, columns]).await
}

#[tokio::test]
async fn a_velero_of_somebody_else_is_left_alone() {
    let mut world = World::open("foreign").await.unwrap();
    install(&world).await;
    let schedule = json!({
        "apiVersion": "velero.io/v1", "kind": "Schedule",
        "metadata": {"name": "yearly", "namespace": world.namespace},
        "spec": {"schedule": "@yearly", "template": {"includedNamespaces": ["default"]}},
    });
    world.apply(&schedule).await.unwrap();
    back_up(&world, "before").await;
    let before = theirs(&world).await;
    let mark = world.stack.audit().mark().await.unwrap();

    world.deploy(DeployOptions::trusted()).await.unwrap();
    let settings = world.settings();
    world.integrate(settings).await.unwrap();

    world
        .expect_in_status(
            "blocked: ",
            &[
                "remove Deployment `shop-velero`",
                "a Velero that this charm did not install",
            ],
        )
        .unwrap();
    assert_eq!(writes(&world, &mark).await, Vec::<String>::new());
    assert_eq!(theirs(&world).await, before);

    world.juju.remove_application(APP).unwrap();
    world.settle().await.unwrap();

    assert_eq!(world.juju.app_status(APP), None, "the application is gone");
    assert_eq!(theirs(&world).await, before);
    back_up(&world, "after").await;
    let name = format!("{}-{ACCOUNT}", world.namespace);
    let unbind = ["delete", "clusterrolebinding", &name];
    world.kubectl(&unbind).await.unwrap();
}
