//! Which hook is next, as the unit agent decides it.
//!
//! Invariant: the next hook follows from what the controller knows and what the agent has done, and
//! from nothing else; so whatever happened meanwhile, a unit catches up in Juju's order.

use super::event::{Event, RelationEvent, RelationKind, SecretEvent};
use super::model::{
    Agent, Application, ConfigSeen, Life, Model, Relation, RelationSeen, Status, Unit,
};
use super::operations::is_stillborn;
use super::secrets::Owner;

/// The next hook of a unit; none when it is idle, or stuck with a failed hook.
pub(crate) fn next(model: &Model, name: &str) -> Option<Event> {
    let (app, unit) = (model.app_of(name)?, model.unit(name)?);
    let agent = &unit.agent;
    if agent.removed || agent.failed.is_some() || is_stillborn(unit) {
        return None;
    }
    if let Some(pending) = &agent.pending {
        return Some(pending.clone());
    }
    if agent.installed && unit.life == Life::Alive && agent.charm_lost {
        return Some(upgrade(agent));
    }
    if agent.installed && agent.charm_revision != app.charm_revision {
        return Some(upgrade(agent));
    }
    if agent.echo && unit.life == Life::Alive {
        return Some(Event::hook("config-changed"));
    }
    if agent.installed && unit.life == Life::Alive {
        let early = created(model, app, agent)
            .or_else(|| leadership(app, unit))
            .or_else(|| secret_due(agent))
            .or_else(|| secret_changed(model, name))
            .or_else(|| secret_obsolete(model, name, agent));
        if early.is_some() {
            return early;
        }
    }
    if unit.life == Life::Dying {
        return Some(departure(model, name, unit));
    }
    if !agent.installed {
        return Some(Event::hook("install"));
    }
    if has_news(agent.config.as_ref(), &config_now(app, unit)) {
        return Some(Event::hook("config-changed"));
    }
    if !agent.started {
        return Some(Event::hook("start"));
    }
    relation_event(model, name, unit).or_else(|| agent.queue.first().cloned())
}

/// A refresh rolls the pod: `stop` from the old charm, then `upgrade-charm` from the new one.
fn upgrade(agent: &Agent) -> Event {
    let stop = agent.started && !agent.stopped;
    Event::hook(if stop { "stop" } else { "upgrade-charm" })
}

fn created(model: &Model, app: &Application, agent: &Agent) -> Option<Event> {
    let relations = model.relations_of(&app.name);
    let new = relations
        .into_iter()
        .find(|r| r.life == Life::Alive && !agent.relations.contains_key(&r.id))?;
    relation_hook(new, app, RelationKind::Created, None)
}

fn leadership(app: &Application, unit: &Unit) -> Option<Event> {
    let gained = app.leader == Some(unit.number) && !unit.agent.led;
    gained.then(|| Event::hook("leader-elected"))
}

fn secret_changed(model: &Model, unit: &str) -> Option<Event> {
    let news = |secret: &&super::secrets::Secret| {
        let consumer = secret.consumers.get(unit);
        consumer.is_some_and(|consumer| consumer.notified < secret.latest())
            && !secret.is_owned_by(unit)
            && model.may_read(unit, secret)
    };
    let secret = model.secrets.values().find(news)?;
    Some(Event::Secret(SecretEvent {
        kind: "changed".to_owned(),
        id: secret.id.clone(),
        label: secret
            .consumers
            .get(unit)
            .map(|c| c.label.clone())
            .unwrap_or_default(),
        revision: None,
    }))
}

/// What was set off by time: expired before rotate.
fn secret_due(agent: &Agent) -> Option<Event> {
    let due = |kind: &str| {
        let is = |event: &&Event| matches!(event, Event::Secret(event) if event.kind == kind);
        agent.queue.iter().find(is).cloned()
    };
    due("expired").or_else(|| due("rotate"))
}

/// A revision of an own secret that nobody follows any more, so that its owner can remove it.
fn secret_obsolete(model: &Model, unit: &str, agent: &Agent) -> Option<Event> {
    let told = |id: &str, revision| agent.obsolete.contains(&(id.to_owned(), revision));
    let speaks = |secret: &super::secrets::Secret| match &secret.owner {
        Owner::Unit(name) => name == unit,
        Owner::Application(_) => secret.is_owned_by(unit) && model.is_leader(unit),
        Owner::User => false,
    };
    let own = model.secrets.values().filter(|secret| speaks(secret));
    own.flat_map(|secret| secret.obsolete().map(move |revision| (secret, revision)))
        .find(|(secret, revision)| !told(&secret.id, *revision))
        .map(|(secret, revision)| {
            Event::Secret(SecretEvent {
                kind: "remove".to_owned(),
                id: secret.id.clone(),
                label: secret.label.clone(),
                revision: Some(revision),
            })
        })
}

fn departure(model: &Model, name: &str, unit: &Unit) -> Event {
    let word = if unit.agent.started && !unit.agent.stopped {
        "stop"
    } else {
        "remove"
    };
    let forced = model.app_of(name).is_some_and(|app| app.forced);
    // To a unit that goes by force nothing is said of relations: they are gone before it.
    let parting = (!forced)
        .then(|| relation_event(model, name, unit))
        .flatten();
    parting.unwrap_or_else(|| Event::hook(word))
}

/// The next hook of any relation, peers last.
fn relation_event(model: &Model, name: &str, unit: &Unit) -> Option<Event> {
    let app = model.app_of(name)?;
    model
        .relations_of(&app.name)
        .into_iter()
        .find_map(|relation| {
            let seen = unit.agent.relations.get(&relation.id)?;
            one_relation(relation, app, name, unit, seen)
        })
}

/// Departed, then broken, then the application's bag, then joined with its changed, then changed.
fn one_relation(
    relation: &Relation,
    app: &Application,
    name: &str,
    unit: &Unit,
    seen: &RelationSeen,
) -> Option<Event> {
    let remote = relation.remote(&app.name)?;
    let hook = |kind, unit: Option<&String>| relation_hook(relation, app, kind, unit);
    let over = relation.life == Life::Dying || unit.life == Life::Dying;
    let present = |member: &str| !over && remote.units.get(member).is_some_and(|u| u.present);
    if let Some(gone) = seen.members.keys().find(|member| !present(member)) {
        return departed(
            hook(RelationKind::Departed, Some(gone))?,
            name,
            gone,
            unit.life,
        );
    }
    if over {
        return hook(RelationKind::Broken, None);
    }
    if let Some((member, _)) = seen.members.iter().find(|(_, told)| told.is_none()) {
        return hook(RelationKind::Changed, Some(member));
    }
    // An application bag in which nothing was ever written is no news; nor is what one leads.
    let own = relation.is_peer() && app.leader == Some(unit.number);
    if !own && remote.bag.version != seen.app {
        return hook(RelationKind::Changed, None);
    }
    let others = || {
        remote
            .units
            .iter()
            .filter(|(member, u)| u.present && *member != name)
    };
    if let Some((member, _)) = others().find(|(member, _)| !seen.members.contains_key(*member)) {
        return hook(RelationKind::Joined, Some(member));
    }
    let news = others().find(|(member, u)| {
        seen.members
            .get(*member)
            .is_some_and(|v| *v != Some(u.bag.version))
    });
    news.and_then(|(member, _)| hook(RelationKind::Changed, Some(member)))
}

fn departed(event: Event, name: &str, gone: &str, life: Life) -> Option<Event> {
    let Event::Relation(mut event) = event else {
        return None;
    };
    let leaver = if life == Life::Dying { name } else { gone };
    event.departing = Some(leaver.to_owned());
    Some(Event::Relation(event))
}

fn relation_hook(
    relation: &Relation,
    app: &Application,
    kind: RelationKind,
    unit: Option<&String>,
) -> Option<Event> {
    Some(Event::Relation(RelationEvent {
        kind,
        id: relation.id,
        endpoint: relation.local(&app.name)?.endpoint.clone(),
        remote_app: relation.remote(&app.name)?.app.clone(),
        remote_unit: unit.cloned(),
        departing: None,
    }))
}

/// Why `config-changed` is due for a unit that has run it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// Trust was given or taken.
    Trust,
    /// A setting, or an address.
    Settings,
}

/// See [`News`].
pub(crate) fn news(model: &Model, name: &str) -> Option<News> {
    let (app, unit) = (model.app_of(name)?, model.unit(name)?);
    let seen = unit.agent.config.as_ref()?;
    if !unit.agent.started {
        return None;
    }
    if seen.trusted != app.trusted {
        return Some(News::Trust);
    }
    has_news(Some(seen), &config_now(app, unit)).then_some(News::Settings)
}

/// An agent that hears of a setting compares all of them with what it knows.
fn has_news(seen: Option<&ConfigSeen>, now: &ConfigSeen) -> bool {
    seen.is_none_or(|seen| {
        let told = seen.version != now.version;
        (told && seen.settings != now.settings)
            || seen.trusted != now.trusted
            || seen.address != now.address
    })
}

fn config_now(app: &Application, unit: &Unit) -> ConfigSeen {
    ConfigSeen {
        version: app.config_version,
        settings: app.config.clone(),
        trusted: app.trusted,
        address: unit.address.clone(),
    }
}

/// An agent is started: of the relations of its unit it knows what they are now.
pub(crate) fn agent_starts(model: &mut Model, name: &str) {
    let dying: Vec<u32> = model
        .relations
        .values()
        .filter(|relation| relation.life == Life::Dying)
        .map(|relation| relation.id)
        .collect();
    if let Some(unit) = model.unit_mut(name) {
        for id in dying {
            if let Some(seen) = unit.agent.relations.get_mut(&id) {
                seen.dying_from_the_start = true;
            }
        }
    }
}

/// What must be so before a hook can run: a unit enters a relation before it hears of it.
pub(crate) fn prepare(model: &mut Model, name: &str, event: &Event) {
    let Event::Relation(event) = event else {
        return;
    };
    if event.kind != RelationKind::Created {
        return;
    }
    let Some(unit) = model.unit_mut(name) else {
        return;
    };
    let seen = unit.agent.relations.entry(event.id).or_default();
    seen.endpoint.clone_from(&event.endpoint);
    let app = super::model::split_unit(name)
        .map(|(app, _)| app.to_owned())
        .unwrap_or_default();
    let address = model.applications.get(&app);
    let address = address.map(|app| app.service_address.clone());
    let address = address.unwrap_or_default();
    if let Some(side) = model
        .relations
        .get_mut(&event.id)
        .and_then(|r| r.local_mut(&app))
    {
        side.enter(name, &address);
    }
}

/// What a unit's agent remembers once a hook has succeeded.
pub(crate) fn succeeded(model: &mut Model, name: &str, event: &Event) {
    match event {
        Event::Hook(hook) => hook_succeeded(model, name, hook),
        Event::Relation(event) => relation_succeeded(model, name, event),
        Event::Secret(event) if event.kind == "remove" => {
            let told = event.revision.map(|revision| (event.id.clone(), revision));
            if let Some(unit) = model.unit_mut(name) {
                unit.agent.obsolete.extend(told);
            }
        }
        Event::Secret(event) => {
            if let Some(secret) = model.secrets.get_mut(&event.id) {
                let latest = secret.latest();
                if let Some(consumer) = secret.consumers.get_mut(name) {
                    consumer.notified = latest;
                }
            }
        }
        Event::Action(_) => {}
    }
    if let Some(unit) = model.unit_mut(name) {
        let agent = &mut unit.agent;
        agent.queue.retain(|queued| queued != event);
        agent.pending = None;
        agent.tries = 0;
    }
}

fn hook_succeeded(model: &mut Model, name: &str, hook: &str) {
    let Some(app) = model.app_of(name) else {
        return;
    };
    let revision = app.charm_revision;
    let config = model.unit(name).map(|unit| config_now(app, unit));
    let Some(unit) = model.unit_mut(name) else {
        return;
    };
    let agent = &mut unit.agent;
    match hook {
        "install" => {
            agent.installed = true;
            agent.charm_revision = revision;
        }
        "upgrade-charm" => {
            agent.charm_revision = revision;
            agent.charm_lost = false;
            agent.config = None;
            agent.started = false;
            agent.stopped = false;
        }
        "config-changed" => {
            agent.config = config;
            agent.echo = false;
        }
        "leader-elected" => agent.led = true,
        "start" => {
            agent.started = true;
            if !agent.spoke {
                unit.status.push(Status::now("unknown", ""));
            }
        }
        "stop" => {
            agent.stopped = true;
            agent.token_void = false;
        }
        "remove" => agent.removed = true,
        _ => {}
    }
}

fn relation_succeeded(model: &mut Model, name: &str, event: &RelationEvent) {
    let app = super::model::split_unit(name)
        .map(|(app, _)| app.to_owned())
        .unwrap_or_default();
    let remote = model.relations.get(&event.id).and_then(|r| r.remote(&app));
    let app_version = remote.map_or(0, |side| side.bag.version);
    let unit_version = event
        .remote_unit
        .as_ref()
        .and_then(|unit| Some(remote?.units.get(unit)?.bag.version))
        .unwrap_or_default();
    let Some(agent) = model.unit_mut(name).map(|unit| &mut unit.agent) else {
        return;
    };
    if event.kind == RelationKind::Broken {
        agent.relations.remove(&event.id);
        if let Some(side) = model
            .relations
            .get_mut(&event.id)
            .and_then(|r| r.local_mut(&app))
        {
            side.leave(name);
        }
        return;
    }
    let Some(seen) = agent.relations.get_mut(&event.id) else {
        return;
    };
    match (event.kind, &event.remote_unit) {
        (RelationKind::Joined, Some(unit)) => {
            seen.members.insert(unit.clone(), None);
        }
        (RelationKind::Changed, Some(unit)) => {
            seen.members.insert(unit.clone(), Some(unit_version));
        }
        (RelationKind::Changed, None) => seen.app = app_version,
        (RelationKind::Departed, Some(unit)) => {
            seen.members.remove(unit);
        }
        _ => {}
    }
}

/// An application's status: as its leader set it, or the worst of its units'.
#[must_use]
pub(crate) fn app_status(app: &Application) -> Status {
    if let Some(status) = app.status.last() {
        return status.clone();
    }
    let rank = |status: &Status| match status.level.as_str() {
        "error" => 6,
        "blocked" => 5,
        "waiting" => 4,
        "maintenance" => 3,
        "terminated" => 2,
        "active" => 1,
        _ => 0,
    };
    let worst = app
        .units
        .values()
        .filter_map(|unit| unit.status.last())
        .max_by_key(|s| rank(s));
    worst.cloned().unwrap_or_else(|| Status {
        level: "unknown".to_owned(),
        message: String::new(),
        since: std::time::SystemTime::UNIX_EPOCH,
    })
}
