//! The charm's log.
//!
//! **Invariant:** a line at `info` or above goes to `juju-log` at once, so that a crash loses none; a
//! line below costs no hook tool, since Juju records standard output at `debug` by itself. In an
//! action standard output is part of the result, so there nothing is written to it. A line that
//! `juju-log` does not take in time goes to standard error, which Juju records as well.

use std::{
    io::{self, Write as _},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use tracing::{Level, Metadata};
use tracing_subscriber::{filter::Targets, fmt::MakeWriter, layer::SubscriberExt as _};

use super::{env::Event, tools::head};

/// No line is worth a longer wait.
const LOG_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends the log to Juju from now on.
pub(crate) fn start(event: &Event) {
    let quiet = matches!(event, Event::Action(_));
    let lines = tracing_subscriber::fmt::layer()
        .without_time()
        .with_ansi(false)
        .with_level(false)
        .with_target(false)
        .with_writer(if quiet { Juju::Action } else { Juju::Hook });
    let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), Level::DEBUG);
    let subscriber = tracing_subscriber::registry().with(ours).with(lines);
    // Only a second call could fail, and there is none.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

#[derive(Clone, Copy, Debug)]
enum Juju {
    Hook,
    Action,
}

enum Line {
    Stdout(io::Stdout),
    Nowhere,
    Tool { level: &'static str, text: Vec<u8> },
}

impl<'a> MakeWriter<'a> for Juju {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line::Nowhere
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line {
        let level = match *meta.level() {
            Level::ERROR => "ERROR",
            Level::WARN => "WARNING",
            Level::INFO => "INFO",
            _ => {
                return match self {
                    Self::Hook => Line::Stdout(io::stdout()),
                    Self::Action => Line::Nowhere,
                };
            }
        };
        Line::Tool {
            level,
            text: Vec::new(),
        }
    }
}

impl io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::Nowhere => Ok(bytes.len()),
            Self::Tool { text, .. } => text.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::Nowhere | Self::Tool { .. } => Ok(()),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Self::Tool { level, text } = self {
            let text = String::from_utf8_lossy(text);
            let text = head(text.trim_end());
            if !is_taken(level, text) {
                // A log that cannot be written must not fail the hook.
                let _ = writeln!(io::stderr(), "{level} {text}");
            }
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
