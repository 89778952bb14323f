//! What befalls units besides hooks: leadership, scale, lost pods, hooks that fail or are killed, time.
//!
//! Invariant: nothing here waits. The model's time stands still until [`Juju::advance`] moves it, so
//! what is retried, and when, is the same each time.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::event::{Event, SecretEvent};
use super::killer::Killer;
use super::model::{Life, split_unit};
use super::run::HookRun;
use super::sabotage::{Sabotage, ToolFault};
use super::secrets::Owner;
use super::{Juju, Resolve, resolver};

/// The first pause before a failed hook is tried again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// Between two `update-status`, without the random fifth that Juju adds or takes.
const UPDATE_STATUS: Duration = Duration::from_mins(5);

/// How a pod is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodLoss {
    /// It was told to go: the charm runs `stop` in it first.
    Drained,
    /// It was deleted by force: the charm still runs `stop`, but its token is void.
    Deleted,
    /// Its node failed, say: nothing ran.
    Killed,
}

/// What stops a charm in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// Its process is killed. A hook runs again; an action has failed.
    Killed,
    /// Its pod goes, and the agent with it. A hook runs again; an action does not.
    AgentLost,
}

/// An interruption of the next run, when the charm calls a tool for this many-th time (from 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) how: Interruption,
    pub(crate) at_call: usize,
}

/// What comes due for a secret that is owned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretDue {
    /// Its rotation.
    Rotate,
    /// The end of its newest revision.
    Expired,
}

impl Juju {
    /// `juju resolved`: what was stuck continues at the next [`Juju::settle`].
    pub fn resolved(&mut self, unit: &str, how: Resolve) -> Result<()> {
        self.require_unit(unit)?;
        let agent = self.model.unit_mut(unit).map(|unit| &mut unit.agent);
        let agent = agent.context("the unit is gone")?;
        let Some(event) = agent.failed.take() else {
            bail!("{unit} is not in an error state");
        };
        agent.tries = 0;
        agent.retry_at = None;
        match how {
            Resolve::Retry => agent.pending = Some(event),
            Resolve::Skip => resolver::succeeded(&mut self.model, unit, &event),
        }
        self.save()
    }

    /// Notes that a hook has failed, and when it is to be tried again.
    pub(super) fn failed(&mut self, unit: &str, event: Event) {
        let (now, retries) = (self.model.now, self.model.retries_hooks);
        if let Some(unit) = self.model.unit_mut(unit) {
            let agent = &mut unit.agent;
            let pause = FIRST_PAUSE
                .saturating_mul(2_u32.saturating_pow(agent.tries))
                .min(LONGEST_PAUSE);
            agent.tries += 1;
            agent.retry_at = retries.then_some(now + pause);
            agent.pending = None;
            agent.failed = Some(event);
        }
    }

    /// Lets time pass, without waiting: failed hooks are tried again when they are due, idle units run
    /// `update-status`, and whatever follows from that is settled at each step.
    pub async fn advance(&mut self, by: Duration) -> Result<Vec<HookRun>> {
        let first = self.runs.len();
        let until = self.model.now + by;
        while let Some((at, unit)) = self.next_due().filter(|(at, _)| *at <= until) {
            self.model.now = at;
            self.wake(&unit);
            self.settle().await?;
        }
        self.model.now = until;
        self.save()?;
        Ok(self.runs.get(first..).unwrap_or_default().to_vec())
    }

    fn next_due(&self) -> Option<(Duration, String)> {
        let due = |name: String| {
            let agent = &self.model.unit(&name)?.agent;
            let at = match (&agent.failed, agent.started) {
                (Some(_), _) => agent.retry_at?,
                (None, true) => agent.updated_at + UPDATE_STATUS,
                (None, false) => return None,
            };
            Some((at, name))
        };
        self.charm_units().into_iter().filter_map(due).min()
    }

    fn wake(&mut self, unit: &str) {
        let now = self.model.now;
        let Some(agent) = self.model.unit_mut(unit).map(|unit| &mut unit.agent) else {
            return;
        };
        if let Some(event) = agent.failed.take() {
            agent.retry_at = None;
            agent.pending = Some(event);
        } else {
            agent.updated_at = now;
            agent.queue.push(Event::hook("update-status"));
        }
    }

    /// Makes another unit the leader; the one that was hears nothing of it.
    pub fn move_leadership(&mut self, unit: &str) -> Result<()> {
        self.require_unit(unit)?;
        let (app, number) = split_unit(unit).context("not a unit's name")?;
        self.set_leader(app, Some(number))?;
        self.save()
    }

    /// Who led and does not any more is elected again should it lead again.
    pub(super) fn set_leader(&mut self, app: &str, leader: Option<u32>) -> Result<()> {
        let app = self.application_mut(app)?;
        app.leader = leader;
        for unit in app.units.values_mut() {
            unit.agent.led &= leader == Some(unit.number);
        }
        Ok(())
    }

    /// `juju scale-application`: the newest units go first.
    pub fn scale(&mut self, app: &str, units: usize) -> Result<()> {
        let alive = |juju: &mut Self| -> Result<Vec<u32>> {
            let units = juju.application_mut(app)?.units.values();
            let alive = units.filter(|unit| unit.life == Life::Alive);
            Ok(alive.map(|unit| unit.number).collect())
        };
        while alive(self)?.len() < units {
            self.add_unit(app)?;
        }
        for number in alive(self)?.into_iter().skip(units).rev() {
            self.remove_unit(&format!("{app}/{number}"))?;
        }
        Ok(())
    }

    /// A unit's pod is replaced: its charm directory and all that the charm kept there is lost.
    pub fn replace_pod(&mut self, unit: &str, how: PodLoss) -> Result<()> {
        self.require_unit(unit)?;
        resolver::agent_starts(&mut self.model, unit);
        if let Some(unit) = self.model.unit_mut(unit) {
            let agent = &mut unit.agent;
            agent.charm_lost = agent.installed;
            agent.stopped |= how == PodLoss::Killed;
            agent.token_void = how == PodLoss::Deleted;
        }
        if how == PodLoss::Killed {
            self.paths(unit).remove()?;
        }
        self.save()
    }

    /// A unit's charm container is restarted in its pod; the charm directory stays.
    pub fn restart_container(&mut self, unit: &str) -> Result<()> {
        self.require_unit(unit)?;
        resolver::agent_starts(&mut self.model, unit);
        if let Some(unit) = self.model.unit_mut(unit) {
            unit.agent.started = false;
        }
        self.save()
    }

    /// Stops the next run of a charm when one of its tools asks the agent for the `at_call`-th time,
    /// before it is answered. A tool that reads standard input asks twice.
    pub const fn interrupt_next(&mut self, how: Interruption, at_call: usize) {
        self.plan = Some(Plan { how, at_call });
    }

    /// Lets a tool call of the next run of a charm go wrong: the `at_call`-th (from 1) of this tool. A tool
    /// that reads standard input asks twice.
    pub fn sabotage_next(&mut self, tool: &str, at_call: usize, fault: ToolFault) {
        self.sabotage = Some(Sabotage {
            tool: tool.to_owned(),
            at_call,
            fault,
        });
    }

    /// Kills the charm that runs when it is used.
    #[must_use]
    pub fn killer(&self) -> Killer {
        self.killer.clone()
    }

    /// A secret's owner hears that it is due.
    pub fn secret_due(&mut self, id: &str, what: SecretDue) -> Result<()> {
        let secret = self.model.secrets.get(id).context("no such secret")?;
        let unit = match &secret.owner {
            Owner::Unit(name) => name.clone(),
            Owner::Application(app) => {
                let app = self.model.applications.get(app);
                let leader = app.and_then(|app| Some(app.unit_name(app.leader?)));
                leader.context("its owner has no leader")?
            }
            Owner::User => bail!("nothing comes due for a user's secret"),
        };
        let (kind, revision) = match what {
            SecretDue::Rotate => ("rotate", None),
            SecretDue::Expired => ("expired", Some(secret.latest())),
        };
        let event = Event::Secret(SecretEvent {
            kind: kind.to_owned(),
            id: id.to_owned(),
            label: secret.label.clone(),
            revision,
        });
        if let Some(unit) = self.model.unit_mut(&unit) {
            unit.agent.queue.push(event);
        }
        self.save()
    }
}
