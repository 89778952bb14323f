//! `gcs-integrator`, in its releases with and without a protocol version.
//!
//! Invariant: the key leaves it only as a secret. A bucket, folder or class that a requirer names counts instead of
//! the user's, in each release. That without a version lets an option stand that was reset.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::scripted::{Answer, Scripted, UpdateStatus, View, text};
use super::secrets::encode;

/// What a requirer may want otherwise.
const OVERRIDES: [&str; 3] = ["bucket", "path", "storage-class"];

/// What the integrator was told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GcsSettings {
    /// The JSON key of a service account.
    pub secret_key: String,
    /// `bucket`, `path`, `storage-class`, as they go into the bag.
    pub options: BTreeMap<String, String>,
}

/// A release.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum GcsRelease {
    /// On the library for object storage: names its version.
    #[default]
    Library,
    /// Of January 2026: names none.
    Unversioned,
}

/// The player.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GcsIntegrator {
    /// What it was told.
    pub settings: GcsSettings,
    /// How it talks.
    pub release: GcsRelease,
}

impl GcsSettings {
    /// Settings of a bucket, with the class that is the option's default.
    #[must_use]
    pub fn of_bucket(bucket: &str, secret_key: &str) -> Self {
        let options = [("bucket", bucket), ("storage-class", "STANDARD")];
        Self {
            secret_key: secret_key.to_owned(),
            options: options
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        }
    }
}

impl Scripted for GcsIntegrator {
    fn endpoints(&self) -> Vec<(&str, &str)> {
        vec![("gcs-credentials", "gcs")]
    }

    /// `secret-key` is not an option of the real one, which takes it from a secret alone; it can be set here
    /// for tests that are not about the way of the key.
    fn configure(&mut self, key: &str, value: &Value) -> Result<()> {
        let text = text(value)?;
        if key == "secret-key" {
            self.settings.secret_key = text;
        } else {
            // Kept when empty, so that the key is also taken out of the bag.
            self.settings.options.insert(key.to_owned(), text);
        }
        Ok(())
    }

    fn update_status(&self) -> UpdateStatus {
        UpdateStatus::SendsAgain
    }

    /// Nothing is sent without a key that can be read.
    fn answer(&self, view: &View<'_>) -> Answer {
        let mut answer = Answer::default();
        if self.release == GcsRelease::Library {
            answer.bag.insert("version".to_owned(), "1".to_owned());
        }
        let asked = view.remote.contains_key("requested-secrets");
        let Some(key) = self.key(view).filter(|_| asked) else {
            return answer;
        };
        let mut options = self.settings.options.clone();
        options.retain(|_, value| self.release == GcsRelease::Library || !value.is_empty());
        answer.bag.extend(options);
        let wishes = OVERRIDES
            .iter()
            .filter_map(|name| view.remote.get_key_value(*name));
        let wishes = wishes.filter(|(_, wish)| !wish.is_empty());
        answer
            .bag
            .extend(wishes.map(|(name, wish)| (name.clone(), wish.clone())));
        let key = BTreeMap::from([("secret-key".to_owned(), key)]);
        answer
            .secrets
            .insert("secret-extra".to_owned(), encode(&key));
        answer
    }
}

impl GcsIntegrator {
    fn key(&self, view: &View<'_>) -> Option<String> {
        let key = match view.secret {
            Some(secret) => secret.get("secret-key").cloned(),
            None => Some(self.settings.secret_key.clone()),
        };
        key.filter(|key| !key.is_empty())
    }
}
