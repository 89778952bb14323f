//! `s3-integrator`, speaking one of the two dialects of the `s3` interface.
//!
//! Invariant: in the newer dialect, credentials leave it only as a secret, or in plain text to a
//! requirer that asked for no secret, as the real one does. The older one knows plain text alone. While it has
//! no keys it says nothing more, and what it has said stays.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::model::Bag;
use super::scripted::{Answer, Scripted, UpdateStatus, View, text};
use super::secrets::encode;

const KEYS: [&str; 2] = ["access-key", "secret-key"];

/// What the integrator was told about a store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3Settings {
    /// The access key.
    pub access_key: String,
    /// The secret key.
    pub secret_key: String,
    /// `bucket`, `endpoint`, `region`, `path`, `s3-uri-style`, `tls-ca-chain` and so on, as they go
    /// into the bag.
    pub options: BTreeMap<String, String>,
}

/// How integrators talk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dialect {
    /// As those do that have no word for their version: keys in plain text, to whoever asks for a bucket.
    V0,
    /// As those do that say `version`.
    #[default]
    V1,
}

/// The player.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3Integrator {
    /// What it was told.
    pub settings: S3Settings,
    /// How it talks.
    #[serde(default)]
    pub dialect: Dialect,
}

impl S3Settings {
    /// Settings of a store that wants the bucket in the path.
    #[must_use]
    pub fn path_style(endpoint: &str, region: &str, bucket: &str) -> Self {
        let options = [
            ("endpoint", endpoint),
            ("region", region),
            ("bucket", bucket),
            ("s3-uri-style", "path"),
        ];
        Self {
            options: options
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            ..Self::default()
        }
    }

    /// The same with these keys.
    #[must_use]
    pub fn credentials(mut self, access_key: &str, secret_key: &str) -> Self {
        access_key.clone_into(&mut self.access_key);
        secret_key.clone_into(&mut self.secret_key);
        self
    }
}

impl Scripted for S3Integrator {
    fn endpoints(&self) -> Vec<(&'static str, &'static str)> {
        vec![("s3-credentials", "s3")]
    }

    /// `access-key` and `secret-key` are not options of the real one, which takes them from a secret alone;
    /// they can be set here for tests that are not about the way of the keys.
    fn configure(&mut self, key: &str, value: &Value) -> Result<()> {
        let text = text(value)?;
        match key {
            "access-key" => self.settings.access_key = text,
            "secret-key" => self.settings.secret_key = text,
            _ => {
                // Kept when empty, so that the key is also taken out of the bag.
                self.settings.options.insert(key.to_owned(), text);
            }
        }
        Ok(())
    }

    fn update_status(&self) -> UpdateStatus {
        UpdateStatus::SendsAgain
    }

    fn answer(&self, view: &View<'_>) -> Answer {
        let keys = self.keys(view);
        match self.dialect {
            Dialect::V0 => self.answer_in_v0(view, keys),
            Dialect::V1 => self.answer_in_v1(view, keys),
        }
    }
}

impl S3Integrator {
    /// The bag that it sees, it keeps in its own, to tell later what is new.
    fn answer_in_v0(&self, view: &View<'_>, keys: Option<Bag>) -> Answer {
        let mut answer = Answer::default();
        let seen = serde_json::json!(view.remote).to_string();
        answer.bag.insert("data".to_owned(), seen);
        if let Some(keys) = keys.filter(|_| view.remote.contains_key("bucket")) {
            answer.bag.extend(self.settings.options.clone());
            answer.bag.extend(keys);
        }
        answer
    }

    fn answer_in_v1(&self, view: &View<'_>, keys: Option<Bag>) -> Answer {
        let mut answer = Answer::default();
        answer.bag.insert("version".to_owned(), "1".to_owned());
        let asked = view.remote.contains_key("version") || view.remote.contains_key("bucket");
        let Some(keys) = keys.filter(|_| asked) else {
            return answer;
        };
        answer.bag.extend(self.settings.options.clone());
        self.fill_in_requests(view.remote, &mut answer.bag);
        if view.remote.contains_key("requested-secrets") {
            answer
                .secrets
                .insert("secret-extra".to_owned(), encode(&keys));
        } else {
            answer.bag.extend(keys);
        }
        answer
    }

    /// Both, or none.
    fn keys(&self, view: &View<'_>) -> Option<Bag> {
        let S3Settings {
            access_key,
            secret_key,
            ..
        } = &self.settings;
        let told = || {
            let values = [access_key.clone(), secret_key.clone()];
            KEYS.map(str::to_owned).into_iter().zip(values).collect()
        };
        let all = view.secret.map_or_else(told, Clone::clone);
        let keys = KEYS.map(|key| all.get_key_value(key));
        let keys = keys.into_iter().collect::<Option<Vec<_>>>()?;
        let own = |(key, value): (&String, &String)| (key.clone(), value.clone());
        let is_whole = keys.iter().all(|(_, value)| !value.is_empty());
        is_whole.then(|| keys.into_iter().map(own).collect())
    }

    /// What the requirer asks for counts where the user has set nothing; but one that asks for no
    /// secret is of the old dialect, whose `bucket` is only a sign of life.
    fn fill_in_requests(&self, remote: &Bag, bag: &mut Bag) {
        for key in ["bucket", "path"] {
            let unset = self.settings.options.get(key).is_none_or(String::is_empty);
            if let Some(wish) = remote.get(key).filter(|_| unset && is_v1(remote)) {
                bag.insert(key.to_owned(), wish.clone());
            }
        }
    }
}

fn is_v1(remote: &Bag) -> bool {
    remote.contains_key("requested-secrets")
}
