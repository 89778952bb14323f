//! First stage: what is there now.
//!
//! **Invariant:** reads only, but for a word to ourselves in our data bags
//! ([`storage::mark_unread`]). The cluster is read beside the hook tools, which Juju serves one at a
//! time; the first read is cluster-wide, so that it tells whether the charm is trusted. Secrets come last, once
//! it is known that they can be used: what the cluster holds tells whether Juju has to be asked for them.

use std::collections::BTreeMap;

use jiff::Timestamp;
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

use super::{Authority, Error, Tenure, authority, trust::patiently};
use crate::{
    cluster::{Cluster, ClusterError},
    juju::{Leadership, News, Tools, Unit},
    ours::{
        self, Owner,
        credential::{self, Readings},
        record::{self, Seen},
    },
    relations::{
        facts,
        secret::Means,
        storage::{self, Relation, Sealed, StorageRelation},
    },
    velero::{self, running::Running},
};

/// Everything that a reconcile may base its decisions on; at first without the relations' secrets.
#[derive(Debug)]
pub(crate) struct Observed<R = Relation> {
    pub(crate) leadership: Leadership,
    pub(crate) config: Map<String, Value>,
    pub(crate) relations: Vec<StorageRelation<R>>,
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
    /// Those of ours, under whatever name.
    pub(crate) bindings: Vec<ClusterRoleBinding>,
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

/// Who looks, and why now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observer<'a> {
    pub(crate) tools: &'a Tools,
    pub(crate) unit: &'a Unit,
    pub(crate) registry: &'a Registry,
    pub(crate) owner: &'a Owner,
    pub(crate) tenure: Tenure,
    pub(crate) news: News,
}

/// Reads Juju and the cluster, but for the relations' secrets.
pub(crate) async fn observe(
    by: Observer<'_>,
    cluster: &Cluster,
) -> Result<Observed<Sealed>, Error> {
    let Observer {
        tools,
        unit,
        registry,
        owner,
        ..
    } = by;
    let juju = async {
        let leadership = tools.leadership().await?;
        let config = tools.config().await?;
        let mut relations = storage::read(tools, registry, unit, leadership).await?;
        storage::mark_unread(tools, &mut relations, by.role(leadership)).await?;
        let wanted = || relations.iter().flat_map(StorageRelation::facts);
        let facts = || facts::read(cluster, wanted());
        let facts = patiently(facts, ClusterError::is_forbidden).await?;
        Ok::<_, Error>((leadership, config, relations, facts))
    };
    let live = patiently(|| Live::read(cluster, owner), Error::is_refusal);
    let (juju, live) = tokio::join!(juju, live);
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

impl<'a> Observer<'a> {
    /// Only who may keep what it reads asks for it.
    fn role(&self, leadership: Leadership) -> Means<'a> {
        match authority(leadership, self.tenure) {
            Authority::Acts => Means::Asks {
                unit: &self.unit.name,
                news: self.news,
            },
            Authority::Watches => Means::Follows,
        }
    }
}

impl Observed<Sealed> {
    /// The same with the relations' secrets.
    pub(crate) async fn open(self, by: Observer<'_>) -> Result<Observed, Error> {
        let Self {
            leadership,
            config,
            relations,
            facts,
            live,
        } = self;
        let (role, now) = (by.role(leadership), Timestamp::now());
        let kept = credential::readings(&live.credentials);
        let relations = storage::open(by.tools, relations, &kept, role, now).await?;
        Ok(Observed {
            leadership,
            config,
            relations,
            facts,
            live,
        })
    }
}

impl Observed {
    /// What was read of the relations' secrets, now or earlier.
    pub(crate) fn readings(&self) -> Readings {
        let relations = self.relations.iter().flat_map(StorageRelation::all);
        let read = relations.filter_map(|relation| {
            let reading = relation.reading.clone()?;
            Some((relation.id.clone(), reading))
        });
        read.collect()
    }
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
        let account = cluster.read::<ServiceAccount>(velero::SERVER);
        let bindings = async {
            let select = ListParams::default().labels(&owner.selector());
            let api = cluster.all::<ClusterRoleBinding>();
            cluster.list(&api, &select).await
        };
        let record_name = record::name(owner);
        let record = cluster.read::<ConfigMap>(&record_name);
        let credentials = async {
            let select = ListParams::default().labels(&credential::selector(owner));
            cluster.list(&cluster.api::<Secret>(), &select).await
        };
        let snapshot_locations = async {
            let api = cluster.dynamic(&velero::kind("VolumeSnapshotLocation"));
            cluster.list(&api, &ListParams::default()).await
        };
        // Over the one connection that the first read has opened.
        let (account, bindings, record, credentials, snapshot_locations, running) =
            Box::pin(async {
                try_join!(
                    account,
                    bindings,
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
            bindings,
            record,
            credentials,
            snapshot_locations,
            running,
        })
    }
}

/// The CRDs of the bundled Velero. Metadata only: the whole would be a megabyte.
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
    let mut found = cluster
        .list_metadata(&api, "CustomResourceDefinition", labels)
        .await?;
    let names = velero::definition_names();
    found.retain(|crd| names.contains(&crd.name_any()));
    let known = found.iter().map(|crd| {
        let definition = Definition {
            velero: crd.annotations().get(ours::CRD_VERSION).cloned(),
            seen: Seen::of(crd),
        };
        (crd.name_any(), definition)
    });
    Ok(known.collect())
}
