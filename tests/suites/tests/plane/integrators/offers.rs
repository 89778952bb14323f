//! What integrators offer, by interface: options, and the fields in which keys come.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use worlds::plane::StoreKind;

const PEM: &str = include_str!("../../../../../provider-api/testkit/src/certificate.pem");

/// What comes by a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    /// A bucket of S3.
    S3,
    /// A container in Azure.
    Azure,
    /// A service principal for a container in Azure.
    Principal,
    /// A bucket at Google.
    Gcs,
}

/// An option that can be reset, and where its value stands in the location's `spec`.
pub(super) struct Extra {
    pub(super) option: &'static str,
    pub(super) value: &'static str,
    pub(super) pointer: &'static str,
}

const fn extra(option: &'static str, value: &'static str, pointer: &'static str) -> Extra {
    Extra {
        option,
        value,
        pointer,
    }
}

const OF_S3: [Extra; 5] = [
    extra("path", "deep", "/objectStorage/prefix"),
    extra("region", "eu-central-9", "/config/region"),
    extra("s3-uri-style", "host", "/config/s3ForcePathStyle"),
    extra("tls-ca-chain", PEM, "/objectStorage/caCert"),
    extra("endpoint", "https://other.example.com", "/config/s3Url"),
];
const OF_AZURE: [Extra; 2] = [
    extra("path", "deep", "/objectStorage/prefix"),
    extra("resource-group", "a-group", "/config/resourceGroup"),
];
const OF_PRINCIPAL: [Extra; 1] = [extra(
    "subscription-id",
    "a-subscription",
    "/config/subscriptionId",
)];
const OF_GCS: [Extra; 1] = [extra("path", "deep", "/objectStorage/prefix")];

impl Offer {
    /// Our endpoint.
    pub(super) const fn endpoint(self) -> &'static str {
        match self {
            Self::S3 => "s3-credentials",
            Self::Azure => "azure-storage",
            Self::Principal => "azure-service-principal",
            Self::Gcs => "gcs-credentials",
        }
    }

    /// The options without which there is no store.
    pub(super) fn options(self, bucket: &str) -> Vec<(&'static str, String)> {
        let own = |(key, value): (_, &str)| (key, value.to_owned());
        match self {
            Self::S3 => vec![
                own(("bucket", bucket)),
                own(("endpoint", "https://s3.example.com")),
            ],
            Self::Azure => vec![
                own(("container", bucket)),
                own(("storage-account", "acme")),
                own(("connection-protocol", "abfss")),
            ],
            Self::Principal => vec![own(("tenant-id", "a-tenant"))],
            Self::Gcs => vec![own(("bucket", bucket))],
        }
    }

    /// The one of them that is blanked.
    pub(super) const fn needed(self) -> &'static str {
        match self {
            Self::S3 | Self::Gcs => "bucket",
            Self::Azure => "container",
            Self::Principal => "tenant-id",
        }
    }

    /// The others.
    pub(super) const fn extras(self) -> &'static [Extra] {
        match self {
            Self::S3 => &OF_S3,
            Self::Azure => &OF_AZURE,
            Self::Principal => &OF_PRINCIPAL,
            Self::Gcs => &OF_GCS,
        }
    }

    /// The field with what is secret in it.
    pub(super) const fn key_field(self) -> &'static str {
        match self {
            Self::S3 | Self::Azure | Self::Gcs => "secret-key",
            Self::Principal => "client-secret",
        }
    }

    /// What the user has of the store, with these letters as its key.
    pub(super) fn keys(self, letters: &str) -> Vec<(&'static str, String)> {
        let key = match self {
            Self::Gcs => StoreKind::Gcs.key_of(letters),
            Self::S3 | Self::Azure | Self::Principal => letters.to_owned(),
        };
        let name = match self {
            Self::S3 => Some(("access-key", "an-access-key".to_owned())),
            Self::Principal => Some(("client-id", "a-client".to_owned())),
            Self::Azure | Self::Gcs => None,
        };
        name.into_iter().chain([(self.key_field(), key)]).collect()
    }

    /// What stands of these letters in a credential file.
    pub(super) fn trace(self, letters: &str) -> String {
        match self {
            Self::Gcs => STANDARD.encode(letters),
            Self::S3 | Self::Azure | Self::Principal => letters.to_owned(),
        }
    }
}
