//! The one Kubernetes Secret that holds the store's credential.
//!
//! **Invariant:** immutable, and of a new name for each new content, so that pointing the location at
//! it makes Velero judge anew at once. The name tells nothing about the content. This is the only
//! place where a credential is exposed.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, Hasher as _, RandomState},
};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::api::ObjectMeta;
use provider_api::secrecy::{ExposeSecret as _, SecretString};

use super::Owner;

/// The key in the Secret that the location names.
pub(crate) const KEY: &str = "cloud";
const ROLE: (&str, &str) = ("velero-operator/role", "storage-credential");

/// A name for a Secret with new content.
pub(crate) fn fresh_name(owner: &Owner) -> String {
    let random = RandomState::new().build_hasher().finish();
    format!("{}-storage-{:08x}", owner.application, random >> 32)
}

/// The Secret to apply.
pub(crate) fn secret(name: &str, namespace: &str, owner: &Owner, file: &SecretString) -> Secret {
    let mut labels = owner.labels();
    labels.extend([role()]);
    Secret {
        metadata: ObjectMeta {
            name: Some(name.into()),
            namespace: Some(namespace.into()),
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(
            KEY.into(),
            ByteString(file.expose_secret().as_bytes().to_vec()),
        )])),
        immutable: Some(true),
        type_: Some("Opaque".into()),
        ..Secret::default()
    }
}

/// The label that tells this Secret from others of ours.
pub(crate) fn role() -> (String, String) {
    (ROLE.0.into(), ROLE.1.into())
}

/// Selects the Secrets of this kind that are ours.
pub(crate) fn selector(owner: &Owner) -> String {
    let (label, value) = ROLE;
    format!("{},{label}={value}", owner.selector())
}

/// Everything that a Secret holds, as text.
pub(crate) fn contents(secret: &Secret) -> impl Iterator<Item = SecretString> {
    let values = secret.data.iter().flat_map(BTreeMap::values);
    values.map(|value| String::from_utf8_lossy(&value.0).into_owned().into())
}

/// The Secret holds this file and nothing else.
pub(crate) fn holds(secret: &Secret, file: &SecretString) -> bool {
    secret.immutable == Some(true)
        && secret.data.as_ref().is_some_and(|data| {
            data.len() == 1
                && data
                    .get(KEY)
                    .is_some_and(|live| live.0 == file.expose_secret().as_bytes())
        })
}
