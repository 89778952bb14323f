//! Hook tools that do not work, though nothing is wrong with how they are called.
//!
//! Invariant: as with Juju, which serves one call at a time: behind one that hangs, all wait.

use tokio::net::UnixStream;

use super::wire::Reply;

/// What a call of a tool comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolFault {
    /// It fails so.
    Fails {
        /// Its exit code.
        code: u8,
        /// What it says about it.
        stderr: String,
    },
    /// It succeeds and prints this.
    Says(String),
    /// It is never answered, and no later one of any tool either.
    Hangs,
}

/// A fault of the next run: this many-th call (from 1) of this tool.
#[derive(Debug, Clone)]
pub(super) struct Sabotage {
    pub(super) tool: String,
    pub(super) at_call: usize,
    pub(super) fault: ToolFault,
}

/// How far one run has come.
#[derive(Default)]
pub(super) struct Saboteur {
    plan: Option<Sabotage>,
    calls: usize,
    /// Kept open: a closed connection would be an answer.
    unanswered: Vec<UnixStream>,
}

impl Saboteur {
    pub(super) fn with(plan: Option<Sabotage>) -> Self {
        Self {
            plan,
            ..Self::default()
        }
    }

    /// Whether calls are answered no more.
    pub(super) const fn is_hanging(&self) -> bool {
        !self.unanswered.is_empty()
    }

    /// Lets a caller wait forever.
    pub(super) fn keep(&mut self, caller: UnixStream) {
        self.unanswered.push(caller);
    }

    /// What is to become of a call of this tool; `None` if all is well.
    pub(super) fn next(&mut self, tool: &str) -> Option<ToolFault> {
        let plan = self.plan.as_ref().filter(|plan| plan.tool == tool)?;
        self.calls += 1;
        (self.calls == plan.at_call).then(|| plan.fault.clone())
    }
}

/// The answer that a fault gives instead of the tool; `None` if it hangs.
pub(super) fn answer(fault: ToolFault) -> Option<Reply> {
    let (code, stdout, stderr) = match fault {
        ToolFault::Fails { code, stderr } => (code, String::new(), stderr),
        ToolFault::Says(stdout) => (0, stdout, String::new()),
        ToolFault::Hangs => return None,
    };
    Some(Reply::Done {
        code,
        stdout: stdout.into_bytes(),
        stderr: stderr.into_bytes(),
    })
}
