//! Our charm, as built, on the stack.
//!
//! Invariant: the charm that runs is the program that `cargo build` makes, next to the Velero CLI and
//! `charmcraft.yaml`, or what `cargo pack` has packed of them; nothing of it is replaced.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use juju_emulator::{ActionOutcome, CharmSource, DeployOptions, Juju, S3Settings};
use kube_stack::{S3Store, Stack};
use serde_json::{Map, Value};
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::clusters;

/// The application's name in demo and tests.
pub const APP: &str = "velero-operator";
/// Its first unit.
pub const UNIT: &str = "velero-operator/0";
/// The integrator of S3 stores.
pub const S3: &str = "s3-integrator";
/// The integrator of stores in Azure.
pub const AZURE: &str = "azure-storage-integrator";
/// The integrator of stores at Google.
pub const GCS: &str = "gcs-integrator";

const VELERO_CLI: &str = "velero";

/// The cargo profile of the charm, as a variable of the environment: `release` if it is not set.
pub const PROFILE: &str = "CHARM_PROFILE";

/// The path of a `.charm` that is to be tried instead of what cargo builds.
pub const PACKED: &str = "PACKED_CHARM";

/// The workspace's folder.
#[must_use]
pub fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// The charm's program, built once. With `CHARM_PROFILE=dev` in seconds, but then it is not the program
/// that ships.
pub async fn program() -> Result<PathBuf> {
    static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
    PROGRAM.get_or_try_init(build).await.cloned()
}

/// Cargo in the workspace.
#[must_use]
pub fn cargo() -> Command {
    in_workspace(Command::new(env!("CARGO")))
}

/// The same, where others come first at the processor.
#[must_use]
pub fn cargo_in_the_background() -> Command {
    let mut nice = Command::new("nice");
    nice.args(["-n", "5", env!("CARGO")]);
    in_workspace(nice)
}

fn in_workspace(mut cargo: Command) -> Command {
    cargo.current_dir(workspace());
    // What cargo tells whom it runs about that one's package would count as a change of each other one:
    // they would be built twice, for a program that cargo runs and for a person.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// The arguments with which cargo builds the charm.
fn build_of(profile: &str) -> Vec<&str> {
    let mut words = vec!["build", "--locked", "--package", "velero-charm"];
    words.extend(["--bin", "velero-charm", "--profile", profile]);
    if profile == "dev" {
        // With the features that libraries have in tests, so that none is built again. What ships has its own.
        words.extend(["--package", "suites"]);
    }
    words
}

async fn build() -> Result<PathBuf> {
    // Nobody starts the one without the other.
    kube_stack::program(VELERO_CLI).await?;
    let profile = std::env::var(PROFILE).unwrap_or_else(|_| "release".into());
    let output = cargo()
        .args(build_of(&profile))
        .args(["--message-format", "json-render-diagnostics"])
        .output()
        .await
        .context("cargo does not start")?;
    if !output.status.success() {
        bail!(
            "the charm does not build:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut programs = text.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message.get("executable")?.as_str()?))
    });
    programs.next().context("cargo built no program")
}

/// The charm as charmcraft would pack it.
pub async fn charm() -> Result<CharmSource> {
    if let Some(file) = packed() {
        return Ok(CharmSource::Archive(file));
    }
    Ok(CharmSource::Parts {
        charmcraft: workspace().join("charmcraft.yaml"),
        dispatch: program().await?,
        files: vec![(velero()?, "velero".into())],
    })
}

fn packed() -> Option<PathBuf> {
    std::env::var_os(PACKED).map(PathBuf::from)
}

/// The Velero CLI that the stack was built with.
pub fn velero() -> Result<PathBuf> {
    Ok(kube_stack::folder()?.join("bin").join(VELERO_CLI))
}

/// What an integrator offers for a bucket of the stack's store.
#[must_use]
pub fn s3_settings(store: &S3Store, bucket: &str) -> S3Settings {
    S3Settings::path_style(&store.endpoint, &store.region, bucket)
        .credentials(&store.access_key, &store.secret_key)
}

/// A fresh model on the stack.
pub async fn model(stack: &Stack, dir: &Path, name: &str) -> Result<Juju> {
    Juju::bootstrap(dir, name, Some(clusters::of(stack).await?)).await
}

/// Deploys the charm and lets it come to rest.
pub async fn deploy(juju: &mut Juju, options: DeployOptions) -> Result<()> {
    juju.deploy(&charm().await?, APP, options).await?;
    juju.settle().await.map(drop)
}

/// `level: message` of the first unit.
#[must_use]
pub fn status(juju: &Juju) -> String {
    let status = juju.unit_status(UNIT);
    status.map_or_else(String::new, |status| {
        format!("{}: {}", status.level, status.message)
    })
}

/// Runs `run` with a command, and gives the outcome whatever it is.
pub async fn run(juju: &mut Juju, command: &str) -> Result<ActionOutcome> {
    let params = Map::from_iter([("command".to_owned(), Value::from(command))]);
    juju.run_action(UNIT, "run", &params).await
}

/// Runs `run`, which must refuse the command; gives the reason. A refusal is an expected failure.
pub async fn run_refused(juju: &mut Juju, command: &str) -> Result<String> {
    let outcome = run(juju, command).await?;
    ensure!(outcome.status == "failed", "`{command}` was not refused");
    let code = outcome.results.get("return-code");
    ensure!(
        code.is_some_and(|code| *code == 0),
        "an expected failure ends with 0 and not {code:?}"
    );
    Ok(outcome.message)
}

/// Runs `run`, which must succeed.
pub async fn run_well(juju: &mut Juju, command: &str) -> Result<ActionOutcome> {
    let outcome = run(juju, command).await?;
    ensure!(
        outcome.status == "completed",
        "`{command}`: {} {:?}",
        outcome.message,
        outcome.results
    );
    Ok(outcome)
}
