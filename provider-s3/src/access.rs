//! What Velero shows to the store: keys, or nothing where Amazon knows its pods.

use provider_api::{Credential, Inputs, Problems, all, secrecy::SecretString};

use crate::{ACCESS_KEY, BUCKET, SECRET_KEY, credential, is_amazon, store};

const KEYS: [&str; 2] = [ACCESS_KEY, SECRET_KEY];

/// The one or the other.
pub(crate) enum Access {
    Keys {
        access_key: SecretString,
        secret_key: SecretString,
    },
    /// The role of its pods.
    Role,
}

/// The ARN of a role, in any partition.
pub(crate) fn is_role(text: &str) -> bool {
    let is_of_arns = |c: char| c.is_ascii_graphic();
    text.starts_with("arn:")
        && text.contains(":iam::")
        && text.contains(":role/")
        && text.chars().all(is_of_arns)
}

/// What the integrator has yet to send. What else there is may be left over from before, or be on its way too.
pub(crate) fn awaited(inputs: &Inputs) -> Option<&'static str> {
    let data = &inputs.own;
    if data.has_any(&KEYS) {
        return None;
    }
    let bucket = data.plain(BUCKET);
    if has_role(inputs) {
        return bucket
            .is_none()
            .then_some("{s3-credentials} to send a bucket");
    }
    if !data.lacks_all(&KEYS) {
        return None;
    }
    Some(match bucket {
        Some(_) => "{s3-credentials} to send keys",
        None => "{s3-credentials} to send a bucket and keys",
    })
}

/// Other stores do not know Amazon's roles.
fn has_role(inputs: &Inputs) -> bool {
    let is_at_amazon = || store(&inputs.own).is_ok_and(|store| is_amazon(store.as_ref()));
    inputs.identity.is_some() && is_at_amazon()
}

impl Access {
    /// Keys that were sent are meant.
    pub(crate) fn read(inputs: &Inputs) -> Result<Self, Problems> {
        let data = &inputs.own;
        if has_role(inputs) && !data.has_any(&KEYS) {
            return Ok(Self::Role);
        }
        let (access_key, secret_key) = all!(
            credential::key(data, ACCESS_KEY),
            credential::key(data, SECRET_KEY),
        )?;
        Ok(Self::Keys {
            access_key,
            secret_key,
        })
    }

    pub(crate) fn credential(&self) -> Credential {
        match self {
            Self::Keys {
                access_key,
                secret_key,
            } => Credential::Keys(credential::file(access_key, secret_key)),
            Self::Role => Credential::OfPods { file: None },
        }
    }

    /// In words.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Keys { .. } => "the keys of the store",
            Self::Role => "the role of Velero's pods",
        }
    }
}
