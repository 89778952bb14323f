//! Eighth stage: what Backups that have ended hold of volumes is found out and written down, once for each.
//!
//! It comes after settling, since nothing waits for it, and fails no hook: what was not found out is left to the next.
//! Where nothing has ended, one question is asked, whose answer is empty.

use jiff::{SignedDuration, Timestamp};
use kube::api::ListParams;
use tokio::time::{Duration, timeout};
use tracing::{debug, info, warn};

use crate::{
    cluster::{Cluster, ClusterError},
    context::{Context, Role},
    error::Error,
    velero::{self, job::Light},
    volumes::{
        note::{LOOKED_AT, Note},
        read::report,
    },
};

/// As many are looked at in one hook.
const AT_ONCE: u32 = 20;
/// It takes no longer than this.
const LONGEST: Duration = Duration::from_secs(10);
/// The pods and claims that are there now say nothing of what a Backup met that ended before.
const RECENT: SignedDuration = SignedDuration::from_hours(1);

/// What can be known of a Backup's volumes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Known {
    /// Velero is still at work.
    Later,
    ByLooking,
    /// Too long ago, not from here, or there is nothing in the store.
    Never,
}

/// Looks at some, if this unit may write.
pub(super) async fn inspect(role: Role, ctx: &Context, cluster: &Cluster) -> Result<(), Error> {
    if role != Role::Leads {
        return Ok(());
    }
    match timeout(LONGEST, look(ctx, cluster)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!("What Backups hold of volumes is left to the next hook: {error}."),
        Err(_) => debug!("What Backups hold of volumes is left to the next hook: it takes long."),
    }
    Ok(())
}

async fn look(ctx: &Context, cluster: &Cluster) -> Result<(), ClusterError> {
    let kind = velero::kind("Backup");
    let select = ListParams::default().labels(&format!("!{LOOKED_AT}"));
    // Many wait for it once, after an upgrade; they need not all be read in each hook.
    let some: Vec<Light> = cluster.first(&kind, select.limit(AT_ONCE)).await?;
    for backup in some {
        let name = &backup.metadata.name;
        let report = match known(&backup, Timestamp::now()) {
            Known::Later => continue,
            Known::ByLooking => report(cluster, name).await?,
            Known::Never => None,
        };
        if let Some(warning) = report
            .as_ref()
            .and_then(|one| one.warning(&ctx.unit.application))
        {
            warn!("{}", warning.replace('\n', " "));
        }
        let note = report.as_ref().map(Note::from);
        cluster
            .merge(&kind, name, "annotate", Note::metadata(note.as_ref()))
            .await?;
        if let Some(note) = note {
            info!("Backup `{name}` holds the data of {} volumes.", note.saved);
        }
    }
    Ok(())
}

fn known(backup: &Light, now: Timestamp) -> Known {
    let status = &backup.status;
    if !status.has_ended() {
        return Known::Later;
    }
    let Some(ended) = status.ended().filter(|_| status.is_restorable()) else {
        return Known::Never;
    };
    let made = backup.metadata.created();
    let is_from_here = made.is_some_and(|made| made <= ended);
    if is_from_here && now.duration_since(ended) < RECENT {
        Known::ByLooking
    } else {
        Known::Never
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn knowledge(made: &str, status: &Value) -> Known {
        let backup = json!({"metadata": {"name": "x", "creationTimestamp": made}, "spec": {}, "status": status});
        known(
            &from_value(backup).unwrap(),
            "2026-11-28T12:00:00Z".parse().unwrap(),
        )
    }

    #[test]
    fn only_what_ended_here_and_lately_is_looked_at() {
        let ended = |phase: &str, at: &str| json!({"phase": phase, "completionTimestamp": at});
        let (early, noon) = ("2026-11-28T09:00:00Z", "2026-11-28T11:59:00Z");
        for phase in ["Completed", "PartiallyFailed"] {
            assert_eq!(knowledge(early, &ended(phase, noon)), Known::ByLooking);
        }
        assert_eq!(
            knowledge(early, &json!({"phase": "InProgress"})),
            Known::Later
        );
        assert_eq!(knowledge(early, &json!({})), Known::Later);
        assert_eq!(knowledge(early, &ended("Failed", noon)), Known::Never);
        assert_eq!(
            knowledge(early, &ended("Completed", "2026-11-28T10:00:00Z")),
            Known::Never
        );
        assert_eq!(
            knowledge(noon, &ended("Completed", "2026-11-28T11:30:00Z")),
            Known::Never,
            "it came from the store"
        );
        assert_eq!(
            knowledge(early, &json!({"phase": "Completed"})),
            Known::Never
        );
    }
}
