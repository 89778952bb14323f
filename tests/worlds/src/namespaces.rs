//! Namespaces that go, whatever Velero holds in them.
//!
//! Velero puts finalizers on Restores and on its requests to copy volumes, and lets them go while it runs. A namespace
//! that has its own Velero in it would wait for a pod that goes with it.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use kube::discovery::ApiResource;
use kube::{Api, Client, ResourceExt as _};
use kube_stack::{DEADLINE, until};
use serde_json::json;

use crate::kinds;

/// Deletes those of these namespaces that there are, and waits until all are gone.
pub async fn delete(client: &Client, names: &[String]) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for name in names {
        is_going(namespaces.delete(name, &DeleteParams::default()).await)?;
    }
    if names.is_empty() {
        return Ok(());
    }
    let kinds = kinds::of_velero(client).await?;
    for name in names {
        let_go(client, &kinds, name).await?;
    }
    for name in names {
        until_gone(client, &kinds, name)
            .await
            .with_context(|| format!("deleting namespace `{name}`"))?;
    }
    Ok(())
}

/// Somebody else may have deleted it.
pub(crate) fn is_going<T>(deleted: kube::Result<T>) -> kube::Result<()> {
    match deleted {
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
        other => other.map(drop),
    }
}

/// Takes all finalizers off what Velero has in this namespace. None comes back: an object that is being deleted takes
/// no new one.
async fn let_go(client: &Client, kinds: &[ApiResource], namespace: &str) -> Result<()> {
    let none = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    for kind in kinds {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, kind);
        let all = kinds::objects(client, kind, namespace).await?;
        for object in all.iter().filter(|one| !one.finalizers().is_empty()) {
            let name = object.name_any();
            is_going(api.delete(&name, &DeleteParams::default()).await)?;
            is_going(api.patch(&name, &PatchParams::default(), &none).await)?;
        }
    }
    Ok(())
}

async fn until_gone(client: &Client, kinds: &[ApiResource], name: &str) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let mut left = String::new();
    let gone = until("it is gone", DEADLINE, async || {
        match namespaces.get_opt(name).await {
            Ok(None) => return true,
            Ok(Some(namespace)) => left = what_is_left(&namespace),
            Err(error) => left = error.to_string(),
        }
        if left.contains("finalizer") {
            let freed = let_go(client, kinds, name).await;
            left += &freed.map_or_else(|error| format!("; {error:#}"), |()| String::new());
        }
        false
    });
    gone.await.with_context(|| left.clone())
}

/// What the controller of namespaces says of it.
fn what_is_left(namespace: &Namespace) -> String {
    let status = namespace.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let holding = conditions.into_iter().flatten();
    let holding = holding.filter(|condition| condition.status == "True");
    let messages: Vec<_> = holding.filter_map(|one| one.message.as_deref()).collect();
    messages.join("; ")
}
