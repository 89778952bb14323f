//! Between plan and apply: what would fail work in flight is put off, and what it still needs is kept.
//!
//! **Invariant:** whether somebody works is told by running containers, never by health: a server that is
//! on its way in or out, or beside a dead one, works all the same.

use futures::future::try_join_all;
use jiff::Timestamp;
use kube::{ResourceExt as _, api::ListParams};
use tracing::{debug, info};

use super::{Error, assess, plan::Plan};
use crate::{
    cluster::{Cluster, ClusterError, follow::Running},
    velero::{self, work},
};

/// Puts off what would fail work in flight; names that work.
pub(super) async fn hold(
    plan: &mut Plan,
    running: &Running,
    cluster: &Cluster,
) -> Result<Vec<String>, Error> {
    let works = |label| assess::has_running_container(&running.pods, label);
    if plan.drops_credentials()
        && [velero::SERVER_PODS, velero::NODE_AGENT_PODS]
            .into_iter()
            .any(works)
    {
        keep_what_is_in_use(plan, cluster).await?;
    }
    if !plan.interrupts() {
        return Ok(Vec::new());
    }
    let mut busy = Vec::new();
    if works(velero::SERVER_PODS) {
        busy = in_flight(&work::OF_THE_SERVER, cluster).await?;
    }
    // As a rule they belong to a Backup or Restore, which is what a user knows.
    if busy.is_empty() && plan.ends_node_agents() && works(velero::NODE_AGENT_PODS) {
        busy = in_flight(&work::OF_THE_NODE_AGENT, cluster).await?;
    }
    if !busy.is_empty() {
        let all = busy.join(", ");
        info!("A change that restarts Velero waits for {all}.");
        plan.put_off_interruptions(running.server());
    }
    Ok(busy)
}

/// Whoever began with a credential asks for it by name until the end. A former one goes in a later hook.
async fn keep_what_is_in_use(plan: &mut Plan, cluster: &Cluster) -> Result<(), ClusterError> {
    let mut users = in_flight(&work::OF_THE_SERVER, cluster).await?;
    users.extend(in_flight(&work::OF_THE_NODE_AGENT, cluster).await?);
    if !users.is_empty() {
        debug!("The former credential stays for {}.", users.join(", "));
        plan.keep_credentials();
    }
    Ok(())
}

/// ``Kind `name` `` of each that is in flight.
async fn in_flight(kinds: &[&str], cluster: &Cluster) -> Result<Vec<String>, ClusterError> {
    let of_kind = async |kind: &&str| {
        let api = cluster.dynamic(&velero::kind(kind));
        let mut found = cluster.list(&api, &ListParams::default()).await?;
        found.retain(|object| work::is_in_flight(object, Timestamp::now()));
        let names = found
            .iter()
            .map(|object| format!("{kind} `{}`", object.name_any()));
        Ok::<_, ClusterError>(names.collect::<Vec<_>>())
    };
    let all = try_join_all(kinds.iter().map(of_kind)).await?;
    Ok(all.into_iter().flatten().collect())
}
