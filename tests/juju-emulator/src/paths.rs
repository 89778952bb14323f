//! Where things are: on the host, and as the charm sees them.
//!
//! Invariant: what the charm sees under `/var/lib/juju` is one directory per unit on the host.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

/// Programs of this crate that the emulator starts, or lets start in a charm's place.
pub(super) const HELPERS: [&str; 3] = ["hook-tool", "unit-exec", "bare-tools"];

/// Where a unit's files are.
#[derive(Debug, Clone)]
pub(crate) struct UnitPaths {
    /// What the charm sees as `/var/lib/juju`.
    pub data: PathBuf,
    /// What it sees as its service account's files.
    pub service_account: PathBuf,
    /// What only the emulator sees.
    pub run: PathBuf,
    tag: String,
}

/// The program of all hook tools, by its name next to them.
pub(crate) const JUJUC: &str = "jujuc";

impl UnitPaths {
    /// Of this unit, in a model's directory.
    pub(crate) fn new(model: &Path, unit: &str) -> Self {
        let name = unit.replace('/', "-");
        let base = model.join("units").join(&name);
        Self {
            data: base.join("juju"),
            service_account: base.join("serviceaccount"),
            run: base.join("run"),
            tag: format!("unit-{name}"),
        }
    }

    /// Makes those that must be there.
    pub(crate) fn create(&self) -> Result<()> {
        for path in [
            &self.agent(),
            &self.tools(),
            &self.service_account,
            &self.run,
        ] {
            fs::create_dir_all(path)?;
        }
        Ok(())
    }

    /// Takes all of them away.
    pub(crate) fn remove(&self) -> Result<()> {
        match self.data.parent() {
            Some(base) if base.exists() => Ok(fs::remove_dir_all(base)?),
            _ => Ok(()),
        }
    }

    /// The agent's directory.
    pub(crate) fn agent(&self) -> PathBuf {
        self.data.join("agents").join(&self.tag)
    }

    /// The charm's directory.
    pub(crate) fn charm(&self) -> PathBuf {
        self.agent().join("charm")
    }

    /// The hook tools' directory.
    pub(crate) fn tools(&self) -> PathBuf {
        self.data.join("tools").join(&self.tag)
    }

    /// What the launcher is given.
    pub(crate) fn spec(&self) -> PathBuf {
        self.run.join("spec.json")
    }

    /// What the launcher tells.
    pub(crate) fn report(&self) -> PathBuf {
        self.run.join("report.json")
    }

    /// The agent's directory, as the charm sees it.
    pub(crate) fn agent_inside(&self) -> PathBuf {
        Path::new("/var/lib/juju/agents").join(&self.tag)
    }

    /// The charm's directory, as the charm sees it.
    pub(crate) fn charm_inside(&self) -> PathBuf {
        self.agent_inside().join("charm")
    }

    /// The hook tools' directory, as the charm sees it.
    pub(crate) fn tools_inside(&self) -> PathBuf {
        Path::new("/var/lib/juju/tools").join(&self.tag)
    }

    /// The one program of all hook tools, as the charm sees it.
    pub(crate) fn jujuc_inside(&self) -> PathBuf {
        self.tools_inside().join(JUJUC)
    }
}

/// A program of this crate: next to the running one, or one up from a test's.
///
/// Cargo builds a program with the tests of its own package only; so one that is missing, or older than the
/// running program, is brought up to date first.
pub fn helper(name: &str) -> Result<PathBuf> {
    let running = env::current_exe()?;
    let folder = running
        .parent()
        .context("the running program is in no directory")?;
    let folder = if folder.ends_with("deps") {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    };
    let path = folder.join(name);
    let built = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
    if built(&path) < built(&running) {
        static ONCE: OnceLock<Option<String>> = OnceLock::new();
        if let Some(why) = ONCE.get_or_init(|| build(folder).err().map(|why| format!("{why:#}"))) {
            bail!("building the emulator's programs: {why}");
        }
    }
    if !path.is_file() {
        bail!(
            "{} is missing: build the programs of the emulator",
            path.display()
        );
    }
    Ok(path)
}

/// Builds the emulator's own programs into a folder such as `target/debug`.
fn build(folder: &Path) -> Result<()> {
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let target = folder.parent().context("no target directory")?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // With the features that libraries have in the running program, so that none is built again.
    let running = env::var("CARGO_PKG_NAME").ok();
    let mut command = Command::new(cargo);
    // They are about the running program's package, and would count as a change of each other one.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    let output = command
        .args([
            "build",
            "--quiet",
            "--locked",
            "--package",
            env!("CARGO_PKG_NAME"),
            "--profile",
            profile,
        ])
        .args(running.iter().flat_map(|name| ["--package", name]))
        .args(HELPERS.iter().flat_map(|name| ["--bin", name]))
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .output()
        .context("starting cargo")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
