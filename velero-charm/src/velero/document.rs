//! What Velero's programs read from ConfigMaps: one document each, as JSON, which is YAML too.
//!
//! Velero's CLI refuses to render what names a ConfigMap that is not there. It is not told of them: the programs'
//! arguments are laid over what it renders.

use serde::{Deserialize, Serialize};

use super::settings::Program;

/// The field with the megabytes of a repository that are kept on a node.
pub(crate) const CACHE_LIMIT: &str = "cacheLimitMB";

/// A document in a ConfigMap of its own.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Document {
    /// How node agents move the data of volumes, and of the pods that do it.
    NodeAgent,
    /// Of the pods that look after repositories.
    Maintenance,
    /// What repositories of volumes' files are made with.
    Repositories,
    /// What becomes of which volumes in a Backup.
    VolumePolicies,
}

/// When a document is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reading {
    AtStart,
    AtEachUse,
}

/// What Velero makes of other keys next to a document's own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Others {
    /// It reads them, for what a user may have put there.
    Read,
    /// It takes the document from whatever key, and from none if there are several: a node agent does not start.
    Refused,
}

impl Document {
    pub(crate) const ALL: [Self; 4] = [
        Self::NodeAgent,
        Self::Maintenance,
        Self::Repositories,
        Self::VolumePolicies,
    ];

    /// The annotation of a pod with the document that it has read.
    pub(crate) const READ: &str = "velero-operator/document";

    /// The ConfigMap's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NodeAgent => "velero-node-agent-config",
            Self::Maintenance => "velero-maintenance-config",
            Self::Repositories => "velero-repository-config",
            Self::VolumePolicies => "velero-volume-policies",
        }
    }

    /// Where in the ConfigMap it is.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::NodeAgent => "config",
            Self::Maintenance => "global",
            Self::Repositories => "kopia",
            Self::VolumePolicies => "policies",
        }
    }

    /// What else may be in the ConfigMap. Of those with single repositories' settings Velero reads other keys too.
    pub(crate) fn others(self) -> Others {
        match self {
            Self::NodeAgent | Self::VolumePolicies => Others::Refused,
            Self::Maintenance | Self::Repositories => Others::Read,
        }
    }

    /// The flag that names the ConfigMap.
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::NodeAgent => "node-agent-configmap",
            Self::Maintenance => "repo-maintenance-job-configmap",
            Self::Repositories => "backup-repository-configmap",
            Self::VolumePolicies => "global-backup-volume-policies-configmap",
        }
    }

    /// Who reads it.
    pub(crate) fn reader(self) -> Program {
        match self {
            Self::NodeAgent => Program::NodeAgent,
            Self::Maintenance | Self::Repositories | Self::VolumePolicies => Program::Server,
        }
    }

    pub(crate) fn reading(self) -> Reading {
        match self {
            Self::NodeAgent => Reading::AtStart,
            Self::Maintenance | Self::Repositories | Self::VolumePolicies => Reading::AtEachUse,
        }
    }
}
