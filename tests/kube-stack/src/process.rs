//! Processes that outlive the program that starts them.
//!
//! Invariant: a process is known by its id together with its start time and the boot it started in.
//! An id that was given to somebody else since is never taken for ours, and never signalled.

use std::fmt::{self, Display};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::process::Command;

use super::wait::until;

const GONE_WITHIN: Duration = Duration::from_mins(1);

/// The environment of Go programs where memory is there and processors are short: an API server takes a fifth less of
/// them, kubectl and `promtool` a fourth.
pub const COLLECT_SELDOM: [(&str, &str); 2] = [("GOGC", "400"), ("GOMEMLIMIT", "1GiB")];

/// Which process it is, for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pid: i32,
    started: u64,
    boot: String,
}

impl Identity {
    /// The process that has this id now. A zombie has ended.
    pub(super) fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name is in brackets and may hold anything, brackets and blanks too.
        let (_, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_whitespace();
        if matches!(fields.next()?, "Z" | "X") {
            return None;
        }
        let started = fields.nth(18)?.parse().ok()?;
        Some(Self {
            pid,
            started,
            boot: boot()?,
        })
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether that very process still runs.
    pub(super) fn runs(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Ends it, and the process group it leads, at once.
    pub(super) fn end(&self) {
        if self.runs() {
            // Either call fails only when there is nothing left to end.
            let _ = killpg(Pid::from_raw(self.pid), Signal::SIGKILL);
            let _ = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
        }
    }
}

impl Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} {}", self.pid, self.started, self.boot)
    }
}

impl FromStr for Identity {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut words = text.split_whitespace();
        let mut word = || {
            words
                .next()
                .ok_or_else(|| anyhow!("not a process record: {text}"))
        };
        Ok(Self {
            pid: word()?.parse()?,
            started: word()?.parse()?,
            boot: word()?.to_owned(),
        })
    }
}

fn boot() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// A process of the stack: `<folder>/proc/<name>` says which, `<folder>/log/<name>.log` what it wrote.
#[derive(Debug, Clone)]
pub(super) struct Process {
    folder: PathBuf,
    name: String,
}

impl Process {
    /// Starts `command` in a session of its own.
    pub(super) fn spawn(folder: &Path, name: &str, command: &[String]) -> Result<Self> {
        let this = Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
        };
        fs::create_dir_all(folder.join("proc"))?;
        fs::create_dir_all(folder.join("log"))?;
        let out = File::create(this.log())?;
        // `setsid` becomes the command without a fork: the id is the command's.
        let child = Command::new("setsid")
            .args(command)
            .envs(COLLECT_SELDOM)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("cannot start {name}: `{}`", command.join(" ")))?;
        let identity = child
            .id()
            .and_then(|pid| Identity::of(pid.try_into().ok()?))
            .with_context(|| format!("{name} ended at once"))?;
        fs::write(this.record(), identity.to_string())?;
        Ok(this)
    }

    /// All that were started in `folder` and not forgotten since.
    pub(super) fn all(folder: &Path) -> Vec<Self> {
        let Ok(records) = fs::read_dir(folder.join("proc")) else {
            return Vec::new();
        };
        records
            .filter_map(|record| record.ok()?.file_name().into_string().ok())
            .map(|name| Self {
                folder: folder.to_owned(),
                name,
            })
            .collect()
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("log").join(format!("{}.log", self.name))
    }

    fn record(&self) -> PathBuf {
        self.folder.join("proc").join(&self.name)
    }

    /// Who it is, if it was recorded.
    pub(super) fn identity(&self) -> Option<Identity> {
        fs::read_to_string(self.record()).ok()?.parse().ok()
    }

    pub(super) fn runs(&self) -> bool {
        self.identity().is_some_and(|identity| identity.runs())
    }
}

/// Ends all of `processes` and waits until they are gone. Their state is thrown away, so nobody is
/// asked politely.
pub(super) async fn end_all(processes: &[Identity]) -> Result<()> {
    for process in processes {
        process.end();
    }
    until("the processes of the stack end", GONE_WITHIN, async || {
        !processes.iter().any(Identity::runs)
    })
    .await
}

/// Processes that run a program of `stack`, or were told to work in its `run` folder: what a hard kill
/// of the starting program left unrecorded.
pub(super) fn of_folder(stack: &Path) -> Vec<Identity> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| belongs(*pid, stack))
        .filter_map(Identity::of)
        .collect()
}

/// Programs from elsewhere that the stack starts. Anyone may have the stack's paths among his arguments
/// (an editor, `tail`); only these are ours by that.
const BORROWED: [&str; 6] = [
    "containerd",
    "dnsmasq",
    "node",
    "nsenter",
    "unshare",
    "weed",
];

fn belongs(pid: i32, stack: &Path) -> bool {
    let Ok(program) = fs::read_link(format!("/proc/{pid}/exe")) else {
        return false;
    };
    if program.starts_with(stack.join("bin")) || program.starts_with(stack.join("py")) {
        return true;
    }
    let name = program.file_name().unwrap_or_default();
    let borrowed = BORROWED.iter().any(|known| name == *known);
    let Ok(arguments) = fs::read(format!("/proc/{pid}/cmdline")) else {
        return false;
    };
    let run = format!("{}/", stack.join("run").display());
    borrowed && String::from_utf8_lossy(&arguments).contains(&run)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> std::process::Child {
        std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap()
    }

    #[tokio::test]
    async fn a_stale_record_does_not_end_a_foreign_process() {
        let mut foreign = sleeper();
        let now = Identity::of(foreign.id().try_into().unwrap()).unwrap();
        let stale = Identity {
            started: now.started - 1,
            ..now.clone()
        };
        end_all(&[stale]).await.unwrap();
        assert!(now.runs(), "a process that only had the same id was ended");
        end_all(std::slice::from_ref(&now)).await.unwrap();
        assert!(!now.runs());
        foreign.wait().unwrap();
    }

    #[tokio::test]
    async fn a_process_is_recorded_logged_and_ended() {
        let folder = tempfile::tempdir().unwrap();
        let command = ["sh", "-c", "echo here; exec sleep 60"].map(str::to_owned);
        let process = Process::spawn(folder.path(), "one", &command).unwrap();
        until("it writes", GONE_WITHIN, async || {
            fs::read_to_string(process.log()).is_ok_and(|log| log == "here\n")
        })
        .await
        .unwrap();
        let found = Process::all(folder.path());
        assert_eq!(found.len(), 1);
        let identity = found[0].identity().unwrap();
        assert_eq!(identity.to_string().parse::<Identity>().unwrap(), identity);
        end_all(&[identity]).await.unwrap();
        assert!(!process.runs());
    }

    #[test]
    fn processes_of_others_do_not_belong_to_the_stack() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/log");
        let mut reader = std::process::Command::new("sh")
            .args(["-c", "sleep 60; true"])
            .arg(&path)
            .spawn()
            .unwrap();
        assert!(
            of_folder(folder.path()).is_empty(),
            "a reader of a log is not ours to end"
        );
        let program = folder.path().join("bin/sleep");
        fs::create_dir(folder.path().join("bin")).unwrap();
        fs::copy("/bin/sleep", &program).unwrap();
        let mut ours = std::process::Command::new(program)
            .arg("60")
            .spawn()
            .unwrap();
        let found = of_folder(folder.path());
        assert_eq!(
            found,
            Vec::from_iter(Identity::of(ours.id().try_into().unwrap()))
        );
        ours.kill().unwrap();
        ours.wait().unwrap();
        reader.kill().unwrap();
        reader.wait().unwrap();
    }
}
