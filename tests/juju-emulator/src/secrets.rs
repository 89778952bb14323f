//! Juju secrets: owners, revisions, grants, and who follows which revision.
//!
//! Invariant: a reader sees a secret only if it owns it or a living relation grants it; what it
//! tracks moves only when it asks.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::model::{Model, split_unit};

/// A secret's content: base64 by key, since it need not be text.
pub type Content = BTreeMap<String, String>;

/// A secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Secret {
    /// Its id, without scheme.
    pub id: String,
    /// The application or unit that made it.
    pub owner: Owner,
    /// The owner's label.
    #[serde(default)]
    pub label: String,
    /// The owner's description.
    #[serde(default)]
    pub description: String,
    /// How often it is to be renewed; none: never.
    #[serde(default)]
    pub rotate: Option<String>,
    /// When its newest revision is over.
    #[serde(default)]
    pub expire: Option<String>,
    /// Its revisions.
    pub revisions: BTreeMap<u32, Content>,
    /// Who may read it.
    #[serde(default)]
    pub grants: Vec<Grant>,
    /// Units that have read it.
    #[serde(default)]
    pub consumers: BTreeMap<String, Consumer>,
}

/// Who owns a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// An application.
    Application(String),
    /// A unit.
    Unit(String),
    /// The model's user.
    User,
}

/// A permission to read, for as long as the relation lives; a user's grant hangs on none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The relation.
    pub relation: Option<u32>,
    /// The application that may read.
    pub app: String,
    /// The one unit of it that may read, if not all.
    #[serde(default)]
    pub unit: Option<String>,
}

/// How a unit follows a secret.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Consumer {
    /// Its label.
    #[serde(default)]
    pub label: String,
    /// The revision that it gets.
    pub tracked: u32,
    /// The newest revision that it was told of.
    pub notified: u32,
}

/// How a secret is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The tracked revision; the newest, the first time.
    Tracked,
    /// The newest, once.
    Peek,
    /// The newest, from now on.
    Refresh,
}

impl Secret {
    /// A new secret with one revision.
    pub fn new(owner: Owner, content: Content) -> Result<Self> {
        Ok(Self {
            id: new_id()?,
            owner,
            label: String::new(),
            description: String::new(),
            rotate: None,
            expire: None,
            revisions: BTreeMap::from([(1, content)]),
            grants: Vec::new(),
            consumers: BTreeMap::new(),
        })
    }

    /// The newest revision's number.
    #[must_use]
    pub fn latest(&self) -> u32 {
        self.revisions
            .last_key_value()
            .map_or(0, |(number, _)| *number)
    }

    /// The newest revision's content.
    #[must_use]
    pub fn content(&self) -> Option<&Content> {
        self.revisions.values().next_back()
    }

    /// Revisions that are not the newest and that nobody follows.
    pub fn obsolete(&self) -> impl Iterator<Item = u32> {
        let latest = self.latest();
        let followed = |number: u32| self.consumers.values().any(|c| c.tracked == number);
        let all = self.revisions.keys().copied();
        all.filter(move |number| *number < latest && !followed(*number))
    }

    /// Adds a revision, unless the content is what it was.
    pub fn update(&mut self, content: Content) {
        if self.content() != Some(&content) {
            self.revisions.insert(self.latest() + 1, content);
        }
    }

    /// Whether this unit, or its application, made it.
    #[must_use]
    pub fn is_owned_by(&self, unit: &str) -> bool {
        match &self.owner {
            Owner::Unit(name) => name == unit,
            Owner::Application(name) => split_unit(unit).is_some_and(|(app, _)| app == name),
            Owner::User => false,
        }
    }

    /// Reads it for a unit, and remembers what the unit follows.
    pub(crate) fn read(&mut self, unit: &str, how: Reading, label: Option<&str>) -> Content {
        let latest = self.latest();
        let first = !self.consumers.contains_key(unit);
        let consumer = self.consumers.entry(unit.to_owned()).or_default();
        if first {
            consumer.notified = latest;
        }
        if first || how == Reading::Refresh {
            consumer.tracked = latest;
        }
        if let Some(label) = label {
            label.clone_into(&mut consumer.label);
        }
        let wanted = if how == Reading::Peek {
            latest
        } else {
            consumer.tracked
        };
        self.revisions.get(&wanted).cloned().unwrap_or_default()
    }
}

impl Model {
    /// Whether this unit may read this secret.
    #[must_use]
    pub fn may_read(&self, unit: &str, secret: &Secret) -> bool {
        let granted = |grant: &Grant| {
            let lives = |id| self.relations.get(&id).is_some_and(|one| !one.gone);
            grant.relation.is_none_or(lives)
                && split_unit(unit).is_some_and(|(app, _)| app == grant.app)
                && grant.unit.as_ref().is_none_or(|only| only == unit)
        };
        secret.is_owned_by(unit) || secret.grants.iter().any(granted)
    }

    /// The secret that a unit knows by this label: its own first.
    #[must_use]
    pub fn secret_by_label(&self, unit: &str, label: &str) -> Option<&Secret> {
        let own = |secret: &&Secret| secret.is_owned_by(unit) && secret.label == label;
        let consumed = |secret: &&Secret| {
            secret
                .consumers
                .get(unit)
                .is_some_and(|consumer| consumer.label == label)
        };
        let all = || self.secrets.values();
        all().find(own).or_else(|| all().find(consumed))
    }

    /// Takes back what a relation had granted.
    pub(crate) fn drop_grants(&mut self, relation: u32) {
        for secret in self.secrets.values_mut() {
            secret
                .grants
                .retain(|grant| grant.relation != Some(relation));
        }
    }
}

/// Content from plain text.
#[must_use]
pub fn encode(content: &BTreeMap<String, String>) -> Content {
    content
        .iter()
        .map(|(key, value)| (key.clone(), STANDARD.encode(value)))
        .collect()
}

/// The bytes of one value.
#[must_use]
pub fn decode(value: &str) -> Vec<u8> {
    STANDARD.decode(value).unwrap_or_default()
}

/// What a secret is called outside of its model, and by `secret-add`.
#[must_use]
pub(crate) fn address(model: &str, id: &str) -> String {
    format!("secret://{model}/{id}")
}

/// The id in any of the forms that Juju accepts.
#[must_use]
pub fn parse_uri(uri: &str) -> Option<&str> {
    let bare = match uri.strip_prefix("secret:") {
        None => uri,
        Some(rest) => match rest.strip_prefix("//") {
            None => rest,
            Some(long) => long.split_once('/')?.1,
        },
    };
    let alphabet = bare
        .bytes()
        .all(|byte| byte.is_ascii_digit() || (b'a'..=b'v').contains(&byte));
    // 96 bits in 20 letters of 5 bits each: the last has but one.
    let whole = bare.len() == 20 && bare.ends_with(['0', 'g']);
    (alphabet && whole).then_some(bare)
}

/// A new id: 96 random bits in the letters `0-9a-v`.
fn new_id() -> Result<String> {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let mut bits = u128::from_be_bytes(random()?) << 32;
    let mut id = String::new();
    for _ in 0..20 {
        let index = usize::try_from(bits >> 123)?;
        id.push(char::from(LETTERS.get(index).copied().unwrap_or(b'0')));
        bits <<= 5;
    }
    Ok(id)
}

/// Random bytes.
pub(crate) fn random() -> Result<[u8; 16]> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
