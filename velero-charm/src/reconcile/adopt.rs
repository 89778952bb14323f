//! Taking over the Velero that this charm's predecessor installed.
//!
//! **Invariant:** only labels and the ownership of fields change here, so nothing restarts and no
//! location goes; what has to change follows from the plan, as ever. The server comes last: killed in
//! between, the next hook goes on.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::{apps::v1::Deployment, core::v1::ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::{
    ResourceExt as _,
    api::{ApiResource, DynamicObject},
};
use provider_api::Registry;
use serde_json::{Map, Value};

use super::{Error, validate};
use crate::{
    cluster::{Cluster, ask, managers::Former, owned, present, resource, resource_of},
    velero::{self, LOCATION, NODE_AGENT, Owner, SERVER, credential, manifests},
};

/// The predecessor's own field manager; nobody else writes under it.
const PREDECESSOR: &str = "velero-operator-lightkube";
/// It had the Velero CLI write too, as people do who install Velero by hand.
pub(super) const MANAGERS: [&str; 2] = [PREDECESSOR, "velero"];
/// Its Secret, and the Service in front of the server's metrics.
const CREDENTIALS: &str = "cloud-credentials";
const METRICS: &str = "velero-metrics";

/// Whose the Velero in our namespace is.
#[derive(Debug)]
pub(crate) enum Standing {
    /// Ours, or there is none.
    Ours,
    /// The predecessor's; these objects have to come over, in this order.
    Predecessors(Vec<DynamicObject>),
    /// Neither this charm's nor its predecessor's.
    Foreign,
}

/// Finds out whose the Velero in our namespace is. Asks nothing if it is plainly ours.
pub(crate) async fn standing(
    server: Option<&Deployment>,
    account: Option<&ServiceAccount>,
    cluster: &Cluster,
    owner: &Owner,
) -> Result<Standing, Error> {
    let plainly_ours = match (server, account) {
        (Some(server), _) => owner.owns(server) || has_lost_its_label(server),
        (None, Some(account)) => owner.owns(account),
        (None, None) => true,
    };
    if plainly_ours {
        return Ok(Standing::Ours);
    }
    let found = named_objects(cluster).await?;
    if found.iter().any(|object| is_evidence(object, owner)) {
        let strangers = found.into_iter().filter(|object| !owner.owns(object));
        return Ok(Standing::Predecessors(strangers.collect()));
    }
    Ok(match server {
        Some(_) => Standing::Foreign,
        None => Standing::Ours,
    })
}

/// We applied it and somebody took the labels off.
fn has_lost_its_label(server: &Deployment) -> bool {
    Owner::is_unclaimed(server)
        && owned::our_entry(server.metadata.managed_fields.as_ref()).is_some()
}

/// The predecessor wrote it, or it wrote it and we have taken it over already: of these names we make
/// nothing ourselves.
fn is_evidence(object: &DynamicObject, owner: &Owner) -> bool {
    let of_its_name = [CREDENTIALS, METRICS].contains(&object.name_any().as_str());
    let written = |entry: &ManagedFieldsEntry| entry.manager.as_deref() == Some(PREDECESSOR);
    object.managed_fields().iter().any(written) || (of_its_name && owner.owns(object))
}

/// Everything that the predecessor made and that can be here. What shows that it was the predecessor
/// comes first and stays; the server, which makes us ask, comes last.
async fn named_objects(cluster: &Cluster) -> Result<Vec<DynamicObject>, Error> {
    let binding = velero::role_binding(cluster.namespace());
    let places: [(ApiResource, &str); 8] = [
        (resource("", "v1", "Service"), METRICS),
        (resource("", "v1", "Secret"), CREDENTIALS),
        (
            resource("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding"),
            &binding,
        ),
        (velero::kind("VolumeSnapshotLocation"), LOCATION),
        (velero::kind("BackupStorageLocation"), LOCATION),
        (resource("apps", "v1", "DaemonSet"), NODE_AGENT),
        (resource("", "v1", "ServiceAccount"), SERVER),
        (resource("apps", "v1", "Deployment"), SERVER),
    ];
    let mut found = Vec::new();
    for (kind, name) in places {
        let api = cluster.dynamic(&kind);
        let doing = format!("read {} `{name}`", kind.kind);
        // A kind that is not served has none.
        found.extend(present(ask(doing, || api.get_opt(name)).await)?.flatten());
    }
    Ok(found)
}

/// Makes the predecessor's objects ours, and of the server's init containers those with these names.
pub(crate) async fn take_over(
    objects: Vec<DynamicObject>,
    init_containers: BTreeSet<String>,
    cluster: &Cluster,
    owner: &Owner,
) -> Result<(), Error> {
    let former = Former {
        managers: &MANAGERS,
        init_containers,
    };
    for object in objects {
        let labels = labels(&object, owner);
        cluster.take_over(&object, &former, &labels).await?;
    }
    Ok(())
}

/// What the predecessor's plugins are called. Others are there because somebody wanted them.
pub(crate) fn plugins(config: &Map<String, Value>, registry: &Registry) -> BTreeSet<String> {
    let images = registry.descriptors().flat_map(|descriptor| {
        let plugin = descriptor.plugin;
        [
            validate::text(config, plugin.option, plugin.default),
            plugin.default.to_owned(),
        ]
    });
    images
        .map(|image| manifests::name_of_added_plugin(&image))
        .collect()
}

fn labels(object: &DynamicObject, owner: &Owner) -> BTreeMap<String, String> {
    let mut labels = owner.labels();
    if resource_of(object).kind == "Secret" {
        labels.extend([credential::role()]);
    }
    labels
}
