//! The store's address.
//!
//! **Invariant:** an address says what Velero cannot know otherwise, and nothing else. It names the
//! account's blob service and never a container, which Velero adds; and it agrees with the other fields.
//!
//! Integrators send an address always, made up from the other fields if the user gave none, most often
//! that of the Hadoop driver (`abfss://container@account.dfs.core.windows.net/`). Velero makes up the
//! address of the blob service from the account's name and `AZURE_CLOUD_NAME`; with a service principal
//! it first asks Azure, since some accounts have a DNS zone in their address. A `storageAccountURI`
//! would keep it from asking. So there is one only for what Velero could not find out: zones, routes and
//! other hosts than `<account>.blob.<cloud>`, ports, and plain HTTP.
//!
//! A name with `privatelink` in it is where Azure's DNS leads the account's public name, and is in no
//! certificate. So it stands for the public name, which leads to the private address wherever the private
//! one does.

use provider_api::Problem;
use url::Url;

use crate::ENDPOINT;

/// One of Azure's clouds.
#[derive(Debug)]
pub(crate) struct Cloud {
    /// What the hosts of its storage end with.
    suffix: &'static str,
    /// Its name to Velero.
    pub(crate) name: &'static str,
}

/// The first is where an account is if nothing says otherwise.
const CLOUDS: [Cloud; 4] = [
    Cloud {
        suffix: "core.windows.net",
        name: "AzurePublicCloud",
    },
    // Accounts with a DNS zone in their name.
    Cloud {
        suffix: "storage.azure.net",
        name: "AzurePublicCloud",
    },
    Cloud {
        suffix: "core.chinacloudapi.cn",
        name: "AzureChinaCloud",
    },
    Cloud {
        suffix: "core.usgovcloudapi.net",
        name: "AzureUSGovernmentCloud",
    },
];

/// The services of an account that hold blobs. The second is a view of the first for Hadoop.
const SERVICES: [&str; 2] = ["blob", "dfs"];

/// What stands before the service in the names of private endpoints, in each of the clouds.
const PRIVATE_LINK: &str = "privatelink";

/// What an account's name may be followed by, with a `-` between: addresses that Azure publishes beside the
/// usual one for those who choose a way through the network.
const ROUTES: [&str; 2] = ["microsoftrouting", "internetrouting"];

/// The same for the copy in another region, which can only be read.
const SECOND: &str = "secondary";

/// What to do about an address that cannot work.
pub(crate) const HINT: &str = "set `endpoint` in {azure-storage} to a URL such as \
                               `https://account.blob.core.windows.net`, or reset it";

/// What the other fields say, as far as they are sound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a> {
    pub(crate) account: Option<&'a str>,
    pub(crate) container: Option<&'a str>,
}

/// Where the account is.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) cloud: &'static Cloud,
    /// The address of its blob service, if it is not what Velero takes it for anyway.
    pub(crate) uri: Option<String>,
    reach: Reach,
}

/// Whose the host is that requests go to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reach {
    /// Azure's, at its usual port and encrypted.
    Azure,
    /// Anybody's.
    Anywhere,
}

/// What a host of Azure's names.
struct Host<'a> {
    account: &'a str,
    route: Option<&'a str>,
    zone: Option<&'a str>,
}

/// An address taken apart.
struct Parts<'a> {
    scheme: &'static str,
    /// Hadoop's drivers write the container before the host.
    container: Option<&'a str>,
    host: String,
    /// With its colon.
    port: String,
    path: Vec<&'a str>,
}

impl Default for Address {
    fn default() -> Self {
        let [cloud, ..] = &CLOUDS;
        Self {
            cloud,
            uri: None,
            reach: Reach::Azure,
        }
    }
}

impl Names<'_> {
    fn is_account(&self, name: &str) -> bool {
        self.account.is_none_or(|account| account == name)
    }

    fn is_container(&self, name: &str) -> bool {
        self.container.is_none_or(|container| container == name)
    }
}

impl Address {
    /// What is sent there is seen by Azure and nobody else.
    pub(crate) fn is_azures(&self) -> bool {
        self.reach == Reach::Azure
    }

    pub(crate) fn parse(text: &str, names: Names<'_>) -> Result<Self, Problem> {
        let url = Url::parse(text).map_err(|error| invalid(&format!("is not a URL ({error})")))?;
        let parts = Parts::of(&url)?;
        if parts
            .container
            .is_some_and(|name| !names.is_container(name))
        {
            return Err(other_container());
        }
        let cloud = CLOUDS.iter().find_map(|cloud| {
            let rest = parts.host.strip_suffix(cloud.suffix)?;
            Some((cloud, rest.strip_suffix('.')?))
        });
        match cloud {
            Some((cloud, front)) => Self::in_azure(&parts, cloud, front, names),
            None => Self::elsewhere(&parts, names),
        }
    }

    /// What is sent there can be read and changed by anyone on the way.
    pub(crate) fn is_plain(&self) -> bool {
        let uri = self.uri.as_deref();
        uri.is_some_and(|uri| uri.starts_with("http://"))
    }

    /// An address of the blob service, where only a container can follow.
    fn in_azure(
        parts: &Parts<'_>,
        cloud: &'static Cloud,
        front: &str,
        names: Names<'_>,
    ) -> Result<Self, Problem> {
        let host =
            Host::parse(front).ok_or_else(|| invalid("is not the address of a blob service"))?;
        if !names.is_account(host.account) {
            return Err(other_account());
        }
        if host.route == Some(SECOND) {
            return Err(invalid(
                "is the account's second address, where nothing can be written",
            ));
        }
        match parts.path.as_slice() {
            [] => {}
            [container] if parts.container.is_none() => {
                if !names.is_container(container) {
                    return Err(other_container());
                }
            }
            _ => return Err(folder()),
        }
        let Parts { scheme, port, .. } = parts;
        let is_safe = *scheme == "https" && port.is_empty();
        let is_usual = is_safe && host.route.is_none() && host.zone.is_none();
        let uri = format!("{scheme}://{}.blob.{}{port}", host.public(), cloud.suffix);
        Ok(Self {
            cloud,
            uri: Some(uri).filter(|_| !is_usual),
            reach: if is_safe {
                Reach::Azure
            } else {
                Reach::Anywhere
            },
        })
    }

    /// A domain of the user's own, or an emulator, which has the account in the path.
    fn elsewhere(parts: &Parts<'_>, names: Names<'_>) -> Result<Self, Problem> {
        let account = match parts.path.as_slice() {
            [] => None,
            _ if parts.container.is_some() => return Err(folder()),
            // One name for both: without the account, an emulator would understand nothing.
            [name] if names.is_account(name) => Some(*name),
            [name] if names.is_container(name) => None,
            [account, _] if !names.is_account(account) => return Err(other_account()),
            [account, container] if names.is_container(container) => Some(*account),
            [_, _] => return Err(other_container()),
            [_] => {
                return Err(invalid(
                    "has a path that is neither `storage-account` nor `container`",
                ));
            }
            _ => return Err(folder()),
        };
        let Parts {
            scheme, host, port, ..
        } = parts;
        let account = account.map(|name| format!("/{name}")).unwrap_or_default();
        let uri = Some(format!("{scheme}://{host}{port}{account}"));
        Ok(Self {
            uri,
            reach: Reach::Anywhere,
            ..Self::default()
        })
    }
}

impl<'a> Host<'a> {
    /// `<account>[-<route>][.<zone>][.privatelink].<service>`
    fn parse(front: &'a str) -> Option<Self> {
        let (front, service) = front.rsplit_once('.')?;
        if !SERVICES.contains(&service) {
            return None;
        }
        let mut labels = front.split('.').filter(|label| *label != PRIVATE_LINK);
        let name = labels.next()?;
        // No account has a `-` in its name.
        let (account, route) = match name.split_once('-') {
            Some((account, route)) => (account, Some(route)),
            None => (name, None),
        };
        let is_known = |route| route == SECOND || ROUTES.contains(&route);
        let zone = labels.next();
        let is_host = !account.is_empty()
            && route.is_none_or(is_known)
            && zone.is_none_or(is_zone)
            && labels.next().is_none();
        is_host.then_some(Self {
            account,
            route,
            zone,
        })
    }

    /// The names in it that certificates are for.
    fn public(&self) -> String {
        let Self {
            account,
            route,
            zone,
        } = self;
        let route = route.map(|route| format!("-{route}")).unwrap_or_default();
        let zone = zone.map(|zone| format!(".{zone}")).unwrap_or_default();
        format!("{account}{route}{zone}")
    }
}

/// `z` and a number.
fn is_zone(label: &str) -> bool {
    label.strip_prefix('z').is_some_and(|number| {
        !number.is_empty() && number.chars().all(|digit| digit.is_ascii_digit())
    })
}

impl<'a> Parts<'a> {
    fn of(url: &'a Url) -> Result<Self, Problem> {
        let user = Some(url.username()).filter(|name| !name.is_empty());
        if url.password().is_some() {
            return Err(invalid("holds a password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("contains a query or fragment"));
        }
        let (scheme, container) = match url.scheme() {
            "http" if user.is_none() => ("http", None),
            "https" if user.is_none() => ("https", None),
            "http" | "https" => return Err(invalid("holds a user name")),
            // Those without `s` are for plain HTTP, which accounts refuse unless told otherwise.
            "abfs" | "abfss" | "wasb" | "wasbs" => ("https", user),
            _ => {
                return Err(invalid(
                    "must begin with `https`, `http`, `abfss` or `wasbs`",
                ));
            }
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| invalid("names no host"))?;
        Ok(Self {
            scheme,
            container,
            host: host.to_ascii_lowercase(),
            port: url
                .port()
                .map(|port| format!(":{port}"))
                .unwrap_or_default(),
            path: url
                .path()
                .split('/')
                .filter(|part| !part.is_empty())
                .collect(),
        })
    }
}

fn invalid(reason: &str) -> Problem {
    Problem::invalid(ENDPOINT, reason, HINT)
}

fn other_account() -> Problem {
    let hint = "correct `endpoint` or `storage-account` in {azure-storage}";
    Problem::invalid(
        ENDPOINT,
        "names another account than `storage-account`",
        hint,
    )
}

fn other_container() -> Problem {
    let hint = "correct `endpoint` or `container` in {azure-storage}";
    Problem::invalid(ENDPOINT, "names another container than `container`", hint)
}

fn folder() -> Problem {
    let hint = "put the folder into `path` of {azure-storage}";
    Problem::invalid(ENDPOINT, "names a folder", hint)
}
