//! The Kubernetes cluster, as the charm's ServiceAccount may see it.
//!
//! **Invariant:** every request has a time limit and is named in its error; every write is a
//! server-side apply under one field manager, or a deletion.

pub(crate) mod error;
pub(crate) mod follow;
pub(crate) mod managers;
pub(crate) mod owned;

use std::{collections::BTreeMap, fmt::Debug, future::Future, time::Duration};

use backon::{ExponentialBuilder, Retryable as _};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, Client, Config, Resource, ResourceExt as _,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, ObjectList, Patch, PatchParams},
    client::ConfigExt as _,
    core::{GroupVersionKind, NamespaceResourceScope},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tower::{BoxError, ServiceBuilder};
use tracing::info;

pub(crate) use self::error::ClusterError;
use self::managers::Former;

/// Who the API server says owns what we applied.
pub(crate) const FIELD_MANAGER: &str = "velero-operator";

/// A healthy API server answers in milliseconds; one that takes this long is not.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a busy one is asked again, so that there is time left to pass on what it says.
const BUSY: Duration = Duration::from_secs(8);

/// A version that no object has. The API server compares it if there is an object, and passes over it if
/// there is none.
const NO_VERSION: &str = "1";

/// As many whole objects are held at once when one is looked for among many.
const PAGE: u32 = 100;

/// Kinds that live outside namespaces, of those that the charm handles.
const CLUSTER_SCOPED: [&str; 3] = [
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "Namespace",
];

/// A connection, and the namespace that the charm's pod is in.
#[derive(Clone)]
pub(crate) struct Cluster {
    client: Client,
    namespace: String,
}

impl Cluster {
    /// Takes up the pod's ServiceAccount. Sends nothing yet.
    pub(crate) fn connect() -> Result<Self, ClusterError> {
        let config = Config::incluster_env().map_err(ClusterError::no_account)?;
        let client = client(&config).map_err(|e| ClusterError::request("connect", e))?;
        let namespace = config.default_namespace;
        Ok(Self { client, namespace })
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Objects of a kind in our namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Objects of a kind in a namespace that need not be ours.
    pub(crate) fn within<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Objects of a kind in the whole cluster.
    pub(crate) fn all<K: Resource<DynamicType = ()>>(&self) -> Api<K> {
        Api::all(self.client.clone())
    }

    /// Objects of a kind that is known by name only, in our namespace or outside of all.
    pub(crate) fn dynamic(&self, resource: &ApiResource) -> Api<DynamicObject> {
        if CLUSTER_SCOPED.contains(&resource.kind.as_str()) {
            Api::all_with(self.client.clone(), resource)
        } else {
            Api::namespaced_with(self.client.clone(), &self.namespace, resource)
        }
    }

    /// Objects of a kind that is known by name only, in every namespace.
    pub(crate) fn everywhere(&self, resource: &ApiResource) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), resource)
    }

    /// Makes the object of this uid what we say it is, as far as we say it.
    pub(crate) async fn apply(
        &self,
        object: &DynamicObject,
        uid: &str,
    ) -> Result<DynamicObject, ClusterError> {
        let mut object = object.clone();
        object.metadata.uid = Some(uid.to_owned());
        self.send(&object).await
    }

    /// Makes an object that is not there. One that is there by now stays as it is, whoever made it: that
    /// is a conflict.
    pub(crate) async fn create(
        &self,
        object: &DynamicObject,
    ) -> Result<DynamicObject, ClusterError> {
        let mut object = object.clone();
        object.metadata.resource_version = Some(NO_VERSION.to_owned());
        self.send(&object).await
    }

    async fn send(&self, object: &DynamicObject) -> Result<DynamicObject, ClusterError> {
        let name = object.name_any();
        let resource = resource_of(object);
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let (api, patch) = (self.dynamic(&resource), Patch::Apply(object));
        ask(format!("apply {} `{name}`", resource.kind), || {
            api.patch(&name, &parameters, &patch)
        })
        .await
    }

    /// Makes ours what former managers own of an object, and labels it.
    pub(crate) async fn take_over(
        &self,
        object: &DynamicObject,
        former: &Former<'_>,
        labels: &BTreeMap<String, String>,
    ) -> Result<(), ClusterError> {
        let Some(folded) = former.fold(object.managed_fields()) else {
            return Ok(());
        };
        let patch = Patch::Merge(json!({"metadata": {
            // What was written since the object was read must not be lost.
            "resourceVersion": object.resource_version(),
            "managedFields": folded,
            "labels": labels,
        }}));
        let (resource, name) = (resource_of(object), object.name_any());
        let api = self.dynamic(&resource);
        let doing = format!("take over {} `{name}`", resource.kind);
        let parameters = as_ourselves();
        ask(doing, || api.patch(&name, &parameters, &patch)).await?;
        info!("Took over {} `{name}`.", resource.kind);
        Ok(())
    }

    /// Takes labels off an object. An apply leaves what nobody owns, as labels put on by a webhook are.
    pub(crate) async fn take_off(
        &self,
        object: &DynamicObject,
        labels: &[&str],
    ) -> Result<(), ClusterError> {
        let there = labels
            .iter()
            .filter(|label| object.labels().contains_key(**label));
        let gone: BTreeMap<_, Value> = there.map(|label| (*label, Value::Null)).collect();
        if gone.is_empty() {
            return Ok(());
        }
        let patch = Patch::Merge(json!({"metadata": {"labels": gone}}));
        let (resource, name) = (resource_of(object), object.name_any());
        let (api, parameters) = (self.dynamic(&resource), as_ourselves());
        let doing = format!("take labels off {} `{name}`", resource.kind);
        ask(doing, || api.patch(&name, &parameters, &patch))
            .await
            .map(drop)
    }

    /// Puts an object's labels on the live one, and leaves all else of it as it is.
    pub(crate) async fn put_labels_on(&self, object: &DynamicObject) -> Result<(), ClusterError> {
        let patch = Patch::Merge(json!({"metadata": {"labels": object.labels()}}));
        let (resource, name) = (resource_of(object), object.name_any());
        let (api, parameters) = (self.dynamic(&resource), as_ourselves());
        let doing = format!("label {} `{name}`", resource.kind);
        ask(doing, || api.patch(&name, &parameters, &patch)).await?;
        info!("Labelled {} `{name}`.", resource.kind);
        Ok(())
    }

    /// Lets a Deployment's pods be replaced all at once. An apply cannot: the settings of the other way
    /// are nobody's, so it leaves them, and the API server refuses both together.
    pub(crate) async fn stop_rolling(&self, name: &str) -> Result<(), ClusterError> {
        let strategy = json!({"type": "Recreate", "rollingUpdate": null});
        let patch = Patch::Merge(json!({"spec": {"strategy": strategy}}));
        let (api, parameters) = (self.api::<Deployment>(), as_ourselves());
        let doing = format!("change the strategy of Deployment `{name}`");
        ask(doing, || api.patch(name, &parameters, &patch))
            .await
            .map(drop)
    }

    /// Deletes an object; one that is not there is fine.
    pub(crate) async fn delete(
        &self,
        resource: &ApiResource,
        name: &str,
        parameters: &DeleteParams,
    ) -> Result<(), ClusterError> {
        let doing = format!("delete {} `{name}`", resource.kind);
        let api = self.dynamic(resource);
        present(ask(doing, || api.delete(name, parameters)).await).map(drop)
    }

    /// Lists objects; a kind that is not there has none.
    pub(crate) async fn list<K>(
        &self,
        api: &Api<K>,
        parameters: &ListParams,
    ) -> Result<Vec<K>, ClusterError>
    where
        K: Resource + Clone + DeserializeOwned + Debug,
    {
        Ok(present(list(api, parameters).await)?
            .map(|list| list.items)
            .unwrap_or_default())
    }

    /// Lists objects page by page and keeps some of them; a kind that is not there has none.
    pub(crate) async fn sift<K>(
        &self,
        api: &Api<K>,
        parameters: ListParams,
        is_kept: impl Fn(&K) -> bool,
    ) -> Result<Vec<K>, ClusterError>
    where
        K: Resource + Clone + DeserializeOwned + Debug,
    {
        let mut parameters = parameters.limit(PAGE);
        let mut kept = Vec::new();
        while let Some(page) = present(list(api, &parameters).await)? {
            kept.extend(page.items.into_iter().filter(&is_kept));
            match page.metadata.continue_ {
                Some(next) if !next.is_empty() => parameters = parameters.continue_token(&next),
                _ => break,
            }
        }
        Ok(kept)
    }
}

/// The library's own speaks HTTP/1.1 only, where reads that go side by side need a connection each. It
/// would hold small writes back until those before are acknowledged, which makes each connection but the
/// first one begin with 40 ms of silence. And its retries can keep a hook silent for minutes, where the
/// next hook is our retry.
fn client(config: &Config) -> kube::Result<Client> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(REQUEST_TIMEOUT));
    let tls = HttpsConnectorBuilder::new()
        .with_tls_config(config.rustls_client_config()?)
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(tcp);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .map_err(BoxError::from)
        .service(legacy::Client::builder(TokioExecutor::new()).build(tls));
    Ok(Client::new(service, config.default_namespace.clone()))
}

fn as_ourselves() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PatchParams::default()
    }
}

/// Lists objects, with the version of the list.
pub(crate) async fn list<K>(
    api: &Api<K>,
    parameters: &ListParams,
) -> Result<ObjectList<K>, ClusterError>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    ask(format!("list {}", plural(api)), || api.list(parameters)).await
}

/// What an API's objects are called in its addresses.
pub(super) fn plural<K: Resource>(api: &Api<K>) -> String {
    let url = api.resource_url();
    let name = url.rsplit('/').next().unwrap_or(url);
    format!("`{name}`")
}

/// Sends a request, again if the API server is too busy for it, under the time limit. Right after a
/// CRD was made, the API server answers so for a moment too.
pub(crate) async fn ask<T, F>(
    doing: impl Into<String>,
    request: impl FnMut() -> F,
) -> Result<T, ClusterError>
where
    F: Future<Output = kube::Result<T>>,
{
    let pauses = ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(1))
        .with_total_delay(Some(BUSY))
        .without_max_times();
    let mut said = None;
    let asked = request
        .retry(pauses)
        .when(error::is_busy)
        .notify(|error, _| said = error::word(error));
    match (tokio::time::timeout(REQUEST_TIMEOUT, asked).await, said) {
        (Ok(answer), _) => answer.map_err(|error| ClusterError::request(doing, error)),
        // It has said why before it fell silent.
        (Err(_), Some(word)) => Err(ClusterError::request(doing, word)),
        (Err(_), None) => Err(ClusterError::silent(doing)),
    }
}

/// "Not there" as an answer instead of an error.
pub(crate) fn present<T>(answer: Result<T, ClusterError>) -> Result<Option<T>, ClusterError> {
    match answer {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// How the API server names the kind of an object.
pub(crate) fn resource_of(object: &DynamicObject) -> ApiResource {
    let types = object.types.clone().unwrap_or_default();
    let (group, version) = types
        .api_version
        .split_once('/')
        .unwrap_or(("", &types.api_version));
    resource(group, version, &types.kind)
}

/// How the API server names a kind.
pub(crate) fn resource(group: &str, version: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}
