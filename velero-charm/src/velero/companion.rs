//! A program that does not outlive the charm.
//!
//! A charm that is killed stops nothing. The kernel can end its children for it, but each has to ask for
//! that itself. So the charm starts itself once more, which asks, and then becomes the program.

#![expect(
    clippy::disallowed_methods,
    reason = "this starts programs that are no hook tools"
)]

use std::{
    convert::Infallible,
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{self, ExitCode},
};

use nix::{
    sys::{prctl::set_pdeathsig, signal::Signal},
    unistd::{AccessFlags, access, getppid},
};
use tokio::process::Command;

/// Ourselves, under any name of our file.
const SELF: &str = "/proc/self/exe";

#[derive(Debug, clap::Args)]
pub(crate) struct Companion {
    /// Whose companion it is: the process that has started it.
    parent: i32,
    program: PathBuf,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// A command that runs a program as our companion, if it can be run at all.
pub(crate) fn command(program: &Path) -> io::Result<Command> {
    access(program, AccessFlags::X_OK)?;
    let mut command = Command::new(SELF);
    command
        .arg("companion")
        .arg(process::id().to_string())
        .arg(program);
    Ok(command)
}

impl Companion {
    /// Returns only if that failed.
    pub(crate) fn become_it(self) -> ExitCode {
        let Err(error) = self.try_to();
        // There is nobody else to tell.
        let _ = writeln!(io::stderr(), "{error}");
        ExitCode::FAILURE
    }

    fn try_to(self) -> io::Result<Infallible> {
        set_pdeathsig(Signal::SIGKILL)?;
        // It may have ended before we asked.
        if getppid().as_raw() != self.parent {
            return Err(io::Error::other("the charm has ended"));
        }
        let mut program = process::Command::new(self.program);
        Err(program.args(self.arguments).exec())
    }
}
