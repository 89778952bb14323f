//! What a hook asks to be done to secrets, and how that is done at its end.
//!
//! Invariant: changes are made in the order in which they were asked for, on the model at the hook's
//! end, or on a copy of it for the hook's own eyes: so a hook reads what it has written.

use std::collections::BTreeMap;

use super::secrets::{Content, Grant, Secret};

/// One change of one secret.
#[derive(Debug, Clone)]
pub(crate) enum SecretChange {
    /// `secret-add`.
    Add(Box<Secret>),
    /// `secret-set`.
    Set(String, Details),
    /// `secret-grant`.
    Grant(String, Grant),
    /// `secret-revoke`.
    Revoke(String, Withdrawal),
    /// `secret-remove`: all of it, or one revision.
    Remove(String, Option<u32>),
    /// `secret-get --refresh` of an own secret: unit and revision.
    Track(String, String, u32),
}

/// What `secret-add` and `secret-set` say of a secret; nothing is left as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Details {
    /// The content of a new revision.
    pub content: Content,
    /// The owner's label.
    pub label: Option<String>,
    /// The owner's description.
    pub description: Option<String>,
    /// How often it is to be renewed.
    pub rotate: Option<String>,
    /// When its newest revision is over.
    pub expire: Option<String>,
}

/// Whose permissions are taken back.
#[derive(Debug, Clone)]
pub(crate) enum Withdrawal {
    /// All that a relation gave.
    Relation(u32),
    /// An application's.
    App(String),
    /// A unit's.
    Unit(String),
}

impl Withdrawal {
    fn covers(&self, grant: &Grant) -> bool {
        match self {
            Self::Relation(id) => grant.relation == Some(*id),
            Self::App(app) => grant.unit.is_none() && grant.app == *app,
            Self::Unit(unit) => grant.unit.as_ref() == Some(unit),
        }
    }
}

impl Details {
    /// Puts them on a secret; its content becomes a new revision.
    pub(crate) fn describe(self, secret: &mut Secret) {
        let Self {
            content,
            label,
            description,
            rotate,
            expire,
        } = self;
        if !content.is_empty() {
            secret.update(content);
        }
        secret.label = label.unwrap_or_else(|| std::mem::take(&mut secret.label));
        secret.description = description.unwrap_or_else(|| std::mem::take(&mut secret.description));
        secret.rotate = rotate.or_else(|| secret.rotate.take());
        secret.expire = expire.or_else(|| secret.expire.take());
    }
}

/// Makes changes.
pub(crate) fn apply(secrets: &mut BTreeMap<String, Secret>, changes: &[SecretChange]) {
    for change in changes {
        one(secrets, change.clone());
    }
}

fn one(secrets: &mut BTreeMap<String, Secret>, change: SecretChange) {
    match change {
        SecretChange::Add(secret) => {
            secrets.insert(secret.id.clone(), *secret);
        }
        SecretChange::Set(id, details) => {
            if let Some(secret) = secrets.get_mut(&id) {
                details.describe(secret);
            }
        }
        SecretChange::Grant(id, grant) => {
            if let Some(secret) = secrets.get_mut(&id)
                && !secret.grants.contains(&grant)
            {
                secret.grants.push(grant);
            }
        }
        SecretChange::Revoke(id, whose) => {
            if let Some(secret) = secrets.get_mut(&id) {
                secret.grants.retain(|grant| !whose.covers(grant));
            }
        }
        SecretChange::Remove(id, None) => {
            secrets.remove(&id);
        }
        SecretChange::Remove(id, Some(revision)) => {
            let empty = secrets.get_mut(&id).is_some_and(|secret| {
                secret.revisions.remove(&revision);
                secret.revisions.is_empty()
            });
            if empty {
                secrets.remove(&id);
            }
        }
        SecretChange::Track(id, unit, revision) => {
            if let Some(secret) = secrets.get_mut(&id) {
                secret.consumers.entry(unit).or_default().tracked = revision;
            }
        }
    }
}
