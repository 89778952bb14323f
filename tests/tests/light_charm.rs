//! The charm on a control plane alone: a test writes what controllers, kubelet and Velero would.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use tests::juju::{Cluster, DeployOptions, Juju, S3Settings};
use tests::operator::{self, APP, S3, UNIT};
use tests::stack::ControlPlaneOnly;

const MODEL: &str = "light";

fn locations(client: &Client) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk("velero.io", "v1", "BackupStorageLocation");
    Api::namespaced_with(client.clone(), MODEL, &ApiResource::from_gvk(&gvk))
}

/// What the Deployment controller would say of a rollout that went well.
async fn roll_out(client: Client) {
    let api = Api::<Deployment>::namespaced(client, MODEL);
    let mut events = api
        .watch(&WatchParams::default(), "0")
        .await
        .unwrap()
        .boxed();
    while let Some(event) = events.next().await {
        let (WatchEvent::Added(live) | WatchEvent::Modified(live)) = event.unwrap() else {
            continue;
        };
        let generation = live.metadata.generation;
        if live
            .status
            .as_ref()
            .and_then(|status| status.observed_generation)
            != generation
        {
            let status = json!({"status": {
                "observedGeneration": generation, "replicas": 1, "updatedReplicas": 1,
                "readyReplicas": 1, "availableReplicas": 1,
            }});
            let patch = Patch::Merge(&status);
            let name = live.name_any();
            api.patch_status(&name, &PatchParams::default(), &patch)
                .await
                .unwrap();
        }
    }
}

/// What Velero would say of the location.
async fn judge(client: &Client, phase: &str, message: &str) {
    let now = jiff::Timestamp::now().to_string();
    let status = json!({"status": {
        "phase": phase, "message": message, "lastValidationTime": now,
    }});
    let patch = Patch::Merge(&status);
    locations(client)
        .patch("default", &PatchParams::default(), &patch)
        .await
        .unwrap();
}

/// Judges the location as soon as it is there.
async fn judge_first(client: Client) {
    let maps = Api::<Deployment>::namespaced(client.clone(), MODEL);
    // The server gets its plugin right after the location was made.
    let mut events = maps
        .watch(&WatchParams::default(), "0")
        .await
        .unwrap()
        .boxed();
    while let Some(event) = events.next().await {
        let (WatchEvent::Added(live) | WatchEvent::Modified(live)) = event.unwrap() else {
            continue;
        };
        let pod = live.spec.and_then(|spec| spec.template.spec).unwrap();
        if pod
            .init_containers
            .is_some_and(|plugins| !plugins.is_empty())
        {
            judge(&client, "Available", "").await;
            return;
        }
    }
}

/// What a kubelet would say of a server that crashes.
async fn crash(client: &Client) {
    let pods = Api::<Pod>::namespaced(client.clone(), MODEL);
    let labels = json!({"component": "velero", "deploy": "velero"});
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "velero-1", "labels": labels},
        "spec": {"containers": [{"name": "velero", "image": "velero:v1"}],
                 "serviceAccountName": "velero", "automountServiceAccountToken": false},
    }))
    .unwrap();
    pods.create(&PostParams::default(), &pod).await.unwrap();
    let status: Value = json!({"status": {"containerStatuses": [{
        "name": "velero", "image": "velero:v1", "imageID": "", "ready": false, "restartCount": 3,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 1, "message": "first\nno such flag\n"}},
    }]}});
    let patch = Patch::Merge(&status);
    pods.patch_status("velero-1", &PatchParams::default(), &patch)
        .await
        .unwrap();
}

#[tokio::test]
async fn any_state_of_the_cluster_can_be_brought_about_and_is_told() {
    let plane = ControlPlaneOnly::start().await.unwrap();
    let client = plane.client().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::of_control_plane(&plane).await.unwrap();
    let mut juju = Juju::bootstrap(&dir.path().join("juju"), MODEL, Some(cluster))
        .await
        .unwrap();
    let controller = tokio::spawn(roll_out(client.clone()));

    operator::deploy(&mut juju, DeployOptions::trusted())
        .await
        .unwrap();
    assert!(operator::status(&juju).starts_with("blocked: no object store"));

    let velero = tokio::spawn(judge_first(client.clone()));
    let settings = S3Settings::path_style("http://127.0.0.1:1", "us-east-1", "bucket");
    juju.deploy_s3_integrator(S3, settings.credentials("id", "secret"))
        .unwrap();
    juju.integrate(APP, S3).unwrap();
    juju.settle().await.unwrap();
    velero.await.unwrap();
    assert_eq!(operator::status(&juju), "active: ");

    judge(
        &client,
        "Unavailable",
        "BackupStorageLocation \"default\" is unavailable: it rains",
    )
    .await;
    juju.update_status(UNIT).await.unwrap();
    assert_eq!(
        operator::status(&juju),
        "blocked: object store unavailable: it rains"
    );

    crash(&client).await;
    juju.update_status(UNIT).await.unwrap();
    assert_eq!(
        operator::status(&juju),
        "blocked: the Velero server does not start: `CrashLoopBackOff` of image `velero:v1`: no such \
         flag"
    );
    controller.abort();
}
