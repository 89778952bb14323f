//! CRDs, which are the cluster's: newer ones are left alone, the others are brought up to ours.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{ResourceExt as _, api::DynamicObject};
use tokio::time::Instant;
use tracing::info;

use crate::{
    cluster::{Cluster, ClusterError, Kind, follow::until_none, managers::Former},
    error::Error,
    ours::{self, record::Seen},
    reconcile::{adopt, plan::Install},
    velero::{self, definitions},
};

/// Applies the CRDs that are due; tells which are left alone for being newer than ours.
pub(super) async fn define(
    definitions: &[DynamicObject],
    install: &Install,
    cluster: &Cluster,
    deadline: Instant,
) -> Result<BTreeMap<String, Seen>, Error> {
    let mut newer = install.newer_definitions.clone();
    let mut applied = 0;
    for ours in definitions {
        let name = ours.name_any();
        if install.current_definitions.contains(&name) {
            continue;
        }
        let defined = match define_one(ours, cluster).await {
            // They are the cluster's: another Velero may be installed at the same time.
            Err(error) if error.is_conflict() => define_one(ours, cluster).await?,
            outcome => outcome?,
        };
        match defined {
            Defined::Applied => {
                newer.remove(&name);
                applied += 1;
            }
            Defined::Newer(seen) => {
                info!("CustomResourceDefinition `{name}` is of a later Velero and stays as it is.");
                newer.extend(seen.map(|seen| (name, seen)));
            }
        }
    }
    if applied > 0 {
        info!("Applied {applied} CustomResourceDefinitions.");
        established(cluster, deadline).await?;
    }
    Ok(newer)
}

/// What has become of a CRD.
enum Defined {
    Applied,
    /// It stays, as it is newer than ours.
    Newer(Option<Seen>),
}

async fn define_one(ours: &DynamicObject, cluster: &Cluster) -> Result<Defined, ClusterError> {
    let name = ours.name_any();
    let Some(live) = cluster.get(&Kind::of_object(ours), &name).await? else {
        cluster.create(ours).await?;
        return Ok(Defined::Applied);
    };
    if definitions::is_newer(&live, ours) {
        return Ok(Defined::Newer(Seen::of(&live)));
    }
    take_over(&live, cluster).await?;
    let uid = live.uid().unwrap_or_default();
    cluster.apply(ours, &uid).await?;
    Ok(Defined::Applied)
}

/// Makes it ours as far as a former charm owned it, and nothing that Juju sweeps.
async fn take_over(live: &DynamicObject, cluster: &Cluster) -> Result<(), ClusterError> {
    // First of all: as long as a definition lacks it, Juju puts its labels back with every write.
    let (label, value) = ours::SKIP_JUJU_WEBHOOK;
    let unswept = BTreeMap::from([(label.into(), value.into())]);
    // Else fields that our version has no more would stay.
    let former = Former::of(&adopt::MANAGERS);
    cluster.take_over(live, &former, &unswept).await?;
    // One of them is used by others too, and alone says nothing about Juju.
    if live.labels().contains_key(ours::JUJU_OWNERSHIP_LABELS[0]) {
        cluster.take_off(live, &ours::JUJU_OWNERSHIP_LABELS).await?;
    }
    Ok(())
}

/// Waits until the API server serves all of Velero's kinds.
async fn established(cluster: &Cluster, deadline: Instant) -> Result<(), ClusterError> {
    let api = cluster.all::<CustomResourceDefinition>();
    let is_missing = |crd: &CustomResourceDefinition| !is_established(crd);
    let missing = until_none(&api, velero::COMPONENT, deadline, is_missing).await?;
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.into_iter().collect::<Vec<_>>().join("`, `");
    Err(ClusterError::silent(format!("establish `{missing}`")))
}

fn is_established(crd: &CustomResourceDefinition) -> bool {
    let conditions = crd
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|c| c.type_ == "Established" && c.status == "True")
}
