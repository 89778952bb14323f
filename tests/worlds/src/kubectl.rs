//! kubectl, as people use it.
//!
//! Invariant: it may do anything in its cluster, and what it says on standard error is in the error.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use kube_stack::{COLLECT_SELDOM, ControlPlaneOnly, Stack};
use tokio::io::AsyncWriteExt as _;

/// Ends a wait that was in vain: what comes within seconds on a quiet machine may take minutes next to other tests.
pub const TIMEOUT: &str = "--timeout=4m";

/// Waits until the API server serves all of Velero's kinds.
pub const CRDS_ESTABLISHED: [&str; 6] = [
    "wait",
    "customresourcedefinitions",
    "-l",
    "component=velero",
    "--for=condition=Established",
    TIMEOUT,
];

/// The program, and the cluster that it is for.
#[derive(Debug, Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// For the stack.
    #[must_use]
    pub fn of(stack: &Stack) -> Self {
        Self::at(stack.bin("kubectl"), stack.kubeconfig())
    }

    /// For a control plane alone.
    #[must_use]
    pub fn of_control_plane(plane: &ControlPlaneOnly) -> Self {
        Self::at(plane.kubectl(), &plane.kubeconfig())
    }

    fn at(program: PathBuf, kubeconfig: &Path) -> Self {
        Self {
            program,
            kubeconfig: kubeconfig.to_owned(),
        }
    }

    /// Runs it and gives what it says.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        self.run_on(arguments, "").await
    }

    /// As [`Kubectl::run`], with something on its standard input.
    pub async fn run_on(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut child = tokio::process::Command::new(&self.program)
            .envs(COLLECT_SELDOM)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("kubectl does not start")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).await?;
        }
        let output = child.wait_with_output().await?;
        if !output.status.success() {
            bail!(
                "kubectl {}: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}
