//! The charm's log.
//!
//! A line at `info` or above goes to `juju-log` at once, so that a crash loses none; a
//! line below costs no hook tool, since Juju records standard output at `debug` on its own. In an
//! action standard output is part of the result, so there nothing is written to it. A line that
//! `juju-log` does not take in time goes to standard error, which Juju records as well. Wherever a line
//! goes, it is one line, so that nothing in it passes for another; no secret is in it, and it is of bounded length.
//! So is all that a hook logs, since Juju keeps it. The error that fails the hook is always told.

#![expect(clippy::disallowed_methods, reason = "`juju-log` is a hook tool")]

use std::{
    io::{self, Write as _},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use tracing::{Level, Metadata};
use tracing_subscriber::{filter::Targets, fmt::MakeWriter, layer::SubscriberExt as _};

use super::{Secrets, env::Event, text};

/// No line is worth a longer wait.
const LOG_TIMEOUT: Duration = Duration::from_secs(5);
/// A store may answer with a page; what counts is at its beginning and its end.
const LONGEST: usize = 4096;
/// Of all lines of a hook or action.
const BUDGET: usize = 1024 * 1024;
/// The level of what fails the hook.
const FATAL: &str = "ERROR";
const CUT: &str = "The log of this hook is cut here, at 1 MiB.";

/// What a hook may still log.
#[derive(Debug)]
struct Budget(AtomicUsize);

impl Budget {
    const fn of(bytes: usize) -> Self {
        Self(AtomicUsize::new(bytes))
    }

    /// The line as long as there is room for it, then once that there is none.
    fn allow(&self, line: String) -> Option<String> {
        let left = self.0.load(Ordering::Relaxed);
        let cut = (left > 0).then(|| CUT.to_owned());
        let rest = left.saturating_sub(line.len());
        self.0.store(rest, Ordering::Relaxed);
        if rest > 0 { Some(line) } else { cut }
    }
}

static LEFT: Budget = Budget::of(BUDGET);

/// Sends the log to Juju from now on, without these secrets.
pub(crate) fn start(event: &Event, secrets: &Secrets) {
    let debug = match event {
        Event::Action(_) => Debug::Nowhere,
        Event::Remove | Event::Parting(_) | Event::Hook(_) => Debug::Stdout,
    };
    let secrets = secrets.clone();
    let lines = tracing_subscriber::fmt::layer()
        .without_time()
        .with_ansi(false)
        .with_level(false)
        .with_target(false)
        .with_writer(Juju { debug, secrets });
    let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), Level::DEBUG);
    let subscriber = tracing_subscriber::registry().with(ours).with(lines);
    // Only a second call could fail, and there is none.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Where the log goes.
#[derive(Clone, Debug)]
struct Juju {
    debug: Debug,
    secrets: Secrets,
}

/// Where lines below `info` go.
#[derive(Clone, Copy, Debug)]
enum Debug {
    Stdout,
    Nowhere,
}

/// A line that is being written; it leaves when it is whole.
struct Line<'a> {
    place: Place,
    text: Vec<u8>,
    secrets: &'a Secrets,
}

enum Place {
    Tool { level: &'static str },
    Stdout,
    Nowhere,
}

impl<'a> MakeWriter<'a> for Juju {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        self.line(Place::Nowhere)
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line<'a> {
        let level = match *meta.level() {
            Level::ERROR => FATAL,
            Level::WARN => "WARNING",
            Level::INFO => "INFO",
            _ => {
                return self.line(match self.debug {
                    Debug::Stdout => Place::Stdout,
                    Debug::Nowhere => Place::Nowhere,
                });
            }
        };
        self.line(Place::Tool { level })
    }
}

impl Juju {
    fn line(&self, place: Place) -> Line<'_> {
        Line {
            place,
            text: Vec::new(),
            secrets: &self.secrets,
        }
    }
}

impl io::Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.text);
        let text =
            text::cut(&text::one_line(&self.secrets.presentable(&text)), LONGEST).into_owned();
        let text = match self.place {
            Place::Nowhere => return,
            Place::Tool { level: FATAL } => text,
            Place::Tool { .. } | Place::Stdout => match LEFT.allow(text) {
                Some(text) => text,
                None => return,
            },
        };
        // A log that cannot be written must not fail the hook.
        match self.place {
            Place::Tool { level } if !is_taken(level, &text) => {
                let _ = writeln!(io::stderr(), "{level} {text}");
            }
            Place::Stdout => {
                let _ = writeln!(io::stdout(), "{text}");
            }
            Place::Tool { .. } | Place::Nowhere => {}
        }
    }
}

/// Whether Juju took a line. It serves one tool at a time: behind one that hangs, every line would wait
/// as long as the first, so it is not asked again.
fn is_taken(level: &str, text: &str) -> bool {
    static SILENT: AtomicBool = AtomicBool::new(false);
    if SILENT.load(Ordering::Relaxed) {
        return false;
    }
    let tool = Command::new("juju-log")
        .args(["--log-level", level, "--", text])
        .stdin(Stdio::null())
        .spawn();
    let Ok(mut tool) = tool else {
        return false;
    };
    let deadline = Instant::now() + LOG_TIMEOUT;
    loop {
        match tool.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(1)),
            Ok(None) | Err(_) => break,
        }
    }
    SILENT.store(true, Ordering::Relaxed);
    // It may just have ended.
    let _ = tool.kill();
    let limit = LOG_TIMEOUT.as_secs();
    let _ = writeln!(io::stderr(), "`juju-log` did not answer within {limit} s");
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_of_a_hook_ends_at_its_budget_and_says_so() {
        let budget = Budget::of(1000);
        let lines: Vec<_> = std::iter::repeat_with(|| budget.allow("x".repeat(90)))
            .take(100)
            .flatten()
            .collect();

        assert_eq!(lines.len(), 12);
        assert!(lines.iter().map(String::len).sum::<usize>() <= 1000 + CUT.len());
        assert_eq!(lines.iter().filter(|line| *line == CUT).count(), 1);
        assert_eq!(lines.last().unwrap(), CUT);
    }
}
