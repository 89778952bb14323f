//! Between plan and apply: what would fail work in flight is put off, and what it still needs is kept.
//!
//! **Invariant:** whether somebody works is told by running containers, never by health: a server that is
//! starting or stopping, or next to a dead one, may still be working.

use futures::future::try_join_all;
use jiff::Timestamp;
use kube::{ResourceExt as _, api::ListParams};
use tracing::{debug, info};

use super::{Error, assess, plan::Plan};
use crate::{
    cluster::{Cluster, ClusterError},
    velero::{self, running::Running, work},
};

/// Puts off what would fail work in flight, and keeps the credentials that it began with; names the work that a
/// change waits for.
pub(super) async fn hold(
    plan: &mut Plan,
    running: &Running,
    cluster: &Cluster,
) -> Result<Vec<String>, Error> {
    if !plan.interrupts() && !plan.drops_credentials() {
        return Ok(Vec::new());
    }
    let works = |label| assess::has_running_container(&running.pods, label);
    let mut of_server = Vec::new();
    if works(velero::SERVER_PODS) {
        of_server = in_flight(&work::OF_THE_SERVER, cluster).await?;
    }
    // As a rule it belongs to a Backup or Restore, which is what a user knows.
    let concerns_agents = plan.ends_node_agents() || plan.drops_credentials();
    let mut of_agents = Vec::new();
    if of_server.is_empty() && concerns_agents && works(velero::NODE_AGENT_PODS) {
        of_agents = in_flight(&work::OF_THE_NODE_AGENT, cluster).await?;
    }
    // Work asks for its credential by name until the end. A former one goes in a later hook.
    if plan.drops_credentials() && !(of_server.is_empty() && of_agents.is_empty()) {
        let all = [of_server.as_slice(), &of_agents].concat().join(", ");
        debug!("The former credential stays for {all}.");
        plan.keep_credentials();
    }
    let mut busy = of_server;
    if plan.ends_node_agents() {
        busy.extend(of_agents);
    }
    if !plan.interrupts() || busy.is_empty() {
        return Ok(Vec::new());
    }
    info!(
        "A change that restarts Velero waits for {}.",
        busy.join(", ")
    );
    plan.put_off_interruptions(running.server());
    Ok(busy)
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
