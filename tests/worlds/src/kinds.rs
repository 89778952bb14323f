//! What kinds of objects a namespace can have.

use anyhow::Result;
use kube::api::{DynamicObject, ListParams};
use kube::discovery::{self, ApiGroup, ApiResource, Scope, verbs};
use kube::{Api, Client};

/// The group of Velero's own kinds.
pub(crate) const VELERO: &str = "velero.io";

/// Those of a group.
pub(crate) fn listed(group: &ApiGroup) -> Vec<ApiResource> {
    let resources = group.resources_by_stability().into_iter();
    let listed = resources.filter(|(_, capabilities)| {
        capabilities.scope == Scope::Namespaced && capabilities.supports_operation(verbs::LIST)
    });
    listed.map(|(resource, _)| resource).collect()
}

/// Velero's; none where they are not defined now.
pub(crate) async fn of_velero(client: &Client) -> Result<Vec<ApiResource>> {
    match discovery::group(client, VELERO).await {
        Ok(group) => Ok(listed(&group)),
        Err(kube::Error::Discovery(_)) => Ok(Vec::new()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// All objects of a kind in a namespace; none if its definition has just gone.
pub(crate) async fn objects(
    client: &Client,
    kind: &ApiResource,
    namespace: &str,
) -> Result<Vec<DynamicObject>> {
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, kind);
    match api.list(&ListParams::default()).await {
        Ok(list) => Ok(list.items),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}
