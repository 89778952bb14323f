//! `s3-integrator`, speaking one of the two dialects of the `s3` interface.
//!
//! Invariant: in the newer dialect, credentials leave it only as a secret, or in plain text to a
//! requirer that asked for no secret, as the real one does. The older one knows plain text alone.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::model::Bag;
use super::scripted::{Answer, Scripted, View};
use super::secrets::encode;

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
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
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

    /// `access-key` and `secret-key` are not options of the real one but a secret that it is given;
    /// here they are set the same way.
    fn configure(&mut self, key: &str, value: &Value) -> Result<()> {
        let text = value
            .as_str()
            .context("this integrator's options are texts")?
            .to_owned();
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

    fn answer(&self, view: &View<'_>) -> Answer {
        match self.dialect {
            Dialect::V0 => self.answer_in_v0(view),
            Dialect::V1 => self.answer_in_v1(view),
        }
    }
}

impl S3Integrator {
    /// The bag that it sees, it keeps in its own, to tell later what is new.
    fn answer_in_v0(&self, view: &View<'_>) -> Answer {
        let mut answer = Answer::default();
        let seen = serde_json::json!(view.remote).to_string();
        answer.bag.insert("data".to_owned(), seen);
        if view.remote.contains_key("bucket") && self.has_keys() {
            answer.bag.extend(self.settings.options.clone());
            answer.bag.extend(self.credentials());
        }
        answer
    }

    fn answer_in_v1(&self, view: &View<'_>) -> Answer {
        let mut answer = Answer::default();
        answer.bag.insert("version".to_owned(), "1".to_owned());
        let asked = view.remote.contains_key("version") || view.remote.contains_key("bucket");
        if !asked || !self.has_keys() {
            return answer;
        }
        answer.bag.extend(self.settings.options.clone());
        self.fill_in_requests(view.remote, &mut answer.bag);
        let credentials = self.credentials();
        if view.remote.contains_key("requested-secrets") {
            answer
                .secrets
                .insert("secret-extra".to_owned(), encode(&credentials));
        } else {
            answer.bag.extend(credentials);
        }
        answer
    }

    fn has_keys(&self) -> bool {
        !self.settings.access_key.is_empty() && !self.settings.secret_key.is_empty()
    }

    fn credentials(&self) -> Bag {
        let S3Settings {
            access_key,
            secret_key,
            ..
        } = &self.settings;
        BTreeMap::from([
            ("access-key".to_owned(), access_key.clone()),
            ("secret-key".to_owned(), secret_key.clone()),
        ])
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
