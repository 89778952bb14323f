//! Asks Velero to delete Backups that are no longer kept. Nothing waits for it: the next hook sees what is left.

use tracing::info;

use crate::{
    cluster::{Cluster, ClusterError},
    reconcile::plan::Surplus,
    velero::deletion,
};

pub(super) async fn delete(all: &[Surplus], cluster: &Cluster) -> Result<(), ClusterError> {
    for one in all {
        let Surplus {
            backup,
            uid,
            schedule,
            rule,
            ..
        } = one;
        // Said first: what is deleted is gone from the store too.
        info!(
            "Velero is asked to delete Backup `{backup}` of Schedule `{schedule}`, which `keep` (`{rule}`) no longer \
             keeps."
        );
        // The same name each time: a hook that was killed, or another that asks at this moment, has asked.
        let name = format!("{backup}-not-kept");
        let request = deletion::request(&name, backup, uid, cluster.namespace());
        match cluster.create(&request).await {
            Err(error) if error.is_conflict() => {}
            outcome => drop(outcome?),
        }
    }
    Ok(())
}
