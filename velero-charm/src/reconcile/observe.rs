//! First stage: what is there now.
//!
//! **Invariant:** reads only. The cluster is read beside the hook tools, which Juju serves one at a
//! time; the first read is cluster-wide, so that it tells whether the charm is trusted.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        core::v1::{ConfigMap, Secret, ServiceAccount},
        rbac::v1::ClusterRoleBinding,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    ResourceExt as _,
    api::{DynamicObject, ListParams},
};
use provider_api::{Facts, Registry};
use serde_json::{Map, Value};
use tokio::try_join;

use super::{
    Error,
    record::{self, Seen},
};
use crate::{
    cluster::{Cluster, ClusterError, ask, facts, follow::Running},
    juju::{Leadership, Tools, Unit, relation, relation::StorageRelation},
    velero::{self, Owner, credential},
};

/// Everything that a reconcile may base its decisions on.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) leadership: Leadership,
    pub(crate) config: Map<String, Value>,
    pub(crate) relations: Vec<StorageRelation>,
    /// What the relations' providers ask to know of the cluster.
    pub(crate) facts: Facts,
    pub(crate) live: Live,
}

/// What the cluster holds.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// Velero's CRDs by name.
    pub(crate) definitions: BTreeMap<String, Definition>,
    pub(crate) account: Option<ServiceAccount>,
    pub(crate) binding: Option<ClusterRoleBinding>,
    pub(crate) record: Option<ConfigMap>,
    /// Secrets of ours that hold a store's credential.
    pub(crate) credentials: Vec<Secret>,
    pub(crate) snapshot_locations: Vec<DynamicObject>,
    pub(crate) running: Running,
}

/// What is known of a CRD without its schema.
#[derive(Debug, Default)]
pub(crate) struct Definition {
    /// The Velero that we have marked it with.
    pub(crate) velero: Option<String>,
    pub(crate) seen: Option<Seen>,
}

/// Reads Juju and the cluster.
pub(crate) async fn observe(
    tools: &Tools,
    unit: &Unit,
    registry: &Registry,
    cluster: &Cluster,
    owner: &Owner,
) -> Result<Observed, Error> {
    let juju = async {
        let leadership = tools.leadership().await?;
        let config = tools.config().await?;
        let relations = relation::read(tools, registry, &unit.application, leadership).await?;
        let wanted = relations.iter().flat_map(StorageRelation::facts);
        let facts = facts::read(cluster, wanted).await?;
        Ok::<_, Error>((leadership, config, relations, facts))
    };
    let (juju, live) = tokio::join!(juju, Live::read(cluster, owner));
    // First what tells that the charm is not trusted: without trust there are no facts either.
    let live = live?;
    let (leadership, config, relations, facts) = juju?;
    Ok(Observed {
        leadership,
        config,
        relations,
        facts,
        live,
    })
}

impl Live {
    pub(crate) async fn read(cluster: &Cluster, owner: &Owner) -> Result<Self, Error> {
        let definitions = definitions(cluster).await.map_err(|error| {
            if error.is_forbidden() {
                Error::NotTrusted
            } else {
                Error::Cluster(error)
            }
        })?;
        let account = async {
            let api = cluster.api::<ServiceAccount>();
            ask("read the ServiceAccount", || api.get_opt(velero::SERVER)).await
        };
        let binding = async {
            let api = cluster.all::<ClusterRoleBinding>();
            let name = velero::role_binding(cluster.namespace());
            ask("read the ClusterRoleBinding", || api.get_opt(&name)).await
        };
        let record = async {
            let (api, name) = (cluster.api::<ConfigMap>(), record::name(owner));
            ask("read the charm's ConfigMap", || api.get_opt(&name)).await
        };
        let credentials = async {
            let select = ListParams::default().labels(&credential::selector(owner));
            cluster.list(&cluster.api::<Secret>(), &select).await
        };
        let snapshot_locations = async {
            let api = cluster.dynamic(&velero::kind("VolumeSnapshotLocation"));
            cluster.list(&api, &ListParams::default()).await
        };
        // Over the one connection that the first read has opened.
        let (account, binding, record, credentials, snapshot_locations, running) =
            Box::pin(async {
                try_join!(
                    account,
                    binding,
                    record,
                    credentials,
                    snapshot_locations,
                    Running::read(cluster)
                )
            })
            .await?;
        Ok(Self {
            definitions,
            account,
            binding,
            record,
            credentials,
            snapshot_locations,
            running,
        })
    }
}

/// The CRDs of Velero. Metadata only: the whole would be a megabyte.
pub(crate) async fn definitions(
    cluster: &Cluster,
) -> Result<BTreeMap<String, Definition>, ClusterError> {
    let labelled = list_definitions(cluster, velero::COMPONENT).await?;
    if labelled.len() >= velero::CUSTOM_RESOURCES.len() {
        return Ok(labelled);
    }
    // Whoever did not install them with Velero's CLI may have left out its label.
    list_definitions(cluster, "").await
}

async fn list_definitions(
    cluster: &Cluster,
    labels: &str,
) -> Result<BTreeMap<String, Definition>, ClusterError> {
    let api = cluster.all::<CustomResourceDefinition>();
    let select = ListParams::default().labels(labels);
    let doing = "list the CustomResourceDefinitions";
    let mut found = ask(doing, || api.list_metadata(&select)).await?.items;
    found.retain(|crd| crd.name_any().ends_with(velero::GROUP));
    let known = found.iter().map(|crd| {
        let definition = Definition {
            velero: crd.annotations().get(velero::CRD_VERSION).cloned(),
            seen: Seen::of(crd),
        };
        (crd.name_any(), definition)
    });
    Ok(known.collect())
}
