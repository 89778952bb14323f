//! etcd, API server, controller manager and scheduler.
//!
//! Invariant: everything a control plane has is in its folder and on its ports, so several run at once.
//! [`Reach`] says where its API server is reached, and nothing else differs between them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;

use super::layout::{HOST_IP, Layout, NODE_IP, Ports, SERVICE_IP, SERVICES};
use super::pki::{self, Pki};
use super::plain_http;
use super::process::Process;
use super::wait;

const READY_WITHIN: Duration = Duration::from_mins(2);

/// The controllers that have work where no kubelet runs. The one that watches over nodes' lives is not
/// among them: it would drive pods off a node that nobody reports for.
const WITHOUT_A_KUBELET: [&str; 9] = [
    "daemonset-controller",
    "deployment-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "replicaset-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "statefulset-controller",
];

/// Who is to reach the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// A node and its pods, over the link.
    Node,
    /// Processes of this machine alone, over the loopback: there need be no link.
    Machine,
}

impl Reach {
    /// The address under which the API server is known.
    pub(super) const fn address(self) -> &'static str {
        match self {
            Self::Node => HOST_IP,
            Self::Machine => "127.0.0.1",
        }
    }
}

/// A control plane, running or not.
#[derive(Debug, Clone)]
pub(super) struct ControlPlane {
    folder: PathBuf,
    layout: Layout,
    ports: Ports,
    pki: Pki,
    reach: Reach,
}

impl ControlPlane {
    pub(super) fn new(layout: &Layout, folder: &Path, ports: Ports) -> Self {
        Self::reached_by(Reach::Node, layout, folder, ports)
    }

    pub(super) fn reached_by(reach: Reach, layout: &Layout, folder: &Path, ports: Ports) -> Self {
        Self {
            folder: folder.to_owned(),
            layout: layout.clone(),
            ports,
            pki: Pki::at(&folder.join("pki")),
            reach,
        }
    }

    pub(super) fn pki(&self) -> &Pki {
        &self.pki
    }

    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.pki.kubeconfig(pki::ADMIN)
    }

    pub(super) fn audit_log(&self) -> PathBuf {
        self.folder.join("audit.log")
    }

    pub(super) async fn client(&self) -> Result<Client> {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig())?;
        let options = KubeConfigOptions::default();
        Ok(Client::try_from(
            Config::from_custom_kubeconfig(kubeconfig, &options).await?,
        )?)
    }

    /// Whether the API server says that it is ready.
    pub(super) async fn is_ready(&self) -> bool {
        let ask = async {
            let request = http_request("/readyz")?;
            anyhow::Ok(self.client().await?.request_text(request).await?)
        };
        ask.await.is_ok_and(|answer| answer == "ok")
    }

    /// Makes keys and configurations.
    pub(super) async fn prepare(&self) -> Result<()> {
        fs::create_dir_all(&self.folder)?;
        let hosts = [
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
        ];
        let addresses = ["127.0.0.1", HOST_IP, NODE_IP, SERVICE_IP];
        let names: Vec<String> = hosts
            .map(|host| format!("DNS:{host}"))
            .into_iter()
            .chain(addresses.map(|address| format!("IP:{address}")))
            .collect();
        self.pki.make(&names).await?;
        // Where there is a node, not the loopback: it reads the same files.
        let address = self.reach.address();
        self.pki
            .write_kubeconfigs(&format!("https://{address}:{}", self.ports.api))?;
        Ok(fs::write(
            self.audit_policy(),
            serde_json::to_vec_pretty(&audit_policy())?,
        )?)
    }

    /// Starts all four; the API server answers when this returns.
    pub(super) async fn start(&self) -> Result<()> {
        let etcd = self.spawn("etcd", self.etcd_arguments())?;
        wait::until_by(&etcd, "etcd answers", READY_WITHIN, async || {
            self.etcd_is_ready().await
        })
        .await?;
        let api = self.spawn("kube-apiserver", self.api_arguments())?;
        wait::until_by(&api, "the API server is ready", READY_WITHIN, async || {
            self.is_ready().await
        })
        .await?;
        self.spawn("kube-controller-manager", self.controller_arguments())?;
        self.spawn("kube-scheduler", self.scheduler_arguments())?;
        Ok(())
    }

    fn spawn(&self, program: &str, arguments: Vec<String>) -> Result<Process> {
        Process::spawn(&self.folder, program, &self.command(program, arguments))
    }

    fn command(&self, program: &str, arguments: Vec<String>) -> Vec<String> {
        let mut command = vec![self.layout.bin(program).display().to_string()];
        command.extend(arguments);
        command
    }

    /// How etcd is started.
    pub(super) fn etcd(&self) -> Vec<String> {
        self.command("etcd", self.etcd_arguments())
    }

    /// How the API server is started.
    pub(super) fn api_server(&self) -> Vec<String> {
        self.command("kube-apiserver", self.api_arguments())
    }

    /// How the controller manager is started.
    pub(super) fn controller_manager(&self) -> Vec<String> {
        self.command("kube-controller-manager", self.controller_arguments())
    }

    /// How the scheduler is started.
    pub(super) fn scheduler(&self) -> Vec<String> {
        self.command("kube-scheduler", self.scheduler_arguments())
    }

    /// Whether etcd says that it is ready.
    pub(super) async fn etcd_is_ready(&self) -> bool {
        plain_http::answers(&format!("127.0.0.1:{}", self.ports.etcd), "/readyz").await
    }

    fn audit_policy(&self) -> PathBuf {
        self.folder.join("audit-policy.json")
    }

    fn etcd_arguments(&self) -> Vec<String> {
        let client = format!("http://127.0.0.1:{}", self.ports.etcd);
        let peer = format!("http://127.0.0.1:{}", self.ports.etcd_peer);
        vec![
            format!("--data-dir={}", self.folder.join("etcd").display()),
            // The data does not outlive the run.
            "--unsafe-no-fsync".to_owned(),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=default={peer}"),
        ]
    }

    fn api_arguments(&self) -> Vec<String> {
        let pki = &self.pki;
        let sa_key = pki.service_account_key();
        let file = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
        let mut arguments = vec![
            format!("--etcd-servers=http://127.0.0.1:{}", self.ports.etcd),
            format!("--advertise-address={}", self.reach.address()),
            format!("--secure-port={}", self.ports.api),
            format!("--service-cluster-ip-range={SERVICES}"),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--allow-privileged=true".to_owned(),
            // No kube-proxy on this side: webhooks are called at their pods' addresses.
            "--enable-aggregator-routing=true".to_owned(),
            "--kubelet-preferred-address-types=InternalIP".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            file("service-account-key-file", &sa_key),
            file("service-account-signing-key-file", &sa_key),
            file("client-ca-file", &pki.ca()),
            file("tls-cert-file", &pki.certificate_of(pki::API_SERVER)),
            file("tls-private-key-file", &pki.key_of(pki::API_SERVER)),
            file(
                "kubelet-client-certificate",
                &pki.certificate_of(pki::KUBELET_CLIENT),
            ),
            file("kubelet-client-key", &pki.key_of(pki::KUBELET_CLIENT)),
            file("audit-policy-file", &self.audit_policy()),
            file("audit-log-path", &self.audit_log()),
            // Nobody comes through a front proxy, but the controllers wait seconds for its authority.
            file("requestheader-client-ca-file", &pki.ca()),
            "--requestheader-allowed-names=front-proxy".to_owned(),
            "--requestheader-username-headers=X-Remote-User".to_owned(),
            "--requestheader-group-headers=X-Remote-Group".to_owned(),
            "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
            // An event is in the file before the request is answered to its end.
            "--audit-log-mode=blocking".to_owned(),
            // One file per run: a reader's place in it stays right.
            "--audit-log-maxsize=100000".to_owned(),
            // The Juju emulator's labels are put on by such a policy.
            "--feature-gates=MutatingAdmissionPolicy=true".to_owned(),
            "--runtime-config=admissionregistration.k8s.io/v1beta1=true".to_owned(),
        ];
        arguments.extend(self.reach_arguments());
        arguments
    }

    fn reach_arguments(&self) -> Vec<String> {
        let arguments: &[&str] = match self.reach {
            Reach::Node => &["--bind-address=0.0.0.0"],
            // Endpoints may not be loopback addresses, so the service `kubernetes` gets none.
            Reach::Machine => &[
                "--bind-address=127.0.0.1",
                "--endpoint-reconciler-type=none",
            ],
        };
        arguments
            .iter()
            .map(|argument| (*argument).to_owned())
            .collect()
    }

    fn controller_arguments(&self) -> Vec<String> {
        let pki = &self.pki;
        let file = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
        let mut arguments = client_arguments(&pki.kubeconfig(pki::CONTROLLER_MANAGER));
        arguments.extend([
            format!("--secure-port={}", self.ports.controller_manager),
            "--use-service-account-credentials=true".to_owned(),
            "--allocate-node-cidrs=false".to_owned(),
            // Or its first seconds go by in queues of its own.
            "--kube-api-qps=500".to_owned(),
            "--kube-api-burst=1000".to_owned(),
            // A node that became ready is seen within this, not within 5 s.
            "--node-monitor-period=500ms".to_owned(),
            file("root-ca-file", &pki.ca()),
            file(
                "service-account-private-key-file",
                &pki.service_account_key(),
            ),
            file("cluster-signing-cert-file", &pki.ca()),
            file("cluster-signing-key-file", &pki.ca_key()),
        ]);
        if self.reach == Reach::Machine {
            arguments.push(format!("--controllers={}", WITHOUT_A_KUBELET.join(",")));
        }
        arguments
    }

    fn scheduler_arguments(&self) -> Vec<String> {
        let mut arguments = client_arguments(&self.pki.kubeconfig(pki::SCHEDULER));
        arguments.push(format!("--secure-port={}", self.ports.scheduler));
        arguments
    }
}

fn client_arguments(kubeconfig: &Path) -> Vec<String> {
    let mut arguments: Vec<String> = [
        "kubeconfig",
        "authentication-kubeconfig",
        "authorization-kubeconfig",
    ]
    .iter()
    .map(|flag| format!("--{flag}={}", kubeconfig.display()))
    .collect();
    arguments.extend([
        "--bind-address=127.0.0.1".to_owned(),
        "--leader-elect=false".to_owned(),
    ]);
    arguments
}

/// One event per answered request. The stack's own components are left out: they are most of the
/// traffic, and nobody counts them.
fn audit_policy() -> serde_json::Value {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [
            {"level": "None", "users": [
                "system:apiserver",
                "system:kube-controller-manager",
                "system:kube-scheduler",
                "system:kube-proxy",
                pki::PROVISIONER,
            ]},
            {"level": "None", "userGroups": ["system:nodes", "system:serviceaccounts:kube-system"]},
            {"level": "None", "nonResourceURLs": ["/readyz*", "/livez*", "/healthz*"]},
            {"level": "Metadata"},
        ],
    })
}

/// A GET of `path`, to be sent by a [`Client`].
pub(super) fn http_request(path: &str) -> Result<http::Request<Vec<u8>>> {
    Ok(http::Request::get(path).body(Vec::new())?)
}
