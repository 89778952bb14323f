//! What Prometheus has scraped of a real Velero to which things happened, and what the dashboard's queries gave.
//!
//! Invariant: times count from its beginning, and no label is of the machine or the model that it was made on. The
//! test that makes it (`node/prometheus`) writes it again with `UPDATE_RECORDINGS=1`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::series::Series;

/// The series that each query gave, by the query.
pub type Answers = BTreeMap<String, Vec<Series>>;

/// All of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Recording {
    /// Seconds from sample to sample.
    pub step: usize,
    /// How many samples are from before anything was mended.
    pub wrong: usize,
    /// The Schedules that there were at the end.
    pub schedules: Vec<Schedule>,
    /// Their Backups.
    pub backups: Vec<Backup>,
    /// The series that rules are about, by metric.
    pub scraped: Answers,
    /// What the dashboard's queries gave.
    pub shown: Answers,
}

/// A Schedule.
#[derive(Debug, Serialize, Deserialize)]
pub struct Schedule {
    /// What it is called.
    pub name: String,
    /// When it makes Backups.
    pub cron: String,
    /// It makes none now.
    pub paused: bool,
}

/// A Backup of a Schedule.
#[derive(Debug, Serialize, Deserialize)]
pub struct Backup {
    /// The name of the Schedule.
    pub schedule: String,
    /// The second in which it began.
    pub begun: i64,
    /// How it ended.
    pub phase: String,
    /// What the charm noted of its volumes.
    pub volumes: Option<String>,
}

impl Recording {
    /// Reads the one that is in the repository.
    pub fn read() -> Result<Self> {
        let file = file();
        let reading = || format!("reading {}", file.display());
        let text = fs::read_to_string(&file).with_context(reading)?;
        serde_json::from_str(&text).with_context(reading)
    }

    /// Puts it in the place of that one.
    pub fn write(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        Ok(fs::write(file(), text + "\n")?)
    }

    /// Samples of a series.
    #[must_use]
    pub fn samples(&self) -> usize {
        let series = self.scraped.values().flatten().next();
        series.map_or(0, |series| series.samples.count())
    }
}

fn file() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.join("recordings/prometheus.json")
}
