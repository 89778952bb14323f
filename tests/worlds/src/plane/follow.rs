//! Following objects of the cluster, for the stand-ins and for who measures.
//!
//! Invariant: each object is handed on when it is there and after each change, over every break of a
//! watch; the receiver can get it twice.

use std::fmt::Debug;

use futures::StreamExt as _;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, WatchEvent, WatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Duration, sleep};

/// Between the end of a watch and the next one.
const PAUSE: Duration = Duration::from_millis(10);

/// Follows a kind that is always served.
pub async fn follow<K, T>(
    api: Api<K>,
    params: WatchParams,
    inbox: UnboundedSender<T>,
    turn: impl Fn(K) -> Option<T>,
) where
    K: Clone + Debug + DeserializeOwned,
{
    loop {
        one_watch(&api, &params, &inbox, &turn).await;
        sleep(PAUSE).await;
    }
}

/// Follows one of Velero's kinds, while its definition is there.
pub async fn follow_custom<T>(
    client: Client,
    kind: &str,
    inbox: UnboundedSender<T>,
    turn: impl Fn(DynamicObject) -> Option<T>,
) {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("velero.io", "v1", kind));
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    loop {
        until_served(&client, &format!("{}.velero.io", resource.plural)).await;
        one_watch(&api, &WatchParams::default(), &inbox, &turn).await;
        sleep(PAUSE).await;
    }
}

async fn one_watch<K, T>(
    api: &Api<K>,
    params: &WatchParams,
    inbox: &UnboundedSender<T>,
    turn: &impl Fn(K) -> Option<T>,
) where
    K: Clone + Debug + DeserializeOwned,
{
    // From version 0 a watch begins with all that is there.
    let Ok(events) = api.watch(params, "0").await else {
        return;
    };
    let mut events = events.boxed();
    while let Some(Ok(event)) = events.next().await {
        if let WatchEvent::Added(object) | WatchEvent::Modified(object) = event
            && let Some(turned) = turn(object)
        {
            // Nobody listens once they have ended.
            let _ = inbox.send(turned);
        }
    }
}

async fn until_served(client: &Client, definition: &str) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let only = WatchParams::default().fields(&format!("metadata.name={definition}"));
    loop {
        if let Ok(events) = api.watch(&only, "0").await {
            let mut events = events.boxed();
            while let Some(Ok(event)) = events.next().await {
                if let WatchEvent::Added(found) | WatchEvent::Modified(found) = event
                    && is_served(&found)
                {
                    return;
                }
            }
        }
        sleep(PAUSE).await;
    }
}

fn is_served(definition: &CustomResourceDefinition) -> bool {
    let conditions = definition.status.iter().flat_map(|s| &s.conditions);
    definition.metadata.deletion_timestamp.is_none()
        && conditions
            .flatten()
            .any(|one| one.type_ == "Established" && one.status == "True")
}
