//! The Python charm that ours replaces, as far as a cluster and a relation can tell.
//!
//! Invariant: an object is made by the request that made it there (the CLI's, or a create or strategic
//! merge of its own), under the same field manager and as the application's own account, so that Juju
//! labels it. What the charm says to Juju, `charms/python-velero-operator` says.

use std::path::Path;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use juju_emulator::model::Application;
use juju_emulator::{CharmSource, DeployOptions, Juju, S3Settings};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

use super::account;
use super::cli::{VeleroCli, init_containers};
use super::recordings::{Installation, Release};
use crate::operator::APP;

/// The field manager of what the charm itself writes.
pub const LIGHTKUBE: &str = "velero-operator-lightkube";

const FILES_FLAG: &str = "--default-volumes-to-fs-backup=";

/// The charm, with its account and what its user has set.
pub struct PythonCharm {
    client: Client,
    namespace: String,
    cli: VeleroCli,
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
    pub async fn deploy(juju: &mut Juju, options: DeployOptions) -> Result<Self> {
        juju.deploy(&Self::source(), APP, options).await?;
        juju.settle().await?;
        Self::of(juju).await
    }

    /// The one that is deployed, with the options that are set now.
    pub async fn of(juju: &Juju) -> Result<Self> {
        let model = juju.model();
        let application = model.applications.get(APP).context("it is not deployed")?;
        let client = account::client(juju, APP).await?;
        Ok(Self {
            cli: VeleroCli::with(client.clone(), &model.name),
            client,
            namespace: model.name.clone(),
            settings: Settings::of(application)?,
        })
    }

    /// What it does at `install`: the CLI's CRDs and objects, and the Service of its own.
    pub async fn install(&self) -> Result<()> {
        let how = self.settings.installation()?;
        self.cli.install(how, &self.settings.velero_image).await?;
        self.create(metrics_service()).await
    }

    /// What it does at every `config-changed`, changed or not.
    pub async fn config_changed(&self) -> Result<()> {
        let image = &self.settings.velero_image;
        let deployments = Api::<Deployment>::namespaced(self.client.clone(), &self.namespace);
        let server = deployments.get("velero").await?;
        if !init_containers(&server).is_empty() {
            self.set_plugin_image().await?;
        }
        let agents = Api::<DaemonSet>::namespaced(self.client.clone(), &self.namespace);
        if self.settings.node_agent {
            let image = json!({"name": "node-agent", "image": image});
            merge(&agents, "node-agent", &container(&image)).await?;
        } else {
            let gone = agents.delete("node-agent", &DeleteParams::default()).await;
            unless_absent(gone)?;
        }
        let image = json!({"name": "velero", "image": image});
        merge(&deployments, "velero", &container(&image)).await?;
        let arguments = json!({"name": "velero", "args": self.settings.arguments(&server)});
        merge(&deployments, "velero", &container(&arguments)).await
    }

    /// What it does once its storage relation has data and no storage is configured.
    pub async fn configure_storage(&self, store: &S3Settings) -> Result<()> {
        self.create_secret(store).await?;
        self.cli.add_plugin(&self.settings.plugin_image).await?;
        self.cli.create_locations(store).await
    }

    /// The first step of [`Self::configure_storage`]. When a later one fails, this is what stays.
    pub async fn create_secret(&self, store: &S3Settings) -> Result<()> {
        let file = format!(
            "[default]\naws_access_key_id={}\naws_secret_access_key={}\n",
            store.access_key, store.secret_key
        );
        self.create(json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "cloud-credentials", "labels": {"component": "velero"}},
            "type": "Opaque",
            "data": {"creds": STANDARD.encode(file)},
        }))
        .await
    }

    /// What it does to the CRDs when it is itself refreshed.
    pub async fn upgrade_definitions(&self) -> Result<()> {
        let how = PatchParams::apply(LIGHTKUBE);
        for definition in Release::V1_15.definitions()? {
            let api = account::api_of(&self.client, &definition, &self.namespace);
            let name = definition.name_any();
            api.patch(&name, &how, &Patch::Apply(&definition)).await?;
        }
        Ok(())
    }

    /// A JSON patch, to whatever is first.
    async fn set_plugin_image(&self) -> Result<()> {
        let path = "/spec/template/spec/initContainers/0/image";
        let image = &self.settings.plugin_image;
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

    async fn create(&self, object: Value) -> Result<()> {
        let object: DynamicObject = serde_json::from_value(object)?;
        account::create(&self.client, &object, &self.namespace, LIGHTKUBE).await
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

async fn merge<K>(api: &Api<K>, name: &str, patch: &Value) -> Result<()>
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

fn metrics_service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "velero-metrics", "labels": {"component": "velero"}},
        "spec": {
            "type": "ClusterIP",
            "selector": {"deploy": "velero"},
            "ports": [{"name": "metrics", "port": 8085, "targetPort": 8085, "protocol": "TCP"}],
        },
    })
}
