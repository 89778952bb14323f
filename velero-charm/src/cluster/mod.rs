//! The Kubernetes cluster, as the charm's ServiceAccount may see it.
//!
//! **Invariant:** every request has a time limit and is named in its error, and every write but a
//! deletion is one field manager's. The library's own requests are disallowed in all other rooms
//! (`clippy.toml`).

#![expect(
    clippy::disallowed_methods,
    reason = "this is the room that gives requests a limit and a name"
)]

pub(crate) mod deletion;
pub(crate) mod error;
pub(crate) mod follow;
mod kind;
pub(crate) mod kubelet;
pub(crate) mod managers;
pub(crate) mod owned;
pub(crate) mod quantity;

use std::{collections::BTreeMap, fmt::Debug, future::Future, time::Duration};

use backon::{ExponentialBuilder, Retryable as _};
use http::{Request, header::CONTENT_TYPE};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use kube::{
    Api, Client, Config, Resource, ResourceExt as _,
    api::{
        ApiResource, DeleteParams, DynamicObject, ListParams, NotUsed, Object, ObjectList, Patch,
        PatchParams,
    },
    client::ConfigExt as _,
    core::{NamespaceResourceScope, PartialObjectMeta},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tower::{BoxError, ServiceBuilder};
use tracing::info;

pub(crate) use self::{error::ClusterError, kind::Kind};
use self::{kind::Scope, managers::Former};

/// Who the API server says owns what we applied.
pub(crate) const FIELD_MANAGER: &str = "velero-operator";

/// A healthy API server answers in milliseconds; one that takes this long is not.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a busy one is asked again, so that there is time left to pass on what it says.
const BUSY: Duration = Duration::from_secs(8);

/// A version that no object has. The API server compares it if there is an object, and passes over it if
/// there is none.
const NO_VERSION: &str = "1";

/// As many objects are held at once when some are looked for among many.
const PAGE: u32 = 250;

/// As many are deleted by one request: slow disks take ten milliseconds for each.
const DELETED_AT_ONCE: u32 = 250;

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
    pub(crate) fn dynamic(&self, kind: &Kind) -> Api<DynamicObject> {
        match kind.scope {
            Scope::Cluster => self.everywhere(kind),
            Scope::Namespace => {
                Api::namespaced_with(self.client.clone(), &self.namespace, &kind.resource)
            }
        }
    }

    /// Objects of a kind that is known by name only, in every namespace.
    pub(crate) fn everywhere(&self, kind: &Kind) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &kind.resource)
    }

    /// Objects of a kind in the whole cluster, of which only the spec is read.
    pub(crate) fn specs<K, S>(&self) -> Api<Object<S, NotUsed>>
    where
        K: Resource<DynamicType = ()>,
        S: Clone,
    {
        Api::all_with(self.client.clone(), &ApiResource::erase::<K>(&()))
    }

    /// Reads an object; `None` if it is not there, or its kind is not served.
    pub(crate) async fn get(
        &self,
        kind: &Kind,
        name: &str,
    ) -> Result<Option<DynamicObject>, ClusterError> {
        get(&self.dynamic(kind), &kind.kind, name).await
    }

    /// Reads an object of our namespace whose kind has a type.
    pub(crate) async fn read<K>(&self, name: &str) -> Result<Option<K>, ClusterError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + Debug,
    {
        get(&self.api::<K>(), &K::kind(&()), name).await
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

    /// Makes an object that is not there. One that is there by now stays as it is: that is a conflict.
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
        let kind = Kind::of_object(object);
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let (api, patch) = (self.dynamic(&kind), Patch::Apply(object));
        ask(format!("apply {} `{name}`", kind.kind), || {
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
        let patch = json!({"metadata": {
            // What was written since the object was read must not be lost.
            "resourceVersion": object.resource_version(),
            "managedFields": folded,
            "labels": labels,
        }});
        let (kind, name) = (Kind::of_object(object), object.name_any());
        self.merge(&kind, &name, "take over", patch).await?;
        info!("Took over {} `{name}`.", kind.kind);
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
        let patch = json!({"metadata": {"labels": gone}});
        let (kind, name) = (Kind::of_object(object), object.name_any());
        self.merge(&kind, &name, "take labels off", patch).await
    }

    /// Puts an object's labels on the live one, and leaves all else of it as it is.
    pub(crate) async fn put_labels_on(&self, object: &DynamicObject) -> Result<(), ClusterError> {
        let patch = json!({"metadata": {"labels": object.labels()}});
        let (kind, name) = (Kind::of_object(object), object.name_any());
        self.merge(&kind, &name, "label", patch).await?;
        info!("Labelled {} `{name}`.", kind.kind);
        Ok(())
    }

    /// Changes what an apply cannot: it leaves what nobody owns, as the labels that a webhook has put on.
    /// `doing` says what for.
    pub(crate) async fn merge(
        &self,
        kind: &Kind,
        name: &str,
        doing: &str,
        patch: Value,
    ) -> Result<(), ClusterError> {
        let doing = format!("{doing} {} `{name}`", kind.kind);
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..PatchParams::default()
        };
        let (api, patch) = (self.dynamic(kind), Patch::Merge(patch));
        ask(doing, || api.patch(name, &parameters, &patch))
            .await
            .map(drop)
    }

    /// Deletes an object; one that is not there is fine.
    pub(crate) async fn delete(&self, kind: &Kind, name: &str) -> Result<(), ClusterError> {
        self.delete_with(kind, name, &DeleteParams::background())
            .await
    }

    async fn delete_with(
        &self,
        kind: &Kind,
        name: &str,
        parameters: &DeleteParams,
    ) -> Result<(), ClusterError> {
        let doing = format!("delete {} `{name}`", kind.kind);
        let api = self.dynamic(kind);
        present(ask(doing, || api.delete(name, parameters)).await).map(drop)
    }

    /// Deletes all objects of a kind that carry these labels; a kind that is not there has none. They go page by
    /// page: the API server deletes one after the other, and many would take longer than a request may.
    pub(crate) async fn delete_all(&self, kind: &Kind, labels: &str) -> Result<(), ClusterError> {
        let doing = format!("delete the {} objects", kind.kind);
        let api = self.dynamic(kind);
        let mut select = labelled(labels).limit(DELETED_AT_ONCE);
        loop {
            let page = ask(&doing, || self.delete_page(api.resource_url(), &select)).await;
            let next = present(page)?.and_then(|page| page.metadata.continue_);
            match next.filter(|token| !token.is_empty()) {
                Some(token) => select = select.continue_token(&token),
                None => return Ok(()),
            }
        }
    }

    /// The library's own leaves out the limit.
    async fn delete_page(&self, url: &str, select: &ListParams) -> kube::Result<Page> {
        let query = [
            ("limit", select.limit.map(|limit| limit.to_string())),
            ("labelSelector", select.label_selector.clone()),
            ("continue", select.continue_token.clone()),
        ];
        let query = query.iter().filter_map(|(name, value)| {
            let value = utf8_percent_encode(value.as_deref()?, NON_ALPHANUMERIC);
            Some(format!("{name}={value}"))
        });
        let query: Vec<_> = query.collect();
        let options = serde_json::to_vec(&DeleteParams::background());
        let request = Request::delete(format!("{url}?{}", query.join("&")))
            .header(CONTENT_TYPE, "application/json")
            .body(options.map_err(kube::Error::SerdeError)?)
            .map_err(kube::Error::HttpError)?;
        self.client.request(request).await
    }

    /// Lists what objects of a kind are called and carry, without the rest; a kind that is not there has
    /// none.
    pub(crate) async fn list_metadata<K>(
        &self,
        api: &Api<K>,
        kind: &str,
        labels: &str,
    ) -> Result<Vec<PartialObjectMeta<K>>, ClusterError>
    where
        K: Resource + Clone + DeserializeOwned + Debug,
    {
        self.sift_metadata(api, kind, labels, Some).await
    }

    /// The same, page by page, of which something is kept.
    pub(crate) async fn sift_metadata<K, T>(
        &self,
        api: &Api<K>,
        kind: &str,
        labels: &str,
        keep: impl Fn(PartialObjectMeta<K>) -> Option<T>,
    ) -> Result<Vec<T>, ClusterError>
    where
        K: Resource + Clone + DeserializeOwned + Debug,
    {
        let doing = format!("list the {kind}s");
        let page = async |select: &ListParams| ask(&doing, || api.list_metadata(select)).await;
        Ok(sift(labelled(labels), page, keep).await?.kept)
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

    /// Lists objects of our namespace page by page, reads of each only what a type says, and keeps something of
    /// some of them; a kind that is not there has none.
    pub(crate) async fn glean<O, T>(
        &self,
        kind: &Kind,
        parameters: ListParams,
        keep: impl Fn(O) -> Option<T>,
    ) -> Result<Vec<T>, ClusterError>
    where
        O: Clone + DeserializeOwned,
    {
        let page = async |select: &ListParams| self.page(kind, select).await;
        Ok(sift(parameters, page, keep).await?.kept)
    }

    /// The first page of such a list.
    pub(crate) async fn first<O>(
        &self,
        kind: &Kind,
        select: ListParams,
    ) -> Result<Vec<O>, ClusterError>
    where
        O: Clone + DeserializeOwned,
    {
        let page = present(self.page(kind, &select).await)?;
        Ok(page.map(|page| page.items).unwrap_or_default())
    }

    async fn page<O>(&self, kind: &Kind, select: &ListParams) -> Result<ObjectList<O>, ClusterError>
    where
        O: Clone + DeserializeOwned,
    {
        let api = self.dynamic(kind);
        let one = async || {
            let request = kube::core::Request::new(api.resource_url()).list(select);
            let request = request.map_err(kube::Error::BuildRequest)?;
            self.client.request(request).await
        };
        ask(format!("list {}", plural(&api)), one).await
    }

    /// Lists objects page by page and keeps something of some of them; a kind that is not there has none.
    pub(crate) async fn sift<K, T>(
        &self,
        api: &Api<K>,
        parameters: ListParams,
        keep: impl Fn(K) -> Option<T>,
    ) -> Result<Vec<T>, ClusterError>
    where
        K: Resource + Clone + DeserializeOwned + Debug,
    {
        Ok(sift_listed(api, parameters, keep).await?.kept)
    }
}

/// As much of a list as tells whether there is more.
#[derive(Debug, Deserialize)]
struct Page {
    metadata: ListMeta,
}

/// What was kept of a list, and the version of that list.
struct Sifted<T> {
    kept: Vec<T>,
    version: String,
}

async fn sift_listed<K, T>(
    api: &Api<K>,
    parameters: ListParams,
    keep: impl Fn(K) -> Option<T>,
) -> Result<Sifted<T>, ClusterError>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let doing = format!("list {}", plural(api));
    let page = async |select: &ListParams| ask(&doing, || api.list(select)).await;
    sift(parameters, page, keep).await
}

async fn sift<O: Clone, T>(
    mut parameters: ListParams,
    page: impl AsyncFn(&ListParams) -> Result<ObjectList<O>, ClusterError>,
    keep: impl Fn(O) -> Option<T>,
) -> Result<Sifted<T>, ClusterError> {
    parameters.limit.get_or_insert(PAGE);
    let (mut kept, mut version) = (Vec::new(), String::new());
    while let Some(page) = present(page(&parameters).await)? {
        kept.extend(page.items.into_iter().filter_map(&keep));
        version = page.metadata.resource_version.unwrap_or_default();
        match page.metadata.continue_ {
            Some(next) if !next.is_empty() => parameters = parameters.continue_token(&next),
            _ => break,
        }
    }
    Ok(Sifted { kept, version })
}

/// Keeps the objects of which this holds.
pub(crate) fn those<K>(hold: impl Fn(&K) -> bool) -> impl Fn(K) -> Option<K> {
    move |object| hold(&object).then_some(object)
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

/// All objects, or those with these labels.
fn labelled(labels: &str) -> ListParams {
    ListParams {
        label_selector: Some(labels.to_owned()).filter(|labels| !labels.is_empty()),
        ..ListParams::default()
    }
}

async fn get<K>(api: &Api<K>, kind: &str, name: &str) -> Result<Option<K>, ClusterError>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    present(ask(format!("read {kind} `{name}`"), || api.get(name)).await)
}

/// What an API's objects are called in its addresses.
pub(super) fn plural<K: Resource>(api: &Api<K>) -> String {
    let url = api.resource_url();
    let name = url.rsplit('/').next().unwrap_or(url);
    format!("`{name}`")
}

/// Sends a request, again if the API server is too busy for it, under the time limit. Right after a
/// CRD was made, the API server answers so for a moment too.
async fn ask<T, F>(doing: impl Into<String>, request: impl FnMut() -> F) -> Result<T, ClusterError>
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
