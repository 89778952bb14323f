//! What Velero's programs are told beyond what its CLI renders.
//!
//! The CLI renders one form; settings are laid over it. So a setting for which the CLI has a flag, one for which it
//! has none, and one for which it has a flag that the server no longer knows are all the same here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::document::{Document, Reading};

/// Everything that is set; what is not is as Velero has it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Settings {
    pub(crate) server: ProgramSettings,
    pub(crate) node_agent: ProgramSettings,
    /// Annotations of the ServiceAccount that all of Velero's pods have.
    pub(crate) account: BTreeMap<String, String>,
    /// What the programs find in ConfigMaps.
    pub(crate) documents: BTreeMap<Document, Map<String, Value>>,
}

/// What one of the programs is told at its start.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct ProgramSettings {
    /// Values of its flags by their names.
    arguments: BTreeMap<String, String>,
    /// Fields of its container.
    container: Map<String, Value>,
    /// Fields of its pod.
    pod: Map<String, Value>,
    /// Fields of its pod's metadata.
    metadata: Map<String, Value>,
}

/// One of Velero's programs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Program {
    Server,
    NodeAgent,
}

/// Where a setting goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// A flag of the program, by its name.
    Argument(Program, &'static str),
    /// A field of the program's container.
    Container(Program, &'static [&'static str]),
    /// A variable in its environment.
    Variable(Program, &'static str),
    /// A field of its pod.
    Pod(Program, &'static str),
    /// Labels of its pod.
    Labels(Program),
    /// An annotation of its pod, with the value as JSON: the pod is replaced when the value changes.
    Note(Program, &'static str),
    /// Annotations of the ServiceAccount that all of Velero's pods have.
    AccountAnnotations,
    /// The node's folder behind a volume of its pod: this one below the value.
    Folder(Program, &'static str, &'static str),
    /// A field of a document; of none, all of it.
    Field(Document, &'static [&'static str]),
    /// Memory or processors of the pods that a document is about.
    Resource(Document, &'static str),
    /// The nodes for the pods that a document is about, by their labels.
    Nodes(Document),
}

impl FromIterator<(Place, Value)> for Settings {
    fn from_iter<I: IntoIterator<Item = (Place, Value)>>(all: I) -> Self {
        let mut settings = Self::default();
        for (place, value) in all {
            match place {
                Place::Argument(program, flag) => {
                    let arguments = &mut settings.program(program).arguments;
                    arguments.insert(flag.to_owned(), word(&value));
                }
                Place::Container(program, path) => {
                    let container = &mut settings.program(program).container;
                    lay_over(container, &nested(path, value));
                }
                Place::Variable(program, name) => {
                    let variable = json!([{"name": name, "value": word(&value)}]);
                    let container = &mut settings.program(program).container;
                    lay_over(container, &nested(&["env"], variable));
                }
                Place::Pod(program, field) => {
                    let pod = &mut settings.program(program).pod;
                    lay_over(pod, &nested(&[field], value));
                }
                Place::Labels(program) => {
                    let metadata = &mut settings.program(program).metadata;
                    lay_over(metadata, &nested(&["labels"], value));
                }
                Place::Note(program, name) => settings.note(program, name, &value),
                Place::AccountAnnotations => {
                    let annotations = value.as_object().into_iter().flatten();
                    let annotations = annotations.map(|(key, value)| (key.clone(), word(value)));
                    settings.account.extend(annotations);
                }
                Place::Folder(program, volume, below) => {
                    let path = format!("{}/{below}", word(&value));
                    let volume = json!([{"name": volume, "hostPath": {"path": path}}]);
                    let pod = &mut settings.program(program).pod;
                    lay_over(pod, &nested(&["volumes"], volume));
                }
                Place::Field(document, path) => {
                    lay_over(settings.document(document), &nested(path, value));
                }
                Place::Resource(document, field) => {
                    let fields = settings.document(document).entry("podResources");
                    fields.or_insert_with(unbounded)[field] = value;
                }
                Place::Nodes(document) => {
                    let nodes = json!([{"nodeSelector": {"matchLabels": value}}]);
                    let fields = settings.document(document);
                    lay_over(fields, &nested(&["loadAffinity"], nodes));
                }
            }
        }
        settings.with_documents_told()
    }
}

/// Velero takes all of these or none.
fn unbounded() -> Value {
    let fields = ["cpuRequest", "cpuLimit", "memoryRequest", "memoryLimit"];
    let fields = fields.map(|field| (field.to_owned(), json!("0")));
    Value::Object(fields.into_iter().collect())
}

impl Settings {
    fn program(&mut self, program: Program) -> &mut ProgramSettings {
        match program {
            Program::Server => &mut self.server,
            Program::NodeAgent => &mut self.node_agent,
        }
    }

    fn document(&mut self, document: Document) -> &mut Map<String, Value> {
        self.documents.entry(document).or_default()
    }

    fn note(&mut self, program: Program, name: &str, value: &Value) {
        let annotation = nested(&["annotations", name], value.to_string().into());
        lay_over(&mut self.program(program).metadata, &annotation);
    }

    /// Each document's reader knows where it is. What is read at start stands in the pods as well, so that those are
    /// replaced when it changes.
    fn with_documents_told(mut self) -> Self {
        for (document, content) in self.documents.clone() {
            let reader = self.program(document.reader());
            let (flag, name) = (document.flag().to_owned(), document.name().to_owned());
            reader.arguments.insert(flag, name);
            if document.reading() == Reading::AtStart {
                self.note(document.reader(), Document::READ, &content.into());
            }
        }
        self
    }
}

impl ProgramSettings {
    /// The arguments with the flags as they are set: in the place of the same flag, or at the end.
    pub(crate) fn laid_over(&self, mut arguments: Vec<String>) -> Vec<String> {
        for (flag, value) in &self.arguments {
            let begin = format!("--{flag}=");
            let argument = format!("{begin}{value}");
            let mut there = arguments.iter_mut();
            match there.find(|argument| argument.starts_with(&begin)) {
                Some(there) => *there = argument,
                None => arguments.push(argument),
            }
        }
        arguments
    }

    /// Sets them in the program's container.
    pub(crate) fn lay_over(&self, container: &mut Value) {
        let rendered = container["args"].as_array().into_iter().flatten();
        let rendered = rendered.filter_map(|argument| argument.as_str().map(ToOwned::to_owned));
        container["args"] = self.laid_over(rendered.collect()).into();
        if let Some(container) = container.as_object_mut() {
            lay_over(container, &self.container);
        }
    }

    /// Sets them in the template of the program's pods, but for its containers.
    pub(crate) fn lay_over_template(&self, template: &mut Value) {
        for (part, over) in [("spec", &self.pod), ("metadata", &self.metadata)] {
            if let Some(fields) = template.get_mut(part).and_then(Value::as_object_mut) {
                lay_over(fields, over);
            }
        }
    }

    /// What a flag is set to.
    pub(crate) fn argument(&self, flag: &str) -> Option<&str> {
        self.arguments.get(flag).map(String::as_str)
    }

    /// A label of its pods.
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.metadata.get("labels")?.get(key)?.as_str()
    }

    /// What is set of the metadata of its pods.
    pub(crate) fn metadata(&self) -> &Map<String, Value> {
        &self.metadata
    }

    /// What is set of the container's memory and processors, by `requests` or `limits` and by resource.
    pub(crate) fn resource(&self, list: &str, resource: &str) -> Option<&str> {
        self.container
            .get("resources")?
            .get(list)?
            .get(resource)?
            .as_str()
    }
}

/// A value as an argument has it.
fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// An object with nothing but the value in it, at this path.
fn nested(path: &[&str], value: Value) -> Map<String, Value> {
    let below = path.iter().rev().fold(value, |below, step| {
        Map::from_iter([((*step).to_owned(), below)]).into()
    });
    match below {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Sets the fields of one object in another and leaves its others. Items of lists are known by their names, where
/// they have any.
fn lay_over(fields: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (name, value) in over {
        match (fields.get_mut(name), value) {
            (Some(Value::Object(below)), Value::Object(over)) => lay_over(below, over),
            (Some(Value::Array(items)), Value::Array(over)) if over.iter().all(is_named) => {
                for one in over {
                    lay_over_item(items, one);
                }
            }
            _ => {
                fields.insert(name.clone(), value.clone());
            }
        }
    }
}

fn is_named(item: &Value) -> bool {
    item.get("name").is_some()
}

fn lay_over_item(items: &mut Vec<Value>, over: &Value) {
    let mut same = items.iter_mut();
    match (same.find(|item| item["name"] == over["name"]), over) {
        (Some(Value::Object(item)), Value::Object(over)) => lay_over(item, over),
        _ => items.push(over.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_laid_over_what_is_rendered() {
        let cpu = &["resources", "limits", "cpu"];
        let settings: Settings = [
            (
                Place::Argument(Program::Server, "features"),
                json!("EnableCSI"),
            ),
            (Place::Argument(Program::Server, "workers"), json!(3)),
            (Place::Container(Program::Server, cpu), json!("2")),
            (Place::Argument(Program::NodeAgent, "moves"), json!(true)),
        ]
        .into_iter()
        .collect();
        let mut container = json!({
            "args": ["server", "--features=", "--uploader-type=kopia"],
            "resources": {"limits": {"cpu": "1", "memory": "512Mi"}, "requests": {"cpu": "500m"}},
        });

        settings.server.lay_over(&mut container);

        let wanted = json!({
            "args": ["server", "--features=EnableCSI", "--uploader-type=kopia", "--workers=3"],
            "resources": {"limits": {"cpu": "2", "memory": "512Mi"}, "requests": {"cpu": "500m"}},
        });
        assert_eq!(container, wanted);
        assert_eq!(settings.server.resource("limits", "cpu"), Some("2"));
        let agent = settings.node_agent.laid_over(vec!["node-agent".into()]);
        assert_eq!(agent, ["node-agent", "--moves=true"]);
    }

    #[test]
    fn items_are_laid_over_those_of_their_name() {
        let settings: Settings = [
            (
                Place::Variable(Program::NodeAgent, "HTTP_PROXY"),
                json!("p"),
            ),
            (
                Place::Folder(Program::NodeAgent, "host-pods", "pods"),
                json!("/k"),
            ),
            (
                Place::Pod(Program::NodeAgent, "tolerations"),
                json!([{"operator": "Exists"}]),
            ),
        ]
        .into_iter()
        .collect();
        let mut container = json!({"args": [], "env": [{"name": "HOME", "value": "/"}]});
        settings.node_agent.lay_over(&mut container);
        let variables =
            json!([{"name": "HOME", "value": "/"}, {"name": "HTTP_PROXY", "value": "p"}]);
        assert_eq!(container["env"], variables);

        let mut template = json!({"spec": {"volumes": [
            {"name": "host-pods", "hostPath": {"path": "/var/lib/kubelet/pods"}}, {"name": "scratch"},
        ]}});
        settings.node_agent.lay_over_template(&mut template);
        let wanted = json!({"spec": {
            "volumes": [{"name": "host-pods", "hostPath": {"path": "/k/pods"}}, {"name": "scratch"}],
            "tolerations": [{"operator": "Exists"}],
        }});
        assert_eq!(template, wanted);
    }

    #[test]
    fn documents_are_told_to_who_reads_them() {
        let loads = &["loadConcurrency", "globalConfig"];
        let settings: Settings = [
            (Place::Field(Document::NodeAgent, loads), json!(4)),
            (
                Place::Resource(Document::Maintenance, "cpuLimit"),
                json!("2"),
            ),
            (Place::Nodes(Document::Maintenance), json!({"disk": "ssd"})),
        ]
        .into_iter()
        .collect();

        let of = |document| Value::Object(settings.documents[&document].clone());
        let loads = json!({"loadConcurrency": {"globalConfig": 4}});
        assert_eq!(of(Document::NodeAgent), loads);
        let maintenance = json!({
            "podResources":
                {"cpuRequest": "0", "cpuLimit": "2", "memoryRequest": "0", "memoryLimit": "0"},
            "loadAffinity": [{"nodeSelector": {"matchLabels": {"disk": "ssd"}}}],
        });
        assert_eq!(of(Document::Maintenance), maintenance);
        let name = |document: Document| Some(document.name());
        let told = settings.server.argument("repo-maintenance-job-configmap");
        assert_eq!(told, name(Document::Maintenance));
        let told = settings.node_agent.argument("node-agent-configmap");
        assert_eq!(told, name(Document::NodeAgent));
        let mut template = json!({"spec": {}, "metadata": {"annotations": {"a": "b"}}});
        settings.node_agent.lay_over_template(&mut template);
        let annotations = json!({"a": "b", Document::READ: loads.to_string()});
        assert_eq!(template["metadata"]["annotations"], annotations);
        settings.server.lay_over_template(&mut template);
        assert_eq!(
            template["metadata"]["annotations"], annotations,
            "read at each use"
        );
    }
}
