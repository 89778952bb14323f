//! `cargo audit-all`: known faults and licences of what the charm is made of, and its bill of materials.
//!
//! It needs the network, and installs its tools by their own package managers. What cannot run is said, and is a
//! failure like what was found: nobody shall take it for an answer.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};

/// The version of Go's checker of known faults.
const GOVULNCHECK: &str = "golang.org/x/vuln/cmd/govulncheck@v1.1.4";
/// Where the Velero that comes with the charm is built.
const VELERO: &str = "tests/worlds/modules/velero";
/// How `govulncheck` ends that has found something.
const FOUND: i32 = 3;
const CHARM: &str = "velero-charm";

/// How a check that ran has ended.
enum Outcome {
    Good,
    Bad,
}

fn main() -> ExitCode {
    let mut failed = Vec::new();
    for (name, outcome) in [
        ("bans, licences, sources", policy()),
        ("advisories", advisories()),
        ("known faults of Velero's parts", velero()),
        ("bill of materials", materials()),
    ] {
        let said = match outcome {
            Ok(Outcome::Good) => "fine".to_owned(),
            Ok(Outcome::Bad) => "see above".to_owned(),
            Err(error) => format!("NOT RUN: {error:#}"),
        };
        let _ = writeln!(std::io::stderr(), "{name}: {said}");
        if said != "fine" {
            failed.push(name);
        }
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    let failed = failed.join("; ");
    let _ = writeln!(std::io::stderr(), "This audit has not passed: {failed}.");
    ExitCode::FAILURE
}

fn policy() -> Result<Outcome> {
    deny(&["bans", "licenses", "sources"])
}

fn advisories() -> Result<Outcome> {
    cargo_tool("cargo-deny")?;
    let fetched = Command::new("cargo")
        .args(["deny", "fetch", "db"])
        .current_dir(workspace())
        .status()?;
    ensure!(
        fetched.success(),
        "their database cannot be fetched from github.com/RustSec/advisory-db"
    );
    deny(&["advisories"])
}

fn deny(what: &[&str]) -> Result<Outcome> {
    cargo_tool("cargo-deny")?;
    let check = Command::new("cargo")
        .args(["deny", "--workspace", "--locked", "check"])
        .args(what)
        .current_dir(workspace())
        .status()?;
    Ok(if check.success() {
        Outcome::Good
    } else {
        Outcome::Bad
    })
}

fn velero() -> Result<Outcome> {
    let check = Command::new("go")
        .args([
            "run",
            GOVULNCHECK,
            "github.com/vmware-tanzu/velero/cmd/velero",
        ])
        .current_dir(workspace().join(VELERO))
        .output()
        .context("Go is missing")?;
    let _ = std::io::stdout().write_all(&check.stdout);
    let errors = String::from_utf8_lossy(&check.stderr);
    // `go run` says how the program ended, and ends with 1 itself.
    let found = errors.contains(&format!("exit status {FOUND}"));
    if check.status.success() {
        return Ok(Outcome::Good);
    }
    let mut lines = errors.lines();
    let why = lines.rfind(|line| !line.starts_with("exit status"));
    ensure!(found, "{}", why.unwrap_or("no reason is given"));
    Ok(Outcome::Bad)
}

/// Writes that of the charm alone; the tool writes one for each package, next to it.
fn materials() -> Result<Outcome> {
    cargo_tool("cargo-cyclonedx")?;
    let root = workspace();
    let name = format!("{CHARM}.sbom");
    let made = Command::new("cargo")
        .args([
            "cyclonedx",
            "--format",
            "json",
            "--override-filename",
            &name,
        ])
        .args(["--manifest-path", &format!("{CHARM}/Cargo.toml")])
        .current_dir(&root)
        .status()?;
    ensure!(made.success(), "`cargo cyclonedx` failed");
    let target = root.join("target/sbom");
    std::fs::create_dir_all(&target)?;
    let metadata = Command::new("cargo")
        .args(["metadata", "--locked", "--no-deps", "--format-version=1"])
        .current_dir(&root)
        .output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout)?;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        let written = Path::new(manifest).with_file_name(format!("{name}.json"));
        if package["name"] == CHARM {
            std::fs::copy(&written, target.join(format!("{CHARM}.cdx.json")))?;
        }
        if written.exists() {
            std::fs::remove_file(&written)?;
        }
    }
    Ok(Outcome::Good)
}

/// Installs a subcommand of cargo's that is missing.
fn cargo_tool(package: &str) -> Result<()> {
    let there = Command::new(package).arg("--version").output();
    if there.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    let installed = Command::new("cargo")
        .args(["install", "--locked", package])
        .status()?;
    ensure!(installed.success(), "`{package}` cannot be installed");
    Ok(())
}

fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}
