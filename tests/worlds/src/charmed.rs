//! A Juju model with our charm in it, wherever its cluster is.
//!
//! Invariant: what a test does to it is what a user or an integrator can do, and what it asks is what
//! they can see.

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use juju_emulator::charm::Charm;
use juju_emulator::{CharmSource, Cluster, DeployOptions, HookRun, Juju, S3Settings};
use kube::Api;
use kube::api::{DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use serde_json::Value;
use tempfile::TempDir;

use crate::documented;
use crate::kubectl::Kubectl;
use crate::operator::{self, APP, S3, UNIT};

/// Group, version and kind of what the charm labels as its own.
const LABELLED: [(&str, &str); 8] = [
    ("apps", "Deployment"),
    ("apps", "DaemonSet"),
    ("", "Pod"),
    ("", "Secret"),
    ("", "ConfigMap"),
    ("", "ServiceAccount"),
    ("", "Service"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
];

/// A model, and what is needed to look at it.
pub struct CharmedModel {
    /// The model.
    pub juju: Juju,
    /// Its namespace.
    pub namespace: String,
    /// Its bucket.
    pub bucket: String,
    settings: S3Settings,
    client: kube::Client,
    kubectl: Kubectl,
    dir: TempDir,
}

impl CharmedModel {
    /// A fresh model in a namespace of this name, and nothing deployed.
    pub(crate) async fn open(
        namespace: &str,
        cluster: Cluster,
        kubectl: Kubectl,
        settings: S3Settings,
    ) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        // The charm's user finds there what it is told of, and cannot look around.
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o711))?;
        let client = cluster.client.clone();
        let juju = Juju::bootstrap(&dir.path().join("juju"), namespace, Some(cluster)).await?;
        Ok(Self {
            juju,
            namespace: namespace.to_owned(),
            bucket: settings.options.get("bucket").cloned().unwrap_or_default(),
            settings,
            client,
            kubectl,
            dir,
        })
    }

    /// Deploys the charm and lets it come to rest; each start of its Velero CLI is written down.
    pub async fn deploy(&mut self, options: DeployOptions) -> Result<()> {
        let source = self.charm().await?;
        self.juju.deploy(&source, APP, options).await?;
        self.settle().await
    }

    /// Refreshes whatever charm is deployed to ours, and lets it come to rest.
    pub async fn refresh(&mut self) -> Result<()> {
        self.stage_refresh().await?;
        self.settle().await
    }

    /// `juju refresh` to our charm; no hook has run yet.
    pub async fn stage_refresh(&mut self) -> Result<()> {
        let source = self.charm().await?;
        self.juju.refresh(APP, &source)
    }

    /// Integrates with its own bucket, which must make it active.
    pub async fn connect(&mut self) -> Result<()> {
        let settings = self.settings();
        self.integrate(settings).await?;
        self.expect_status("active: ")
    }

    /// The settings of a store that works.
    #[must_use]
    pub fn settings(&self) -> S3Settings {
        self.settings.clone()
    }

    /// Integrates with these settings.
    pub async fn integrate(&mut self, settings: S3Settings) -> Result<()> {
        self.juju.deploy_s3_integrator(S3, settings)?;
        self.juju.integrate(APP, S3)?;
        self.settle().await
    }

    /// Changes an option of the charm and lets it come to rest.
    pub async fn config(&mut self, option: &str, value: &str) -> Result<()> {
        self.juju.config(APP, &[(option, value)])?;
        self.settle().await
    }

    /// Sets what the README sets so that backups have the files of volumes, and lets the charm come to rest.
    pub async fn back_up_files(&mut self) -> Result<()> {
        let options = documented::options()?;
        let options = options
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        self.juju.config(APP, &options.collect::<Vec<_>>())?;
        self.settle().await
    }

    /// Sets options of the charm back. Juju runs no hook for it, so the next update-status finds it.
    pub async fn reset(&mut self, options: &[&str]) -> Result<()> {
        self.juju.reset_config(APP, options)?;
        self.update_status().await.map(drop)
    }

    /// Changes an option of the integrator and lets the charm come to rest.
    pub async fn offer(&mut self, option: &str, value: &str) -> Result<()> {
        self.juju.config(S3, &[(option, value)])?;
        self.settle().await
    }

    /// Runs every hook that is due.
    pub async fn settle(&mut self) -> Result<()> {
        self.juju.settle().await.map(drop)
    }

    /// Runs update-status.
    pub async fn update_status(&mut self) -> Result<HookRun> {
        self.juju.update_status(UNIT).await
    }

    /// `level: message` of the unit.
    #[must_use]
    pub fn status(&self) -> String {
        operator::status(&self.juju)
    }

    /// Fails unless the status is exactly this.
    pub fn expect_status(&self, wanted: &str) -> Result<()> {
        let status = self.status();
        ensure!(
            status == wanted,
            "status is `{status}`, not `{wanted}`;\n{}",
            self.log()
        );
        Ok(())
    }

    /// Fails unless the status begins so and contains all of these.
    pub fn expect_in_status(&self, level: &str, parts: &[&str]) -> Result<()> {
        let status = self.status();
        ensure!(
            status.starts_with(level),
            "status is `{status}`;\n{}",
            self.log()
        );
        for part in parts {
            ensure!(
                status.contains(part),
                "status is `{status}`, without `{part}`"
            );
        }
        Ok(())
    }

    /// The model's log, a line each.
    #[must_use]
    pub fn log(&self) -> String {
        let lines = self.juju.logs().iter();
        let lines = lines.map(|line| format!("{} {}: {}", line.level, line.module, line.text));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Everything that the charm said, asked or was given by a tool, but for what it read of secrets; also
    /// what actions gave.
    #[must_use]
    pub fn everything_said(&self) -> String {
        let runs = self.juju.hook_runs().iter();
        let calls = runs.flat_map(|run| {
            let environment = run
                .environment
                .iter()
                .map(|(key, value)| format!("{key}={value}"));
            environment.chain(
                run.tool_calls
                    .iter()
                    .map(|call| format!("{} {:?}", call.tool, call.args)),
            )
        });
        let statuses = self
            .juju
            .status_history(UNIT)
            .iter()
            .map(|status| status.message.clone());
        let said: Vec<_> = calls.chain(statuses).chain([self.log()]).collect();
        said.join("\n")
    }

    /// The arguments of each start of the CLI so far.
    pub fn cli_starts(&self) -> Result<Vec<String>> {
        let calls = self.dir.path().join("cli-starts");
        if !calls.exists() {
            return Ok(Vec::new());
        }
        Ok(std::fs::read_to_string(calls)?
            .lines()
            .map(ToOwned::to_owned)
            .collect())
    }

    /// Who the API server takes the charm for.
    #[must_use]
    pub fn charm_user(&self) -> String {
        format!("system:serviceaccount:{}:{APP}", self.namespace)
    }

    /// Velero's own objects of a kind in the model's namespace.
    #[must_use]
    pub fn velero_objects(&self, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("velero.io", "v1", kind));
        Api::namespaced_with(self.client(), &self.namespace, &resource)
    }

    /// One of Velero's own objects in the model's namespace.
    pub async fn velero_object(&self, kind: &str, name: &str) -> Result<Option<DynamicObject>> {
        match self.velero_objects(kind).get(name).await {
            Ok(object) => Ok(Some(object)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The spec of the location in use.
    pub async fn location(&self) -> Result<Option<Value>> {
        let location = self
            .velero_object("BackupStorageLocation", "default")
            .await?;
        Ok(location.map(|location| location.data["spec"].clone()))
    }

    /// `kind/name`, a line each, of everything in the cluster that carries the charm's label.
    pub async fn belongings(&self) -> Result<String> {
        let model = &self.juju.model().uuid;
        let label = format!("velero-operator/application={APP},velero-operator/model={model}");
        let params = ListParams::default().labels(&label);
        let mut lines = Vec::new();
        for (group, kind) in LABELLED {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
            let api: Api<DynamicObject> = Api::all_with(self.client(), &resource);
            let found = api.list_metadata(&params).await?;
            let names = found.items.into_iter().filter_map(|one| one.metadata.name);
            lines.extend(names.map(|name| format!("{}/{name}", kind.to_lowercase())));
        }
        Ok(lines.join("\n"))
    }

    /// How many `ServiceAccount`s, and roles and bindings as many, readings of secrets have left.
    pub async fn secret_consumers(&self) -> Result<usize> {
        let cluster = self.juju.cluster().context("no cluster")?;
        cluster.secret_consumers(&self.namespace).await
    }

    /// Applies an object as an admin.
    pub async fn apply(&self, object: &Value) -> Result<()> {
        let apply = ["apply", "-f", "-"];
        let text = object.to_string();
        self.kubectl.run_on(&apply, &text).await.map(drop)
    }

    /// Runs kubectl as an admin.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl.run(arguments).await
    }

    /// An admin's client.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// The charm, with its CLI behind a note-taker.
    pub async fn charm(&self) -> Result<CharmSource> {
        let notes = self.dir.path().join("cli-starts");
        match operator::charm().await? {
            CharmSource::Parts {
                charmcraft,
                dispatch,
                ..
            } => {
                let note_taker = self.dir.path().join("velero");
                let itself = self.dir.path().join("bundled-velero");
                link(&operator::velero()?, &itself)?;
                write_note_taker(&note_taker, &itself, &notes)?;
                let files = vec![(note_taker, "velero".into())];
                Ok(CharmSource::Parts {
                    charmcraft,
                    dispatch,
                    files,
                })
            }
            packed => {
                let folder = self.dir.path().join("charm");
                let velero = folder.join("velero");
                if !folder.exists() {
                    Charm::unpack(&packed, &folder)?;
                    let its_own = self.dir.path().join("packed-velero");
                    std::fs::rename(&velero, &its_own)?;
                    write_note_taker(&velero, &its_own, &notes)?;
                }
                Ok(CharmSource::Directory(folder))
            }
        }
    }
}

/// The CLI is large, and the folders above may be closed to the charm's user.
fn link(from: &Path, to: &Path) -> Result<()> {
    if !to.exists() && std::fs::hard_link(from, to).is_err() {
        std::fs::copy(from, to)?;
    }
    Ok(())
}

fn write_note_taker(path: &Path, velero: &Path, notes: &Path) -> Result<()> {
    let script = format!(
        "#!/bin/sh\necho \"$*\" >> {}\nexec {} \"$@\"\n",
        notes.display(),
        velero.display()
    );
    std::fs::write(path, script)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o755))?;
    // The charm's user writes there.
    let notes = OpenOptions::new().append(true).create(true).open(notes)?;
    Ok(notes.set_permissions(Permissions::from_mode(0o666))?)
}
