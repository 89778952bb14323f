#![doc = include_str!("../README.md")]

mod access;
mod credential;
mod endpoint;
mod extras;
mod images;
mod nodes;
mod settings;
mod vendors;

use std::collections::BTreeMap;

use provider_api::{
    Advice, Answer, Certificates, Descriptor, Endpoint, Fact, Gap, Handshake, Identity,
    ImageOption, Inputs, Location, Part, Problem, Problems, RelationData, SnapshotLocation,
    Storage, StorageProvider, Version, all, secrecy::SecretString,
};

use crate::{
    access::Access,
    endpoint::{Address, HostRegion, StoreUrl},
    extras::Attributes,
    vendors::{Addressing, Checksum, Vendor},
};

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

const REGION_PARTS: &[Part] = &[Part::Config(REGION)];
const ADDRESSING_PARTS: &[Part] = &[Part::Config(PATH_STYLE)];
const CA_PARTS: &[Part] = &[Part::CaCertificates];
const PREFIX_PARTS: &[Part] = &[Part::Prefix];
const ATTRIBUTE_PARTS: &[Part] = &[
    Part::Config(settings::ENCRYPTION),
    Part::Config(settings::KMS_KEY),
    Part::Config(settings::TAGGING),
];

/// Amazon's are of 63 letters at most; its oldest, and those of some other stores, of 255.
const LONGEST_BUCKET: usize = 255;
const SHORTEST_AT_AMAZON: usize = 3;

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
        facts: &[Fact::ProviderIds, Fact::Now],
    },
    integrator: "s3-integrator",
    optional_endpoints: &[],
    plugin: ImageOption {
        option: "velero-aws-plugin-image",
        default: "velero/velero-plugin-for-aws:v1.14.3",
    },
    options: &[settings::OPTION],
    // That of EKS (IAM roles for service accounts).
    identity: Some(Identity {
        annotation: "eks.amazonaws.com/role-arn",
        shape: "the ARN of a role",
        is_sound: access::is_role,
        label: None,
    }),
    advice: &[
        Advice {
            when: "SignatureDoesNotMatch",
            then: "correct the secret key, or `region`, in {s3-credentials}",
        },
        Advice {
            when: "AuthorizationHeaderMalformed",
            then: "correct `region` in {s3-credentials}",
        },
        Advice {
            when: "PathStyleDomainForbidden",
            then: "set `s3-uri-style=host` in {s3-credentials}",
        },
        Advice {
            when: "VirtualHostDomainRequired",
            then: "set `s3-uri-style=host` in {s3-credentials}",
        },
        Advice {
            when: "SecondLevelDomainForbidden",
            then: "set `s3-uri-style=host` in {s3-credentials}",
        },
        Advice {
            when: "Content-MD5 OR x-amz-checksum-",
            then: "set `s3-config=checksumAlgorithm=CRC32`, since the bucket has a retention",
        },
        Advice {
            when: "XAmzContentSHA256Mismatch",
            then: "set `s3-config=checksumAlgorithm=`, since the store takes no checksums",
        },
        Advice {
            when: "InvalidAccessKeyId",
            then: "correct the access key in {s3-credentials}",
        },
        Advice {
            when: "NoSuchBucket",
            then: "create the bucket or correct `bucket` in {s3-credentials}",
        },
        Advice {
            when: "AccessDenied",
            then: "allow the access key to list, read, write and delete in the bucket",
        },
        Advice {
            when: "invalid top-level directories",
            then: "give Velero a folder of its own with `path` in {s3-credentials}",
        },
        Advice {
            when: "server gave HTTP response to HTTPS client",
            then: "use `http://` in `endpoint` of {s3-credentials}",
        },
        Advice {
            when: "certificate signed by unknown authority",
            then: "set `tls-ca-chain` in {s3-credentials}",
        },
        Advice {
            when: "connection refused",
            then: "correct `endpoint` in {s3-credentials} or start the store",
        },
        Advice {
            when: "no such host",
            then: "correct `endpoint` in {s3-credentials}",
        },
    ],
};

/// Relation data that was found to be complete, and sound but for the gaps.
struct Settings {
    bucket: String,
    prefix: Option<String>,
    region: Option<String>,
    store: Option<StoreUrl>,
    address: Option<Address>,
    /// What the user says of it.
    addressing: Option<Addressing>,
    certificates: Option<Certificates>,
    attributes: Attributes,
    /// The option's, which come before all else.
    overrides: BTreeMap<&'static str, String>,
    access: Access,
    gaps: Vec<Gap>,
}

impl StorageProvider for S3 {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn needs(&self, fact: Fact, own: &RelationData) -> bool {
        match fact {
            Fact::ProviderIds => store(own).is_ok_and(|store| is_amazon(store.as_ref())),
            Fact::Now => own.plain(CA_CHAIN).is_some(),
        }
    }

    fn resolve(&self, inputs: &Inputs) -> Result<Answer, Problems> {
        if let Some(what) = access::awaited(inputs) {
            return Ok(Answer::Waiting(what.into()));
        }
        Ok(Answer::Ready(Box::new(render(read(inputs)?, inputs))))
    }

    fn secrets_inside(&self, text: &SecretString) -> Vec<SecretString> {
        provider_api::values_of(&credential::NAMES, text)
    }
}

fn read(inputs: &Inputs) -> Result<Settings, Problems> {
    let data = &inputs.own;
    let mut gaps = Vec::new();
    let region = Gap::or_value(region(data), REGION_PARTS, &mut gaps);
    let addressing = Gap::or_value(addressing(data), ADDRESSING_PARTS, &mut gaps);
    let certificates = Gap::or_value(certificates(data), CA_PARTS, &mut gaps);
    let prefix = Gap::or_value(prefix(data), PREFIX_PARTS, &mut gaps);
    let attributes = Gap::or_value(extras::attributes(data), ATTRIBUTE_PARTS, &mut gaps);

    let (bucket, store, access, mut overrides, ()) = all!(
        bucket(data),
        store(data),
        Access::read(inputs),
        settings::parse(inputs.option(&settings::OPTION)),
        plugin(inputs),
    )
    .and_then(|read| {
        sized(&read.0, read.1.as_ref())?;
        Ok(read)
    })
    .map_err(|problems| problems.and(gaps.iter().map(|gap| gap.problem.clone())))?;
    let address = store
        .as_ref()
        .map(|store| store.without(&bucket))
        .transpose()?;
    let forced = overrides
        .remove(PATH_STYLE)
        .map(|forced| match forced.as_str() {
            "true" => Addressing::Path,
            _ => Addressing::Virtual,
        });
    Ok(Settings {
        bucket,
        prefix,
        region: overrides.remove(REGION).or(region),
        store,
        address,
        addressing: forced.or(addressing),
        certificates,
        attributes: attributes.unwrap_or_default(),
        overrides,
        access,
        gaps,
    })
}

/// Some releases of the plugin work with Amazon alone.
fn plugin(inputs: &Inputs) -> Result<(), Problem> {
    match store(&inputs.own) {
        Ok(Some(store)) if !store.is_amazon() => {
            images::check_elsewhere(DESCRIPTOR.plugin, inputs.image(DESCRIPTOR.plugin))
        }
        // What is wrong with the address is said in its own place.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Without an address it is Amazon.
fn is_amazon(store: Option<&StoreUrl>) -> bool {
    store.is_none_or(StoreUrl::is_amazon)
}

fn bucket(data: &RelationData) -> Result<String, Problem> {
    let hint = "set `bucket` in {s3-credentials}";
    // A store of one's own may have made the bucket that it was asked for. Amazon has not, and a bucket of
    // that name there is somebody else's.
    let made = data.echo(BUCKET).filter(|_| data.plain(ENDPOINT).is_some());
    let bucket = made.map_or_else(|| data.required(BUCKET, hint), Ok)?;
    if bucket.contains('/') {
        let hint = "put the folder into `path` of {s3-credentials}";
        return Err(Problem::invalid(BUCKET, "contains a `/`", hint));
    }
    // Tenants of Ceph stand before a colon.
    let is_of_names = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
    let reason = if !bucket.chars().all(is_of_names) {
        "has characters that no bucket's name has"
    } else if bucket.contains("..") || bucket == "." {
        "is not a bucket's name"
    } else if bucket.len() > LONGEST_BUCKET {
        "is longer than a bucket's name may be"
    } else {
        return Ok(bucket.into());
    };
    Err(Problem::invalid(BUCKET, reason, hint))
}

/// What Amazon asks of names in addition.
fn sized(bucket: &str, store: Option<&StoreUrl>) -> Result<(), Problem> {
    let is_fine = bucket.len() >= SHORTEST_AT_AMAZON && !bucket.contains(':');
    if is_fine || !is_amazon(store) {
        return Ok(());
    }
    let reason = "is not a name that a bucket at Amazon can have";
    Err(Problem::invalid(
        BUCKET,
        reason,
        "set `bucket` in {s3-credentials}",
    ))
}

fn is_region(text: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !text.is_empty() && text.chars().all(is_name)
}

fn region(data: &RelationData) -> Result<Option<String>, Problem> {
    let Some(region) = data.plain(REGION) else {
        return Ok(None);
    };
    if !is_region(region) {
        let hint = "set `region` in {s3-credentials} to a name such as `eu-central-1`";
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
    data.folder(PATH, "correct `path` in {s3-credentials}")
}

fn certificates(data: &RelationData) -> Result<Option<Certificates>, Problem> {
    let hint = "set `tls-ca-chain` in {s3-credentials} to PEM certificates and nothing else";
    data.certificates(CA_CHAIN, hint)
}

fn render(settings: Settings, inputs: &Inputs) -> Storage {
    let mut remarks = remarks(&settings, inputs);
    let region = location_region(&settings, &mut remarks);
    let snapshots = snapshots(&settings, region.as_deref(), inputs, &mut remarks);
    let config = config(&settings, region);
    let Settings {
        bucket,
        prefix,
        certificates,
        access,
        gaps,
        ..
    } = settings;
    Storage {
        credential: access.credential(),
        location: Location {
            bucket,
            prefix,
            ca_certificates: certificates.map(|certificates| certificates.pem()),
            config,
        },
        snapshots,
        remarks,
        gaps,
    }
}

impl Settings {
    /// What is known of the store; nothing of Amazon has to be.
    fn vendor(&self) -> Option<&'static Vendor> {
        self.store.as_ref().map(|store| store.vendor)
    }

    fn addressing(&self) -> Addressing {
        let usual = self
            .vendor()
            .map_or(Addressing::Virtual, |vendor| vendor.addressing);
        self.addressing.unwrap_or(usual)
    }
}

/// The region that the location has. The plugin asks Amazon for the bucket's; other stores cannot be asked.
fn location_region(settings: &Settings, remarks: &mut Vec<String>) -> Option<String> {
    if let Some(region) = &settings.region {
        return Some(region.clone());
    }
    match settings.store.as_ref().map(|store| &store.region) {
        Some(HostRegion::Is(region)) => return Some(region.clone()),
        None | Some(HostRegion::Asked) if settings.addressing() == Addressing::Virtual => {
            return None;
        }
        None | Some(HostRegion::Asked | HostRegion::Untold) => {}
    }
    remarks.push(format!(
        "No `region` was sent, and `endpoint` does not tell it: `{ANY_REGION}` is used."
    ));
    Some(ANY_REGION.to_owned())
}

/// The location's config: what is known of the store, then what the integrator sent, then the option.
fn config(settings: &Settings, region: Option<String>) -> BTreeMap<String, String> {
    let mut config: BTreeMap<&str, String> = BTreeMap::new();
    let url = match &settings.address {
        Some(address) => address.url.clone(),
        // Elsewhere than there, file-system backups would look for the store in the wrong domain.
        None => region
            .as_deref()
            .map(vendors::partition)
            .and_then(|partition| {
                let is_usual = partition.domain == vendors::partition("").domain;
                let region = region.as_deref().filter(|_| !is_usual)?;
                Some(format!("https://s3.{region}.{}", partition.domain))
            }),
    };
    config.extend(url.map(|url| ("s3Url", url)));
    config.extend(region.map(|region| (REGION, region)));
    if settings
        .vendor()
        .is_some_and(|vendor| vendor.checksum == Checksum::Off)
    {
        config.insert(settings::CHECKSUM, String::new());
    }
    if settings.addressing() == Addressing::Path {
        config.insert(PATH_STYLE, "true".into());
    }
    config.extend(settings.attributes.settings.clone());
    config.extend(settings.overrides.clone());
    config
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Snapshots of EBS are made where the nodes are, by what opens the store, which is good for one partition.
fn snapshots(
    settings: &Settings,
    region: Option<&str>,
    inputs: &Inputs,
    remarks: &mut Vec<String>,
) -> Option<SnapshotLocation> {
    let nodes = nodes::region(&inputs.facts).filter(|_| is_amazon(settings.store.as_ref()))?;
    let partition = vendors::partition(nodes);
    if region.is_some_and(|region| vendors::partition(region) != partition) {
        return None;
    }
    remarks.push(format!(
        "EBS volumes are snapshotted in `{nodes}` with {}: set `volume-snapshots=false` if that is not \
         allowed.",
        settings.access.name()
    ));
    Some(SnapshotLocation {
        config: BTreeMap::from([(REGION.into(), nodes.to_owned())]),
    })
}

/// What there is to say though nothing is wrong.
fn remarks(settings: &Settings, inputs: &Inputs) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(store) = &settings.store {
        if store.is_unlisted() {
            remarks.push(
                "Nothing is known of the store at `endpoint`: it is asked in path style and without \
                 checksums, unless `s3-uri-style` or `s3-config` say otherwise."
                    .into(),
            );
        }
        if store.is_in_the_clear() {
            remarks.push("`endpoint` is `http://`: backups travel unencrypted.".into());
        }
        remarks.extend(store.vendor.known.iter().map(|known| (*known).to_owned()));
    }
    remarks.extend(
        settings
            .address
            .iter()
            .filter_map(|address| address.remark.clone()),
    );
    let files = settings.vendor().map(|vendor| vendor.file_backups);
    if (settings.addressing(), files) == (Addressing::Virtual, Some(Addressing::Path)) {
        remarks.push(
            "File-system backups ask this store in path style whatever is set, and fail if it refuses that."
                .into(),
        );
    }
    if settings
        .overrides
        .get(settings::SKIP_TLS)
        .is_some_and(|skip| skip == "true")
    {
        remarks.push(format!(
            "`{}` is set: anyone on the network between Velero and the store can read and change backups.",
            settings::SKIP_TLS
        ));
    }
    if let (Some(certificates), Some(now)) = (&settings.certificates, inputs.facts.now) {
        remarks.extend(certificates.remarks(CA_CHAIN, now));
    }
    remarks.extend(settings.attributes.remark.clone());
    remarks.extend(extras::remarks(&inputs.own));
    remarks
}

#[cfg(test)]
mod tests;
