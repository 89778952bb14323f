//! What a charm sees and asks for while it runs.
//!
//! Invariant: nothing that Juju holds back until a hook's end reaches the model before
//! [`HookContext::commit`]; what Juju does at once is done at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Map, Value};

use super::event::{Event, RelationKind};
use super::model::{Bag, Model, Port, RelationSeen, Side, Status, split_unit};
use super::run::{LogLine, ToolCall};
use super::secret_changes::{self, SecretChange};
use super::secrets::Secret;

/// One run of a charm, seen from the agent.
pub(crate) struct HookContext<'a> {
    /// The controller's data.
    pub model: &'a mut Model,
    /// The unit.
    pub unit: String,
    /// What the charm was started for.
    pub event: Event,
    /// What a tool must know to be let in.
    pub id: String,
    /// Where the unit's `/var/lib/juju` is on the host.
    pub data: PathBuf,
    /// Where its service account's files are on the host.
    pub service_account: PathBuf,
    /// The API server's address, if there is a cluster.
    pub api_server: Option<String>,
    /// Changes that wait for the end.
    pub pending: Pending,
    /// What the action has said so far.
    pub action: ActionSoFar,
    /// What is kept of the run.
    pub record: Record,
    /// Hears `action-log` as it is called.
    pub listener: &'a mut dyn FnMut(SystemTime, &str),
}

/// Changes that wait for the hook's end.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// The unit's own bags, by relation.
    pub unit_bags: BTreeMap<u32, Bag>,
    /// The application's own bags, by relation.
    pub app_bags: BTreeMap<u32, Bag>,
    /// What is to become of secrets, in order.
    pub secrets: Vec<SecretChange>,
    /// Keys of the unit's state; none: deleted.
    pub state: BTreeMap<String, Option<String>>,
    /// Ports, and whether each is to be open.
    pub ports: BTreeMap<Port, bool>,
    /// Juju 3's leader settings.
    pub leader_settings: Bag,
}

/// What an action has said so far.
#[derive(Debug, Default)]
pub(crate) struct ActionSoFar {
    /// `action-set`.
    pub results: Map<String, Value>,
    /// `action-fail`.
    pub failure: Option<String>,
    /// `action-log`.
    pub log: Vec<(SystemTime, String)>,
}

/// What is kept of a run.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Tools called.
    pub tool_calls: Vec<ToolCall>,
    /// Lines logged.
    pub log: Vec<LogLine>,
    /// Statuses set.
    pub statuses: Vec<Status>,
}

/// Whose bag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The unit's.
    Unit,
    /// The application's.
    App,
}

impl HookContext<'_> {
    /// The application's name.
    pub(crate) fn app(&self) -> &str {
        split_unit(&self.unit).map_or("", |(app, _)| app)
    }

    /// Whether the unit leads.
    pub(crate) fn is_leader(&self) -> bool {
        self.model.is_leader(&self.unit)
    }

    /// Whether Juju 3 is played, whose texts differ here and there.
    pub(crate) fn is_juju_3(&self) -> bool {
        self.model.juju_version.starts_with("3.")
    }

    /// Adds a line to the model's log and to the run's.
    pub(crate) fn log(&mut self, level: &str, logger: &str, text: &str) {
        let line = LogLine {
            at: SystemTime::now(),
            entity: format!("unit-{}", self.unit.replace('/', "-")),
            level: level.to_owned(),
            module: format!("unit.{}.{logger}", self.unit),
            text: text.to_owned(),
        };
        self.record.log.push(line.clone());
        self.model.log.push(line);
    }

    /// A path as the charm means it, on the host.
    pub(crate) fn on_host(&self, directory: &str, path: &str) -> PathBuf {
        let full = Path::new(directory).join(path);
        match full.strip_prefix("/var/lib/juju") {
            Ok(inner) => self.data.join(inner),
            Err(_) => full,
        }
    }

    /// The number in a relation's id, if the unit has entered that relation.
    pub(crate) fn relation_id(&self, text: &str) -> Result<u32, String> {
        let number = text.rsplit_once(':').map_or(text, |(_, number)| number);
        let number: i64 = number
            .parse()
            .map_err(|_| "invalid relation id".to_owned())?;
        u32::try_from(number)
            .ok()
            .filter(|id| self.seen(*id).is_some())
            .ok_or_else(|| "relation not found".to_owned())
    }

    fn seen(&self, id: u32) -> Option<&RelationSeen> {
        self.model.unit(&self.unit)?.agent.relations.get(&id)
    }

    /// Ids of the relations of an endpoint, as the agent remembers them: also of one whose broken hook
    /// this is, and of one that the controller has forgotten.
    pub(crate) fn relation_ids(&self, endpoint: &str) -> Vec<String> {
        let listed = |id: &u32, seen: &RelationSeen| {
            let hidden = seen.dying_from_the_start && self.members(*id).is_empty();
            seen.endpoint == endpoint && !hidden
        };
        let Some(unit) = self.model.unit(&self.unit) else {
            return Vec::new();
        };
        let all = unit.agent.relations.iter();
        let ids = all.filter(|(id, seen)| listed(id, seen));
        // Juju sorts them as text.
        let sorted: BTreeSet<String> = ids.map(|(id, _)| format!("{endpoint}:{id}")).collect();
        sorted.into_iter().collect()
    }

    /// Whether the controller has forgotten a relation that the agent still knows.
    pub(crate) fn is_gone(&self, id: u32) -> bool {
        self.model.relations.get(&id).is_none_or(|r| r.gone)
    }

    /// The remote units that have joined, as this hook sees them.
    pub(crate) fn members(&self, id: u32) -> Vec<String> {
        let mut members: BTreeSet<String> = self
            .seen(id)
            .map(|seen| seen.members.keys().cloned().collect())
            .unwrap_or_default();
        if let Some(event) = self.event.relation().filter(|event| event.id == id) {
            match (event.kind, &event.remote_unit) {
                (RelationKind::Broken, _) => members.clear(),
                (RelationKind::Departed, Some(unit)) => {
                    members.remove(unit);
                }
                (_, Some(unit)) => {
                    members.insert(unit.clone());
                }
                (_, None) => {}
            }
        }
        members.into_iter().collect()
    }

    /// The unit's own end.
    pub(crate) fn local(&self, id: u32) -> Option<&Side> {
        self.model.relations.get(&id)?.local(self.app())
    }

    /// The other end.
    pub(crate) fn remote(&self, id: u32) -> Option<&Side> {
        self.model.relations.get(&id)?.remote(self.app())
    }

    /// One of the unit's own bags, with what it has just set.
    pub(crate) fn own_bag(&self, id: u32, whose: Whose) -> Bag {
        let committed = self.local(id).and_then(|side| match whose {
            Whose::Unit => side.unit_bag(&self.unit),
            Whose::App => Some(&side.bag.data),
        });
        let mut bag = committed.cloned().unwrap_or_default();
        let pending = match whose {
            Whose::Unit => self.pending.unit_bags.get(&id),
            Whose::App => self.pending.app_bags.get(&id),
        };
        for (key, value) in pending.into_iter().flatten() {
            if value.is_empty() {
                bag.remove(key);
            } else {
                bag.insert(key.clone(), value.clone());
            }
        }
        bag
    }

    /// Sets keys of one of the unit's own bags, once the hook has succeeded.
    pub(crate) fn set_bag(&mut self, id: u32, whose: Whose, changes: Bag) {
        let bags = match whose {
            Whose::Unit => &mut self.pending.unit_bags,
            Whose::App => &mut self.pending.app_bags,
        };
        bags.entry(id).or_default().extend(changes);
    }

    /// The secrets that this unit or its application owns, as this hook has changed them.
    pub(crate) fn owned_secrets(&self) -> Vec<Secret> {
        let mut all = self.model.secrets.clone();
        secret_changes::apply(&mut all, &self.pending.secrets);
        let owned = |secret: &Secret| secret.is_owned_by(&self.unit);
        all.into_values().filter(owned).collect()
    }

    /// The unit's state, as this hook has changed it.
    pub(crate) fn state(&self) -> Bag {
        let committed = self.model.unit(&self.unit).map(|unit| unit.state.clone());
        let mut state = committed.unwrap_or_default();
        change_state(&mut state, &self.pending.state);
        state
    }

    /// The unit's open ports, as this hook has changed them.
    pub(crate) fn ports(&self) -> BTreeSet<Port> {
        let committed = self.model.unit(&self.unit).map(|unit| unit.ports.clone());
        let mut ports = committed.unwrap_or_default();
        change_ports(&mut ports, &self.pending.ports);
        ports
    }

    /// Why the controller would refuse what was held back.
    fn refusal(&self) -> Option<String> {
        let units = self.pending.unit_bags.keys().map(|id| (*id, Whose::Unit));
        let apps = self.pending.app_bags.keys().map(|id| (*id, Whose::App));
        let size = |(id, whose)| -> usize {
            let bag = self.own_bag(id, whose);
            bag.iter().map(|(key, value)| key.len() + value.len()).sum()
        };
        let largest = units.chain(apps).map(size).max()?;
        let most = self.model.largest_bag;
        (largest > most).then(|| format!("max allowed content size ({most}): quota limit exceeded"))
    }

    /// Hands all that was held back to the controller: all of it, or nothing and why.
    pub(crate) fn commit(&mut self) -> Result<(), String> {
        if let Some(why) = self.refusal() {
            return Err(why);
        }
        let pending = std::mem::take(&mut self.pending);
        secret_changes::apply(&mut self.model.secrets, &pending.secrets);
        if let Some(unit) = self.model.unit_mut(&self.unit) {
            change_state(&mut unit.state, &pending.state);
            change_ports(&mut unit.ports, &pending.ports);
        }
        let app = self.app().to_owned();
        if let Some(app) = self.model.applications.get_mut(&app) {
            app.leader_settings.extend(pending.leader_settings.clone());
        }
        self.commit_bags(pending, &app);
        Ok(())
    }

    fn commit_bags(&mut self, pending: Pending, app: &str) {
        for (id, changes) in pending.unit_bags {
            let side = self
                .model
                .relations
                .get_mut(&id)
                .and_then(|r| r.local_mut(app));
            if let Some(unit) = side.and_then(|side| side.units.get_mut(&self.unit)) {
                unit.bag.apply(&changes);
            }
        }
        for (id, changes) in pending.app_bags {
            let side = self
                .model
                .relations
                .get_mut(&id)
                .and_then(|r| r.local_mut(app));
            if let Some(side) = side {
                side.bag.apply(&changes);
            }
        }
    }
}

fn change_state(state: &mut Bag, changes: &BTreeMap<String, Option<String>>) {
    for (key, value) in changes {
        match value {
            Some(value) => state.insert(key.clone(), value.clone()),
            None => state.remove(key),
        };
    }
}

fn change_ports(ports: &mut BTreeSet<Port>, changes: &BTreeMap<Port, bool>) {
    for (port, open) in changes {
        if *open {
            ports.insert(port.clone());
        } else {
            ports.remove(port);
        }
    }
}
