//! `s3-integrator` and its like, speaking one of the dialects of the `s3` interface.
//!
//! Invariant: those that know secrets send credentials as one to a requirer that has asked for it before it was
//! sent any; in a relation in which they were sent in the clear they stay so, as with the real libraries. The two dialects in
//! the middle let an option stand that was reset. While it
//! has no keys it says nothing more (but for the oldest, which sends what it has), and what it has said stays.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::model::Bag;
use super::scripted::{Answer, Scripted, UpdateStatus, View, stays_in_the_clear, text};
use super::secrets::encode;

const KEYS: [&str; 2] = ["access-key", "secret-key"];
/// What the oldest encodes as JSON.
const LISTS: [&str; 2] = ["attributes", "tls-ca-chain"];

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

/// How releases of integrators talk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dialect {
    /// s3-integrator of track 1, and others on its library: keys in the clear, to anyone who asks for a bucket,
    /// which it takes for its own if its user has set none. Lists are JSON, reset ones too.
    V0,
    /// Revisions of 2025 that name no version: all that they have, unasked; a bucket that is asked for is a wish.
    Unversioned,
    /// The revisions after those: they name `lib-version`, and answer it or a bucket.
    LibVersion,
    /// As those do that say `version`.
    #[default]
    V1,
    /// A store of its own that sends what it has, in the clear, and never looks at what is asked.
    Deaf,
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

    /// The oldest hears of its user's keys by an action alone.
    fn update_status(&self) -> UpdateStatus {
        match self.dialect {
            Dialect::V0 => UpdateStatus::SaysNothing,
            Dialect::Unversioned | Dialect::LibVersion | Dialect::V1 | Dialect::Deaf => {
                UpdateStatus::SendsAgain
            }
        }
    }

    fn answer(&self, view: &View<'_>) -> Answer {
        let keys = self.keys(view);
        let says = |key| view.remote.contains_key(key);
        let (version, is_asked) = match self.dialect {
            Dialect::V0 => return self.answer_in_v0(view, keys),
            Dialect::Deaf => (None, true),
            Dialect::Unversioned => (None, !view.remote.is_empty()),
            Dialect::LibVersion => {
                let asked = says("lib-version") || says("bucket");
                (Some(("lib-version", "1.0")), asked)
            }
            Dialect::V1 => (Some(("version", "1")), says("version") || says("bucket")),
        };
        let mut answer = Answer::default();
        let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        answer.bag.extend(version.map(own));
        let Some(keys) = keys.filter(|_| is_asked) else {
            return answer;
        };
        let leaves_reset_ones = [Dialect::Unversioned, Dialect::LibVersion].contains(&self.dialect);
        let mut options = self.settings.options.clone();
        options.retain(|_, value| !leaves_reset_ones || !value.is_empty());
        answer.bag.extend(options);
        if self.dialect != Dialect::Deaf {
            self.fill_in_requests(view.remote, &mut answer.bag);
        }
        if self.dialect == Dialect::Deaf || stays_in_the_clear(view, &KEYS) {
            answer.bag.extend(keys);
        } else {
            answer
                .secrets
                .insert("secret-extra".to_owned(), encode(&keys));
        }
        answer
    }
}

impl S3Integrator {
    /// The bag that it sees, it keeps in its own, to tell later what is new. Once asked, it sends whatever it is
    /// told.
    fn answer_in_v0(&self, view: &View<'_>, keys: Option<Bag>) -> Answer {
        let mut answer = Answer::default();
        let seen = serde_json::json!(view.remote).to_string();
        answer.bag.insert("data".to_owned(), seen);
        let asked = view.own.get("bucket").or_else(|| view.remote.get("bucket"));
        let Some(bucket) = asked else {
            return answer;
        };
        let options = self.settings.options.iter();
        let spelled = options.map(|(key, value)| (key.clone(), spell(key, value)));
        answer.bag.extend(spelled);
        if self.is_unset("bucket") {
            answer.bag.insert("bucket".to_owned(), bucket.clone());
        }
        answer.bag.extend(keys.unwrap_or_default());
        answer
    }

    fn is_unset(&self, option: &str) -> bool {
        let told = self.settings.options.get(option);
        told.is_none_or(String::is_empty)
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
            let is_open = self.is_unset(key) && is_v1(remote);
            if let Some(wish) = remote.get(key).filter(|_| is_open) {
                bag.insert(key.to_owned(), wish.clone());
            }
        }
    }
}

fn is_v1(remote: &Bag) -> bool {
    remote.contains_key("requested-secrets")
}

/// A value as the oldest writes it.
fn spell(option: &str, value: &str) -> String {
    match (LISTS.contains(&option), value) {
        (false, _) => value.to_owned(),
        (true, "") => "\"\"".to_owned(),
        (true, _) => serde_json::json!([value]).to_string(),
    }
}
