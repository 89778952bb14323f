//! Fourth stage: carrying out the plan.
//!
//! **Invariant:** server-side apply in an order in which each object finds what it needs. What was seen to
//! be ours is applied under its uid, and what was not seen is created or refused, so nothing of anybody
//! else's is taken, however late it comes. Deletions come last, except the repositories of an old store, which
//! could not be recognised as left over once the location is the new one. Killed between any two requests, the
//! next hook's plan is what was left to do.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{apps::v1::Deployment, rbac::v1::ClusterRoleBinding},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{ResourceExt, api::DynamicObject};
use tokio::time::Instant;
use tracing::info;

use super::{
    Error, adopt,
    observe::Live,
    plan::{Deletion, Install, Place, Plan, Rollout, Selection},
    strangers::Stranger,
};
use crate::{
    cluster::{Cluster, ClusterError, Kind, follow::until_none, managers::Former},
    ours::{
        self, Owner, manifests,
        record::{Record, Seen},
    },
    velero::{self, cli::Cli, definitions},
};

/// Carries out a plan.
pub(crate) async fn apply(
    plan: Plan,
    live: &Live,
    cluster: &Cluster,
    cli: &Cli,
    place: Place<'_>,
    deadline: Instant,
) -> Result<(), Error> {
    // Taken apart without `..`: a field that is added must be carried out here.
    let Plan {
        install,
        repositories,
        secrets,
        locations,
        deletions,
    } = plan;
    let writer = Writer {
        cluster,
        live,
        owner: place.owner,
    };
    let prepared = match install {
        Some(install) => Some(prepare(install, &writer, cli, place, deadline).await?),
        None => None,
    };
    if let Some(repositories) = repositories {
        delete(&repositories, cluster).await?;
    }
    for secret in secrets {
        writer.put(&as_dynamic(&secret)?).await?;
        info!("Applied Secret `{}`.", secret.name_any());
    }
    for location in &locations {
        writer.put(location).await?;
        info!("Applied {}.", describe(location));
    }
    if let Some(prepared) = prepared {
        finish(prepared, &writer, place).await?;
    }
    for deletion in deletions {
        delete(&deletion, cluster).await?;
    }
    Ok(())
}

/// Writes what is ours, and nothing else.
struct Writer<'a> {
    cluster: &'a Cluster,
    /// What was there when the plan was made.
    live: &'a Live,
    owner: &'a Owner,
}

impl Writer<'_> {
    async fn put(&self, object: &DynamicObject) -> Result<DynamicObject, Error> {
        if let Some(uid) = self.uid(object) {
            return Ok(self.cluster.apply(object, &uid).await?);
        }
        match self.cluster.create(object).await {
            // Somebody was faster, or we did not know it for it has lost our label.
            Err(error) if error.is_conflict() => self.contest(object, error).await,
            outcome => Ok(outcome?),
        }
    }

    /// Applies an object that turned out to be there, if it is ours.
    async fn contest(
        &self,
        object: &DynamicObject,
        conflict: ClusterError,
    ) -> Result<DynamicObject, Error> {
        let (kind, name) = (Kind::of_object(object), object.name_any());
        let Some(live) = self.cluster.get(&kind, &name).await? else {
            return Err(conflict.into());
        };
        match live.uid() {
            Some(uid) if self.owner.made(&live) => Ok(self.cluster.apply(object, &uid).await?),
            _ => Err(Error::Foreign(vec![Stranger::namesake(&live, &kind.kind)])),
        }
    }

    /// The object's, if it was seen.
    fn uid(&self, object: &DynamicObject) -> Option<String> {
        let Live {
            account,
            bindings,
            record,
            credentials,
            snapshot_locations,
            running,
            definitions: _,
        } = self.live;
        let name = object.name_any();
        match Kind::of_object(object).kind.as_str() {
            "ServiceAccount" => account.as_ref()?.uid(),
            "ClusterRoleBinding" => uid_of(bindings, &name),
            "ConfigMap" => record.as_ref()?.uid(),
            "Secret" => uid_of(credentials, &name),
            "BackupStorageLocation" => running.locations.get(&name)?.uid(),
            "VolumeSnapshotLocation" => uid_of(snapshot_locations, &name),
            "Deployment" => running.servers.get(&name)?.uid(),
            "DaemonSet" => running.node_agents.get(&name)?.uid(),
            _ => None,
        }
    }
}

fn uid_of(objects: &[impl ResourceExt], name: &str) -> Option<String> {
    objects.iter().find(|one| one.name_any() == name)?.uid()
}

/// An install that lacks its workloads.
struct Prepared {
    install: Install,
    workloads: Vec<DynamicObject>,
    /// CRDs of a later Velero.
    newer: BTreeMap<String, Seen>,
}

/// Everything that must be there before a Secret or a location can be.
async fn prepare(
    install: Install,
    writer: &Writer<'_>,
    cli: &Cli,
    place: Place<'_>,
    deadline: Instant,
) -> Result<Prepared, Error> {
    let cluster = writer.cluster;
    let rendered = cli.render(install.workload.options()).await?;
    let manifests = manifests::compose(rendered, &install.workload, place.owner);
    let newer = define(&manifests.definitions, &install, cluster, deadline).await?;
    if let Some(binding) = &install.misbound {
        delete(&role_binding(binding), cluster).await?;
    }
    for account in &manifests.accounts {
        let outcome = match &install.misbound {
            Some(binding) if *binding == account.name_any() => cluster.create(account).await?,
            _ => writer.put(account).await?,
        };
        info!("Applied {}.", describe(&outcome));
    }
    // The one that was applied is in force: the API server's authorizer hears of both in this order.
    for binding in &install.former_bindings {
        delete(&role_binding(binding), cluster).await?;
    }
    Ok(Prepared {
        install,
        workloads: manifests.workloads,
        newer,
    })
}

/// Applies the CRDs that are due; tells which are left alone for being newer than ours.
async fn define(
    definitions: &[DynamicObject],
    install: &Install,
    cluster: &Cluster,
    deadline: Instant,
) -> Result<BTreeMap<String, Seen>, Error> {
    let mut newer = install.newer_definitions.clone();
    let mut applied = 0;
    for ours in definitions {
        let name = ours.name_any();
        if install.settled_definitions.contains(&name) {
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
    // First of all: as long as a definition lacks it, Juju puts its labels back with every write.
    let (label, value) = ours::SKIP_JUJU_WEBHOOK;
    let unswept = BTreeMap::from([(label.into(), value.into())]);
    // Else fields that our version has no more would stay.
    let former = Former::of(&adopt::MANAGERS);
    cluster.take_over(&live, &former, &unswept).await?;
    // One of them is others' too, and says nothing of Juju by itself.
    if live.labels().contains_key(ours::JUJU_OWNERSHIP_LABELS[0]) {
        cluster
            .take_off(&live, &ours::JUJU_OWNERSHIP_LABELS)
            .await?;
    }
    let uid = live.uid().unwrap_or_default();
    cluster.apply(ours, &uid).await?;
    Ok(Defined::Applied)
}

/// The workloads, and the record of what the API server made of them.
async fn finish(prepared: Prepared, writer: &Writer<'_>, place: Place<'_>) -> Result<(), Error> {
    let Prepared {
        install,
        workloads,
        newer,
    } = prepared;
    if install.rollout == Rollout::Rolling {
        let (kind, patch) = (Kind::of::<Deployment>(), manifests::stop_rolling());
        let doing = "change the strategy of";
        let cluster = writer.cluster;
        cluster.merge(&kind, velero::SERVER, doing, patch).await?;
    }
    let mut record = Record {
        inputs: install.inputs,
        server: None,
        node_agent: None,
        newer_definitions: newer,
    };
    for workload in &workloads {
        let live = writer.put(workload).await?;
        info!("Applied {}.", describe(&live));
        let seen = Seen::of(&live);
        if live.name_any() == velero::SERVER {
            record.server = seen;
        } else {
            record.node_agent = seen;
        }
    }
    let map = record
        .to_config_map(place.namespace, place.owner)
        .map_err(Error::internal)?;
    writer.put(&as_dynamic(&map)?).await?;
    Ok(())
}

fn role_binding(name: &str) -> Deletion {
    Deletion {
        resource: Kind::of::<ClusterRoleBinding>(),
        what: Selection::Named(name.to_owned()),
    }
}

pub(crate) async fn delete(deletion: &Deletion, cluster: &Cluster) -> Result<(), ClusterError> {
    let Deletion { resource, what } = deletion;
    match what {
        Selection::Named(name) => {
            cluster.delete(resource, name).await?;
            info!("Deleted {} `{name}`.", resource.kind);
        }
        Selection::Labelled(labels) => cluster.delete_all(resource, labels).await?,
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

fn as_dynamic<K>(object: &K) -> Result<DynamicObject, Error>
where
    K: kube::Resource<DynamicType = ()> + serde::Serialize,
{
    // k8s-openapi writes the type fields; a round trip is all it takes.
    serde_json::to_value(object)
        .and_then(serde_json::from_value)
        .map_err(Error::internal)
}

fn describe(object: &DynamicObject) -> String {
    let kind = object
        .types
        .as_ref()
        .map_or("object", |types| types.kind.as_str());
    format!("{kind} `{}`", object.name_any())
}
