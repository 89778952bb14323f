//! Last stage: what the user is told.
//!
//! **Invariant:** the only place that makes a Juju status. A message names the cause and ends with the
//! next step; [`Tools`](crate::juju::Tools) makes one line of it, without secrets.

use provider_api::{Descriptor, Problem, Problems, Registry};

use super::{
    Error,
    assess::{Health, Part},
    validate::{Desired, Intent, Why},
};
use crate::{
    cluster::{ClusterError, error::Remedy},
    juju::{Level, Status, Unit},
};

/// One thing to tell, the worse the smaller.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Finding {
    /// The charm can do nothing until this is mended.
    Barred(String),
    /// Velero does not run.
    Down(String),
    /// There is no store to use, or it does not work.
    NoStorage(String),
    /// Things will be fine without anybody doing anything.
    Awaited(String),
}

/// What is known at the end of a hook.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) unit: &'a Unit,
    pub(crate) registry: &'a Registry,
    pub(crate) desired: &'a Desired,
    pub(crate) health: &'a Health,
    /// What a change waits for, if it was held back.
    pub(crate) held_by: &'a [String],
    /// The provider whose location is in use.
    pub(crate) provider: Option<&'static Descriptor>,
}

/// Everything there is to tell, the worst first.
pub(crate) fn findings(report: &Report<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Err(problems) = &report.desired.core {
        findings.push(Finding::Barred(format!("invalid config: {problems}")));
    }
    findings.extend(of_part(&report.health.server, Finding::Down));
    findings.extend(of_part(&report.health.node_agent, Finding::Down));
    findings.extend(of_part(&report.health.location, |cause| {
        let advice = report
            .provider
            .and_then(|provider| provider.advice_for(&cause));
        Finding::NoStorage(match advice {
            Some(advice) => format!("{}; {advice}", cause.trim_end_matches('.')),
            None => cause,
        })
    }));
    findings.extend(of_intent(report));
    if let Some(first) = report.held_by.first() {
        let more = count(report.held_by.len());
        findings.push(Finding::Awaited(format!(
            "change held back until {first}{more} has ended"
        )));
    }
    findings.sort();
    findings
}

fn of_part(part: &Part, bad: impl Fn(String) -> Finding) -> Option<Finding> {
    match part {
        Part::Good => None,
        // Something else says why there is nothing to say.
        Part::Pending(what) if what.is_empty() => None,
        Part::Pending(what) => Some(Finding::Awaited(format!("waiting for {what}"))),
        Part::Bad(cause) => Some(bad(cause.clone())),
    }
}

fn of_intent(report: &Report<'_>) -> Option<Finding> {
    let Unit { application, .. } = report.unit;
    match &report.desired.storage {
        Intent::Set {
            storage,
            integrators,
            ..
        } => {
            let problems = storage.gaps.iter().map(|gap| gap.problem.clone());
            let problems = Problems::from_vec(problems.collect())?;
            Some(invalid(integrators, &problems))
        }
        Intent::None => {
            let integrators: Vec<_> = report
                .registry
                .descriptors()
                .map(|descriptor| descriptor.integrator)
                .collect();
            Some(Finding::NoStorage(format!(
                "no object store: run `juju integrate {application} {}`",
                integrators.join("` or `")
            )))
        }
        Intent::Keep(Why::Waiting(what)) => Some(Finding::Awaited(format!("waiting for {what}"))),
        Intent::Keep(Why::Invalid {
            integrators,
            problems,
        }) => {
            Some(if problems.iter().all(Problem::is_retryable) {
                // They share their cause.
                let problem = problems.first();
                let integrators = integrators.join("`, `");
                Finding::Awaited(format!("waiting for `{integrators}`: {problem}"))
            } else {
                invalid(integrators, problems)
            })
        }
        Intent::Keep(Why::Several(integrators)) => {
            let last = integrators.last()?;
            Some(Finding::NoStorage(format!(
                "more than one object store (`{}`): run `juju remove-relation {application} {last}` \
                 or remove another",
                integrators.join("`, `")
            )))
        }
    }
}

fn invalid(integrators: &[String], problems: &Problems) -> Finding {
    let integrators = integrators.join("`, `");
    Finding::NoStorage(format!("data from `{integrators}` is invalid: {problems}"))
}

/// The status for all that was found: the worst decides, the others are counted.
pub(crate) fn status(findings: &[Finding]) -> Status {
    let Some(worst) = findings.first() else {
        return Status {
            level: Level::Active,
            message: String::new(),
        };
    };
    Status {
        level: worst.level(),
        message: format!("{}{}", worst.text(), count(findings.len())),
    }
}

/// The status for a hook that could not be finished; none if Juju should run it again.
pub(crate) fn of_error(error: &Error, unit: &Unit) -> Option<Status> {
    let (level, message) = match error {
        Error::NotTrusted => (Level::Blocked, not_trusted("", unit)),
        Error::Foreign(strangers) => {
            let advice = strangers.first()?.advice();
            (
                Level::Blocked,
                format!("{advice}{}", count(strangers.len())),
            )
        }
        Error::Cluster(error) => of_cluster(error, unit),
        Error::Cli(error) => (
            Level::Blocked,
            format!("{error}; run `juju refresh {}`", unit.application),
        ),
        Error::Deadline => (
            Level::Waiting,
            "the hook ran out of time; the next one goes on".into(),
        ),
        Error::Juju(_) | Error::Registry(_) | Error::Internal(_) => return None,
    };
    Some(Status { level, message })
}

fn of_cluster(error: &ClusterError, unit: &Unit) -> (Level, String) {
    match error.remedy() {
        Remedy::Trust => {
            let lacking = match error.lacking() {
                Some(lacking) => format!(" to {lacking}"),
                None => String::new(),
            };
            (Level::Blocked, not_trusted(&lacking, unit))
        }
        Remedy::Time => (
            Level::Waiting,
            format!("{error}; the next hook tries again"),
        ),
        Remedy::None => (
            Level::Waiting,
            "the model's namespace is being deleted: nothing more is done in it".into(),
        ),
        Remedy::Quota => (
            Level::Blocked,
            format!(
                "{}; raise that quota or make room in it",
                error.in_general()
            ),
        ),
        Remedy::Policy => (
            Level::Blocked,
            format!(
                "{}; have that rule of the cluster allow it",
                error.in_general()
            ),
        ),
        Remedy::Unknown => (Level::Blocked, error.to_string()),
    }
}

fn not_trusted(lacking: &str, unit: &Unit) -> String {
    let Unit { application, .. } = unit;
    format!("not trusted{lacking}: run `juju trust {application} --scope=cluster`")
}

impl Finding {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Barred(text) | Self::Down(text) | Self::NoStorage(text) | Self::Awaited(text) => {
                text
            }
        }
    }

    fn level(&self) -> Level {
        match self {
            Self::Barred(_) | Self::Down(_) | Self::NoStorage(_) => Level::Blocked,
            Self::Awaited(_) => Level::Waiting,
        }
    }
}

fn count(all: usize) -> String {
    if all > 1 {
        format!(" (and {} more)", all - 1)
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests;
