//! From facts to rules.

use jiff::{SignedDuration, Timestamp};

use super::{
    AGENT_PART, Facts, Matchers, Neglected, PART, RepositoryPassword, Rule, SERVER_PART, Words,
    kinds::{self, Kind},
    schedules::{Extent, Gap, Schedule, State},
};

/// When the last good backup of a schedule was done. Velero sets it again each minute from the Backups that it has,
/// so it survives restarts.
const LAST_GOOD: &str = "velero_backup_last_successful_timestamp";
/// Always there where the server is scraped.
const BACKUPS: &str = "velero_backup_total";

/// How far back a value counts, so that a server that is down for a while does not seem to have had no backups.
const MEMORY: &str = "1d";
/// How long something that was counted is shown.
const WINDOW: &str = "6h";
/// After which a paused schedule is forgotten rather than paused.
const PAUSE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The rules for these facts, always in the same order.
pub(crate) fn rules(facts: &Facts, ours: &Matchers) -> Vec<Rule> {
    let mut rules = vec![server_down(ours)];
    rules.extend(facts.node_agents.map(|wanted| agents_down(wanted, ours)));
    for schedule in &facts.schedules {
        match schedule.state {
            State::Paused { since } => rules.push(paused(schedule, since)),
            State::Active => {
                if let Some(interval) = schedule.interval {
                    rules.push(missed(schedule, interval, ours));
                    rules.push(never_succeeded(schedule, interval, ours));
                }
                rules.extend(failed(schedule, ours));
                rules.extend(without_data(schedule));
            }
        }
    }
    let locations = facts.locations.iter();
    rules.extend(locations.map(|name| unavailable(name, ours)));
    rules.extend([
        counted(
            &kinds::VALIDATION_FAILED,
            &["velero_backup_validation_failure_total"],
            ours,
        ),
        counted(
            &kinds::DELETION_FAILED,
            &["velero_backup_deletion_failure_total"],
            ours,
        ),
        counted(
            &kinds::RESTORE_FAILED,
            &[
                "velero_restore_failed_total",
                "velero_restore_partial_failure_total",
                "velero_restore_validation_failed_total",
            ],
            ours,
        ),
    ]);
    rules.extend(facts.neglected.iter().map(stale));
    if facts.password == RepositoryPassword::Known {
        let why =
            "the files of volumes in the store are encrypted with a password that everybody knows";
        rules.push(rule(
            &kinds::PASSWORD_KNOWN,
            "vector(1)".into(),
            Vec::new(),
            why,
        ));
    }
    rules
}

fn server_down(ours: &Matchers) -> Rule {
    let up = ours.of("up", &[(PART, SERVER_PART)]);
    let expr = format!("{up} < 1 or absent({up})");
    let why = "Velero's server does not answer Prometheus";
    rule(&kinds::SERVER_DOWN, expr, Vec::new(), why)
}

fn agents_down(wanted: i32, ours: &Matchers) -> Rule {
    let up = ours.of("up", &[(PART, AGENT_PART)]);
    let expr = format!("(sum({up}) or vector(0)) < {wanted}");
    let why = format!("{{{{ $value }}}} of {wanted} node agents answer Prometheus");
    rule(&kinds::NODE_AGENT_DOWN, expr, Vec::new(), &why)
}

fn missed(schedule: &Schedule, interval: SignedDuration, ours: &Matchers) -> Rule {
    let Schedule { name, .. } = schedule;
    let longest = interval + grace(interval);
    let expr = format!("time() - {} > {}", last_good(name, ours), longest.as_secs());
    let why = format!(
        "the last good backup of schedule `{name}`, which is due every {}, is {{{{ $value | humanizeDuration }}}} old",
        Words(interval)
    );
    rule(&kinds::MISSED, expr, about(name), &why)
}

fn never_succeeded(schedule: &Schedule, interval: SignedDuration, ours: &Matchers) -> Rule {
    let Schedule { name, created, .. } = schedule;
    let due = *created + interval + grace(interval);
    let series = ours.of(LAST_GOOD, &[("schedule", name)]);
    let backups = ours.of(BACKUPS, &[]);
    // Where nothing is scraped, nothing is known.
    let expr = format!(
        "absent_over_time({series}[{MEMORY}]) and on() (max({backups}) >= 0) and on() (vector(time()) > {})",
        due.as_second()
    );
    let why = format!("schedule `{name}` has had no good backup since it was made on {created}");
    rule(&kinds::NEVER_SUCCEEDED, expr, about(name), &why)
}

/// Fires until a good backup follows, however long that takes.
fn failed(schedule: &Schedule, ours: &Matchers) -> Option<Rule> {
    let Schedule { name, failure, .. } = schedule;
    let failure = failure.as_ref()?;
    let (kind, how) = match failure.extent {
        Extent::Whole => (&kinds::FAILED, "failed"),
        Extent::Part => (&kinds::PARTIALLY_FAILED, "failed in part"),
    };
    let expr = format!(
        "({} or vector(0)) < {}",
        last_good(name, ours),
        failure.begun.as_second()
    );
    let backup = &failure.backup;
    let why = format!("backup `{backup}` of schedule `{name}` has {how}");
    let about = [about(name), vec![("backup", backup.clone())]].concat();
    Some(rule(kind, expr, about, &why))
}

/// Prometheus does not see what a backup holds: it fires as long as the rule is there, under one name, whichever backup
/// is the last.
fn without_data(schedule: &Schedule) -> Option<Rule> {
    let Schedule { name, gap, .. } = schedule;
    let Gap {
        backup,
        saved,
        begun,
    } = gap.as_ref()?;
    let expr = format!("vector(time() - {}) > 0", begun.as_second());
    let why = format!(
        "backup `{backup}` of schedule `{name}`, made {{{{ $value | humanizeDuration }}}} ago, has the data of {saved} volumes"
    );
    Some(rule(&kinds::WITHOUT_DATA, expr, about(name), &why))
}

fn paused(schedule: &Schedule, since: Timestamp) -> Rule {
    let Schedule { name, .. } = schedule;
    let since = since.as_second();
    let expr = format!("vector(time() - {since}) > {}", PAUSE.as_secs());
    let why = format!(
        "schedule `{name}` has been paused for {{{{ $value | humanizeDuration }}}} and makes no backups"
    );
    rule(&kinds::PAUSED, expr, about(name), &why)
}

fn unavailable(location: &str, ours: &Matchers) -> Rule {
    // Of locations that exist alone: Velero never takes the series of one away.
    let series = ours.of(
        "velero_backup_location_status_gauge",
        &[("backup_location_name", location)],
    );
    let why = format!("Velero cannot use backup storage location `{location}`");
    let about = vec![("location", location.to_owned())];
    let expr = format!("max({series}) < 1");
    rule(&kinds::LOCATION_UNAVAILABLE, expr, about, &why)
}

/// Something was counted. A series that is new has no earlier value to have grown from.
fn counted(kind: &Kind, metrics: &[&str], ours: &Matchers) -> Rule {
    let grown = metrics.iter().map(|metric| {
        let series = ours.of(metric, &[]);
        format!(
            "sum by (schedule) (increase({series}[{WINDOW}])) > 0 or \
             sum by (schedule) ({series} unless {series} offset {WINDOW}) > 0"
        )
    });
    let expr = grown.collect::<Vec<_>>().join(" or ");
    let why = kind.when.to_owned();
    rule(kind, expr, Vec::new(), &why)
}

fn stale(neglected: &Neglected) -> Rule {
    let Neglected { repository, since } = neglected;
    let expr = format!("vector(time() - {}) > 0", since.as_second());
    let why = format!(
        "repository `{repository}` was maintained last {{{{ $value | humanizeDuration }}}} ago"
    );
    let about = vec![("repository", repository.clone())];
    rule(&kinds::MAINTENANCE_STALE, expr, about, &why)
}

fn last_good(schedule: &str, ours: &Matchers) -> String {
    let series = ours.of(LAST_GOOD, &[("schedule", schedule)]);
    format!("max(max_over_time({series}[{MEMORY}]))")
}

/// What a backup may take beyond its time.
fn grace(interval: SignedDuration) -> SignedDuration {
    (interval / 4).clamp(
        SignedDuration::from_hours(1),
        SignedDuration::from_hours(24),
    )
}

fn about(schedule: &str) -> Vec<(&'static str, String)> {
    vec![("schedule", schedule.to_owned())]
}

fn rule(kind: &Kind, expr: String, about: Vec<(&'static str, String)>, why: &str) -> Rule {
    Rule {
        alert: kind.alert,
        severity: kind.severity,
        expr,
        patience: kind.patience,
        about,
        summary: why.to_owned(),
        description: kind.remedy.to_owned(),
    }
}
