//! Options that become settings of Velero: read by one table, all that is wrong with them found at once.

mod pairs;
mod policies;
mod snapshots;
mod table;
mod texts;

use provider_api::Problem;
use serde_json::{Map, Value};

pub(super) use self::table::{ANNOTATIONS, POD_LABELS, VOLUME_POLICIES};
use self::table::{Form, MOVE_DATA, Pairs, ROWS, Row, Text};
use crate::{
    cluster::quantity::Quantity,
    juju::Clause,
    reconcile::observe::{CSI_SNAPSHOTS, PRIORITY_CLASS, Surroundings},
    velero::{
        document::Document,
        install::{NodeAgent, VolumeBackups},
        settings::{Place, Program, ProgramSettings, Settings},
    },
};

/// What is wrong with a value, and what to do.
#[derive(Debug)]
struct Fault {
    reason: String,
    remedy: String,
}

/// What the options come to.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) settings: Settings,
    /// What the user may want to know of them.
    pub(super) remarks: Vec<Clause>,
    pub(super) problems: Vec<Problem>,
}

impl Fault {
    fn new(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }

    fn of(self, option: &str) -> Problem {
        Problem::invalid(option, self.reason, self.remedy)
    }
}

/// Reads all of them.
pub(super) fn read(
    config: &Map<String, Value>,
    surroundings: &Surroundings,
    node_agent: NodeAgent,
) -> Read {
    let mut problems = Vec::new();
    let mut settings = Vec::new();
    for row in ROWS {
        match row.read(config, surroundings) {
            Ok(Some(value)) => {
                settings.extend(row.places.iter().map(|place| (*place, value.clone())));
            }
            Ok(None) => {}
            Err(faults) => problems.extend(faults.into_iter().map(|fault| fault.of(row.option))),
        }
    }
    for (name, value) in &surroundings.proxies {
        for program in [Program::Server, Program::NodeAgent] {
            settings.push((Place::Variable(program, name), value.as_str().into()));
        }
    }
    if let Some(class) = &surroundings.missing_priority_class {
        let reason = format!("is `{class}`, which the cluster does not have");
        let remedy = "make the PriorityClass, or reset the option";
        problems.push(Problem::invalid(PRIORITY_CLASS, reason, remedy));
    }
    let settings: Settings = settings.into_iter().collect();
    problems.extend(misfits(&settings.server, "", &SERVER));
    problems.extend(misfits(&settings.node_agent, "node-agent-", &NODE_AGENT));
    if super::flag(config, MOVE_DATA) {
        problems.extend(immovable(&settings, node_agent));
    }
    problems.extend(uncopied(&settings, node_agent));
    let takes_snapshots = settings.server.argument("features").is_some();
    let remarks = match super::volume_backups(config) {
        VolumeBackups::Snapshot if takes_snapshots => snapshots::remarks(&surroundings.snapshots),
        VolumeBackups::Snapshot | VolumeBackups::FileSystem => Vec::new(),
    };
    Read {
        settings,
        remarks,
        problems,
    }
}

impl Row {
    /// The setting; `None` if it is Velero's own.
    fn read(
        &self,
        config: &Map<String, Value>,
        surroundings: &Surroundings,
    ) -> Result<Option<Value>, Vec<Fault>> {
        let one = |fault| vec![fault];
        match self.form {
            Form::Flag => Ok(super::flag(config, self.option).then_some(true.into())),
            Form::Number { default, range } => {
                let number = config.get(self.option).and_then(Value::as_i64);
                let number = number.filter(|number| *number != default);
                let number = number.map(|number| within(number, &range()));
                number.transpose().map_err(one)
            }
            Form::Text(text) => self.text(text, config).map_err(one),
            Form::Found(text, found) => {
                let set = self.text(text, config).map_err(one)?;
                Ok(set.or_else(|| found(surroundings).map(Value::from)))
            }
            Form::Pairs(Pairs { shape, read }) => {
                let text = super::text(config, self.option, "");
                if text.is_empty() {
                    return Ok(None);
                }
                let fault = |reason| Fault::new(reason, format!("set it to {shape}"));
                let faults = |all: Vec<String>| all.into_iter().map(fault).collect();
                read(&text).map(Some).map_err(faults)
            }
            Form::Yaml(read) => match super::text(config, self.option, "").as_str() {
                "" => Ok(None),
                text => read(text).map(Some),
            },
            Form::Word(words) => {
                let word = self.word(words, config).map_err(one)?;
                Ok((Some(&word.as_str()) != words.first()).then(|| word.into()))
            }
            Form::InCluster(words, read) => {
                let word = self.word(words, config);
                word.and_then(|word| read(&word, surroundings)).map_err(one)
            }
        }
    }

    fn text(
        &self,
        Text { shape, read }: Text,
        config: &Map<String, Value>,
    ) -> Result<Option<Value>, Fault> {
        let text = super::text(config, self.option, "");
        if text.is_empty() {
            return Ok(None);
        }
        let value = read(&text);
        let fault = |reason| Fault::new(reason, format!("set it to {shape}"));
        value.map(Some).map_err(fault)
    }

    fn word(&self, words: &[&str], config: &Map<String, Value>) -> Result<String, Fault> {
        let default = words.first().copied().unwrap_or_default();
        let word = super::text(config, self.option, default);
        if words.contains(&word.as_str()) {
            return Ok(word);
        }
        let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
        let remedy = format!("set it to one of {}", words.join(", "));
        Err(Fault::new("is none of its words", remedy))
    }
}

fn within(number: i64, range: &std::ops::RangeInclusive<i64>) -> Result<Value, Fault> {
    if range.contains(&number) {
        return Ok(number.into());
    }
    let (least, most) = (range.start(), range.end());
    Err(Fault::new(
        format!("is {number}"),
        format!("set it to a number from {least} to {most}"),
    ))
}

/// Data is moved out of CSI snapshots, by node agents.
fn immovable(settings: &Settings, node_agent: NodeAgent) -> Vec<Problem> {
    let mut problems = Vec::new();
    if settings.server.argument("features").is_none() {
        problems.push(Problem::invalid(
            MOVE_DATA,
            "needs CSI snapshots, and none are taken here",
            format!("see `{CSI_SNAPSHOTS}`, or set `{MOVE_DATA}` to false"),
        ));
    }
    if node_agent == NodeAgent::Off {
        problems.push(Problem::invalid(
            MOVE_DATA,
            "needs the node agent",
            format!("set `use-node-agent` to true, or `{MOVE_DATA}` to false"),
        ));
    }
    problems
}

/// Files are copied by node agents.
fn uncopied(settings: &Settings, node_agent: NodeAgent) -> Option<Problem> {
    let policies = settings.documents.get(&Document::VolumePolicies)?;
    if node_agent == NodeAgent::On || !policies::copy_files(policies) {
        return None;
    }
    Some(Problem::invalid(
        VOLUME_POLICIES,
        "has the files of volumes copied, which needs the node agent",
        "set `use-node-agent` to true, or take out `fs-backup`",
    ))
}

/// What Velero's CLI renders for a container: requests and limits of `cpu` and `memory`.
type Rendered = [(&'static str, Option<&'static str>, Option<&'static str>); 2];

const SERVER: Rendered = [
    ("cpu", Some("500m"), Some("1")),
    ("memory", Some("128Mi"), Some("512Mi")),
];
const NODE_AGENT: Rendered = [("cpu", None, None), ("memory", None, None)];

/// A container that asks for more than it may have is refused by Kubernetes.
fn misfits(settings: &ProgramSettings, prefix: &str, rendered: &Rendered) -> Vec<Problem> {
    let misfit = |(resource, request, limit): &(&str, Option<&str>, Option<&str>)| {
        let (asked, allowed) = (
            settings.resource("requests", resource),
            settings.resource("limits", resource),
        );
        let (request, limit) = (asked.or(*request)?, allowed.or(*limit)?);
        if Quantity::parse(request)? <= Quantity::parse(limit)? {
            return None;
        }
        let of = |list: &str| format!("{prefix}{resource}-{list}");
        Some(if allowed.is_some() {
            let reason = format!("is less than the request of {request}");
            let remedy = format!("raise it, or set `{}` to no more", of("request"));
            Problem::invalid(of("limit"), reason, remedy)
        } else {
            let reason = format!("is more than the limit of {limit}");
            let remedy = format!("lower it, or set `{}` to no less", of("limit"));
            Problem::invalid(of("request"), reason, remedy)
        })
    };
    rendered.iter().filter_map(misfit).collect()
}

#[cfg(test)]
mod page;
#[cfg(test)]
mod tests;
