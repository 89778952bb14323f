//! Last stage: what the user reads in `juju status`.
//!
//! **Invariant:** every Juju status is made and set here (`statuses_are_made_in_one_place`). A message says what to do
//! and then why; [`Tools`](crate::juju::Tools) makes one line of it, without secrets.

use jiff::{SignedDuration, Timestamp};
use provider_api::{Descriptor, Problem, Problems, Registry, StorageProvider};
use tracing::{debug, info, warn};

use super::{
    assess::{Health, PartHealth, Protection, moment},
    hold::Held,
    validate::{Desired, Intent, Why},
};
use crate::{
    cluster::{ClusterError, error::Remedy},
    context::Context,
    error::Error,
    juju::{Clause, JujuError, Level, Status, Unit, more},
    relations::backups::Who,
    velero::{location, running::Running},
};

/// One thing to tell.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Finding {
    severity: Severity,
    /// At least one.
    clauses: Vec<Clause>,
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
    /// Somebody is not backed up as they ask.
    Unprotected,
    /// Things will be fine without anybody doing anything.
    Awaited,
    /// Velero works, and somebody should know something all the same.
    Remark,
}

/// What an integrator has not sent by then it lacks, or does not know that it should send it.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

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
    protection: &'a Protection,
    held: &'a Held,
    now: Timestamp,
    /// The provider whose location is in use.
    provider: Option<&'static Descriptor>,
}

impl Known<'_> {
    /// Since when an integrator has been waited for, if that is too long.
    fn overdue_since(&self) -> Option<String> {
        let since = self.desired.waiting_since?;
        (self.now.duration_since(since) >= PATIENCE).then(|| moment(since))
    }
}

/// Everything there is to tell, the worst first.
#[derive(Debug)]
pub(crate) struct Findings {
    all: Vec<Finding>,
    last_good: Option<Timestamp>,
}

/// What is to be told of how things are.
pub(super) fn report(
    ctx: &Context,
    desired: &Desired,
    running: &Running,
    health: &Health,
    protection: &Protection,
    held: &Held,
    now: Timestamp,
) -> Findings {
    // By the location and not by the relation: under [`Intent::Keep`] that of before is in use.
    let provider = running.location().and_then(location::provider);
    let provider = provider.and_then(|name| ctx.registry.by_name(name));
    let findings = findings(&Known {
        unit: &ctx.unit,
        registry: &ctx.registry,
        desired,
        health,
        protection,
        held,
        now,
        provider: provider.map(StorageProvider::descriptor),
    });
    for finding in &findings {
        for clause in &finding.clauses {
            debug!("{clause}");
        }
    }
    Findings {
        all: findings,
        last_good: protection.last_good,
    }
}

impl Findings {
    /// The worst decides.
    pub(super) fn status(&self) -> Status {
        status(&self.all, self.last_good)
    }

    /// A line each, under the level that it alone would have.
    pub(crate) fn lines(&self) -> Vec<String> {
        let lines = self.all.iter().flat_map(|finding| {
            let level = finding.severity.level();
            finding
                .clauses
                .iter()
                .map(move |clause| format!("{level}: {clause}"))
        });
        lines.collect()
    }
}

impl Severity {
    fn level(self) -> Level {
        match self {
            Self::InvalidConfig | Self::Down | Self::NoStorage | Self::Unprotected => {
                Level::Blocked
            }
            Self::Awaited => Level::Waiting,
            Self::Remark => Level::Active,
        }
    }
}

/// Sets the status, unless it is shown already.
pub(super) async fn show(status: &Status, ctx: &Context) -> Result<(), JujuError> {
    let shown = ctx.tools.presentable(status);
    if ctx.tools.status().await? == shown {
        return Ok(());
    }
    match status.level {
        Level::Blocked => warn!("Blocked: {}.", shown.message.trim_end_matches('.')),
        level => info!("Now {level}: {}.", or_all_well(&shown.message)),
    }
    ctx.tools.set_status(status).await
}

/// Tells what is being done.
pub(crate) async fn announce(what: Undertaking, ctx: &Context) -> Result<(), JujuError> {
    let message = match what {
        Undertaking::Install => "installing Velero",
        Undertaking::Update => "updating Velero",
        Undertaking::Configure => "configuring the object store",
        Undertaking::Remove => "removing Velero",
    };
    let status = Status::new(Level::Maintenance, Clause::of_cause(message));
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
    let config = config.map(|problems| Finding {
        severity: Severity::InvalidConfig,
        clauses: clauses(problems),
    });
    let held = known.held.by.first().map(|first| {
        let more = more(known.held.by.len() - 1);
        let advice = format!("waiting for {first}{more} to end");
        Finding::new(
            Severity::Awaited,
            Clause::new(advice, "a change is held back"),
        )
    });
    let location = match location {
        PartHealth::Bad(clause) => Some(Finding::new(Severity::NoStorage, advised(clause, known))),
        other => of_part(other, Severity::NoStorage),
    };
    let all = [
        config,
        held,
        of_intent(known),
        location,
        of_part(server, Severity::Down),
        of_part(node_agent, Severity::Down),
    ];
    let remarks = known.desired.complaints.iter().map(|complaint| {
        let (advice, cause) = complaint.in_words(&known.unit.model);
        Finding::new(Severity::Remark, Clause::new(advice, cause))
    });
    let mut findings: Vec<_> = all.into_iter().flatten().chain(remarks).collect();
    findings.extend(of_clients(known));
    let of_options = known.desired.core.iter().flat_map(|core| &core.remarks);
    findings.extend(of_options.map(|clause| Finding::new(Severity::Remark, clause.clone())));
    findings.extend(undeleted(known));
    findings.sort_by_key(|finding| finding.severity);
    findings
}

fn of_part(part: &PartHealth, bad: Severity) -> Option<Finding> {
    match part {
        PartHealth::Good => None,
        // Something else says why there is nothing to say.
        PartHealth::Pending(what) if what.is_empty() => None,
        PartHealth::Pending(what) => Some(awaited(what)),
        PartHealth::Later(clause) => Some(Finding::new(Severity::Awaited, clause.clone())),
        PartHealth::Bad(clause) => Some(Finding::new(bad, clause.clone())),
    }
}

/// Who asks for what cannot be, who is not backed up, and whose Backups may not hold what they are made for.
fn of_clients(known: &Known<'_>) -> Vec<Finding> {
    let clients = &known.desired.clients;
    let here = &known.unit.model;
    let faults = clients.faults.iter().map(|fault| {
        let of_it = clauses(&fault.problems).into_iter();
        let whose = match &fault.who {
            Who::Target(key) => key.seen_from(here),
            Who::Sender(name) => format!("`{name}`"),
        };
        Finding {
            severity: Severity::Unprotected,
            clauses: of_it.map(|clause| clause.prefix(&whose)).collect(),
        }
    });
    let troubles = known.protection.troubles.iter();
    let troubles = troubles.map(|clause| Finding::new(Severity::Unprotected, clause.clone()));
    let lacks = clients.lacks.iter().map(|(key, why)| {
        let whose = key.seen_from(here);
        Clause::of_cause(format!("backups of {whose} hold no data of volumes: {why}"))
    });
    let lacks: Vec<_> = lacks.collect();
    let remark = (!lacks.is_empty()).then_some(Finding {
        severity: Severity::Remark,
        clauses: lacks,
    });
    faults.chain(troubles).chain(remark).collect()
}

/// Backups that are no longer kept, and are there all the same: they take room, and nothing else.
fn undeleted(known: &Known<'_>) -> Option<Finding> {
    let all = &known.held.undeleted;
    let first = all.first()?;
    let more = more(all.len() - 1);
    let advice = format!(
        "run `juju run {} delete-backup backup-id={name} confirm={name}` once the cause is gone",
        known.unit.name,
        name = first.backup
    );
    let cause = format!(
        "Velero could not delete backup `{}`{more}, which `keep` no longer keeps: {}",
        first.backup, first.why
    );
    Some(Finding::new(Severity::Remark, Clause::new(advice, cause)))
}

/// What Velero says of the store, with what the provider knows about it.
fn advised(said: &Clause, known: &Known<'_>) -> Clause {
    let applications = &known.desired.applications;
    let advice = known
        .provider
        .and_then(|provider| applications.advice(provider, &said.cause));
    Clause {
        advice: advice.unwrap_or_else(|| said.advice.clone()),
        cause: said.cause.clone(),
    }
}

fn of_intent(known: &Known<'_>) -> Option<Finding> {
    let Unit { application, .. } = known.unit;
    match &known.desired.storage {
        Intent::Set { storage, .. } => {
            let problems = storage.gaps.iter().map(|gap| gap.problem.clone());
            let problems = Problems::from_vec(problems.collect())?;
            Some(invalid(&problems))
        }
        Intent::None => Some(Finding::new(
            Severity::NoStorage,
            no_store(known.registry, application),
        )),
        Intent::Keep(Why::Waiting(what)) => Some(match known.overdue_since() {
            Some(since) => {
                let integrators = known.desired.applications.list();
                let advice = format!("see in `juju status` what {integrators} lacks");
                let cause = format!("waiting for {what} since {since}");
                Finding::new(Severity::NoStorage, Clause::new(advice, cause))
            }
            None => awaited(what),
        }),
        Intent::Keep(Why::Invalid(problems)) => {
            Some(if problems.iter().all(Problem::is_retryable) {
                unreadable(problems.first(), known)
            } else {
                invalid(problems)
            })
        }
        Intent::Keep(Why::Options) => None,
        Intent::Keep(Why::Several(integrators)) => {
            let last = integrators.last()?;
            let integrators = integrators.join("`, `");
            Some(Finding::new(
                Severity::NoStorage,
                Clause::new(
                    format!(
                        "run `juju remove-relation {application} {last}` or remove another relation"
                    ),
                    format!("more than one object store (`{integrators}`)"),
                ),
            ))
        }
    }
}

/// What to do where no store is integrated.
pub(crate) fn no_store(registry: &Registry, application: &str) -> Clause {
    let mut integrators = registry.descriptors().map(|one| one.integrator);
    let first = integrators.next().unwrap_or_default();
    let others: Vec<_> = integrators.map(|one| format!("`{one}`")).collect();
    let others = match others.as_slice() {
        [] => String::new(),
        others => format!(" (or {})", others.join(", ")),
    };
    Clause::new(
        format!("run `juju integrate {application} {first}`{others}"),
        "no object store",
    )
}

fn awaited(what: &str) -> Finding {
    let advice = Clause::of_advice(format!("waiting for {what}"));
    Finding::new(Severity::Awaited, advice)
}

/// All that cannot be read shares its cause.
fn unreadable(problem: &Problem, known: &Known<'_>) -> Finding {
    let Problem {
        field,
        reason,
        hint,
        ..
    } = problem;
    let integrators = known.desired.applications.list();
    if let Some(since) = known.overdue_since() {
        let advice = "remove the relation and integrate again";
        let cause = format!("`{field}` {reason} since {since}");
        return Finding::new(Severity::NoStorage, Clause::new(advice, cause));
    }
    Finding::new(
        Severity::Awaited,
        Clause::new(
            format!("waiting for {integrators} ({hint})"),
            format!("`{field}` {reason}"),
        ),
    )
}

fn invalid(problems: &Problems) -> Finding {
    Finding {
        severity: Severity::NoStorage,
        clauses: clauses(problems),
    }
}

fn clauses(problems: &Problems) -> Vec<Clause> {
    let clause = |problem: &Problem| {
        let Problem {
            field,
            reason,
            hint,
            ..
        } = problem;
        Clause::new(hint, format!("`{field}` {reason}"))
    };
    problems.iter().map(clause).collect()
}

/// The status for all that was found: the worst decides, the others are counted. Where nothing is to be done, the last
/// good Backup stands in front, by the hour: a status that is said again is as good as new.
fn status(findings: &[Finding], last_good: Option<Timestamp>) -> Status {
    let last_good = last_good.map(|begun| {
        let hour = begun.strftime("%Y-%m-%d %H:00Z");
        Clause::of_cause(format!("last good backup after {hour}"))
    });
    let Some((worst, others)) = findings.split_first() else {
        return Status {
            level: Level::Active,
            clauses: last_good.into_iter().collect(),
            others: 0,
        };
    };
    if worst.severity == Severity::Remark {
        let remarks = worst.clauses.iter().cloned();
        return Status {
            level: Level::Active,
            clauses: last_good.into_iter().chain(remarks).collect(),
            others: others.len(),
        };
    }
    Status {
        level: worst.severity.level(),
        clauses: worst.clauses.clone(),
        others: others.len(),
    }
}

/// The status for a hook that could not be finished; `None` if Juju should run it again.
pub(crate) fn of_error(error: &Error, unit: &Unit) -> Option<Status> {
    let application = &unit.application;
    let (level, clause) = match error {
        Error::NotTrusted => (Level::Blocked, not_trusted("", application)),
        Error::Foreign(strangers) => {
            let (first, others) = strangers.split_first()?;
            return Some(Status {
                others: others.len(),
                ..Status::new(Level::Blocked, first.clause())
            });
        }
        Error::Cluster(error) => of_cluster(error, application),
        Error::Cli(error) => (
            Level::Blocked,
            Clause::new(
                format!("run `juju refresh {application}`"),
                error.to_string(),
            ),
        ),
        Error::Deadline => (
            Level::Waiting,
            Clause::new("waiting for the next hook", "this one ran out of time"),
        ),
        Error::Juju(_) | Error::Registry(_) | Error::Internal(_) => return None,
    };
    Some(Status::new(level, clause))
}

fn of_cluster(error: &ClusterError, application: &str) -> (Level, Clause) {
    match error.remedy() {
        Remedy::Trust => {
            let lacking = match error.lacking() {
                Some(lacking) => format!(" to {lacking}"),
                None => String::new(),
            };
            (Level::Blocked, not_trusted(&lacking, application))
        }
        Remedy::Time => (
            Level::Waiting,
            Clause::new("waiting for the API server", error.to_string()),
        ),
        Remedy::None => (
            Level::Waiting,
            Clause::new(
                "waiting for the model to be destroyed",
                "its namespace is being deleted",
            ),
        ),
        Remedy::Quota => (
            Level::Blocked,
            Clause::new("raise the quota or make room in it", error.in_general()),
        ),
        Remedy::Policy => (
            Level::Blocked,
            Clause::new("allow it in the cluster's policy", error.in_general()),
        ),
        Remedy::Certificate => (
            Level::Blocked,
            Clause::new("renew the API server's certificate", error.to_string()),
        ),
        Remedy::Unknown => (Level::Blocked, Clause::of_cause(error.to_string())),
    }
}

fn not_trusted(lacking: &str, application: &str) -> Clause {
    Clause::new(
        format!("run `juju trust {application} --scope=cluster`"),
        format!("not trusted{lacking}"),
    )
}

impl Finding {
    fn new(severity: Severity, clause: Clause) -> Self {
        Self {
            severity,
            clauses: vec![clause],
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
