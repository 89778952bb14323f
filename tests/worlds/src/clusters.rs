//! The stack and planes, as the emulator takes clusters.

use std::path::Path;

use anyhow::Result;
use juju_emulator::{Cluster, Juju};
use kube::Client;
use kube_stack::{ApiEndpoint, ControlPlaneOnly, Stack};

/// The stack's.
pub async fn of(stack: &Stack) -> Result<Cluster> {
    Ok(at(stack.client().await?, stack.api()))
}

/// One that has a control plane and nothing else.
pub async fn of_control_plane(plane: &ControlPlaneOnly) -> Result<Cluster> {
    Ok(at(plane.client().await?, plane.api()))
}

/// One whose API server pods find at this endpoint, and the emulator by this client.
#[must_use]
pub fn at(client: Client, api: &ApiEndpoint) -> Cluster {
    Cluster {
        client,
        host: api.host.clone(),
        port: api.port,
        ca: api.ca_pem.clone(),
    }
}

/// The model that a directory holds, on the stack that runs, or on none.
pub async fn attach(dir: &Path) -> Result<Juju> {
    let mut juju = Juju::open(dir, None).await?;
    if juju.model().on_cluster {
        let stack = Stack::attach().await?;
        juju.find_cluster(of(&stack).await?);
    }
    Ok(juju)
}
