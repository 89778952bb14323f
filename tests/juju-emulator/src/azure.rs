//! `azure-storage-integrator`, speaking one of the protocol versions of the `azure_storage` interface.
//!
//! Invariant: a requirer that asks for a secret gets the key as one. Where the integrator may not read the user's
//! secret, it sends a blank key. It never takes back an option of those that may be unset.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::scripted::{Answer, Scripted, UpdateStatus, View, stays_in_the_clear, text};
use super::secrets::encode;

const SECRET_KEY: &str = "secret-key";
/// What it leaves out where its user has set nothing, so that what it has said of them stays; the endpoint it derives.
const OPTIONAL: [&str; 3] = ["endpoint", "path", "resource-group"];

/// What the integrator was told about an account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AzureSettings {
    /// The account's key.
    pub secret_key: String,
    /// `container`, `storage-account`, `connection-protocol`, `endpoint`, `path`, `resource-group`, as
    /// they go into the bag; the endpoint is derived from the others unless it is set.
    pub options: BTreeMap<String, String>,
}

/// How its releases talk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AzureDialect {
    /// It names no version, keeps what it has seen, and answers anyone who asks for a container; what is asked
    /// for counts for nothing.
    V0,
    /// It names its version, and answers that or a container.
    #[default]
    V1,
}

/// The player.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AzureIntegrator {
    /// What it was told.
    pub settings: AzureSettings,
    /// How it talks.
    #[serde(default)]
    pub dialect: AzureDialect,
}

impl AzureSettings {
    /// Settings of a container in an account.
    #[must_use]
    pub fn of_account(account: &str, container: &str, secret_key: &str) -> Self {
        let options = [
            ("storage-account", account),
            ("container", container),
            ("connection-protocol", "abfss"),
        ];
        Self {
            secret_key: secret_key.to_owned(),
            options: options
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        }
    }
}

impl Scripted for AzureIntegrator {
    fn endpoints(&self) -> Vec<(&'static str, &'static str)> {
        vec![("azure-storage-credentials", "azure_storage")]
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

    /// So who grants a secret late is not heard.
    fn update_status(&self) -> UpdateStatus {
        UpdateStatus::SaysNothing
    }

    fn answer(&self, view: &View<'_>) -> Answer {
        let mut answer = Answer::default();
        let says = |key| view.remote.contains_key(key);
        let is_asked = match self.dialect {
            AzureDialect::V0 => {
                let seen = serde_json::json!(view.remote).to_string();
                answer.bag.insert("data".to_owned(), seen);
                says("container")
            }
            AzureDialect::V1 => {
                answer.bag.insert("version".to_owned(), "1".to_owned());
                says("version") || says("container")
            }
        };
        let Some(key) = self.key(view).filter(|_| is_asked) else {
            return answer;
        };
        let is_unset = |key: &str, value: &str| value.is_empty() && OPTIONAL.contains(&key);
        let mut options = self.settings.options.clone();
        options.retain(|key, value| !is_unset(key, value));
        answer.bag.extend(options);
        answer.bag.entry("endpoint".to_owned()).or_insert_with(|| {
            let option = |key| self.settings.options.get(key).map_or("", String::as_str);
            let (container, account) = (option("container"), option("storage-account"));
            format!("abfss://{container}@{account}.dfs.core.windows.net/")
        });
        let key = BTreeMap::from([(SECRET_KEY.to_owned(), key)]);
        if stays_in_the_clear(view, &[SECRET_KEY]) {
            answer.bag.extend(key);
        } else {
            answer
                .secrets
                .insert("secret-extra".to_owned(), encode(&key));
        }
        answer
    }
}

impl AzureIntegrator {
    /// None while the user has named none.
    fn key(&self, view: &View<'_>) -> Option<String> {
        match view.secret {
            Some(secret) => Some(secret.get("secret-key").cloned().unwrap_or_default()),
            None => Some(self.settings.secret_key.clone()).filter(|key| !key.is_empty()),
        }
    }
}
