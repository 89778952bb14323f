//! What Velero's programs are told beyond what its CLI renders.
//!
//! The CLI renders one form; settings are laid over it. So a setting for which the CLI has a flag, one for which it
//! has none, and one for which it has a flag that the server no longer knows are all the same here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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

/// Sets the fields of one object in another and leaves its others.
fn lay_over(fields: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (name, value) in over {
        match (fields.get_mut(name), value) {
            (Some(Value::Object(below)), Value::Object(over)) => lay_over(below, over),
            _ => {
                fields.insert(name.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
}
