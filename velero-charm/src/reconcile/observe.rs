//! First stage: what is there now, in Juju and in the cluster.
//!
//! Reads only, but for a word to ourselves in our data bags ([`storage::mark_unread`]). The cluster is read
//! while the hook tools run, which Juju serves one at a time; the first read is cluster-wide, so that it tells
//! whether the charm is trusted. Secrets come last ([`Observed::open`]), once it is known that they can be used:
//! what the cluster holds tells whether Juju has to be asked for them.

mod governed;
pub(super) mod history;
pub(super) mod observers;
mod surroundings;

use std::{collections::BTreeMap, fmt, ops::Deref};

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        core::v1::{ConfigMap, Secret, Service, ServiceAccount},
        rbac::v1::ClusterRoleBinding,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    ResourceExt,
    api::{DynamicObject, ListParams},
};
use provider_api::Facts;
use serde_json::{Map, Value};
use tokio::try_join;
use tracing::debug;

pub(super) use self::governed::{Governed, State};
pub(super) use self::surroundings::{
    CSI_SNAPSHOTS, KUBELET_ROOT, PRIORITY_CLASS, Surroundings, USE_NODE_AGENT,
};
use self::{
    history::{Backups, Governance, Wanted as WantedBackups},
    observers::Observers,
};
use super::trust::patiently;
use crate::{
    cluster::{Cluster, ClusterError, Kind},
    context::{Context, Role},
    error::Error,
    ours::{
        self, Owner,
        credential::{self, Readings},
        metrics,
        password::{self, Password, Wanted},
        record::{self, Seen},
    },
    relations::{
        self,
        backups::{self, Client},
        facts,
        handshake::Greeting,
        secret::Means,
        storage::{self, Relation, Sealed, StorageRelation},
    },
    velero::{self, running::Running, schedule},
};

/// The option that names the user's secret with the password of the volumes' files.
pub(super) const PASSWORD_OPTION: &str = "repository-password";
/// The option with the rule by which Backups are kept.
pub(super) const KEEP: &str = "keep";

/// Everything that a reconcile may base its decisions on; at first without the relations' secrets.
#[derive(Debug)]
pub(super) struct Observed<R = Relation> {
    pub(super) role: Role,
    pub(super) config: Map<String, Value>,
    pub(super) relations: Vec<StorageRelation<R>>,
    /// Who asks to be backed up.
    pub(super) clients: Vec<Client>,
    /// What is to be said to integrators whose relation is of no use yet.
    pub(super) greetings: Vec<Greeting>,
    /// What the relations' providers ask to know of the cluster.
    pub(super) facts: Facts,
    /// What options ask to know of it.
    pub(super) surroundings: Surroundings,
    /// Of the volumes' files, if one is asked for and this unit may see to it.
    pub(super) password: Option<Password>,
    /// Who watches, and what there is to watch.
    pub(super) observers: Observers,
    /// Velero's Backups; not read where nobody wants to know.
    pub(super) backups: Backups,
    pub(super) live: Live,
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
    /// The others of ours.
    pub(crate) config_maps: Vec<ConfigMap>,
    /// Secrets of ours that hold a store's credential.
    pub(crate) credentials: Credentials,
    pub(crate) snapshot_locations: Vec<DynamicObject>,
    /// The Service in front of the server's metrics.
    pub(crate) metrics: Option<DynamicObject>,
    /// All of them, no matter who made them.
    pub(crate) schedules: Vec<DynamicObject>,
    pub(crate) running: Running,
}

/// What is known of a CRD without its schema.
#[derive(Debug, Default)]
pub(crate) struct Definition {
    /// The Velero that we have marked it with.
    pub(crate) velero: Option<String>,
    pub(crate) seen: Option<Seen>,
}

/// Live Secrets, of which nothing shows but their names.
#[derive(Clone, Default)]
pub(crate) struct Credentials(Vec<Secret>);

/// Reads Juju and the cluster, but for the relations' secrets.
pub(super) async fn observe(ctx: &Context, cluster: &Cluster) -> Result<Observed<Sealed>, Error> {
    let Context { tools, unit, .. } = ctx;
    let juju = async {
        let leadership = tools.leadership().await?;
        let role = ctx.role(leadership);
        let config = tools.config().await?;
        let mut found = storage::read(tools, &ctx.registry, unit, leadership).await?;
        storage::mark_unread(tools, &mut found.storage, means(role, ctx)).await?;
        storage::forget_leftovers(tools, unit, &found.storage, ctx.news).await?;
        let clients = backups::read(tools, unit).await?;
        let wanted = || {
            let relations = found.storage.iter();
            relations.flat_map(StorageRelation::<Sealed>::facts)
        };
        let facts = || facts::read(cluster, wanted());
        let facts = patiently(facts, ClusterError::is_forbidden).await?;
        let observers = Observers::read(ctx, leadership, cluster).await?;
        let surroundings = || Surroundings::read(&config, cluster);
        let surroundings = patiently(surroundings, ClusterError::is_forbidden).await?;
        let failures = observers.want_failures(leadership);
        let cluster = (facts, surroundings);
        Ok::<_, Error>((role, config, found, clients, cluster, observers, failures))
    };
    let live = patiently(|| Live::read(cluster, &ctx.owner), Error::is_refusal);
    let (juju, live) = tokio::join!(juju, live);
    // First what tells that the charm is not trusted: without trust there are no facts either.
    let live = live?;
    ctx.keep_credentials(&live.credentials);
    let (role, config, found, clients, (facts, surroundings), observers, failures) = juju?;
    let wanted = match (failures, live.schedules.as_slice()) {
        (true, _) => WantedBackups::All,
        (false, []) => WantedBackups::Nothing,
        (false, _) => WantedBackups::OfSchedules,
    };
    let is_set = config.get(KEEP).and_then(Value::as_str);
    let is_set = is_set.is_some_and(|text| !text.trim().is_empty());
    let governance = if is_set && role == Role::Leads {
        Governance::By(&ctx.owner)
    } else {
        Governance::None
    };
    let backups = Backups::read(wanted, governance, cluster).await?;
    Ok(Observed {
        role,
        config,
        relations: found.storage,
        clients,
        greetings: found.greetings,
        facts,
        surroundings,
        password: None,
        observers,
        backups,
        live,
    })
}

/// Finds out what is to become of the password. Without the option nothing is asked.
async fn password(
    config: &Map<String, Value>,
    means: Means<'_>,
    ctx: &Context,
    cluster: &Cluster,
) -> Result<Option<Password>, Error> {
    let address = config.get(PASSWORD_OPTION).and_then(Value::as_str);
    let address = address.map(str::trim).filter(|text| !text.is_empty());
    let (Some(address), Means::Asks { .. }) = (address, means) else {
        return Ok(None);
    };
    let secret = cluster.read::<Secret>(velero::REPOSITORY_PASSWORD).await?;
    ctx.keep_credentials(secret.as_slice());
    let kept = secret.as_ref().and_then(password::kept);
    let now = Timestamp::now();
    let wanted = relations::password::open(address, kept.as_ref(), &ctx.tools, means, now).await?;
    let note = kept.map(|kept| kept.note);
    if let (Wanted::Unreadable(reason), Some(note)) = (&wanted, &note)
        && note.address == address
    {
        debug!("`{PASSWORD_OPTION}` stays as it was read: {reason}.");
        return Ok(None);
    }
    let live = match (&secret, &wanted) {
        (None, _) => password::Live::None,
        (Some(secret), Wanted::Known(reading))
            if velero::repository_password(secret)
                == password::value(reading).map(str::as_bytes) =>
        {
            password::Live::AsWanted(note)
        }
        (Some(_), Wanted::Unreadable(_)) => password::Live::Other {
            note,
            repository: None,
        },
        (Some(_), Wanted::Known(_)) => {
            let api = cluster.dynamic(&velero::kind("BackupRepository"));
            let name = |one: DynamicObject| password::is_opened(&one).then(|| one.name_any());
            let opened = cluster.sift(&api, ListParams::default(), name).await?;
            password::Live::Other {
                note,
                repository: opened.into_iter().next(),
            }
        }
    };
    Ok(Some(Password { wanted, live }))
}

/// Only who may keep what it reads asks for it.
fn means(role: Role, ctx: &Context) -> Means<'_> {
    match role {
        Role::Leads => Means::Asks {
            unit: &ctx.unit.name,
            news: ctx.news,
        },
        Role::Follows | Role::Leaves => Means::Follows,
    }
}

impl Observed<Sealed> {
    /// The same with the relations' secrets.
    pub(super) async fn open(self, ctx: &Context, cluster: &Cluster) -> Result<Observed, Error> {
        let Self {
            role,
            config,
            relations,
            clients,
            greetings,
            facts,
            surroundings,
            password: _,
            observers,
            backups,
            live,
        } = self;
        let (means, now) = (means(role, ctx), Timestamp::now());
        let kept = credential::readings(&live.credentials);
        let relations = storage::open(&ctx.tools, relations, &kept, means, now).await?;
        let all = relations.iter().flat_map(StorageRelation::all);
        // What integrators sent, used or not.
        ctx.keep_secrets(all.flat_map(|relation| relation.data.secrets()));
        let password = password(&config, means, ctx, cluster).await?;
        Ok(Observed {
            role,
            config,
            relations,
            clients,
            greetings,
            facts,
            surroundings,
            password,
            observers,
            backups,
            live,
        })
    }
}

impl Observed {
    /// What was read of the relations' secrets, now or earlier.
    pub(super) fn readings(&self) -> Readings {
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
        let config_maps = config_maps(cluster, owner);
        let credentials = credential::read(cluster, owner);
        let snapshot_locations = async {
            let api = cluster.dynamic(&velero::kind("VolumeSnapshotLocation"));
            cluster.list(&api, &ListParams::default()).await
        };
        let service = Kind::of::<Service>();
        let metrics = cluster.get(&service, metrics::NAME);
        let schedules = schedule::read(cluster);
        // Over the one connection that the first read has opened.
        let (
            account,
            bindings,
            (record, config_maps),
            credentials,
            snapshot_locations,
            metrics,
            schedules,
            running,
        ) = Box::pin(async {
            try_join!(
                account,
                bindings,
                config_maps,
                credentials,
                snapshot_locations,
                metrics,
                schedules,
                Running::read(cluster)
            )
        })
        .await?;
        Ok(Self {
            definitions,
            account,
            bindings,
            record,
            config_maps,
            credentials: credentials.into(),
            snapshot_locations,
            metrics,
            schedules,
            running,
        })
    }
}

/// The record of the last apply, and the other ConfigMaps of ours: one list, as long as the record has our labels.
async fn config_maps(
    cluster: &Cluster,
    owner: &Owner,
) -> Result<(Option<ConfigMap>, Vec<ConfigMap>), ClusterError> {
    let select = ListParams::default().labels(&owner.selector());
    let mut ours = cluster.list(&cluster.api::<ConfigMap>(), &select).await?;
    let name = record::name(owner);
    let record = match ours.iter().position(|map| map.name_any() == name) {
        Some(place) => Some(ours.swap_remove(place)),
        None => cluster.read(&name).await?,
    };
    Ok((record, ours))
}

impl From<Vec<Secret>> for Credentials {
    fn from(secrets: Vec<Secret>) -> Self {
        Self(secrets)
    }
}

impl Deref for Credentials {
    type Target = [Secret];

    fn deref(&self) -> &[Secret] {
        &self.0
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(ResourceExt::name_any);
        f.debug_list().entries(names).finish()
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
    // An installation without Velero's CLI may have left out its label.
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
    found.retain(|crd| names.contains_key(&crd.name_any()));
    let known = found.iter().map(|crd| {
        let definition = Definition {
            velero: crd.annotations().get(ours::CRD_VERSION).cloned(),
            seen: Seen::of(crd),
        };
        (crd.name_any(), definition)
    });
    Ok(known.collect())
}

#[cfg(test)]
mod tests;
