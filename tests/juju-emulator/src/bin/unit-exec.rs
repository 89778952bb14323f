//! Starts a charm's `dispatch` as the unit agent in a pod would, and says how it went.
//!
//! Called by the emulator with one argument, the path of a `Spec`. It stays as the parent, so that
//! the kernel's own account of the child's memory and time can be read once the child is gone.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use juju_emulator::exec::{Mount, Outcome, Report, Spec};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike as _};
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The emulator shows this text when no report was written.
            let _ = writeln!(io::stderr(), "unit-exec: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let path = std::env::args_os()
        .nth(1)
        .context("the path of a spec is missing")?;
    let spec: Spec = serde_json::from_slice(&fs::read(path).context("reading the spec")?)?;
    // Opened before anything is mounted over it.
    let report = File::create(&spec.report).context("opening the report")?;
    enter_namespace(&spec.mounts)?;
    become_user(spec.user)?;
    let (at, clock) = (SystemTime::now(), Instant::now());
    let outcome = start(&spec).map_or_else(|error| not_started(&spec.program, &error), ended);
    let took = clock.elapsed();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    // Linux counts in KiB.
    let max_rss = u64::try_from(usage.max_rss()).unwrap_or_default() * 1024;
    let time = |part: TimeVal| u64::try_from(part.num_microseconds()).unwrap_or_default();
    let processor = time(usage.user_time()) + time(usage.system_time());
    let told = Report {
        outcome,
        max_rss,
        processor: Duration::from_micros(processor),
        at,
        took,
    };
    serde_json::to_writer(report, &told)?;
    Ok(())
}

fn enter_namespace(mounts: &[Mount]) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).context("a private mount namespace (root is needed)")?;
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    for Mount { from, on } in mounts {
        mount(Some(from), on, none, MsFlags::MS_BIND, none)
            .with_context(|| format!("mounting {} on {}", from.display(), on.display()))?;
    }
    Ok(())
}

/// The agent in a pod is the charm's user itself. `CommandExt::uid` would have a program that is none run by a
/// shell, which Juju does not.
fn become_user(id: u32) -> Result<()> {
    let group = Gid::from_raw(id);
    setgroups(&[group])?;
    setgid(group)?;
    setuid(Uid::from_raw(id)).context("becoming the charm's user")
}

fn start(spec: &Spec) -> io::Result<ExitStatus> {
    Command::new(&spec.program)
        .arg0(&spec.program)
        .current_dir(&spec.directory)
        .env_clear()
        .envs(&spec.environment)
        .stdin(Stdio::null())
        .status()
}

fn ended(status: ExitStatus) -> Outcome {
    status.signal().map_or_else(
        || Outcome::Exited(status.code().unwrap_or(-1)),
        Outcome::Signalled,
    )
}

fn not_started(program: &Path, error: &io::Error) -> Outcome {
    let reason = error.raw_os_error().map_or_else(
        || error.to_string(),
        |number| Errno::from_raw(number).desc().to_lowercase(),
    );
    Outcome::NotStarted(format!("fork/exec {}: {reason}", program.display()))
}
