#![doc = include_str!("../README.md")]

mod ca;
mod credential;
mod endpoint;

use std::collections::BTreeMap;

use provider_api::{
    Advice, Answer, Descriptor, Endpoint, Gap, Handshake, ImageOption, Inputs, Location, Part,
    Problem, Problems, RelationData, SnapshotLocation, Storage, StorageProvider, Version, all,
    secrecy::SecretString,
};

use crate::endpoint::{Addressing, StoreUrl};

const BUCKET: &str = "bucket";
const REGION: &str = "region";
const ENDPOINT: &str = "endpoint";
const PATH: &str = "path";
const URI_STYLE: &str = "s3-uri-style";
const CA_CHAIN: &str = "tls-ca-chain";
const ACCESS_KEY: &str = "access-key";
const SECRET_KEY: &str = "secret-key";

/// The plugin's setting for [`URI_STYLE`].
const PATH_STYLE: &str = "s3ForcePathStyle";

const REGION_PARTS: &[Part] = &[Part::Config(REGION), Part::Snapshots];
const ADDRESSING_PARTS: &[Part] = &[Part::Config(PATH_STYLE)];
const CA_PARTS: &[Part] = &[Part::CaCertificates];
const PREFIX_PARTS: &[Part] = &[Part::Prefix];

/// Amazon's are of 63 letters at most; its oldest, and those of some other stores, of 255.
const LONGEST_BUCKET: usize = 255;

/// What S3-compatible stores that know no regions answer to.
const ANY_REGION: &str = "us-east-1";

/// The provider of S3 and S3-compatible object stores.
#[derive(Debug)]
pub struct S3;

/// The one that is registered.
pub static PROVIDER: S3 = S3;

provider_api::register!(PROVIDER);

static DESCRIPTOR: Descriptor = Descriptor {
    name: "aws",
    summary: "Amazon S3 and S3-compatible object stores",
    endpoint: Endpoint {
        name: "s3-credentials",
        interface: "s3",
        handshake: Handshake {
            requested_secrets: &[ACCESS_KEY, SECRET_KEY],
            version: Version::Said,
            placeholder: Some(BUCKET),
        },
        facts: &[],
    },
    integrator: "s3-integrator",
    optional_endpoints: &[],
    plugin: ImageOption {
        option: "velero-aws-plugin-image",
        default: "velero/velero-plugin-for-aws:v1.14.3",
    },
    options: &[],
    advice: &[
        Advice {
            when: "SignatureDoesNotMatch",
            then: "correct the secret key in the S3 integrator",
        },
        Advice {
            when: "InvalidAccessKeyId",
            then: "correct the access key in the S3 integrator",
        },
        Advice {
            when: "NoSuchBucket",
            then: "create the bucket or correct `bucket` in the S3 integrator",
        },
        Advice {
            when: "AccessDenied",
            then: "allow the access key to list, read, write and delete in the bucket",
        },
        Advice {
            when: "invalid top-level directories",
            then: "give Velero a folder of its own with `path` in the S3 integrator",
        },
        Advice {
            when: "server gave HTTP response to HTTPS client",
            then: "use `http://` in `endpoint` of the S3 integrator",
        },
        Advice {
            when: "certificate signed by unknown authority",
            then: "set `tls-ca-chain` in the S3 integrator",
        },
        Advice {
            when: "connection refused",
            then: "correct `endpoint` in the S3 integrator or start the store",
        },
        Advice {
            when: "no such host",
            then: "correct `endpoint` in the S3 integrator",
        },
    ],
};

/// Relation data that was found to be complete, and sound but for the gaps.
struct Settings {
    bucket: String,
    prefix: Option<String>,
    region: Option<String>,
    store: Option<StoreUrl>,
    addressing: Addressing,
    ca_certificates: Option<String>,
    access_key: SecretString,
    secret_key: SecretString,
    gaps: Vec<Gap>,
}

impl StorageProvider for S3 {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn resolve(&self, inputs: &Inputs) -> Result<Answer, Problems> {
        let data = &inputs.own;
        // What else there is may be left over from before, or be on its way too.
        if data.lacks_all(&[ACCESS_KEY, SECRET_KEY]) {
            let what = match data.plain(BUCKET) {
                Some(_) => "the S3 integrator to send keys",
                None => "the S3 integrator to send a bucket and keys",
            };
            return Ok(Answer::Waiting(what.into()));
        }
        Ok(Answer::Ready(Box::new(render(read(data)?))))
    }

    fn secrets_inside(&self, text: &SecretString) -> Vec<SecretString> {
        provider_api::values_of(&credential::NAMES, text)
    }
}

fn read(data: &RelationData) -> Result<Settings, Problems> {
    let mut gaps = Vec::new();
    let region = Gap::or_value(region(data), REGION_PARTS, &mut gaps);
    let addressing = Gap::or_value(addressing(data), ADDRESSING_PARTS, &mut gaps);
    let ca_certificates = Gap::or_value(ca_certificates(data), CA_PARTS, &mut gaps);
    let prefix = Gap::or_value(prefix(data), PREFIX_PARTS, &mut gaps);

    let (bucket, store, access_key, secret_key) = all!(
        bucket(data),
        store(data),
        credential::key(data, ACCESS_KEY),
        credential::key(data, SECRET_KEY),
    )
    .map_err(|problems| problems.and(gaps.iter().map(|gap| gap.problem.clone())))?;
    let addressing = addressing.unwrap_or_else(|| {
        store
            .as_ref()
            .map_or(Addressing::Virtual, StoreUrl::usual_addressing)
    });
    Ok(Settings {
        bucket,
        prefix,
        region,
        store,
        addressing,
        ca_certificates,
        access_key,
        secret_key,
        gaps,
    })
}

fn bucket(data: &RelationData) -> Result<String, Problem> {
    let hint = "set `bucket` in the S3 integrator";
    // A store of one's own may have made the bucket that it was asked for. Amazon has not, and a bucket of
    // that name there is somebody else's.
    let made = data.echo(BUCKET).filter(|_| data.plain(ENDPOINT).is_some());
    let bucket = made.map_or_else(|| data.required(BUCKET, hint), Ok)?;
    if bucket.contains('/') {
        let hint = "put the folder into `path` of the S3 integrator";
        return Err(Problem::invalid(BUCKET, "contains a `/`", hint));
    }
    if bucket.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Problem::invalid(BUCKET, "contains white space", hint));
    }
    if bucket.len() > LONGEST_BUCKET {
        return Err(Problem::invalid(
            BUCKET,
            "is longer than a bucket's name may be",
            hint,
        ));
    }
    Ok(bucket.into())
}

fn region(data: &RelationData) -> Result<Option<String>, Problem> {
    let Some(region) = data.plain(REGION) else {
        return Ok(None);
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !region.chars().all(is_name) {
        let hint = "set `region` in the S3 integrator to a name such as `eu-central-1`";
        return Err(Problem::invalid(REGION, "is not a region's name", hint));
    }
    Ok(Some(region.into()))
}

fn store(data: &RelationData) -> Result<Option<StoreUrl>, Problem> {
    let text = data.url_text(ENDPOINT, endpoint::HINT)?;
    text.map(StoreUrl::parse).transpose()
}

fn addressing(data: &RelationData) -> Result<Option<Addressing>, Problem> {
    data.plain(URI_STYLE).map(Addressing::parse).transpose()
}

fn prefix(data: &RelationData) -> Result<Option<String>, Problem> {
    data.folder(PATH, "correct `path` in the S3 integrator")
}

fn ca_certificates(data: &RelationData) -> Result<Option<String>, Problem> {
    data.plain(CA_CHAIN).map_or(Ok(None), ca::bundle)
}

fn render(settings: Settings) -> Storage {
    let Settings {
        bucket,
        prefix,
        region,
        store,
        addressing,
        ca_certificates,
        access_key,
        secret_key,
        gaps,
    } = settings;
    let is_amazon = store.as_ref().is_none_or(StoreUrl::is_amazon);
    let mut remarks = Vec::new();
    let mut config = BTreeMap::new();

    // The plugin asks Amazon for the bucket's region; other stores cannot be asked.
    let region = region.or_else(|| {
        let region = (!is_amazon || store.is_some() || addressing == Addressing::Path)
            .then(|| ANY_REGION.to_owned())?;
        remarks.push(format!("No `region` was sent: `{region}` is used."));
        Some(region)
    });
    if let Some(region) = &region {
        config.insert(REGION.into(), region.clone());
    }
    if let Some(store) = &store {
        config.insert("s3Url".into(), store.as_str().into());
        if let Some(checksum) = store.checksum_algorithm() {
            config.insert("checksumAlgorithm".into(), checksum.into());
        }
    }
    if addressing == Addressing::Path {
        config.insert(PATH_STYLE.into(), "true".into());
    }

    let snapshots = region.filter(|_| is_amazon).map(|region| SnapshotLocation {
        config: BTreeMap::from([(REGION.into(), region)]),
    });
    Storage {
        credential: credential::file(&access_key, &secret_key),
        location: Location {
            bucket,
            prefix,
            ca_certificates,
            config,
        },
        snapshots,
        remarks,
        gaps,
    }
}

#[cfg(test)]
mod tests;
