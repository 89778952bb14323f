//! The Service in front of the server's metrics, under the name that the previous charm gave it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;
use kube::api::DynamicObject;
use serde_json::json;

use super::Owner;
use crate::{
    cluster::Kind,
    velero::{COMPONENT, METRICS_PORT, SERVER_PODS},
};

/// Its name.
pub(crate) const NAME: &str = "velero-metrics";

/// Tells the one that we have made from one that the previous charm left.
const ROLE: (&str, &str) = ("velero-operator/role", "metrics");

/// The Service to apply.
pub(crate) fn service(namespace: &str, owner: &Owner) -> DynamicObject {
    let component = COMPONENT.split_once('=');
    let labels = component.into_iter().chain([ROLE]);
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let selector: BTreeMap<_, _> = SERVER_PODS.split_once('=').into_iter().collect();
    let mut service = DynamicObject::new(NAME, &Kind::of::<Service>()).within(namespace);
    service.metadata.labels = Some(labels.chain(owner.labels()).collect());
    service.data(json!({"spec": {
        "type": "ClusterIP",
        "selector": selector,
        "ports": [{
            "name": "metrics",
            "port": METRICS_PORT,
            "targetPort": METRICS_PORT,
            "protocol": "TCP",
        }],
    }}))
}

/// It is here because we have made it.
pub(crate) fn is_made_by_us(service: &DynamicObject) -> bool {
    let role = service
        .metadata
        .labels
        .as_ref()
        .and_then(|all| all.get(ROLE.0));
    role.is_some_and(|role| role == ROLE.1)
}

/// Where the server's metrics are, for somebody in another namespace.
pub(crate) fn address(namespace: &str) -> String {
    format!("{NAME}.{namespace}.svc:{METRICS_PORT}")
}
