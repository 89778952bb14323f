//! A control plane with its real controllers and scheduler, one node of its own, and stand-ins for the two
//! that cannot run there: the kubelet ([`kubelet`]) and the Velero server ([`velero`]).
//!
//! Invariant: everything but those two is real. Rollouts, garbage collection, foreground deletion,
//! namespaces, scheduling and Pod Security are the work of Kubernetes; a stand-in writes nothing
//! but what its original alone would write, and the same each time.
//!
//! Several worlds are on one plane at once, each a Juju model in a namespace of its own.

mod dump;
mod follow;
mod hands;
mod kubelet;
mod script;
mod store;
mod trial;
mod velero;
mod world;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, from_value, json};
use tokio::sync::OnceCell;

pub use script::{Fate, Verdict};
pub use store::StoreKind;
pub use trial::{Sight, Trial};
pub use world::LightWorld;

use crate::kubectl::Kubectl;
use crate::stack::proxy::{Face, Proxy};
use crate::stack::{ApiEndpoint, AuditLog, ControlPlaneOnly};
use hands::Hands;
use script::Script;

/// The name of the one node.
pub const NODE: &str = "node-by-hand";

/// The node's CPUs.
const ROOM: &str = "256";

/// A running plane; it ends with the last of its clones and worlds.
#[derive(Clone)]
pub struct Plane(Arc<Parts>);

struct Parts {
    script: Script,
    // In this order: the stand-ins go before what they work on.
    _hands: Hands,
    control_plane: ControlPlaneOnly,
}

impl Plane {
    /// Starts one; its node takes pods when this returns.
    pub async fn start() -> Result<Self> {
        let control_plane = ControlPlaneOnly::with_controllers().await?;
        let client = control_plane.client().await?;
        make_node(&client).await?;
        let (script, kubelets, veleros) = Script::new();
        Ok(Self(Arc::new(Parts {
            _hands: Hands::start(control_plane.kubeconfig(), kubelets, veleros)?,
            script,
            control_plane,
        })))
    }

    /// The one that all tests of this process share.
    pub async fn shared() -> Result<Self> {
        static SHARED: OnceCell<Plane> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await.cloned()
    }

    /// A fresh model in a namespace of its own, and nothing deployed. Names are used once.
    pub async fn world(&self, name: &str) -> Result<LightWorld> {
        self.world_at(name, self.api()).await
    }

    /// The same, whose charm finds the API server at another endpoint.
    pub async fn world_at(&self, name: &str, endpoint: &ApiEndpoint) -> Result<LightWorld> {
        LightWorld::open(self, name, endpoint).await
    }

    /// A proxy in front of its API server, for a world whose charm is to meet faults.
    pub async fn proxy(&self, face: Face) -> Result<Proxy> {
        Proxy::start(&self.0.control_plane, face).await
    }

    /// Where the API server is.
    #[must_use]
    pub fn api(&self) -> &ApiEndpoint {
        self.0.control_plane.api()
    }

    /// How long the control plane took to start.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.0.control_plane.took()
    }

    /// A client that may do anything. Belongs to the async runtime it is made in.
    pub async fn client(&self) -> Result<kube::Client> {
        self.0.control_plane.client().await
    }

    /// What was asked of the API server.
    #[must_use]
    pub fn audit(&self) -> AuditLog {
        self.0.control_plane.audit()
    }

    /// kubectl, as an admin.
    #[must_use]
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::of_control_plane(&self.0.control_plane)
    }

    /// Takes the node's CPU away from pods that are still to come, so that none has room.
    pub async fn fill_up(&self) -> Result<()> {
        self.make_room("1m").await
    }

    /// Gives it back.
    pub async fn clear_up(&self) -> Result<()> {
        self.make_room(ROOM).await
    }

    async fn make_room(&self, cpu: &str) -> Result<()> {
        let nodes: Api<Node> = Api::all(self.client().await?);
        let room = Patch::Merge(json!({"status": {"allocatable": {"cpu": cpu}}}));
        nodes
            .patch_status(NODE, &PatchParams::default(), &room)
            .await?;
        Ok(())
    }

    fn script(&self) -> &Script {
        &self.0.script
    }
}

/// The node, as its kubelet would have registered it.
async fn make_node(client: &kube::Client) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    let node = from_value(json!({
        "metadata": {"name": NODE, "labels": {
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/hostname": NODE,
        }},
    }))?;
    nodes.create(&PostParams::default(), &node).await?;
    let how = PatchParams::default();
    // Admission takes each new node for one that is not ready.
    let untainted = Patch::Merge(json!({"spec": {"taints": null}}));
    nodes.patch(NODE, &how, &untainted).await?;
    let status = Patch::Merge(json!({"status": node_status()}));
    nodes.patch_status(NODE, &how, &status).await?;
    Ok(())
}

fn node_status() -> Value {
    // For many worlds at once.
    let room = json!({"cpu": ROOM, "memory": "1Ti", "pods": "1000", "ephemeral-storage": "1Ti"});
    json!({
        "capacity": room,
        "allocatable": room,
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        "addresses": [{"type": "InternalIP", "address": kubelet::NODE_ADDRESS}],
    })
}
