//! A control plane with its real controllers and scheduler, one node of its own, and stand-ins for the two
//! that cannot run there: the kubelet ([`kubelet`]) and the Velero server ([`velero`]).
//!
//! Invariant: everything but those two is real. Rollouts, garbage collection, foreground deletion,
//! namespaces, scheduling and Pod Security are the work of Kubernetes; a stand-in writes nothing
//! but what its original alone would write, and the same each time.
//!
//! Several worlds are on one plane at once, each a Juju model in a namespace of its own.

mod dump;
pub mod follow;
mod hands;
mod kubelet;
mod script;
mod store;
mod trial;
mod velero;
mod world;

use std::collections::BTreeMap;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, from_value, json};
use tokio::sync::Mutex;

pub use script::{Fate, Verdict};
pub use store::StoreKind;
pub use trial::{Sight, Trial};
pub use world::LightWorld;

use crate::kubectl::Kubectl;
use hands::Hands;
use kube_stack::proxy::{Face, Proxy};
use kube_stack::{ApiEndpoint, AuditLog, ControlPlaneOnly};
use script::Script;

/// The name of the one node.
pub const NODE: &str = "node-by-hand";

/// The node's CPUs.
const ROOM: &str = "1024";

/// Topics with a plane that they share with no other: many objects are in everybody's watches, what the previous
/// charm left has definitions of its own, which are everybody's, and where nodes are changes what integrators lead to.
const APART: [&str; 3] = ["integrators", "many.rs", "past"];

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
    /// Starts one that nobody shares, for what is wide as the cluster; its node takes pods when this returns.
    ///
    /// It costs two seconds of a processor: less than to take away again, for the next one, what a test has made.
    pub async fn start() -> Result<Self> {
        let control_plane = ControlPlaneOnly::with_controllers().await?;
        let client = control_plane.client().await?;
        make_node(&client).await?;
        let (script, roles) = Script::new();
        Ok(Self(Arc::new(Parts {
            _hands: Hands::start(control_plane.kubeconfig(), roles)?,
            script,
            control_plane,
        })))
    }

    /// The one that tests share which leave alone what is wide as the cluster.
    #[track_caller]
    pub fn shared() -> impl Future<Output = Result<Self>> {
        Self::of_topic(topic(Location::caller().file()))
    }

    async fn of_topic(topic: Option<&'static str>) -> Result<Self> {
        static SHARED: Mutex<BTreeMap<Option<&str>, Plane>> = Mutex::const_new(BTreeMap::new());
        let mut shared = SHARED.lock().await;
        if let Some(plane) = shared.get(&topic) {
            return Ok(plane.clone());
        }
        let plane = Self::start().await?;
        shared.insert(topic, plane.clone());
        Ok(plane)
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

    /// Configuration of a client that may do anything.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.0.control_plane.kubeconfig()
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

/// The folder or file of a test, if it is one of those apart.
fn topic(file: &str) -> Option<&'static str> {
    let mut parts = Path::new(file).components();
    let mut after = parts
        .by_ref()
        .skip_while(|part| part.as_os_str() != "plane");
    let found = after.nth(1)?.as_os_str();
    APART.into_iter().find(|topic| found == *topic)
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
    let room = json!({"cpu": ROOM, "memory": "1Ti", "pods": "4000", "ephemeral-storage": "1Ti"});
    json!({
        "capacity": room,
        "allocatable": room,
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        "addresses": [{"type": "InternalIP", "address": kubelet::NODE_ADDRESS}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_told_by_their_folder() {
        let topics = [
            "tests/tests/plane/past/edges.rs",
            "tests/tests/plane/past/mod.rs",
            "tests/tests/plane/units.rs",
            "tests/src/figures/site.rs",
        ];
        let past = Some("past");
        assert_eq!(topics.map(topic), [past, past, None, None]);
    }
}
