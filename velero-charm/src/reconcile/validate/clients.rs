//! Who is to be backed up, and when: each target on its own, so that one that is wrong harms no other.

mod find;

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use provider_api::{Problem, Problems};
use serde_json::{Map, Value};

pub(crate) use self::find::{Name, find};
use super::{Core, Intent, text};
use crate::{
    ours::{
        keep::{self, Rule},
        schedule::{Key, Timing},
    },
    reconcile::observe::KEEP,
    relations::backups::{self, Client, ENDPOINTS, Fault, Target, Who, check_cron, check_ttl},
    velero::{install::VolumeBackups, template::Template},
};

const SCHEDULE: &str = "schedule";
const TTL: &str = "ttl";

/// Who asks to be backed up.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    /// Those that can be.
    pub(in crate::reconcile) wanted: BTreeMap<Key, Wanted>,
    /// What is wrong with others, whose Schedules stay as they are.
    pub(in crate::reconcile) faults: Vec<Fault>,
    /// Relations of which it is not known what they ask for: their Schedules stay too.
    pub(in crate::reconcile) unknown: BTreeSet<String>,
    /// Whose Backups hold no data of volumes, and why.
    pub(in crate::reconcile) lacks: Vec<(Key, &'static str)>,
}

/// What is to be kept of a target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::reconcile) struct Wanted {
    pub(in crate::reconcile) relation: String,
    pub(in crate::reconcile) template: Template,
    /// `None` if it is only backed up when somebody says so.
    pub(in crate::reconcile) timing: Option<Timing>,
    /// What is kept of the Backups of its Schedule; `None` if they have a lifetime.
    pub(in crate::reconcile) keep: Option<Rule>,
}

/// What is set for targets that bring nothing of their own.
struct Defaults {
    schedule: Option<String>,
    ttl: Option<String>,
    keep: Option<Result<Rule, String>>,
}

impl Defaults {
    fn of(config: &Map<String, Value>) -> Self {
        let set = |option| Some(text(config, option, "")).filter(|text| !text.is_empty());
        Self {
            schedule: set(SCHEDULE),
            ttl: set(TTL),
            keep: set(KEEP).map(|text| Rule::parse(&text)),
        }
    }
}

/// What is wrong with the options.
pub(super) fn check_options(config: &Map<String, Value>) -> Vec<Problem> {
    let Defaults {
        schedule,
        ttl,
        keep,
    } = Defaults::of(config);
    let problem = |option: &str, outcome: Result<(), (String, &str)>| {
        let (reason, right) = outcome.err()?;
        Some(Problem::invalid(
            option,
            reason,
            format!("set `{option}` to {right}"),
        ))
    };
    let schedule = schedule.and_then(|text| problem(SCHEDULE, check_cron(&text)));
    let ttl = ttl.and_then(|text| problem(TTL, check_ttl(&text)));
    let keep = keep.and_then(Result::err);
    let keep = keep.and_then(|reason| problem(KEEP, Err((reason, keep::SHAPE))));
    schedule.into_iter().chain(ttl).chain(keep).collect()
}

/// Understands all that was sent.
pub(super) fn clients(sent: &[Client], config: &Map<String, Value>) -> Clients {
    let defaults = Defaults::of(config);
    let unknown = backups::unknown(sent).into_iter().map(ToOwned::to_owned);
    let mut clients = Clients {
        unknown: unknown.collect(),
        ..Clients::default()
    };
    for one in sent.iter().flat_map(|client| &client.sent) {
        match one {
            Ok(target) => clients.add(target, &defaults),
            Err(fault) => clients.faults.push((**fault).clone()),
        }
    }
    // What is wrong in one place is not right for coming from another too.
    let wrong = clients.faults.iter().filter_map(Fault::key);
    let wrong: BTreeSet<_> = wrong.cloned().collect();
    clients.wanted.retain(|key, _| !wrong.contains(key));
    clients
}

impl Clients {
    fn add(&mut self, target: &Target, defaults: &Defaults) {
        let wanted = Wanted::of(target, defaults);
        match self.wanted.entry(target.key.clone()) {
            Entry::Vacant(place) => drop(place.insert(wanted)),
            Entry::Occupied(first) => {
                // An integrator passes on what the client may ask for at the other endpoint as well.
                let first = first.get();
                if is_at_the_same(&first.relation, &wanted.relation) && !first.is_same(&wanted) {
                    let relation = target.relation.clone();
                    self.faults
                        .push(twice(&target.key, &first.relation, relation));
                }
            }
        }
    }
}

impl Clients {
    /// With what their Backups lack where the node agent alone saves volumes.
    pub(super) fn with_lacks(self, core: Option<&Core>, storage: &Intent) -> Self {
        let by_files = core.is_some_and(|core| {
            core.volume_backups == VolumeBackups::FileSystem
                && core.settings.server.argument("features").is_none()
        });
        let by_agent_alone = by_files
            && matches!(storage, Intent::Set { storage, .. } if storage.snapshots.is_none());
        if !by_agent_alone {
            return self;
        }
        let all = self.wanted.iter();
        let lacks = all.filter_map(|(key, wanted)| Some((key.clone(), wanted.template.lack()?)));
        Self {
            lacks: lacks.collect(),
            ..self
        }
    }
}

impl Wanted {
    fn of(target: &Target, defaults: &Defaults) -> Self {
        let template = target.template.clone();
        let cron = target
            .schedule
            .clone()
            .or_else(|| defaults.schedule.clone());
        // How long its own Backups are of use it knows best.
        let has_its_own = template.ttl.is_some();
        let keep = defaults.keep.as_ref().filter(|_| !has_its_own);
        Self {
            keep: keep.and_then(|read| read.as_ref().ok().copied()),
            relation: target.relation.clone(),
            template: Template {
                ttl: template.ttl.clone().or_else(|| defaults.ttl.clone()),
                ..template
            },
            timing: cron.map(|cron| Timing {
                cron,
                paused: target.paused,
                skip_immediately: target.skip_immediately,
                owner_references: target.owner_references,
            }),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        (&self.template, &self.timing) == (&other.template, &other.timing)
    }
}

fn is_at_the_same(one: &str, other: &str) -> bool {
    let endpoint = |relation: &str| ENDPOINTS.iter().position(|name| relation.starts_with(name));
    endpoint(one) == endpoint(other)
}

fn twice(key: &Key, first: &str, relation: String) -> Fault {
    let reason = format!("is sent by relations `{first}` and `{relation}` in different ways");
    let problem = Problem::invalid("spec", reason, "remove one of the two relations");
    Fault {
        who: Who::Target(key.clone()),
        relation,
        problems: Problems::from(problem),
    }
}

#[cfg(test)]
mod tests;
