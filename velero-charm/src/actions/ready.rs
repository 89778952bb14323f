//! What has to be there before an action does anything.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;

use super::Failure;
use crate::{
    cluster::{Cluster, ClusterError},
    context::Context,
    error::Error,
    ours::credential,
    reconcile::{report, trust},
    velero,
};

/// A cluster with a store that Velero uses; nothing that its secrets hold leaves from now on.
pub(super) async fn ready(ctx: &Context) -> Result<Cluster, Failure> {
    let cluster = Cluster::connect().map_err(Error::from)?;
    storage_is_configured(&cluster, ctx).await?;
    // Velero may say what a store has repeated of them.
    let secrets = credential::read(&cluster, &ctx.owner).await?;
    ctx.keep_credentials(&secrets);
    let password = cluster.read::<Secret>(velero::REPOSITORY_PASSWORD).await?;
    ctx.keep_credentials(password.as_slice());
    Ok(cluster)
}

/// Without a location of ours, Velero would only fail in words that help nobody.
async fn storage_is_configured(cluster: &Cluster, ctx: &Context) -> Result<(), Failure> {
    let kind = velero::kind("BackupStorageLocation");
    let read = || cluster.get(&kind, velero::LOCATION);
    let live = trust::patiently(read, ClusterError::is_forbidden).await?;
    match live {
        // One of somebody else's belongs to their Velero.
        Some(location)
            if location.metadata.deletion_timestamp.is_none() && ctx.owner.made(&location) =>
        {
            tracing::debug!("Using location `{}`.", location.name_any());
            Ok(())
        }
        _ => {
            let clause = report::no_store(&ctx.registry, &ctx.unit.application);
            Err(Failure::Refused(clause.to_string()))
        }
    }
}
