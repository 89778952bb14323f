//! Applications that are played within the emulator, with no charm process.
//!
//! Invariant: a player sees and writes only what a charm at its place could, and when it could. The user's secret
//! that its option `credentials` names it reads at its own hooks, while it is granted.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::any::AnyIntegrator;
use super::asks::BackupClient;
use super::azure::AzureIntegrator;
use super::azure_auth::AzureAuthIntegrator;
use super::gcs::GcsIntegrator;
use super::model::{Bag, Kind, Life, Model, Relation};
use super::s3::S3Integrator;
use super::secrets::{Content, Grant, Owner, Reading, Secret, address, decode, parse_uri};

/// The option that names the user's secret.
pub(crate) const CREDENTIALS: &str = "credentials";

/// A player. All of them are here, so that a model can be written down and read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Peer {
    /// `s3-integrator`.
    S3(S3Integrator),
    /// `azure-storage-integrator`.
    Azure(AzureIntegrator),
    /// `azure-auth-integrator`.
    AzureAuth(AzureAuthIntegrator),
    /// `gcs-integrator`.
    Gcs(GcsIntegrator),
    /// Any other, without quirks.
    Any(AnyIntegrator),
    /// An application that asks to be backed up.
    Asks(BackupClient),
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
    /// What it could read of the user's secret: nothing, without permission. `None` if its user has named no secret.
    pub secret: Option<&'a Bag>,
}

/// What a player's `update-status` does, which comes every few minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateStatus {
    /// It sends all again, with what the user's secret is now.
    SendsAgain,
    /// It sends nothing.
    SaysNothing,
}

/// What a player has acted upon.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The version of its settings.
    config: u64,
    /// The version of the other application's bag, by relation.
    relations: BTreeMap<u32, u64>,
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
    fn endpoints(&self) -> Vec<(&str, &str)>;
    /// Takes the user's settings over.
    fn configure(&mut self, key: &str, value: &Value) -> Result<()>;
    /// What its `update-status` does.
    fn update_status(&self) -> UpdateStatus;
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
            Self::Gcs(player) => player,
            Self::Any(player) => player,
            Self::Asks(player) => player,
        }
    }

    /// The player, to change it.
    pub fn scripted_mut(&mut self) -> &mut dyn Scripted {
        match self {
            Self::S3(player) => player,
            Self::Azure(player) => player,
            Self::AzureAuth(player) => player,
            Self::Gcs(player) => player,
            Self::Any(player) => player,
            Self::Asks(player) => player,
        }
    }
}

/// No secret was asked for, or these fields were sent without one before: then the real libraries keep to it.
pub(crate) fn stays_in_the_clear(view: &View<'_>, fields: &[&str]) -> bool {
    let sent = fields.iter().any(|field| view.own.contains_key(*field));
    sent || !view.remote.contains_key("requested-secrets")
}

/// The value of an option that is a text, as those of all players are.
pub(crate) fn text(value: &Value) -> Result<String> {
    let text = value.as_str();
    let text = text.context("this integrator's options are texts")?;
    Ok(text.to_owned())
}

/// Lets a player answer all its relations.
pub(crate) fn react(model: &mut Model, app: &str) -> Result<()> {
    let secret = match credentials(model, app) {
        None => None,
        Some(id) => {
            if !has_a_hook(model, app, &id) {
                return Ok(());
            }
            Some(read(model, app, &id))
        }
    };
    let heard = heard_now(model, app);
    for id in heard.relations.keys() {
        react_to(model, app, *id, secret.as_ref())?;
    }
    let heard = heard_now(model, app);
    if let Some(unit) = leader(model, app).and_then(|unit| model.unit_mut(&unit)) {
        unit.agent.heard = heard;
    }
    Ok(())
}

/// The id of the secret that the user has named.
fn credentials(model: &Model, app: &str) -> Option<String> {
    let option = model.applications.get(app)?.config.get(CREDENTIALS)?;
    parse_uri(option.as_str()?).map(str::to_owned)
}

/// Whether there is anything that runs a hook in which it sends.
fn has_a_hook(model: &Model, app: &str, secret: &str) -> bool {
    if player(model, app).is_some_and(|p| p.update_status() == UpdateStatus::SendsAgain) {
        return true;
    }
    let Some(name) = leader(model, app) else {
        return false;
    };
    let told = model.unit(&name).map(|unit| &unit.agent.heard);
    if told != Some(&heard_now(model, app)) {
        return true;
    }
    let secret = model.secrets.get(secret);
    secret.is_some_and(|secret| {
        let reader = secret.consumers.get(&name);
        let news = reader.is_some_and(|reader| reader.notified < secret.latest());
        news && model.may_read(&name, secret)
    })
}

/// Nothing, where it may not or there is none.
fn read(model: &mut Model, app: &str, id: &str) -> Bag {
    let Some(unit) = leader(model, app) else {
        return Bag::new();
    };
    let granted = model.secrets.get(id);
    if !granted.is_some_and(|secret| model.may_read(&unit, secret)) {
        return Bag::new();
    }
    let Some(secret) = model.secrets.get_mut(id) else {
        return Bag::new();
    };
    let content = secret.read(&unit, Reading::Refresh, None);
    let latest = secret.latest();
    if let Some(reader) = secret.consumers.get_mut(&unit) {
        reader.notified = latest;
    }
    let text = |value: &String| String::from_utf8_lossy(&decode(value)).into_owned();
    let content = content.iter();
    content
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}

fn heard_now(model: &Model, app: &str) -> Heard {
    let alive = model.relations_of(app).into_iter();
    let alive = alive.filter(|relation| relation.life == Life::Alive);
    let version = |relation: &Relation| relation.remote(app).map_or(0, |side| side.bag.version);
    let config = model.applications.get(app).map(|app| app.config_version);
    Heard {
        config: config.unwrap_or_default(),
        relations: alive.map(|one| (one.id, version(one))).collect(),
    }
}

fn leader(model: &Model, app: &str) -> Option<String> {
    let app = model.applications.get(app)?;
    app.leader.map(|number| app.unit_name(number))
}

fn player<'a>(model: &'a Model, app: &str) -> Option<&'a dyn Scripted> {
    match &model.applications.get(app)?.kind {
        Kind::Scripted(peer) => Some(peer.scripted()),
        Kind::Charm(_) => None,
    }
}

fn react_to(model: &mut Model, app: &str, id: u32, secret: Option<&Bag>) -> Result<()> {
    let player = player(model, app);
    let player = player.with_context(|| format!("{app} is not played by the emulator"))?;
    let relation = model.relations.get(&id);
    let sides = relation.and_then(|r| Some((r.local(app)?, r.remote(app)?)));
    let Some((local, remote)) = sides else {
        return Ok(());
    };
    let answer = player.answer(&View {
        id,
        endpoint: &local.endpoint,
        remote: &remote.bag.data,
        own: &local.bag.data,
        secret,
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
    let known = uri.and_then(|uri| parse_uri(uri)).map(str::to_owned);
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
