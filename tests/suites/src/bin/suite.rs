//! All tests on the stack: `cargo suite`. The last line is `N passed, N failed`.
//!
//! Invariant: the stack is taken down at the end, however that comes, unless it was up before.

use std::cell::RefCell;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use ::kube_stack::{Progress, Stack};
use ::worlds::operator;
use anyhow::{Context as _, Result, anyhow, bail};
use clap::Parser;
use futures::future::try_join_all;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

const BUDGET_UP: Duration = Duration::from_mins(20);

/// Tests that are run by one command.
struct Level {
    name: &'static str,
    budget: Duration,
    tests: Tests,
    charm: Charm,
}

/// What cargo has to test.
#[derive(Clone, Copy)]
enum Tests {
    /// Unit tests of all crates.
    Units,
    /// Examples in the documentation of all crates.
    Examples,
    /// A test program of this crate, and which of its tests.
    Program(&'static str, Part),
}

/// Which tests of a program.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    /// All but the heavy ones.
    Light,
    /// The heavy ones, one after the other.
    Heavy,
}

/// Each is in many worlds at once and keeps both cores busy by itself: they come last, when the node is at its tests that
/// need all of it and mostly wait.
const HEAVY: [&str; 4] = ["crash::", "fault::", "property::", "status::"];

/// Worlds wait for hooks, and those for controllers: as many threads as cores would leave a fifth of them idle.
const THREADS_LIGHT: &str = "--test-threads=3";
const THREADS_HEAVY: &str = "--test-threads=2";

/// The charm that a level takes.
#[derive(Clone, Copy)]
enum Charm {
    /// Built as quickly as can be, with all its checks of itself.
    Dev,
    /// As it ships.
    Release,
}

/// What is run one after the other, next to other lanes.
struct Lane {
    levels: &'static [Level],
    share: Share,
}

/// What a lane gets of the processor.
#[derive(Clone, Copy)]
enum Share {
    /// What it needs: most of its time it waits, for pods that real images make.
    First,
    /// What other lanes leave.
    Rest,
}

/// They run at the same time.
const LANES: [Lane; 2] = [
    Lane {
        levels: &[Level {
            name: "node",
            // Five of them if the charm that ships is still to be built.
            budget: Duration::from_mins(30),
            tests: Tests::Program("node", Part::All),
            charm: Charm::Release,
        }],
        share: Share::First,
    },
    Lane {
        levels: &[
            Level {
                name: "unit tests",
                budget: Duration::from_mins(6),
                tests: Tests::Units,
                charm: Charm::Dev,
            },
            Level {
                name: "documentation",
                budget: Duration::from_mins(2),
                tests: Tests::Examples,
                charm: Charm::Dev,
            },
            Level {
                name: "Juju emulator",
                budget: Duration::from_mins(4),
                tests: Tests::Program("emulator", Part::All),
                charm: Charm::Dev,
            },
            Level {
                name: "control plane",
                budget: Duration::from_mins(20),
                tests: Tests::Program("plane", Part::Light),
                charm: Charm::Dev,
            },
            Level {
                name: "heavy planes",
                budget: Duration::from_mins(15),
                tests: Tests::Program("plane", Part::Heavy),
                charm: Charm::Dev,
            },
        ],
        share: Share::Rest,
    },
];

/// Runs all tests of the workspace on the stack.
#[derive(Parser)]
struct Arguments {
    /// Write the last line to this file too.
    #[arg(long)]
    result: Option<PathBuf>,
    /// Try a `.charm` that `cargo pack` has made on the node, instead of what is built from the sources.
    #[arg(long)]
    charm: Option<PathBuf>,
}

impl Tests {
    /// What `cargo test` is told.
    fn arguments(self) -> Vec<&'static str> {
        let (program, part) = match self {
            Self::Units => return vec!["--workspace", "--lib", "--bins"],
            Self::Examples => return vec!["--workspace", "--doc"],
            Self::Program(program, part) => (program, part),
        };
        let mut arguments = vec!["--package", "suites", "--test", program];
        match part {
            Part::All => {}
            Part::Light => {
                arguments.extend(["--", THREADS_LIGHT]);
                arguments.extend(HEAVY.iter().flat_map(|topic| ["--skip", topic]));
            }
            Part::Heavy => {
                arguments.extend(["--", THREADS_HEAVY]);
                arguments.extend(HEAVY);
            }
        }
        arguments
    }
}

/// What is tried instead of what a level would take.
struct Instead {
    /// By `CHARM_PROFILE`, on every level.
    profile: Option<String>,
    /// In place of the charm as it ships.
    packed: Option<PathBuf>,
}

impl Charm {
    /// What tests have to know of it, as a variable of their environment.
    fn variable(self, instead: &Instead) -> (&'static str, OsString) {
        match (self, &instead.packed, &instead.profile) {
            (Self::Release, Some(file), _) => (operator::PACKED, file.into()),
            (_, _, Some(profile)) => (operator::PROFILE, profile.into()),
            (Self::Dev, ..) => (operator::PROFILE, "dev".into()),
            (Self::Release, ..) => (operator::PROFILE, "release".into()),
        }
    }
}

/// Tests that ran.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
}

impl Counts {
    const fn add(&mut self, found: Self) {
        self.passed += found.passed;
        self.failed += found.failed;
    }
}

/// What took how long.
#[derive(Default)]
struct Times(Vec<(&'static str, Duration, Option<Duration>)>);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut times = Times::default();
    let mut counts = Counts::default();
    let instead = Instead {
        profile: env::var(operator::PROFILE).ok(),
        packed: arguments.charm,
    };
    let outcome = run(&instead, &mut times, &mut counts).await;
    let failed = outcome.is_err() || counts.failed > 0;
    if let Err(error) = outcome {
        say(&format!("error: {error:#}"));
        // Whatever went wrong besides the tests is a failure of its own.
        counts.failed = counts.failed.max(1);
    }
    say(&times.table());
    let last = format!("{} passed, {} failed", counts.passed, counts.failed);
    if let Some(error) = arguments
        .result
        .and_then(|file| fs::write(file, format!("{last}\n")).err())
    {
        say(&format!("error: {error}"));
    }
    say(&last);
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

async fn run(instead: &Instead, times: &mut Times, counts: &mut Counts) -> Result<()> {
    let was_up = Stack::attach().await.is_ok();
    let progress = Progress::to_stderr();
    let outcome = tokio::select! {
        outcome = test(&progress, instead, times, counts) => outcome,
        stopped = told_to_stop() => stopped,
    };
    if !was_up {
        times
            .take("stack down", None, Stack::down(&progress))
            .await?;
    }
    outcome
}

async fn test(
    progress: &Progress,
    instead: &Instead,
    times: &mut Times,
    counts: &mut Counts,
) -> Result<()> {
    times
        .take("stack up", Some(BUDGET_UP), Stack::up(progress))
        .await?;
    let log = RefCell::new((times, counts));
    let lanes = LANES.iter().map(|lane| lane.run(instead, &log));
    let failed = try_join_all(lanes).await?.concat();
    if !failed.is_empty() {
        bail!("cargo test failed: {}", failed.join(", "));
    }
    if log.borrow().1.passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}

impl Lane {
    /// Runs its levels, whatever becomes of them; gives the names of those that failed.
    async fn run(
        &self,
        instead: &Instead,
        log: &RefCell<(&mut Times, &mut Counts)>,
    ) -> Result<Vec<&'static str>> {
        let mut failed = Vec::new();
        for level in self.levels {
            let begun = Instant::now();
            let mut test = vec!["test", "--locked", "--no-fail-fast"];
            test.extend(level.tests.arguments());
            let note = |line: &str| {
                if let Some(found) = result_line(line) {
                    log.borrow_mut().1.add(found);
                }
                say(&format!("{}: {line}", level.name));
            };
            let mut tests = self.share.cargo();
            tests.args(test);
            let (variable, value) = level.charm.variable(instead);
            tests.env(variable, value);
            let status = run_cargo(tests, note).await;
            let took = (level.name, begun.elapsed(), Some(level.budget));
            log.borrow_mut().0.0.push(took);
            if !status?.success() {
                failed.push(level.name);
            }
        }
        Ok(failed)
    }
}

impl Share {
    fn cargo(self) -> Command {
        match self {
            Self::First => operator::cargo(),
            Self::Rest => operator::cargo_in_the_background(),
        }
    }
}

/// Ends when somebody wants this program to end.
async fn told_to_stop() -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Err(anyhow!("stopped from outside"))
}

/// Runs cargo; `note` sees each line of its standard output.
async fn run_cargo(mut cargo: Command, mut note: impl FnMut(&str)) -> Result<ExitStatus> {
    let mut group = Group::of(cargo.stdout(Stdio::piped()))?;
    let output = group.child.stdout.take().context("cargo has no output")?;
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await? {
        note(&line);
    }
    Ok(group.child.wait().await?)
}

/// A process group that does not outlive its handle.
struct Group {
    child: Child,
}

impl Group {
    fn of(cargo: &mut Command) -> Result<Self> {
        let child = cargo
            .stdin(Stdio::null())
            // What it starts is ended with it, and a signal to us is not one to that.
            .process_group(0)
            .spawn()
            .context("cannot run cargo")?;
        Ok(Self { child })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The id is there until the child was waited for.
        if let Some(id) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

/// `test result: ok. 3 passed; 1 failed; ...`
fn result_line(line: &str) -> Option<Counts> {
    let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |name: &str| {
        let part = numbers
            .split("; ")
            .find_map(|part| part.strip_suffix(name))?;
        part.trim().parse().ok()
    };
    Some(Counts {
        passed: number("passed")?,
        failed: number("failed")?,
    })
}

impl Times {
    async fn take<T>(
        &mut self,
        what: &'static str,
        budget: Option<Duration>,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let start = Instant::now();
        let outcome = work.await;
        self.0.push((what, start.elapsed(), budget));
        outcome
    }

    fn table(&self) -> String {
        let mut lines = vec![format!("{:<18}{:>10}{:>12}", "step", "time", "budget")];
        for (what, took, budget) in &self.0 {
            let budget = budget.map_or_else(String::new, |budget| {
                format!("{} min", budget.as_secs() / 60)
            });
            lines.push(format!(
                "{what:<18}{:>8.1} s{budget:>12}",
                took.as_secs_f64()
            ));
        }
        lines.join("\n")
    }
}

fn say(text: &str) {
    // Nobody is left to be told when standard output is closed.
    let _ = writeln!(std::io::stdout(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_programs_are_whole_on_levels() {
        let tests = operator::workspace().join("tests");
        let listed = |folder: &std::path::Path| {
            let names = fs::read_dir(folder).into_iter().flatten();
            let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.collect::<std::collections::BTreeSet<_>>()
        };
        let programs = listed(&tests.join("suites/tests"));
        let levels = LANES.iter().flat_map(|lane| lane.levels);
        let on_levels = levels.filter_map(|level| match level.tests {
            Tests::Program(program, part) => Some((program.to_owned(), part)),
            Tests::Units | Tests::Examples => None,
        });
        let on_levels: Vec<_> = on_levels.collect();
        for program in &programs {
            let parts = on_levels.iter().filter(|(name, _)| name == program);
            let parts: Vec<_> = parts.map(|(_, part)| *part).collect();
            let is_whole = parts == [Part::All] || parts == [Part::Light, Part::Heavy];
            assert!(is_whole, "not all of `{program}` is run");
        }
        assert!(on_levels.iter().all(|(name, _)| programs.contains(name)));
        for room in listed(&tests).iter().filter(|room| *room != "suites") {
            let own = listed(&tests.join(room).join("tests"));
            assert!(own.is_empty(), "{room} has tests that nobody runs");
        }
    }

    #[test]
    fn heavy_ones_come_last() {
        let is_heavy = |level: &Level| matches!(level.tests, Tests::Program(_, Part::Heavy));
        let found = LANES.iter().filter(|lane| lane.levels.iter().any(is_heavy));
        let lanes: Vec<_> = found.collect();
        let [lane] = lanes.as_slice() else {
            panic!("not in one lane");
        };
        let number = lane.levels.iter().filter(|level| is_heavy(level)).count();
        assert_eq!(number, 1);
        assert!(lane.levels.last().is_some_and(is_heavy));
    }

    #[test]
    fn result_lines_are_counted() {
        let ok = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(
            result_line(ok),
            Some(Counts {
                passed: 12,
                failed: 0
            })
        );
        let failed = "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 4 filtered out; finished in 1.00s";
        assert_eq!(
            result_line(failed),
            Some(Counts {
                passed: 3,
                failed: 2
            })
        );
    }

    #[test]
    fn other_lines_are_not() {
        for line in [
            "test a::b ... ok",
            "running 3 tests",
            "test result: odd",
            "3 passed; 0 failed",
            "",
        ] {
            assert_eq!(result_line(line), None, "{line}");
        }
    }
}
