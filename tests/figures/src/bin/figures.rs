//! `cargo figures`: how long the charm's hooks take and what they cost, on real parts.

#![expect(clippy::print_stdout, reason = "figures are there to be read")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use figures::{Ground, Part, measure};
use kube_stack::{Progress, Stack};
use worlds::operator;
use worlds::plane::Plane;

/// Measures the charm's hooks, and says which goals are met.
#[derive(Parser)]
struct Arguments {
    /// Measure on a control plane alone, in two minutes: the kubelet, Velero and the stores are played.
    #[arg(long)]
    played: bool,
    /// Another build of the charm, which takes turns with this one in the steady hook.
    #[arg(long)]
    against: Option<PathBuf>,
    /// Measure the steady hook with 500 applications that ask to be backed up, and nothing else.
    #[arg(long, conflicts_with = "against")]
    clients: bool,
}

impl Arguments {
    fn part(&self) -> Part<'_> {
        if self.clients {
            return Part::Clients;
        }
        Part::Usual {
            against: self.against.as_deref(),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match Box::pin(run(&Arguments::parse())).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nMeasuring failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    let progress = Progress::to_stderr();
    progress
        .step("build the charm", operator::program())
        .await?;
    let emulator = async { juju_emulator::build_programs() };
    progress.step("build the emulator", emulator).await?;
    let part = arguments.part();
    if arguments.played {
        let plane = progress.step("start a plane", Plane::start()).await?;
        return tell(&Ground::Plane(plane), part, &progress).await;
    }
    let was_up = Stack::attach().await.is_ok();
    let stack = Box::pin(Stack::up(&progress)).await?;
    let told = tell(&Ground::Node(stack), part, &progress).await;
    if !was_up {
        Stack::down(&progress).await?;
    }
    told
}

async fn tell(ground: &Ground, part: Part<'_>, progress: &Progress) -> Result<()> {
    let before = load();
    let sheet = progress
        .step("measure", Box::pin(measure(ground, part)))
        .await?;
    println!("{}", ground.describe());
    let cores = std::thread::available_parallelism()?;
    let profile = std::env::var("CHARM_PROFILE").unwrap_or_else(|_| "release".to_owned());
    println!(
        "The charm's profile: {profile}. {cores} cores; load {before} before and {} after: above {cores}, \
         trust ratios and counts only.",
        load()
    );
    print!("{sheet}");
    println!("\n{PREVIOUS_CHARM}");
    Ok(())
}

const PREVIOUS_CHARM: &str = "For orientation, the Python charm on the same stack: install 11.8 s, \
                           relation-changed 16.6 s,\nsteady update-status 16.1 s, config-changed without \
                           a change 18.3 s.";

/// How many programs wanted to run in the last minute.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
