//! The store's address and what is known about stores.
//!
//! **Invariant:** an address holds no credentials, and no trailing slash that would double in a
//! request path.

use provider_api::Problem;
use url::{Host, Url};

use crate::{ENDPOINT, URI_STYLE};

/// How a bucket is named in a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Addressing {
    /// In the path: `https://store/bucket/key`.
    Path,
    /// In the host's name: `https://bucket.store/key`.
    Virtual,
}

/// What is known about the stores under a domain.
#[derive(Debug)]
struct Vendor {
    domain: &'static str,
    addressing: Addressing,
    /// The checksum that the plugin asks for; none leaves the plugin's default.
    checksum_algorithm: Option<&'static str>,
}

/// The first match counts. A store that is not listed is taken for one behind a name of its own
/// without wildcard DNS, and without Amazon's newer checksums: both are refused by many.
const VENDORS: [Vendor; 3] = [
    Vendor {
        domain: "amazonaws.com",
        addressing: Addressing::Virtual,
        checksum_algorithm: None,
    },
    Vendor {
        domain: "amazonaws.com.cn",
        addressing: Addressing::Virtual,
        checksum_algorithm: None,
    },
    // Refuses requests with the bucket in the path.
    Vendor {
        domain: "aliyuncs.com",
        addressing: Addressing::Virtual,
        checksum_algorithm: Some(""),
    },
];

const UNLISTED: Vendor = Vendor {
    domain: "",
    addressing: Addressing::Path,
    checksum_algorithm: Some(""),
};

/// What to do about an address that cannot work.
pub(crate) const HINT: &str =
    "set `endpoint` in the S3 integrator to a URL such as `https://s3.example.com`";

/// The address of a store.
#[derive(Clone, Debug)]
pub(crate) struct StoreUrl {
    text: String,
    vendor: &'static Vendor,
}

impl Addressing {
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        match text {
            "path" => Ok(Self::Path),
            "host" | "virtual" => Ok(Self::Virtual),
            _ => Err(Problem::invalid(
                URI_STYLE,
                "is none of `path`, `host`, `virtual`",
                "correct it in the S3 integrator",
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
        let vendor = url.host().map_or(&UNLISTED, |host| vendor(&host));
        Ok(Self {
            text: url.as_str().trim_end_matches('/').to_owned(),
            vendor,
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_amazon(&self) -> bool {
        self.vendor.domain.starts_with("amazonaws.")
    }

    pub(crate) fn usual_addressing(&self) -> Addressing {
        self.vendor.addressing
    }

    pub(crate) fn checksum_algorithm(&self) -> Option<&'static str> {
        self.vendor.checksum_algorithm
    }
}

fn vendor(host: &Host<&str>) -> &'static Vendor {
    let Host::Domain(name) = host else {
        return &UNLISTED;
    };
    VENDORS
        .iter()
        .find(|vendor| {
            name.strip_suffix(vendor.domain)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
        .unwrap_or(&UNLISTED)
}
