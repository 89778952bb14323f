//! A model of its own on the shared stack, for one test.
//!
//! Invariant: the node has room for two Veleros with their agents ([`Room`]); whatever worlds have left that are no
//! more is cleared away before the next one begins.

use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use juju_emulator::DeployOptions;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::{DeleteParams, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Api, ResourceExt};
use kube_stack::Stack;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::charmed::CharmedModel;
use crate::clusters;
use crate::documented::SHOP;
use crate::kubectl::Kubectl;
use crate::namespaces::{self, is_going};
use crate::operator::{self, APP};
use crate::store::Store;

/// Namespaces of worlds begin so.
const PREFIX: &str = "world-";

/// Where the shops of a world are, if its test opens some: `shop-` and the name of the world, and what tells several apart
/// after a `-`.
const SHOP_PREFIX: &str = "shop-";

/// Of these a world takes one or both.
const HALVES: u32 = 2;

static NODE: Semaphore = Semaphore::const_new(HALVES as usize);

/// Worlds are opened one after the other: each clears away what others have left.
static OPENING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Names of the worlds that there are.
static LIVE: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// A place on the node, until it is dropped.
struct Room {
    name: String,
    _halves: SemaphorePermit<'static>,
}

/// A model with our charm in it, on the node.
pub struct World {
    /// The stack that it is on.
    pub stack: Stack,
    model: CharmedModel,
    _room: Room,
}

/// A half of the node, for a test that leaves alone what is wide as the cluster: CRDs and classes of all kinds.
///
/// Its world is named once, and its shop is in the namespace `shop-` and that name; others are in those that begin so and go
/// on with a `-`.
pub struct HalfNode;

impl HalfNode {
    /// A fresh model with a bucket of its own, and nothing deployed.
    pub async fn open(name: &str) -> Result<World> {
        World::open_in(NODE.acquire().await?, name).await
    }

    /// A fresh model with the charm deployed, trusted and at rest.
    pub async fn deployed(name: &str) -> Result<World> {
        Self::open(name).await?.with_charm().await
    }

    /// The same, integrated with its bucket, and active.
    pub async fn connected(name: &str) -> Result<World> {
        Self::deployed(name).await?.with_bucket().await
    }
}

impl World {
    /// A fresh model with a bucket of its own, and nothing deployed. It has the node to itself.
    pub async fn open(name: &str) -> Result<Self> {
        Self::open_in(NODE.acquire_many(HALVES).await?, name).await
    }

    /// A fresh model with the charm deployed, trusted and at rest.
    pub async fn deployed(name: &str) -> Result<Self> {
        Self::open(name).await?.with_charm().await
    }

    /// The same, integrated with its bucket, and active.
    pub async fn connected(name: &str) -> Result<Self> {
        Self::deployed(name).await?.with_bucket().await
    }

    async fn with_charm(mut self) -> Result<Self> {
        self.deploy(DeployOptions::trusted()).await?;
        Ok(self)
    }

    async fn with_bucket(mut self) -> Result<Self> {
        self.connect().await?;
        Ok(self)
    }

    async fn open_in(halves: SemaphorePermit<'static>, name: &str) -> Result<Self> {
        let stack = Stack::shared().await?;
        let one_at_a_time = OPENING.lock().await;
        clear(&stack.client().await?).await?;
        // From now on what has its name is not left over, as what an earlier process left was.
        let room = Room::taken(name, halves);
        drop(one_at_a_time);
        let namespace = format!("{PREFIX}{name}");
        let settings = operator::s3_settings(&stack.s3(), &namespace);
        let cluster = clusters::of(&stack).await?;
        let model = CharmedModel::open(&namespace, cluster, Kubectl::of(&stack), settings).await?;
        Store::S3(stack.s3()).make_bucket(&model.bucket).await?;
        Ok(Self {
            stack,
            model,
            _room: room,
        })
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

impl Room {
    fn taken(name: &str, halves: SemaphorePermit<'static>) -> Self {
        live().insert(name.to_owned());
        Self {
            name: name.to_owned(),
            _halves: halves,
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        live().remove(&self.name);
    }
}

fn live() -> std::sync::MutexGuard<'static, BTreeSet<String>> {
    // A set is whole after each of its changes.
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A namespace of a world that is no more, or of its shops.
fn is_left_over(namespace: &str) -> bool {
    if let Some(world) = namespace.strip_prefix(PREFIX) {
        return !live().contains(world);
    }
    let Some(shop) = namespace.strip_prefix(SHOP_PREFIX) else {
        return namespace == SHOP;
    };
    let is_of = |world: &String| {
        let rest = shop.strip_prefix(world.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    !live().iter().any(is_of)
}

/// Deletes the namespaces of worlds that are no more and their shops, and waits until all are gone.
async fn clear(client: &kube::Client) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let all = namespaces.list(&ListParams::default()).await?;
    let names = all.iter().map(ResourceExt::name_any);
    let left_over: Vec<_> = names.filter(|name| is_left_over(name)).collect();
    namespaces::delete(client, &left_over).await?;
    no_snapshots(client).await?;
    // They are in no namespace, and a model that was not removed leaves its own.
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    let ours = ListParams::default().labels("velero-operator/application");
    for binding in bindings.list(&ours).await? {
        let subjects = binding.subjects.iter().flatten();
        let mut namespaces = subjects.filter_map(|subject| subject.namespace.as_deref());
        if namespaces.all(is_left_over) {
            let name = binding.name_any();
            is_going(bindings.delete(&name, &DeleteParams::default()).await)?;
        }
    }
    Ok(())
}

/// Deletes what tells backup tools that volumes can be snapshotted.
async fn no_snapshots(client: &kube::Client) -> Result<()> {
    let kind = GroupVersionKind::gvk("snapshot.storage.k8s.io", "v1", "VolumeSnapshotClass");
    let kind = ApiResource::from_gvk_with_plural(&kind, "volumesnapshotclasses");
    let classes: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
    let deleted = classes
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await;
    deleted.map(drop).or_else(|error| match error {
        kube::Error::Api(status) if status.code == 404 => Ok(()),
        other => Err(other.into()),
    })
}
