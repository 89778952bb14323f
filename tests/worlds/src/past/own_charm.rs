//! This charm, as a release of it with an older Velero would have left a cluster.
//!
//! Invariant: objects get the older Velero's manifests by the same apply, with the same labels and
//! the same field manager, so that what only the newer one has goes; nothing else about them changes.

use anyhow::{Context as _, Result};
use juju_emulator::Juju;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

use super::account;
use super::recordings::{Installation, Release};
use crate::operator::APP;
use crate::versions::VELERO;

const MANAGER: &str = "velero-operator";
const RECORD: &str = "velero-operator-applied";

/// Takes a cluster back to an older Velero, as its own charm in this model.
pub async fn take_back(juju: &Juju, release: Release, how: Installation) -> Result<()> {
    let model = juju.model();
    let past = Past {
        client: account::client(juju, APP).await?,
        namespace: &model.name,
        labels: [
            ("velero-operator/application", APP),
            ("velero-operator/model", &model.uuid),
        ],
        release,
    };
    for definition in release.definitions()? {
        past.apply(past.definition(definition)).await?;
    }
    let mut record = past.record().await?;
    for mut object in release.objects(how, past.namespace)? {
        let kind = object.types.as_ref().map(|types| types.kind.clone());
        let seen = match kind.as_deref() {
            Some("Namespace") => continue,
            Some("Deployment") => {
                past.server(&mut object).await?;
                Some("/server")
            }
            Some("DaemonSet") => {
                explain_exits(&mut object.data, "containers");
                Some("/node-agent")
            }
            _ => None,
        };
        past.label(&mut object);
        let live = past.apply(object).await?;
        if let Some(place) = seen.and_then(|place| record.pointer_mut(place)) {
            *place = json!({"uid": live.uid(), "generation": live.metadata.generation});
        }
    }
    past.write_record(&record).await
}

struct Past<'a> {
    client: Client,
    namespace: &'a str,
    labels: [(&'static str, &'a str); 2],
    release: Release,
}

impl Past<'_> {
    async fn apply(&self, object: DynamicObject) -> Result<DynamicObject> {
        let how = PatchParams::apply(MANAGER).force();
        let name = object.name_any();
        account::api_of(&self.client, &object, self.namespace)
            .patch(&name, &how, &Patch::Apply(&object))
            .await
            .with_context(|| format!("applying `{name}`"))
    }

    fn label(&self, object: &mut DynamicObject) {
        let labels = self
            .labels
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        object.labels_mut().extend(labels);
    }

    fn definition(&self, mut definition: DynamicObject) -> DynamicObject {
        let version = self.release.version().to_owned();
        let unswept = (
            "model.juju.is/disable-webhook".to_owned(),
            "true".to_owned(),
        );
        definition.labels_mut().extend([unswept]);
        let mark = ("velero-operator/velero-version".to_owned(), version);
        definition.annotations_mut().extend([mark]);
        definition
    }

    /// Ours is the plugin that the server has now.
    async fn server(&self, deployment: &mut DynamicObject) -> Result<()> {
        let api = Api::<Deployment>::namespaced(self.client.clone(), self.namespace);
        let live = serde_json::to_value(api.get("velero").await?)?;
        let spec = &mut deployment.data["spec"];
        spec["replicas"] = json!(1);
        spec["strategy"] = json!({"type": "Recreate"});
        if let Some(plugin) = live.pointer("/spec/template/spec/initContainers/0") {
            spec["template"]["spec"]["initContainers"] = json!([{
                "name": plugin["name"], "image": plugin["image"],
                "imagePullPolicy": "IfNotPresent",
                "volumeMounts": [{"name": "plugins", "mountPath": "/target"}],
            }]);
            explain_exits(&mut deployment.data, "initContainers");
        }
        explain_exits(&mut deployment.data, "containers");
        Ok(())
    }

    /// What the charm wrote down of its last apply, in the words of the older release.
    async fn record(&self) -> Result<Value> {
        let maps = Api::<ConfigMap>::namespaced(self.client.clone(), self.namespace);
        let data = maps.get(RECORD).await?.data.unwrap_or_default();
        let text = data.get("applied").context("the record is empty")?;
        let mut record: Value =
            serde_json::from_str(&text.replace(VELERO, self.release.version()))?;
        record["inputs"]["charm"] = json!("0.0.1");
        Ok(record)
    }

    async fn write_record(&self, record: &Value) -> Result<()> {
        let mut map: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": RECORD},
            "data": {"applied": record.to_string()},
        }))?;
        self.label(&mut map);
        self.apply(map).await.map(drop)
    }
}

fn explain_exits(workload: &mut Value, containers: &str) {
    let list = workload["spec"]["template"]["spec"][containers].as_array_mut();
    for container in list.into_iter().flatten() {
        container["terminationMessagePolicy"] = json!("FallbackToLogsOnError");
    }
}
