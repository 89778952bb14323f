//! `azure-auth-integrator`, as it is released.
//!
//! Invariant: it asks for nothing before it answers, but a requirer that names a version gets no answer: one
//! of its releases takes that for another protocol. Where it may not read the user's secret, it sends blanks. The
//! releases before March 2026 send a secret only to who has asked for one before their first answer.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::scripted::{Answer, Scripted, UpdateStatus, View, stays_in_the_clear, text};
use super::secrets::encode;

const SECRETS: [&str; 2] = ["client-id", "client-secret"];

/// Its releases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthRelease {
    /// Before March 2026.
    Old,
    /// Those since, which send a secret whether or not one is asked for.
    #[default]
    New,
}

/// The player.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AzureAuthIntegrator {
    /// `client-id`, `client-secret`, `tenant-id` and `subscription-id`.
    pub settings: BTreeMap<String, String>,
    /// Which one it is.
    #[serde(default)]
    pub release: AuthRelease,
}

impl Scripted for AzureAuthIntegrator {
    fn endpoints(&self) -> Vec<(&'static str, &'static str)> {
        vec![(
            "azure-service-principal-credentials",
            "azure_service_principal",
        )]
    }

    /// The secrets are no options of the real one, which takes them from a user's secret alone; they can be set
    /// here for tests that are not about the way of the secrets.
    fn configure(&mut self, key: &str, value: &Value) -> Result<()> {
        self.settings.insert(key.to_owned(), text(value)?);
        Ok(())
    }

    fn update_status(&self) -> UpdateStatus {
        UpdateStatus::SendsAgain
    }

    fn answer(&self, view: &View<'_>) -> Answer {
        let mut answer = Answer::default();
        if view.remote.contains_key("version") {
            return answer;
        }
        let (told, plain): (BTreeMap<_, _>, BTreeMap<_, _>) = self
            .settings
            .clone()
            .into_iter()
            .partition(|(key, _)| SECRETS.contains(&key.as_str()));
        answer.bag = plain;
        let secret = view.secret.map_or(told, |read| {
            let value = |key: &str| read.get(key).cloned().unwrap_or_default();
            SECRETS.map(|key| (key.to_owned(), value(key))).into()
        });
        if self.release == AuthRelease::Old && stays_in_the_clear(view, &SECRETS) {
            answer.bag.extend(secret);
        } else if !secret.is_empty() {
            answer
                .secrets
                .insert("secret-extra".to_owned(), encode(&secret));
        }
        answer
    }
}
