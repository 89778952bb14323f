//! What a provider gives: everything that Velero needs to use a store.
//!
//! Plain data; what is secret in it stays wrapped.

use std::collections::BTreeMap;

use secrecy::SecretString;

use crate::Problem;

/// A store that Velero can use.
#[derive(Clone, Debug)]
pub struct Storage {
    /// What the plugin shows to the store.
    pub credential: Credential,
    /// Where backups go.
    pub location: Location,
    /// Where the cloud's own volume snapshots go; `None` unless the nodes' volumes are in that cloud.
    pub snapshots: Option<SnapshotLocation>,
    /// What the user may want to know though nothing is wrong; for the log.
    pub remarks: Vec<String>,
    /// What could not be filled in, because an optional field cannot be read.
    pub gaps: Vec<Gap>,
}

/// What the plugin shows to the store.
#[derive(Clone, Debug)]
pub enum Credential {
    /// Keys that were sent: the file with them, in the form that the plugin parses. They stand in it to the byte.
    Keys(SecretString),
    /// What the cloud gives to pods by their [`identity`](crate::Inputs::identity).
    OfPods {
        /// What the plugin has to read from a file all the same; nothing in it is secret.
        file: Option<SecretString>,
    },
}

impl Credential {
    /// The file for the plugin.
    #[must_use]
    pub fn file(&self) -> Option<&SecretString> {
        match self {
            Self::Keys(file) => Some(file),
            Self::OfPods { file } => file.as_ref(),
        }
    }
}

/// An optional field that cannot be read. It holds nothing else back: what it would have filled stays as
/// it is in the cluster, or everything is refused if nothing is there yet.
///
/// Not for a field that says where backups go: a bucket or an address that is left over could be the wrong
/// one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Gap {
    /// What is wrong with the field.
    pub problem: Problem,
    /// What it would have filled.
    pub parts: &'static [Part],
}

/// A part of the locations that one optional field fills.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// [`Location::prefix`].
    Prefix,
    /// [`Location::ca_certificates`].
    CaCertificates,
    /// One key of [`Location::config`].
    Config(&'static str),
    /// [`Storage::snapshots`] as a whole.
    Snapshots,
}

impl Gap {
    /// The field's value, or none and a gap where there should be one.
    pub fn or_value<T>(
        field: Result<Option<T>, Problem>,
        parts: &'static [Part],
        gaps: &mut Vec<Self>,
    ) -> Option<T> {
        match field {
            Ok(value) => value,
            Err(problem) => {
                gaps.push(Self { problem, parts });
                None
            }
        }
    }
}

/// The provider's part of a `BackupStorageLocation`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Location {
    /// The bucket or container.
    pub bucket: String,
    /// The folder in the bucket, without leading or trailing slashes.
    pub prefix: Option<String>,
    /// PEM certificates to trust for the store, in addition to the system's.
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
