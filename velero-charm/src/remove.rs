//! The way out: the application is being removed.
//!
//! The order cannot hang and cannot reach into the object store: locations go before Restores, and Restores before the
//! server that must clear their finalizers. Without our label only that goes which belongs to a Velero of ours alone, and of
//! the cluster's only the CRDs that are ours by name. Every wait is bounded, and the hook fails only if Juju does not
//! tell who stays, since a failing `remove` holds the application. Where Juju has forgotten the unit, nobody knows who
//! stays, and nothing is taken away.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment},
        core::v1::{ConfigMap, Pod, Secret, Service, ServiceAccount},
        rbac::v1::ClusterRoleBinding,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, NotUsed, Object},
    core::PartialObjectMeta,
};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::{
    cluster::{
        Cluster, ClusterError, Kind, deletion::Deletion, follow::until_none, present, those,
    },
    context::Context,
    error::Error,
    ours::Owner,
    reconcile::{
        adopt::{self, Search, Standing},
        observe::{Live, definitions},
        report::{self, Undertaking},
        strangers::{self, Scope},
    },
    stranger::{self, Stranger},
    velero::{self, CUSTOM_RESOURCES, install::NodeAgent},
};

/// Restores are let go in tenths of a second; a dead server never does it.
const RESTORES: Duration = Duration::from_secs(5);
/// A server that is in the middle of a Backup takes half a minute to stop.
const PODS: Duration = Duration::from_mins(1);

/// As a rule it takes a tenth of a second.
const DEFINITIONS: Duration = Duration::from_secs(10);

/// No later hook continues a removal, so errors that may pass are waited out this long from the first one on, however
/// long what went before has taken.
const SICKNESS: Duration = Duration::from_secs(30);
/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// Whose the Velero objects in the namespace are.
enum Tenancy {
    /// All of them are ours, and what users have made with our Velero.
    Alone(Box<Live>),
    /// Ours are those with our label; these are not.
    Shared(Vec<Stranger>),
    /// We have none.
    Nothing,
}

/// Whether all of what was waited for is gone.
enum Gone {
    Yes,
    No,
}

/// Takes away what the application made, if no unit of it stays.
pub(crate) async fn remove(ctx: &Context) -> Result<(), Error> {
    let Some(goal) = ctx.tools.goal_state(&ctx.unit.name).await? else {
        warn!(
            "Juju has forgotten this unit, so that other units may need Velero: it stays. If none does, \
             deploy `{}` once more and remove it without `--force`.",
            ctx.unit.application
        );
        return Ok(());
    };
    if goal.has_other_survivor(&ctx.unit.name) {
        info!("Another unit stays: Velero stays too.");
        return Ok(());
    }
    if let Err(error) = report::announce(Undertaking::Remove, ctx).await {
        warn!("{error}");
    }
    if let Err(error) = outlast(SICKNESS, async || remove_once(ctx).await).await {
        warn!(
            "{error}. What is left goes with the namespace, but for the role binding; or delete it with \
             `kubectl delete all,secret,configmap,serviceaccount,clusterrolebinding -A -l {}`.",
            ctx.owner.selector()
        );
    }
    Ok(())
}

/// Each attempt starts over; what is already gone stays gone.
async fn outlast(
    sickness: Duration,
    attempt: impl AsyncFn() -> Result<(), Error>,
) -> Result<(), Error> {
    let mut deadline = None;
    loop {
        let error = match attempt().await {
            Err(Error::Cluster(error)) if error.is_retryable() => error,
            outcome => return outcome,
        };
        let now = Instant::now();
        if now >= *deadline.get_or_insert(now + sickness) {
            return Err(error.into());
        }
        info!("{error}; trying again.");
        sleep(PAUSE).await;
    }
}

async fn remove_once(ctx: &Context) -> Result<(), Error> {
    let cluster = Cluster::connect()?;
    match tenancy(ctx, &cluster).await? {
        Tenancy::Alone(live) => {
            custom_resources_that_act(&cluster).await?;
            unlabelled(&live, ctx, &cluster).await?;
            workloads(ctx, &cluster).await?;
            remaining_custom_resources(&cluster).await?;
            repository_password(&cluster).await?;
        }
        Tenancy::Shared(others) => {
            warn!(
                "All Schedules, Backups, Restores and locations that this application has not made stay, for \
                 others are here: {}.",
                stranger::places(&others)
            );
            labelled(ctx, &cluster).await?;
        }
        // Somebody may have deleted what shows that there was more.
        Tenancy::Nothing => labelled(ctx, &cluster).await?,
    }
    belongings(ctx, &cluster).await?;
    unused_definitions(ctx, &cluster).await?;
    info!("Velero is removed; the backups in the object store are untouched.");
    Ok(())
}

/// Who has objects of Velero's in the namespace.
async fn tenancy(ctx: &Context, cluster: &Cluster) -> Result<Tenancy, Error> {
    let live = Live::read(cluster, &ctx.owner).await?;
    // What is called like the agent is deleted by its label alone, and so in nobody's way.
    let (agent, search) = (NodeAgent::Off, Search::Thorough);
    match adopt::standing(&live, agent, search, cluster, &ctx.owner).await? {
        Standing::Ours if live.running.server().is_some() || live.record.is_some() => {
            Ok(Tenancy::Alone(Box::new(live)))
        }
        Standing::Ours => Ok(Tenancy::Nothing),
        Standing::Foreign(others) => Ok(Tenancy::Shared(others)),
        Standing::PreviousCharms(objects) => {
            // Whatever it is, it goes.
            adopt::take_over(objects, BTreeSet::new(), cluster, &ctx.owner).await?;
            Ok(Tenancy::Alone(Box::new(live)))
        }
    }
}

/// What carries our label and nobody else's work hangs on.
async fn labelled(ctx: &Context, cluster: &Cluster) -> Result<(), Error> {
    let kind = velero::kind("Schedule");
    let schedules = cluster.dynamic(&kind);
    let name = |schedule: PartialObjectMeta<_>| Some(schedule.name_any());
    let ours = ctx.owner.selector();
    for name in cluster
        .sift_metadata(&schedules, &kind.kind, &ours, name)
        .await?
    {
        velero::schedule::disown(cluster, &name).await?;
        let schedule = Deletion::sparing_dependents(kind.clone(), name);
        cluster.carry_out(&schedule).await?;
    }
    for kind in ["BackupStorageLocation", "VolumeSnapshotLocation"] {
        delete_ours(&velero::kind(kind), ctx, cluster).await?;
    }
    for kind in [Kind::of::<Deployment>(), Kind::of::<DaemonSet>()] {
        delete_ours(&kind, ctx, cluster).await?;
    }
    Ok(())
}

/// What we have made and somebody took our label off.
async fn unlabelled(live: &Live, ctx: &Context, cluster: &Cluster) -> Result<(), Error> {
    fn lost<K: kube::ResourceExt>(object: Option<&K>, owner: &Owner) -> Option<String> {
        let object = object.filter(|one| owner.made(*one) && !owner.owns(*one))?;
        Some(object.name_any())
    }
    let (owner, running) = (&ctx.owner, &live.running);
    for (kind, name) in [
        (Kind::of::<Deployment>(), lost(running.server(), owner)),
        (Kind::of::<DaemonSet>(), lost(running.node_agent(), owner)),
        (
            Kind::of::<ServiceAccount>(),
            lost(live.account.as_ref(), owner),
        ),
        (Kind::of::<ConfigMap>(), lost(live.record.as_ref(), owner)),
        (Kind::of::<Service>(), lost(live.metrics.as_ref(), owner)),
    ] {
        if let Some(name) = name {
            cluster.delete(&kind, &name).await?;
        }
    }
    Ok(())
}

async fn workloads(ctx: &Context, cluster: &Cluster) -> Result<(), Error> {
    for kind in [Kind::of::<Deployment>(), Kind::of::<DaemonSet>()] {
        delete_ours(&kind, ctx, cluster).await?;
    }
    let pods = cluster.api::<Pod>();
    for label in [velero::SERVER_PODS, velero::NODE_AGENT_PODS] {
        let label = format!("{},{label}", velero::COMPONENT);
        if let Gone::No = gone(&pods, &label, Instant::now() + PODS).await? {
            warn!("Pods of `{label}` have not ended yet.");
        }
    }
    Ok(())
}

/// What gives Velero its rights and its credentials goes last.
async fn belongings(ctx: &Context, cluster: &Cluster) -> Result<(), Error> {
    for kind in [
        Kind::of::<Secret>(),
        Kind::of::<ConfigMap>(),
        Kind::of::<Service>(),
        Kind::of::<ServiceAccount>(),
        Kind::of::<ClusterRoleBinding>(),
    ] {
        delete_ours(&kind, ctx, cluster).await?;
    }
    Ok(())
}

async fn delete_ours(kind: &Kind, ctx: &Context, cluster: &Cluster) -> Result<(), Error> {
    Ok(cluster.delete_all(kind, &ctx.owner.selector()).await?)
}

/// The CRDs go if no Velero is left in any namespace, nor anything of one.
async fn unused_definitions(ctx: &Context, cluster: &Cluster) -> Result<(), Error> {
    let definitions = cluster.specs::<CustomResourceDefinition, Versions>();
    let names = velero::definition_names();
    let is_veleros = |one: &Definition| names.contains_key(&one.name_any());
    for definition in cluster
        .sift(&definitions, ListParams::default(), those(is_veleros))
        .await?
    {
        if let Some(why) = use_of(&definition, cluster).await? {
            info!("The CustomResourceDefinitions stay: {why}.");
            return Ok(());
        }
    }
    let others = strangers::search(Scope::Cluster, cluster, &ctx.owner).await?;
    if !others.is_empty() {
        let others = stranger::places(&others);
        info!("The CustomResourceDefinitions stay, for others need them: {others}.");
        return Ok(());
    }
    delete_definitions(cluster).await
}

/// What of a CRD tells how to ask for its objects.
#[derive(Clone, Debug, Deserialize)]
struct Versions {
    versions: Vec<Served>,
}

#[derive(Clone, Debug, Deserialize)]
struct Served {
    name: String,
    served: bool,
}

type Definition = Object<Versions, NotUsed>;

/// Why objects would go with one of the CRDs. They are asked for in a version that it serves, since in another
/// there seem to be none.
async fn use_of(definition: &Definition, cluster: &Cluster) -> Result<Option<String>, Error> {
    let name = definition.name_any();
    let mut versions = definition.spec.versions.iter();
    let version = versions.find(|version| version.served);
    let kind = version.and_then(|version| velero::kind_defined_by(&name, &version.name));
    let Some(kind) = kind else {
        return Ok(Some(format!("`{name}` serves no version to look by")));
    };
    let one = ListParams::default().limit(1);
    let left = cluster.list(&cluster.everywhere(&kind), &one).await?;
    Ok(left.first().map(|object| {
        let namespace = object.namespace().unwrap_or_default();
        let (kind, name) = (&kind.kind, object.name_any());
        format!("namespace `{namespace}` uses them ({kind} `{name}`)")
    }))
}

/// Those of the bundled Velero, by name.
async fn delete_definitions(cluster: &Cluster) -> Result<(), Error> {
    let crd = Kind::of::<CustomResourceDefinition>();
    let ours = definitions(cluster).await?;
    for name in ours.keys() {
        cluster.delete(&crd, name).await?;
    }
    // The API server deletes them one after the other; a Velero that is installed next must not find one that is
    // being deleted.
    let going = |crd: &CustomResourceDefinition| {
        crd.metadata.deletion_timestamp.is_some() && ours.contains_key(&crd.name_any())
    };
    let deadline = Instant::now() + DEFINITIONS;
    let left = until_none(&cluster.all(), velero::COMPONENT, deadline, going).await?;
    if let Some(name) = left.first() {
        info!("The CustomResourceDefinition `{name}` has not gone yet.");
    }
    Ok(())
}

/// Schedules could start a Backup, and Restores would be deleted from the bucket through a location.
async fn custom_resources_that_act(cluster: &Cluster) -> Result<(), Error> {
    for kind in [
        "Schedule",
        "BackupStorageLocation",
        "VolumeSnapshotLocation",
        "Restore",
    ] {
        cluster.delete_all(&velero::kind(kind), "").await?;
    }
    let restores = cluster.dynamic(&velero::kind("Restore"));
    if let Ok(Gone::No) = gone(&restores, "", Instant::now() + RESTORES).await {
        info!("The Velero server does not let go of its Restores: they are let go for it.");
    }
    Ok(())
}

/// Nobody is left to clear a finalizer.
async fn remaining_custom_resources(cluster: &Cluster) -> Result<(), Error> {
    for (_, kind) in CUSTOM_RESOURCES {
        let kind = velero::kind(kind);
        cluster.delete_all(&kind, "").await?;
        let api = cluster.dynamic(&kind);
        let held = |object: PartialObjectMeta<_>| {
            (!object.finalizers().is_empty()).then(|| object.name_any())
        };
        for name in cluster.sift_metadata(&api, &kind.kind, "", held).await? {
            let none = json!({"metadata": {"finalizers": null}});
            present(cluster.merge(&kind, &name, "let go of", none).await)?;
        }
    }
    Ok(())
}

/// Velero's own Secret, with the key to the files of volumes that are in the store.
async fn repository_password(cluster: &Cluster) -> Result<(), Error> {
    let name = velero::REPOSITORY_PASSWORD;
    let Some(secret) = cluster.read::<Secret>(name).await? else {
        return Ok(());
    };
    if velero::is_built_in_password(&secret) {
        cluster.delete(&Kind::of::<Secret>(), name).await?;
    } else {
        warn!(
            "Secret `{name}` in namespace `{}` stays: without it no volume's files can be restored.",
            cluster.namespace()
        );
    }
    Ok(())
}

/// Waits until no object with the label is there.
async fn gone<K>(api: &Api<K>, label: &str, deadline: Instant) -> Result<Gone, ClusterError>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug + kube::ResourceExt,
{
    let left = present(until_none(api, label, deadline, |_| true).await)?;
    Ok(if left.is_none_or(|left| left.is_empty()) {
        Gone::Yes
    } else {
        Gone::No
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const BRIEF: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn first_error_after_long_work_is_waited_out() {
        let tries = Cell::new(0);
        let outcome = outlast(BRIEF, async || {
            tries.set(tries.get() + 1);
            if tries.get() > 1 {
                return Ok(());
            }
            sleep(BRIEF * 2).await;
            Err(ClusterError::silent("delete Backups").into())
        })
        .await;
        assert!(outcome.is_ok());
        assert_eq!(tries.get(), 2);
    }

    #[tokio::test]
    async fn lasting_error_ends_the_removal() {
        let tries = Cell::new(0);
        let outcome = outlast(BRIEF, async || {
            tries.set(tries.get() + 1);
            Err(ClusterError::silent("delete Backups").into())
        })
        .await;
        assert!(outcome.is_err());
        assert_eq!(tries.get(), 2);
    }
}
