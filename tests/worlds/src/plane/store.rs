//! The kinds of stores, alike to tests of what holds for each.
//!
//! Invariant: what a test does with one kind it can do with the other. No store is ever asked: what Velero
//! says of it is the stand-in's.

use anyhow::Result;
use juju_emulator::AzureSettings;

use super::LightWorld;
use crate::operator::{AZURE, S3};

const ACCOUNT: &str = "acme";
const AZURE_KEY: &str = "YSBsaWdodCBrZXk=";

/// A kind of store that a world can be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoreKind {
    /// S3.
    S3,
    /// Azure Blob Storage.
    Azure,
}

impl StoreKind {
    /// The application that offers it.
    #[must_use]
    pub const fn integrator(self) -> &'static str {
        match self {
            Self::S3 => S3,
            Self::Azure => AZURE,
        }
    }

    /// What the integrator calls a bucket.
    #[must_use]
    pub const fn bucket_option(self) -> &'static str {
        match self {
            Self::S3 => "bucket",
            Self::Azure => "container",
        }
    }

    /// The secret key of the world's own bucket.
    #[must_use]
    pub fn secret_key(self, world: &LightWorld) -> String {
        match self {
            Self::S3 => world.settings().secret_key,
            Self::Azure => AZURE_KEY.to_owned(),
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
                let settings = AzureSettings::of_account(ACCOUNT, &world.bucket, AZURE_KEY);
                world.juju.deploy_azure_integrator(AZURE, settings)
            }
        }
    }
}
