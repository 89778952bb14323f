//! Killing a charm from outside, while its hook runs.
//!
//! Invariant: only the charm's own process is killed, and only while its launcher waits for it; the
//! launcher tells of it as of any end.

use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;

/// Kills the charm that runs when it is used; for a caller that learns of the right moment elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Killer(Arc<Mutex<Option<u32>>>);

/// As long as this lives, there is somebody to kill.
pub(super) struct Aim<'a>(&'a Killer);

impl Killer {
    /// Kills it, for good and at once. Its hook is due again.
    pub fn kill(&self) -> Result<()> {
        let launcher = self.launcher().context("no hook runs")?;
        kill_charm(launcher)
    }

    pub(super) fn aim(&self, launcher: &Child) -> Aim<'_> {
        *self.launcher() = launcher.id();
        Aim(self)
    }

    fn launcher(&self) -> MutexGuard<'_, Option<u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Aim<'_> {
    fn drop(&mut self) {
        *self.0.launcher() = None;
    }
}

/// Kills what the launcher has started, and not the launcher, which is to tell of it.
pub(super) fn kill_charm(launcher: u32) -> Result<()> {
    let children = fs::read_to_string(format!("/proc/{launcher}/task/{launcher}/children"))?;
    for child in children.split_whitespace() {
        kill(Pid::from_raw(child.parse()?), Signal::SIGKILL)?;
    }
    Ok(())
}
