//! What ends a hook early, and in which stage.

use std::fmt;

use provider_api::RegistryError;

use crate::{
    cluster::ClusterError,
    juju::JujuError,
    stranger::{self, Stranger},
    velero::cli::CliError,
};

/// Why something could not be finished.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the charm may not read the cluster")]
    NotTrusted,
    #[error("in the way: {}", stranger::places(.0))]
    Foreign(Vec<Stranger>),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Cli(#[from] CliError),
    #[error("out of time")]
    Deadline,
    #[error(transparent)]
    Juju(#[from] JujuError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("internal: {0}")]
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

/// The stages of a hook in which something can fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stage {
    Observe,
    Adopt,
    Hold,
    Apply,
    Settle,
    Inspect,
    Report,
    /// The way out, which is a stage of its own.
    Remove,
}

/// An error, and the stage in which it arose.
#[derive(Debug, thiserror::Error)]
#[error("{stage}: {cause}")]
pub(crate) struct StageError {
    pub(crate) stage: Stage,
    pub(crate) cause: Error,
}

impl Error {
    pub(crate) fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(source.into())
    }

    /// The cluster refuses what it grants to a trusted charm.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::NotTrusted => true,
            Self::Cluster(error) => error.is_forbidden(),
            _ => false,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Observe => "observe",
            Self::Adopt => "adopt",
            Self::Hold => "hold",
            Self::Apply => "apply",
            Self::Settle => "settle",
            Self::Inspect => "inspect",
            Self::Report => "report",
            Self::Remove => "remove",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stage_error_names_its_stage_first() {
        let error = StageError {
            stage: Stage::Apply,
            cause: Error::Deadline,
        };
        assert_eq!(error.to_string(), "apply: out of time");
    }
}
