//! Where everything is: folders, addresses, ports.
//!
//! Invariant: what would have to be changed to move the stack is in this file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::cache::Entry;

/// One stack per machine: who has it, and the lock of starting and stopping it.
pub(super) const MACHINE: &str = "/run/kube-stack";

/// Name of the node in Kubernetes.
pub(super) const NODE: &str = "stack-node";
/// The network device between this machine and the node.
pub(super) const LINK: &str = "stack0";
/// This machine, as the node and its pods reach it.
pub(super) const HOST_IP: &str = "10.213.0.1";
/// The node, as this machine reaches it.
pub(super) const NODE_IP: &str = "10.213.0.2";
/// Prefix length of the network of the two.
pub(super) const LINK_BITS: u8 = 30;
/// Addresses of pods.
pub(super) const PODS: &str = "10.214.0.0/16";
/// Addresses of services.
pub(super) const SERVICES: &str = "10.215.0.0/16";
/// The first address of [`SERVICES`]: the service `kubernetes`.
pub(super) const SERVICE_IP: &str = "10.215.0.1";

/// Port of the image registry.
pub(super) const REGISTRY_PORT: u16 = 15000;
/// Port of the S3 store.
pub(super) const S3_PORT: u16 = 8333;
/// Port of the Azure store.
pub(super) const AZURE_PORT: u16 = 10000;
/// Port of the Google store for this machine, without TLS.
pub(super) const GCS_PORT: u16 = 4443;

/// Ports of one control plane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) api: u16,
    pub(super) etcd: u16,
    pub(super) etcd_peer: u16,
    pub(super) controller_manager: u16,
    pub(super) scheduler: u16,
}

/// Ports of the control plane that has the node.
pub(super) const PORTS: Ports = Ports {
    api: 16443,
    etcd: 12379,
    etcd_peer: 12380,
    controller_manager: 16257,
    scheduler: 16259,
};

/// The stack's folder.
///
/// `authority`, `bin`, `npm` and `registry` are linked from the machine's cache, and `stamps` say from which of its entries;
/// `run` is one run of the stack and is emptied before the next.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// `STACK_DIR`, else `.stack` next to the workspace's `Cargo.toml`.
    pub(super) fn here() -> Result<Self> {
        let root = match std::env::var_os("STACK_DIR") {
            Some(folder) => std::path::absolute(folder).context("STACK_DIR is no path")?,
            None => workspace().join(".stack"),
        };
        fs::create_dir_all(&root).with_context(|| format!("cannot make {}", root.display()))?;
        // As the kernel shows it: processes are recognised by it.
        Ok(Self {
            root: root.canonicalize()?,
        })
    }

    pub(super) fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Programs.
    pub(super) fn bins(&self) -> PathBuf {
        self.root.join("bin")
    }

    pub(super) fn bin(&self, name: &str) -> PathBuf {
        self.bins().join(name)
    }

    /// Programs from npm.
    pub(super) fn npm(&self) -> PathBuf {
        self.root.join("npm")
    }

    pub(super) fn azurite(&self) -> PathBuf {
        self.npm()
            .join("node_modules/azurite/dist/src/blob/main.js")
    }

    fn stamp(&self, entry: &Entry) -> PathBuf {
        self.root.join("stamps").join(entry.name())
    }

    /// Whether what the entry has was put here, and `files` of it are there.
    pub(super) fn has(&self, entry: &Entry, files: &[PathBuf]) -> bool {
        fs::read_to_string(self.stamp(entry)).is_ok_and(|found| found == entry.to_string())
            && files.iter().all(|file| file.is_file())
    }

    /// Remembers that what the entry has was put here.
    pub(super) fn note(&self, entry: &Entry) -> Result<()> {
        let stamp = self.stamp(entry);
        if let Some(folder) = stamp.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(fs::write(stamp, entry.to_string())?)
    }

    pub(super) fn registry(&self) -> PathBuf {
        self.root.join("registry")
    }

    pub(super) fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// The Google store, which runs when somebody wants it.
    pub(super) fn gcs(&self) -> PathBuf {
        self.run().join("gcs")
    }

    /// What serves snapshots of volumes, which runs when somebody wants it.
    pub(super) fn csi(&self) -> PathBuf {
        self.run().join("csi")
    }

    /// The control plane that has the node.
    pub(super) fn kubernetes(&self) -> PathBuf {
        self.run().join("kubernetes")
    }

    /// Written last by `up`: what runs was made from this.
    pub(super) fn state(&self) -> PathBuf {
        self.run().join("state")
    }
}

/// The folder of what components are built or installed from.
pub(super) fn modules() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/modules"))
}

fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}
