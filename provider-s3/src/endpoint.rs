//! The store's address, and what the table of stores knows of it.

use provider_api::Problem;
use url::{Host as UrlHost, Url};

use crate::{
    ENDPOINT, URI_STYLE,
    vendors::{Addressing, Region, Snapshots, UNLISTED, VENDORS, Vendor},
};

/// What to do about an address that cannot work.
pub(crate) const HINT: &str =
    "set `endpoint` in {s3-credentials} to a URL such as `https://s3.example.com`";

/// The address of a store.
#[derive(Clone, Debug)]
pub(crate) struct StoreUrl {
    url: Url,
    pub(crate) vendor: &'static Vendor,
    /// What stands in the host before the store's own name.
    front: Option<String>,
    pub(crate) region: HostRegion,
}

/// What the host tells of the region.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum HostRegion {
    Is(String),
    Untold,
    /// The plugin asks Amazon, if it is given no address.
    Asked,
}

/// An address that goes with the bucket.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    /// As the plugin wants it; it knows that of Amazon as a whole by itself.
    pub(crate) url: Option<String>,
    pub(crate) remark: Option<String>,
}

impl Addressing {
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        match text {
            "path" => Ok(Self::Path),
            "host" | "virtual" => Ok(Self::Virtual),
            _ => Err(Problem::invalid(
                URI_STYLE,
                "is none of `path`, `host`, `virtual`",
                "correct `s3-uri-style` in {s3-credentials}",
            )),
        }
    }
}

impl StoreUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let invalid = |reason: &str| Problem::invalid(ENDPOINT, reason, HINT);
        let url = Url::parse(text).map_err(|error| invalid(&format!("is not a URL ({error})")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid("is neither `http://` nor `https://`"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("holds a user name or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("has a query or fragment"));
        }
        if url.path().chars().any(|c| c != '/') {
            let hint = "leave the path out of `endpoint` in {s3-credentials}, and set `bucket` and `path` \
                        instead";
            let reason = "has a path, with which every file-system backup fails";
            return Err(Problem::invalid(ENDPOINT, reason, hint));
        }
        let (vendor, front, region) = find(&url);
        if let Some((reason, remedy)) = vendor.refused {
            return Err(Problem::invalid(ENDPOINT, reason, remedy));
        }
        Ok(Self {
            url,
            vendor,
            front,
            region,
        })
    }

    /// The address with the bucket taken out of its host, where it stands there too.
    pub(crate) fn without(&self, bucket: &str) -> Result<Address, Problem> {
        let host = self.url.host_str().unwrap_or_default();
        let rest = host
            .strip_prefix(bucket)
            .and_then(|rest| rest.strip_prefix('.'));
        let (host, remark) = match (&self.front, rest) {
            (Some(front), Some(rest)) if front == bucket => (
                rest,
                Some(format!(
                    "`endpoint` begins with the bucket: `{rest}` is used."
                )),
            ),
            (Some(_), _) => {
                let reason = format!(
                    "names a bucket of `{}` that is not `bucket`",
                    self.vendor.name
                );
                let hint = "leave the bucket out of `endpoint` in {s3-credentials}";
                return Err(Problem::invalid(ENDPOINT, reason, hint));
            }
            (None, Some(rest)) if self.is_unlisted() && rest.contains('.') => {
                let remark = "`endpoint` begins with the name of the bucket: leave it out, unless the store \
                              itself is called so.";
                (host, Some(remark.to_owned()))
            }
            (None, _) => (host, None),
        };
        let port = self
            .url
            .port()
            .map(|port| format!(":{port}"))
            .unwrap_or_default();
        let url = format!("{}://{host}{port}", self.url.scheme());
        Ok(Address {
            url: Some(url).filter(|_| self.region != HostRegion::Asked),
            remark,
        })
    }

    pub(crate) fn is_amazon(&self) -> bool {
        self.vendor.snapshots == Snapshots::Ebs
    }

    pub(crate) fn is_unlisted(&self) -> bool {
        self.vendor.hosts.is_empty()
    }

    /// Requests travel in the clear, and not within the cluster alone.
    pub(crate) fn is_in_the_clear(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default();
        let is_inside = !host.contains(['.', ':'])
            || [".svc", ".cluster.local"]
                .iter()
                .any(|end| host.ends_with(end));
        self.url.scheme() == "http" && !is_inside
    }
}

/// The row of the table, what stands in front in the host, and what the host tells of the region.
fn find(url: &Url) -> (&'static Vendor, Option<String>, HostRegion) {
    let unlisted = (&UNLISTED, None, HostRegion::Untold);
    let Some(UrlHost::Domain(name)) = url.host() else {
        return unlisted;
    };
    let mut hosts = VENDORS
        .iter()
        .flat_map(|vendor| vendor.hosts.iter().map(move |host| (vendor, host)));
    let found = hosts.find_map(|(vendor, host)| Some((vendor, host, host.find(name)?)));
    found.map_or(unlisted, |(vendor, host, found)| {
        let region = match (host.region, found.region) {
            (Region::Asked, _) => HostRegion::Asked,
            (_, Some(region)) => HostRegion::Is(region.to_owned()),
            (_, None) => HostRegion::Untold,
        };
        let front = Some(found.front.to_owned()).filter(|front| !front.is_empty());
        (vendor, front, region)
    })
}
