//! The rules of commit, order and departure, as the runs and the model show them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use juju_emulator::model::{Life, Model};
use juju_emulator::secrets::parse_uri;
use juju_emulator::{HookRun, Juju};

use super::steps::app_of;

/// What is known of one unit from its runs so far.
#[derive(Default)]
struct Seen {
    done: BTreeSet<String>,
    /// What failed or was killed and must come next.
    due: Option<Vec<String>>,
    relations: BTreeMap<String, Relation>,
    over: bool,
    /// The last run that ended well, and the last one that said anything.
    committed: Option<String>,
    said: Option<String>,
}

#[derive(Default)]
struct Relation {
    members: BTreeSet<String>,
    /// `joined` was told, and `changed` of the same unit must be the next of this relation.
    joined: Option<String>,
    broken: bool,
}

#[derive(Default)]
pub(crate) struct Rules {
    units: BTreeMap<String, Seen>,
    forced: BTreeSet<String>,
    looked_at: usize,
    pub(crate) failed: usize,
    pub(crate) killed: usize,
}

fn variable<'a>(run: &'a HookRun, name: &str) -> &'a str {
    let found = run.environment.iter().find(|(key, _)| key == name);
    found.map_or("", |(_, value)| value)
}

/// What tells one event from another.
fn identity(run: &HookRun) -> Vec<String> {
    let names = [
        "JUJU_HOOK_NAME",
        "JUJU_RELATION_ID",
        "JUJU_REMOTE_UNIT",
        "JUJU_SECRET_ID",
    ];
    names.map(|name| variable(run, name).to_owned()).to_vec()
}

impl Rules {
    /// A failed hook was taken for done.
    pub(crate) fn skipped(&mut self, unit: &str) {
        let seen = self.units.get_mut(unit).unwrap();
        let due = seen.due.take().unwrap();
        follow(seen, &due);
    }

    /// An application goes by force: what its units were stuck with counts as done, its relations are over
    /// at once, and a hook that fails is a unit's last.
    pub(crate) fn forced(&mut self, app: &str) {
        self.forced.insert(app.to_owned());
        let own = |(unit, _): &(&String, &mut Seen)| app_of(unit) == app;
        for (_, seen) in self.units.iter_mut().filter(own) {
            if let Some(due) = seen.due.take() {
                follow(seen, &due);
            }
            seen.relations.clear();
        }
    }

    /// Looks at the runs since the last time, and at who leads.
    pub(crate) fn look(&mut self, juju: &Juju) {
        let runs = juju.hook_runs();
        for run in &runs[self.looked_at..] {
            self.one(run);
        }
        self.looked_at = runs.len();
        for app in juju.model().applications.values() {
            let leads = app
                .leader
                .is_none_or(|leader| app.units.contains_key(&leader));
            assert!(leads, "{}: {:?} is no unit", app.name, app.leader);
        }
    }

    fn one(&mut self, run: &HookRun) {
        let forced = self.forced.contains(app_of(&run.unit));
        let seen = self.units.entry(run.unit.clone()).or_default();
        let what = identity(run);
        let at = format!("{} {what:?}", run.unit);
        assert!(!seen.over, "{at}: after remove");
        if let Some(due) = seen.due.take() {
            assert_eq!(what, due, "{at}: what failed or was killed comes first");
        }
        order(seen, run, &at);
        if let Some(status) = run.statuses.last() {
            seen.said = Some(status.message.clone());
        }
        let well = run.exit.is_success();
        if well {
            seen.committed = run.statuses.last().map(|status| status.message.clone());
        }
        if well {
            follow(seen, &what);
        } else if forced {
            seen.over = true;
        } else if run.exit.is_terminated() {
            self.killed += 1;
            seen.due = Some(what);
        } else {
            self.failed += 1;
            seen.due = Some(what);
        }
    }

    /// What must be so when nothing is left to do.
    pub(crate) fn at_rest(&self, juju: &Juju, kept: &Path) {
        let model = juju.model();
        let stuck = model
            .applications
            .values()
            .flat_map(|app| app.units.values())
            .any(|unit| unit.agent.failed.is_some());
        for (name, seen) in &self.units {
            let Some(unit) = model.unit(name) else {
                continue;
            };
            let last = unit.status.last().unwrap();
            if last.level == "active" {
                assert_eq!(
                    Some(&last.message),
                    seen.said.as_ref(),
                    "{name}: said at once"
                );
            }
            assert_eq!(
                unit.state.get("last"),
                seen.committed.as_ref(),
                "{name}: kept when a hook ends well, and only then"
            );
            assert_eq!(seen.due.is_some(), unit.agent.failed.is_some(), "{name}");
        }
        if stuck {
            return;
        }
        let dying = model
            .applications
            .values()
            .find(|app| app.life == Life::Dying);
        assert!(
            dying.is_none(),
            "nobody is stuck, so it should be gone: {dying:?}"
        );
        assert!(
            model.relations.values().all(|r| r.life == Life::Alive),
            "{:?}",
            model.relations
        );
        for name in self.units.keys() {
            if model.unit(name).is_some() {
                self.settled(model, name, kept);
            }
        }
    }

    /// A unit knows every other one, and follows every secret.
    fn settled(&self, model: &Model, name: &str, kept: &Path) {
        let (app, seen) = (app_of(name), &self.units[name]);
        for relation in model.relations_of(app) {
            let (local, remote) = (relation.local(app).unwrap(), relation.remote(app).unwrap());
            let id = format!("{}:{}", local.endpoint, relation.id);
            let there = model.applications[&remote.app].units.keys();
            let there = there.map(|number| format!("{}/{number}", remote.app));
            let want: BTreeSet<_> = there.filter(|unit| unit != name).collect();
            assert_eq!(seen.relations[&id].members, want, "{name} {id}");
            if local.endpoint != "ask" {
                continue;
            }
            let Some(uri) = remote.bag.data.get("uri") else {
                // Only an owner that never had a unit at work offers nothing.
                continue;
            };
            let secret = &model.secrets[parse_uri(uri).unwrap()];
            let file = kept.join(format!("token-{}-{id}", name.replace('/', "-")));
            let told = fs::read_to_string(file).unwrap_or_default();
            let token = &secret.content().unwrap()["token"];
            let token = String::from_utf8(juju_emulator::secrets::decode(token)).unwrap();
            assert_eq!(told.trim(), token, "{name} follows {id}");
        }
    }
}

/// Whether this may run now, by what has run.
fn order(seen: &Seen, run: &HookRun, at: &str) {
    let hook = run.hook.as_str();
    let done = |name: &str| seen.done.contains(name);
    if !done("install") {
        // One that goes before has nothing to run at all.
        assert_eq!(hook, "install", "{at}: before install");
    }
    match hook {
        "install" => assert!(!done("install"), "{at}: once"),
        "start" => assert!(done("config-changed"), "{at}: before config-changed"),
        "stop" | "remove" => {
            let open = |r: &Relation| !r.broken;
            let lost = run.hook == "stop";
            // A pod that is replaced also stops, with its relations alive.
            assert!(
                lost || !seen.relations.values().any(open),
                "{at}: relations first"
            );
        }
        _ => {}
    }
    let id = variable(run, "JUJU_RELATION_ID");
    if id.is_empty() {
        return;
    }
    let (known, unit) = (seen.relations.get(id), variable(run, "JUJU_REMOTE_UNIT"));
    if hook.ends_with("-created") {
        assert!(known.is_none(), "{at}: created once");
        return;
    }
    let relation = known.unwrap_or_else(|| panic!("{at}: before created"));
    assert!(!relation.broken, "{at}: after broken");
    if let Some(joined) = &relation.joined {
        let changed = hook.ends_with("-changed") && unit == joined;
        let gone = hook.ends_with("-departed");
        assert!(
            changed || gone,
            "{at}: {joined} has joined, changed is next"
        );
    }
    let member = relation.members.contains(unit);
    match hook.rsplit('-').next().unwrap() {
        "joined" => assert!(!member, "{at}: joined twice"),
        "changed" => assert!(unit.is_empty() || member, "{at}: not a member"),
        "departed" => assert!(member, "{at}: not a member"),
        _ => assert!(
            relation.members.is_empty(),
            "{at}: {:?} first",
            relation.members
        ),
    }
}

/// What is so once it is done.
fn follow(seen: &mut Seen, what: &[String]) {
    let [hook, id, unit, _] = what else {
        panic!("an identity has four parts");
    };
    seen.done.insert(hook.clone());
    seen.over = hook == "remove";
    if id.is_empty() {
        return;
    }
    let relation = seen.relations.entry(id.clone()).or_default();
    match hook.rsplit('-').next().unwrap() {
        "joined" => {
            relation.members.insert(unit.clone());
            relation.joined = Some(unit.clone());
        }
        "changed" if !unit.is_empty() => relation.joined = None,
        "departed" => {
            relation.members.remove(unit);
            relation.joined = None;
        }
        "broken" => relation.broken = true,
        _ => {}
    }
}
