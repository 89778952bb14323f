//! Commands that run to their end.
//!
//! Invariant: a command that fails is reported with its command line and the end of what it wrote.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

/// Lines of a log that a failure shows.
const TAIL_LINES: usize = 25;

/// Runs `command`, its output in the file `log`.
pub(super) async fn logged(command: &mut Command, log: &Path) -> Result<()> {
    let shown = shown(command);
    let out = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let err = out.try_clone()?;
    let status = command
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .kill_on_drop(true)
        .status()
        .await
        .with_context(|| format!("cannot run `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status}); {}", tail(log));
    }
    Ok(())
}

/// Runs `command` and returns what it wrote to standard output.
pub(super) async fn output(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let done = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("cannot run `{shown}`"))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        bail!(
            "`{shown}` failed ({}): {}",
            done.status,
            last_lines(said.trim_end())
        );
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// `program` with `arguments`, separated by white space: for commands whose arguments hold none.
pub(super) async fn plain(program: &str, arguments: &str) -> Result<String> {
    output(Command::new(program).args(arguments.split_whitespace())).await
}

/// The end of a log, introduced by its path.
pub(super) fn tail(log: &Path) -> String {
    match fs::read(log) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            format!("end of {}:\n{}", log.display(), last_lines(text.trim_end()))
        }
        Err(error) => format!("its log {} cannot be read: {error}", log.display()),
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(TAIL_LINES);
    lines
        .into_iter()
        .skip(skipped)
        .collect::<Vec<_>>()
        .join("\n")
}

fn shown(command: &Command) -> String {
    let command = command.as_std();
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failure_shows_command_and_end_of_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", "seq 100; echo oh dear >&2; exit 3"]);
        let text = logged(&mut command, &log).await.unwrap_err().to_string();
        assert!(text.contains("`sh -c seq 100"), "{text}");
        assert!(text.contains("exit status: 3"), "{text}");
        assert!(text.ends_with("99\n100\noh dear"), "{text}");
        assert!(!text.contains("\n50\n"), "{text}");
    }
}
