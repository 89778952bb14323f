//! What the controller knows: plain data.
//!
//! Invariant: everything that outlives a hook is in [`Model`], and it reads back as it was written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::charm::Charm;
use super::event::Event;
use super::run::LogLine;
use super::scripted::{Heard, Peer};
use super::secrets::Secret;

/// A bag of relation data, a unit's state and the like.
pub type Bag = BTreeMap<String, String>;

/// A model and all that is in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Model {
    /// Its name, which is also its namespace.
    pub name: String,
    /// Its id.
    pub uuid: String,
    /// The version of Juju that is played.
    pub juju_version: String,
    /// Whether its charms find a cluster.
    #[serde(default)]
    pub on_cluster: bool,
    /// The Kubernetes version that the charm is given.
    pub cloud_api_version: String,
    /// `juju-http-proxy` and the like of the model's config, as far as set.
    #[serde(default)]
    pub proxies: Bag,
    /// The controllers' addresses that the charm is given.
    pub api_addresses: String,
    /// Applications by name.
    pub applications: BTreeMap<String, Application>,
    /// Relations by id.
    pub relations: BTreeMap<u32, Relation>,
    /// Secrets by id.
    pub secrets: BTreeMap<String, Secret>,
    /// What the next relation, action and so on will be called.
    pub next: Counters,
    /// How long the model has been there, by its own time.
    #[serde(default)]
    pub now: Duration,
    /// `automatically-retry-hooks`.
    #[serde(default = "yes")]
    pub retries_hooks: bool,
    /// The most that one bag may hold, keys and values together; more fails the commit.
    #[serde(default = "largest_bag")]
    pub largest_bag: usize,
    /// The log.
    pub log: Vec<LogLine>,
}

pub(crate) const fn largest_bag() -> usize {
    16 << 20
}

const fn yes() -> bool {
    true
}

/// Numbers that are given once.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Counters {
    /// For relations.
    pub relation: u32,
    /// For actions.
    pub action: u32,
    /// Ids for the secrets to come, newest first, where a test wants to know them before.
    #[serde(default)]
    pub secret_ids: Vec<String>,
}

impl Counters {
    /// Gives a secret the id that was set aside for it, if one was.
    pub(crate) fn name_secret(&mut self, secret: &mut Secret) {
        if let Some(id) = self.secret_ids.pop() {
            secret.id = id;
        }
    }
}

/// A port that a unit has opened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Port {
    /// `tcp`, `udp` or `icmp`.
    pub protocol: String,
    /// Its number; none for `icmp`.
    pub number: u16,
}

impl Display for Port {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        if self.number == 0 {
            formatter.write_str(&self.protocol)
        } else {
            write!(formatter, "{}/{}", self.number, self.protocol)
        }
    }
}

/// Whether something is to stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Life {
    /// It stays.
    #[default]
    Alive,
    /// It is going.
    Dying,
}

/// An application.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Application {
    /// Its name.
    pub name: String,
    /// What it runs.
    pub kind: Kind,
    /// What the user has set.
    pub config: BTreeMap<String, Value>,
    /// Counts how often something was set in `config`.
    pub config_version: u64,
    /// Counts the charms that it has had.
    pub charm_revision: u32,
    /// Whether it was deployed with `--trust`, or trusted later.
    pub trusted: bool,
    /// Whether it stays.
    pub life: Life,
    /// Whether it was removed with `--force`: a unit whose hook fails is forgotten, and what is in the
    /// cluster stays there.
    #[serde(default)]
    pub forced: bool,
    /// Its role in the cluster is yet to be brought up to `trusted`.
    #[serde(default)]
    pub role_is_late: bool,
    /// The unit that leads.
    pub leader: Option<u32>,
    /// Its units by number.
    pub units: BTreeMap<u32, Unit>,
    /// What the next unit will be called.
    pub next_unit: u32,
    /// What the leader said about it.
    pub status: Vec<Status>,
    /// The version of its workload.
    pub version: String,
    /// The address of its service.
    #[serde(default)]
    pub service_address: String,
    /// Files that the user attached, as the charm sees them, by resource.
    #[serde(default)]
    pub resources: Bag,
    /// What its leader told the others; Juju 3 alone.
    #[serde(default)]
    pub leader_settings: Bag,
}

/// What an application runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Kind {
    /// A built charm.
    Charm(Charm),
    /// A charm that is played within the emulator.
    Scripted(Peer),
}

/// A unit and what its agent remembers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Unit {
    /// Its number.
    pub number: u32,
    /// Whether it stays.
    pub life: Life,
    /// The controller has no record of it any more, which its agent has yet to learn.
    #[serde(default)]
    pub forgotten: bool,
    /// What it says of its workload, newest last.
    pub status: Vec<Status>,
    /// The address of its pod.
    pub address: String,
    /// What `network-get` calls the pod's network.
    #[serde(default)]
    pub interface: String,
    /// What it has put down with `state-set`.
    #[serde(default)]
    pub state: Bag,
    /// Ports that it has opened.
    #[serde(default)]
    pub ports: BTreeSet<Port>,
    /// What its agent has done so far.
    pub agent: Agent,
}

/// What a unit's agent has told the charm so far.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each hook has run or not, on its own"
)]
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Agent {
    /// `install` has succeeded.
    pub installed: bool,
    /// `start` has succeeded.
    pub started: bool,
    /// `stop` has succeeded.
    pub stopped: bool,
    /// `remove` has succeeded.
    pub removed: bool,
    /// `leader-elected` has succeeded since it last became the leader.
    pub led: bool,
    /// The charm has called `status-set` at least once.
    pub spoke: bool,
    /// The charm that is in its charm directory.
    pub charm_revision: u32,
    /// The settings that `config-changed` has last told of.
    pub config: Option<ConfigSeen>,
    /// `config-changed` is to run once more for the same change.
    #[serde(default)]
    pub echo: bool,
    /// The relations that it has entered.
    pub relations: BTreeMap<u32, RelationSeen>,
    /// Hooks that were asked for by name.
    pub queue: Vec<Event>,
    /// The hook that failed.
    pub failed: Option<Event>,
    /// How often it has failed in a row.
    #[serde(default)]
    pub tries: u32,
    /// When it is to be tried again.
    #[serde(default)]
    pub retry_at: Option<Duration>,
    /// A hook that was killed, or that is to be tried again: before all others.
    #[serde(default)]
    pub pending: Option<Event>,
    /// When `update-status` was last due.
    #[serde(default)]
    pub updated_at: Duration,
    /// The pod was deleted by force: what still runs in it has a token that nobody accepts.
    #[serde(default)]
    pub token_void: bool,
    /// The pod was replaced, and the charm directory with it.
    #[serde(default)]
    pub charm_lost: bool,
    /// What it has acted upon, where it is played.
    #[serde(default)]
    pub heard: Heard,
    /// Revisions of own secrets of which the charm was told that nobody follows them any more.
    #[serde(default)]
    pub obsolete: BTreeSet<(String, u32)>,
}

/// What makes `config-changed` run when it differs. Settings count only if something was set since: a
/// reset alone tells no agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigSeen {
    /// The application's `config_version`.
    pub version: u64,
    /// Its settings.
    #[serde(default)]
    pub settings: BTreeMap<String, Value>,
    /// Its trust.
    pub trusted: bool,
    /// The unit's address.
    pub address: String,
}

/// How far a unit has followed a relation, and what its agent remembers of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RelationSeen {
    /// The unit's own endpoint.
    #[serde(default)]
    pub endpoint: String,
    /// It was dying already when the agent was started. Such a one is listed no more once its last member
    /// has gone; all others are, until the end of their broken hook.
    #[serde(default)]
    pub dying_from_the_start: bool,
    /// Remote units that have joined, with the version of their bag last told; none: `joined` was
    /// told and `changed` is due.
    pub members: BTreeMap<String, Option<u64>>,
    /// The version of the remote application's bag last told.
    pub app: u64,
}

/// A relation between two endpoints, or of one with itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Relation {
    /// Its number.
    pub id: u32,
    /// The interface of both ends.
    pub interface: String,
    /// Whether it stays.
    pub life: Life,
    /// Its two ends; one, for a peer relation.
    pub sides: Vec<Side>,
    /// It was removed by force: the controller has forgotten it, which agents learn later.
    #[serde(default)]
    pub gone: bool,
}

/// One end of a relation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Side {
    /// The application.
    pub app: String,
    /// Its endpoint.
    pub endpoint: String,
    /// The application's bag.
    pub bag: Versioned,
    /// The bags of its units that are, or were, in the relation.
    pub units: BTreeMap<String, UnitBag>,
}

/// A bag that counts its changes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Versioned {
    /// What is in it.
    pub data: Bag,
    /// How often it was changed.
    pub version: u64,
}

/// A unit's bag.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct UnitBag {
    /// The bag.
    pub bag: Versioned,
    /// Whether the unit takes part now.
    pub present: bool,
}

/// A status, with the time from which it held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// `active`, `blocked` and so on.
    pub level: String,
    /// The text.
    pub message: String,
    /// Since when.
    pub since: SystemTime,
}

impl Status {
    /// A status that holds from now on.
    #[must_use]
    pub fn now(level: &str, message: &str) -> Self {
        Self {
            level: level.to_owned(),
            message: message.to_owned(),
            since: SystemTime::now(),
        }
    }
}

impl Versioned {
    /// Takes changes over; an empty value deletes. Counts only if something differs.
    pub fn apply(&mut self, changes: &Bag) {
        let before = self.data.clone();
        for (key, value) in changes {
            if value.is_empty() {
                self.data.remove(key);
            } else {
                self.data.insert(key.clone(), value.clone());
            }
        }
        if before != self.data {
            self.version += 1;
        }
    }
}

impl Relation {
    /// The end at which this application is.
    #[must_use]
    pub fn local(&self, app: &str) -> Option<&Side> {
        self.sides.iter().find(|side| side.app == app)
    }

    /// As [`Relation::local`], to change it.
    pub fn local_mut(&mut self, app: &str) -> Option<&mut Side> {
        self.sides.iter_mut().find(|side| side.app == app)
    }

    /// The end that this application looks at: its own, in a peer relation.
    #[must_use]
    pub fn remote(&self, app: &str) -> Option<&Side> {
        match self.sides.as_slice() {
            [only] if only.app == app => Some(only),
            [one, two] if one.app == app => Some(two),
            [one, two] if two.app == app => Some(one),
            _ => None,
        }
    }

    /// Whether it joins an application with itself.
    #[must_use]
    pub const fn is_peer(&self) -> bool {
        self.sides.len() == 1
    }
}

impl Side {
    /// The bag of a unit, whether it is still in or not.
    #[must_use]
    pub fn unit_bag(&self, unit: &str) -> Option<&Bag> {
        self.units.get(unit).map(|unit| &unit.bag.data)
    }

    /// Lets a unit in, with the keys that Juju writes on its own: its application's address.
    pub fn enter(&mut self, unit: &str, address: &str) {
        let defaults = [
            ("egress-subnets", format!("{address}/32")),
            ("ingress-address", address.to_owned()),
        ];
        let entry = self.units.entry(unit.to_owned()).or_default();
        entry.present = true;
        entry
            .bag
            .apply(&defaults.map(|(key, value)| (key.to_owned(), value)).into());
    }

    /// Lets a unit go; its bag can still be read.
    pub fn leave(&mut self, unit: &str) {
        if let Some(entry) = self.units.get_mut(unit) {
            entry.present = false;
        }
    }

    /// Names of the units that take part.
    pub fn present(&self) -> impl Iterator<Item = &String> {
        self.units
            .iter()
            .filter(|(_, unit)| unit.present)
            .map(|(name, _)| name)
    }
}

impl Application {
    /// The name of one of its units.
    #[must_use]
    pub fn unit_name(&self, number: u32) -> String {
        format!("{}/{number}", self.name)
    }

    /// The charm, unless it is played.
    #[must_use]
    pub const fn charm(&self) -> Option<&Charm> {
        match &self.kind {
            Kind::Charm(charm) => Some(charm),
            Kind::Scripted(_) => None,
        }
    }

    /// What the charm's option is now: as set, or its default.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&Value> {
        let default = || self.charm()?.options.get(key)?.default.as_ref();
        self.config.get(key).or_else(default)
    }
}

/// The application and number in a unit's name.
#[must_use]
pub fn split_unit(unit: &str) -> Option<(&str, u32)> {
    let (app, number) = unit.rsplit_once('/')?;
    Some((app, number.parse().ok()?))
}

impl Model {
    /// A unit by name.
    #[must_use]
    pub fn unit(&self, name: &str) -> Option<&Unit> {
        let (app, number) = split_unit(name)?;
        self.applications.get(app)?.units.get(&number)
    }

    /// A unit by name, to change it.
    pub fn unit_mut(&mut self, name: &str) -> Option<&mut Unit> {
        let (app, number) = split_unit(name)?;
        self.applications.get_mut(app)?.units.get_mut(&number)
    }

    /// The application of a unit.
    #[must_use]
    pub fn app_of(&self, unit: &str) -> Option<&Application> {
        self.applications.get(split_unit(unit)?.0)
    }

    /// Whether this unit leads its application.
    #[must_use]
    pub fn is_leader(&self, unit: &str) -> bool {
        split_unit(unit).is_some_and(|(app, number)| {
            self.applications
                .get(app)
                .is_some_and(|app| app.leader == Some(number))
        })
    }

    /// Relations in which this application takes part, peers last.
    #[must_use]
    pub fn relations_of(&self, app: &str) -> Vec<&Relation> {
        let mut all: Vec<_> = self
            .relations
            .values()
            .filter(|relation| relation.local(app).is_some())
            .collect();
        all.sort_by_key(|relation| (relation.is_peer(), relation.id));
        all
    }
}
