//! The stack by hand: `cargo stack up`, `down`, `build`, `status`.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use kube_stack::{Progress, Stack};
// It hands in Velero and its plugins.
use worlds as _;

/// Kubernetes with a node, Velero's images, an image registry and an S3 store, on this machine.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Install and build what is missing and start the stack, unless it runs.
    Up,
    /// End the stack.
    Down,
    /// Install and build what is missing.
    Build,
    /// Say whether the stack runs; fails when it does not.
    Status,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(verb: Verb) -> Result<()> {
    let progress = Progress::to_stderr();
    match verb {
        Verb::Up => {
            let stack = Stack::up(&progress).await?;
            progress.note("up");
            describe(&stack)
        }
        Verb::Down => {
            Stack::down(&progress).await?;
            progress.note("down");
            Ok(())
        }
        Verb::Build => {
            Stack::build(&progress).await?;
            progress.note("built");
            Ok(())
        }
        Verb::Status => describe(&Stack::attach().await?),
    }
}

fn describe(stack: &Stack) -> Result<()> {
    let (store, azure) = (stack.s3(), stack.azure());
    let mut out = std::io::stdout().lock();
    writeln!(out, "kubeconfig  {}", stack.kubeconfig().display())?;
    writeln!(out, "kubectl     {}", stack.bin("kubectl").display())?;
    writeln!(
        out,
        "S3          {} ({} / {})",
        store.endpoint, store.access_key, store.secret_key
    )?;
    writeln!(
        out,
        "Azure       {} ({} / {})",
        azure.endpoint, azure.account, azure.key
    )?;
    writeln!(out, "machine     {} from pods", stack.host_ip())?;
    writeln!(out, "node        {}", stack.node_ip())?;
    Ok(())
}
