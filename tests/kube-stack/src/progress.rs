//! What is going on, for a person who waits.
//!
//! Invariant: a step that was begun is reported once as ended, well or badly, with the time it took.

use std::fmt::Display;
use std::io::Write as _;
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::time::{MissedTickBehavior, interval_at};

/// A step shorter than this is only mentioned when it ends.
const FIRST_BEAT: Duration = Duration::from_secs(30);
/// How often a long step says that it still runs.
const BEAT: Duration = Duration::from_mins(5);

/// Reports steps, one line each, with the seconds since it was made.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    sink: Sink,
}

#[derive(Debug, Clone, Copy)]
enum Sink {
    Stderr,
    Nowhere,
}

impl Progress {
    /// Lines go to standard error.
    #[must_use]
    pub fn to_stderr() -> Self {
        Self {
            started: Instant::now(),
            sink: Sink::Stderr,
        }
    }

    /// Says nothing; failures still name the step.
    #[must_use]
    pub fn quiet() -> Self {
        Self {
            started: Instant::now(),
            sink: Sink::Nowhere,
        }
    }

    /// Time since this progress was made.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// A line of its own.
    pub fn note(&self, text: impl Display) {
        match self.sink {
            Sink::Nowhere => {}
            // Nobody is left to be told when standard error is closed.
            Sink::Stderr => {
                let since = self.started.elapsed().as_secs_f64();
                let _ = writeln!(std::io::stderr(), "[{since:7.1} s] {text}");
            }
        }
    }

    /// Runs `work` and reports how long `what` took. A failure names the step.
    pub async fn step<T>(&self, what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let start = tokio::time::Instant::now();
        let mut work = pin!(work);
        let mut beats = interval_at(start + FIRST_BEAT, BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let outcome = loop {
            tokio::select! {
                biased;
                outcome = &mut work => break outcome,
                _ = beats.tick() => {
                    self.note(format_args!("{what} ... {:.0} s so far", start.elapsed().as_secs_f64()));
                }
            }
        };
        let took = start.elapsed().as_secs_f64();
        match &outcome {
            Ok(_) => self.note(format_args!("{what}: {took:.1} s")),
            Err(_) => self.note(format_args!("{what}: FAILED after {took:.1} s")),
        }
        outcome.with_context(|| format!("step `{what}` failed after {took:.1} s"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failed_step_is_named() {
        let failed: Result<()> = Progress::quiet()
            .step("fetch the moon", async { anyhow::bail!("too far") })
            .await;
        let text = format!("{:#}", failed.unwrap_err());
        assert!(
            text.starts_with("step `fetch the moon` failed after"),
            "{text}"
        );
        assert!(text.ends_with("too far"), "{text}");
    }
}
