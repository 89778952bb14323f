//! Relations between applications: made, found, ended.
//!
//! Invariant: a relation joins a requirer and a provider of one interface, or peers; it goes only
//! once every unit has left it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};

use super::Juju;
use super::charm::Role;
use super::model::{Kind, Life, Model, Relation, Side, Versioned};

impl Juju {
    /// `juju integrate a:endpoint b:endpoint`; an endpoint may be left out where only one fits.
    pub fn integrate(&mut self, one: &str, two: &str) -> Result<u32> {
        let (requirer, provider, interface) = self.pair(one, two)?;
        let [a, b] = [&requirer, &provider];
        if self.find_relation(a, b).is_some() {
            bail!("relation {}:{} {}:{} already exists", a.0, a.1, b.0, b.1);
        }
        self.require_room(a)?;
        self.require_room(b)?;
        let sides = vec![side(&a.0, &a.1), side(&b.0, &b.1)];
        let id = self.add_relation(interface, sides);
        for app in [&a.0, &b.0] {
            self.enter_played(id, app);
        }
        self.save()?;
        Ok(id)
    }

    /// A relation takes up room until it is gone altogether.
    fn require_room(&self, (app, endpoint): &AppEnd) -> Result<()> {
        let charm = self.model.applications.get(app).and_then(|app| app.charm());
        let limit = charm.and_then(|charm| charm.endpoints.get(endpoint)?.limit);
        let here = |relation: &&Relation| {
            let side = relation.local(app);
            side.is_some_and(|side| side.endpoint == *endpoint)
        };
        let taken = self.model.relations.values().filter(here).count();
        if let Some(limit) = limit.filter(|limit| taken >= *limit) {
            bail!(
                "establishing a new relation for {app}:{endpoint} would exceed its maximum relation limit of {limit}"
            );
        }
        Ok(())
    }

    /// Adds a relation between ends that fit.
    pub(super) fn add_relation(&mut self, interface: String, sides: Vec<Side>) -> u32 {
        let id = self.model.next.relation;
        self.model.next.relation += 1;
        let relation = Relation {
            id,
            interface,
            life: Life::Alive,
            sides,
            gone: false,
        };
        self.model.relations.insert(id, relation);
        id
    }

    /// Units of a played application have no agent that lets them in.
    fn enter_played(&mut self, id: u32, app: &str) {
        let Some(application) = self.model.applications.get(app) else {
            return;
        };
        if application.charm().is_some() {
            return;
        }
        let units: Vec<_> = application
            .units
            .values()
            .map(|unit| application.unit_name(unit.number))
            .collect();
        let address = application.service_address.clone();
        if let Some(side) = self
            .model
            .relations
            .get_mut(&id)
            .and_then(|r| r.local_mut(app))
        {
            for name in units {
                side.enter(&name, &address);
            }
        }
    }

    /// `juju remove-relation a:endpoint b:endpoint`.
    pub fn remove_relation(&mut self, one: &str, two: &str) -> Result<()> {
        let (requirer, provider, _) = self.pair(one, two)?;
        let id = self
            .find_relation(&requirer, &provider)
            .with_context(|| format!("relation {one} {two} not found"))?;
        if let Some(relation) = self.model.relations.get_mut(&id) {
            relation.life = Life::Dying;
        }
        self.save()
    }

    fn find_relation(&self, one: &AppEnd, two: &AppEnd) -> Option<u32> {
        let is = |side: Option<&Side>, end: &AppEnd| {
            side.is_some_and(|side| side.app == end.0 && side.endpoint == end.1)
        };
        let fits = |relation: &&Relation| {
            is(relation.local(&one.0), one) && is(relation.local(&two.0), two)
        };
        self.model
            .relations
            .values()
            .find(fits)
            .map(|relation| relation.id)
    }

    /// The requiring end, the providing end and their interface.
    fn pair(&self, one: &str, two: &str) -> Result<(AppEnd, AppEnd, String)> {
        let (ones, twos) = (self.ends(one)?, self.ends(two)?);
        let mut found = Vec::new();
        for (first, second) in [(&ones, &twos), (&twos, &ones)] {
            for requirer in first.iter().filter(|end| end.role == Role::Requirer) {
                let fits =
                    |end: &&End| end.role == Role::Provider && end.interface == requirer.interface;
                found.extend(
                    second
                        .iter()
                        .filter(fits)
                        .map(|provider| (requirer, provider)),
                );
            }
        }
        match found.as_slice() {
            [] => bail!("no relations found between {one} and {two}"),
            [(requirer, provider)] => Ok((
                (requirer.app.clone(), requirer.endpoint.clone()),
                (provider.app.clone(), provider.endpoint.clone()),
                requirer.interface.clone(),
            )),
            _ => bail!("ambiguous relation: {one} and {two} could be joined in several ways"),
        }
    }

    fn ends(&self, text: &str) -> Result<Vec<End>> {
        let (app, wanted) = match text.split_once(':') {
            Some((app, endpoint)) => (app, Some(endpoint)),
            None => (text, None),
        };
        let application = self.model.applications.get(app);
        let application = application.with_context(|| format!("application {app:?} not found"))?;
        let all: Vec<(String, String, Role)> = match &application.kind {
            Kind::Charm(charm) => charm
                .endpoints
                .iter()
                .map(|(name, end)| (name.clone(), end.interface.clone(), end.role))
                .collect(),
            Kind::Scripted(peer) => peer
                .scripted()
                .endpoints()
                .into_iter()
                .map(|(name, interface)| (name.to_owned(), interface.to_owned(), Role::Provider))
                .collect(),
        };
        let end = |(endpoint, interface, role)| End {
            app: app.to_owned(),
            endpoint,
            interface,
            role,
        };
        let fits = |(name, _, _): &(String, String, Role)| wanted.is_none_or(|w| w == name);
        Ok(all.into_iter().filter(fits).map(end).collect())
    }
}

/// An application and its endpoint.
type AppEnd = (String, String);

struct End {
    app: String,
    endpoint: String,
    interface: String,
    role: Role,
}

/// An end of a relation, with nothing in it.
pub(super) fn side(app: &str, endpoint: &str) -> Side {
    Side {
        app: app.to_owned(),
        endpoint: endpoint.to_owned(),
        bag: Versioned::default(),
        units: BTreeMap::new(),
    }
}

/// Dying relations that every unit has left.
pub(crate) fn finished_relations(model: &Model) -> Vec<u32> {
    let entered: BTreeSet<u32> = model
        .applications
        .values()
        .flat_map(|app| app.units.values())
        .flat_map(|unit| unit.agent.relations.keys().copied())
        .collect();
    let over =
        |relation: &&Relation| relation.life == Life::Dying && !entered.contains(&relation.id);
    model
        .relations
        .values()
        .filter(over)
        .map(|relation| relation.id)
        .collect()
}
