//! The storage relations: what integrators sent, by one algorithm for all providers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use provider_api::{Endpoint, Fact, Handshake, Registry, RelationData, StorageProvider, Value};
use tracing::warn;

use super::{
    handshake::{Greeting, LEFTOVERS_OF_UNIT, SECRET_ADDRESS, echo},
    secret::{Mark, Means, Opened, Secret},
};
use crate::{
    juju::{JujuError, Leadership, News, Tools, Unit},
    ours::credential::{Reading, Readings},
};

/// A word to ourselves: a hook that had to read the secret has not come to keep what it read.
const UNREAD: &str = "unread-secret";

/// A word to ourselves: since when the integrator has been waited for. Juju tells a charm no such thing.
const WAITING_SINCE: &str = "waiting-since";

/// A relation that can select a provider, with those that add to it.
#[derive(Debug)]
pub(crate) struct StorageRelation<R = Relation> {
    pub(crate) provider: &'static dyn StorageProvider,
    pub(crate) own: R,
    pub(crate) optional: Vec<(&'static Endpoint, R)>,
}

/// One relation, as an integrator left it.
#[derive(Debug)]
pub(crate) struct Relation {
    pub(crate) id: String,
    /// The integrator's application name, if it is there yet.
    pub(crate) remote_app: Option<String>,
    pub(crate) data: RelationData,
    /// What we have yet to write for the integrator to answer.
    pub(crate) greeting: Greeting,
    /// What was read of its secret, now or earlier.
    pub(crate) reading: Option<Reading>,
    /// Since when it has been waited for, as far as we have noted it.
    pub(crate) waiting_since: Option<Timestamp>,
    mark: Mark,
}

/// One relation before its secret is opened.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) id: String,
    remote_app: Option<String>,
    fields: BTreeMap<String, Value>,
    /// The address of the secret, in the form in which it was sent.
    address: Option<String>,
    /// The fields that the secret is to have.
    requested: &'static [&'static str],
    greeting: Greeting,
    waiting_since: Option<Timestamp>,
    mark: Mark,
}

/// Who reads, and whether it may write.
#[derive(Clone, Copy, Debug)]
struct Reader<'a> {
    tools: &'a Tools,
    unit: &'a Unit,
    leadership: Leadership,
}

impl<R> StorageRelation<R> {
    /// It and those that add to it.
    pub(crate) fn all(&self) -> impl Iterator<Item = &R> {
        let optional = self.optional.iter().map(|(_, relation)| relation);
        std::iter::once(&self.own).chain(optional)
    }

    /// What has to be known to make use of it, by what is readable of its own data.
    fn facts_for(&self, own: &RelationData) -> Vec<Fact> {
        let related = |name: &str| {
            self.optional
                .iter()
                .any(|(endpoint, _)| endpoint.name == name)
        };
        let mut facts = self.provider.descriptor().facts(related);
        facts.retain(|fact| self.provider.needs(*fact, own));
        facts
    }
}

impl StorageRelation<Sealed> {
    /// What has to be known to make use of it.
    pub(crate) fn facts(&self) -> Vec<Fact> {
        self.facts_for(&self.own.fields.clone().into_iter().collect())
    }
}

#[cfg(test)]
impl StorageRelation {
    /// What has to be known to make use of it.
    pub(crate) fn facts(&self) -> Vec<Fact> {
        self.facts_for(&self.own.data)
    }
}

impl Relation {
    /// The application at the other end, as the user knows it.
    pub(crate) fn integrator(&self) -> String {
        self.remote_app.clone().unwrap_or_else(|| self.id.clone())
    }

    #[cfg(test)]
    pub(crate) fn opened_with(id: &str, remote_app: &str, data: RelationData) -> Self {
        Self {
            id: id.to_owned(),
            remote_app: Some(remote_app.to_owned()),
            data,
            greeting: Greeting::default(),
            reading: None,
            waiting_since: None,
            mark: Mark::None,
        }
    }

    #[cfg(test)]
    pub(crate) fn waited_for(self, since: &str) -> Self {
        Self {
            waiting_since: since.parse().ok(),
            ..self
        }
    }

    /// Takes the word to ourselves back, once what was read is kept.
    pub(crate) async fn is_kept(&self, tools: &Tools) -> Result<(), JujuError> {
        if self.mark == Mark::Outdated {
            let word = BTreeMap::from([(UNREAD, String::new())]);
            tools.set_data_bag(&self.id, &word).await?;
        }
        Ok(())
    }
}

/// The relations of a hook.
#[derive(Debug)]
pub(crate) struct Relations {
    pub(crate) storage: Vec<StorageRelation<Sealed>>,
    /// What is to be said to those that add to a storage relation which is not there.
    pub(crate) greetings: Vec<Greeting>,
}

/// Reads every storage relation there is, but for the secrets. Changes nothing. One that is over is not there,
/// even if Juju still lists it.
///
/// Some integrators answer unasked, and in the clear for good if nobody has asked for a secret. So optional
/// relations are asked for one before they are of use. Where a store is connected, only the hooks of such a
/// relation look for it.
pub(crate) async fn read(
    tools: &Tools,
    registry: &Registry,
    unit: &Unit,
    leadership: Leadership,
) -> Result<Relations, JujuError> {
    let reader = Reader {
        tools,
        unit,
        leadership,
    };
    let mut storage = Vec::<StorageRelation<Sealed>>::new();
    for provider in registry.iter() {
        let descriptor = provider.descriptor();
        for own in reader.read(&descriptor.endpoint).await? {
            let mut optional = Vec::new();
            for endpoint in descriptor.optional_endpoints {
                let found = reader.read(endpoint).await?;
                optional.extend(found.into_iter().map(|relation| (endpoint, relation)));
            }
            storage.push(StorageRelation {
                provider,
                own,
                optional,
            });
        }
    }
    let mut greetings = Vec::new();
    for descriptor in registry.descriptors() {
        let is_connected =
            |one: &StorageRelation<_>| one.provider.descriptor().name == descriptor.name;
        let is_looked_for =
            |name: &str| storage.is_empty() || unit.endpoint.as_deref() == Some(name);
        if storage.iter().any(is_connected) {
            continue;
        }
        for endpoint in descriptor.optional_endpoints {
            if is_looked_for(endpoint.name) {
                let lone = reader.read(endpoint).await?.into_iter();
                greetings.extend(lone.map(|relation| relation.greeting));
            }
        }
    }
    Ok(Relations { storage, greetings })
}

/// Says to ourselves since when the integrator of a relation has been waited for, or that it no longer is. Nothing else
/// is written on this account, however long it takes.
pub(crate) async fn note_wait(
    tools: &Tools,
    relation: &str,
    since: Option<Timestamp>,
) -> Result<(), JujuError> {
    let since = since.map_or_else(String::new, |since| since.to_string());
    let word = BTreeMap::from([(WAITING_SINCE, since)]);
    tools.set_data_bag(relation, &word).await
}

/// Says to ourselves that secrets are unread, in a hook that brings news of them.
///
/// Juju tells of a change once. Where this hook ends before what it read is kept, and ends well because
/// failing would heal nothing, the next one finds this word. Juju writes it down with the end of the hook: in
/// a hook that gets as far as [`Relation::is_kept`] nothing is written, and one that fails runs again.
pub(crate) async fn mark_unread(
    tools: &Tools,
    relations: &mut [StorageRelation<Sealed>],
    means: Means<'_>,
) -> Result<(), JujuError> {
    let Means::Asks {
        news: News::OfSecrets,
        ..
    } = means
    else {
        return Ok(());
    };
    for relation in relations {
        let optional = relation.optional.iter_mut().map(|(_, relation)| relation);
        for sealed in std::iter::once(&mut relation.own).chain(optional) {
            if sealed.address.is_some() && sealed.mark == Mark::None {
                let word = BTreeMap::from([(UNREAD, "true".to_owned())]);
                tools.set_data_bag(&sealed.id, &word).await?;
                sealed.mark = Mark::Unread;
            }
        }
    }
    Ok(())
}

/// Clears what the libraries of the previous charm wrote into our unit's data bags: a copy of the integrator's data,
/// secrets included, and what they asked for. Each unit does so for its own, in the hooks that a refresh brings.
pub(crate) async fn forget_leftovers(
    tools: &Tools,
    unit: &Unit,
    relations: &[StorageRelation<Sealed>],
    news: News,
) -> Result<(), JujuError> {
    if news == News::None {
        return Ok(());
    }
    for relation in relations.iter().flat_map(StorageRelation::all) {
        let bag = tools.unit_bag(&relation.id, &unit.name).await?;
        if LEFTOVERS_OF_UNIT.iter().any(|key| bag.contains_key(*key)) {
            let id = &relation.id;
            tools.clear_unit_fields(id, &LEFTOVERS_OF_UNIT).await?;
        }
    }
    Ok(())
}

/// Opens the relations' secrets, by what was kept of them or by asking Juju. Of several stores none is
/// used, so nothing is asked.
pub(crate) async fn open(
    tools: &Tools,
    relations: Vec<StorageRelation<Sealed>>,
    kept: &Readings,
    means: Means<'_>,
    now: Timestamp,
) -> Result<Vec<StorageRelation>, JujuError> {
    let means = if relations.len() > 1 {
        Means::Follows
    } else {
        means
    };
    let mut opened = Vec::new();
    for StorageRelation {
        provider,
        own,
        optional,
    } in relations
    {
        let own = own.open(tools, kept, means, now).await?;
        let mut others = Vec::new();
        for (endpoint, sealed) in optional {
            others.push((endpoint, sealed.open(tools, kept, means, now).await?));
        }
        opened.push(StorageRelation {
            provider,
            own,
            optional: others,
        });
    }
    Ok(opened)
}

impl Reader<'_> {
    async fn read(&self, endpoint: &Endpoint) -> Result<Vec<Sealed>, JujuError> {
        let mut relations = Vec::new();
        for id in self.tools.relation_ids(endpoint.name).await? {
            if self.unit.broken_relation.as_ref() == Some(&id) {
                continue;
            }
            match self.read_one(id, endpoint.handshake).await {
                Ok(relation) => relations.push(relation),
                // Removed by force: the controller has forgotten what the unit's agent still lists.
                Err(error) if error.is_relation_gone() => warn!("{error}; it counts as removed."),
                Err(error) => return Err(error),
            }
        }
        Ok(relations)
    }

    async fn read_one(&self, id: String, handshake: Handshake) -> Result<Sealed, JujuError> {
        let Self {
            tools,
            unit,
            leadership,
        } = *self;
        let remote_app = tools.remote_app(&id).await?.filter(|app| !app.is_empty());
        let theirs = match &remote_app {
            Some(app) => tools.data_bag(&id, app).await?,
            None => BTreeMap::new(),
        };
        let ours = match leadership {
            Leadership::Leader => Some(tools.data_bag(&id, &unit.application).await?),
            // Others may not write it, and with some versions of Juju not even read it.
            Leadership::Follower => None,
        };
        let greeting = ours.as_ref().map(|ours| {
            let integrator = remote_app.as_deref().unwrap_or(&id);
            let applications = [unit.application.as_str(), integrator];
            Greeting::new(handshake, &id, applications, &theirs, ours)
        });
        Ok(Sealed {
            greeting: greeting.unwrap_or_default(),
            ..Sealed::new(id, remote_app, handshake, theirs, ours.as_ref())
        })
    }
}

impl Sealed {
    fn new(
        id: String,
        remote_app: Option<String>,
        handshake: Handshake,
        mut theirs: BTreeMap<String, String>,
        ours: Option<&BTreeMap<String, String>>,
    ) -> Self {
        let requested = handshake.requested_secrets;
        let echo = echo(handshake, &id, &theirs, ours);
        let address = theirs.remove(SECRET_ADDRESS);
        let value = |(field, text): (String, String)| {
            let value = if requested.contains(&field.as_str()) {
                Value::Secret(text.into())
            } else if echo == Some(field.as_str()) {
                Value::Echo(text)
            } else {
                Value::Plain(text)
            };
            (field, value)
        };
        Self {
            id,
            remote_app,
            fields: theirs.into_iter().map(value).collect(),
            address,
            requested,
            greeting: Greeting::default(),
            waiting_since: ours
                .and_then(|ours| ours.get(WAITING_SINCE))
                .and_then(|text| text.parse().ok()),
            mark: match ours {
                Some(ours) if ours.contains_key(UNREAD) => Mark::Unread,
                _ => Mark::None,
            },
        }
    }

    /// The relation with its secret's content.
    async fn open(
        mut self,
        tools: &Tools,
        kept: &Readings,
        means: Means<'_>,
        now: Timestamp,
    ) -> Result<Relation, JujuError> {
        let Some(address) = self.address.take() else {
            self.outdate();
            return Ok(self.opened(None));
        };
        let sealed = Secret {
            address: &address,
            requested: self.requested,
            kept: kept.get(&self.id),
            mark: self.mark,
        };
        Ok(match sealed.open(tools, means, now).await? {
            Opened::Kept(reading) => self.opened(Some(reading)),
            Opened::Read(reading) => {
                self.outdate();
                self.opened(Some(reading))
            }
            Opened::Unreadable(reason) => self.unreadable(&reason),
        })
    }

    fn outdate(&mut self) {
        if self.mark == Mark::Unread {
            self.mark = Mark::Outdated;
        }
    }

    fn opened(mut self, reading: Option<Reading>) -> Relation {
        if let Some(reading) = &reading {
            for field in self.requested {
                // One that is not in it was sent all the same: with nothing in it.
                let value = reading.content.get(*field).cloned().unwrap_or_default();
                self.fields.insert((*field).into(), Value::Secret(value));
            }
        }
        Relation {
            id: self.id,
            remote_app: self.remote_app,
            data: self.fields.into_iter().collect(),
            greeting: self.greeting,
            reading,
            waiting_since: self.waiting_since,
            mark: self.mark,
        }
    }

    fn unreadable(mut self, reason: &str) -> Relation {
        for field in self.requested {
            let value = Value::Unreadable(reason.into());
            self.fields.insert((*field).into(), value);
        }
        self.opened(None)
    }
}
