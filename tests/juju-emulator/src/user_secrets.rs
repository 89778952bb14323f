//! Secrets that a user keeps and grants to applications, whose options name them.
//!
//! Invariant: an application reads one only while it is granted; a new revision is announced to the units that
//! have read it, and to no others.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use super::Juju;
use super::secrets::{Grant, Owner, Secret, encode, parse_uri};

impl Juju {
    /// `juju add-secret name key=value …`; gives the address that an option takes.
    pub fn add_secret(&mut self, name: &str, content: &[(&str, &str)]) -> Result<String> {
        if self.user_secret(name).is_ok() {
            bail!("secret with name {name:?} already exists");
        }
        let mut secret = Secret::new(Owner::User, encode(&texts(content)))?;
        name.clone_into(&mut secret.label);
        let uri = format!("secret:{}", secret.id);
        self.model.secrets.insert(secret.id.clone(), secret);
        self.save()?;
        Ok(uri)
    }

    /// `juju update-secret name key=value …`: a new revision, if it differs.
    pub fn update_secret(&mut self, name: &str, content: &[(&str, &str)]) -> Result<()> {
        self.user_secret_mut(name)?.update(encode(&texts(content)));
        self.save()
    }

    /// `juju grant-secret name app`.
    pub fn grant_secret(&mut self, name: &str, app: &str) -> Result<()> {
        self.application_mut(app)?;
        let grant = to(app);
        let secret = self.user_secret_mut(name)?;
        if !secret.grants.contains(&grant) {
            secret.grants.push(grant);
        }
        self.save()
    }

    /// `juju revoke-secret name app`. No hook tells of it.
    pub fn revoke_secret(&mut self, name: &str, app: &str) -> Result<()> {
        let grant = to(app);
        self.user_secret_mut(name)?
            .grants
            .retain(|one| *one != grant);
        self.save()
    }

    /// `juju remove-secret name`. No hook tells of it.
    pub fn remove_secret(&mut self, name: &str) -> Result<()> {
        let id = self.user_secret(name)?.id.clone();
        self.model.secrets.remove(&id);
        self.save()
    }

    /// By name or address.
    fn user_secret(&self, name: &str) -> Result<&Secret> {
        let secrets = self.model.secrets.values();
        let mut own = secrets.filter(|secret| secret.owner == Owner::User);
        own.find(|secret| secret.label == name || parse_uri(name) == Some(&secret.id))
            .with_context(|| format!("secret {name:?} not found"))
    }

    fn user_secret_mut(&mut self, name: &str) -> Result<&mut Secret> {
        let id = self.user_secret(name)?.id.clone();
        let secret = self.model.secrets.get_mut(&id);
        secret.with_context(|| format!("secret {name:?} not found"))
    }
}

fn to(app: &str) -> Grant {
    Grant {
        relation: None,
        app: app.to_owned(),
        unit: None,
    }
}

fn texts(content: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    content.iter().map(own).collect()
}
