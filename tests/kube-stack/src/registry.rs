//! The image registry, and the images in it under their public names.
//!
//! Invariant: containerd takes the registry for `docker.io`, so a pull is a pull, and a tag that is not
//! there fails as it would elsewhere. Images are made once per machine, and again when their content changes.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use super::cache::{Cache, Entry, key};
use super::layout::{HOST_IP, Layout, REGISTRY_PORT};
use super::packages::BUSYBOX;
use super::plain_http::Content;
use super::process::Process;
use super::progress::Progress;
use super::versions::{BUSYBOX_IMAGE, PAUSE_IMAGE};
use super::{authority, build, command, guests, plain_http, wait};

const READY_WITHIN: Duration = Duration::from_mins(1);
/// What crane makes.
const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const PASSWD: &str = "root:x:0:0::/:/bin/sh\n";
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";

/// An image of one layer.
#[derive(Debug, Clone)]
pub struct Image {
    /// Name and tag.
    pub reference: String,
    /// With its arguments, separated by commas.
    pub entrypoint: String,
    /// Puts the files there.
    pub fill: fn(&ImageRoot<'_>) -> Result<()>,
}

/// The root folder of an image that is being made.
#[derive(Debug)]
pub struct ImageRoot<'a> {
    layout: &'a Layout,
    folder: &'a Path,
}

impl ImageRoot<'_> {
    /// Puts one of the stack's programs at a path.
    pub fn program(&self, name: &str, to: &str) -> Result<()> {
        copy(&self.layout.bin(name), &self.folder.join(to))
    }

    /// Makes an empty folder.
    pub fn directory(&self, path: &str) -> Result<()> {
        Ok(fs::create_dir_all(self.folder.join(path))?)
    }

    /// This machine's certificates, and that of the stack's stores, where programs look for them.
    pub fn certificates(&self) -> Result<()> {
        let mut bundle = fs::read(Path::new("/").join(CERTIFICATES))?;
        bundle.extend(fs::read(authority::certificate(self.layout))?);
        let path = self.folder.join(CERTIFICATES);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(fs::write(path, bundle)?)
    }

    /// What programs expect of any system.
    pub fn skeleton(&self) -> Result<()> {
        let root = self.folder;
        fs::create_dir_all(root.join("etc"))?;
        fs::write(root.join("etc/passwd"), PASSWD)?;
        fs::create_dir_all(root.join("tmp"))?;
        Ok(fs::set_permissions(
            root.join("tmp"),
            fs::Permissions::from_mode(0o1777),
        )?)
    }
}

fn images() -> Vec<Image> {
    let ours = [
        Image {
            reference: PAUSE_IMAGE.to_owned(),
            entrypoint: "/bin/sleep,2147483647".to_owned(),
            fill: |root| copy(Path::new(BUSYBOX), &root.folder.join("bin/sleep")),
        },
        Image {
            reference: BUSYBOX_IMAGE.to_owned(),
            entrypoint: "/bin/sh".to_owned(),
            fill: fill_busybox,
        },
    ];
    ours.into_iter().chain(guests::images()).collect()
}

/// What all images are, and what they are made from.
pub(super) fn entry(layout: &Layout) -> Result<Entry> {
    let mut parts: Vec<Vec<u8>> = build::keys()?.into_iter().map(String::into_bytes).collect();
    // The recipes.
    parts.push(include_bytes!("registry.rs").to_vec());
    parts.extend(guests::recipes().map(|recipe| recipe.as_bytes().to_vec()));
    let certificates = Path::new("/").join(CERTIFICATES);
    let authority = authority::certificate(layout);
    for file in [Path::new(BUSYBOX), &certificates, &authority] {
        parts.push(fs::read(file).with_context(|| format!("cannot read {}", file.display()))?);
    }
    Ok(Entry::new("images", key(parts)))
}

fn authority() -> String {
    format!("{HOST_IP}:{REGISTRY_PORT}")
}

/// Starts the registry and puts the images into it that are not there.
pub(super) async fn start(layout: &Layout, progress: &Progress) -> Result<()> {
    let entry = entry(layout)?;
    let images = images();
    let manifests: Vec<_> = images
        .iter()
        .map(|image| image.manifest_file(layout))
        .collect();
    let are_made = layout.has(&entry, &manifests) || fetch(&entry, layout, progress).await?;
    let command = [
        layout.bin("crane").display().to_string(),
        "registry".to_owned(),
        "serve".to_owned(),
        format!("--address={}", authority()),
        format!("--disk={}", layout.registry().display()),
    ];
    let registry = Process::spawn(&layout.run(), "registry", &command)?;
    wait::until_by(
        &registry,
        "the registry answers",
        READY_WITHIN,
        async || plain_http::answers(&authority(), "/v2/").await,
    )
    .await?;
    for image in images {
        if are_made {
            image.recall(layout).await?;
        } else {
            let what = format!("make the image {}", image.reference);
            progress.step(&what, image.make(layout)).await?;
        }
    }
    if !are_made {
        Cache::here()?
            .put(&entry, &layout.registry(), progress)
            .await?;
        layout.note(&entry)?;
    }
    Ok(())
}

/// Puts what the machine's cache has in place of what is there. False if it has nothing.
async fn fetch(entry: &Entry, layout: &Layout, progress: &Progress) -> Result<bool> {
    let folder = layout.registry();
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let found = Cache::here()?.take_made(entry, &folder, progress).await?;
    if found {
        layout.note(entry)?;
    }
    Ok(found)
}

impl Image {
    /// Where the registry has the manifest.
    fn target(&self) -> Result<String> {
        let (name, tag) = self
            .reference
            .split_once(':')
            .context("an image without a tag")?;
        Ok(format!("/v2/{name}/manifests/{tag}"))
    }

    /// The registry keeps layers on disk but forgets manifests when it ends.
    fn manifest_file(&self, layout: &Layout) -> PathBuf {
        layout
            .registry()
            .join("manifests")
            .join(self.reference.replace('/', "_"))
    }

    /// Gives the registry the manifest of an image that was made earlier.
    async fn recall(&self, layout: &Layout) -> Result<()> {
        let manifest = fs::read(self.manifest_file(layout))?;
        let content = Content {
            kind: MANIFEST,
            ..Content::of(&manifest)
        };
        let answer = plain_http::send("PUT", &authority(), &self.target()?, &content).await?;
        ensure!(
            answer.status < 300,
            "the registry refuses the image {}: {}",
            self.reference,
            answer.status
        );
        Ok(())
    }

    async fn make(&self, layout: &Layout) -> Result<()> {
        let folder = tempfile::tempdir_in(layout.root())?;
        let root = folder.path().join("root");
        fs::create_dir(&root)?;
        (self.fill)(&ImageRoot {
            layout,
            folder: &root,
        })?;
        let layer = folder.path().join("layer.tar");
        let mut tar = Command::new("tar");
        tar.args([
            "--sort=name",
            "--mtime=@0",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
            "-C",
        ]);
        command::output(tar.arg(&root).arg("-cf").arg(&layer).arg(".")).await?;
        let reference = format!("{}/{}", authority(), self.reference);
        let mut append = crane(layout, "append");
        command::output(append.arg("-f").arg(&layer).args(["-t", &reference])).await?;
        let mut mutate = crane(layout, "mutate");
        mutate.args([
            "--set-platform",
            platform(),
            "--entrypoint",
            &self.entrypoint,
        ]);
        command::output(mutate.args(["-t", &reference, &reference])).await?;
        let target = self.target()?;
        let made = plain_http::send("GET", &authority(), &target, &Content::NONE).await?;
        fs::create_dir_all(layout.registry().join("manifests"))?;
        Ok(fs::write(self.manifest_file(layout), made.body)?)
    }
}

fn crane(layout: &Layout, verb: &str) -> Command {
    let mut crane = Command::new(layout.bin("crane"));
    crane.args([verb, "--insecure"]);
    crane
}

fn platform() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "linux/arm64"
    } else {
        "linux/amd64"
    }
}

fn fill_busybox(root: &ImageRoot<'_>) -> Result<()> {
    let folder = root.folder;
    copy(Path::new(BUSYBOX), &folder.join("bin/busybox"))?;
    let listed = std::process::Command::new(BUSYBOX).arg("--list").output()?;
    for applet in String::from_utf8(listed.stdout)?
        .lines()
        .filter(|name| *name != "busybox")
    {
        symlink("busybox", folder.join("bin").join(applet))?;
    }
    root.skeleton()
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}
