//! The Velero CLI 1.15.2, as far as a cluster can tell.
//!
//! Invariant: it sends what the real one sends: creates, and merge patches that hold whole lists.

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use juju_emulator::{Juju, S3Settings};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, Patch, PatchParams, WatchEvent, WatchParams};
use kube::{Api, Client, ResourceExt as _};
use kube_stack::DEADLINE;
use serde_json::{Value, json};

use super::account;
use super::recordings::{Installation, Release};

/// Its field manager.
pub const CLI: &str = "velero";

const RELEASE: Release = Release::V1_15;

/// The CLI with somebody's rights, in one namespace.
pub struct VeleroCli {
    client: Client,
    namespace: String,
}

impl VeleroCli {
    /// In an admin's hands, in a model's namespace.
    pub fn of_an_admin(juju: &Juju) -> Result<Self> {
        let cluster = juju.cluster().context("the model is on no cluster")?;
        Ok(Self::with(cluster.client.clone(), &juju.model().name))
    }

    pub(super) fn with(client: Client, namespace: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
        }
    }

    /// `velero install`. What is there already stays as it is.
    pub async fn install(&self, how: Installation, image: &str) -> Result<()> {
        for definition in RELEASE.definitions()? {
            self.create(&definition).await?;
        }
        self.established().await?;
        for mut object in RELEASE.objects(how, &self.namespace)? {
            let place = "/spec/template/spec/containers/0/image";
            if let Some(there) = object.data.pointer_mut(place) {
                *there = json!(image);
            }
            let kind = object.types.as_ref().map(|types| types.kind.as_str());
            // It is the model's, and there already.
            if kind != Some("Namespace") {
                self.create(&object).await?;
            }
        }
        Ok(())
    }

    /// `velero plugin add`.
    pub async fn add_plugin(&self, image: &str) -> Result<()> {
        let deployments = Api::<Deployment>::namespaced(self.client.clone(), &self.namespace);
        let server = deployments.get("velero").await?;
        let mut plugins = init_containers(&server);
        plugins.push(json!({
            "name": plugin_name(image), "image": image, "imagePullPolicy": "IfNotPresent",
            "resources": {}, "volumeMounts": [{"name": "plugins", "mountPath": "/target"}],
        }));
        let patch = json!({"spec": {"template": {"spec": {"initContainers": plugins}}}});
        let how = PatchParams {
            field_manager: Some(CLI.to_owned()),
            ..PatchParams::default()
        };
        deployments
            .patch("velero", &how, &Patch::Merge(patch))
            .await?;
        Ok(())
    }

    /// `velero backup-location create` and `velero snapshot-location create`.
    pub async fn create_locations(&self, store: &S3Settings) -> Result<()> {
        self.create(&RELEASE.backup_location(store, &self.namespace)?)
            .await?;
        self.create(&RELEASE.snapshot_location(store, &self.namespace)?)
            .await
    }

    async fn create(&self, object: &DynamicObject) -> Result<()> {
        account::create(&self.client, object, &self.namespace, CLI).await
    }

    /// Waits until the API server serves Velero's kinds.
    async fn established(&self) -> Result<()> {
        let api = Api::<CustomResourceDefinition>::all(self.client.clone());
        let definitions = RELEASE.definitions()?;
        let mut missing: Vec<_> = definitions
            .iter()
            .map(kube::ResourceExt::name_any)
            .collect();
        let watched = async {
            let mut events = api.watch(&WatchParams::default(), "0").await?.boxed();
            while !missing.is_empty() {
                let event = events.next().await.context("the watch has ended")??;
                if let WatchEvent::Added(crd) | WatchEvent::Modified(crd) = event
                    && is_established(&crd)
                {
                    missing.retain(|name| *name != crd.name_any());
                }
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(DEADLINE, watched)
            .await
            .context("the CRDs are not established")?
    }
}

pub(super) fn init_containers(server: &Deployment) -> Vec<Value> {
    let pod = server
        .spec
        .as_ref()
        .and_then(|spec| spec.template.spec.as_ref());
    let containers = pod.and_then(|pod| pod.init_containers.as_ref());
    containers.into_iter().flatten().map(|c| json!(c)).collect()
}

/// How it names the init container of a plugin: after its image, without registry and tag.
fn plugin_name(image: &str) -> String {
    let image = image.split('@').next().unwrap_or(image);
    let image = match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    };
    let name = match image.split_once('/') {
        Some((_registry, name)) if name.contains('/') => name,
        _ => image,
    };
    name.replace(['/', '_', '.'], "-")
}

fn is_established(crd: &CustomResourceDefinition) -> bool {
    let conditions = crd
        .status
        .iter()
        .flat_map(|s| s.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|c| c.type_ == "Established" && c.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_named_after_its_image() {
        let names = [
            (
                "velero/velero-plugin-for-aws:v1.10.0",
                "velero-velero-plugin-for-aws",
            ),
            (
                "here:5000/velero/velero-plugin-for-aws@sha256:0",
                "velero-velero-plugin-for-aws",
            ),
            ("plugin", "plugin"),
        ];
        for (image, name) in names {
            assert_eq!(plugin_name(image), name);
        }
    }
}
