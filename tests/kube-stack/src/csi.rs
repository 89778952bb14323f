//! Claims whose volumes can be snapshotted: Kubernetes' own programs for CSI, and a stand-in for a vendor's driver
//! (`modules/csi-stand-in`).
//!
//! Invariant: a cluster in which nobody made a `VolumeSnapshotClass` is for backup tools one without snapshots, so the
//! stack has none. Volumes and snapshots are folders of the node, which go when Kubernetes deletes them.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use k8s_openapi::api::storage::v1::{CSIDriver, CSINode, StorageClass};
use kube::api::PostParams;
use kube::{Api, Client};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;

use super::control_plane::ControlPlane;
use super::layout::{Layout, NODE, modules};
use super::lock::Lock;
use super::node::Node;
use super::process::{Process, end_all};
use super::progress::Progress;
use super::{command, pki, wait};

/// The module that the CRDs are from, which belongs to the controller's.
const CRDS: &str = "github.com/kubernetes-csi/external-snapshotter/client/v8";
const KINDS: [&str; 3] = [
    "volumesnapshotclasses",
    "volumesnapshotcontents",
    "volumesnapshots",
];

/// The driver, its volumes and its snapshots.
#[derive(Debug, Clone)]
pub struct Csi {
    folder: PathBuf,
}

/// What the driver remembers of a volume or a snapshot.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Record {
    name: String,
}

impl Csi {
    /// The driver, as classes name it.
    pub const DRIVER: &'static str = "stand-in.csi.kube-stack";
    /// The `StorageClass` of its volumes.
    pub const STORAGE_CLASS: &'static str = "csi-stand-in";
    /// Where the driver listens on the node.
    #[must_use]
    pub fn socket() -> String {
        format!("/var/lib/kubelet/plugins/{}/csi.sock", Self::DRIVER)
    }

    /// All that runs; else starts it.
    pub(super) async fn of(layout: &Layout, control_plane: &ControlPlane) -> Result<Self> {
        let _alone = Lock::take(&layout.root().join("csi.lock"), &Progress::quiet()).await?;
        let csi = Self {
            folder: layout.csi(),
        };
        let running = Process::all(&csi.folder);
        let programs = commands(layout, control_plane).len();
        if running.iter().filter(|process| process.runs()).count() < programs {
            let left = running.iter().filter_map(Process::identity);
            end_all(&left.collect::<Vec<_>>()).await?;
            csi.start(layout, control_plane).await?;
        }
        Ok(csi)
    }

    async fn start(&self, layout: &Layout, control_plane: &ControlPlane) -> Result<()> {
        fs::create_dir_all(&self.folder)?;
        serve_kinds(layout, control_plane).await?;
        let client = control_plane.client().await?;
        make_classes(&client).await?;
        let node = Node::new(layout).entry()?;
        let mut processes = Vec::new();
        for (name, command) in commands(layout, control_plane) {
            let command = [node.clone(), command].concat();
            processes.push(Process::spawn(&self.folder, name, &command)?);
        }
        let [driver, ..] = processes.as_slice() else {
            return Ok(());
        };
        wait::until_by(
            driver,
            "the kubelet knows the driver",
            wait::DEADLINE,
            async || is_known(&client).await.unwrap_or(false),
        )
        .await
    }

    /// The names of the driver's volumes, those of the objects `PersistentVolume`.
    pub fn volumes(&self) -> Result<Vec<String>> {
        self.names("volumes")
    }

    /// The names of the driver's snapshots: each was given one of its own.
    pub fn snapshots(&self) -> Result<Vec<String>> {
        self.names("snapshots")
    }

    fn names(&self, of: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.folder.join(of))? {
            let record = entry?.path().join("record.json");
            // It may be on its way or going.
            if let Ok(text) = fs::read_to_string(record) {
                names.push(serde_json::from_str::<Record>(&text)?.name);
            }
        }
        names.sort();
        Ok(names)
    }
}

/// What runs on the node, the driver first.
fn commands(layout: &Layout, control_plane: &ControlPlane) -> [(&'static str, Vec<String>); 4] {
    let kubeconfig = control_plane.pki().kubeconfig(pki::PROVISIONER);
    let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
    let address = format!("--csi-address={}", Csi::socket());
    let command = |name: &'static str, arguments: &[&str]| {
        let program = layout.bin(name).display().to_string();
        let arguments = arguments.iter().map(|argument| (*argument).to_owned());
        (name, std::iter::once(program).chain(arguments).collect())
    };
    let folder = format!("-folder={}", layout.csi().display());
    let (driver, node) = (format!("-name={}", Csi::DRIVER), format!("-node={NODE}"));
    [
        command("csi-stand-in", &[&folder, &driver, &node]),
        command("csi-provisioner", &[&address, &kubeconfig]),
        command("csi-snapshotter", &[&address, &kubeconfig]),
        command("snapshot-controller", &[&kubeconfig]),
    ]
}

/// Adds the CRDs of snapshots.
async fn serve_kinds(layout: &Layout, control_plane: &ControlPlane) -> Result<()> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Module {
        dir: PathBuf,
    }
    let mut go = Command::new("go");
    go.current_dir(modules().join("csi"))
        .args(["mod", "download", "-json", CRDS]);
    let module: Module = serde_json::from_str(&command::output(&mut go).await?)?;
    let kubectl = || {
        let mut kubectl = Command::new(layout.bin("kubectl"));
        kubectl.env("KUBECONFIG", control_plane.kubeconfig());
        kubectl
    };
    let mut apply = kubectl();
    apply.args(["apply", "--server-side"]);
    let mut wait = kubectl();
    wait.args(["wait", "--for=condition=Established", "--timeout=4m"]);
    for kind in KINDS {
        let file = format!("config/crd/snapshot.storage.k8s.io_{kind}.yaml");
        apply.arg("-f").arg(module.dir.join(file));
        wait.arg(format!("crd/{kind}.snapshot.storage.k8s.io"));
    }
    command::output(&mut apply).await?;
    command::output(&mut wait).await.map(drop)
}

async fn make_classes(client: &Client) -> Result<()> {
    let driver: CSIDriver = serde_json::from_value(driver())?;
    made(
        Api::all(client.clone())
            .create(&PostParams::default(), &driver)
            .await,
    )?;
    let class: StorageClass = serde_json::from_value(class())?;
    made(
        Api::all(client.clone())
            .create(&PostParams::default(), &class)
            .await,
    )
}

/// A start after a crash finds it made.
fn made<T>(created: kube::Result<T>) -> Result<()> {
    match created {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        other => other.map(drop).context("cannot make a class"),
    }
}

fn driver() -> Value {
    json!({
        "metadata": {"name": Csi::DRIVER},
        // A folder of the node has to be attached to nothing.
        "spec": {"attachRequired": false},
    })
}

/// Like those of clouds: the volume is made where the pod goes.
fn class() -> Value {
    json!({
        "metadata": {"name": Csi::STORAGE_CLASS},
        "provisioner": Csi::DRIVER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    })
}

async fn is_known(client: &Client) -> Result<bool> {
    let node = Api::<CSINode>::all(client.clone()).get(NODE).await?;
    Ok(node
        .spec
        .drivers
        .iter()
        .any(|driver| driver.name == Csi::DRIVER))
}
