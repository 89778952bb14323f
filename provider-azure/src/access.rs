//! What Velero shows to Azure: the storage account's key, a service principal, or nothing where Azure knows its pods.
//!
//! **Invariant:** the credential file says exactly what the integrators sent, or is not made. A service
//! principal that is related is used as a whole or refused as a whole; the key never stands in for it.

use provider_api::{
    Credential, Facts, Problem, Problems, RelationData, all,
    secrecy::{ExposeSecret as _, SecretString},
};

use crate::{
    CLIENT_ID, CLIENT_SECRET, SECRET_KEY, TENANT_ID,
    dotenv::{self, Quoted},
    endpoint::Cloud,
    nodes::{NodeGroup, is_name},
};

/// What the key is called in the file. The location names it.
pub(crate) const KEY_VARIABLE: &str = "AZURE_STORAGE_ACCOUNT_ACCESS_KEY";

/// The same for the secrets of a principal.
const CLIENT_ID_VARIABLE: &str = "AZURE_CLIENT_ID";
const CLIENT_SECRET_VARIABLE: &str = "AZURE_CLIENT_SECRET";

/// What of the file is secret. The rest names places.
pub(crate) const SECRETS: [&str; 3] = [KEY_VARIABLE, CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE];

const KEY_HINT: &str = "set the account key in {azure-storage}";

const PRINCIPAL_HINT: &str = "set the service principal in {azure-service-principal}";

/// One of these.
pub(crate) enum Access {
    Key(Quoted),
    Principal(Principal),
    /// That of its pods.
    Identity,
}

/// A service principal, and the nodes whose disks it is to snapshot, if any are in Azure.
pub(crate) struct Principal {
    client_id: Quoted,
    client_secret: Quoted,
    tenant: String,
    pub(crate) nodes: Option<NodeGroup>,
}

impl Access {
    pub(crate) fn key(data: &RelationData) -> Result<Self, Problem> {
        secret(data, SECRET_KEY, KEY_HINT).map(Self::Key)
    }

    pub(crate) fn principal(data: &RelationData, facts: &Facts) -> Result<Self, Problems> {
        let (client_id, client_secret, tenant) = all!(
            secret(data, CLIENT_ID, PRINCIPAL_HINT),
            secret(data, CLIENT_SECRET, PRINCIPAL_HINT),
            tenant(data),
        )?;
        Ok(Self::Principal(Principal {
            client_id,
            client_secret,
            tenant,
            nodes: NodeGroup::find(facts),
        }))
    }

    pub(crate) fn credential(&self, cloud: &Cloud) -> Credential {
        let file = self.file(cloud);
        match self {
            Self::Key(_) | Self::Principal(_) => Credential::Keys(file),
            Self::Identity => Credential::OfPods { file: Some(file) },
        }
    }

    /// It names the cloud in any case.
    fn file(&self, cloud: &Cloud) -> SecretString {
        match self {
            Self::Identity => dotenv::file(&[("AZURE_CLOUD_NAME", cloud.name)]),
            Self::Key(key) => dotenv::file(&[
                (KEY_VARIABLE, key.expose()),
                ("AZURE_CLOUD_NAME", cloud.name),
            ]),
            Self::Principal(principal) => {
                let nodes = principal.nodes.as_ref();
                let lines = [
                    // Velero takes this one and the group below for those of the disks.
                    (
                        "AZURE_SUBSCRIPTION_ID",
                        nodes.map(|nodes| nodes.subscription.as_str()),
                    ),
                    ("AZURE_TENANT_ID", Some(principal.tenant.as_str())),
                    (CLIENT_ID_VARIABLE, Some(principal.client_id.expose())),
                    (
                        CLIENT_SECRET_VARIABLE,
                        Some(principal.client_secret.expose()),
                    ),
                    (
                        "AZURE_RESOURCE_GROUP",
                        nodes.map(|nodes| nodes.resource_group.as_str()),
                    ),
                    ("AZURE_CLOUD_NAME", Some(cloud.name)),
                ];
                let known = lines
                    .into_iter()
                    .filter_map(|(name, value)| Some((name, value?)));
                dotenv::file(&known.collect::<Vec<_>>())
            }
        }
    }
}

fn secret(data: &RelationData, field: &str, hint: &str) -> Result<Quoted, Problem> {
    let secret = data.required_secret(field, hint)?;
    Quoted::new(secret.expose_secret()).ok_or_else(|| {
        let reason = "cannot be written to Velero's credential file (it mixes quotes with other quotes, `#`, \
                      `$`, backslashes or line ends, or is too long)";
        Problem::invalid(field, reason, "regenerate it in Azure")
    })
}

fn tenant(data: &RelationData) -> Result<String, Problem> {
    let hint = "set `tenant-id` in {azure-service-principal}";
    let name = data.required(TENANT_ID, hint)?;
    if !is_name(name) {
        return Err(Problem::invalid(TENANT_ID, "is not an Azure ID", hint));
    }
    Ok(name.into())
}
