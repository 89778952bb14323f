//! What Velero's programs are told beyond what its CLI renders.
//!
//! The CLI renders one form; settings are laid over it. So a setting for which the CLI has a flag, one for which it
//! has none, and one for which it has a flag that the server no longer knows are all the same here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Everything that is set; what is not is as Velero has it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Settings {
    pub(crate) server: ProgramSettings,
    pub(crate) node_agent: ProgramSettings,
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
    /// The node's folder behind a volume of its pod: this one below the value.
    Folder(Program, &'static str, &'static str),
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
                Place::Folder(program, volume, below) => {
                    let path = format!("{}/{below}", word(&value));
                    let volume = json!([{"name": volume, "hostPath": {"path": path}}]);
                    let pod = &mut settings.program(program).pod;
                    lay_over(pod, &nested(&["volumes"], volume));
                }
            }
        }
        settings
    }
}

impl Settings {
    fn program(&mut self, program: Program) -> &mut ProgramSettings {
        match program {
            Program::Server => &mut self.server,
            Program::NodeAgent => &mut self.node_agent,
        }
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

    /// Sets them in the program's pod, but for its containers.
    pub(crate) fn lay_over_pod(&self, pod: &mut Value) {
        if let Some(pod) = pod.as_object_mut() {
            lay_over(pod, &self.pod);
        }
    }

    /// What a flag is set to.
    pub(crate) fn argument(&self, flag: &str) -> Option<&str> {
        self.arguments.get(flag).map(String::as_str)
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

        let mut pod = json!({"volumes": [
            {"name": "host-pods", "hostPath": {"path": "/var/lib/kubelet/pods"}}, {"name": "scratch"},
        ]});
        settings.node_agent.lay_over_pod(&mut pod);
        let wanted = json!({
            "volumes": [{"name": "host-pods", "hostPath": {"path": "/k/pods"}}, {"name": "scratch"}],
            "tolerations": [{"operator": "Exists"}],
        });
        assert_eq!(pod, wanted);
    }
}
