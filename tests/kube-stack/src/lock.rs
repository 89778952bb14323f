//! One caller at a time.
//!
//! Invariant: who holds a [`Lock`] is alone; the kernel frees it when the holder ends, however it ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::Path;

use anyhow::{Context as _, Result};

use super::progress::Progress;

/// Held until dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for `path` to be free and takes it. Says so when there is something to wait for.
    pub(super) async fn take(path: &Path, progress: &Progress) -> Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .with_context(|| format!("cannot open the lock {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => return Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error).context("cannot lock"),
        }
        let wait = async {
            let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await?;
            Ok(Self { _file: locked? })
        };
        progress
            .step(
                &format!("wait for another caller that holds {}", path.display()),
                wait,
            )
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_caller_waits_for_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let quiet = Progress::quiet();
        let first = Lock::take(&path, &quiet).await.unwrap();
        let mut second = std::pin::pin!(Lock::take(&path, &quiet));
        let early = tokio::time::timeout(std::time::Duration::from_millis(50), &mut second).await;
        assert!(early.is_err(), "two callers hold one lock");
        drop(first);
        second.await.unwrap();
    }
}
