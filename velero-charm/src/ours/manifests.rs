//! Velero's manifests, made the charm's.
//!
//! **Invariant:** what the CLI rendered stays as it is but for what is said here: the Namespace is left out (it
//! is the Juju model's), everything carries our labels, what is the cluster's is called after the model, the
//! server is replaced and never doubled, and the storage plugin is an init container that is ours by its name.

use kube::{ResourceExt as _, api::DynamicObject};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{CRD_VERSION, Owner, SKIP_JUJU_WEBHOOK};
use crate::velero::{
    BUNDLED, NODE_AGENT, SERVER,
    install::{NodeAgent, Options, VolumeBackups},
};

/// Init containers of this name are ours; all others are left alone.
const PLUGIN_PREFIX: &str = "storage-plugin-";

/// Everything that the manifests depend on.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Workload {
    pub(crate) velero_image: String,
    pub(crate) node_agent: NodeAgent,
    pub(crate) volume_backups: VolumeBackups,
    pub(crate) plugin: Option<Plugin>,
}

/// The plugin that serves the active store.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Plugin {
    /// The init container's name.
    pub(crate) container: String,
    pub(crate) image: String,
}

/// The objects of an installation, in the order in which they must be applied.
#[derive(Debug)]
pub(crate) struct Manifests {
    pub(crate) definitions: Vec<DynamicObject>,
    pub(crate) accounts: Vec<DynamicObject>,
    pub(crate) workloads: Vec<DynamicObject>,
}

impl Workload {
    /// What Velero's CLI has to know of it.
    pub(crate) fn options(&self) -> Options<'_> {
        Options {
            image: &self.velero_image,
            node_agent: self.node_agent,
            volume_backups: self.volume_backups,
        }
    }
}

impl Plugin {
    pub(crate) fn new(provider: &str, image: &str) -> Self {
        Self {
            container: format!("{PLUGIN_PREFIX}{provider}"),
            image: image.into(),
        }
    }

    /// Our plugin among the live init containers.
    pub(crate) fn of(deployment: &k8s_openapi::api::apps::v1::Deployment) -> Option<Self> {
        let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
        pod.init_containers.iter().flatten().find_map(|container| {
            container.name.starts_with(PLUGIN_PREFIX).then(|| Self {
                container: container.name.clone(),
                image: container.image.clone().unwrap_or_default(),
            })
        })
    }
}

/// Makes the rendered manifests ours.
pub(crate) fn compose(
    rendered: Vec<DynamicObject>,
    workload: &Workload,
    owner: &Owner,
) -> Manifests {
    let mut manifests = Manifests {
        definitions: Vec::new(),
        accounts: Vec::new(),
        workloads: Vec::new(),
    };
    let mut bindings = Vec::new();
    for mut object in rendered {
        let kind = object
            .types
            .as_ref()
            .map(|types| types.kind.clone())
            .unwrap_or_default();
        if let Some(fields) = object.data.as_object_mut() {
            fields.remove("status");
        }
        match kind.as_str() {
            "Namespace" => {}
            "CustomResourceDefinition" => {
                object
                    .labels_mut()
                    .insert(SKIP_JUJU_WEBHOOK.0.into(), SKIP_JUJU_WEBHOOK.1.into());
                object
                    .annotations_mut()
                    .insert(CRD_VERSION.into(), BUNDLED.into());
                manifests.definitions.push(object);
            }
            "Deployment" => {
                object.labels_mut().extend(owner.labels());
                server(&mut object.data, workload);
                manifests.workloads.push(object);
            }
            "DaemonSet" => {
                object.labels_mut().extend(owner.labels());
                explain_exits(&mut object.data, "containers");
                manifests.workloads.push(object);
            }
            "ClusterRoleBinding" => {
                object.labels_mut().extend(owner.labels());
                let name = format!("{}-{}", object.name_any(), owner.model_uuid);
                object.metadata.name = Some(name);
                // Last: whom it names must be ours by then.
                bindings.push(object);
            }
            _ => {
                object.labels_mut().extend(owner.labels());
                manifests.accounts.push(object);
            }
        }
    }
    manifests.accounts.extend(bindings);
    manifests
}

/// What of the server's pod safety depends on, as far as it is ours to say.
pub(crate) fn server_pod(workload: &Workload) -> Value {
    let mut arguments = vec!["server", "--features="];
    if workload.volume_backups == VolumeBackups::FileSystem {
        arguments.push("--default-volumes-to-fs-backup=true");
    }
    arguments.push("--uploader-type=kopia");
    let plugins = workload.plugin.iter();
    let plugins: Vec<_> = plugins
        .map(|plugin| json!({"name": plugin.container, "image": plugin.image}))
        .collect();
    let mut container = container(SERVER, workload, &arguments);
    container["env"] = json!([
        {"name": "VELERO_SCRATCH_DIR", "value": "/scratch"},
        {"name": "LD_LIBRARY_PATH", "value": "/plugins"},
    ]);
    json!({
        "serviceAccountName": SERVER,
        "initContainers": plugins,
        "containers": [container],
    })
}

/// The same of a node agent's.
pub(crate) fn agent_pod(workload: &Workload) -> Value {
    let arguments = ["node-agent", "server", "--features="];
    json!({
        "serviceAccountName": SERVER,
        "containers": [container(NODE_AGENT, workload, &arguments)],
    })
}

fn container(name: &str, workload: &Workload, arguments: &[&str]) -> Value {
    json!({
        "name": name,
        "image": workload.velero_image,
        "command": ["/velero"],
        "args": arguments,
    })
}

fn server(deployment: &mut Value, workload: &Workload) {
    // The manifest leaves both out, so that an edit by hand would stay. Two servers at
    // once would work on the same backups.
    deployment["spec"]["replicas"] = json!(1);
    deployment["spec"]["strategy"] = json!({"type": "Recreate"});
    if let Some(plugin) = &workload.plugin {
        deployment["spec"]["template"]["spec"]["initContainers"] = json!([{
            "name": plugin.container,
            "image": plugin.image,
            "imagePullPolicy": "IfNotPresent",
            "volumeMounts": [{"name": "plugins", "mountPath": "/target"}],
        }]);
        explain_exits(deployment, "initContainers");
    }
    explain_exits(deployment, "containers");
}

/// What lets the server be replaced all at once. An apply cannot: the settings of the other way are nobody's,
/// so it leaves them, and the API server refuses both together.
pub(crate) fn stop_rolling() -> Value {
    json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}}})
}

/// Lets the last lines of a failed container's log show up in its status.
fn explain_exits(workload: &mut Value, containers: &str) {
    let list = workload["spec"]["template"]["spec"][containers].as_array_mut();
    for container in list.into_iter().flatten() {
        container["terminationMessagePolicy"] = json!("FallbackToLogsOnError");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": kind,
            "metadata": {"name": "x", "labels": {"component": "velero"}, "creationTimestamp": null},
            "spec": {"strategy": {}, "template": {"spec": {"containers": [{"name": "velero"}]}}},
            "status": {"replicas": 1},
        }))
        .unwrap()
    }

    fn workload() -> Workload {
        Workload {
            velero_image: "velero:v1".into(),
            node_agent: NodeAgent::On,
            volume_backups: VolumeBackups::Snapshot,
            plugin: Some(Plugin::new("tape", "tape:v1")),
        }
    }

    fn composed() -> Manifests {
        let owner = Owner {
            application: "v".into(),
            model_uuid: "m".into(),
        };
        let kinds = [
            "CustomResourceDefinition",
            "Namespace",
            "ServiceAccount",
            "Deployment",
            "DaemonSet",
        ];
        compose(kinds.map(object).into(), &workload(), &owner)
    }

    #[test]
    fn the_namespace_is_left_out_and_everything_of_ours_is_labelled() {
        let manifests = composed();

        assert_eq!(manifests.definitions.len(), 1);
        assert_eq!(manifests.accounts.len(), 1);
        assert_eq!(manifests.workloads.len(), 2);
        for object in manifests.accounts.iter().chain(&manifests.workloads) {
            assert_eq!(object.labels()["velero-operator/application"], "v");
            assert_eq!(object.labels()["component"], "velero");
        }
    }

    #[test]
    fn definitions_are_nobodys_and_stay_when_juju_sweeps() {
        let definition = &composed().definitions[0];

        assert_eq!(definition.labels().get("velero-operator/application"), None);
        assert_eq!(definition.labels()["model.juju.is/disable-webhook"], "true");
        assert_eq!(
            definition.annotations()["velero-operator/velero-version"],
            BUNDLED
        );
        assert_eq!(definition.data.get("status"), None);
    }

    #[test]
    fn the_server_is_replaced_never_doubled_and_has_the_plugin() {
        let deployment = &composed().workloads[0].data;

        assert_eq!(deployment["spec"]["replicas"], 1);
        assert_eq!(deployment["spec"]["strategy"]["type"], "Recreate");
        let plugin = &deployment["spec"]["template"]["spec"]["initContainers"][0];
        assert_eq!(plugin["name"], "storage-plugin-tape");
        assert_eq!(plugin["image"], "tape:v1");
    }
}
