//! Last stage: what the user reads in `juju status`.
//!
//! **Invariant:** every Juju status is made and set here (`statuses_are_made_in_one_place`). A message names the cause
//! and ends with the next step; [`Tools`](crate::juju::Tools) makes one line of it, without secrets.

use provider_api::{Descriptor, Problem, Problems, Registry, StorageProvider};
use tracing::{debug, info, warn};

use super::{
    assess::{Health, Part},
    validate::{Desired, Intent, Why},
};
use crate::{
    cluster::{ClusterError, error::Remedy},
    context::Context,
    error::Error,
    juju::{JujuError, Level, Status, Unit},
    velero::{location, running::Running},
};

/// One thing to tell.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Finding {
    severity: Severity,
    text: String,
}

/// How bad a finding is, the worst first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Severity {
    /// Nothing is done until this is fixed.
    InvalidConfig,
    /// Velero does not run.
    Down,
    /// There is no store to use, or it does not work.
    NoStorage,
    /// Things will be fine without anybody doing anything.
    Awaited,
}

/// What takes a while, and so is announced first.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Undertaking {
    Install,
    Update,
    Configure,
    Remove,
}

/// What is known at the end of a hook.
#[derive(Debug)]
struct Known<'a> {
    unit: &'a Unit,
    registry: &'a Registry,
    desired: &'a Desired,
    health: &'a Health,
    /// What a change waits for, if it was held back.
    held_by: &'a [String],
    /// The provider whose location is in use.
    provider: Option<&'static Descriptor>,
}

/// The status for how things are.
pub(super) fn report(
    ctx: &Context,
    desired: &Desired,
    running: &Running,
    health: &Health,
    held_by: &[String],
) -> Status {
    // By the location and not by the relation: under [`Intent::Keep`] that of before is in use.
    let provider = running.location().and_then(location::provider);
    let provider = provider.and_then(|name| ctx.registry.by_name(name));
    let findings = findings(&Known {
        unit: &ctx.unit,
        registry: &ctx.registry,
        desired,
        health,
        held_by,
        provider: provider.map(StorageProvider::descriptor),
    });
    for finding in &findings {
        debug!("{}", finding.text);
    }
    status(&findings)
}

/// Sets the status, unless it is shown already.
pub(super) async fn show(status: &Status, ctx: &Context) -> Result<(), JujuError> {
    let status = ctx.tools.presentable(status);
    if ctx.tools.status().await? == status {
        return Ok(());
    }
    match status.level {
        Level::Blocked => warn!("Blocked: {}.", status.message.trim_end_matches('.')),
        level => info!("Now {level}: {}.", or_all_well(&status.message)),
    }
    ctx.tools.set_status(&status).await
}

/// Tells what is being done.
pub(crate) async fn announce(what: Undertaking, ctx: &Context) -> Result<(), JujuError> {
    let message = match what {
        Undertaking::Install => "installing Velero",
        Undertaking::Update => "updating Velero",
        Undertaking::Configure => "configuring the object store",
        Undertaking::Remove => "removing Velero",
    };
    let status = Status {
        level: Level::Maintenance,
        message: message.into(),
    };
    ctx.tools.set_status(&status).await
}

fn or_all_well(message: &str) -> &str {
    if message.is_empty() {
        "all is well"
    } else {
        message
    }
}

/// Everything there is to tell, the worst first, and else in this order.
fn findings(known: &Known<'_>) -> Vec<Finding> {
    let Health {
        server,
        node_agent,
        location,
    } = known.health;
    let config = known.desired.core.as_ref().err();
    let config = config.map(|problems| {
        let text = format!("invalid config: {problems}");
        Finding::new(Severity::InvalidConfig, text)
    });
    let held = known.held_by.first().map(|first| {
        let more = count(known.held_by.len());
        let text = format!("change held back until {first}{more} has ended");
        Finding::new(Severity::Awaited, text)
    });
    let location = of_part(location, Severity::NoStorage).map(|mut finding| {
        let provider = known
            .provider
            .filter(|_| finding.severity == Severity::NoStorage);
        if let Some(advice) = provider.and_then(|provider| provider.advice_for(&finding.text)) {
            finding.text = format!("{}; {advice}", finding.text.trim_end_matches('.'));
        }
        finding
    });
    let all = [
        config,
        held,
        of_intent(known),
        location,
        of_part(server, Severity::Down),
        of_part(node_agent, Severity::Down),
    ];
    let mut findings: Vec<_> = all.into_iter().flatten().collect();
    findings.sort_by_key(|finding| finding.severity);
    findings
}

fn of_part(part: &Part, bad: Severity) -> Option<Finding> {
    match part {
        Part::Good => None,
        // Something else says why there is nothing to say.
        Part::Pending(what) if what.is_empty() => None,
        Part::Pending(what) => Some(Finding::new(
            Severity::Awaited,
            format!("waiting for {what}"),
        )),
        Part::Bad(cause) => Some(Finding::new(bad, cause.clone())),
    }
}

fn of_intent(known: &Known<'_>) -> Option<Finding> {
    let Unit { application, .. } = known.unit;
    match &known.desired.storage {
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
            let integrators: Vec<_> = known
                .registry
                .descriptors()
                .map(|descriptor| descriptor.integrator)
                .collect();
            let integrators = integrators.join("` or `");
            let text = format!("no object store: run `juju integrate {application} {integrators}`");
            Some(Finding::new(Severity::NoStorage, text))
        }
        Intent::Keep(Why::Waiting(what)) => Some(Finding::new(
            Severity::Awaited,
            format!("waiting for {what}"),
        )),
        Intent::Keep(Why::Invalid {
            integrators,
            problems,
        }) => {
            Some(if problems.iter().all(Problem::is_retryable) {
                // They share their cause.
                let problem = problems.first();
                let integrators = integrators.join("`, `");
                let text = format!("waiting for `{integrators}`: {problem}");
                Finding::new(Severity::Awaited, text)
            } else {
                invalid(integrators, problems)
            })
        }
        Intent::Keep(Why::Options) => None,
        Intent::Keep(Why::Several(integrators)) => {
            let last = integrators.last()?;
            let integrators = integrators.join("`, `");
            let text = format!(
                "more than one object store (`{integrators}`): run `juju remove-relation \
                 {application} {last}` or remove another"
            );
            Some(Finding::new(Severity::NoStorage, text))
        }
    }
}

fn invalid(integrators: &[String], problems: &Problems) -> Finding {
    let integrators = integrators.join("`, `");
    let text = format!("data from `{integrators}` is invalid: {problems}");
    Finding::new(Severity::NoStorage, text)
}

/// The status for all that was found: the worst decides, the others are counted.
fn status(findings: &[Finding]) -> Status {
    let Some(worst) = findings.first() else {
        return Status {
            level: Level::Active,
            message: String::new(),
        };
    };
    Status {
        level: match worst.severity {
            Severity::InvalidConfig | Severity::Down | Severity::NoStorage => Level::Blocked,
            Severity::Awaited => Level::Waiting,
        },
        message: format!("{}{}", worst.text, count(findings.len())),
    }
}

/// The status for a hook that could not be finished; `None` if Juju should run it again.
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
    fn new(severity: Severity, text: String) -> Self {
        Self { severity, text }
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
