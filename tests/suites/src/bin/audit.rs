//! `cargo audit-all`: known faults and licences of what the charm is made of, and its bill of materials.
//!
//! It needs the network, and installs its tools by their own package managers. What cannot run is said, and counts as
//! a failure only if it found something.

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

/// How a check ended.
enum Outcome {
    Good,
    Bad,
    NotRun(String),
}

fn main() -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for (name, outcome) in [
        ("bans, licences, sources", policy()),
        ("advisories", advisories()),
        ("known faults of Velero's parts", velero()),
        ("bill of materials", materials()),
    ] {
        let said = match outcome {
            Ok(Outcome::Good) => "fine".to_owned(),
            Ok(Outcome::Bad) => {
                code = ExitCode::FAILURE;
                "see above".to_owned()
            }
            Ok(Outcome::NotRun(why)) => format!("not run: {why}"),
            Err(error) => format!("not run: {error:#}"),
        };
        let _ = writeln!(std::io::stderr(), "{name}: {said}");
    }
    code
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
    if fetched.success() {
        deny(&["advisories"])
    } else {
        Ok(Outcome::NotRun("their database cannot be fetched".into()))
    }
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
    Ok(match (check.status.success(), found) {
        (true, _) => Outcome::Good,
        (false, true) => Outcome::Bad,
        (false, false) => {
            let why = errors
                .lines()
                .rfind(|line| !line.starts_with("exit status"));
            Outcome::NotRun(why.unwrap_or("no reason is given").to_owned())
        }
    })
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
