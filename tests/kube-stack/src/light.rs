//! A control plane alone: etcd and an API server, for tests that need no pod to run; and, where things
//! are to happen by themselves, the controller manager and the scheduler too.
//!
//! Invariant: it belongs to the process that started it. Several run at once, each in a folder and on
//! ports of its own; it ends with its value, and also when that process is killed.
//!
//! There is never a node, a kubelet or an address behind the service `kubernetes`; webhooks and
//! aggregated APIs can only be reached on this machine. Without controllers, moreover, nothing happens by
//! itself:
//!
//! - no Deployment makes pods, no owner takes what it owns with it (garbage collection), no namespace is
//!   ever finished deleting, no namespace gets a ServiceAccount `default` or the ConfigMap with the CA, and
//!   no ServiceAccount a token Secret (`TokenRequest` works);
//! - pods stay as their creator left them.
//!
//! A test brings about what it needs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;

use super::command::tail;
use super::control_plane::{ControlPlane, Reach};
use super::layout::{Layout, Ports};
use super::pki::Pki;
use super::ports::Claim;
use super::process::{self, COLLECT_SELDOM};
use super::{ApiEndpoint, AuditLog, Progress, build, wait};

const READY_WITHIN: Duration = Duration::from_mins(2);

const PROGRAMS: [&str; 4] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
];

const KUBECTL: &str = "kubectl";

/// A program's name, and how a control plane starts it.
type Program = (&'static str, fn(&ControlPlane) -> Vec<String>);

/// A running control plane without a node.
#[derive(Debug)]
pub struct ControlPlaneOnly {
    plane: ControlPlane,
    api: ApiEndpoint,
    kubectl: PathBuf,
    took: Duration,
    // In this order: the processes go before their folder, and the ports last.
    controllers: Vec<Service>,
    _api_server: Service,
    _etcd: Service,
    _folder: Folder,
    _ports: Claim,
}

impl ControlPlaneOnly {
    /// Starts one in which nothing happens on its own; the API server answers when this returns.
    pub async fn start() -> Result<Self> {
        Self::with(Vec::new()).await
    }

    /// Starts one with the controllers that have work without a kubelet, and a scheduler; they work when
    /// this returns.
    pub async fn with_controllers() -> Result<Self> {
        let began = Instant::now();
        let mut plane = Self::with(vec![
            ("kube-controller-manager", ControlPlane::controller_manager),
            ("kube-scheduler", ControlPlane::scheduler),
        ])
        .await?;
        let client = plane.client().await?;
        let accounts = Api::<ServiceAccount>::default_namespaced(client);
        let [manager, _scheduler] = plane.controllers.as_slice() else {
            bail!("the controllers were not started");
        };
        manager
            .serves(async || accounts.get("default").await.is_ok())
            .await?;
        plane.took = began.elapsed();
        Ok(plane)
    }

    async fn with(controllers: Vec<Program>) -> Result<Self> {
        let stack = Layout::here()?;
        let wanted = [&PROGRAMS[..], &[KUBECTL]].concat();
        build::programs(&wanted, &stack, &Progress::to_stderr()).await?;
        let began = Instant::now();
        let claim = Claim::take()?;
        let [api, etcd, etcd_peer] = claim.ports();
        let folder = Folder::make(&stack, api)?;
        let ports = Ports {
            api,
            etcd,
            etcd_peer,
            // They serve nothing.
            controller_manager: 0,
            scheduler: 0,
        };
        let layout = Layout::at(&folder.0);
        let plane = ControlPlane::reached_by(Reach::Machine, &layout, &folder.0, ports);
        plane.prepare().await?;
        let etcd = Service::start(&folder.0, "etcd", &plane.etcd())?;
        etcd.serves(async || plane.etcd_is_ready().await).await?;
        let server = Service::start(&folder.0, "kube-apiserver", &plane.api_server())?;
        server.serves(async || plane.is_ready().await).await?;
        let controllers = controllers
            .into_iter()
            .map(|(name, command)| Service::start(&folder.0, name, &command(&plane)))
            .collect::<Result<_>>()?;
        let endpoint = ApiEndpoint {
            host: Reach::Machine.address().to_owned(),
            port: api,
            ca_pem: plane.pki().ca(),
        };
        Ok(Self {
            plane,
            api: endpoint,
            kubectl: stack.bin(KUBECTL),
            took: began.elapsed(),
            controllers,
            _api_server: server,
            _etcd: etcd,
            _folder: folder,
            _ports: claim,
        })
    }

    /// How long it took to start.
    #[must_use]
    pub const fn took(&self) -> Duration {
        self.took
    }

    /// Where the API server is.
    #[must_use]
    pub const fn api(&self) -> &ApiEndpoint {
        &self.api
    }

    /// A client that may do anything. Belongs to the async runtime it is made in.
    pub async fn client(&self) -> Result<kube::Client> {
        self.plane.client().await
    }

    /// Configuration of a client that may do anything.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.plane.kubeconfig()
    }

    pub(super) fn pki(&self) -> &Pki {
        self.plane.pki()
    }

    /// The program that people use.
    #[must_use]
    pub fn kubectl(&self) -> PathBuf {
        self.kubectl.clone()
    }

    /// What was asked of the API server.
    #[must_use]
    pub fn audit(&self) -> AuditLog {
        AuditLog::new(self.plane.clone())
    }
}

/// All that one control plane writes, taken away with it.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    /// Named after the port, which nobody else has: what is there was left by a killed process.
    fn make(stack: &Layout, port: u16) -> Result<Self> {
        let folder = stack.root().join("light").join(port.to_string());
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let bin = folder.join("bin");
        fs::create_dir_all(&bin)?;
        for program in PROGRAMS {
            // Under a path of its own, so that taking the stack down does not take it for the stack's.
            fs::hard_link(stack.bin(program), bin.join(program))
                .with_context(|| format!("linking {program}"))?;
        }
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The next one of this name empties it, too.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process that ends with this value, or with the process that has it.
#[derive(Debug)]
struct Service {
    name: &'static str,
    log: PathBuf,
    child: Child,
}

impl Service {
    fn start(folder: &Path, name: &'static str, command: &[String]) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let out = File::create(&log)?;
        // It asks the kernel for its own end with its parent's, and becomes the command.
        let mut starter = Command::new("setpriv");
        starter
            .args(["--pdeathsig", "KILL", "--"])
            .args(command)
            .envs(COLLECT_SELDOM)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out);
        let child = spawn(starter).with_context(|| format!("starting {name}"))?;
        Ok(Self { name, log, child })
    }

    /// Waits until it serves; fails once it has ended.
    async fn serves(&self, mut ready: impl AsyncFnMut() -> bool) -> Result<()> {
        let mut ended = false;
        let waited = wait::until(self.name, READY_WITHIN, async || {
            ended = process::Identity::of(self.child.id().cast_signed()).is_none();
            ended || ready().await
        })
        .await;
        if ended {
            bail!("{} has ended; {}", self.name, tail(&self.log));
        }
        waited.map_err(|error| error.context(tail(&self.log)))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Fails only if it has ended on its own.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

type Order = (Command, Sender<std::io::Result<Child>>);

/// Spawns from a thread that lives as long as this process: the kernel takes the end of the thread that
/// forked for the end of the parent, and a test's own thread ends with the test.
fn spawn(command: Command) -> Result<Child> {
    static SPAWNER: OnceLock<Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in inbox {
                // The caller may have gone.
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let (answer, child) = channel();
    let gone = || anyhow!("the thread that starts processes is gone");
    spawner.send((command, answer)).map_err(|_| gone())?;
    Ok(child.recv().map_err(|_| gone())??)
}
