//! Volumes for claims: local-path-provisioner, and the `StorageClass` that claims get by default.
//!
//! Invariant: each claim that a pod mounts has a folder of the node to itself, which goes with the claim.
//! Its volume is of type `local`: backup tools pass over the files of `hostPath` volumes.

use std::fs;

use anyhow::Result;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::control_plane::ControlPlane;
use super::layout::Layout;
use super::pki;
use super::process::Process;
use super::versions::BUSYBOX_IMAGE;

/// Where the pods run that make and delete folders.
const NAMESPACE: &str = "kube-system";
/// What those pods run.
const SCRIPTS: &str = "local-path-scripts";

/// Starts the provisioner and makes it the cluster's default. Claims that come before it works wait for it.
pub(super) async fn start(layout: &Layout, control_plane: &ControlPlane) -> Result<()> {
    let client = control_plane.client().await?;
    let new = PostParams::default();
    let scripts = serde_json::from_value(scripts())?;
    Api::<ConfigMap>::namespaced(client.clone(), NAMESPACE)
        .create(&new, &scripts)
        .await?;
    let class = serde_json::from_value(class())?;
    Api::<StorageClass>::all(client)
        .create(&new, &class)
        .await?;

    let folder = layout.run().join("volumes");
    fs::create_dir_all(&folder)?;
    let config = folder.join("config.json");
    // The node sees this folder under the same path.
    let paths =
        json!([{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": [folder.join("data")]}]);
    fs::write(&config, json!({"nodePathMap": paths}).to_string())?;
    let pod = folder.join("pod.json");
    fs::write(&pod, helper_pod().to_string())?;
    let kubeconfig = control_plane.pki().kubeconfig(pki::PROVISIONER);
    let command = [
        layout.bin("local-path-provisioner").display().to_string(),
        "start".to_owned(),
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--config={}", config.display()),
        format!("--helper-pod-file={}", pod.display()),
        format!("--helper-image={BUSYBOX_IMAGE}"),
        format!("--namespace={NAMESPACE}"),
        format!("--configmap-name={SCRIPTS}"),
        "--service-account-name=default".to_owned(),
    ];
    Process::spawn(&layout.run(), "local-path-provisioner", &command).map(drop)
}

fn scripts() -> Value {
    json!({
        "metadata": {"name": SCRIPTS},
        "data": {
            "setup": "mkdir -m 0777 -p \"$VOL_DIR\"\n",
            "teardown": "rm -rf \"$VOL_DIR\"\n",
        },
    })
}

fn class() -> Value {
    json!({
        "metadata": {
            "name": "local-path",
            "annotations": {
                "storageclass.kubernetes.io/is-default-class": "true",
                "defaultVolumeType": "local",
            },
        },
        "provisioner": "rancher.io/local-path",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    })
}

fn helper_pod() -> Value {
    json!({
        "metadata": {"name": "volume"},
        "spec": {
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "helper-pod", "image": BUSYBOX_IMAGE}],
        },
    })
}
