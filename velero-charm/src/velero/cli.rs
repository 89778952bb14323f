//! The bundled Velero CLI.
//!
//! It runs by its absolute path, in a process group of its own, with an empty folder
//! as home and working directory and nothing in its environment but the way to the API server and a
//! wish for plain text. It ends with the charm. No secret is ever an argument.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use kube::api::DynamicObject;
use serde::Deserialize;
use tempfile::TempDir;
use tokio::process::Command;

use super::{
    companion,
    install::{NodeAgent, Options, VolumeBackups},
};

/// Rendering takes a tenth of a second and sends no request.
const RENDER_TIMEOUT: Duration = Duration::from_secs(20);

/// The CLI in the charm's folder, aimed at one namespace.
#[derive(Clone, Debug)]
pub(crate) struct Cli {
    path: PathBuf,
    namespace: String,
    /// The way to the API server.
    environment: Vec<(&'static str, String)>,
}

/// Why the CLI was of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error("the bundled Velero CLI could not be started: {0}")]
    Start(#[from] std::io::Error),
    #[error("the bundled Velero CLI failed with exit code {code}: {message}")]
    Failed { code: i32, message: String },
    #[error("the bundled Velero CLI gave no manifests: {0}")]
    Answer(String),
    #[error("the bundled Velero CLI did not answer within {} s", RENDER_TIMEOUT.as_secs())]
    Silent,
}

/// A command that is ready to start.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) command: Command,
    /// Its home and working directory, which must outlive it.
    _home: TempDir,
}

#[derive(Deserialize)]
struct List {
    items: Vec<DynamicObject>,
}

impl Cli {
    /// What it finds of the API server in its environment is given to it.
    pub(crate) fn new(
        charm_dir: &Path,
        namespace: &str,
        environment: impl Iterator<Item = (&'static str, String)>,
    ) -> Self {
        Self {
            path: charm_dir.join("velero"),
            namespace: namespace.into(),
            environment: environment.collect(),
        }
    }

    /// A command of the CLI, in our namespace.
    pub(crate) fn prepare(&self, arguments: &[impl AsRef<str>]) -> Result<Prepared, CliError> {
        let home = home()?;
        let mut command = companion::command(&self.path)?;
        command
            // Before the user's words: after them it could be taken for the value of a flag.
            .arg(format!("--namespace={}", self.namespace))
            .arg("--colorized=false")
            .args(arguments.iter().map(AsRef::as_ref))
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("HOME", home.path())
            .env("NO_COLOR", "1")
            .env("TERM", "dumb")
            .current_dir(home.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Ok(Prepared {
            command,
            _home: home,
        })
    }

    /// The manifests of the bundled Velero.
    pub(crate) async fn render(
        &self,
        options: Options<'_>,
    ) -> Result<Vec<DynamicObject>, CliError> {
        let mut prepared = self.prepare(&install_arguments(options))?;
        let output = tokio::time::timeout(RENDER_TIMEOUT, prepared.command.output())
            .await
            .map_err(|_| CliError::Silent)??;
        if !output.status.success() {
            return Err(CliError::Failed {
                code: output.status.code().unwrap_or(-1),
                message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            });
        }
        parse(&output.stdout)
    }
}

/// An empty folder that nobody else may look into; a charm that is killed leaves it behind.
fn home() -> std::io::Result<TempDir> {
    let ours_alone = Permissions::from_mode(0o700);
    let mut folder = tempfile::Builder::new();
    folder.prefix("velero-cli-").permissions(ours_alone);
    folder.tempdir()
}

fn install_arguments(options: Options<'_>) -> Vec<String> {
    let node_agent = options.node_agent == NodeAgent::On;
    let fs_backup = options.volume_backups == VolumeBackups::FileSystem;
    vec![
        "install".into(),
        "--dry-run".into(),
        "--output=json".into(),
        "--no-default-backup-location".into(),
        "--no-secret".into(),
        "--use-volume-snapshots=false".into(),
        format!("--image={}", options.image),
        format!("--use-node-agent={node_agent}"),
        format!("--default-volumes-to-fs-backup={fs_backup}"),
    ]
}

/// Warnings may come before the list.
fn parse(output: &[u8]) -> Result<Vec<DynamicObject>, CliError> {
    let start = output
        .iter()
        .position(|byte| *byte == b'{')
        .unwrap_or(output.len());
    let json = output.get(start..).unwrap_or_default();
    serde_json::from_slice::<List>(json)
        .map(|list| list.items)
        .map_err(|error| CliError::Answer(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn home_of_the_cli_is_the_charms_alone() {
        let home = home().unwrap();
        let mode = home.path().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn warnings_before_the_list_are_passed_over() {
        let output = b"warning: old uploader\n{\"kind\":\"List\",\"items\":[{\"kind\":\"Namespace\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"x\"}}]}";
        assert_eq!(parse(output).unwrap().len(), 1);
        assert!(matches!(parse(b"no list"), Err(CliError::Answer(_))));
    }
}
