//! What Velero shows to Google: the key of a service account, or nothing where Google knows its pods.

use std::collections::BTreeMap;

use provider_api::{Credential, Inputs, Problem};

use crate::{BUCKET, SECRET_KEY, key::Key};

/// The plugin's setting for the account that signs what it lets others download.
const ACCOUNT: &str = "serviceAccount";

/// The one or the other.
pub(crate) enum Access {
    Key(Key),
    /// The service account that its pods act as.
    OfPods(String),
}

/// The address of one.
pub(crate) fn is_account(text: &str) -> bool {
    let is_of_addresses = |c: char| c.is_ascii_alphanumeric() || "-.:".contains(c);
    let parts = text.split_once('@');
    parts.is_some_and(|(name, domain)| {
        let all = [name, domain];
        all.iter()
            .all(|part| !part.is_empty() && part.chars().all(is_of_addresses))
    })
}

/// What the integrator has yet to send. What else there is may be left over from before, or be on its way too.
pub(crate) fn awaited(inputs: &Inputs) -> Option<&'static str> {
    let data = &inputs.own;
    if !data.lacks_all(&[SECRET_KEY]) {
        return None;
    }
    if inputs.identity.is_some() {
        let bucket = data.plain(BUCKET);
        return bucket
            .is_none()
            .then_some("{gcs-credentials} to send a bucket");
    }
    Some("{gcs-credentials} to send a bucket and a service account's key (`secret-key`)")
}

impl Access {
    /// A key that was sent is meant.
    pub(crate) fn read(inputs: &Inputs) -> Result<Self, Problem> {
        match &inputs.identity {
            Some(account) if !inputs.own.has_any(&[SECRET_KEY]) => {
                Ok(Self::OfPods(account.clone()))
            }
            _ => Key::read(&inputs.own).map(Self::Key),
        }
    }

    /// That of the service account, as far as it is known.
    pub(crate) fn project(&self) -> Option<&str> {
        match self {
            Self::Key(key) => Some(&key.project),
            Self::OfPods(_) => None,
        }
    }

    /// What the location says of it: a key names its account, and without one the plugin wants to be told.
    pub(crate) fn config(&self) -> BTreeMap<String, String> {
        match self {
            Self::Key(_) => BTreeMap::new(),
            Self::OfPods(account) => BTreeMap::from([(ACCOUNT.to_owned(), account.clone())]),
        }
    }

    pub(crate) fn credential(self) -> Credential {
        match self {
            Self::Key(key) => Credential::Keys(key.document),
            Self::OfPods(_) => Credential::OfPods { file: None },
        }
    }
}
