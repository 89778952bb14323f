//! Tells Loki of what has failed. Nothing that goes wrong here fails a hook: the next one tries again.

use jiff::Timestamp;
use kube::api::ListParams;
use tracing::{info, warn};

use crate::{
    cluster::{Cluster, ClusterError},
    context::Context,
    error::Error,
    ours::failures::Failed,
    reconcile::observe::Observed,
    relations::{
        logging::{self, Line},
        topology::Topology,
    },
    velero,
};

/// So many failures at once; the next hook continues.
const AT_ONCE: usize = 10;

/// Sends what failed to every Loki that says where it is, and marks what one of them has taken.
pub(super) async fn tell(
    observed: &Observed,
    ctx: &Context,
    cluster: &Cluster,
) -> Result<(), Error> {
    let observers = &observed.observers;
    let failed = observed.backups.failed.iter().chain(&observers.failed);
    let failed: Vec<_> = failed.take(AT_ONCE).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let addresses = logging::addresses(&ctx.tools, &observers.logging).await?;
    if addresses.is_empty() {
        return Ok(());
    }
    let mut lines = Vec::new();
    for failed in &failed {
        lines.extend(lines_of(failed, ctx, cluster).await?);
    }
    let topology = Topology::of(&ctx.unit);
    let mut is_told = false;
    for address in &addresses {
        match logging::push(address, &topology, &lines).await {
            Ok(()) => is_told = true,
            Err(error) => warn!("Loki at `{address}` has not taken what failed: {error}."),
        }
    }
    if !is_told {
        return Ok(());
    }
    for Failed { kind, name, .. } in failed {
        let kind = velero::kind(kind.name());
        let mark = Failed::mark(Timestamp::now());
        cluster.merge(&kind, name, "mark", mark).await?;
        info!("Told Loki of {} `{name}`.", kind.kind);
    }
    Ok(())
}

/// Without secrets: a store's message may repeat what it was sent.
async fn lines_of(
    failed: &Failed,
    ctx: &Context,
    cluster: &Cluster,
) -> Result<Vec<Line>, ClusterError> {
    let select = ListParams::default().labels(&failed.kind.selector(&failed.name));
    let mut movers = Vec::new();
    for mover in failed.kind.movers() {
        let api = cluster.dynamic(&velero::kind(mover));
        movers.extend(cluster.list(&api, &select).await?);
    }
    let secrets = ctx.tools.secrets();
    let line = |text: String| Line {
        at: failed.at,
        text: secrets.presentable(&text),
    };
    Ok(failed.told(&movers).into_iter().map(line).collect())
}
