//! The charm's log.
//!
//! A line at `info` or above goes to `juju-log` at once, so that a crash loses none; a
//! line below costs no hook tool, since Juju records standard output at `debug` on its own. In an
//! action standard output is part of the result, so there nothing is written to it. A line that
//! `juju-log` does not take in time goes to standard error, which Juju records as well. Wherever a line
//! goes, no secret is in it, and it is of bounded length.

#![expect(clippy::disallowed_methods, reason = "`juju-log` is a hook tool")]

use std::{
    io::{self, Write as _},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
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
            Level::ERROR => "ERROR",
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
        let text = text::printable(&self.secrets.redact(text.trim_end()));
        let text = text::cut(&text, LONGEST);
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
