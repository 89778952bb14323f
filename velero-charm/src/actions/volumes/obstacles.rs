//! What a command asks for that cannot be done here.
//!
//! Velero takes such a command, and completes it without a word and without the data.

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::Value;

use crate::{actions::command::Command, velero::SERVER};

/// What of Velero runs here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that have nothing to do with each other"
)]
pub(crate) struct Server {
    pub(crate) csi: bool,
    pub(crate) node_agent: bool,
    pub(crate) files_by_default: bool,
    pub(crate) moves_by_default: bool,
    pub(crate) snapshot_locations: bool,
}

/// What is asked for volumes; what is not said is the server's to decide.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Wish {
    /// Whose wish it is, if not that of the command itself.
    pub(crate) schedule: Option<String>,
    pub(crate) moves: Option<bool>,
    pub(crate) files: Option<bool>,
    pub(crate) snapshots: Option<bool>,
}

/// What a Backup holds of volumes that only a node agent can bring back.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Held {
    pub(crate) files: bool,
    pub(crate) moved: bool,
}

const MOVES: &str = "snapshot-move-data";
const FILES: &str = "default-volumes-to-fs-backup";
const SNAPSHOTS: &str = "snapshot-volumes";

impl Server {
    pub(crate) fn of(deployment: &Deployment, node_agent: bool, snapshot_locations: bool) -> Self {
        let arguments = arguments(deployment);
        let features = valued(&arguments, "features").unwrap_or_default();
        Self {
            csi: features.split(',').any(|feature| feature == "EnableCSI"),
            node_agent,
            files_by_default: is_set(&arguments, FILES),
            moves_by_default: is_set(&arguments, "default-snapshot-move-data"),
            snapshot_locations,
        }
    }
}

/// Of the server's own container.
fn arguments(deployment: &Deployment) -> Vec<&str> {
    let spec = deployment.spec.as_ref();
    let pod = spec.and_then(|spec| spec.template.spec.as_ref());
    let mut containers = pod.into_iter().flat_map(|pod| &pod.containers);
    let server = containers.find(|container| container.name == SERVER);
    let parts = server
        .into_iter()
        .flat_map(|server| [&server.command, &server.args]);
    parts.flatten().flatten().map(String::as_str).collect()
}

/// The last value of an option, in its word or in the next one.
fn valued<'a>(arguments: &[&'a str], name: &str) -> Option<&'a str> {
    let mut found = None;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument
            .strip_prefix("--")
            .and_then(|word| word.strip_prefix(name))
        {
            Some("") => found = rest.next().copied(),
            Some(value) => found = value.strip_prefix('=').or(found),
            None => {}
        }
    }
    found
}

fn is_set(arguments: &[&str], name: &str) -> bool {
    let said = arguments
        .iter()
        .rev()
        .find_map(|argument| argument.strip_prefix("--")?.strip_prefix(name))
        .filter(|value| value.is_empty() || value.starts_with('='));
    matches!(said, Some("" | "=true" | "=1" | "=t"))
}

impl Wish {
    pub(crate) fn of_command(command: &Command) -> Self {
        Self {
            schedule: None,
            moves: command.says(MOVES),
            files: command.says(FILES),
            snapshots: command.says(SNAPSHOTS),
        }
    }

    /// That of a Schedule, for a Backup that is made after it.
    pub(crate) fn of_schedule(name: &str, spec: &Value) -> Self {
        let says = |field: &str| spec["template"][field].as_bool();
        Self {
            schedule: Some(name.to_owned()),
            moves: says("snapshotMoveData"),
            files: says("defaultVolumesToFsBackup"),
            snapshots: says("snapshotVolumes"),
        }
    }

    /// Everything that stands in the way, each with what to do.
    pub(crate) fn obstacles(&self, server: Server, application: &str) -> Vec<String> {
        let moves = self.moves.unwrap_or(server.moves_by_default);
        let files = self.files.unwrap_or(server.files_by_default);
        let agent = format!("`juju config {application} use-node-agent=true`");
        let instead = if server.node_agent {
            format!("save the volumes' files instead with `--{FILES}`")
        } else {
            format!("save the volumes' files instead: run {agent}, then add `--{FILES}`")
        };
        let mut found = Vec::new();
        if moves && !server.csi {
            found.push(format!(
                "{} moves data out of CSI snapshots, and this Velero takes none (its server runs \
                 without `--features=EnableCSI`), so nothing would be saved: {}; {instead}",
                self.named(MOVES, "the server's default"),
                self.undone(MOVES)
            ));
        }
        if moves && server.csi && !server.node_agent {
            found.push(format!(
                "{} needs Velero's node agent, which is not installed: run {agent} first",
                self.named(MOVES, "the server's default")
            ));
        }
        if files && !server.node_agent {
            found.push(format!(
                "{} needs Velero's node agent, which is not installed: run {agent} first, or {}",
                self.named(FILES, "file-system backup, the server's default,"),
                self.undone(FILES)
            ));
        }
        if self.snapshots == Some(true) && !moves && !server.csi && !server.snapshot_locations {
            found.push(format!(
                "{} asks for snapshots, and none can be taken here (there is no \
                 VolumeSnapshotLocation, and the server runs without `--features=EnableCSI`): {}; \
                 {instead}",
                self.named(SNAPSHOTS, "the server's default"),
                self.undone(SNAPSHOTS)
            ));
        }
        found
    }

    fn said(&self, flag: &str) -> Option<bool> {
        match flag {
            MOVES => self.moves,
            FILES => self.files,
            _ => self.snapshots,
        }
    }

    fn named(&self, flag: &str, default: &str) -> String {
        match (&self.schedule, self.said(flag)) {
            (_, None) => default.to_owned(),
            (None, Some(_)) => format!("`--{flag}`"),
            (Some(schedule), Some(_)) => format!("`--{flag}` of schedule `{schedule}`"),
        }
    }

    fn undone(&self, flag: &str) -> String {
        match (&self.schedule, self.said(flag)) {
            (None, Some(_)) => format!("leave `--{flag}` out"),
            (None, None) => format!("add `--{flag}=false`"),
            (Some(schedule), _) => format!("make schedule `{schedule}` again without it"),
        }
    }
}

/// What stands in the way of restoring what a Backup holds.
pub(crate) fn of_restore(
    backup: &str,
    held: Held,
    server: Server,
    application: &str,
) -> Vec<String> {
    let mut found = Vec::new();
    if (held.files || held.moved) && !server.node_agent {
        found.push(format!(
            "backup `{backup}` holds files of volumes, which Velero's node agent restores, and it \
             is not installed: run `juju config {application} use-node-agent=true` first"
        ));
    }
    if held.moved && !server.csi {
        found.push(format!(
            "backup `{backup}` holds data that was moved out of CSI snapshots, and this Velero \
             cannot restore it (its server runs without `--features=EnableCSI`): leave the claims \
             out with `--exclude-resources persistentvolumeclaims,persistentvolumes`, or restore \
             it with a Velero that has the feature"
        ));
    }
    found
}

#[cfg(test)]
mod tests;
