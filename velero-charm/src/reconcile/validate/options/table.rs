//! The options that become settings of Velero: one row each.
//!
//! A row says how the option's value is read and where it goes. Nothing else has to be written for an option, but
//! for its entry in `charmcraft.yaml` (`options_are_declared_as_they_are_read`) and the page of options, which is
//! made from both.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::{
    Fault, snapshots,
    texts::{DURATION, FOLDER, LABELS, NAME, PULL_SECRET, QUANTITY, TOLERATIONS},
};
use crate::{
    reconcile::observe::{CSI_SNAPSHOTS, PRIORITY_CLASS, Surroundings},
    velero::settings::{
        Place::{self, Argument, Container, Folder, Pod},
        Program::{NodeAgent, Server},
    },
};

/// An option, and what becomes of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) option: &'static str,
    pub(super) form: Form,
    pub(super) places: &'static [Place],
}

/// How the value of an option is read. One that is at its default is no setting: Velero has its own.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// False by default.
    Flag,
    /// A whole number.
    Number {
        default: i64,
        range: fn() -> RangeInclusive<i64>,
    },
    /// One of these words, of which the first is the default.
    Word(&'static [&'static str]),
    /// Empty by default.
    Text(Text),
    /// One of these words, of which the first is the default. What it means depends on the cluster.
    InCluster(
        &'static [&'static str],
        fn(&str, &Surroundings) -> Result<Option<Value>, Fault>,
    ),
}

/// What a text may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    /// In words, after "set it to".
    pub(super) shape: &'static str,
    /// The setting, or what is wrong with the text.
    pub(super) read: fn(&str) -> Result<Value, String>,
}

pub(super) const MOVE_DATA: &str = "snapshot-move-data";

pub(super) const ROWS: &[Row] = &[
    Row {
        option: CSI_SNAPSHOTS,
        form: Form::InCluster(&["auto", "true", "false"], snapshots::feature),
        places: &[
            Argument(Server, "features"),
            Argument(NodeAgent, "features"),
        ],
    },
    Row {
        option: MOVE_DATA,
        form: Form::Flag,
        places: &[Argument(Server, "default-snapshot-move-data")],
    },
    Row {
        option: "cpu-request",
        form: Form::Text(QUANTITY),
        places: &[Container(Server, &["resources", "requests", "cpu"])],
    },
    Row {
        option: "cpu-limit",
        form: Form::Text(QUANTITY),
        places: &[Container(Server, &["resources", "limits", "cpu"])],
    },
    Row {
        option: "memory-request",
        form: Form::Text(QUANTITY),
        places: &[Container(Server, &["resources", "requests", "memory"])],
    },
    Row {
        option: "memory-limit",
        form: Form::Text(QUANTITY),
        places: &[Container(Server, &["resources", "limits", "memory"])],
    },
    Row {
        option: "node-agent-cpu-request",
        form: Form::Text(QUANTITY),
        places: &[Container(NodeAgent, &["resources", "requests", "cpu"])],
    },
    Row {
        option: "node-agent-cpu-limit",
        form: Form::Text(QUANTITY),
        places: &[Container(NodeAgent, &["resources", "limits", "cpu"])],
    },
    Row {
        option: "node-agent-memory-request",
        form: Form::Text(QUANTITY),
        places: &[Container(NodeAgent, &["resources", "requests", "memory"])],
    },
    Row {
        option: "node-agent-memory-limit",
        form: Form::Text(QUANTITY),
        places: &[Container(NodeAgent, &["resources", "limits", "memory"])],
    },
    Row {
        option: "default-backup-ttl",
        form: Form::Text(DURATION),
        places: &[Argument(Server, "default-backup-ttl")],
    },
    Row {
        option: "concurrent-backups",
        form: Form::Number {
            default: 1,
            range: || 1..=100,
        },
        places: &[Argument(Server, "concurrent-backups")],
    },
    Row {
        option: "item-block-workers",
        form: Form::Number {
            default: 1,
            range: || 1..=100,
        },
        places: &[Argument(Server, "item-block-worker-count")],
    },
    Row {
        option: "node-selector",
        form: Form::Text(LABELS),
        places: &[Pod(Server, "nodeSelector")],
    },
    Row {
        option: "tolerations",
        form: Form::Text(TOLERATIONS),
        places: &[Pod(Server, "tolerations"), Pod(NodeAgent, "tolerations")],
    },
    Row {
        option: PRIORITY_CLASS,
        form: Form::Text(NAME),
        places: &[
            Pod(Server, "priorityClassName"),
            Pod(NodeAgent, "priorityClassName"),
        ],
    },
    Row {
        option: "image-pull-secret",
        form: Form::Text(PULL_SECRET),
        places: &[
            Pod(Server, "imagePullSecrets"),
            Pod(NodeAgent, "imagePullSecrets"),
        ],
    },
    Row {
        option: "log-level",
        form: Form::Word(&["info", "debug", "warning", "error"]),
        places: &[
            Argument(Server, "log-level"),
            Argument(NodeAgent, "log-level"),
        ],
    },
    Row {
        option: "log-format",
        form: Form::Word(&["text", "json"]),
        places: &[
            Argument(Server, "log-format"),
            Argument(NodeAgent, "log-format"),
        ],
    },
    Row {
        option: "kubelet-root-dir",
        form: Form::Text(FOLDER),
        places: &[
            Folder(NodeAgent, "host-pods", "pods"),
            Folder(NodeAgent, "host-plugins", "plugins"),
        ],
    },
];
