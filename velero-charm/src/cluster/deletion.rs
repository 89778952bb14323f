//! Objects that have to go, as a plan names them.

use kube::api::{DeleteParams, PropagationPolicy};
use tracing::info;

use super::{Cluster, ClusterError, Kind};

/// One or more objects that have to go.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Deletion {
    pub(crate) kind: Kind,
    pub(crate) what: Selection,
    pub(crate) dependents: Dependents,
}

/// What becomes of objects that the one that goes owns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Dependents {
    Go,
    Stay,
}

/// Which objects of a kind.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Selection {
    Named(String),
    Labelled(String),
}

impl Deletion {
    pub(crate) fn named(kind: Kind, name: impl Into<String>) -> Self {
        Self {
            kind,
            what: Selection::Named(name.into()),
            dependents: Dependents::Go,
        }
    }

    /// The same, of one whose dependents are worth more than it.
    pub(crate) fn sparing_dependents(kind: Kind, name: impl Into<String>) -> Self {
        Self {
            dependents: Dependents::Stay,
            ..Self::named(kind, name)
        }
    }

    pub(crate) fn labelled(kind: Kind, labels: impl Into<String>) -> Self {
        Self {
            kind,
            what: Selection::Labelled(labels.into()),
            dependents: Dependents::Go,
        }
    }
}

impl Dependents {
    fn parameters(self) -> DeleteParams {
        let policy = match self {
            Self::Go => PropagationPolicy::Background,
            Self::Stay => PropagationPolicy::Orphan,
        };
        DeleteParams {
            propagation_policy: Some(policy),
            ..DeleteParams::default()
        }
    }
}

impl Cluster {
    /// Deletes what is there of it.
    pub(crate) async fn carry_out(&self, deletion: &Deletion) -> Result<(), ClusterError> {
        let Deletion {
            kind,
            what,
            dependents,
        } = deletion;
        match what {
            Selection::Named(name) => {
                self.delete_with(kind, name, &dependents.parameters())
                    .await?;
                info!("Deleted {} `{name}`.", kind.kind);
                Ok(())
            }
            Selection::Labelled(labels) => self.delete_all(kind, labels).await,
        }
    }
}
