//! Charms that are not ours: written in Python on `ops`, with the integrators' own library.
//!
//! Invariant: they run as charmcraft would pack them, on packages pinned in `charms/requirements.txt`;
//! the emulator knows nothing about them that it would not know of any charm.
//!
//! The packages come from `PyPI` by pip, once per machine.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use juju_emulator::{CharmSource, DeployOptions, Juju, S3Settings};
use kube_stack::{Cache, Entry, Progress, key};
use tokio::process::Command;

/// A charm in `charms/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignCharm {
    /// Offers `s3-credentials` (interface `s3`), `azure-storage-credentials` (`azure_storage`) and
    /// `gcs-credentials` (`gcs`) as its options say: `bucket`, `endpoint`, `access-key`, `secret-key` and so on.
    ObjectStorageProvider,
    /// Offers `azure-service-principal-credentials` (`azure_service_principal`) as its options say.
    ServicePrincipalProvider,
    /// Requires the first two, and says in its status what it got.
    ObjectStorageRequirer,
    /// Requires `metrics-endpoint` (`prometheus_scrape`) and `grafana-dashboard` (`grafana_dashboard`), offers `logging`
    /// (`loki_push_api`) at the address that its option `loki` names, as COS's charms call them, and writes down what
    /// COS's own library makes of what it gets.
    Observability,
    /// Offers `backup` (`k8s_backup_target`): what of it is to be backed up, as its option `spec` says in JSON.
    BackupTarget,
}

impl ForeignCharm {
    const fn name(self) -> &'static str {
        match self {
            Self::ObjectStorageProvider => "object-storage-provider",
            Self::ServicePrincipalProvider => "service-principal-provider",
            Self::ObjectStorageRequirer => "object-storage-requirer",
            Self::Observability => "observability",
            Self::BackupTarget => "backup-target",
        }
    }

    /// Its parts, with the packages that it needs.
    pub async fn source(self) -> Result<CharmSource> {
        let folder = charms().join(self.name());
        Ok(CharmSource::Parts {
            charmcraft: folder.join("charmcraft.yaml"),
            dispatch: charms().join("dispatch"),
            files: vec![
                (folder.join("src/charm.py"), "src/charm.py".into()),
                (packages().await?, "venv".into()),
            ],
        })
    }
}

/// Deploys the foreign provider with what it is to offer; it settles like any charm, and `juju config`
/// rotates its credentials.
pub async fn deploy_s3_provider(juju: &mut Juju, app: &str, settings: &S3Settings) -> Result<()> {
    let source = ForeignCharm::ObjectStorageProvider.source().await?;
    let mut config = settings.options.clone();
    config.insert("access-key".to_owned(), settings.access_key.clone());
    config.insert("secret-key".to_owned(), settings.secret_key.clone());
    let options = DeployOptions {
        config,
        ..DeployOptions::default()
    };
    juju.deploy(&source, app, options).await
}

fn charms() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charms")
}

/// The folder with the packages, installed if they are not there. Other callers wait.
async fn packages() -> Result<PathBuf> {
    let requirements = charms().join("requirements.txt");
    let entry = Entry::new("python-charms", key([fs::read(&requirements)?]));
    let folder = kube_stack::folder()?.join(entry.to_string());
    let lock = File::create(folder.with_extension("lock"))?;
    // Held by a blocking call for as long as pip runs elsewhere: seconds, and once.
    lock.lock()?;
    if !folder.is_dir() {
        let part = folder.with_extension("part");
        let make = async |folder: &Path| install(&requirements, folder).await;
        Cache::here()?
            .take(&entry, &part, &Progress::to_stderr(), make)
            .await?;
        fs::rename(part, &folder)?;
    }
    Ok(folder)
}

async fn install(requirements: &Path, folder: &Path) -> Result<()> {
    let output = Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--requirement",
        ])
        .arg(requirements)
        .arg("--target")
        .arg(folder)
        .stdin(Stdio::null())
        .output()
        .await
        .context("starting pip")?;
    if !output.status.success() {
        bail!("pip: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
