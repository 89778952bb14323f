//! What the agent tells the launcher (`unit-exec`) to start, and what it hears back.
//!
//! Invariant: the charm's process sees only what [`Spec`] lists; how it ended reaches the agent
//! unchanged, whatever that was.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// A process to run in a mount namespace of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spec {
    /// The program, as an absolute path inside the namespace; also its `argv[0]`.
    pub program: PathBuf,
    /// Its working directory, inside the namespace.
    pub directory: PathBuf,
    /// The number of the user that it runs as, and of the group.
    pub user: u32,
    /// Its whole environment.
    pub environment: BTreeMap<String, String>,
    /// What is mounted before it starts.
    pub mounts: Vec<Mount>,
    /// Where the launcher writes its [`Report`].
    pub report: PathBuf,
}

/// A directory or file that appears at another place.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mount {
    /// Where it is on the host.
    pub from: PathBuf,
    /// Where the charm sees it.
    pub on: PathBuf,
}

/// How the process went.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// The largest resident set of it or of any process that it started and waited for, in bytes;
    /// at least the launcher's own few megabytes, in which it began its life.
    pub max_rss: u64,
    /// Time of processors that it took, and what it started and waited for, the kernel's part of it included.
    pub processor: Duration,
    /// When it was started.
    pub at: SystemTime,
    /// How long it lived.
    pub took: Duration,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// On its own, with this code.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// It never started, in Go's words.
    NotStarted(String),
}
