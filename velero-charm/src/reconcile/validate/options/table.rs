//! The options that become settings of Velero: one row each.
//!
//! A row says how the option's value is read and where it goes. Nothing else has to be written for an option, but
//! for its entry in `charmcraft.yaml` (`options_are_declared_as_they_are_read`) and the page of options, which is
//! made from both.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::{
    Fault, pairs, policies, snapshots,
    texts::{DURATION, FOLDER, LABELS, NAME, PULL_SECRET, QUANTITY, TOLERATIONS},
};
use crate::{
    reconcile::observe::{CSI_SNAPSHOTS, KUBELET_ROOT, PRIORITY_CLASS, Surroundings},
    velero::{
        document::{self, Document},
        settings::{
            Place::{
                self, AccountAnnotations, Argument, Container, Field, Folder, Labels, Nodes, Note,
                Pod, Resource,
            },
            Program::{NodeAgent, Server},
        },
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
    /// The same; while it is empty, the cluster may tell what it is.
    Found(Text, fn(&Surroundings) -> Option<&'static str>),
    /// Keys and values, empty by default, of which each can be wrong in its own way.
    Pairs(Pairs),
    /// YAML, empty by default, of which each part can be wrong in its own way.
    Yaml(fn(&str) -> Result<Value, Vec<Fault>>),
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

/// What keys and values may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pairs {
    /// In words, after "set it to".
    pub(super) shape: &'static str,
    /// The setting, or all that is wrong with the text.
    pub(super) read: fn(&str) -> Result<Value, Vec<String>>,
}

/// The annotation of a pod with those of the ServiceAccount that it has been made under: a cloud gives pods an identity
/// by these when a pod is made.
const ACCOUNT_NOTE: &str = "velero-operator/service-account";

pub(in crate::reconcile::validate) const ANNOTATIONS: &str = "service-account-annotations";

pub(in crate::reconcile::validate) const POD_LABELS: &str = "pod-labels";

pub(super) const MOVE_DATA: &str = "snapshot-move-data";

pub(in crate::reconcile::validate) const VOLUME_POLICIES: &str = "volume-policies";

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
        places: &[
            Container(Server, &["resources", "requests", "cpu"]),
            Resource(Document::Maintenance, "cpuRequest"),
        ],
    },
    Row {
        option: "cpu-limit",
        form: Form::Text(QUANTITY),
        places: &[
            Container(Server, &["resources", "limits", "cpu"]),
            Resource(Document::Maintenance, "cpuLimit"),
        ],
    },
    Row {
        option: "memory-request",
        form: Form::Text(QUANTITY),
        places: &[
            Container(Server, &["resources", "requests", "memory"]),
            Resource(Document::Maintenance, "memoryRequest"),
        ],
    },
    Row {
        option: "memory-limit",
        form: Form::Text(QUANTITY),
        places: &[
            Container(Server, &["resources", "limits", "memory"]),
            Resource(Document::Maintenance, "memoryLimit"),
        ],
    },
    Row {
        option: "node-agent-cpu-request",
        form: Form::Text(QUANTITY),
        places: &[
            Container(NodeAgent, &["resources", "requests", "cpu"]),
            Resource(Document::NodeAgent, "cpuRequest"),
        ],
    },
    Row {
        option: "node-agent-cpu-limit",
        form: Form::Text(QUANTITY),
        places: &[
            Container(NodeAgent, &["resources", "limits", "cpu"]),
            Resource(Document::NodeAgent, "cpuLimit"),
        ],
    },
    Row {
        option: "node-agent-memory-request",
        form: Form::Text(QUANTITY),
        places: &[
            Container(NodeAgent, &["resources", "requests", "memory"]),
            Resource(Document::NodeAgent, "memoryRequest"),
        ],
    },
    Row {
        option: "node-agent-memory-limit",
        form: Form::Text(QUANTITY),
        places: &[
            Container(NodeAgent, &["resources", "limits", "memory"]),
            Resource(Document::NodeAgent, "memoryLimit"),
        ],
    },
    Row {
        option: "data-mover-concurrency",
        form: Form::Number {
            default: 1,
            range: || 1..=100,
        },
        places: &[Field(
            Document::NodeAgent,
            &["loadConcurrency", "globalConfig"],
        )],
    },
    Row {
        option: "data-mover-nodes",
        form: Form::Text(LABELS),
        places: &[Nodes(Document::NodeAgent)],
    },
    Row {
        option: VOLUME_POLICIES,
        form: Form::Yaml(policies::read),
        places: &[Field(Document::VolumePolicies, &[])],
    },
    Row {
        option: "repository-cache-mb",
        form: Form::Number {
            default: 5000,
            // Velero writes greater numbers in a way that it does not read.
            range: || 100..=999_999,
        },
        places: &[Field(Document::Repositories, &[document::CACHE_LIMIT])],
    },
    Row {
        option: "repository-gc",
        form: Form::Word(&["normalGC", "fastGC", "eagerGC"]),
        places: &[Field(Document::Repositories, &["fullMaintenanceInterval"])],
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
        places: &[Pod(Server, "nodeSelector"), Nodes(Document::Maintenance)],
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
            Field(Document::NodeAgent, &["priorityClassName"]),
            Field(Document::Maintenance, &["priorityClassName"]),
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
        option: ANNOTATIONS,
        form: Form::Pairs(pairs::ANNOTATIONS),
        places: &[
            AccountAnnotations,
            Note(Server, ACCOUNT_NOTE),
            Note(NodeAgent, ACCOUNT_NOTE),
        ],
    },
    Row {
        option: POD_LABELS,
        form: Form::Pairs(pairs::POD_LABELS),
        places: &[
            Labels(Server),
            Labels(NodeAgent),
            Field(Document::NodeAgent, &["podLabels"]),
            Field(Document::Maintenance, &["podLabels"]),
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
        option: KUBELET_ROOT,
        form: Form::Found(FOLDER, |cluster| cluster.kubelet_root),
        places: &[
            Folder(NodeAgent, "host-pods", "pods"),
            Folder(NodeAgent, "host-plugins", "plugins"),
        ],
    },
];
