//! Who watches Velero from outside, and what only the cluster tells of what there is to watch.
//!
//! Of the cluster nothing is asked where nobody scrapes, nor keeps logs.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    ResourceExt as _,
    api::{DynamicObject, ListParams},
};
use tokio::try_join;

use super::patiently;
use crate::{
    cluster::{Cluster, ClusterError},
    context::Context,
    error::Error,
    juju::Leadership,
    ours::{
        alerts::{Neglected, RepositoryPassword},
        failures::{Failed, Kind},
    },
    relations::{
        dashboards, logging, metrics,
        observer::{self, Observer},
    },
    velero,
};

/// After which maintenance that has not been done is not merely late.
const NEGLECT: SignedDuration = SignedDuration::from_hours(72);

/// Who is related.
#[derive(Debug, Default)]
pub(in crate::reconcile) struct Observers {
    pub(in crate::reconcile) metrics: Vec<Observer>,
    pub(in crate::reconcile) dashboards: Vec<Observer>,
    pub(in crate::reconcile) logging: Vec<Observer>,
    pub(in crate::reconcile) watched: Watched,
    /// The Restores that nobody was told of yet, for those who keep logs.
    pub(in crate::reconcile) failed: Vec<Failed>,
}

/// What of Velero's objects somebody wants to be warned of.
#[derive(Debug, Default)]
pub(in crate::reconcile) struct Watched {
    pub(in crate::reconcile) neglected: Vec<Neglected>,
    pub(in crate::reconcile) password: RepositoryPassword,
}

impl Observers {
    /// Somebody is told of each Backup that fails, by this unit.
    pub(super) fn want_failures(&self, leadership: Leadership) -> bool {
        leadership == Leadership::Leader && !self.logging.is_empty()
    }

    pub(super) async fn read(
        ctx: &Context,
        leadership: Leadership,
        cluster: &Cluster,
    ) -> Result<Self, Error> {
        let Context { tools, unit, .. } = ctx;
        let at = |endpoint| observer::read(tools, unit, leadership, endpoint);
        let metrics = at(metrics::ENDPOINT).await?;
        let dashboards = at(dashboards::ENDPOINT).await?;
        let logging = at(logging::ENDPOINT).await?;
        let failed = match leadership {
            Leadership::Leader if !logging.is_empty() => {
                patiently(|| failed(cluster), ClusterError::is_forbidden).await?
            }
            Leadership::Leader | Leadership::Follower => Vec::new(),
        };
        let watched = match leadership {
            Leadership::Leader if !metrics.is_empty() => {
                patiently(|| Watched::read(cluster), ClusterError::is_forbidden).await?
            }
            Leadership::Leader | Leadership::Follower => Watched::default(),
        };
        Ok(Self {
            metrics,
            dashboards,
            logging,
            watched,
            failed,
        })
    }
}

/// Of Restores.
async fn failed(cluster: &Cluster) -> Result<Vec<Failed>, ClusterError> {
    let now = Timestamp::now();
    let api = cluster.dynamic(&velero::kind(Kind::Restore.name()));
    let failed = |object: DynamicObject| Failed::of(Kind::Restore, &object, now);
    cluster.sift(&api, ListParams::default(), failed).await
}

impl Watched {
    async fn read(cluster: &Cluster) -> Result<Self, ClusterError> {
        let repositories = cluster.dynamic(&velero::kind("BackupRepository"));
        let all = ListParams::default();
        let (repositories, password) = try_join!(
            cluster.list(&repositories, &all),
            cluster.read::<Secret>(velero::REPOSITORY_PASSWORD),
        )?;
        let is_known = password.as_ref().is_some_and(velero::is_built_in_password);
        let now = Timestamp::now();
        let neglected = repositories.iter();
        Ok(Self {
            neglected: neglected.filter_map(|one| neglect(one, now)).collect(),
            password: if is_known && !repositories.is_empty() {
                RepositoryPassword::Known
            } else {
                RepositoryPassword::Fine
            },
        })
    }
}

/// A repository that is used, and has not been maintained for long.
fn neglect(repository: &DynamicObject, now: Timestamp) -> Option<Neglected> {
    let text = |path| repository.data.pointer(path)?.as_str();
    if text("/status/phase") != Some("Ready") {
        return None;
    }
    let maintained = text("/status/lastMaintenanceTime").and_then(|text| text.parse().ok());
    let created = repository.metadata.creation_timestamp.as_ref();
    let since = maintained.or_else(|| created.map(|time| time.0))?;
    (now.duration_since(since) > NEGLECT).then(|| Neglected {
        repository: repository.name_any(),
        since,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn repository(status: &Value) -> DynamicObject {
        let repository = json!({
            "metadata": {"name": "shop-default-kopia", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "status": status,
        });
        serde_json::from_value(repository).unwrap()
    }

    #[test]
    fn neglect_is_of_repositories_in_use() {
        let now = "2026-01-10T00:00:00Z".parse().unwrap();
        let since =
            |status: &Value| neglect(&repository(status), now).map(|one| one.since.to_string());

        let old = json!({"phase": "Ready", "lastMaintenanceTime": "2026-01-05T00:00:00Z"});
        assert_eq!(since(&old).as_deref(), Some("2026-01-05T00:00:00Z"));
        let never = json!({"phase": "Ready"});
        assert_eq!(since(&never).as_deref(), Some("2026-01-01T00:00:00Z"));
        let fresh = json!({"phase": "Ready", "lastMaintenanceTime": "2026-01-09T00:00:00Z"});
        assert_eq!(since(&fresh), None);
        let broken = json!({"phase": "NotReady", "lastMaintenanceTime": "2026-01-05T00:00:00Z"});
        assert_eq!(since(&broken), None);
    }
}
