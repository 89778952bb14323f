//! Applications that are played within the emulator, with no charm process.
//!
//! Invariant: a player sees and writes only what a charm at its place could.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::azure::AzureIntegrator;
use super::azure_auth::AzureAuthIntegrator;
use super::model::{Bag, Life, Model};
use super::s3::S3Integrator;
use super::secrets::{Content, Grant, Owner, Secret, address};

/// A player. All of them are here, so that a model can be written down and read back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Peer {
    /// `s3-integrator`.
    S3(S3Integrator),
    /// `azure-storage-integrator`.
    Azure(AzureIntegrator),
    /// `azure-auth-integrator`.
    AzureAuth(AzureAuthIntegrator),
}

/// One relation, as a player sees it.
pub struct View<'a> {
    /// The relation's number.
    pub id: u32,
    /// The player's own endpoint.
    pub endpoint: &'a str,
    /// The bag of the application at the other end.
    pub remote: &'a Bag,
    /// The player's own application bag.
    pub own: &'a Bag,
}

/// What a player wants to be so; the emulator does what is missing.
#[derive(Debug, Default)]
pub struct Answer {
    /// Keys of its own application bag; an empty value deletes.
    pub bag: Bag,
    /// Secrets to have, granted to the relation: the key of the bag that gets the URI, and content.
    pub secrets: BTreeMap<String, Content>,
}

/// What every player can do.
pub trait Scripted {
    /// Its endpoints: name and interface, each the providing end.
    fn endpoints(&self) -> Vec<(&'static str, &'static str)>;
    /// Takes the user's settings over.
    fn configure(&mut self, key: &str, value: &Value) -> Result<()>;
    /// Answers a relation. Called whenever something may have changed; says all each time.
    fn answer(&self, view: &View<'_>) -> Answer;
}

impl Peer {
    /// The player.
    #[must_use]
    pub fn scripted(&self) -> &dyn Scripted {
        match self {
            Self::S3(player) => player,
            Self::Azure(player) => player,
            Self::AzureAuth(player) => player,
        }
    }

    /// The player, to change it.
    pub fn scripted_mut(&mut self) -> &mut dyn Scripted {
        match self {
            Self::S3(player) => player,
            Self::Azure(player) => player,
            Self::AzureAuth(player) => player,
        }
    }
}

/// Lets a player answer all its relations.
pub(crate) fn react(model: &mut Model, app: &str) -> Result<()> {
    let ids: Vec<u32> = model
        .relations_of(app)
        .into_iter()
        .filter(|relation| relation.life == Life::Alive)
        .map(|relation| relation.id)
        .collect();
    for id in ids {
        react_to(model, app, id)?;
    }
    Ok(())
}

fn react_to(model: &mut Model, app: &str, id: u32) -> Result<()> {
    let Some(super::model::Kind::Scripted(peer)) = model.applications.get(app).map(|a| &a.kind)
    else {
        bail!("{app} is not played by the emulator");
    };
    let relation = model.relations.get(&id);
    let sides = relation.and_then(|r| Some((r.local(app)?, r.remote(app)?)));
    let Some((local, remote)) = sides else {
        return Ok(());
    };
    let answer = peer.scripted().answer(&View {
        id,
        endpoint: &local.endpoint,
        remote: &remote.bag.data,
        own: &local.bag.data,
    });
    let (own, consumer) = (local.bag.data.clone(), remote.app.clone());
    let mut changes = answer.bag;
    for (key, content) in answer.secrets {
        let uri = keep_secret(model, app, id, &consumer, own.get(&key), content)?;
        changes.insert(key, uri);
    }
    if let Some(side) = model.relations.get_mut(&id).and_then(|r| r.local_mut(app)) {
        side.bag.apply(&changes);
    }
    Ok(())
}

/// The secret behind a key of the bag: a new one, or a new revision of the one that is there.
fn keep_secret(
    model: &mut Model,
    app: &str,
    relation: u32,
    consumer: &str,
    uri: Option<&String>,
    content: Content,
) -> Result<String> {
    let known = uri
        .and_then(|uri| super::secrets::parse_uri(uri))
        .map(str::to_owned);
    if let Some(secret) = known.and_then(|id| model.secrets.get_mut(&id)) {
        secret.update(content);
        return Ok(address(&model.uuid, &secret.id));
    }
    let mut secret = Secret::new(Owner::Application(app.to_owned()), content)?;
    secret.grants.push(Grant {
        relation: Some(relation),
        app: consumer.to_owned(),
        unit: None,
    });
    let uri = address(&model.uuid, &secret.id);
    model.secrets.insert(secret.id.clone(), secret);
    Ok(uri)
}
