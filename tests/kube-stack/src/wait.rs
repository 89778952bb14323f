//! Waiting for a condition instead of for time.
//!
//! Invariant: a wait ends with the condition, with the end of the process it depends on, or with an
//! error that names what did not come.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep, timeout};

use super::command::tail;
use super::process::Process;

/// Ends a wait that was in vain: what comes within seconds on a quiet machine may take minutes next to other tests.
pub const DEADLINE: Duration = Duration::from_mins(4);

const PAUSE: Duration = Duration::from_millis(40);

/// Asks `condition` until it says yes.
pub async fn until(
    what: &str,
    limit: Duration,
    mut condition: impl AsyncFnMut() -> bool,
) -> Result<()> {
    let deadline = Instant::now() + limit;
    loop {
        // A probe that hangs must not outlive the deadline.
        if let Ok(true) = timeout(limit, condition()).await {
            return Ok(());
        }
        if Instant::now() >= deadline {
            bail!("{what}: not within {} s", limit.as_secs());
        }
        sleep(PAUSE).await;
    }
}

/// Like [`until`], for a condition that `process` brings about: gives up when that has ended, and
/// shows its log.
pub(super) async fn until_by(
    process: &Process,
    what: &str,
    limit: Duration,
    mut condition: impl AsyncFnMut() -> bool,
) -> Result<()> {
    let mut ended = false;
    let waited = until(what, limit, async || {
        ended = !process.runs();
        ended || condition().await
    })
    .await;
    if ended {
        bail!(
            "{what}: {} has ended; {}",
            process.name(),
            tail(&process.log())
        );
    }
    waited.map_err(|error| error.context(tail(&process.log())))
}
