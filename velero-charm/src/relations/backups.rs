//! Who asks to be backed up: the interfaces `velero_backup_config` and `k8s_backup_target`, of which this charm reads and
//! writes nothing back.
//!
//! Both are read alike, by what is in the data bag: one target in keys of its own, or a list of them. Who a target is
//! says the bag, not the application at the other end, which may be an integrator.

mod spec;

use std::collections::{BTreeMap, BTreeSet};

use provider_api::{Problem, Problems};
use serde_json::{Map, Value};
use tracing::{debug, warn};

pub(crate) use self::spec::{check_cron, check_ttl};
use crate::{
    juju::{JujuError, Tools, Unit},
    ours::schedule::Key,
    velero::template::Template,
};

/// The endpoints; what is asked for at the first one counts before the same at the other.
pub(crate) const ENDPOINTS: [&str; 2] = ["velero-backups", "k8s-backup-target"];

/// Where a list of targets is.
const LIST: &str = "backup_targets";
/// What a target consists of.
const FIELDS: [&str; 4] = ["app", "relation_name", "model", "spec"];
/// The longest value of a label, which these are for Kubernetes.
const LONGEST_NAME: usize = 63;

/// One relation, as a client left it.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// For example `velero-backups:7`.
    pub(crate) relation: String,
    /// Nothing, if nothing was sent or it cannot be read.
    pub(crate) sent: Vec<Sent>,
}

/// A target, or what is wrong with it.
pub(crate) type Sent = Result<Target, Box<Fault>>;

/// What a client asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Target {
    pub(crate) key: Key,
    pub(crate) relation: String,
    pub(crate) template: Template,
    /// Cron, as Velero understands it.
    pub(crate) schedule: Option<String>,
    pub(crate) paused: Option<bool>,
    pub(crate) skip_immediately: Option<bool>,
    pub(crate) owner_references: Option<bool>,
}

/// What cannot be understood of what a client asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Fault {
    pub(crate) who: Who,
    pub(crate) relation: String,
    pub(crate) problems: Problems,
}

/// Whose it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Who {
    Target(Key),
    /// The application at the other end, or the relation: the data bag does not say.
    Sender(String),
}

impl Fault {
    /// The target, if the data bag says which.
    pub(crate) fn key(&self) -> Option<&Key> {
        match &self.who {
            Who::Target(key) => Some(key),
            Who::Sender(_) => None,
        }
    }
}

/// Reads every relation of both endpoints. One that is over is not there, even if Juju still lists it.
pub(crate) async fn read(tools: &Tools, unit: &Unit) -> Result<Vec<Client>, JujuError> {
    let mut clients = Vec::new();
    for endpoint in ENDPOINTS {
        for relation in tools.relation_ids(endpoint).await? {
            if unit.broken_relation.as_ref() == Some(&relation) {
                continue;
            }
            match read_one(tools, &relation).await {
                Ok(client) => clients.push(client),
                Err(error) if error.is_relation_gone() => warn!("{error}; it counts as removed."),
                Err(error) => match error.refusal() {
                    // Of one client, which must not hold up the others.
                    Some(_) => clients.push(unreadable(relation, &error)),
                    None => return Err(error),
                },
            }
        }
    }
    Ok(clients)
}

async fn read_one(tools: &Tools, relation: &str) -> Result<Client, JujuError> {
    let remote_app = tools.remote_app(relation).await?;
    let remote_app = remote_app.filter(|app| !app.is_empty());
    let bag = match &remote_app {
        Some(app) => tools.data_bag(relation, app).await?,
        None => BTreeMap::new(),
    };
    Ok(Client::understand(relation, remote_app.as_deref(), bag))
}

fn unreadable(relation: String, error: &JujuError) -> Client {
    let problem = Problem::unreadable("data bag", &error.to_string(), "integrate it again");
    Client {
        sent: vec![Err(Box::new(Fault {
            who: Who::Sender(relation.clone()),
            relation: relation.clone(),
            problems: problem.into(),
        }))],
        relation,
    }
}

impl Client {
    /// What is in the data bag of the application at the other end, if that is there yet.
    pub(crate) fn understand(
        relation: &str,
        remote_app: Option<&str>,
        bag: BTreeMap<String, String>,
    ) -> Self {
        let who = remote_app.unwrap_or(relation);
        let from = From { relation, who };
        let bag: Map<_, _> = bag
            .into_iter()
            .map(|(field, text)| (spelled(&field), Value::from(text)))
            .collect();
        let sent = match bag.get(LIST) {
            Some(list) => from.list(list),
            None if FIELDS.iter().any(|field| bag.contains_key(*field)) => vec![from.target(&bag)],
            None => {
                debug!("Nothing has come by relation `{relation}` yet.");
                Vec::new()
            }
        };
        Self {
            relation: relation.to_owned(),
            sent,
        }
    }
}

/// Where a target is from.
#[derive(Clone, Copy)]
struct From<'a> {
    relation: &'a str,
    who: &'a str,
}

impl From<'_> {
    fn list(self, list: &Value) -> Vec<Sent> {
        match decoded(list) {
            Value::Array(entries) => entries.iter().map(|entry| self.entry(entry)).collect(),
            Value::Null => Vec::new(),
            entry @ Value::Object(_) => vec![self.entry(&entry)],
            _ => vec![Err(
                self.fault(None, vec![not_json(LIST, "a list", self.who)])
            )],
        }
    }

    fn entry(self, entry: &Value) -> Sent {
        match decoded(entry) {
            Value::Object(fields) => {
                let fields = fields.into_iter();
                self.target(
                    &fields
                        .map(|(field, value)| (spelled(&field), value))
                        .collect(),
                )
            }
            _ => Err(self.fault(None, vec![not_json(LIST, "a list of objects", self.who)])),
        }
    }

    fn target(self, fields: &Map<String, Value>) -> Sent {
        let mut problems = Vec::new();
        let mut name = |field: &str| {
            let read = name(field, fields.get(field), self.who);
            read.map_err(|problem| problems.push(problem)).ok()
        };
        let (model, app, endpoint) = (name("model"), name("app"), name("relation_name"));
        let key = match (model, app, endpoint) {
            (Some(model), Some(app), Some(endpoint)) => Some(Key {
                model,
                app,
                endpoint,
            }),
            _ => None,
        };
        let spec = match fields.get("spec").map(decoded) {
            Some(Value::Object(spec)) => {
                let spec = spec.into_iter();
                let spec = spec.map(|(field, value)| (spelled(&field), value));
                spec::read(&spec.collect(), self.who)
            }
            None | Some(Value::Null) => Err(Problem::missing("spec", sends("it", self.who)).into()),
            Some(_) => Err(not_json("spec", "an object", self.who).into()),
        };
        match (key, spec) {
            (Some(key), Ok(spec)) => Ok(spec.of(key, self.relation)),
            (key, spec) => {
                problems.extend(spec.err().iter().flat_map(Problems::iter).cloned());
                Err(self.fault(key, problems))
            }
        }
    }

    fn fault(self, key: Option<Key>, problems: Vec<Problem>) -> Box<Fault> {
        let who = key.map_or_else(|| Who::Sender(self.who.to_owned()), Who::Target);
        let unknown = || Problem::missing("spec", sends("it", self.who)).into();
        Box::new(Fault {
            who,
            relation: self.relation.to_owned(),
            problems: Problems::from_vec(problems).unwrap_or_else(unknown),
        })
    }
}

/// What to do where only the client can put it right.
fn sends(what: &str, who: &str) -> String {
    format!("let `{who}` send {what}")
}

fn not_json(field: &str, form: &str, who: &str) -> Problem {
    let reason = format!("is not {form} in JSON");
    Problem::invalid(field, reason, sends(form, who))
}

/// The published schema has dashes where the libraries send underscores.
fn spelled(field: &str) -> String {
    field.replace('-', "_")
}

/// A text that is JSON for what is meant, as values of data bags are.
fn decoded(value: &Value) -> Value {
    match value {
        Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| value.clone()),
        other => other.clone(),
    }
}

/// A name that becomes a label's value, in quotes or not.
fn name(field: &str, value: Option<&Value>, who: &str) -> Result<String, Problem> {
    let text = match value {
        Some(Value::String(text)) => text.trim().trim_matches('"'),
        Some(Value::Null) | None => "",
        Some(_) => return Err(not_json(field, "a text", who)),
    };
    if text.is_empty() {
        return Err(Problem::missing(field, sends("it", who)));
    }
    if !is_label_value(text) {
        let reason = "has more in it than letters, digits, dots, dashes and underscores, or is longer than 63";
        return Err(Problem::invalid(field, reason, sends("a name", who)));
    }
    Ok(text.to_owned())
}

/// Kubernetes takes it for the value of a label.
fn is_label_value(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric();
    text.is_empty()
        || (text.len() <= LONGEST_NAME
            && text.starts_with(is_letter)
            && text.ends_with(is_letter)
            && text.chars().all(|c| is_letter(c) || ".-_".contains(c)))
}

/// The relations of which it is not known what they ask for: nothing was sent, or who is meant cannot be read.
pub(crate) fn unknown(clients: &[Client]) -> BTreeSet<&str> {
    let is_nameless = |sent: &Sent| sent.as_ref().is_err_and(|fault| fault.key().is_none());
    let unknown = clients
        .iter()
        .filter(|client| client.sent.is_empty() || client.sent.iter().any(is_nameless));
    unknown.map(|client| client.relation.as_str()).collect()
}

#[cfg(test)]
mod tests;
