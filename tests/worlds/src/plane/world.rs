//! A model of its own on a plane, for one test.
//!
//! Invariant: worlds share nothing but the plane, so they can be used side by side. Its store is never
//! asked: what Velero says of it is the stand-in's.

use std::ops::{Deref, DerefMut};

use anyhow::Result;
use juju_emulator::{DeployOptions, S3Settings};
use kube::api::PostParams;
use kube_stack::ApiEndpoint;
use serde_json::{from_value, json};

use super::dump::{Extent, Kinds};
use super::script::{Fate, Verdict};
use super::{Plane, dump};
use crate::charmed::CharmedModel;
use crate::clusters;

/// Namespaces of worlds begin so; none of them is a word that stands elsewhere too.
const PREFIX: &str = "light-";
const ENDPOINT: &str = "https://s3.example.com";
const REGION: &str = "us-east-1";
const ACCESS_KEY: &str = "a-light-access-key";
const SECRET_KEY: &str = "a-light-secret-key";

/// A model with our charm in it, on a plane.
pub struct LightWorld {
    model: CharmedModel,
    plane: Plane,
    kinds: Kinds,
}

impl LightWorld {
    pub(super) async fn open(plane: &Plane, name: &str, endpoint: &ApiEndpoint) -> Result<Self> {
        let namespace = format!("{PREFIX}{name}");
        let settings = S3Settings::path_style(ENDPOINT, REGION, &namespace)
            .credentials(ACCESS_KEY, SECRET_KEY);
        let cluster = clusters::at(plane.client().await?, endpoint);
        Ok(Self {
            model: CharmedModel::open(&namespace, cluster, plane.kubectl(), settings).await?,
            plane: plane.clone(),
            kinds: Kinds::default(),
        })
    }

    /// A fresh model with the charm deployed, trusted and at rest.
    pub async fn deployed(plane: &Plane, name: &str) -> Result<Self> {
        let mut world = plane.world(name).await?;
        world.deploy(DeployOptions::trusted()).await?;
        Ok(world)
    }

    /// The same, integrated with its bucket, and active.
    pub async fn connected(plane: &Plane, name: &str) -> Result<Self> {
        let mut world = Self::deployed(plane, name).await?;
        world.connect().await?;
        Ok(world)
    }

    /// The plane that it is on.
    #[must_use]
    pub const fn plane(&self) -> &Plane {
        &self.plane
    }

    /// What becomes of this world's containers of an image, or of a name, from now on.
    pub async fn let_containers(&self, which: &str, fate: Fate) -> Result<()> {
        let script = self.plane.script();
        script.let_containers(&self.namespace, which, fate).await
    }

    /// What Velero says of a bucket in this world, from now on.
    pub async fn let_bucket(&self, bucket: &str, verdict: Verdict) -> Result<()> {
        let script = self.plane.script();
        script.let_bucket(&self.namespace, bucket, verdict).await
    }

    /// Leaves what users of Velero leave: a Schedule, a Backup, and a Restore that only a Velero lets go.
    pub async fn use_velero(&self) -> Result<()> {
        let held = json!(["restores.velero.io/external-resources-finalizer"]);
        for (kind, spec, finalizers) in [
            (
                "Schedule",
                json!({"schedule": "@daily", "template": {}}),
                json!([]),
            ),
            ("Backup", json!({}), json!([])),
            ("Restore", json!({"backupName": "left"}), held),
        ] {
            let object = from_value(json!({
                "apiVersion": "velero.io/v1",
                "kind": kind,
                "metadata": {"name": "left", "finalizers": finalizers},
                "spec": spec,
            }))?;
            let objects = self.velero_objects(kind);
            objects.create(&PostParams::default(), &object).await?;
        }
        Ok(())
    }

    /// Everything in its namespace, its role bindings, and what is said of Velero's definitions, as
    /// text that is the same for equal worlds.
    pub async fn dump(&self) -> Result<String> {
        self.dump_to(Extent::Whole).await
    }

    pub(super) async fn dump_to(&self, extent: Extent) -> Result<String> {
        let (space, model) = (&self.namespace, &self.juju.model().uuid);
        dump::dump(&self.client(), extent, &self.kinds, space, model).await
    }
}

/// Its objects stay on the plane, and Velero's stand-in would judge its locations for good.
impl Drop for LightWorld {
    fn drop(&mut self) {
        self.plane.script().end(&self.namespace);
    }
}

impl Deref for LightWorld {
    type Target = CharmedModel;

    fn deref(&self) -> &CharmedModel {
        &self.model
    }
}

impl DerefMut for LightWorld {
    fn deref_mut(&mut self) -> &mut CharmedModel {
        &mut self.model
    }
}
