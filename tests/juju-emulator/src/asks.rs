//! An application that asks to be backed up: it says what it was told to say, unasked and without an answer.
//!
//! Invariant: its application bag holds what its user has set, to the letter; an empty value takes a field back.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::scripted::{Answer, Scripted, UpdateStatus, View, text};

/// The player.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupClient {
    /// The name of its endpoint.
    pub endpoint: String,
    /// Its interface.
    pub interface: String,
    /// What is in its bag.
    pub bag: BTreeMap<String, String>,
}

impl Scripted for BackupClient {
    fn endpoints(&self) -> Vec<(&str, &str)> {
        vec![(&self.endpoint, &self.interface)]
    }

    fn configure(&mut self, key: &str, value: &Value) -> Result<()> {
        self.bag.insert(key.to_owned(), text(value)?);
        Ok(())
    }

    fn update_status(&self) -> UpdateStatus {
        UpdateStatus::SaysNothing
    }

    fn answer(&self, _: &View<'_>) -> Answer {
        Answer {
            bag: self.bag.clone().into_iter().collect(),
            ..Answer::default()
        }
    }
}
