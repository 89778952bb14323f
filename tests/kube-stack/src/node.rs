//! The node: containerd, kubelet and kube-proxy.
//!
//! Invariant: the node lives in process, mount and network namespaces of its own, held by one process.
//! When that ends, for whatever reason, the kernel ends every container and takes every mount and
//! network device of the node with it. On the machine itself a node has only cgroups, a route out and its
//! folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{Node as KubeNode, ServiceAccount};
use kube::{Api, Client};
use serde_json::json;

use super::command::plain;
use super::control_plane::ControlPlane;
use super::dns;
use super::layout::{
    HOST_IP, LINK, LINK_BITS, Layout, NODE, NODE_IP, PODS, REGISTRY_PORT, SERVICES,
};
use super::pki;
use super::process::Process;
use super::versions::PAUSE_IMAGE;
use super::wait;

const OPEN_WITHIN: Duration = Duration::from_mins(1);
const CONTAINERD_WITHIN: Duration = Duration::from_mins(1);
const READY_WITHIN: Duration = Duration::from_mins(2);

/// Name of the process that holds the namespaces.
const HOLDER: &str = "node";

/// The node's own view of the machine. `/run` is fresh, so containerd, runc and CNI use their usual paths
/// and leave nothing there. The kubelet's folder is where node agents look for it, and shared,
/// because the agent wants later mounts too. `wait` reaps what containers leave behind.
const OPEN: &str = r#"
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mount --bind "$1/kubelet" /var/lib/kubelet
mount --bind "$1/cni-cache" /var/lib/cni
mount --bind "$1/log-of-pods" /var/log
mount --make-rshared /
ip link set lo up
echo > "$1/open"
sleep infinity &
wait
"#;

/// Folders of the machine that a node hides behind its own.
pub(super) const COVERED: [&str; 2] = ["/var/lib/kubelet", "/var/lib/cni"];

/// The node, running or not.
#[derive(Debug, Clone)]
pub(super) struct Node {
    folder: PathBuf,
    run: PathBuf,
    kubelet: PathBuf,
    kube_proxy: PathBuf,
}

impl Node {
    pub(super) fn new(layout: &Layout) -> Self {
        Self {
            folder: layout.run().join("node"),
            run: layout.run(),
            kubelet: layout.bin("kubelet"),
            kube_proxy: layout.bin("kube-proxy"),
        }
    }

    /// Makes the namespaces and the link to them; the machine has the address [`HOST_IP`] then.
    pub(super) async fn open(&self) -> Result<()> {
        for name in [
            "kubelet",
            "cni-cache",
            "log-of-pods",
            "cni",
            "certs.d/docker.io",
        ] {
            fs::create_dir_all(self.folder.join(name))?;
        }
        for covered in COVERED {
            fs::create_dir_all(covered)?;
        }
        let unshare = "unshare --mount --net --pid --fork --kill-child=KILL --mount-proc sh -c";
        let mut command = words(unshare);
        command.extend([
            OPEN.to_owned(),
            "node".to_owned(),
            self.folder.display().to_string(),
        ]);
        let holder = Process::spawn(&self.run, HOLDER, &command)?;
        let open = self.folder.join("open");
        wait::until_by(&holder, "the node's namespaces", OPEN_WITHIN, async || {
            open.exists()
        })
        .await?;
        self.link().await
    }

    async fn link(&self) -> Result<()> {
        let holder = self.holder()?;
        plain(
            "ip",
            &format!("link add {LINK} type veth peer name eth0 netns {holder}"),
        )
        .await?;
        plain(
            "ip",
            &format!("address add {HOST_IP}/{LINK_BITS} dev {LINK}"),
        )
        .await?;
        plain("ip", &format!("link set {LINK} up")).await?;
        self.inside(&format!("ip address add {NODE_IP}/{LINK_BITS} dev eth0"))
            .await?;
        self.inside("ip link set eth0 up").await?;
        self.inside(&format!("ip route add default via {HOST_IP}"))
            .await?;
        self.inside("sysctl -qw net.ipv4.ip_forward=1").await?;
        for network in [PODS, SERVICES] {
            plain(
                "ip",
                &format!("route add {network} via {NODE_IP} dev {LINK}"),
            )
            .await?;
        }
        // The way out of pods, as on any node.
        plain("sysctl", "-qw net.ipv4.ip_forward=1").await?;
        plain("iptables", &format!("-w -t nat -A {}", way_out()))
            .await
            .map(drop)
    }

    fn holder(&self) -> Result<i32> {
        let processes = Process::all(&self.run);
        let holder = processes.iter().find(|process| process.name() == HOLDER);
        let identity = holder
            .and_then(Process::identity)
            .context("the node was never started")?;
        Ok(identity.pid())
    }

    /// What to put in front of a command so that it runs on the node.
    pub(super) fn entry(&self) -> Result<Vec<String>> {
        let holder = self.holder()?;
        Ok(words(&format!(
            "nsenter --target {holder} --mount --net --pid=/proc/{holder}/ns/pid_for_children --"
        )))
    }

    async fn inside(&self, command: &str) -> Result<()> {
        let entry = self.entry()?.join(" ");
        let (program, arguments) = entry.split_once(' ').unwrap_or((&entry, ""));
        plain(program, &format!("{arguments} {command}"))
            .await
            .map(drop)
    }

    /// Starts containerd and waits until it answers.
    pub(super) async fn start_containerd(&self) -> Result<()> {
        let mirror = format!("http://{HOST_IP}:{REGISTRY_PORT}");
        self.write(
            "certs.d/docker.io/hosts.toml",
            &format!(
                "server = \"{mirror}\"\n[host.\"{mirror}\"]\n  capabilities = [\"pull\", \"resolve\"]\n"
            ),
        )?;
        self.write("cni/10-stack.conflist", &self.network().to_string())?;
        let config = self.write("containerd.toml", &self.containerd_config())?;
        let containerd = self.spawn("containerd", &format!("--config {}", config.display()))?;
        wait::until_by(
            &containerd,
            "containerd answers",
            CONTAINERD_WITHIN,
            async || self.inside("ctr version").await.is_ok(),
        )
        .await
    }

    /// Starts kubelet and kube-proxy and waits until pods can run.
    pub(super) async fn join(&self, control_plane: &ControlPlane) -> Result<()> {
        let pki = control_plane.pki();
        self.write("resolv.conf", &dns::resolver())?;
        let config = self.write("kubelet.json", &self.kubelet_config(pki).to_string())?;
        let kubelet = self.spawn(
            &self.kubelet.display().to_string(),
            &format!(
                "--config={} --kubeconfig={} --hostname-override={NODE} --node-ip={NODE_IP} \
                 --root-dir=/var/lib/kubelet --cert-dir={}",
                config.display(),
                pki.kubeconfig(pki::KUBELET).display(),
                self.folder.join("certificates").display(),
            ),
        )?;
        self.spawn(
            &self.kube_proxy.display().to_string(),
            &format!(
                "--kubeconfig={} --hostname-override={NODE} --proxy-mode=iptables \
                 --cluster-cidr={PODS} --bind-address={NODE_IP} --masquerade-all \
                 --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 \
                 --conntrack-tcp-timeout-close-wait=0",
                pki.kubeconfig(pki::KUBE_PROXY).display(),
            ),
        )?;
        let client = control_plane.client().await?;
        wait::until_by(&kubelet, "the node takes pods", READY_WITHIN, async || {
            takes_pods(&client).await.unwrap_or(false)
        })
        .await
    }

    fn spawn(&self, program: &str, arguments: &str) -> Result<Process> {
        let name = Path::new(program)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let mut command = self.entry()?;
        command.push(program.to_owned());
        command.extend(words(arguments));
        Process::spawn(&self.run, &name, &command)
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    fn network(&self) -> serde_json::Value {
        json!({
            "cniVersion": "0.4.0",
            "name": "stack",
            "plugins": [{
                "type": "bridge",
                "bridge": "pods",
                "isGateway": true,
                "ipMasq": true,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": self.folder.join("addresses"),
                    "ranges": [[{"subnet": PODS}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            }],
        })
    }

    fn containerd_config(&self) -> String {
        let folder = self.folder.display();
        // `restrict_oom_score_adj`: without CAP_SYS_RESOURCE every sandbox dies otherwise.
        // `opt` would make a folder in /opt of the machine.
        format!(
            r#"version = 2
root = "{folder}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{folder}/certs.d"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
"#
        )
    }

    fn kubelet_config(&self, pki: &pki::Pki) -> serde_json::Value {
        json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": NODE_IP,
            "authentication": {
                "anonymous": {"enabled": false},
                "webhook": {"enabled": true},
                "x509": {"clientCAFile": pki.ca()},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": pki.certificate_of(pki::KUBELET),
            "tlsPrivateKeyFile": pki.key_of(pki::KUBELET),
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
            "cgroupDriver": "cgroupfs",
            "failCgroupV1": false,
            "failSwapOn": false,
            "resolvConf": self.folder.join("resolv.conf"),
            // No eviction and no clean-up of images under a test's feet.
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
            // Nothing here has to be spared.
            "serializeImagePulls": false,
            "registryPullQPS": 0,
            "eventRecordQPS": 0,
            "kubeAPIQPS": 200,
            "kubeAPIBurst": 400,
            "syncFrequency": "10s",
        })
    }
}

async fn takes_pods(client: &Client) -> Result<bool> {
    let node = Api::<KubeNode>::all(client.clone()).get(NODE).await?;
    let conditions = node
        .status
        .and_then(|status| status.conditions)
        .unwrap_or_default();
    let ready = conditions
        .iter()
        .any(|one| one.type_ == "Ready" && one.status == "True");
    let free = node
        .spec
        .is_none_or(|spec| spec.taints.unwrap_or_default().is_empty());
    // Pods of a namespace are refused until it has this.
    Api::<ServiceAccount>::default_namespaced(client.clone())
        .get("default")
        .await?;
    Ok(ready && free)
}

/// The one rule that a node needs in the machine's packet filter.
pub(super) fn way_out() -> String {
    format!("POSTROUTING -s {NODE_IP}/32 ! -o {LINK} -j MASQUERADE")
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}
