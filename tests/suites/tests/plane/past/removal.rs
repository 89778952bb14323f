//! What is left when the application goes after a refresh.

use kube::Api;
use kube::api::{DynamicObject, ListParams};
use serde_json::json;
use worlds::operator::APP;
use worlds::plane::{LightWorld, Plane};

use super::given::{backup, connected, create, kind, python, refresh};

async fn definitions(world: &LightWorld) -> usize {
    let kind = kind("apiextensions.k8s.io", "CustomResourceDefinition");
    let api: Api<DynamicObject> = Api::all_with(world.client(), &kind);
    let all = api.list_metadata(&ListParams::default()).await.unwrap();
    all.items.len()
}

/// Older releases of Juju label nothing, and so sweep nothing of what a charm has made.
async fn unlabel(world: &LightWorld) {
    let kinds = "deployment,daemonset,service,secret,configmap,serviceaccount";
    let here = ["-n", &world.namespace];
    let of_ours = ["-l", "velero-operator/application"];
    let label = ["label", kinds, "app.juju.is/created-by-"];
    let arguments = [&here[..], &label[..], &of_ours[..]].concat();
    world.kubectl(&arguments).await.unwrap();
}

async fn remove(world: &mut LightWorld) {
    world.juju.remove_application(APP).unwrap();
    world.settle().await.unwrap();
}

/// Two worlds on a plane of their own: the definitions belong to both.
#[tokio::test]
async fn removal_leaves_only_definitions_that_others_need() {
    let plane = Plane::start().await.unwrap();
    let (mut first, _) = connected(&plane, "first", &[("use-node-agent", "true")]).await;
    let (mut second, _) = connected(&plane, "second", &[]).await;
    refresh(&mut first).await;
    first.expect_status("active: ").unwrap();
    create(&first, backup("done", "Completed")).await;
    let nightly = json!({
        "apiVersion": "velero.io/v1", "kind": "Schedule", "metadata": {"name": "nightly"},
        "spec": {"schedule": "0 1 * * *", "template": {}},
    });
    create(&second, nightly).await;

    unlabel(&first).await;

    remove(&mut first).await;

    assert_eq!(
        first.dump().await.unwrap().matches("NAMESPACE").count(),
        0,
        "{}",
        first.dump().await.unwrap()
    );
    assert_eq!(definitions(&second).await, 13, "another Velero needs them");
    let schedule = second.velero_object("Schedule", "nightly").await.unwrap();
    assert!(schedule.is_some(), "and this is its own");

    refresh(&mut second).await;
    second.expect_status("active: ").unwrap();
    remove(&mut second).await;
    assert_eq!(definitions(&second).await, 0);
}

/// Before any other hook of ours has run: what the Python charm made goes all the same.
#[tokio::test]
async fn objects_never_taken_over_go_too() {
    let plane = Plane::start().await.unwrap();
    let (mut world, _) = python(&plane, "never", &[]).await;
    world.juju.untrust(APP).await.unwrap();
    refresh(&mut world).await;
    world
        .expect_in_status("blocked: ", &[": not trusted"])
        .unwrap();

    world.juju.trust(APP).await.unwrap();
    remove(&mut world).await;

    assert_eq!(definitions(&world).await, 0);
    assert_eq!(world.dump().await.unwrap().matches("NAMESPACE").count(), 0);
}
