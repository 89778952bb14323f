//! The Kubernetes side of a model: its namespace, and what Juju makes for each application.
//!
//! Invariant: a charm gets the rights that Juju gives it with trust or without, and never the admin's.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::labels::{self, of_model};
use super::model::Model;
use super::operations::uuid;
use super::paths::UnitPaths;

/// The id of the controller.
const CONTROLLER: &str = "5eedf00d-0bad-400d-8000-c0117201c0de";

/// How the objects begin that each `secret-get` makes.
pub const SECRET_CONSUMER: &str = "juju-secret-consumer-";

/// How long the API server may take to judge by what was just written.
const TAKEN_UP_WITHIN: Duration = Duration::from_mins(1);

/// A cluster, seen with an admin's eyes, and where pods find it.
#[derive(Clone)]
pub struct Cluster {
    /// An admin's client.
    pub client: Client,
    /// The API server's address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The file with its CA certificate.
    pub ca: PathBuf,
}

/// Whether an application may do everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// `juju trust`.
    Given,
    /// Not, or taken back.
    Withheld,
}

/// Whether the API server accepts a pod's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// It does.
    Valid,
    /// Not any more: the pod was deleted by force, though its containers still run.
    Void,
}

impl From<bool> for Trust {
    fn from(trusted: bool) -> Self {
        if trusted { Self::Given } else { Self::Withheld }
    }
}

impl Cluster {
    /// The variables by which a pod finds it, of those that an agent hands on.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let Self { host, port, .. } = self;
        let mut all = vec![
            ("KUBERNETES_PORT".to_owned(), format!("tcp://{host}:{port}")),
            ("KUBERNETES_SERVICE_HOST".to_owned(), host.clone()),
            ("KUBERNETES_SERVICE_PORT".to_owned(), port.to_string()),
            ("KUBERNETES_SERVICE_PORT_HTTPS".to_owned(), port.to_string()),
        ];
        // The names hold the number; an agent hands on those of 443 alone.
        if *port == 443 {
            let values = [
                ("", format!("tcp://{host}:443")),
                ("_ADDR", host.clone()),
                ("_PORT", "443".to_owned()),
                ("_PROTO", "tcp".to_owned()),
            ];
            let named = |(end, value)| (format!("KUBERNETES_PORT_443_TCP{end}"), value);
            all.extend(values.map(named));
        }
        all
    }

    /// Makes the model's namespace.
    pub(crate) async fn ensure_model(&self, model: &Model) -> Result<()> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let body = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": model.name,
                "labels": of_model(model),
                "annotations": {
                    "controller.juju.is/id": CONTROLLER,
                    "model.juju.is/id": model.uuid,
                },
            },
        });
        apply(&api, &model.name, body).await?;
        for (resource, name, body) in labels::policy(model) {
            let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
            apply(&api, &name, body).await?;
        }
        Ok(())
    }

    /// The Kubernetes version, as a charm is given it.
    pub(crate) async fn version(&self) -> Result<String> {
        let version = self.client.apiserver_version().await?.git_version;
        let version = version.trim_start_matches('v');
        // Juju drops the patch.
        let minor: Vec<_> = version.split('.').take(2).collect();
        Ok(format!("{}.0", minor.join(".")))
    }

    /// Makes an application's service account and roles, or brings its roles up to its trust.
    pub(crate) async fn ensure_application(
        &self,
        model: &Model,
        app: &str,
        trust: Trust,
    ) -> Result<()> {
        let (space, wide) = (&model.name, format!("{}-{app}", model.name));
        let client = || self.client.clone();
        let of = |kind, name, more| object(model, app, kind, name, more);
        let account: Api<ServiceAccount> = Api::namespaced(client(), space);
        let body = of(
            "ServiceAccount",
            app,
            json!({"automountServiceAccountToken": false}),
        );
        apply(&account, app, body).await?;
        let role: Api<Role> = Api::namespaced(client(), space);
        let rules = json!({"rules": role_rules(space, trust)});
        apply(&role, app, of("Role", app, rules)).await?;
        let bound: Api<RoleBinding> = Api::namespaced(client(), space);
        apply(
            &bound,
            app,
            of("RoleBinding", app, binding(space, app, "Role", app)),
        )
        .await?;
        let role: Api<ClusterRole> = Api::all(client());
        let rules = json!({"rules": cluster_role_rules(trust)});
        apply(&role, &wide, of("ClusterRole", &wide, rules)).await?;
        let bound: Api<ClusterRoleBinding> = Api::all(client());
        let body = binding(space, app, "ClusterRole", &wide);
        apply(&bound, &wide, of("ClusterRoleBinding", &wide, body)).await?;
        self.in_force(space, app, trust).await?;
        match trust {
            Trust::Given => self.labelled(model, app).await,
            // It can make nothing that would be labelled.
            Trust::Withheld => Ok(()),
        }
    }

    /// Waits until the API server labels what the application makes.
    async fn labelled(&self, model: &Model, app: &str) -> Result<()> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &model.name);
        let uid = accounts.get(app).await?.metadata.uid.unwrap_or_default();
        let asked = async {
            while !labels::in_force(&self.client, model, app, &uid).await? {
                tokio::time::sleep(Duration::from_millis(60)).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(TAKEN_UP_WITHIN, asked)
            .await
            .context("the API server does not take the policy of labels up")?
    }

    /// Waits until the API server judges by the roles just written: it learns of them by a watch of
    /// its own, a moment later, and no hook is to run into that moment.
    async fn in_force(&self, space: &str, app: &str, trust: Trust) -> Result<()> {
        let reviews: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(format!("system:serviceaccount:{space}:{app}")),
                resource_attributes: Some(ResourceAttributes {
                    verb: Some("delete".to_owned()),
                    group: Some("*".to_owned()),
                    resource: Some("*".to_owned()),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let wanted = trust == Trust::Given;
        let asked = async {
            loop {
                let answer = reviews.create(&PostParams::default(), &review).await?;
                if answer.status.is_some_and(|status| status.allowed == wanted) {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(TAKEN_UP_WITHIN, asked)
            .await
            .context("the API server does not take the roles up")?
    }

    /// Takes away what the application has made and Juju has labelled, and then what
    /// [`Cluster::ensure_application`] made.
    pub(crate) async fn remove_application(&self, model: &Model, app: &str) -> Result<()> {
        labels::sweep(&self.client, model, app).await?;
        self.remove_roles(model, app).await?;
        delete::<ServiceAccount>(&Api::namespaced(self.client.clone(), &model.name), app).await
    }

    /// Takes away an application's rights and leaves it its account.
    pub(crate) async fn remove_roles(&self, model: &Model, app: &str) -> Result<()> {
        let (space, wide) = (&model.name, format!("{}-{app}", model.name));
        let client = || self.client.clone();
        delete::<RoleBinding>(&Api::namespaced(client(), space), app).await?;
        delete::<Role>(&Api::namespaced(client(), space), app).await?;
        delete::<ClusterRoleBinding>(&Api::all(client()), &wide).await?;
        delete::<ClusterRole>(&Api::all(client()), &wide).await
    }

    /// Takes away the model's namespace and policy; the namespace goes by and by.
    pub(crate) async fn remove_model(&self, model: &Model) -> Result<()> {
        withdraw_policy(&self.client, &model.name).await?;
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        match namespaces
            .delete(&model.name, &DeleteParams::default())
            .await
        {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            other => other.map(drop).context("deleting the model's namespace"),
        }
    }

    /// What each `secret-get` makes to read the secret, and nothing ever removes.
    pub(crate) async fn leave_secret_consumer(&self, space: &str) -> Result<()> {
        let name = format!("{SECRET_CONSUMER}{}", uuid()?);
        let head = |version: &str, kind: &str| {
            json!({
                "apiVersion": version,
                "kind": kind,
                "metadata": {
                    "name": name,
                    "namespace": space,
                    "labels": {"app.kubernetes.io/managed-by": "juju"},
                },
            })
        };
        let client = || self.client.clone();
        let accounts: Api<ServiceAccount> = Api::namespaced(client(), space);
        apply(&accounts, &name, head("v1", "ServiceAccount")).await?;
        let rights = "rbac.authorization.k8s.io/v1";
        let roles: Api<Role> = Api::namespaced(client(), space);
        let mut role = head(rights, "Role");
        role["rules"] = json!([
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": [name]},
        ]);
        apply(&roles, &name, role).await?;
        let bindings: Api<RoleBinding> = Api::namespaced(client(), space);
        let mut bound = head(rights, "RoleBinding");
        if let (Some(bound), Value::Object(more)) =
            (bound.as_object_mut(), binding(space, &name, "Role", &name))
        {
            bound.extend(more);
        }
        apply(&bindings, &name, bound).await
    }

    /// How many of these there are in a namespace: of each kind as many.
    pub async fn secret_consumers(&self, space: &str) -> Result<usize> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), space);
        let all = accounts.list_metadata(&ListParams::default()).await?;
        let named = all
            .items
            .iter()
            .filter_map(|one| one.metadata.name.as_ref());
        Ok(named
            .filter(|name| name.starts_with(SECRET_CONSUMER))
            .count())
    }

    /// Writes a unit's service-account files, with a fresh token.
    pub(crate) async fn write_account(
        &self,
        model: &Model,
        app: &str,
        paths: &UnitPaths,
        standing: Token,
    ) -> Result<()> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &model.name);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: Some(24 * 3600),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(app, &PostParams::default(), &request)
            .await?;
        let token = answer
            .status
            .context("a token request without an answer")?
            .token;
        let token = match standing {
            Token::Valid => token,
            // Its signature fits no more, as if its pod were gone.
            Token::Void => token.chars().rev().collect(),
        };
        fs::create_dir_all(&paths.service_account)?;
        fs::write(paths.service_account.join("token"), token)?;
        fs::write(paths.service_account.join("namespace"), &model.name)?;
        fs::copy(&self.ca, paths.service_account.join("ca.crt"))?;
        Ok(())
    }
}

/// Takes the policy of labels of the model of this name away: what its applications make is labelled no more.
///
/// The API server asks each policy about each request, so one of a model that nobody looks at any more costs all others.
/// One that is gone already is no error.
pub async fn withdraw_policy(client: &Client, model: &str) -> Result<()> {
    for (kind, name) in labels::policy_names(model).into_iter().rev() {
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
        delete(&api, &name).await?;
    }
    Ok(())
}

/// An object of an application: its head, and `more`.
fn object(model: &Model, app: &str, kind: &str, name: &str, more: Value) -> Value {
    let version = if kind == "ServiceAccount" {
        "v1"
    } else {
        "rbac.authorization.k8s.io/v1"
    };
    let mut object = json!({
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "labels": of_model(model)},
    });
    object["metadata"]["labels"]["app.kubernetes.io/name"] = Value::from(app);
    if !kind.starts_with("Cluster") {
        object["metadata"]["namespace"] = Value::from(model.name.as_str());
    }
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
    object
}

fn binding(namespace: &str, app: &str, kind: &str, role: &str) -> Value {
    json!({
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": app, "namespace": namespace}],
    })
}

fn role_rules(namespace: &str, trust: Trust) -> Value {
    match trust {
        Trust::Given => everything(),
        Trust::Withheld => json!([
            {
                "apiGroups": [""],
                "resources": ["namespaces"],
                "verbs": ["get", "list"],
                "resourceNames": [namespace],
            },
            {
                "apiGroups": [""],
                "resources": ["pods", "services"],
                "verbs": ["get", "list", "patch"],
            },
            {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]},
        ]),
    }
}

fn cluster_role_rules(trust: Trust) -> Value {
    match trust {
        Trust::Given => everything(),
        Trust::Withheld => json!([
            {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list"]},
        ]),
    }
}

fn everything() -> Value {
    json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}])
}

async fn apply<K>(api: &Api<K>, name: &str, body: Value) -> Result<()>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    let how = PatchParams::apply("juju").force();
    api.patch(name, &how, &Patch::Apply(body))
        .await
        .map(drop)
        .with_context(|| name.to_owned())
}

async fn delete<K>(api: &Api<K>, name: &str) -> Result<()>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    match api.delete(name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop).with_context(|| name.to_owned()),
    }
}
