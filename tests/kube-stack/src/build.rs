//! The components that are built from the Go module proxy.
//!
//! Invariant: each is built once per machine, into the cache, and an interrupted build leaves nothing
//! behind; Go's own cache keeps what it had compiled.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tokio::process::Command;

use super::cache::{Cache, Entry, key};
use super::layout::{Layout, modules};
use super::lock::Lock;
use super::progress::Progress;
use super::versions::{
    CRANE, CSI_PROVISIONER, CSI_SNAPSHOTTER, CSI_SPECIFICATION, ETCD, FAKE_GCS_SERVER, KUBERNETES,
    LOCAL_PATH_PROVISIONER,
};
use super::{command, guests};

/// Programs that come from one Go module.
#[derive(Debug, Clone)]
pub struct Component {
    /// Folder of the module, whose name no other component's has.
    pub folder: PathBuf,
    /// What is built, with its version.
    pub title: String,
    /// Flags for Go's linker.
    pub ldflags: String,
    /// What Go calls a program, and what we call it.
    pub programs: &'static [(&'static str, &'static str)],
}

fn components() -> Vec<Component> {
    let kubernetes = [
        format!("gitVersion=v{KUBERNETES}"),
        "gitMajor=1".to_owned(),
        format!(
            "gitMinor={}",
            KUBERNETES.split('.').nth(1).unwrap_or_default()
        ),
        "gitTreeState=clean".to_owned(),
        "buildDate=2026-01-01T00:00:00Z".to_owned(),
    ]
    .map(|setting| format!(" -X k8s.io/component-base/version.{setting}"))
    .concat();
    let ours = [
        Component {
            folder: modules().join("kube"),
            title: format!("Kubernetes {KUBERNETES}"),
            ldflags: kubernetes,
            programs: &[
                ("kube-apiserver", "kube-apiserver"),
                ("kube-controller-manager", "kube-controller-manager"),
                ("kube-proxy", "kube-proxy"),
                ("kube-scheduler", "kube-scheduler"),
                ("kubectl", "kubectl"),
                ("kubelet", "kubelet"),
            ],
        },
        Component {
            folder: modules().join("etcd"),
            title: format!("etcd {ETCD}"),
            ldflags: String::from(" "),
            programs: &[("server", "etcd")],
        },
        Component {
            folder: modules().join("crane"),
            title: format!("crane {CRANE}"),
            ldflags: String::from(" "),
            programs: &[("crane", "crane")],
        },
        Component {
            // Its libraries have Kubernetes' versions, so most of it is compiled already.
            folder: modules().join("local-path-provisioner"),
            title: format!("local-path-provisioner {LOCAL_PATH_PROVISIONER}"),
            ldflags: String::from(" "),
            programs: &[("local-path-provisioner", "local-path-provisioner")],
        },
        Component {
            folder: modules().join("gcs"),
            title: format!("fake-gcs-server {FAKE_GCS_SERVER}"),
            ldflags: String::from(" "),
            programs: &[("gcs", "gcs")],
        },
        Component {
            folder: modules().join("csi"),
            title: format!(
                "external-provisioner {CSI_PROVISIONER} and external-snapshotter {CSI_SNAPSHOTTER}"
            ),
            ldflags: String::from(" "),
            programs: &[
                ("csi-provisioner", "csi-provisioner"),
                ("csi-sanity", "csi-sanity"),
                ("csi-snapshotter", "csi-snapshotter"),
                ("snapshot-controller", "snapshot-controller"),
            ],
        },
        Component {
            folder: modules().join("csi-stand-in"),
            title: format!("the stand-in for a driver of CSI {CSI_SPECIFICATION}"),
            ldflags: String::from(" "),
            programs: &[("csi-stand-in", "csi-stand-in")],
        },
    ];
    ours.into_iter().chain(guests::components()).collect()
}

/// Builds what is missing or out of date. Other callers wait.
pub(super) async fn all(layout: &Layout, progress: &Progress) -> Result<()> {
    let _alone = Lock::take(&layout.root().join("build.lock"), progress).await?;
    for component in components() {
        component.ensure(layout, progress).await?;
    }
    Ok(())
}

/// Builds what is missing or out of date for these programs to be there.
pub(super) async fn programs(wanted: &[&str], layout: &Layout, progress: &Progress) -> Result<()> {
    let _alone = Lock::take(&layout.root().join("build.lock"), progress).await?;
    for component in components() {
        if component
            .programs
            .iter()
            .any(|(_, name)| wanted.contains(name))
        {
            component.ensure(layout, progress).await?;
        }
    }
    Ok(())
}

/// What all of them are built from.
pub(super) fn keys() -> Result<Vec<String>> {
    let entries = components().into_iter().map(|component| component.entry());
    entries.map(|entry| Ok(entry?.to_string())).collect()
}

impl Component {
    fn name(&self) -> Cow<'_, str> {
        self.folder
            .file_name()
            .map_or_else(Cow::default, OsStr::to_string_lossy)
    }

    /// Most have nothing but `go.mod` and `go.sum`.
    fn sources(&self) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(&self.folder)?.map(|entry| Ok(entry?.path()));
        let mut sources = entries.collect::<Result<Vec<_>>>()?;
        sources.sort();
        Ok(sources)
    }

    fn flags(&self) -> String {
        format!("-s -w{}", self.ldflags)
    }

    fn entry(&self) -> Result<Entry> {
        let mut parts = vec![self.flags().into_bytes()];
        for path in self.sources()? {
            parts.push(fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
        }
        for (built, name) in self.programs {
            parts.extend([built.as_bytes().to_vec(), name.as_bytes().to_vec()]);
        }
        Ok(Entry::new(&self.name(), key(parts)))
    }

    async fn ensure(&self, layout: &Layout, progress: &Progress) -> Result<()> {
        let entry = self.entry()?;
        let programs: Vec<PathBuf> = self
            .programs
            .iter()
            .map(|(_, name)| layout.bin(name))
            .collect();
        if layout.has(&entry, &programs) {
            return Ok(());
        }
        let make = async |folder: &Path| {
            progress
                .step(&format!("build {}", self.title), self.build(layout, folder))
                .await
        };
        Cache::here()?
            .take(&entry, &layout.bins(), progress, make)
            .await?;
        layout.note(&entry)
    }

    async fn build(&self, layout: &Layout, folder: &Path) -> Result<()> {
        let mut go = Command::new("go");
        go.current_dir(&self.folder)
            .env("CGO_ENABLED", "0")
            .args([
                "build",
                "-trimpath",
                "-ldflags",
                self.flags().trim_end(),
                "-o",
            ])
            .arg(folder)
            .arg("tool");
        command::logged(
            &mut go,
            &layout.root().join(format!("build-{}.log", self.name())),
        )
        .await?;
        for (built, name) in self.programs {
            let built = folder.join(built);
            fs::rename(&built, folder.join(name))
                .with_context(|| format!("the build did not make {}", built.display()))?;
        }
        Ok(())
    }
}
