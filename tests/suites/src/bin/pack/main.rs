//! `cargo pack`: the `.charm` file, by the real charmcraft, and what is in it.
//!
//! Charmcraft builds on the charm's base alone. A machine with another system says in a mount namespace of its own
//! that it is Ubuntu 24.04; what is built there links against the C library of this machine, which must not be newer
//! than that of the base. Packed is what a fresh clone would have, at a place that is the same each time.

#![expect(clippy::print_stdout, reason = "what was packed is there to be read")]

mod notes;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use juju_emulator::CharmSource;
use juju_emulator::charm::Charm;
use worlds::operator::workspace;

const CHARMCRAFT: &str = "charmcraft==4.5.0";

/// What the base says of itself, as far as charmcraft reads it.
const BASE: &str = r#"ID=ubuntu
NAME="Ubuntu"
VERSION_ID="24.04"
VERSION_CODENAME=noble
"#;

/// Packs the charm for this machine's architecture, into `target/pack`.
#[derive(Parser)]
struct Arguments {
    /// Pack twice and compare.
    #[arg(long)]
    twice: bool,
}

/// Where things are.
struct Places {
    /// Charmcraft, kept from one time to the next.
    tools: PathBuf,
    /// What is packed; gone afterwards.
    source: PathBuf,
    /// The charm, and the notes of its release.
    output: PathBuf,
}

fn main() -> ExitCode {
    match pack(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn pack(arguments: &Arguments) -> Result<()> {
    let output = workspace().join("target/pack");
    let places = Places {
        tools: output.join("tools"),
        source: output.join("source"),
        output,
    };
    let charmcraft = places.charmcraft()?;
    let charm = places.packed(&charmcraft)?;
    places.analyse(&charmcraft, &charm)?;
    places.list(&charm)?;
    if arguments.twice {
        let first = places.output.join("first.charm");
        fs::rename(&charm, &first)?;
        let again = places.packed(&charmcraft)?;
        places.compare(&first, &again)?;
        fs::remove_file(first)?;
    }
    let notes = places.output.join("release-notes.md");
    fs::write(&notes, notes::of_this_version()?)?;
    println!("{}\n{}", charm.display(), notes.display());
    Ok(())
}

impl Places {
    /// A way to start charmcraft, which is installed if it is not there.
    fn charmcraft(&self) -> Result<Charmcraft> {
        let environment = self.tools.join("charmcraft");
        let program = environment.join("bin/charmcraft");
        if !program.exists() {
            fs::create_dir_all(&self.tools)?;
            run(Command::new("python3")
                .args(["-m", "venv"])
                .arg(&environment))?;
            let pip = environment.join("bin/pip");
            run(Command::new(pip).args(["install", "--quiet", CHARMCRAFT]))?;
        }
        let packages = self.tools.join("apt");
        fs::create_dir_all(&packages)?;
        link_apt(&packages)?;
        let release = self.tools.join("os-release");
        fs::write(&release, BASE)?;
        Ok(Charmcraft {
            program,
            packages,
            release,
        })
    }

    fn packed(&self, charmcraft: &Charmcraft) -> Result<PathBuf> {
        let begun = Instant::now();
        self.forget_source()?;
        copy_clone(&self.source)?;
        charmcraft.pack(&self.source)?;
        let mut made = fs::read_dir(&self.source)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|its| its == "charm"));
        let made = made.next().context("charmcraft made no `.charm`")?;
        let charm = self
            .output
            .join(made.file_name().context("a file has a name")?);
        fs::rename(made, &charm)?;
        self.forget_source()?;
        println!("packed in {:.0} s", begun.elapsed().as_secs_f64());
        Ok(charm)
    }

    fn forget_source(&self) -> Result<()> {
        if self.source.exists() {
            fs::remove_dir_all(&self.source)?;
        }
        Ok(())
    }

    fn analyse(&self, charmcraft: &Charmcraft, charm: &Path) -> Result<()> {
        run(Command::new(&charmcraft.program)
            .arg("analyse")
            .arg(charm)
            .current_dir(&self.output))
    }

    fn list(&self, charm: &Path) -> Result<()> {
        for (name, bytes) in self.files(charm)? {
            println!("{:>12}  {name}", bytes.len());
        }
        println!("{:>12}  in all, packed", fs::metadata(charm)?.len());
        Ok(())
    }

    /// The same files with the same bytes, but for the one that says when it was packed.
    fn compare(&self, first: &Path, second: &Path) -> Result<()> {
        let (one, other) = (self.files(first)?, self.files(second)?);
        ensure!(one.keys().eq(other.keys()), "the two have other files");
        let differ = one
            .iter()
            .filter(|(name, bytes)| other.get(*name) != Some(bytes));
        let differ: Vec<_> = differ.map(|(name, _)| name.as_str()).collect();
        let archives = fs::read(first)? == fs::read(second)?;
        println!(
            "packed again: the archives are the same: {archives}; files that differ: {differ:?}"
        );
        ensure!(
            differ.iter().all(|name| *name == "manifest.yaml"),
            "more differs than the time in `manifest.yaml`"
        );
        Ok(())
    }

    /// What Juju unpacks, file by file.
    fn files(&self, charm: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
        let folder = self.output.join("unpacked");
        let charm = Charm::unpack(&CharmSource::Archive(charm.to_owned()), &folder)?;
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(&charm.directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            files.insert(name, fs::read(entry.path())?);
        }
        fs::remove_dir_all(folder)?;
        Ok(files)
    }
}

/// The program, and what it needs on a system that is not the base.
struct Charmcraft {
    program: PathBuf,
    packages: PathBuf,
    release: PathBuf,
}

impl Charmcraft {
    fn pack(&self, source: &Path) -> Result<()> {
        ensure!(
            Path::new("/.dockerenv").exists(),
            "charmcraft installs snaps of its own accord but in a container (`/.dockerenv`): run it in one"
        );
        let script = r#"mount --bind "$0" /usr/lib/os-release && exec "$@""#;
        run(Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", script])
            .args([&self.release, &self.program])
            .args(["pack", "--destructive-mode", "--verbosity", "brief"])
            .args(["--platform", &platform()?])
            .env("PYTHONPATH", &self.packages)
            .current_dir(source))
    }
}

/// The name that `charmcraft.yaml` has for this machine.
fn platform() -> Result<String> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("the charm is not built for {other}"),
    };
    Ok(format!("ubuntu@24.04:{architecture}"))
}

/// Debian's bindings of apt, and nothing else of Debian's Python.
fn link_apt(folder: &Path) -> Result<()> {
    let from = Path::new("/usr/lib/python3/dist-packages");
    let wanted = ["apt", "apt_pkg", "apt_inst", "aptsources"];
    let mut found = 0;
    for entry in fs::read_dir(from).into_iter().flatten() {
        let name = entry?.file_name();
        let module = name.to_string_lossy();
        if wanted.contains(&module.split('.').next().unwrap_or_default()) {
            found += 1;
            let link = folder.join(&name);
            if !link.exists() {
                std::os::unix::fs::symlink(from.join(&name), link)?;
            }
        }
    }
    ensure!(found > 0, "Debian's package `python3-apt` is missing");
    Ok(())
}

/// What a clone of the repository would have, with what is not committed yet.
fn copy_clone(to: &Path) -> Result<()> {
    let listed = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(workspace())
        .output()?;
    ensure!(listed.status.success(), "git does not list the files");
    for name in String::from_utf8(listed.stdout)?.split_terminator('\0') {
        let (from, to) = (workspace().join(name), to.join(name));
        // Deleted, and not committed yet.
        if from.exists() {
            fs::create_dir_all(to.parent().context("a file has a folder")?)?;
            fs::copy(from, to)?;
        }
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    // What cargo tells this program about itself is not for the charm, which is built in its own folder.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let of_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_TARGET_"];
        if of_package.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("starting {command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}
