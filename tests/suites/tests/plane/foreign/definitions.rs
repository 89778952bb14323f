//! Definitions: ours by exact name, and only as long as nobody else needs them.

use std::collections::BTreeSet;

use kube::ResourceExt as _;
use kube::api::ListParams;
use kube_stack::DEADLINE;
use serde_json::{Value, json};
use worlds::kubectl::TIMEOUT;
use worlds::operator::{self, APP};
use worlds::plane::{LightWorld, Plane};

use super::{api, helms, remove};

const DEFINITIONS: super::Id<'_> = ("apiextensions.k8s.io", "CustomResourceDefinition", "");

async fn names(world: &LightWorld) -> BTreeSet<String> {
    let api = api(world, DEFINITIONS);
    let all = api.list_metadata(&ListParams::default()).await.unwrap();
    all.items.into_iter().map(|one| one.name_any()).collect()
}

/// What the bundled CLI defines.
async fn rendered() -> BTreeSet<String> {
    let list = ["install", "--crds-only", "--dry-run", "-o", "json"];
    let output = tokio::process::Command::new(operator::velero().unwrap())
        .args(list)
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let list: Value = serde_json::from_str(text.get(text.find('{').unwrap()..).unwrap()).unwrap();
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

/// An older Velero's, or somebody's own in the same group.
fn theirs(plural: &str, kind: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.velero.io"), "labels": {"component": "velero"}},
        "spec": {
            "group": "velero.io", "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                }},
            }],
        },
    })
}

#[tokio::test]
async fn definitions_of_others_stay_and_all_of_ours_go() {
    let plane = Plane::start().await.unwrap();
    let mut world = plane.world("others").await.unwrap();
    let others = [
        ("resticrepositories", "ResticRepository"),
        ("tapes", "Tape"),
    ];
    for (plural, kind) in others {
        world.apply(&theirs(plural, kind)).await.unwrap();
    }
    let established = [
        "wait",
        "customresourcedefinitions",
        "--all",
        "--for=condition=Established",
        TIMEOUT,
    ];
    world.kubectl(&established).await.unwrap();
    let tape = json!({
        "apiVersion": "velero.io/v1", "kind": "Tape",
        "metadata": {"name": "kept", "namespace": "default"},
    });
    world.apply(&tape).await.unwrap();
    let before = names(&world).await;

    let options = juju_emulator::DeployOptions::trusted();
    world.deploy(options).await.unwrap();
    world.connect().await.unwrap();
    let made: BTreeSet<_> = names(&world).await.difference(&before).cloned().collect();
    assert_eq!(made, rendered().await);

    remove(&mut world, APP).await;
    assert_eq!(names(&world).await, before);
    let kept = ["-n", "default", "get", "tapes.velero.io", "-o", "name"];
    assert_eq!(world.kubectl(&kept).await.unwrap(), "tape.velero.io/kept");
}

#[tokio::test]
async fn velero_elsewhere_keeps_the_definitions() {
    let plane = Plane::start().await.unwrap();
    let mut world = LightWorld::connected(&plane, "elsewhere").await.unwrap();
    world.apply(&helms("default", 0)).await.unwrap();

    remove(&mut world, APP).await;

    assert_eq!(world.belongings().await.unwrap(), "");
    assert_eq!(names(&world).await, rendered().await);
    let said = "stay, for others need them: Deployment `shop-velero` in namespace `default`";
    assert!(world.log().contains(said), "{}", world.log());
}

/// Its server is away, and it has made nothing yet.
#[tokio::test]
async fn charm_in_another_model_keeps_the_definitions() {
    let plane = Plane::start().await.unwrap();
    let other = LightWorld::deployed(&plane, "other-model").await.unwrap();
    let mut world = LightWorld::connected(&plane, "this-model").await.unwrap();
    let delete = ["-n", &other.namespace, "delete", "deployment", "velero"];
    other.kubectl(&delete).await.unwrap();

    remove(&mut world, APP).await;

    assert_eq!(names(&world).await, rendered().await);
    assert!(
        world.log().contains("in namespace `light-other-model`"),
        "{}",
        world.log()
    );
}

/// A later Velero serves a kind in a version that ours does not know.
#[tokio::test]
async fn objects_in_another_version_keep_the_definitions() {
    let plane = Plane::start().await.unwrap();
    let mut world = LightWorld::connected(&plane, "version").await.unwrap();
    let uploads = "datauploads.velero.io";
    let live = api(&world, DEFINITIONS).get(uploads).await.unwrap();
    let mut versions = live.data["spec"]["versions"].as_array().unwrap().clone();
    let mut later = versions[0].clone();
    versions[0]["served"] = json!(false);
    versions[0]["storage"] = json!(false);
    later["name"] = json!("v1");
    versions.push(later);
    let later = json!({"spec": {"versions": versions}}).to_string();
    let patch = ["patch", "crd", uploads, "--type=merge", "-p", &later];
    world.kubectl(&patch).await.unwrap();
    let kept = ["-n", "default", "get", uploads, "-o", "name"];
    let upload = json!({
        "apiVersion": "velero.io/v1", "kind": "DataUpload",
        "metadata": {"name": "kept", "namespace": "default"},
    });
    // The version is served a moment after it was defined.
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while let Err(error) = world.apply(&upload).await {
        assert!(tokio::time::Instant::now() < deadline, "{error}");
        tokio::task::yield_now().await;
    }

    remove(&mut world, APP).await;

    assert_eq!(names(&world).await, rendered().await);
    assert_eq!(
        world.kubectl(&kept).await.unwrap(),
        "dataupload.velero.io/kept"
    );
    let said = "namespace `default` uses them (DataUpload `kept`)";
    assert!(world.log().contains(said), "{}", world.log());
}
