//! The Python charm that ours replaces, as far as a cluster and a relation can tell.
//!
//! **Invariant:** an object is made by the request that made it there (the CLI's create and merge patch,
//! the charm's create and strategic merge), under the same field manager and as the application's own
//! account, so that Juju labels it. What the charm says to Juju, `charms/python-velero-operator` says.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, WatchEvent, WatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

use super::account;
use super::recordings::{Installation, Release};
use crate::juju::model::Application;
use crate::juju::{CharmSource, Cluster, DeployOptions, Juju, S3Settings};
use crate::operator::APP;

/// The field manager of what Velero's CLI writes.
pub const CLI: &str = "velero";
/// The field manager of what the charm itself writes.
pub const LIGHTKUBE: &str = "velero-operator-lightkube";

const RELEASE: Release = Release::V1_15;
const FILES_FLAG: &str = "--default-volumes-to-fs-backup=";
/// As long as the CLI waits.
const ESTABLISHED_WITHIN: Duration = Duration::from_mins(1);

/// The charm, with its account and what its user has set.
pub struct PythonCharm {
    client: Client,
    namespace: String,
    settings: Settings,
}

/// Its options, as far as they shape Velero.
struct Settings {
    velero_image: String,
    plugin_image: String,
    node_agent: bool,
    files: bool,
}

impl PythonCharm {
    /// The charm as Juju sees it: its endpoints, its options, and what it says to Juju.
    #[must_use]
    pub fn source() -> CharmSource {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("charms/python-velero-operator");
        CharmSource::Parts {
            charmcraft: folder.join("charmcraft.yaml"),
            dispatch: folder.join("dispatch"),
            files: Vec::new(),
        }
    }

    /// Deploys it. Nothing is in the cluster yet but what Juju makes.
    pub async fn deploy(
        juju: &mut Juju,
        cluster: &Cluster,
        options: DeployOptions,
    ) -> Result<Self> {
        juju.deploy(&Self::source(), APP, options).await?;
        juju.settle().await?;
        Self::of(juju, cluster).await
    }

    /// The one that is deployed, with the options that are set now.
    pub async fn of(juju: &Juju, cluster: &Cluster) -> Result<Self> {
        let model = juju.model();
        let application = model.applications.get(APP).context("it is not deployed")?;
        Ok(Self {
            client: account::client(cluster, &model.name, APP).await?,
            namespace: model.name.clone(),
            settings: Settings::of(application)?,
        })
    }

    /// What it does at `install`: the CLI's CRDs and objects, and the Service of its own.
    pub async fn install(&self) -> Result<()> {
        for definition in RELEASE.definitions()? {
            self.create(&definition, CLI).await?;
        }
        self.established().await?;
        for mut object in RELEASE.objects(self.settings.installation()?, &self.namespace)? {
            if let Some(image) = object
                .data
                .pointer_mut("/spec/template/spec/containers/0/image")
            {
                *image = json!(self.settings.velero_image);
            }
            let kind = object.types.as_ref().map(|types| types.kind.as_str());
            // It is the model's, and there already.
            if kind != Some("Namespace") {
                self.create(&object, CLI).await?;
            }
        }
        self.create(&metrics_service()?, LIGHTKUBE).await
    }

    /// What it does at every `config-changed`, changed or not.
    pub async fn config_changed(&self) -> Result<()> {
        let Settings {
            velero_image,
            plugin_image,
            node_agent,
            ..
        } = &self.settings;
        let deployments = Api::<Deployment>::namespaced(self.client.clone(), &self.namespace);
        let server = deployments.get("velero").await?;
        if !init_containers(&server).is_empty() {
            self.set_plugin_image(plugin_image).await?;
        }
        let agents = Api::<DaemonSet>::namespaced(self.client.clone(), &self.namespace);
        if *node_agent {
            let image = json!({"name": "node-agent", "image": velero_image});
            strategic(&agents, "node-agent", &container(&image)).await?;
        } else {
            unless_absent(agents.delete("node-agent", &DeleteParams::default()).await)?;
        }
        let image = json!({"name": "velero", "image": velero_image});
        strategic(&deployments, "velero", &container(&image)).await?;
        let arguments = json!({"name": "velero", "args": self.settings.arguments(&server)});
        strategic(&deployments, "velero", &container(&arguments)).await
    }

    /// A JSON patch, to whatever is first.
    async fn set_plugin_image(&self, image: &str) -> Result<()> {
        let path = "/spec/template/spec/initContainers/0/image";
        let operations = json!([{"op": "replace", "path": path, "value": image}]);
        let request = http::Request::patch(format!(
            "/apis/apps/v1/namespaces/{}/deployments/velero?fieldManager={LIGHTKUBE}",
            self.namespace
        ));
        let request = request.header("Content-Type", "application/json-patch+json");
        let body = serde_json::to_vec(&operations)?;
        self.client
            .request::<Deployment>(request.body(body)?)
            .await?;
        Ok(())
    }

    /// What it does once its storage relation has data and no storage is configured.
    pub async fn configure_storage(&self, store: &S3Settings) -> Result<()> {
        self.create_secret(store).await?;
        self.add_plugin().await?;
        let location = RELEASE.backup_location(store, &self.namespace)?;
        self.create(&location, CLI).await?;
        let location = RELEASE.snapshot_location(store, &self.namespace)?;
        self.create(&location, CLI).await
    }

    /// The first step of [`Self::configure_storage`]. When a later one fails, this is what stays.
    pub async fn create_secret(&self, store: &S3Settings) -> Result<()> {
        let file = format!(
            "[default]\naws_access_key_id={}\naws_secret_access_key={}\n",
            store.access_key, store.secret_key
        );
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "cloud-credentials", "labels": {"component": "velero"}},
            "type": "Opaque",
            "data": {"creds": STANDARD.encode(file)},
        });
        self.create(&serde_json::from_value(secret)?, LIGHTKUBE)
            .await
    }

    /// `velero plugin add`.
    async fn add_plugin(&self) -> Result<()> {
        let deployments = Api::<Deployment>::namespaced(self.client.clone(), &self.namespace);
        let server = deployments.get("velero").await?;
        let image = &self.settings.plugin_image;
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

    /// What it does to the CRDs when it is itself refreshed.
    pub async fn upgrade_definitions(&self) -> Result<()> {
        let how = PatchParams::apply(LIGHTKUBE);
        for mut definition in RELEASE.definitions()? {
            definition.metadata.managed_fields = None;
            let api = account::api_of(&self.client, &definition, &self.namespace);
            let name = definition.name_any();
            api.patch(&name, &how, &Patch::Apply(&definition)).await?;
        }
        Ok(())
    }

    async fn create(&self, object: &DynamicObject, manager: &str) -> Result<()> {
        account::create(&self.client, object, &self.namespace, manager).await
    }

    /// Waits until the API server serves Velero's kinds, as the CLI does.
    async fn established(&self) -> Result<()> {
        let api = Api::<CustomResourceDefinition>::all(self.client.clone());
        let mut missing: Vec<String> = RELEASE
            .definitions()?
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
        tokio::time::timeout(ESTABLISHED_WITHIN, watched)
            .await
            .context("the CRDs are not established")?
    }
}

impl Settings {
    fn of(application: &Application) -> Result<Self> {
        let value = |key: &str| {
            let value = application.setting(key);
            value.with_context(|| format!("there is no option `{key}`"))
        };
        let text =
            |key| Ok::<_, anyhow::Error>(value(key)?.as_str().unwrap_or_default().to_owned());
        let flag = |key| Ok::<_, anyhow::Error>(value(key)?.as_bool().unwrap_or_default());
        Ok(Self {
            velero_image: text("velero-image")?,
            plugin_image: text("velero-aws-plugin-image")?,
            node_agent: flag("use-node-agent")?,
            files: flag("default-volumes-to-fs-backup")?,
        })
    }

    fn installation(&self) -> Result<Installation> {
        match (self.node_agent, self.files) {
            (false, false) => Ok(Installation::Server),
            (true, false) => Ok(Installation::NodeAgent),
            (true, true) => Ok(Installation::Files),
            (false, true) => anyhow::bail!("the CLI refuses this; it can only be set later"),
        }
    }

    /// The server's arguments, with the one for volumes' files last.
    fn arguments(&self, server: &Deployment) -> Vec<String> {
        let pod = server
            .spec
            .as_ref()
            .and_then(|spec| spec.template.spec.as_ref());
        let arguments = pod.and_then(|pod| pod.containers.first()?.args.clone());
        let mut arguments = arguments.unwrap_or_default();
        arguments.retain(|argument| !argument.starts_with(FILES_FLAG));
        arguments.push(format!("{FILES_FLAG}{}", self.files));
        arguments
    }
}

/// Of a workload with one container; the charm sends the strategy to DaemonSets, too, which have none.
fn container(container: &Value) -> Value {
    json!({"spec": {
        "template": {"spec": {"containers": [container]}},
        "strategy": {"type": "Recreate", "rollingUpdate": null},
    }})
}

async fn strategic<K>(api: &Api<K>, name: &str, patch: &Value) -> Result<()>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let how = PatchParams {
        field_manager: Some(LIGHTKUBE.to_owned()),
        ..PatchParams::default()
    };
    unless_absent(api.patch(name, &how, &Patch::Strategic(patch)).await)
}

fn unless_absent<T>(answer: kube::Result<T>) -> Result<()> {
    match answer {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => Ok(other.map(drop)?),
    }
}

fn metrics_service() -> Result<DynamicObject> {
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "velero-metrics", "labels": {"component": "velero"}},
        "spec": {
            "type": "ClusterIP",
            "selector": {"deploy": "velero"},
            "ports": [{"name": "metrics", "port": 8085, "targetPort": 8085, "protocol": "TCP"}],
        },
    });
    Ok(serde_json::from_value(service)?)
}

fn init_containers(server: &Deployment) -> Vec<Value> {
    let pod = server
        .spec
        .as_ref()
        .and_then(|spec| spec.template.spec.as_ref());
    let containers = pod.and_then(|pod| pod.init_containers.as_ref());
    containers.into_iter().flatten().map(|c| json!(c)).collect()
}

/// How the CLI names the init container of a plugin: after its image, without registry and tag.
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
