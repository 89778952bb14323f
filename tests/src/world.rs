//! A model of its own on the shared stack, for one test.
//!
//! Invariant: one at a time on the node, which has room for one Velero; whatever an earlier world has
//! left is cleared away before the next one begins.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Api, ResourceExt as _};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

use crate::juju::{CharmSource, DeployOptions, HookRun, Juju, S3Settings};
use crate::operator::{self, APP, S3, UNIT};
use crate::shop;
use crate::stack::Stack;

/// Namespaces of worlds begin so.
const PREFIX: &str = "world-";

static NODE: Mutex<()> = Mutex::const_new(());

/// A model with our charm in it.
pub struct World {
    /// The stack that it is on.
    pub stack: Stack,
    /// Its model.
    pub juju: Juju,
    /// Its namespace.
    pub namespace: String,
    /// Its bucket.
    pub bucket: String,
    client: kube::Client,
    dir: TempDir,
    _node: MutexGuard<'static, ()>,
}

impl World {
    /// A fresh model with a bucket of its own, and nothing deployed.
    pub async fn open(name: &str) -> Result<Self> {
        let node = NODE.lock().await;
        let stack = Stack::shared().await?;
        let client = stack.client().await?;
        clear(&stack, &client).await?;
        let namespace = format!("{PREFIX}{name}");
        let bucket = namespace.clone();
        let dir = tempfile::tempdir()?;
        let juju = operator::model(&stack, &dir.path().join("juju"), &namespace).await?;
        // An earlier run's; the first time there is none.
        let _ = stack.s3().delete_bucket(&bucket).await;
        stack.s3().create_bucket(&bucket).await?;
        Ok(Self {
            stack,
            juju,
            namespace,
            bucket,
            client,
            dir,
            _node: node,
        })
    }

    /// A fresh model with the charm deployed, trusted and at rest.
    pub async fn deployed(name: &str) -> Result<Self> {
        let mut world = Self::open(name).await?;
        world.deploy(DeployOptions::trusted()).await?;
        Ok(world)
    }

    /// The same, integrated with its bucket, and active.
    pub async fn connected(name: &str) -> Result<Self> {
        let mut world = Self::deployed(name).await?;
        let settings = world.settings();
        world.integrate(settings).await?;
        world.expect_status("active: ")?;
        Ok(world)
    }

    /// Deploys the charm; each start of its Velero CLI is written down.
    pub async fn deploy(&mut self, options: DeployOptions) -> Result<()> {
        let source = self.charm().await?;
        self.juju.deploy(&source, APP, options).await?;
        self.juju.settle().await.map(drop)
    }

    /// The settings of a store that works.
    #[must_use]
    pub fn settings(&self) -> S3Settings {
        operator::s3_settings(&self.stack.s3(), &self.bucket)
    }

    /// Integrates with these settings.
    pub async fn integrate(&mut self, settings: S3Settings) -> Result<()> {
        self.juju.deploy_s3_integrator(S3, settings)?;
        self.juju.integrate(APP, S3)?;
        self.juju.settle().await.map(drop)
    }

    /// Changes an option of the charm and lets it come to rest.
    pub async fn config(&mut self, option: &str, value: &str) -> Result<()> {
        self.juju.config(APP, &[(option, value)])?;
        self.juju.settle().await.map(drop)
    }

    /// Changes an option of the integrator and lets the charm come to rest.
    pub async fn offer(&mut self, option: &str, value: &str) -> Result<()> {
        self.juju.config(S3, &[(option, value)])?;
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

    /// One of Velero's own objects in the world's namespace.
    pub async fn velero_object(&self, kind: &str, name: &str) -> Result<Option<DynamicObject>> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("velero.io", "v1", kind));
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        match api.get(name).await {
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

    /// `Kind/name` of everything in the cluster that carries the charm's label.
    pub async fn belongings(&self) -> Result<String> {
        let kinds = "deployments,daemonsets,pods,secrets,configmaps,serviceaccounts,services,\
                     clusterrolebindings";
        let model = &self.juju.model().uuid;
        let label = format!("velero-operator/application={APP},velero-operator/model={model}");
        self.kubectl(&["get", kinds, "-A", "-l", &label, "-o", "name"])
            .await
    }

    /// Applies an object as an admin.
    pub async fn apply(&self, object: &Value) -> Result<()> {
        let apply = ["apply", "-f", "-"];
        shop::kubectl(&self.stack, &apply, &object.to_string())
            .await
            .map(drop)
    }

    /// Runs kubectl as an admin.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        shop::kubectl(&self.stack, arguments, "").await
    }

    /// An admin's client.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// The charm, with its CLI behind a note-taker.
    async fn charm(&self) -> Result<CharmSource> {
        let note_taker = self.dir.path().join("velero");
        write_note_taker(&note_taker, &self.dir.path().join("cli-starts"))?;
        let mut source = operator::charm().await?;
        if let CharmSource::Parts { files, .. } = &mut source {
            *files = vec![
                (note_taker, "velero".into()),
                (operator::velero()?, "velero.real".into()),
            ];
        }
        Ok(source)
    }
}

fn write_note_taker(path: &PathBuf, notes: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let script = format!(
        "#!/bin/sh\necho \"$*\" >> {}\nexec \"$(/usr/bin/dirname \"$0\")/velero.real\" \"$@\"\n",
        notes.display()
    );
    std::fs::write(path, script)?;
    Ok(std::fs::set_permissions(
        path,
        std::fs::Permissions::from_mode(0o755),
    )?)
}

/// Deletes every namespace of a world, and waits until all are gone.
async fn clear(stack: &Stack, client: &kube::Client) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for namespace in namespaces.list(&ListParams::default()).await? {
        let name = namespace.name_any();
        if !name.starts_with(PREFIX) && !name.starts_with("shop-") {
            continue;
        }
        let_go(stack, &name).await?;
        let gone = namespaces.delete(&name, &DeleteParams::default()).await;
        gone.map(drop).or_else(|error| match error {
            kube::Error::Api(status) if status.code == 404 || status.code == 409 => Ok(()),
            other => Err(other),
        })?;
        shop::delete_namespace(stack, &name)
            .await
            .with_context(|| format!("clearing `{name}`"))?;
    }
    // They are in no namespace, and a model that was not removed leaves its own.
    let bindings = [
        "delete",
        "clusterrolebindings",
        "-l",
        "velero-operator/application",
    ];
    shop::kubectl(stack, &bindings, "").await.map(drop)
}

/// Restores hold on to their namespace until a Velero lets them go; none may be there any more.
async fn let_go(stack: &Stack, namespace: &str) -> Result<()> {
    let get = ["-n", namespace, "get", "restores.velero.io", "-o", "name"];
    let Ok(restores) = shop::kubectl(stack, &get, "").await else {
        return Ok(());
    };
    let none = r#"{"metadata":{"finalizers":null}}"#;
    for restore in restores.lines() {
        let patch = [
            "-n",
            namespace,
            "patch",
            restore,
            "--type=merge",
            "-p",
            none,
        ];
        shop::kubectl(stack, &patch, "").await?;
    }
    Ok(())
}
