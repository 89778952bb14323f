//! A model on disk.
//!
//! Invariant: the file is always whole, and at most one process holds the model.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::model::Model;

/// A model's directory, held for as long as this value lives.
pub(crate) struct Store {
    dir: PathBuf,
    lock: File,
}

impl Store {
    /// Takes the directory, making it if need be.
    pub(crate) fn take(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        let dir = dir.canonicalize()?;
        let lock = File::create(dir.join("lock"))?;
        if lock.try_lock().is_err() {
            bail!("another process works on the model in {}", dir.display());
        }
        Ok(Self { dir, lock })
    }

    /// The directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    fn state(&self) -> PathBuf {
        self.dir.join("state.json")
    }

    /// Whether a model was written here.
    pub(crate) fn holds_a_model(&self) -> bool {
        self.state().exists()
    }

    /// Reads the model.
    pub(crate) fn read(&self) -> Result<Model> {
        let path = self.state();
        let text =
            fs::read(&path).with_context(|| format!("no model in {}", self.dir.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))
    }

    /// Writes the model, readable for its owner alone: secrets are in it.
    pub(crate) fn write(&self, model: &Model) -> Result<()> {
        let part = self.dir.join("state.json.part");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&part)?;
        serde_json::to_writer(std::io::BufWriter::new(file), model)?;
        Ok(fs::rename(part, self.state())?)
    }
}

impl Drop for Store {
    /// Gives the lock back by name. Closing the file is not enough: a process that another thread
    /// is just starting has a copy of it until its `exec`.
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_model_is_free_though_its_lock_was_copied() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::take(dir.path()).unwrap();
        let copy = store.lock.try_clone().unwrap();
        drop(store);
        Store::take(dir.path()).unwrap();
        drop(copy);
    }
}
