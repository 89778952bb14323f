//! Which Backups of a Schedule are kept: the rule that option `keep` gives.
//!
//! **Invariant:** time alone takes nothing away, and nothing takes the last good Backup away: one goes only for a newer
//! one that is at least as good (`rule_holds_over_years_of_days`).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    num::NonZeroU32,
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::Owner;
use crate::velero::{LOCATION, LOCATION_LABEL, schedule::MADE_BY};

/// What Backups get as their `ttl` that the rule is for: a hundred years. Velero itself deletes none of them, so none
/// is lost where nobody applies the rule.
pub(crate) const FAR: &str = "876000h";

/// On a Backup that the rule is for: the model whose charm applies it. It goes into the store with the Backup.
const KEPT_BY: &str = "velero-operator/kept-by";
/// As many failures in a row tell that a Schedule does not work.
const FAILURES: usize = 2;
/// More of a unit is no rule, but a slip of the finger.
const MOST: u32 = 1000;

/// What the option may be, after "set it to".
pub(crate) const SHAPE: &str =
    "`last 3` for a number of backups, or to days, weeks and months such as `7d,4w,6m`";

/// What is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rule {
    /// The newest.
    Last(NonZeroU32),
    /// The last one of each of the newest days, weeks and months that have any.
    Periods(Periods),
}

/// Not all of them zero.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Periods {
    days: u32,
    weeks: u32,
    months: u32,
}

/// What a Backup is worth that has ended, the least first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Grade {
    /// Nothing can be restored from it.
    Failed,
    /// Something can, but not all.
    Partial,
    Good,
}

impl Grade {
    const ALL: [Self; 3] = [Self::Failed, Self::Partial, Self::Good];
}

/// A Backup that has ended, the oldest first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Ended<'a> {
    pub(crate) begun: Timestamp,
    pub(crate) name: &'a str,
    pub(crate) grade: Grade,
}

/// The label of the Backups that the rule is for.
pub(crate) fn label(owner: &Owner) -> (String, String) {
    (KEPT_BY.to_owned(), owner.model_uuid.clone())
}

/// The rule is for what carries these labels: it was made by a Schedule and is in our location.
pub(crate) fn is_for(labels: &BTreeMap<String, String>, owner: &Owner) -> bool {
    let (label, value) = label(owner);
    labels.get(&label) == Some(&value)
        && labels.contains_key(MADE_BY)
        && labels.get(LOCATION_LABEL).map(String::as_str) == Some(LOCATION)
}

impl Rule {
    /// Understands the option; the reason, if it is none, to be read after its name.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<_> = text.split_whitespace().collect();
        if let ["last", number] = words.as_slice() {
            let number = NonZeroU32::new(count(number)?).ok_or("keeps nothing")?;
            return Ok(Self::Last(number));
        }
        let mut periods = Periods::default();
        for part in text.split(',').map(str::trim) {
            let (number, field) = if let Some(number) = part.strip_suffix('d') {
                (number, &mut periods.days)
            } else if let Some(number) = part.strip_suffix('w') {
                (number, &mut periods.weeks)
            } else if let Some(number) = part.strip_suffix('m') {
                (number, &mut periods.months)
            } else {
                return Err(format!("has `{part}`, which is no rule"));
            };
            let number = count(number)?;
            if *field != 0 {
                return Err(format!("has `{part}` in addition to another of that unit"));
            }
            if number == 0 {
                return Err("keeps nothing of a unit".into());
            }
            *field = number;
        }
        Ok(Self::Periods(periods))
    }

    /// What is kept of these: by the good ones alone, so that no failure takes the place of one; again by all that
    /// something can be restored from, and again by all.
    pub(crate) fn kept<'a>(&self, all: &BTreeSet<Ended<'a>>) -> BTreeSet<Ended<'a>> {
        let newest = || all.iter().rev().copied();
        let mut kept = BTreeSet::new();
        for least in Grade::ALL {
            kept.extend(self.picked(newest().filter(|one| one.grade >= least)));
        }
        let latest = newest().take(FAILURES);
        kept.extend(latest.filter(|one| one.grade != Grade::Good));
        kept
    }

    fn picked<'a>(&self, newest_first: impl Iterator<Item = Ended<'a>>) -> BTreeSet<Ended<'a>> {
        let newest_first: Vec<_> = newest_first.collect();
        match *self {
            Self::Last(number) => {
                let number = usize::try_from(number.get()).unwrap_or(usize::MAX);
                newest_first.into_iter().take(number).collect()
            }
            Self::Periods(Periods {
                days,
                weeks,
                months,
            }) => {
                let mut picked =
                    last_of_each(&newest_first, days, |day| (day.year(), day.day_of_year()));
                picked.extend(last_of_each(&newest_first, weeks, |day| {
                    let week = day.iso_week_date();
                    (week.year(), week.week().into())
                }));
                picked.extend(last_of_each(&newest_first, months, |day| {
                    (day.year(), day.month().into())
                }));
                picked
            }
        }
    }
}

/// The last one of each of so many periods, each known by its year and its number there.
fn last_of_each<'a>(
    newest_first: &[Ended<'a>],
    number: u32,
    period: impl Fn(Date) -> (i16, i16),
) -> BTreeSet<Ended<'a>> {
    let mut periods = BTreeSet::new();
    let mut picked = BTreeSet::new();
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    for one in newest_first {
        let period = period(one.begun.to_zoned(TimeZone::UTC).date());
        if periods.contains(&period) {
            continue;
        }
        if periods.len() == number {
            break;
        }
        periods.insert(period);
        picked.insert(*one);
    }
    picked
}

fn count(text: &str) -> Result<u32, String> {
    let text = text.trim();
    let number = text.parse::<u32>().ok().filter(|number| *number <= MOST);
    let is_plain = text.chars().all(|c| c.is_ascii_digit());
    number
        .filter(|_| is_plain)
        .ok_or_else(|| format!("has `{text}`, which is no number up to {MOST}"))
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Last(number) => write!(f, "last {number}"),
            Self::Periods(Periods {
                days,
                weeks,
                months,
            }) => {
                let parts = [(days, 'd'), (weeks, 'w'), (months, 'm')];
                let parts = parts.iter().filter(|(number, _)| **number > 0);
                let parts: Vec<_> = parts
                    .map(|(number, unit)| format!("{number}{unit}"))
                    .collect();
                f.write_str(&parts.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests;
