//! Second stage: what the previous charm left becomes ours, and what belongs to neither ends the hook.
//!
//! Only labels and the ownership of fields change here, so nothing restarts and no location goes; what has to
//! change follows from the plan, as ever. The server comes last: after a kill in between, the next hook continues.
//! Secrets are opened once it is known that the Velero here is ours, so that a hook that may do nothing asks for
//! none. What comes out has neither foreign objects nor sealed secrets in it.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment},
    core::v1::{Secret, Service, ServiceAccount},
    rbac::v1::ClusterRoleBinding,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::{ResourceExt as _, api::DynamicObject};
use provider_api::Registry;
use serde_json::{Map, Value, json};
use tracing::warn;

use super::{
    observe::{Live, Observed},
    strangers::{self, Scope},
    validate,
};
use crate::{
    cluster::{Cluster, Kind, managers::Former},
    context::{Context, Role},
    error::Error,
    ours::{Owner, credential, metrics},
    relations::storage::Sealed,
    stranger::Stranger,
    velero::{self, LOCATION, NODE_AGENT, SERVER, install::NodeAgent},
};

/// The previous charm's own field manager; nobody else writes under it.
pub(super) const PREVIOUS_CHARM: &str = "velero-operator-lightkube";
/// It had the Velero CLI write too, as people do who install Velero by hand.
pub(super) const MANAGERS: [&str; 2] = [PREVIOUS_CHARM, "velero"];
/// Its Secret.
const CREDENTIALS: &str = "cloud-credentials";

/// Whose the Velero in our namespace is.
#[derive(Debug)]
pub(crate) enum Standing {
    /// Ours, or there is none.
    Ours,
    /// The previous charm's; these objects are to be taken over, in this order.
    PreviousCharms(Vec<DynamicObject>),
    /// These are neither this charm's nor the previous charm's.
    Foreign(Vec<Stranger>),
}

/// How thoroughly others are looked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Search {
    /// In what each hook reads, once a server of ours is there.
    Glance,
    /// Wherever they could be in the namespace.
    Thorough,
}

/// Takes over what the charm before this one has left, and opens the relations' secrets. A Velero that somebody
/// else installed is never touched.
pub(super) async fn adopt(
    observed: Observed<Sealed>,
    ctx: &Context,
    cluster: &Cluster,
) -> Result<Observed, Error> {
    let Observed { live, config, .. } = &observed;
    let agent = validate::node_agent(config);
    let whose = standing(live, agent, Search::Glance, cluster, &ctx.owner).await?;
    let observed = match (whose, observed.role) {
        (Standing::Foreign(strangers), role) => {
            if role == Role::Leads {
                withhold_rights(live, cluster, &ctx.owner).await?;
            }
            return Err(Error::Foreign(strangers));
        }
        (Standing::PreviousCharms(objects), Role::Leads) => {
            let plugins = plugins(config, &ctx.registry);
            take_over(objects, plugins, cluster, &ctx.owner).await?;
            let live = Live::read(cluster, &ctx.owner).await?;
            ctx.keep_credentials(&live.credentials);
            Observed { live, ..observed }
        }
        (Standing::Ours, _) | (Standing::PreviousCharms(_), Role::Follows | Role::Leaves) => {
            observed
        }
    };
    observed.open(ctx, cluster).await
}

/// Finds out whose the Velero in our namespace is. Asks nothing more at a glance if it is plainly ours.
pub(crate) async fn standing(
    live: &Live,
    agent: NodeAgent,
    search: Search,
    cluster: &Cluster,
    owner: &Owner,
) -> Result<Standing, Error> {
    let mut others = strangers::other_servers(&live.running);
    let namesakes = strangers::namesakes(live, agent, owner);
    let server = live.running.server();
    let is_installed = server.is_some_and(|server| owner.made(server));
    let mut previous = Vec::new();
    // The server is taken over last: when it is ours, all of the previous charm's is.
    if is_installed || namesakes.is_empty() {
        others.extend(namesakes);
    } else {
        let found = named_objects(cluster).await?;
        let is_evident = found.iter().any(|object| is_evidence(object, owner));
        let namespace = cluster.namespace();
        let theirs = |one: &DynamicObject| !owner.made(one) && is_previous_charms(one, namespace);
        if is_evident {
            previous.extend(found.into_iter().filter(theirs));
        }
        let taken = |one: &Stranger| previous.iter().any(|object| one.is(object));
        others.extend(namesakes.into_iter().filter(|one| !taken(one)));
    }
    if others.is_empty() && (search == Search::Thorough || !is_installed) {
        others = strangers::search(Scope::Namespace, cluster, owner).await?;
        // It was looked at already.
        others.retain(|one| !previous.iter().any(|object| one.is(object)));
    }
    Ok(match (others.is_empty(), previous.is_empty()) {
        (false, _) => Standing::Foreign(others),
        (true, false) => Standing::PreviousCharms(previous),
        (true, true) => Standing::Ours,
    })
}

/// An account that is somebody else's must not have our rights for being called like ours.
async fn withhold_rights(live: &Live, cluster: &Cluster, owner: &Owner) -> Result<(), Error> {
    let is_ours = |account: &ServiceAccount| owner.made(account);
    if live.account.as_ref().is_none_or(is_ours) {
        return Ok(());
    }
    for binding in &live.bindings {
        let name = binding.name_any();
        cluster
            .delete(&Kind::of::<ClusterRoleBinding>(), &name)
            .await?;
        warn!("Deleted ClusterRoleBinding `{name}`: ServiceAccount `{SERVER}` is not ours.");
    }
    Ok(())
}

/// The previous charm wrote it, or it wrote it and we have taken it over already: what we make under these names
/// ourselves is marked.
fn is_evidence(object: &DynamicObject, owner: &Owner) -> bool {
    let of_its_name = match object.name_any().as_str() {
        CREDENTIALS => true,
        metrics::NAME => !metrics::is_made_by_us(object),
        _ => false,
    };
    let written = written_by(object, &[PREVIOUS_CHARM]) && Owner::labelled_by(object).is_none();
    written || (of_its_name && owner.owns(object))
}

/// Where there is evidence of the previous charm, its managers' objects are its own. But the name of its binding
/// can be that of somebody else's.
fn is_previous_charms(object: &DynamicObject, namespace: &str) -> bool {
    let subjects = object.data.get("subjects");
    let subject = json!([{"kind": "ServiceAccount", "name": SERVER, "namespace": namespace}]);
    written_by(object, &MANAGERS)
        && Owner::labelled_by(object).is_none()
        && subjects.is_none_or(|subjects| *subjects == subject)
}

pub(super) fn written_by(object: &DynamicObject, managers: &[&str]) -> bool {
    let writes = |entry: &ManagedFieldsEntry| {
        let manager = entry.manager.as_deref();
        entry.subresource.is_none() && manager.is_some_and(|name| managers.contains(&name))
    };
    object.managed_fields().iter().any(writes)
}

/// Everything that the previous charm made and that can be here. What shows that it was the previous charm
/// comes first and stays; the server, which makes us ask, comes last.
async fn named_objects(cluster: &Cluster) -> Result<Vec<DynamicObject>, Error> {
    let binding = velero::plain_role_binding(cluster.namespace());
    let places: [(Kind, &str); 8] = [
        (Kind::of::<Service>(), metrics::NAME),
        (Kind::of::<Secret>(), CREDENTIALS),
        (Kind::of::<ClusterRoleBinding>(), &binding),
        (velero::kind("VolumeSnapshotLocation"), LOCATION),
        (velero::kind("BackupStorageLocation"), LOCATION),
        (Kind::of::<DaemonSet>(), NODE_AGENT),
        (Kind::of::<ServiceAccount>(), SERVER),
        (Kind::of::<Deployment>(), SERVER),
    ];
    let mut found = Vec::new();
    for (kind, name) in places {
        found.extend(cluster.get(&kind, name).await?);
    }
    Ok(found)
}

/// Makes the previous charm's objects ours, and of the server's init containers those with these names.
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

/// What the previous charm's plugins are called. Others are there because somebody wanted them.
fn plugins(config: &Map<String, Value>, registry: &Registry) -> BTreeSet<String> {
    let images = registry.descriptors().flat_map(|descriptor| {
        let plugin = descriptor.plugin;
        [
            validate::text(config, plugin.option, plugin.default),
            plugin.default.to_owned(),
        ]
    });
    images.map(|image| name_of_added_plugin(&image)).collect()
}

/// What Velero's `plugin add` calls the init container of an image: its path without registry, tag and
/// digest, as far as a container may be called so.
fn name_of_added_plugin(image: &str) -> String {
    let path = match image.split_once('/') {
        Some((_, path)) if path.contains('/') => path,
        _ => image,
    };
    let end = path.rfind('@').or_else(|| path.rfind(':'));
    let path = end.and_then(|end| path.get(..end)).unwrap_or(path);
    path.replace(['/', '_', '.'], "-")
}

fn labels(object: &DynamicObject, owner: &Owner) -> BTreeMap<String, String> {
    let mut labels = owner.labels();
    if Kind::of_object(object).kind == "Secret" {
        labels.extend([credential::role()]);
    }
    labels
}

#[cfg(test)]
mod tests;
