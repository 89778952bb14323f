//! Alert rules for Prometheus, with facts in them that only this charm knows: each schedule and its interval, since
//! when it is paused, how its last backup ended and what it has no data of.
//!
//! **Invariant:** equal facts give equal rules. There is no rule for what does not exist, and none on a metric that
//! cannot tell: `velero_backup_last_status` is set back to 1 within a minute, in every 1.18 (`rules_use_real_metrics`).

mod kinds;
mod rules;
pub(crate) mod schedules;

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use self::schedules::Schedule;
pub(crate) use self::{kinds::Severity, rules::rules};

/// The label that tells the targets of one job apart. `node` would be Velero's own.
pub(crate) const PART: &str = "velero_part";
/// The node that a node agent is on.
pub(crate) const NODE: &str = "k8s_node";
/// The parts.
pub(crate) const SERVER_PART: &str = "server";
pub(crate) const AGENT_PART: &str = "node-agent";

/// What the rules depend on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) schedules: Vec<Schedule>,
    /// By name.
    pub(crate) locations: Vec<String>,
    /// How many node agents there are to be, if any.
    pub(crate) node_agents: Option<i32>,
    /// Repositories whose maintenance has not been done for days.
    pub(crate) neglected: Vec<Neglected>,
    pub(crate) password: RepositoryPassword,
}

/// A repository of volumes' files, and when it was maintained last.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Neglected {
    pub(crate) repository: String,
    pub(crate) since: Timestamp,
}

/// What encrypts the files of volumes that are in the store.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum RepositoryPassword {
    /// There are no files, or somebody has chosen it.
    #[default]
    Fine,
    /// Velero's own, which everybody knows.
    Known,
}

/// One rule, without the labels that say whose it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Rule {
    pub(crate) alert: &'static str,
    pub(crate) severity: Severity,
    pub(crate) expr: String,
    /// How long it has to hold.
    pub(crate) patience: SignedDuration,
    /// What it is about, where the expression does not say so.
    pub(crate) about: Vec<(&'static str, String)>,
    pub(crate) summary: String,
    pub(crate) description: String,
}

/// What selects our series.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Matchers(Vec<String>);

impl Matchers {
    pub(crate) fn new(labels: &[(&str, &str)]) -> Self {
        Self(labels.iter().map(matcher).collect())
    }

    /// The series of a metric that have these labels too.
    fn of(&self, metric: &str, labels: &[(&str, &str)]) -> String {
        let more = labels.iter().map(matcher);
        let all: Vec<_> = self.0.iter().cloned().chain(more).collect();
        format!("{metric}{{{}}}", all.join(","))
    }
}

fn matcher((label, value): &(&str, &str)) -> String {
    format!("{label}={value:?}")
}

/// A length of time in words that people use.
struct Words(SignedDuration);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.0.as_hours();
        match hours {
            0 => write!(f, "{} minutes", self.0.as_mins()),
            1..=48 => write!(f, "{hours} hours"),
            _ => write!(f, "{} days", hours / 24),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
