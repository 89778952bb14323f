//! Programs that the charm starts and that do not work: Juju's hook tools and Velero's CLI.

mod cli;
mod failing;
mod hanging;

use http::Method;
use juju_emulator::{HookRun, ToolFault};
use worlds::plane::Trial;

/// What Juju says when its controller has just gone.
fn fails() -> ToolFault {
    ToolFault::Fails {
        code: 1,
        stderr: "ERROR connection is shut down\n".to_owned(),
    }
}

/// All that a run has logged and printed.
fn log(run: &HookRun) -> String {
    let lines = run.log.iter();
    let lines = lines.map(|line| format!("{}: {}", line.level, line.text));
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether the charm has changed nothing in the cluster since the proxy began to count.
fn has_only_read(trial: &Trial) -> bool {
    let record = trial.proxy.record();
    record.iter().all(|one| one.asked.method == Method::GET)
}
