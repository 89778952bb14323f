//! Series as Prometheus gives them: a value, or none, at each step of a span of time.
//!
//! Invariant: as text they are what `promtool` reads (`samples_are_the_same_as_text`).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Of what is measured, more decimals tell nothing.
const PRECISION: f64 = 1000.0;

/// What is asked about, in seconds since 1970.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// When the first sample is from.
    pub begin: i64,
    /// When the last one is from: whole steps later.
    pub end: i64,
    /// Seconds from sample to sample.
    pub step: usize,
}

/// Samples in a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Samples(Vec<Option<f64>>);

/// A series in a span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// By which it is told from others.
    pub labels: BTreeMap<String, String>,
    /// What it was at each step.
    pub samples: Samples,
}

/// As the API of Prometheus writes it.
#[derive(Deserialize)]
struct Answer {
    metric: BTreeMap<String, String>,
    values: Vec<(i64, String)>,
}

impl Span {
    fn times(self) -> impl Iterator<Item = i64> {
        (self.begin..=self.end).step_by(self.step)
    }
}

impl Series {
    /// Reads what Prometheus answered when it was asked about a span.
    pub(super) fn read(answer: Value, span: Span) -> Result<Self> {
        let Answer { metric, values } = serde_json::from_value(answer)?;
        let mut given = BTreeMap::new();
        for (time, value) in values {
            given.insert(time, value.parse::<f64>()?);
        }
        let samples = span.times().map(|time| given.get(&time).copied());
        Ok(Self {
            labels: metric,
            samples: Samples(samples.map(|sample| rounded(sample?)).collect()),
        })
    }
}

impl Samples {
    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = Option<f64>> {
        self.0.iter().copied()
    }

    /// Those that are the same in a row, with how many they are.
    pub fn runs(&self) -> impl Iterator<Item = (Option<f64>, usize)> {
        let runs = self.0.chunk_by(PartialEq::eq);
        runs.filter_map(|run| Some((*run.first()?, run.len())))
    }

    /// How many there are, with those that have no value.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.0.len()
    }

    /// The last value.
    #[must_use]
    pub fn last(&self) -> Option<f64> {
        self.0.iter().rev().copied().flatten().next()
    }

    /// The first ones as somebody sees them who looks at every so many, and then for some looks more at the last one.
    #[must_use]
    pub fn held(&self, first: usize, every: usize, more: usize) -> Self {
        let first = || self.iter().take(first);
        let mut held: Vec<_> = first().step_by(every).collect();
        held.resize(held.len() + more, first().last().flatten());
        Self(held)
    }

    /// The same, counted from another zero.
    #[must_use]
    pub fn since(&self, zero: f64) -> Self {
        let moved = self.iter().map(|sample| Some(sample? - zero));
        Self(moved.collect())
    }
}

/// What is no number, such as a mean of nothing, is no value.
fn rounded(value: f64) -> Option<f64> {
    value
        .is_finite()
        .then(|| (value * PRECISION).round() / PRECISION)
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (sample, count)) in self.runs().enumerate() {
            let gap = if place > 0 { " " } else { "" };
            match (sample, count) {
                (None, _) => write!(f, "{gap}_x{count}")?,
                (Some(value), 1) => write!(f, "{gap}{value}")?,
                (Some(value), _) => write!(f, "{gap}{value}+0x{}", count - 1)?,
            }
        }
        Ok(())
    }
}

impl FromStr for Samples {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut samples = Vec::new();
        for word in text.split_whitespace() {
            let reading = || format!("reading `{word}`");
            let (sample, times) = match (word.strip_prefix("_x"), word.split_once("+0x")) {
                (Some(times), _) => (None, times.parse().with_context(reading)?),
                (None, Some((value, more))) => (
                    Some(value.parse().with_context(reading)?),
                    more.parse::<usize>().with_context(reading)? + 1,
                ),
                (None, None) => (Some(word.parse().with_context(reading)?), 1),
            };
            samples.extend(std::iter::repeat_n(sample, times));
        }
        Ok(Self(samples))
    }
}

impl TryFrom<String> for Samples {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Samples> for String {
    fn from(samples: Samples) -> Self {
        samples.to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn samples_are_the_same_as_text() {
        let samples = [None, None, Some(1.5), Some(-2.0), Some(-2.0), None];
        let samples = Samples(samples.to_vec());
        assert_eq!(samples.to_string(), "_x2 1.5 -2+0x1 _x1");
        assert_eq!(
            samples
                .to_string()
                .parse::<Samples>()
                .unwrap_or_else(|error| panic!("{error}")),
            samples
        );
        assert!("1+0xmany".parse::<Samples>().is_err());
    }

    #[test]
    fn answer_has_a_place_for_each_step() {
        let answer = json!({
            "metric": {"schedule": "daily"},
            "values": [[105, "NaN"], [110, "0.33333"], [115, "2"]],
        });
        let span = Span {
            begin: 100,
            end: 120,
            step: 5,
        };
        let series = Series::read(answer, span).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(series.samples.to_string(), "_x2 0.333 2 _x1");
        assert_eq!(series.samples.last(), Some(2.0));
    }

    #[test]
    fn last_of_the_first_samples_stays() {
        let samples = Samples(vec![Some(1.0), Some(2.0), Some(3.0), None]);
        assert_eq!(samples.held(2, 1, 3).to_string(), "1 2+0x3");
        assert_eq!(samples.held(4, 1, 2).to_string(), "1 2 3 _x3");
        assert_eq!(samples.held(3, 2, 1).to_string(), "1 3+0x1");
        assert_eq!(samples.since(1.0).to_string(), "0 1 2 _x1");
    }
}
