//! Where it is measured: on the node, or on a control plane with a played kubelet and a played Velero.
//!
//! Invariant: what is measured is measured in the same way on both.

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;

use anyhow::Result;
use juju_emulator::{AzureSettings, DeployOptions, HookRun};
use kube_stack::{ApiEndpoint, AuditEvent, AuditLog, Stack};
use worlds::charmed::CharmedModel;
use worlds::operator::{APP, AZURE, S3};
use worlds::plane::{LightWorld, Plane};
use worlds::store::Store;
use worlds::world::World;

/// A cluster to measure on.
pub enum Ground {
    /// The stack: all is real.
    Node(Stack),
    /// A control plane: the kubelet, Velero and the store are played.
    Plane(Plane),
}

/// A model with the charm in it, or about to be.
pub(super) enum Site {
    Node(Box<World>),
    Plane(Box<LightWorld>),
}

impl Ground {
    /// Which parts are what.
    #[must_use]
    pub const fn describe(&self) -> &'static str {
        match self {
            Self::Node(_) => {
                "Real: Kubernetes with a node, Velero, the S3 store. Stand-ins: the plugin for Azure, Azurite. \
                 Emulated: Juju, and the hook tools with it."
            }
            Self::Plane(_) => {
                "Real: etcd, the API server, controllers, the scheduler. Played at once and without \
                 containers: the kubelet, Velero, the stores. Emulated: Juju, and the hook tools with it."
            }
        }
    }

    /// A fresh model, and nothing deployed.
    pub(super) async fn site_of(&self, name: &str) -> Result<Site> {
        let name = format!("figures-{name}");
        Ok(match self {
            Self::Node(_) => Site::Node(Box::new(World::open(&name).await?)),
            Self::Plane(plane) => Site::Plane(Box::new(plane.world(&name).await?)),
        })
    }

    /// A fresh model with the charm deployed and trusted.
    pub(super) async fn site(&self, name: &str) -> Result<Site> {
        let mut site = self.site_of(name).await?;
        site.deploy(DeployOptions::trusted()).await?;
        Ok(site)
    }
}

impl Site {
    pub(super) fn audit(&self) -> AuditLog {
        match self {
            Self::Node(world) => world.stack.audit(),
            Self::Plane(world) => world.plane().audit(),
        }
    }

    /// Runs an update-status hook; with what the charm asked of the API server in it.
    pub(super) async fn asked_in_a_hook(&mut self) -> Result<(HookRun, Vec<AuditEvent>)> {
        let (audit, user) = (self.audit(), self.charm_user());
        let mark = audit.mark().await?;
        let run = self.update_status().await?;
        let mut requests = audit.since(&mark).await?;
        requests.retain(|one| one.user == user);
        Ok((run, requests))
    }

    pub(super) fn api(&self) -> &ApiEndpoint {
        match self {
            Self::Node(world) => world.stack.api(),
            Self::Plane(world) => world.plane().api(),
        }
    }

    pub(super) fn kubeconfig(&self) -> PathBuf {
        match self {
            Self::Node(world) => world.stack.kubeconfig().to_owned(),
            Self::Plane(world) => world.plane().kubeconfig(),
        }
    }

    /// Integrates with a container of Azure's that works here, and lets the charm come to rest.
    pub(super) async fn integrate_azure(&mut self) -> Result<()> {
        match self {
            Self::Node(world) => {
                let store = Store::Azure(world.stack.azure());
                store.make_bucket(&world.bucket).await?;
                world.integrate_with(&store).await
            }
            Self::Plane(world) => {
                let settings = AzureSettings::of_account("acme", "velero", "YSBsaWdodCBrZXk=");
                world.juju.deploy_azure_integrator(AZURE, settings)?;
                world.juju.integrate(APP, AZURE)?;
                world.settle().await
            }
        }
    }

    /// Removes the applications.
    pub(super) async fn remove(&mut self) -> Result<()> {
        self.juju.remove_application(S3)?;
        self.juju.remove_application(APP)?;
        self.settle().await
    }
}

impl Deref for Site {
    type Target = CharmedModel;

    fn deref(&self) -> &CharmedModel {
        match self {
            Self::Node(world) => world,
            Self::Plane(world) => world,
        }
    }
}

impl DerefMut for Site {
    fn deref_mut(&mut self) -> &mut CharmedModel {
        match self {
            Self::Node(world) => world,
            Self::Plane(world) => world,
        }
    }
}
