//! Ports that nobody else has.
//!
//! Invariant: a claim is held by a lock on a file that is the machine's, not the checkout's, and ends with
//! the process. The numbers lie below those that the kernel gives to outgoing connections, so none of
//! them can be taken between the claim and its use.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::layout::MACHINE;

/// How many ports a claim has.
const EACH: u16 = 3;
const FIRST: u16 = 20_000;
const CLAIMS: u16 = 1_000;

/// A few ports in a row, held until dropped.
#[derive(Debug)]
pub(super) struct Claim {
    first: u16,
    _lock: File,
}

impl Claim {
    /// Takes the first that are free.
    pub(super) fn take() -> Result<Self> {
        let folder = Path::new(MACHINE).join("ports");
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let firsts = (0..CLAIMS).map(|number| FIRST + number * EACH);
        for first in firsts {
            let lock = File::create(folder.join(first.to_string()))?;
            if lock.try_lock().is_ok() && is_free(first) {
                return Ok(Self { first, _lock: lock });
            }
        }
        anyhow::bail!("no ports are free from {FIRST} on")
    }

    /// Their numbers.
    pub(super) const fn ports(&self) -> [u16; 3] {
        [self.first, self.first + 1, self.first + 2]
    }
}

/// Whether nobody listens there: a process that was just killed may not be gone yet.
fn is_free(first: u16) -> bool {
    (first..first + EACH).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
}
