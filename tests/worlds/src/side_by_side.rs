//! Worlds that are busy at the same time.
//!
//! Invariant: each has a thread and a runtime of its own, and all have ended when the call returns.

use std::thread;

use anyhow::{Context as _, Result};

/// Does the work of each job on a thread of its own; fails, or panics, if one of them does.
pub fn side_by_side<T, W, F>(jobs: Vec<T>, work: W) -> Result<()>
where
    T: Send,
    W: Fn(T) -> F + Sync,
    F: Future<Output = Result<()>>,
{
    thread::scope(|scope| {
        let start = |job| scope.spawn(|| alone(work(job)));
        let threads: Vec<_> = jobs.into_iter().map(start).collect();
        threads
            .into_iter()
            .try_for_each(|thread| match thread.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            })
    })
}

/// Runs a future to its end, and nothing else.
pub fn alone<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("a runtime")?
        .block_on(work)
}
