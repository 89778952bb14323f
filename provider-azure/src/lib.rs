#![doc = include_str!("../README.md")]

mod access;
mod dotenv;
mod endpoint;
mod names;
mod nodes;

use std::collections::BTreeMap;

use provider_api::{
    Advice, Answer, Descriptor, Endpoint, Fact, Gap, Handshake, Identity, ImageOption, Inputs,
    Location, Part, Problem, Problems, RelationData, SnapshotLocation, Storage, StorageProvider,
    Version, all, secrecy::SecretString,
};

use crate::{
    access::{Access, KEY_VARIABLE, Principal},
    endpoint::{Address, Names},
    nodes::NodeGroup,
};

const CONTAINER: &str = "container";
const STORAGE_ACCOUNT: &str = "storage-account";
const SECRET_KEY: &str = "secret-key";
const ENDPOINT: &str = "endpoint";
const PATH: &str = "path";
const RESOURCE_GROUP: &str = "resource-group";

const PRINCIPAL_ENDPOINT: &str = "azure-service-principal";
const CLIENT_ID: &str = "client-id";
const CLIENT_SECRET: &str = "client-secret";
const TENANT_ID: &str = "tenant-id";
const SUBSCRIPTION_ID: &str = "subscription-id";

/// The plugin's setting for [`RESOURCE_GROUP`].
const GROUP: &str = "resourceGroup";

/// The plugin's setting for [`SUBSCRIPTION_ID`], where Velero looks for the storage account.
const SUBSCRIPTION: &str = "subscriptionId";

const PLAIN_HTTP: &str = "`endpoint` is plain HTTP: backups can be read and changed on their way.";

const GROUP_PARTS: &[Part] = &[Part::Config(GROUP)];
const SUBSCRIPTION_PARTS: &[Part] = &[Part::Config(SUBSCRIPTION)];
const PREFIX_PARTS: &[Part] = &[Part::Prefix];

/// The provider of Azure Blob Storage.
#[derive(Debug)]
pub struct Azure;

/// The one that is registered.
pub static PROVIDER: Azure = Azure;

provider_api::register!(PROVIDER);

static DESCRIPTOR: Descriptor = Descriptor {
    name: "azure",
    summary: "Azure Blob Storage",
    endpoint: Endpoint {
        name: "azure-storage",
        interface: "azure_storage",
        handshake: Handshake {
            requested_secrets: &[SECRET_KEY],
            version: Version::Said,
            placeholder: Some(CONTAINER),
        },
        facts: &[],
    },
    integrator: "azure-storage-integrator",
    optional_endpoints: &[Endpoint {
        name: PRINCIPAL_ENDPOINT,
        interface: "azure_service_principal",
        handshake: Handshake {
            requested_secrets: &[CLIENT_ID, CLIENT_SECRET],
            version: Version::Unsaid,
            placeholder: None,
        },
        facts: &[Fact::ProviderIds],
    }],
    plugin: ImageOption {
        option: "velero-azure-plugin-image",
        default: "velero/velero-plugin-for-microsoft-azure:v1.14.3",
    },
    options: &[],
    // That of the webhook for Microsoft Entra Workload ID, which looks at pods with the label alone.
    identity: Some(Identity {
        annotation: "azure.workload.identity/client-id",
        shape: "the client ID of an identity",
        is_sound: names::is_client_id,
        label: Some(("azure.workload.identity/use", "true")),
    }),
    advice: &[
        Advice {
            when: "Server failed to authenticate the request",
            then: "correct the account key in {azure-storage}",
        },
        Advice {
            when: "illegal base64 data",
            then: "set the complete account key in {azure-storage}",
        },
        Advice {
            when: "no storage account access key",
            then: "set the account key in {azure-storage}",
        },
        Advice {
            when: "KeyBasedAuthenticationNotPermitted",
            then: "allow keys on the storage account, or integrate a service principal",
        },
        Advice {
            when: "AuthorizationPermissionMismatch",
            then: "give the service principal the role `Storage Blob Data Contributor` on the \
                   storage account",
        },
        Advice {
            when: "AuthorizationFailure",
            then: "allow the cluster in the storage account's network rules",
        },
        Advice {
            when: "AADSTS7000215",
            then: "correct the client secret in {azure-service-principal}",
        },
        Advice {
            when: "AADSTS7000222",
            then: "renew the client secret and set it in {azure-service-principal}",
        },
        Advice {
            when: "AADSTS",
            then: "correct the service principal in {azure-service-principal}",
        },
        Advice {
            when: "ContainerNotFound",
            then: "create the container or correct `container` in {azure-storage}",
        },
        Advice {
            when: "invalid top-level directories",
            then: "give Velero a folder of its own with `path` in {azure-storage}",
        },
        Advice {
            when: "server gave HTTP response to HTTPS client",
            then: "use `http://` in `endpoint` of {azure-storage}",
        },
        Advice {
            when: "certificate signed by unknown authority",
            then: "give the store a certificate from a public authority",
        },
        Advice {
            when: "connection refused",
            then: "correct `endpoint` in {azure-storage} or start the store",
        },
        Advice {
            when: "no such host",
            then: "correct `storage-account` or `endpoint` in {azure-storage}",
        },
    ],
};

/// Relation data that was found to be complete, and sound but for the gaps.
struct Settings {
    container: String,
    prefix: Option<String>,
    account: String,
    resource_group: Option<String>,
    /// That of the storage account, which only a service principal's integrator tells.
    subscription: Option<String>,
    address: Address,
    gaps: Vec<Gap>,
}

impl StorageProvider for Azure {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn resolve(&self, inputs: &Inputs) -> Result<Answer, Problems> {
        let data = &inputs.own;
        let principal = inputs.optional.get(PRINCIPAL_ENDPOINT);
        if let Some(what) = awaited(inputs) {
            return Ok(Answer::Waiting(what.into()));
        }
        let settings = read(data, principal);
        let (settings, access) = match principal {
            Some(principal) if is_unanswered(principal) => {
                settings?;
                return Ok(Answer::Waiting(
                    "{azure-service-principal} to send a service principal".into(),
                ));
            }
            Some(principal) => {
                let or = format!("remove the relation `{PRINCIPAL_ENDPOINT}`");
                let settings = settings.and_then(|settings| for_tokens(settings, &or));
                all!(settings, Access::principal(principal, &inputs.facts))?
            }
            None if has_no_key_but_identity(inputs) => {
                let or = "set the account key in {azure-storage}";
                (for_tokens(settings?, or)?, Access::Identity)
            }
            None => all!(settings, Access::key(data))?,
        };
        Ok(Answer::Ready(Box::new(render(settings, &access, data))))
    }

    fn secrets_inside(&self, text: &SecretString) -> Vec<SecretString> {
        dotenv::values_of(&access::SECRETS, text)
    }
}

/// What the storage integrator has yet to send. Without a key, what else there is may be left over from
/// before, or be on its way too.
fn awaited(inputs: &Inputs) -> Option<&'static str> {
    let data = &inputs.own;
    if !data.lacks_all(&[SECRET_KEY]) {
        return None;
    }
    let names_nothing = !data.has_any(&[CONTAINER, STORAGE_ACCOUNT]);
    let has_principal = inputs.optional.contains_key(PRINCIPAL_ENDPOINT);
    if has_principal || inputs.identity.is_some() {
        let is_unnamed = names_nothing || data.echo(CONTAINER).is_some();
        return is_unnamed.then_some("{azure-storage} to send a container");
    }
    Some(if names_nothing {
        "{azure-storage} to send a container and a key"
    } else {
        "{azure-storage} to send the account's key (`secret-key`)"
    })
}

fn has_no_key_but_identity(inputs: &Inputs) -> bool {
    inputs.identity.is_some() && !inputs.own.has_any(&[SECRET_KEY])
}

fn is_unanswered(principal: &RelationData) -> bool {
    principal.lacks_all(&[CLIENT_ID, CLIENT_SECRET])
}

/// Without a key, what is sent to the store gives access to all that a service principal or an identity may use, so
/// it goes to Azure alone.
fn for_tokens(settings: Settings, or: &str) -> Result<Settings, Problems> {
    if settings.address.is_azures() {
        return Ok(settings);
    }
    let reason = "is not an `https` address in Azure, and a token is sent to no other";
    let hint = format!("{}, or {or}", endpoint::HINT);
    Err(Problem::invalid(ENDPOINT, reason, hint).into())
}

fn read(data: &RelationData, principal: Option<&RelationData>) -> Result<Settings, Problems> {
    let container = names::container(data);
    let account = names::account(data);
    let names = Names {
        account: account.as_deref().ok(),
        container: container.as_deref().ok(),
    };
    let address = address(data, names);
    let mut gaps = Vec::new();
    let resource_group = Gap::or_value(names::resource_group(data), GROUP_PARTS, &mut gaps);
    let prefix = Gap::or_value(names::folder(data), PREFIX_PARTS, &mut gaps);
    let subscription = principal.map_or(Ok(None), names::subscription);
    let subscription = Gap::or_value(subscription, SUBSCRIPTION_PARTS, &mut gaps);
    let (container, account, address) = all!(container, account, address)
        .map_err(|problems| problems.and(gaps.iter().map(|gap| gap.problem.clone())))?;
    Ok(Settings {
        container,
        prefix,
        account,
        resource_group,
        subscription,
        address,
        gaps,
    })
}

fn address(data: &RelationData, names: Names<'_>) -> Result<Address, Problem> {
    match data.url_text(ENDPOINT, endpoint::HINT)? {
        Some(text) => Address::parse(text, names),
        None => Ok(Address::default()),
    }
}

fn render(settings: Settings, access: &Access, data: &RelationData) -> Storage {
    let remarks = remarks(&settings.address, access, data);
    let Settings {
        container,
        prefix,
        account,
        resource_group,
        subscription,
        address,
        gaps,
    } = settings;
    let mut config = BTreeMap::from([("storageAccount".to_owned(), account)]);
    let mut set = |name: &str, value: Option<String>| {
        config.extend(value.map(|value| (name.to_owned(), value)));
    };
    set(GROUP, resource_group);
    set("storageAccountURI", address.uri);
    let snapshots = match access {
        Access::Key(_) => {
            set("storageAccountKeyEnvVar", Some(KEY_VARIABLE.into()));
            None
        }
        Access::Principal(Principal { nodes, .. }) => {
            // Without this, Velero has Azure hand out the account's key, which needs other rights.
            set("useAAD", Some("true".into()));
            let is_in_file = |own: &String| {
                let nodes = nodes.as_ref();
                nodes.is_some_and(|nodes| own.eq_ignore_ascii_case(&nodes.subscription))
            };
            set(SUBSCRIPTION, subscription.filter(|own| !is_in_file(own)));
            nodes.as_ref().map(snapshot_location)
        }
        Access::Identity => {
            set("useAAD", Some("true".into()));
            None
        }
    };
    Storage {
        credential: access.credential(address.cloud),
        location: Location {
            bucket: container,
            prefix,
            ca_certificates: None,
            config,
        },
        snapshots,
        remarks,
        gaps,
    }
}

/// Snapshots stay where the disks are. With a key alone there are none: only the storage account knows it.
fn snapshot_location(nodes: &NodeGroup) -> SnapshotLocation {
    let group = nodes.resource_group.clone();
    SnapshotLocation {
        config: BTreeMap::from([(GROUP.into(), group)]),
    }
}

fn remarks(address: &Address, access: &Access, data: &RelationData) -> Vec<String> {
    let mut remarks = Vec::new();
    if address.is_plain() {
        remarks.push(PLAIN_HTTP.into());
    }
    let Access::Principal(Principal { nodes, .. }) = access else {
        return remarks;
    };
    if data.has_any(&[SECRET_KEY]) {
        remarks.push("The service principal is used, and the storage account's key is not.".into());
    }
    if let Some(nodes) = nodes.as_ref().filter(|nodes| nodes.others > 0) {
        remarks.push(format!(
            "Nodes are in {} resource groups: disks are looked for in `{}` alone.",
            nodes.others + 1,
            nodes.resource_group
        ));
    }
    remarks
}

#[cfg(test)]
mod tests;
