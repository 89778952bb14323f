//! The kinds of stores, alike to tests of what holds for each.
//!
//! Invariant: what a test does with one kind it can do with another. No store is ever asked: what Velero
//! says of it is the stand-in's.

use anyhow::Result;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use juju_emulator::{AzureSettings, GcsRelease, GcsSettings};
use serde_json::json;

use super::LightWorld;
use crate::operator::{AZURE, GCS, S3};

const ACCOUNT: &str = "acme";
/// Base64, as Azure wants it, and a PEM.
const KEY: &str = "YSBsaWdodCBrZXk=";

/// A kind of store that a world can be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoreKind {
    /// S3.
    S3,
    /// Azure Blob Storage.
    Azure,
    /// Google Cloud Storage.
    Gcs,
}

impl StoreKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::S3, Self::Azure, Self::Gcs];

    /// The application that offers it.
    #[must_use]
    pub const fn integrator(self) -> &'static str {
        match self {
            Self::S3 => S3,
            Self::Azure => AZURE,
            Self::Gcs => GCS,
        }
    }

    /// What the integrator calls a bucket.
    #[must_use]
    pub const fn bucket_option(self) -> &'static str {
        match self {
            Self::S3 | Self::Gcs => "bucket",
            Self::Azure => "container",
        }
    }

    /// The secret key of the world's own bucket.
    #[must_use]
    pub fn secret_key(self, world: &LightWorld) -> String {
        match self {
            Self::S3 => world.settings().secret_key,
            Self::Azure | Self::Gcs => self.key_of(KEY),
        }
    }

    /// A secret key that has these letters and digits in it, in the form that this kind of store wants.
    #[must_use]
    pub fn key_of(self, letters: &str) -> String {
        match self {
            Self::S3 | Self::Azure => letters.to_owned(),
            Self::Gcs => google_key(letters),
        }
    }

    /// Deploys its integrator, which offers the world's own bucket.
    pub fn deploy(self, world: &mut LightWorld) -> Result<()> {
        match self {
            Self::S3 => {
                let settings = world.settings();
                world.juju.deploy_s3_integrator(S3, settings)
            }
            Self::Azure => {
                let settings = AzureSettings::of_account(ACCOUNT, &world.bucket, KEY);
                world.juju.deploy_azure_integrator(AZURE, settings)
            }
            Self::Gcs => {
                let settings = GcsSettings::of_bucket(&world.bucket, &self.secret_key(world));
                let release = GcsRelease::default();
                world.juju.deploy_gcs_integrator(GCS, settings, release)
            }
        }
    }
}

/// The JSON key of a service account, as Google makes them, with base64 of these letters for the key in it.
fn google_key(letters: &str) -> String {
    let body = STANDARD.encode(letters);
    json!({
        "type": "service_account",
        "project_id": "acme",
        "private_key_id": "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
        "private_key": format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"),
        "client_email": "velero@acme.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    })
    .to_string()
}
