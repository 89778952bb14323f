#![doc = include_str!("../README.md")]

mod access;
mod key;
mod nodes;

use std::net::Ipv4Addr;

use provider_api::{
    Advice, Answer, Descriptor, Endpoint, Fact, Gap, Handshake, Identity, ImageOption, Inputs,
    Location, Part, Problem, Problems, RelationData, SnapshotLocation, Storage, StorageProvider,
    Version, all, secrecy::SecretString,
};

use crate::{access::Access, nodes::NodeProject};

const BUCKET: &str = "bucket";
const PATH: &str = "path";
const STORAGE_CLASS: &str = "storage-class";
const SECRET_KEY: &str = "secret-key";

/// The plugin's setting for the project of the disks.
const VOLUME_PROJECT: &str = "volumeProject";

/// What the integrator sends if nobody has chosen one.
const USUAL_CLASS: &str = "STANDARD";

/// Of a bucket without dots, and of each part of one with dots.
const LONGEST_PART: usize = 63;
/// Of a bucket with dots.
const LONGEST_BUCKET: usize = 222;
const SHORTEST_BUCKET: usize = 3;

/// The provider of Google Cloud Storage.
#[derive(Debug)]
pub struct Gcs;

/// The one that is registered.
pub static PROVIDER: Gcs = Gcs;

provider_api::register!(PROVIDER);

static DESCRIPTOR: Descriptor = Descriptor {
    name: "gcp",
    summary: "Google Cloud Storage",
    endpoint: Endpoint {
        name: "gcs-credentials",
        interface: "gcs",
        handshake: Handshake {
            requested_secrets: &[SECRET_KEY],
            version: Version::Said,
            // Each release would take it for the bucket that the user wants.
            placeholder: None,
        },
        facts: &[Fact::ProviderIds],
    },
    integrator: "gcs-integrator",
    optional_endpoints: &[],
    options: &[],
    // That of GKE (Workload Identity Federation).
    identity: Some(Identity {
        annotation: "iam.gke.io/gcp-service-account",
        shape: "the address of a service account",
        is_sound: access::is_account,
        label: None,
    }),
    plugin: ImageOption {
        option: "velero-gcp-plugin-image",
        default: "velero/velero-plugin-for-gcp:v1.14.2",
    },
    advice: &[
        Advice {
            when: "Invalid JWT Signature",
            then: "make a new key of the service account and set that in {gcs-credentials}",
        },
        Advice {
            when: "account not found",
            then: "set the key of a service account that still exists in {gcs-credentials}",
        },
        Advice {
            when: "reasonable timeframe",
            then: "correct the clock of the cluster's nodes",
        },
        Advice {
            when: "invalid_grant",
            then: "set another key of the service account in {gcs-credentials}",
        },
        Advice {
            when: "private key should be a PEM",
            then: "set the JSON key of a service account, all of it, in {gcs-credentials}",
        },
        Advice {
            when: "bucket doesn't exist",
            then: "create the bucket or correct `bucket` in {gcs-credentials}",
        },
        Advice {
            when: "storage.objects.",
            then: "give the service account the role `Storage Object Admin` on the bucket",
        },
        Advice {
            when: "it is disabled",
            then: "enable the API in the service account's project",
        },
        Advice {
            when: "billing account",
            then: "enable billing in the bucket's project",
        },
        Advice {
            when: "invalid top-level directories",
            then: "give Velero a folder of its own with `path` in {gcs-credentials}",
        },
        Advice {
            when: "certificate signed by unknown authority",
            then: "let the cluster reach Google without a proxy that opens TLS",
        },
        Advice {
            when: "no such host",
            then: "let the cluster's DNS resolve `storage.googleapis.com` and \
                   `oauth2.googleapis.com`",
        },
    ],
};

impl StorageProvider for Gcs {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn resolve(&self, inputs: &Inputs) -> Result<Answer, Problems> {
        let data = &inputs.own;
        if let Some(what) = access::awaited(inputs) {
            return Ok(Answer::Waiting(what.into()));
        }
        let mut gaps = Vec::new();
        let folder = data.folder(PATH, "correct `path` in {gcs-credentials}");
        let prefix = Gap::or_value(folder, &[Part::Prefix], &mut gaps);
        let (bucket, access) = all!(bucket(data), Access::read(inputs))
            .map_err(|problems| problems.and(gaps.iter().map(|gap| gap.problem.clone())))?;
        let nodes = NodeProject::find(&inputs.facts, access.project());
        Ok(Answer::Ready(Box::new(Storage {
            location: Location {
                bucket: bucket.into(),
                prefix,
                ca_certificates: None,
                config: access.config(),
            },
            snapshots: nodes
                .as_ref()
                .map(|nodes| snapshot_location(nodes, &access)),
            remarks: remarks(data, nodes.as_ref()),
            gaps,
            credential: access.credential(),
        })))
    }

    fn secrets_inside(&self, text: &SecretString) -> Vec<SecretString> {
        key::secrets_inside(text)
    }
}

/// By Google's rules for names, so that what can be no bucket is said at once.
fn bucket(data: &RelationData) -> Result<&str, Problem> {
    let bucket = data.required(BUCKET, "set `bucket` in {gcs-credentials}")?;
    let hint = "set `bucket` in {gcs-credentials} to the name of a bucket";
    let invalid = |reason: &str, hint: &str| Err(Problem::invalid(BUCKET, reason, hint));
    if bucket.contains('/') {
        let hint = "set `bucket` in {gcs-credentials} to the bucket's name alone, and `path` to the \
                 folder";
        return invalid("contains a `/`", hint);
    }
    let is_of_names = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    if !bucket.chars().all(is_of_names) {
        return invalid(
            "has more in it than lower-case letters, digits, `-`, `_` and `.`",
            hint,
        );
    }
    let longest = if bucket.contains('.') {
        LONGEST_BUCKET
    } else {
        LONGEST_PART
    };
    let is_too_long = |part: &str| part.len() > LONGEST_PART;
    if !(SHORTEST_BUCKET..=longest).contains(&bucket.len()) || bucket.split('.').any(is_too_long) {
        return invalid(
            "is not of 3 to 63 characters, or with dots of at most 222",
            hint,
        );
    }
    if !bucket.starts_with(|c: char| c.is_ascii_alphanumeric())
        || !bucket.ends_with(|c: char| c.is_ascii_alphanumeric())
    {
        return invalid("does not begin and end with a letter or digit", hint);
    }
    if bucket.starts_with("goog") || bucket.parse::<Ipv4Addr>().is_ok() {
        return invalid(
            "begins with `goog` or is an IP address, as no bucket does",
            hint,
        );
    }
    Ok(bucket)
}

/// Snapshots stay in the project of the disks. Where in it, its own settings say.
fn snapshot_location(nodes: &NodeProject, access: &Access) -> SnapshotLocation {
    let project = Some(nodes.name.as_str());
    let other = project.filter(|_| project != access.project());
    SnapshotLocation {
        config: other
            .map(|project| (VOLUME_PROJECT.to_owned(), project.to_owned()))
            .into_iter()
            .collect(),
    }
}

fn remarks(data: &RelationData, nodes: Option<&NodeProject>) -> Vec<String> {
    let mut remarks = Vec::new();
    if data
        .plain(STORAGE_CLASS)
        .is_some_and(|class| class != USUAL_CLASS)
    {
        remarks.push(
            "`storage-class` has no effect: Velero leaves the class of objects to the bucket."
                .into(),
        );
    }
    if let Some(NodeProject { name, others: 1.. }) = nodes {
        remarks.push(format!(
            "Nodes are in several projects: disks are looked for in `{name}` alone."
        ));
    }
    remarks
}

#[cfg(test)]
mod tests;
