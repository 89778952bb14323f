//! The real stack: etcd, Kubernetes with a node and volumes, an image registry, an S3, an Azure and a Google
//! store, and what its users add.
//!
//! Invariant: there is one stack per machine, and it is either adopted whole or started afresh. A fresh
//! start keeps programs and images and nothing else: no object, pod or bucket of an earlier run.
//!
//! The control plane and the stores are processes of this machine; the node lives in namespaces of its own
//! (see `node.rs`). From the node and its pods this machine is [`Stack::host_ip`].

mod audit;
mod authority;
mod azure;
mod build;
mod cache;
mod command;
mod control_plane;
mod csi;
mod dns;
mod gcs;
mod guests;
mod layout;
mod light;
mod lock;
mod node;
mod packages;
mod pki;
mod plain_http;
mod ports;
mod process;
mod progress;
pub mod proxy;
mod registry;
mod s3;
mod teardown;
pub mod versions;
mod volumes;
mod wait;

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

pub use audit::{AuditEvent, AuditLog, Mark};
pub use azure::AzureStore;
pub use build::Component;
pub use cache::{Cache, Entry, key};
pub use csi::Csi;
pub use gcs::GcsStore;
pub use guests::Guests;
pub use light::ControlPlaneOnly;
pub use plain_http::fetch;
pub use process::COLLECT_SELDOM;
pub use progress::Progress;
pub use registry::{Image, ImageRoot};
pub use s3::S3Store;
pub use wait::{DEADLINE, until};

use control_plane::ControlPlane;
use layout::{HOST_IP, Layout, MACHINE, NODE_IP, PORTS};
use lock::Lock;
use node::Node;

/// The folder of what is built, installed or run for tests, which is not part of the sources.
pub fn folder() -> Result<PathBuf> {
    Ok(Layout::here()?.root().to_owned())
}

/// Sees to it that a program is there that is built for the stack, and says where.
pub async fn program(name: &str) -> Result<PathBuf> {
    let layout = Layout::here()?;
    build::programs(&[name], &layout, &Progress::to_stderr()).await?;
    Ok(layout.bin(name))
}

/// Processes of a whole stack, without what runs when somebody wants it.
const WHOLE: usize = 13;

const SERVES_WITHIN: Duration = Duration::from_mins(1);

/// A running stack.
#[derive(Debug, Clone)]
pub struct Stack {
    layout: Layout,
    control_plane: ControlPlane,
    kubeconfig: PathBuf,
    api: ApiEndpoint,
}

/// Which running stack will do.
#[derive(Debug, Clone, Copy)]
enum Adopt {
    Any,
    OfTheseSources,
}

/// Where the API server is, as a pod would be told.
#[derive(Debug, Clone)]
pub struct ApiEndpoint {
    /// `KUBERNETES_SERVICE_HOST`.
    pub host: String,
    /// `KUBERNETES_SERVICE_PORT`.
    pub port: u16,
    /// The file that is `ca.crt` in a pod.
    pub ca_pem: PathBuf,
}

/// An object in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// Its whole key.
    pub key: String,
    /// Bytes.
    pub size: u64,
}

impl Stack {
    fn new(layout: Layout) -> Self {
        let control_plane = ControlPlane::new(&layout, &layout.kubernetes(), PORTS);
        let api = ApiEndpoint {
            host: HOST_IP.to_owned(),
            port: PORTS.api,
            ca_pem: control_plane.pki().ca(),
        };
        Self {
            kubeconfig: control_plane.kubeconfig(),
            layout,
            control_plane,
            api,
        }
    }

    /// Installs and builds what is missing, without starting anything.
    pub async fn build(progress: &Progress) -> Result<()> {
        let layout = Layout::here()?;
        {
            let _alone = Lock::take(&layout.root().join("packages.lock"), progress).await?;
            packages::system(&layout, progress).await?;
            packages::seaweedfs(&layout, progress).await?;
            authority::ensure(&layout, progress).await?;
        }
        // The one waits for the network and the other for the processor.
        tokio::try_join!(
            packages::azurite(&layout, progress),
            build::all(&layout, progress)
        )
        .map(drop)
    }

    /// A stack of the present sources: adopted when it runs whole and healthy, else started afresh.
    pub async fn up(progress: &Progress) -> Result<Self> {
        Self::adopt_or_start(Adopt::OfTheseSources, progress).await
    }

    /// The stack that runs.
    pub async fn attach() -> Result<Self> {
        let stack = Self::new(Layout::here()?);
        if !stack.fits(Adopt::Any).await? {
            bail!(
                "no stack runs in {}: start it with `cargo stack up`",
                stack.dir().display()
            );
        }
        Ok(stack)
    }

    /// For tests: the stack that runs, or a new one. Never restarts one that other tests may be using.
    pub async fn shared() -> Result<Self> {
        match Self::attach().await {
            Ok(stack) => Ok(stack),
            Err(_) => Self::adopt_or_start(Adopt::Any, &Progress::to_stderr()).await,
        }
    }

    async fn adopt_or_start(which: Adopt, progress: &Progress) -> Result<Self> {
        Self::build(progress).await?;
        let stack = Self::new(Layout::here()?);
        let _alone = Lock::take(&Path::new(MACHINE).join("lock"), progress).await?;
        if stack.fits(which).await? {
            progress.note("the stack runs already");
            return Ok(stack);
        }
        teardown::claim(&stack.layout, progress).await?;
        progress
            .step("clear what an earlier run left", stack.clear())
            .await?;
        // Boxed: it is far bigger than what its callers want to carry.
        Box::pin(stack.start(progress)).await?;
        fs::write(
            stack.layout.state(),
            fingerprint(&stack.layout)?.to_string(),
        )?;
        Ok(stack)
    }

    /// Ends the stack. Succeeds when there is none.
    pub async fn down(progress: &Progress) -> Result<()> {
        let layout = Layout::here()?;
        let _alone = Lock::take(&Path::new(MACHINE).join("lock"), progress).await?;
        progress
            .step("take the stack down", teardown::stack(&layout))
            .await
    }

    /// The stack's folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.layout.root()
    }

    /// A program that was built for the stack.
    #[must_use]
    pub fn bin(&self, name: &str) -> PathBuf {
        self.layout.bin(name)
    }

    /// Configuration of a client that may do anything.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A client that may do anything. Belongs to the async runtime it is made in.
    pub async fn client(&self) -> Result<kube::Client> {
        self.control_plane.client().await
    }

    /// Where the API server is.
    #[must_use]
    pub fn api(&self) -> &ApiEndpoint {
        &self.api
    }

    /// What was asked of the API server.
    #[must_use]
    pub fn audit(&self) -> AuditLog {
        AuditLog::new(self.control_plane.clone())
    }

    /// The S3 store.
    #[must_use]
    pub fn s3(&self) -> S3Store {
        S3Store::new()
    }

    /// The Azure store.
    #[must_use]
    pub fn azure(&self) -> AzureStore {
        AzureStore::new()
    }

    /// The Google store, which is started if it does not run.
    pub async fn gcs(&self) -> Result<GcsStore> {
        GcsStore::of(&self.layout).await
    }

    /// Volumes that can be snapshotted. What serves them is started if it does not run.
    pub async fn csi(&self) -> Result<Csi> {
        Csi::of(&self.layout, &self.control_plane).await
    }

    /// This machine, as pods reach it: what listens here on it can be called from a pod.
    #[must_use]
    pub fn host_ip(&self) -> &str {
        HOST_IP
    }

    /// The node, as this machine reaches it (node ports, host network).
    #[must_use]
    pub fn node_ip(&self) -> &str {
        NODE_IP
    }

    /// A command that runs on the node, for example `ctr`.
    pub fn on_node(&self, program: &str) -> Result<tokio::process::Command> {
        let entry = Node::new(&self.layout).entry()?;
        let mut words = entry.iter().map(String::as_str).chain([program]);
        let mut command = tokio::process::Command::new(words.next().unwrap_or(program));
        command.args(words);
        Ok(command)
    }

    async fn clear(&self) -> Result<()> {
        teardown::stack(&self.layout).await?;
        teardown::claim(&self.layout, &Progress::quiet()).await?;
        let run = self.layout.run();
        if run.exists() {
            fs::remove_dir_all(&run).with_context(|| format!("cannot empty {}", run.display()))?;
        }
        Ok(fs::create_dir_all(run)?)
    }

    async fn start(&self, progress: &Progress) -> Result<()> {
        let node = Node::new(&self.layout);
        progress
            .step("make the node's namespaces", node.open())
            .await?;
        dns::start(&self.layout)?;
        let kubernetes = async {
            progress
                .step("make keys", self.control_plane.prepare())
                .await?;
            progress
                .step("start the control plane", self.control_plane.start())
                .await
        };
        tokio::try_join!(
            kubernetes,
            progress.step("start containerd", node.start_containerd()),
            progress.step("start the S3 store", s3::start(&self.layout)),
            progress.step("start the Azure store", azure::start(&self.layout)),
            progress.step(
                "start the registry",
                registry::start(&self.layout, progress)
            ),
        )?;
        progress
            .step(
                "start the provisioner of volumes",
                volumes::start(&self.layout, &self.control_plane),
            )
            .await?;
        progress
            .step("start the node", node.join(&self.control_plane))
            .await
    }

    /// Whether a stack runs that may be adopted.
    async fn fits(&self, which: Adopt) -> Result<bool> {
        let Ok(started_from) = fs::read_to_string(self.layout.state()) else {
            return Ok(false);
        };
        let fits = match which {
            Adopt::Any => true,
            Adopt::OfTheseSources => started_from == fingerprint(&self.layout)?.to_string(),
        };
        Ok(fits && self.is_healthy().await)
    }

    /// Whether all runs and serves. A busy stack is given time to answer: its restart would be felt by
    /// everyone who uses it.
    async fn is_healthy(&self) -> bool {
        self.is_whole()
            && wait::until("the stack serves", SERVES_WITHIN, async || {
                !self.is_whole()
                    || self.control_plane.is_ready().await
                        && s3::is_ready().await
                        && azure::is_ready().await
            })
            .await
            .is_ok()
            && self.is_whole()
    }

    fn is_whole(&self) -> bool {
        let running = [self.layout.run(), self.layout.kubernetes()]
            .iter()
            .flat_map(|folder| process::Process::all(folder))
            .filter(process::Process::runs)
            .count();
        running == WHOLE
    }
}

/// Changes with everything a running stack is made from.
fn fingerprint(layout: &Layout) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    // It covers the programs too.
    registry::entry(layout)?.to_string().hash(&mut hasher);
    for source in [
        include_str!("azure.rs"),
        include_str!("control_plane.rs"),
        include_str!("csi.rs"),
        include_str!("dns.rs"),
        include_str!("gcs.rs"),
        include_str!("layout.rs"),
        include_str!("node.rs"),
        include_str!("pki.rs"),
        include_str!("s3.rs"),
        include_str!("versions.rs"),
        include_str!("volumes.rs"),
    ] {
        source.hash(&mut hasher);
    }
    Ok(hasher.finish())
}
