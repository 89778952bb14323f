//! Objects that have to go, as a plan names them.

use tracing::info;

use super::{Cluster, ClusterError, Kind};

/// One or more objects that have to go.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Deletion {
    pub(crate) kind: Kind,
    pub(crate) what: Selection,
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
        }
    }

    pub(crate) fn labelled(kind: Kind, labels: impl Into<String>) -> Self {
        Self {
            kind,
            what: Selection::Labelled(labels.into()),
        }
    }
}

impl Cluster {
    /// Deletes what is there of it.
    pub(crate) async fn carry_out(&self, deletion: &Deletion) -> Result<(), ClusterError> {
        let Deletion { kind, what } = deletion;
        match what {
            Selection::Named(name) => {
                self.delete(kind, name).await?;
                info!("Deleted {} `{name}`.", kind.kind);
                Ok(())
            }
            Selection::Labelled(labels) => self.delete_all(kind, labels).await,
        }
    }
}
