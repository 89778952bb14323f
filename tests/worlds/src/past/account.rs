//! Writing as somebody else does: with an application's account, under a field manager of choice.
//!
//! Invariant: the API server and Juju's admission take it for that application.

use anyhow::{Context as _, Result};
use juju_emulator::{Cluster, Juju};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;

/// Kinds that live outside namespaces, of those that Velero's manifests have.
const CLUSTER_SCOPED: [&str; 2] = ["ClusterRoleBinding", "CustomResourceDefinition"];

/// A client of this application.
pub(super) async fn client(juju: &Juju, app: &str) -> Result<Client> {
    let cluster = juju.cluster().context("the model is on no cluster")?;
    let accounts = Api::<ServiceAccount>::namespaced(cluster.client.clone(), &juju.model().name);
    let request = TokenRequest {
        spec: TokenRequestSpec::default(),
        ..TokenRequest::default()
    };
    let answer = accounts
        .create_token_request(app, &PostParams::default(), &request)
        .await?;
    let token = answer.status.context("a token request without an answer")?;
    let Cluster { host, port, ca, .. } = cluster;
    let config: Kubeconfig = serde_json::from_value(json!({
        "clusters": [{"name": "here", "cluster": {
            "server": format!("https://{host}:{port}"), "certificate-authority": ca,
        }}],
        "users": [{"name": "app", "user": {"token": token.token}}],
        "contexts": [{"name": "app", "context": {"cluster": "here", "user": "app"}}],
        "current-context": "app",
    }))?;
    let config =
        kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

/// The API for an object, by its own word.
pub(super) fn api_of(
    client: &Client,
    object: &DynamicObject,
    namespace: &str,
) -> Api<DynamicObject> {
    let types = object.types.clone().unwrap_or_default();
    let (group, version) = types
        .api_version
        .split_once('/')
        .unwrap_or(("", &types.api_version));
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &types.kind));
    if CLUSTER_SCOPED.contains(&types.kind.as_str()) {
        Api::all_with(client.clone(), &kind)
    } else {
        Api::namespaced_with(client.clone(), namespace, &kind)
    }
}

/// Creates an object unless it is there, as one who calls itself `manager`.
pub(super) async fn create(
    client: &Client,
    object: &DynamicObject,
    namespace: &str,
    manager: &str,
) -> Result<()> {
    let how = PostParams {
        field_manager: Some(manager.to_owned()),
        ..PostParams::default()
    };
    match api_of(client, object, namespace).create(&how, object).await {
        Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => Ok(()),
        other => other
            .map(drop)
            .with_context(|| format!("creating `{}`", object.name_any())),
    }
}
