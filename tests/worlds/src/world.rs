//! A model of its own on the shared stack, for one test.
//!
//! Invariant: one at a time on the node, which has room for one Velero; whatever an earlier world has
//! left is cleared away before the next one begins.

use std::ops::{Deref, DerefMut};

use anyhow::{Context, Result};
use juju_emulator::DeployOptions;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt as _};
use kube_stack::Stack;
use tokio::sync::{Mutex, MutexGuard};

use crate::charmed::CharmedModel;
use crate::clusters;
use crate::documented::SHOP;
use crate::kubectl::Kubectl;
use crate::operator::{self, APP};
use crate::shop;
use crate::store::Store;

/// Namespaces of worlds begin so.
const PREFIX: &str = "world-";

static NODE: Mutex<()> = Mutex::const_new(());

/// A model with our charm in it, on the node.
pub struct World {
    /// The stack that it is on.
    pub stack: Stack,
    model: CharmedModel,
    _node: MutexGuard<'static, ()>,
}

impl World {
    /// A fresh model with a bucket of its own, and nothing deployed.
    pub async fn open(name: &str) -> Result<Self> {
        let node = NODE.lock().await;
        let stack = Stack::shared().await?;
        clear(&stack, &stack.client().await?).await?;
        let namespace = format!("{PREFIX}{name}");
        let settings = operator::s3_settings(&stack.s3(), &namespace);
        let cluster = clusters::of(&stack).await?;
        let model = CharmedModel::open(&namespace, cluster, Kubectl::of(&stack), settings).await?;
        Store::S3(stack.s3()).make_bucket(&model.bucket).await?;
        Ok(Self {
            stack,
            model,
            _node: node,
        })
    }

    /// A fresh model with the charm deployed, trusted and at rest.
    pub async fn deployed(name: &str) -> Result<Self> {
        let mut world = Self::open(name).await?;
        world.deploy(DeployOptions::trusted()).await?;
        Ok(world)
    }

    /// The same, integrated with its bucket, and active.
    pub async fn connected(name: &str) -> Result<Self> {
        let mut world = Self::deployed(name).await?;
        world.connect().await?;
        Ok(world)
    }

    /// Integrates with a bucket of this store, and lets the charm come to rest.
    pub async fn integrate_with(&mut self, store: &Store) -> Result<()> {
        store.deploy_integrator(&mut self.model.juju, &self.model.bucket)?;
        self.juju.integrate(APP, store.integrator())?;
        self.settle().await
    }
}

impl Deref for World {
    type Target = CharmedModel;

    fn deref(&self) -> &CharmedModel {
        &self.model
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut CharmedModel {
        &mut self.model
    }
}

/// Deletes every namespace of a world and every shop, and waits until all are gone.
async fn clear(stack: &Stack, client: &kube::Client) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for namespace in namespaces.list(&ListParams::default()).await? {
        let name = namespace.name_any();
        let is_shop = name == SHOP || name.starts_with("shop-");
        if !is_shop && !name.starts_with(PREFIX) {
            continue;
        }
        let_go(stack, &name).await?;
        let gone = namespaces.delete(&name, &DeleteParams::default()).await;
        gone.map(drop).or_else(|error| match error {
            kube::Error::Api(status) if status.code == 404 || status.code == 409 => Ok(()),
            other => Err(other),
        })?;
        shop::delete_namespace(stack, &name)
            .await
            .with_context(|| format!("clearing `{name}`"))?;
    }
    // They are in no namespace, and a model that was not removed leaves its own.
    let bindings = [
        "delete",
        "clusterrolebindings",
        "-l",
        "velero-operator/application",
    ];
    shop::kubectl(stack, &bindings, "").await.map(drop)
}

/// Restores hold on to their namespace until a Velero lets them go; none may be there any more. One that
/// runs would take hold of them again, but not once they are being deleted.
async fn let_go(stack: &Stack, namespace: &str) -> Result<()> {
    let here = ["-n", namespace];
    let restores = "restores.velero.io";
    let get = ["get", restores, "-o", "name"];
    let Ok(found) = shop::kubectl(stack, &[&here[..], &get].concat(), "").await else {
        return Ok(());
    };
    let delete = ["delete", restores, "--all", "--wait=false"];
    shop::kubectl(stack, &[&here[..], &delete].concat(), "").await?;
    let none = r#"{"metadata":{"finalizers":null}}"#;
    for restore in found.lines() {
        let patch = ["patch", restore, "--type=merge", "-p", none];
        // A Velero may have let it go already.
        let _ = shop::kubectl(stack, &[&here[..], &patch].concat(), "").await;
    }
    Ok(())
}
