//! Prometheus and its `promtool`, from Debian's package, unpacked once per machine and not installed.

pub mod panels;
pub mod picture;
pub mod recording;
pub mod rules;
pub mod series;
mod server;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use kube_stack::{COLLECT_SELDOM, Cache, Entry, Progress, key};
use tokio::process::Command;

pub use server::{PACE, Prometheus};

const PACKAGE: &str = "prometheus";

/// The folder with `prometheus` and `promtool`. Other callers wait.
pub async fn programs() -> Result<PathBuf> {
    let entry = Entry::new(PACKAGE, key([PACKAGE]));
    let folder = kube_stack::folder()?.join(entry.to_string());
    let lock = File::create(folder.with_extension("lock"))?;
    lock.lock()?;
    if !folder.is_dir() {
        let part = folder.with_extension("part");
        let make = async |folder: &Path| unpack(folder).await;
        Cache::here()?
            .take(&entry, &part, &Progress::to_stderr(), make)
            .await?;
        fs::rename(part, &folder)?;
    }
    Ok(folder)
}

async fn unpack(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    run("apt-get", &["update", "-q"], folder).await?;
    run("apt-get", &["download", "-q", PACKAGE], folder).await?;
    for file in fs::read_dir(folder)? {
        let package = file?.path();
        let name = package.to_string_lossy();
        run("dpkg-deb", &["--extract", &name, "unpacked"], folder).await?;
        fs::remove_file(&package)?;
    }
    let unpacked = folder.join("unpacked");
    for program in ["prometheus", "promtool"] {
        fs::rename(unpacked.join("usr/bin").join(program), folder.join(program))?;
    }
    fs::remove_dir_all(unpacked)?;
    Ok(())
}

async fn run(program: &str, arguments: &[&str], folder: &Path) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .envs(COLLECT_SELDOM)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .await
        .with_context(|| format!("starting {program}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{program} {}: {said}", arguments.join(" "));
    }
    Ok(())
}

/// Runs `promtool` in a folder, and gives what it said if it finds fault.
pub async fn promtool(arguments: &[&str], folder: &Path) -> Result<()> {
    let program = programs().await?.join("promtool");
    run(&program.to_string_lossy(), arguments, folder).await
}
