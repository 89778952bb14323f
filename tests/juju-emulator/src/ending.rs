//! Ends that are not orderly: `juju remove-application --force` and `juju destroy-model`.
//!
//! Invariant: the controller's records go first, so units hear of relations that are gone already, or are
//! themselves forgotten; and no hook is waited for.

use anyhow::Result;

use super::courses::LastHooks;
use super::event::Event;
use super::model::{Life, Model, Relation};
use super::run::HookRun;
use super::{Juju, operations, resolver};

impl Juju {
    /// `juju remove-application --force`. Its relations go at once and its units hear nothing of them; a unit
    /// whose hook fails is forgotten, so that no `remove` runs; what is in the cluster stays there.
    pub fn remove_application_by_force(&mut self, app: &str) -> Result<()> {
        self.let_die(app)?;
        self.application_mut(app)?.forced = true;
        let own = |relation: &&mut Relation| relation.local(app).is_some();
        let mut gone = Vec::new();
        for relation in self.model.relations.values_mut().filter(own) {
            relation.gone = true;
            gone.push(relation.id);
        }
        for id in gone {
            self.model.drop_grants(id);
        }
        self.pass_over(app)?;
        self.save()
    }

    /// What units are stuck with counts as done.
    fn pass_over(&mut self, app: &str) -> Result<()> {
        let application = self.application_mut(app)?;
        let mut stuck = Vec::new();
        for unit in application.units.values_mut() {
            let name = format!("{app}/{}", unit.number);
            let agent = &mut unit.agent;
            let event = agent.failed.take().or_else(|| agent.pending.take());
            stuck.extend(event.map(|event| (name, event)));
        }
        for (unit, event) in stuck {
            resolver::succeeded(&mut self.model, &unit, &event);
        }
        Ok(())
    }

    /// A unit is over, whatever it was about to do.
    pub(super) fn forget(&mut self, unit: &str) {
        if let Some(unit) = self.model.unit_mut(unit) {
            unit.agent.pending = None;
            unit.agent.removed = true;
        }
    }

    /// `juju destroy-model`: the records of its units are gone before their agents hear of it. Whatever came
    /// of their last hooks, what Juju has labelled is swept, and the namespace is deleted.
    pub async fn destroy_model(&mut self, last: LastHooks) -> Result<Vec<HookRun>> {
        let first = self.runs.len();
        let hooks: &[&str] = match last {
            LastHooks::Stop => &["stop"],
            LastHooks::StopAndRemove => &["stop", "remove"],
        };
        let started: Vec<_> = self
            .charm_units()
            .into_iter()
            .filter(|unit| self.model.unit(unit).is_some_and(|u| u.agent.started))
            .collect();
        forget_all(&mut self.model);
        for unit in started {
            for hook in hooks {
                self.start(&unit, Event::hook(hook), &mut |_, _| {}).await?;
            }
        }
        let apps: Vec<_> = self.model.applications.keys().cloned().collect();
        for app in apps {
            if let Some(cluster) = &self.cluster {
                cluster.remove_application(&self.model, &app).await?;
            }
            operations::forget_application(&mut self.model, &app);
        }
        if let Some(cluster) = &self.cluster {
            cluster.remove_model(&self.model).await?;
        }
        self.save()?;
        Ok(self.runs.get(first..).unwrap_or_default().to_vec())
    }
}

fn forget_all(model: &mut Model) {
    for relation in model.relations.values_mut() {
        relation.life = Life::Dying;
        relation.gone = true;
    }
    for app in model.applications.values_mut() {
        app.life = Life::Dying;
        for unit in app.units.values_mut() {
            unit.life = Life::Dying;
            unit.forgotten = true;
        }
    }
}
