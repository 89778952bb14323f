//! What is kept of each start of a charm.
//!
//! Invariant: every tool call, log line and status is in the record of the run that made it, in order.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::lifecycle::Interruption;
use super::model::Status;

/// One start of a charm.
#[derive(Debug, Clone)]
pub struct HookRun {
    /// The unit.
    pub unit: String,
    /// The hook or action.
    pub hook: String,
    /// The whole environment that it was given.
    pub environment: Vec<(String, String)>,
    /// How it ended.
    pub exit: Exit,
    /// When its process was started.
    pub at: SystemTime,
    /// How long its process lived.
    pub duration: Duration,
    /// The largest resident set of it or of a program that it started and waited for, in bytes.
    pub max_rss: u64,
    /// Time of processors that it took, and the programs that it started and waited for, such as hook tools.
    pub processor: Duration,
    /// The tools that it called.
    pub tool_calls: Vec<ToolCall>,
    /// What it logged and printed.
    pub log: Vec<LogLine>,
    /// The statuses that it set: the unit's, or with `--application` the application's.
    pub statuses: Vec<Status>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// On its own.
    Code(i32),
    /// By a signal, as Go calls it.
    Signal(String),
    /// The agent could not start it.
    NotStarted(String),
    /// On its own and well, but the controller refused what it had asked for.
    NotCommitted(String),
    /// By what the test wanted to happen.
    Interrupted(Interruption),
    /// There was no handler; Juju takes that for a success.
    Missing,
}

impl Exit {
    /// Whether Juju takes it for a success.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Code(0) | Self::Missing)
    }

    /// Whether someone stopped it: then it runs again, and is no failure.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        match self {
            Self::Signal(name) => name == "terminated" || name == "killed",
            Self::Interrupted(_) => true,
            _ => false,
        }
    }

    /// Juju's words for it; none for a success.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Code(0) | Self::Missing => None,
            Self::Code(code) => Some(format!("exit status {code}")),
            Self::Interrupted(Interruption::AgentLost) => Some("action terminated".to_owned()),
            Self::Interrupted(_) => Some("terminated".to_owned()),
            Self::Signal(_) if self.is_terminated() => Some("terminated".to_owned()),
            Self::Signal(name) => Some(format!("signal: {name}")),
            Self::NotStarted(why) | Self::NotCommitted(why) => Some(why.clone()),
        }
    }
}

/// One call of a hook tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// The tool.
    pub tool: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its exit code.
    pub exit: u8,
    /// When the agent got the request.
    pub at: SystemTime,
    /// How long the agent took.
    pub duration: Duration,
}

/// A line of the model's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When.
    pub at: SystemTime,
    /// The agent that logged it, such as `unit-app-0`.
    pub entity: String,
    /// `INFO` and so on.
    pub level: String,
    /// The logger, such as `unit.app/0.juju-log`.
    pub module: String,
    /// The text.
    pub text: String,
}

/// How an action went.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionOutcome {
    /// The number of the task.
    pub id: u32,
    /// `completed`, `failed` or `error` (never started).
    pub status: String,
    /// Why it failed.
    pub message: String,
    /// The results, with those that Juju adds.
    pub results: Map<String, Value>,
    /// Lines of `action-log`.
    pub log: Vec<(SystemTime, String)>,
    /// What it printed.
    pub stdout: String,
    /// What it printed to standard error.
    pub stderr: String,
}
