//! Velero's manifests, made the charm's.
//!
//! **Invariant:** what the CLI rendered stays as it is but for what is said here: the Namespace is left out (it
//! is the Juju model's), everything carries our labels, what is the cluster's is called after the model, the
//! server is replaced and never doubled, the storage plugin is an init container that is ours by its name, and
//! nobody has more rights on a node than Pod Security's `restricted` allows, but for the node agent's.

use k8s_openapi::{
    api::apps::v1::Deployment, apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry,
};
use kube::{ResourceExt as _, api::DynamicObject};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{CRD_VERSION, Owner, SKIP_JUJU_WEBHOOK};
use crate::{
    cluster::owned,
    velero::{
        BUNDLED, NODE_AGENT, SERVER,
        install::{NodeAgent, Options, VolumeBackups},
        settings::{ProgramSettings, Settings},
    },
};

/// Init containers of this name are ours; all others are left alone.
const PLUGIN_PREFIX: &str = "storage-plugin-";
/// Whom the server runs as: the user of the plugins' images. That of Velero's is known by name only, of which the
/// kubelet cannot tell that it is not root.
const USER: u32 = 65532;
/// What the server may write: it has no home in its image.
const SCRATCH: &str = "/scratch";

/// Everything that the manifests depend on.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Workload {
    pub(crate) velero_image: String,
    pub(crate) node_agent: NodeAgent,
    pub(crate) volume_backups: VolumeBackups,
    pub(crate) plugin: Option<Plugin>,
    /// Earlier releases knew of none.
    #[serde(default)]
    pub(crate) settings: Settings,
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
    pub(crate) fn of(deployment: &Deployment) -> Option<Self> {
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
                agent(&mut object.data, workload);
                manifests.workloads.push(object);
            }
            "ServiceAccount" => {
                let annotations = workload.settings.account.clone();
                object.labels_mut().extend(owner.labels());
                object.annotations_mut().extend(annotations);
                manifests.accounts.push(object);
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

/// The server's pods are made as these would be, as far as others tell by it who they are.
pub(crate) fn is_identified(server: &Deployment, workload: &Workload) -> bool {
    let template = server.spec.as_ref().map(|spec| &spec.template);
    let there = template.and_then(|template| template.metadata.as_ref());
    owned::covers(&json!(there), &json!(workload.settings.server.metadata()))
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
        .map(|plugin| {
            json!({
                "name": plugin.container,
                "image": plugin.image,
                "securityContext": no_rights(),
            })
        })
        .collect();
    let mut container = container(SERVER, workload, &arguments, &workload.settings.server);
    container["env"] = json!([
        {"name": "VELERO_SCRATCH_DIR", "value": SCRATCH},
        {"name": "LD_LIBRARY_PATH", "value": "/plugins"},
        {"name": "HOME", "value": SCRATCH},
        {"name": "TMPDIR", "value": SCRATCH},
    ]);
    json!({
        "serviceAccountName": SERVER,
        "securityContext": nobody(),
        "initContainers": plugins,
        "containers": [container],
    })
}

/// The same of a node agent's.
pub(crate) fn agent_pod(workload: &Workload) -> Value {
    let arguments = ["node-agent", "server", "--features="];
    let settings = &workload.settings.node_agent;
    json!({
        "serviceAccountName": SERVER,
        "containers": [container(NODE_AGENT, workload, &arguments, settings)],
    })
}

fn container(
    name: &str,
    workload: &Workload,
    arguments: &[&str],
    settings: &ProgramSettings,
) -> Value {
    let arguments = arguments.iter().map(ToString::to_string);
    json!({
        "name": name,
        "image": workload.velero_image,
        "command": ["/velero"],
        "args": settings.laid_over(arguments.collect()),
        "securityContext": no_rights(),
    })
}

/// The server's pod runs as nobody in particular.
fn nobody() -> Value {
    json!({
        "runAsNonRoot": true,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    })
}

/// What no container of ours needs.
fn no_rights() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
    })
}

fn server(deployment: &mut Value, workload: &Workload) {
    // The manifest leaves both out, so that an edit by hand would stay. Two servers at
    // once would work on the same backups.
    deployment["spec"]["replicas"] = json!(1);
    deployment["spec"]["strategy"] = json!({"type": "Recreate"});
    let pod = &mut deployment["spec"]["template"]["spec"];
    pod["securityContext"] = nobody();
    if let Some(plugin) = &workload.plugin {
        pod["initContainers"] = json!([{
            "name": plugin.container,
            "image": plugin.image,
            "imagePullPolicy": "IfNotPresent",
            "volumeMounts": [{"name": "plugins", "mountPath": "/target"}],
            "securityContext": no_rights(),
        }]);
        explain_exits(pod, "initContainers");
    }
    for container in containers(pod, "containers") {
        container["securityContext"] = no_rights();
        let homes = [("HOME", SCRATCH), ("TMPDIR", SCRATCH)];
        let homes = homes.map(|(name, value)| json!({"name": name, "value": value}));
        if let Some(variables) = container["env"].as_array_mut() {
            variables.extend(homes);
        }
        workload.settings.server.lay_over(container);
    }
    explain_exits(pod, "containers");
    let template = &mut deployment["spec"]["template"];
    workload.settings.server.lay_over_template(template);
}

/// It mounts folders of the node and runs as root, which is all that it needs: data is moved by pods of its own.
fn agent(daemon_set: &mut Value, workload: &Workload) {
    let pod = &mut daemon_set["spec"]["template"]["spec"];
    pod["securityContext"]["seccompProfile"] = json!({"type": "RuntimeDefault"});
    for container in containers(pod, "containers") {
        let rights = &mut container["securityContext"];
        rights["allowPrivilegeEscalation"] = json!(false);
        rights["capabilities"] = json!({"drop": ["ALL"]});
        workload.settings.node_agent.lay_over(container);
    }
    explain_exits(pod, "containers");
    let template = &mut daemon_set["spec"]["template"];
    workload.settings.node_agent.lay_over_template(template);
}

/// Leaves the memory and processors of each container as somebody else has set them in the live object, but for what
/// an option sets. Returns what it takes from them.
pub(crate) fn leave_resources<K>(
    workload: &mut DynamicObject,
    live: &K,
    settings: &ProgramSettings,
) -> Vec<String>
where
    K: kube::Resource + Serialize,
{
    let managers = live.meta().managed_fields.as_ref();
    let live = json!(live);
    let live = live["spec"]["template"]["spec"]["containers"].as_array();
    let mut taken = Vec::new();
    let pod = &mut workload.data["spec"]["template"]["spec"];
    for wanted in containers(pod, "containers") {
        let name = wanted["name"].as_str().unwrap_or_default().to_owned();
        let mut theirs = live.into_iter().flatten();
        let Some(theirs) = theirs.find(|live| live["name"] == name) else {
            continue;
        };
        for list in ["requests", "limits"] {
            for (resource, quantity) in theirs["resources"][list].as_object().into_iter().flatten()
            {
                if !is_of_others(&name, &[list, resource], managers) {
                    continue;
                }
                if settings.resource(list, resource).is_none() {
                    wanted["resources"][list][resource] = quantity.clone();
                } else if wanted["resources"][list][resource] != *quantity {
                    taken.push(format!("{resource} of {quantity} in `{list}` of `{name}`"));
                }
            }
        }
    }
    taken
}

/// Somebody else has set this of a container's resources.
fn is_of_others(
    container: &str,
    resource: &[&str],
    managers: Option<&Vec<ManagedFieldsEntry>>,
) -> bool {
    let container = format!("k:{}", json!({"name": container}));
    let path = ["spec", "template", "spec", "containers"].map(|field| format!("f:{field}"));
    let below = ["resources"].into_iter().chain(resource.iter().copied());
    let below = below.map(|field| format!("f:{field}"));
    let path = path.into_iter().chain([container]).chain(below);
    owned::is_of_others(&path.collect::<Vec<_>>(), managers)
}

/// What lets the server be replaced all at once. An apply cannot: the settings of the other way are nobody's,
/// so it leaves them, and the API server refuses both together.
pub(crate) fn stop_rolling() -> Value {
    json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}}})
}

/// Lets the last lines of a failed container's log show up in its status.
fn explain_exits(pod: &mut Value, list: &str) {
    for container in containers(pod, list) {
        container["terminationMessagePolicy"] = json!("FallbackToLogsOnError");
    }
}

fn containers<'a>(pod: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    pod[list].as_array_mut().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::velero::settings::{Place, Program};

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
            settings: Settings::default(),
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

    /// As the CLI renders them, as far as it matters here.
    #[test]
    fn manifests_are_what_the_plan_compares_with() {
        let manifests = composed();
        for (object, wanted) in [
            (&manifests.workloads[0], server_pod(&workload())),
            (&manifests.workloads[1], agent_pod(&workload())),
        ] {
            let pod = &object.data["spec"]["template"]["spec"];
            assert!(pod.get("securityContext").is_some());
            for list in ["initContainers", "containers"] {
                let rights = |pod: &Value| pod[list][0]["securityContext"].clone();
                assert!(owned::covers(&rights(pod), &rights(&wanted)), "{pod}");
            }
        }
        let server = &manifests.workloads[0].data["spec"]["template"]["spec"];
        assert_eq!(server["securityContext"], nobody());
    }

    #[test]
    fn resources_that_somebody_set_are_left_alone() {
        let limits = |memory: &str| {
            json!({"spec": {"selector": {}, "template": {"spec": {"containers": [{
                "name": "velero", "resources": {"limits": {"memory": memory}},
            }]}}}})
        };
        let set = |option: Option<&str>| -> Settings {
            let place = Place::Container(Program::Server, &["resources", "limits", "memory"]);
            option
                .map(|value| (place, json!(value)))
                .into_iter()
                .collect()
        };
        let after = |manager: &str, fields: Value, option: Option<&str>| {
            let mut live: k8s_openapi::api::apps::v1::Deployment =
                serde_json::from_value(limits("2Gi")).unwrap();
            live.metadata.managed_fields = Some(vec![ManagedFieldsEntry {
                manager: Some(manager.into()),
                operation: Some("Apply".into()),
                fields_v1: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::FieldsV1(
                    fields,
                )),
                ..ManagedFieldsEntry::default()
            }]);
            let mut wanted = object("Deployment");
            wanted.data = limits(option.unwrap_or("512Mi"));
            let taken = leave_resources(&mut wanted, &live, &set(option).server);
            let pod = &wanted.data["spec"]["template"]["spec"];
            let memory = &pod["containers"][0]["resources"]["limits"]["memory"];
            (memory.as_str().unwrap_or_default().to_owned(), taken.len())
        };
        let within = |field: &str| {
            json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {
                "k:{\"name\":\"velero\"}": {"f:resources": {"f:limits": {field: {}}}},
            }}}}})
        };
        let memory = || within("f:memory");
        for (manager, fields, option, expected) in [
            ("kubectl-set", memory(), None, ("2Gi", 0)),
            ("kubectl-set", within("f:cpu"), None, ("512Mi", 0)),
            ("velero-operator", memory(), None, ("512Mi", 0)),
            ("kubectl-set", memory(), Some("1Gi"), ("1Gi", 1)),
            ("kubectl-set", memory(), Some("2Gi"), ("2Gi", 0)),
        ] {
            let (after, taken) = after(manager, fields, option);
            assert_eq!((after.as_str(), taken), expected, "{manager} {option:?}");
        }
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
