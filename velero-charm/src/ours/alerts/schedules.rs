//! Velero's Schedules as the rules need them: when there must be a backup, and how the last one ended.

use jiff::{SignedDuration, Timestamp};
use kube::{ResourceExt as _, api::DynamicObject};
use serde_json::Value;

use crate::velero::{cron::Cron, schedule::MADE_BY};

const BEGIN_OF_2024: i64 = 1_704_067_200;
/// Days and times that are looked at.
const DAYS: i64 = 366;
const TIMES: usize = 60;

/// A Schedule, as far as it tells when there must be a backup.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Schedule {
    pub(crate) name: String,
    pub(crate) created: Timestamp,
    /// The longest time between two backups, if its cron is understood.
    pub(crate) interval: Option<SignedDuration>,
    pub(crate) state: State,
    /// Its last backup, if that has ended badly.
    pub(crate) failure: Option<Failure>,
    /// The last one of which it is known what it holds of volumes, if that is not all.
    pub(crate) gap: Option<Gap>,
}

/// Whether backups are made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    Active,
    Paused { since: Timestamp },
}

/// A backup that has ended badly.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Failure {
    pub(crate) backup: String,
    pub(crate) extent: Extent,
    pub(crate) begun: Timestamp,
}

/// A backup that has no data of some volumes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Gap {
    pub(crate) backup: String,
    /// Of how many volumes it has data, as `2 of 3`.
    pub(crate) saved: String,
    pub(crate) begun: Timestamp,
}

/// What a backup holds of volumes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Volumes {
    /// Nobody has looked, or could.
    Unknown,
    Whole,
    /// As `2 of 3`.
    Part(String),
}

/// How much of a backup is missing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Extent {
    Whole,
    Part,
}

/// A scheduled backup that has ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Ended {
    schedule: String,
    name: String,
    begun: Timestamp,
    /// `None` if it is good.
    extent: Option<Extent>,
    volumes: Volumes,
}

impl Ended {
    /// Reads a Backup; one that is not of a Schedule, or has not ended, is none.
    pub(crate) fn of(backup: &DynamicObject, volumes: Volumes) -> Option<Self> {
        let phase = text(backup, "/status/phase")?;
        let extent = match phase {
            "Completed" => None,
            "PartiallyFailed" => Some(Extent::Part),
            "Failed" | "FailedValidation" => Some(Extent::Whole),
            _ => return None,
        };
        let started = text(backup, "/status/startTimestamp").and_then(|text| text.parse().ok());
        Some(Self {
            schedule: backup.labels().get(MADE_BY)?.clone(),
            name: backup.name_any(),
            begun: started.or_else(|| created(backup))?,
            extent,
            volumes,
        })
    }

    fn gap(&self) -> Option<Gap> {
        match &self.volumes {
            Volumes::Unknown | Volumes::Whole => None,
            Volumes::Part(saved) => Some(Gap {
                backup: self.name.clone(),
                saved: saved.clone(),
                begun: self.begun,
            }),
        }
    }
}

impl Schedule {
    /// Reads a Schedule, and finds its last backups among those that have ended.
    pub(crate) fn of(
        schedule: &DynamicObject,
        ended: &[Ended],
        interval: impl Fn(&str) -> Option<SignedDuration>,
    ) -> Option<Self> {
        let name = schedule.name_any();
        let own = || ended.iter().filter(|one| one.schedule == name);
        let last = own().max_by_key(|one| one.begun);
        let known = own().filter(|one| one.volumes != Volumes::Unknown);
        let known = known.max_by_key(|one| one.begun);
        Some(Self {
            created: created(schedule)?,
            interval: text(schedule, "/spec/schedule").and_then(interval),
            state: state(schedule)?,
            failure: last.and_then(|last| {
                Some(Failure {
                    backup: last.name.clone(),
                    extent: last.extent?,
                    begun: last.begun,
                })
            }),
            gap: known.and_then(Ended::gap),
            name,
        })
    }
}

fn state(schedule: &DynamicObject) -> Option<State> {
    let paused = schedule
        .data
        .pointer("/spec/paused")
        .and_then(Value::as_bool);
    if paused != Some(true) {
        return Some(State::Active);
    }
    // Who paused it owns the field since then, or since a later change of theirs.
    let mut entries = schedule.managed_fields().iter();
    let by = entries.find(|entry| {
        let fields = entry.fields_v1.as_ref();
        fields.is_some_and(|fields| fields.0.pointer("/f:spec/f:paused").is_some())
    });
    let since = by.and_then(|entry| entry.time.as_ref()).map(|time| time.0);
    let since = since.or_else(|| created(schedule))?;
    Some(State::Paused { since })
}

fn created(object: &DynamicObject) -> Option<Timestamp> {
    object
        .metadata
        .creation_timestamp
        .as_ref()
        .map(|time| time.0)
}

fn text<'a>(object: &'a DynamicObject, path: &str) -> Option<&'a str> {
    object.data.pointer(path)?.as_str()
}

/// The longest time between two backups of a cron, to within a day. The same whenever it is asked: it looks at the year
/// 2024, which has the longest February.
pub(crate) fn interval(cron: &str) -> Option<SignedDuration> {
    let cron = Cron::parse(cron).ok()?;
    let begin = Timestamp::from_second(BEGIN_OF_2024).ok()?;
    let days = (0..DAYS).map(|day| begin + SignedDuration::from_hours(24 * day));
    // Pauses that are longer than a day begin before a midnight.
    let from_midnight =
        days.filter_map(|midnight| Some(cron.next(midnight)?.duration_since(midnight)));
    let first = cron.next(begin)?;
    let times = std::iter::successors(Some(first), |time| cron.next(*time)).take(TIMES);
    let times: Vec<_> = times.collect();
    let between = times.windows(2).filter_map(|pair| match pair {
        [one, next] => Some(next.duration_since(*one)),
        _ => None,
    });
    from_midnight.chain(between).max()
}
