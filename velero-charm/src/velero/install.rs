//! What Velero can be installed with.

use serde::{Deserialize, Serialize};

/// The parts of an installation that the CLI takes as flags.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options<'a> {
    pub(crate) image: &'a str,
    pub(crate) node_agent: NodeAgent,
    pub(crate) volume_backups: VolumeBackups,
}

/// Whether an agent runs on every node.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NodeAgent {
    On,
    Off,
}

/// How volumes are backed up when a backup does not say.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum VolumeBackups {
    Snapshot,
    FileSystem,
}
