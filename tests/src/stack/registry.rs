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
use super::versions::{
    BUSYBOX_IMAGE, PAUSE_IMAGE, plugin_aws_image, plugin_azure_image, velero_image,
};
use super::{build, command, plain_http, wait};

const READY_WITHIN: Duration = Duration::from_secs(30);
/// What crane makes.
const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const PASSWD: &str = "root:x:0:0::/:/bin/sh\n";
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";

/// An image of one layer.
struct Image {
    /// Name and tag.
    reference: String,
    /// With its arguments, separated by commas.
    entrypoint: String,
    fill: fn(&Layout, &Path) -> Result<()>,
}

fn images() -> [Image; 5] {
    [
        Image {
            reference: PAUSE_IMAGE.to_owned(),
            entrypoint: "/bin/sleep,2147483647".to_owned(),
            fill: |_, root| copy(Path::new(BUSYBOX), &root.join("bin/sleep")),
        },
        Image {
            reference: BUSYBOX_IMAGE.to_owned(),
            entrypoint: "/bin/sh".to_owned(),
            fill: fill_busybox,
        },
        Image {
            reference: velero_image(),
            entrypoint: "/velero".to_owned(),
            fill: fill_velero,
        },
        Image {
            reference: plugin_aws_image(),
            entrypoint: plugin_entrypoint("velero-plugin-for-aws"),
            fill: |layout, root| fill_plugin(layout, root, "velero-plugin-for-aws"),
        },
        Image {
            reference: plugin_azure_image(),
            entrypoint: plugin_entrypoint("velero-plugin-for-microsoft-azure"),
            fill: |layout, root| fill_plugin(layout, root, "velero-plugin-for-microsoft-azure"),
        },
    ]
}

/// What all images are, and what they are made from.
pub(super) fn entry() -> Result<Entry> {
    let mut parts: Vec<Vec<u8>> = build::keys()?.into_iter().map(String::into_bytes).collect();
    // The recipes.
    parts.push(include_bytes!("registry.rs").to_vec());
    for file in [Path::new(BUSYBOX), &Path::new("/").join(CERTIFICATES)] {
        parts.push(fs::read(file).with_context(|| format!("cannot read {}", file.display()))?);
    }
    Ok(Entry::new("images", key(parts)))
}

fn authority() -> String {
    format!("{HOST_IP}:{REGISTRY_PORT}")
}

/// Starts the registry and puts the images into it that are not there.
pub(super) async fn start(layout: &Layout, progress: &Progress) -> Result<()> {
    let entry = entry()?;
    let manifests = images().map(|image| image.manifest_file(layout));
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
    for image in images() {
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
            bytes: &manifest,
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
        (self.fill)(layout, &root)?;
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

fn fill_busybox(_: &Layout, root: &Path) -> Result<()> {
    copy(Path::new(BUSYBOX), &root.join("bin/busybox"))?;
    let listed = std::process::Command::new(BUSYBOX).arg("--list").output()?;
    for applet in String::from_utf8(listed.stdout)?
        .lines()
        .filter(|name| *name != "busybox")
    {
        symlink("busybox", root.join("bin").join(applet))?;
    }
    skeleton(root)
}

fn fill_velero(layout: &Layout, root: &Path) -> Result<()> {
    copy(&layout.bin("velero"), &root.join("velero"))?;
    copy(
        &layout.bin("velero-restore-helper"),
        &root.join("velero-restore-helper"),
    )?;
    copy(
        &layout.bin("velero-helper"),
        &root.join("usr/bin/velero-helper"),
    )?;
    copy(&Path::new("/").join(CERTIFICATES), &root.join(CERTIFICATES))?;
    skeleton(root)
}

fn fill_plugin(layout: &Layout, root: &Path, plugin: &str) -> Result<()> {
    copy(&layout.bin("cp-plugin"), &root.join("bin/cp-plugin"))?;
    copy(&layout.bin(plugin), &root.join("plugins").join(plugin))?;
    fs::create_dir_all(root.join("target"))?;
    skeleton(root)
}

fn plugin_entrypoint(plugin: &str) -> String {
    format!("/bin/cp-plugin,/plugins/{plugin},/target/{plugin}")
}

fn skeleton(root: &Path) -> Result<()> {
    fs::create_dir_all(root.join("etc"))?;
    fs::write(root.join("etc/passwd"), PASSWD)?;
    fs::create_dir_all(root.join("tmp"))?;
    Ok(fs::set_permissions(
        root.join("tmp"),
        fs::Permissions::from_mode(0o1777),
    )?)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}
