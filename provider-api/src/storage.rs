//! What a provider gives: everything that Velero needs to use a store.
//!
//! **Invariant:** plain data; the credential is the only secret in it and stays wrapped.

use std::collections::BTreeMap;

use secrecy::SecretString;

/// A store that Velero can use.
#[derive(Clone, Debug)]
pub struct Storage {
    /// The image of the plugin that serves it.
    pub plugin_image: String,
    /// The credential file, in the form that the plugin parses.
    pub credential: SecretString,
    /// Every single secret value inside `credential`, to be kept out of messages.
    pub canaries: Vec<SecretString>,
    /// Where backups go.
    pub location: Location,
    /// Where the provider's own volume snapshots go, if it can make any here.
    pub snapshots: Option<SnapshotLocation>,
    /// What the user may want to know though nothing is wrong; for the log.
    pub remarks: Vec<String>,
}

/// The provider's part of a `BackupStorageLocation`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Location {
    /// The bucket or container.
    pub bucket: String,
    /// The folder in the bucket, without leading or trailing slashes.
    pub prefix: Option<String>,
    /// PEM certificates to trust for the store, beside the system's.
    pub ca_certificates: Option<String>,
    /// The provider's settings, under the plugin's names.
    pub config: BTreeMap<String, String>,
}

/// The provider's part of a `VolumeSnapshotLocation`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SnapshotLocation {
    /// The provider's settings, under the plugin's names.
    pub config: BTreeMap<String, String>,
}
