//! A person's hand on a persisted model: `status`, `config`, `integrate`, `run` and so on.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use juju_emulator::{Exit, HookRun, Juju, Resolve, views};
use serde_json::Value;
use worlds::clusters;
use worlds::commands::{Change, Command, parameters};

/// Works on the model in `JUJU_DIR`, or in `.stack/juju` of the workspace.
#[derive(Parser)]
#[command(name = "juju")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    #[command(flatten)]
    Common(Command),
    /// Shows applications, units and relations.
    Status,
    /// Shows the model's log.
    DebugLog {
        /// Only the last lines, this many.
        #[arg(short = 'n', long)]
        lines: Option<usize>,
    },
    /// Shows a unit and what it can read of its relations.
    ShowUnit {
        /// Such as `velero-operator/0`.
        unit: String,
    },
    /// Gives an application full access to the cluster.
    Trust {
        /// The application.
        app: String,
        /// Takes it back.
        #[arg(long)]
        remove: bool,
        /// Taken for Juju's sake; there is but `cluster`.
        #[arg(long)]
        scope: Option<String>,
    },
    /// Runs the update-status hook.
    UpdateStatus {
        /// The unit.
        unit: String,
    },
    /// Lets a unit continue after a failed hook.
    Resolved {
        /// The unit.
        unit: String,
        /// Takes the hook for done.
        #[arg(long)]
        no_retry: bool,
    },
    /// No longer lets an application read a secret.
    RevokeSecret {
        /// Its name or address.
        name: String,
        /// The application.
        app: String,
    },
    /// Deletes a secret.
    RemoveSecret {
        /// Its name or address.
        name: String,
    },
    /// Changes how many units an application has.
    ScaleApplication {
        /// The application.
        app: String,
        /// How many.
        units: usize,
    },
}

impl Task {
    const fn only_looks(&self) -> bool {
        matches!(
            self,
            Self::Status | Self::DebugLog { .. } | Self::ShowUnit { .. }
        )
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match work(Arguments::parse().command).await {
        Ok(code) => code,
        Err(error) => {
            // Nothing is left to tell it to if standard error is closed.
            let _ = writeln!(io::stderr(), "ERROR {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn work(task: Task) -> Result<ExitCode> {
    let dir = directory();
    // Looking needs no cluster; all else runs hooks, which find the stack as a pod would.
    let mut juju = if task.only_looks() {
        Juju::open(&dir, None).await?
    } else {
        clusters::attach(&dir).await?
    };
    match task {
        Task::Status => say(&views::status(juju.model()))?,
        Task::DebugLog { lines } => debug_log(&juju, lines)?,
        Task::ShowUnit { unit } => {
            let text = views::show_unit(juju.model(), &unit);
            say(&text.with_context(|| format!("there is no unit {unit}"))?)?;
        }
        Task::Common(Command::Change(change)) => change_or_show(&mut juju, &change).await?,
        Task::Common(Command::Run {
            unit,
            action,
            params,
        }) => return act(&mut juju, &unit, &action, &params).await,
        Task::Trust { app, remove, .. } => {
            if remove {
                juju.untrust(&app).await?;
            } else {
                juju.trust(&app).await?;
            }
            settle(&mut juju).await?;
        }
        Task::UpdateStatus { unit } => tell(&[juju.update_status(&unit).await?])?,
        Task::Resolved { unit, no_retry } => {
            juju.resolved(
                &unit,
                if no_retry {
                    Resolve::Skip
                } else {
                    Resolve::Retry
                },
            )?;
            settle(&mut juju).await?;
        }
        Task::RevokeSecret { name, app } => juju.revoke_secret(&name, &app)?,
        Task::RemoveSecret { name } => juju.remove_secret(&name)?,
        Task::ScaleApplication { app, units } => {
            juju.scale(&app, units)?;
            settle(&mut juju).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn directory() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.stack/juju");
    std::env::var_os("JUJU_DIR").map_or_else(default, PathBuf::from)
}

async fn settle(juju: &mut Juju) -> Result<()> {
    tell(&juju.settle().await?)
}

fn tell(runs: &[HookRun]) -> Result<()> {
    for run in runs {
        let end = match &run.exit {
            Exit::Code(0) => "ok".to_owned(),
            exit => exit.reason().unwrap_or_else(|| "no handler".to_owned()),
        };
        let (seconds, calls) = (run.duration.as_secs_f64(), run.tool_calls.len());
        say(&format!(
            "{} {}: {end} ({seconds:.2} s, {calls} tool calls)\n",
            run.unit, run.hook
        ))?;
    }
    Ok(())
}

fn debug_log(juju: &Juju, lines: Option<usize>) -> Result<()> {
    let all = juju.logs();
    let first = lines.map_or(0, |lines| all.len().saturating_sub(lines));
    let text: String = all
        .iter()
        .skip(first)
        .map(|line| views::log_line(line) + "\n")
        .collect();
    say(&text)
}

async fn change_or_show(juju: &mut Juju, change: &Change) -> Result<()> {
    if let Change::Config { app, .. } = change
        && change.only_shows()
    {
        return say(&views::config(juju.model(), app).context("application not found")?);
    }
    if let Some(text) = change.carry_out(juju)? {
        say(&format!("{text}\n"))?;
    }
    settle(juju).await
}

async fn act(juju: &mut Juju, unit: &str, action: &str, params: &[String]) -> Result<ExitCode> {
    let given = parameters(params)?;
    let mut show = |at, line: &str| {
        // The action continues whether anyone reads along or not.
        let _ = say(&format!("{} {line}\n", views::clock(at)));
    };
    let outcome = juju.follow_action(unit, action, &given, &mut show).await?;
    for (key, value) in &outcome.results {
        match value {
            Value::String(text) if text.contains('\n') => {
                say(&format!("{key}: |-\n"))?;
                let indented: Vec<_> = text.lines().map(|line| format!("  {line}")).collect();
                say(&format!("{}\n", indented.join("\n")))?;
            }
            Value::String(text) => say(&format!("{key}: {text}\n"))?,
            other => say(&format!("{key}: {other}\n"))?,
        }
    }
    if outcome.status == "completed" {
        return Ok(ExitCode::SUCCESS);
    }
    if outcome.status == "error" {
        bail!("{}", outcome.message);
    }
    say(&format!(
        "Action id {} failed: {}\n",
        outcome.id, outcome.message
    ))?;
    // One that said itself that it failed has ended well, as far as Juju is concerned.
    let ended_well = outcome.results.get("return-code") == Some(&Value::from(0));
    Ok(if ended_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn say(text: &str) -> Result<()> {
    Ok(io::stdout().write_all(text.as_bytes())?)
}
