//! What Velero shows to Azure: the storage account's key, or a service principal.
//!
//! **Invariant:** the credential file says exactly what the integrators sent, or is not made. A service
//! principal that is related is used as a whole or refused as a whole; the key never stands in for it.

use provider_api::{
    Facts, Problem, Problems, RelationData, all,
    secrecy::{ExposeSecret as _, SecretString},
};

use crate::{
    CLIENT_ID, CLIENT_SECRET, PRINCIPAL_ENDPOINT, SECRET_KEY, SUBSCRIPTION_ID, TENANT_ID,
    dotenv::{self, Quoted},
    endpoint::Cloud,
    nodes::{NodeGroup, is_name},
};

/// What the key is called in the file. The location names it.
pub(crate) const KEY_VARIABLE: &str = "AZURE_STORAGE_ACCOUNT_ACCESS_KEY";

/// The one or the other.
pub(crate) enum Access {
    Key(Quoted),
    Principal(Principal),
}

/// A service principal, and the nodes whose disks it is to snapshot.
pub(crate) struct Principal {
    client_id: Quoted,
    client_secret: Quoted,
    tenant: String,
    /// That of the storage account, as far as anybody knows.
    subscription: String,
    pub(crate) nodes: NodeGroup,
}

impl Access {
    pub(crate) fn key(data: &RelationData) -> Result<Self, Problem> {
        let hint = "set the account's key in the Azure storage integrator";
        secret(data, SECRET_KEY, hint).map(Self::Key)
    }

    pub(crate) fn principal(data: &RelationData, facts: &Facts) -> Result<Self, Problems> {
        let hint = "set the service principal's in the Azure auth integrator";
        let (client_id, client_secret, tenant, subscription, nodes) = all!(
            secret(data, CLIENT_ID, hint),
            secret(data, CLIENT_SECRET, hint),
            name(data, TENANT_ID, hint),
            name(data, SUBSCRIPTION_ID, hint),
            nodes(facts),
        )?;
        Ok(Self::Principal(Principal {
            client_id,
            client_secret,
            tenant,
            subscription,
            nodes,
        }))
    }

    /// The credential file.
    pub(crate) fn file(&self, cloud: &Cloud) -> SecretString {
        match self {
            Self::Key(key) => dotenv::file(&[
                (KEY_VARIABLE, key.expose()),
                ("AZURE_CLOUD_NAME", cloud.name),
            ]),
            Self::Principal(principal) => dotenv::file(&[
                // Velero takes this one and the group below for those of the disks.
                ("AZURE_SUBSCRIPTION_ID", &principal.nodes.subscription),
                ("AZURE_TENANT_ID", &principal.tenant),
                ("AZURE_CLIENT_ID", principal.client_id.expose()),
                ("AZURE_CLIENT_SECRET", principal.client_secret.expose()),
                ("AZURE_RESOURCE_GROUP", &principal.nodes.resource_group),
                ("AZURE_CLOUD_NAME", cloud.name),
            ]),
        }
    }
}

impl Principal {
    /// The storage account's subscription, if the file has another.
    pub(crate) fn other_subscription(&self) -> Option<String> {
        Some(self.subscription.clone())
            .filter(|own| !own.eq_ignore_ascii_case(&self.nodes.subscription))
    }
}

fn secret(data: &RelationData, field: &str, hint: &str) -> Result<Quoted, Problem> {
    let secret = data.required_secret(field, hint)?;
    Quoted::new(secret.expose_secret()).ok_or_else(|| {
        let reason = "is nothing that a credential file of Velero's can hold (quotes beside other \
                      quotes, `#`, `$`, backslashes or line ends, or too long)";
        Problem::invalid(field, reason, "have Azure make a new one and set that")
    })
}

fn name(data: &RelationData, field: &str, hint: &str) -> Result<String, Problem> {
    let name = data.required(field, hint)?;
    if !is_name(name) {
        return Err(Problem::invalid(
            field,
            "is not an identifier of Azure's",
            hint,
        ));
    }
    Ok(name.into())
}

fn nodes(facts: &Facts) -> Result<NodeGroup, Problem> {
    NodeGroup::find(facts).ok_or_else(|| {
        Problem::invalid(
            PRINCIPAL_ENDPOINT,
            "is for clusters in Azure, and no node here has a provider id of Azure's",
            "remove this relation and let the account's key do",
        )
    })
}
