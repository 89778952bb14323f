//! What of the Backups that are no longer kept is deleted now.
//!
//! None that a Restore is from, since Velero deletes it with its Backup; and none of which Velero was asked before: it
//! forgets a request that failed after a day, and is asked again then.

use tracing::info;

use crate::{
    cluster::{Cluster, ClusterError},
    reconcile::plan::Surplus,
    velero::{
        deletion::{Request, requests},
        location::plain_message,
        restore::{Unfinished, unfinished},
    },
};

/// As many are being deleted at once. Velero deletes one after the other.
const AT_ONCE: usize = 20;

/// What is deleted, and what could not be.
#[derive(Debug, Default)]
pub(super) struct Spared {
    pub(super) surplus: Vec<Surplus>,
    pub(super) undeleted: Vec<Undeleted>,
}

/// A Backup that is there against the rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::reconcile) struct Undeleted {
    pub(in crate::reconcile) backup: String,
    /// In Velero's words, without what differs at every try.
    pub(in crate::reconcile) why: String,
}

/// Asks for nothing where nothing is to be deleted.
pub(super) async fn spare(surplus: &[Surplus], cluster: &Cluster) -> Result<Spared, ClusterError> {
    if surplus.is_empty() {
        return Ok(Spared::default());
    }
    let (restores, requests) = tokio::try_join!(unfinished(cluster), requests(cluster))?;
    Ok(spared(surplus, &restores, &requests))
}

fn spared(surplus: &[Surplus], restores: &[Unfinished], requests: &[Request]) -> Spared {
    let mut spared = Spared::default();
    let in_use = |one: &Surplus| {
        let is_from = |restore: &Unfinished| {
            restore.is_from(&one.backup) || restore.is_from_any_of(&one.schedule)
        };
        restores.iter().any(is_from)
    };
    for one in surplus {
        let mut asked = requests
            .iter()
            .filter(|request| request.is_for(&one.backup, &one.uid));
        match asked.next() {
            Some(request) if request.status.is_open() => {}
            Some(request) => spared.undeleted.push(Undeleted {
                backup: one.backup.clone(),
                why: why(request),
            }),
            None if in_use(one) => {}
            None => spared.surplus.push(one.clone()),
        }
    }
    let open = requests
        .iter()
        .filter(|request| request.status.is_open())
        .count();
    let number = spared.surplus.len();
    spared.surplus.truncate(AT_ONCE.saturating_sub(open));
    let now = spared.surplus.len();
    if now > 0 && now < number {
        info!(
            "{number} Backups are no longer kept: {now} of them go now, the others in later hooks."
        );
    }
    spared
}

/// The same at every try.
fn why(request: &Request) -> String {
    let errors = request
        .status
        .errors()
        .iter()
        .map(|error| plain_message(error));
    errors.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;
