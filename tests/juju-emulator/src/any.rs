//! An integrator of any kind of store, as those are that stand on the library for object storage.
//!
//! Invariant: what is secret leaves it only as a secret. A requirer is answered when it asks for secrets, whether
//! or not it names a version.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::scripted::{Answer, Scripted, UpdateStatus, View, text};
use super::secrets::encode;

/// The player.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnyIntegrator {
    /// The name of its endpoint.
    pub endpoint: String,
    /// Its interface.
    pub interface: String,
    /// The settings that it sends as a secret.
    pub secrets: Vec<String>,
    /// All that it was told.
    pub settings: BTreeMap<String, String>,
}

impl Scripted for AnyIntegrator {
    fn endpoints(&self) -> Vec<(&str, &str)> {
        vec![(&self.endpoint, &self.interface)]
    }

    fn configure(&mut self, key: &str, value: &Value) -> Result<()> {
        self.settings.insert(key.to_owned(), text(value)?);
        Ok(())
    }

    fn update_status(&self) -> UpdateStatus {
        UpdateStatus::SaysNothing
    }

    fn answer(&self, view: &View<'_>) -> Answer {
        let mut answer = Answer::default();
        answer.bag.insert("version".to_owned(), "1".to_owned());
        if !view.remote.contains_key("requested-secrets") {
            return answer;
        }
        let (secret, plain): (BTreeMap<_, _>, BTreeMap<_, _>) = self
            .settings
            .clone()
            .into_iter()
            .partition(|(key, _)| self.secrets.contains(key));
        answer.bag.extend(plain);
        if !secret.is_empty() {
            answer
                .secrets
                .insert("secret-extra".to_owned(), encode(&secret));
        }
        answer
    }
}
