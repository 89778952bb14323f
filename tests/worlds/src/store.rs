//! The stack's stores, alike to tests of what holds for each kind.
//!
//! Invariant: what a test does with one kind of store, it can do with the others.

use anyhow::Result;
use juju_emulator::{AzureSettings, GcsRelease, GcsSettings, Juju};
use kube_stack::{AzureStore, GcsStore, S3Store, StoredObject};

use crate::operator::{self, AZURE, GCS, S3};

/// What is shorter is no secret.
const SHORTEST_LINE: usize = 16;

/// A store that backups can go to. What it keeps them in is a bucket here, as it is to Velero.
#[derive(Debug, Clone)]
pub enum Store {
    /// `SeaweedFS`.
    S3(S3Store),
    /// Azurite.
    Azure(AzureStore),
    /// fake-gcs-server, with a stand-in for Google's token endpoint.
    Gcs(GcsStore),
}

impl Store {
    /// The application that offers it.
    #[must_use]
    pub const fn integrator(&self) -> &'static str {
        match self {
            Self::S3(_) => S3,
            Self::Azure(_) => AZURE,
            Self::Gcs(_) => GCS,
        }
    }

    /// Deploys its integrator, which offers a bucket of it.
    pub fn deploy_integrator(&self, juju: &mut Juju, bucket: &str) -> Result<()> {
        match self {
            Self::S3(store) => juju.deploy_s3_integrator(S3, operator::s3_settings(store, bucket)),
            Self::Azure(store) => {
                juju.deploy_azure_integrator(AZURE, azure_settings(store, bucket))
            }
            Self::Gcs(store) => {
                let settings = GcsSettings::of_bucket(bucket, &store.key);
                juju.deploy_gcs_integrator(GCS, settings, GcsRelease::default())
            }
        }
    }

    /// Makes a bucket, without anything that an earlier one of its name had.
    pub async fn make_bucket(&self, bucket: &str) -> Result<()> {
        // The first time there is none to delete.
        match self {
            Self::S3(store) => {
                let _ = store.delete_bucket(bucket).await;
                store.create_bucket(bucket).await
            }
            Self::Azure(store) => {
                let _ = store.delete_container(bucket).await;
                store.create_container(bucket).await
            }
            Self::Gcs(store) => {
                let _ = store.delete_bucket(bucket).await;
                store.create_bucket(bucket).await
            }
        }
    }

    /// What is in a bucket, in the order of the keys.
    pub async fn list(&self, bucket: &str) -> Result<Vec<StoredObject>> {
        match self {
            Self::S3(store) => store.list(bucket, "").await,
            Self::Azure(store) => store.list(bucket).await,
            Self::Gcs(store) => store.list(bucket).await,
        }
    }

    /// What nobody may say.
    #[must_use]
    pub fn secrets(&self) -> Vec<&str> {
        match self {
            Self::S3(store) => vec![&store.access_key, &store.secret_key],
            Self::Azure(store) => vec![&store.key],
            Self::Gcs(store) => pem_lines(&store.key),
        }
    }
}

/// The lines of the PEM in a JSON key, but for those that could stand elsewhere too.
fn pem_lines(key: &str) -> Vec<&str> {
    let is_of_base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    let lines = key.split("\\n");
    lines
        .filter(|line| line.len() >= SHORTEST_LINE && line.chars().all(is_of_base64))
        .collect()
}

fn azure_settings(store: &AzureStore, container: &str) -> AzureSettings {
    let mut settings = AzureSettings::of_account(&store.account, container, &store.key);
    let endpoint = store.endpoint.clone();
    settings.options.insert("endpoint".to_owned(), endpoint);
    settings
}
