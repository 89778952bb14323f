//! A Juju emulator: a controller with one model, and unit agents that run a built charm.
//!
//! Invariant: the charm cannot tell it from Juju by what it is given, told, allowed, or by what
//! becomes of what it asks for. Held against recordings of real Juju by the recordings in `transcripts/`.
//!
//! The way of a hook: [`resolver`] says which is next, [`agent`] starts `dispatch` by way of the
//! `unit-exec` program and serves its tools ([`tools`]), [`context`] holds what it asks for and
//! commits it. The state is the plain data of [`model`], written down after each operation.
//!
//! What users do is in [`operations`], [`integrations`], [`trust`], [`user_secrets`] and [`ending`], what
//! befalls units in [`lifecycle`]; where Juju has several ways, a test chooses by [`courses`]. The side of
//! Kubernetes is in [`cluster`] and [`labels`].

mod actions;
mod agent;
pub mod any;
pub mod asks;
pub mod azure;
pub mod azure_auth;
pub mod charm;
mod cluster;
mod context;
mod courses;
mod ending;
mod environment;
pub mod event;
pub mod exec;
pub mod gcs;
mod integrations;
mod killer;
pub mod labels;
mod lifecycle;
mod lines;
pub mod model;
mod operations;
mod pace;
mod paths;
mod resolver;
mod run;
pub mod s3;
mod sabotage;
pub mod scripted;
mod secret_changes;
pub mod secrets;
mod store;
mod tools;
mod trust;
mod user_secrets;
pub mod views;
pub mod wire;
mod yaml;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

pub use azure::{AzureDialect, AzureSettings};
pub use azure_auth::AuthRelease;
pub use charm::CharmSource;
pub use cluster::{Cluster, SECRET_CONSUMER, withdraw_policy};
pub use courses::{Echo, LastHooks};
pub use gcs::{GcsRelease, GcsSettings};
pub use killer::Killer;
pub use lifecycle::{Interruption, PodLoss, SecretDue};
pub use operations::{DeployOptions, Release};
pub use pace::Pace;
pub use paths::helper;
pub use run::{ActionOutcome, Exit, HookRun, LogLine, ToolCall};
pub use s3::{Dialect, S3Settings};
pub use sabotage::ToolFault;

use agent::{Ended, Start};
use cluster::Token;
use event::{ActionEvent, Event};
use model::{Kind, Life, Model, Status};
use paths::UnitPaths;
use store::Store;

/// The file in a charm's directory that has the calls of `bare-tools`.
pub const BARE_CALLS: &str = "bare-calls";

/// More hooks than any honest charm needs to come to rest.
const RESTLESS: usize = 1000;

/// A controller, its one model, and the agents of its units.
pub struct Juju {
    model: Model,
    store: Store,
    cluster: Option<Cluster>,
    runs: Vec<HookRun>,
    pace: Pace,
    echoes: courses::Echoes,
    plan: Option<lifecycle::Plan>,
    sabotage: Option<sabotage::Sabotage>,
    killer: Killer,
}

/// What to do about a failed hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolve {
    /// Run it again.
    Retry,
    /// Take it for done.
    Skip,
}

/// Builds the emulator's own programs if they are not up to date; else the first hook would.
pub fn build_programs() -> Result<()> {
    paths::HELPERS
        .into_iter()
        .try_for_each(|name| paths::helper(name).map(drop))
}

impl Juju {
    /// A new model in an empty directory; with a cluster, its namespace too.
    pub async fn bootstrap(dir: &Path, model: &str, cluster: Option<Cluster>) -> Result<Self> {
        let store = Store::take(dir)?;
        if store.holds_a_model() {
            bail!("{} holds a model already", dir.display());
        }
        let mut model = operations::new_model(model)?;
        if let Some(cluster) = &cluster {
            model.on_cluster = true;
            model.cloud_api_version = cluster.version().await?;
            cluster.ensure_model(&model).await?;
        }
        store.write(&model)?;
        Ok(Self::with(model, store, cluster))
    }

    /// The model that a directory holds.
    pub async fn open(dir: &Path, cluster: Option<Cluster>) -> Result<Self> {
        let store = Store::take(dir)?;
        let model = store.read()?;
        if let Some(cluster) = &cluster {
            cluster.ensure_model(&model).await?;
        }
        Ok(Self::with(model, store, cluster))
    }

    /// Gives a model that was opened without one the cluster that it is on.
    pub fn find_cluster(&mut self, cluster: Cluster) {
        self.cluster = Some(cluster);
    }

    fn with(model: Model, store: Store, cluster: Option<Cluster>) -> Self {
        Self {
            model,
            store,
            cluster,
            runs: Vec::new(),
            pace: Pace::default(),
            echoes: courses::Echoes::default(),
            plan: None,
            sabotage: None,
            killer: Killer::default(),
        }
    }

    /// Lets hook tools answer this fast from now on.
    pub const fn keep_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// How often `config-changed` runs for a setting.
    pub const fn play_config(&mut self, echo: Echo) {
        self.echoes.config = echo;
    }

    /// From now on the charm finds the API server there; so the way to it can lead through something.
    pub fn lead_to(&mut self, host: &str, port: u16) {
        if let Some(cluster) = &mut self.cluster {
            host.clone_into(&mut cluster.host);
            cluster.port = port;
        }
    }

    /// Plays another version of Juju: 3.6 differs from 4.0 in some texts and rules.
    pub fn play_version(&mut self, version: &str) {
        version.clone_into(&mut self.model.juju_version);
    }

    /// Runs every hook that is due, in Juju's order, until nothing is left to do. A unit whose hook
    /// fails stops there, until it is [resolved](Self::resolved); one whose hook was killed is left
    /// where it is, for the next time.
    pub async fn settle(&mut self) -> Result<Vec<HookRun>> {
        let first = self.runs.len();
        let mut stopped = BTreeSet::new();
        loop {
            let before = self.runs.len();
            self.play()?;
            for unit in self.charm_units() {
                if stopped.contains(&unit) {
                    continue;
                }
                if let Some(event) = resolver::next(&self.model, &unit) {
                    let run = self.run_due(&unit, event).await?;
                    if run.exit.is_terminated() {
                        stopped.insert(unit);
                    }
                }
            }
            let reaped = self.reap().await?;
            if self.runs.len() == before && !reaped {
                break;
            }
            if self.runs.len() - first > RESTLESS {
                bail!("{RESTLESS} hooks have run and still more are due");
            }
        }
        self.bring_roles_up().await?;
        self.save()?;
        Ok(self.runs.get(first..).unwrap_or_default().to_vec())
    }

    /// Runs the one hook that is due next, if any is. What is over is taken away before it, not after it:
    /// so what the last hook has left can be looked at.
    pub async fn step(&mut self) -> Result<Option<HookRun>> {
        loop {
            let reaped = self.reap().await?;
            self.play()?;
            for unit in self.charm_units() {
                if let Some(event) = resolver::next(&self.model, &unit) {
                    return self.run_due(&unit, event).await.map(Some);
                }
            }
            if !reaped {
                self.bring_roles_up().await?;
                self.save()?;
                return Ok(None);
            }
        }
    }

    fn charm_units(&self) -> Vec<String> {
        let apps = self
            .model
            .applications
            .values()
            .filter(|app| app.charm().is_some());
        apps.flat_map(|app| app.units.keys().map(|number| app.unit_name(*number)))
            .collect()
    }

    /// Lets the played applications do their part.
    fn play(&mut self) -> Result<()> {
        let played = |app: &&model::Application| matches!(app.kind, Kind::Scripted(_));
        let names: Vec<_> = self
            .model
            .applications
            .values()
            .filter(played)
            .map(|app| app.name.clone())
            .collect();
        names
            .iter()
            .try_for_each(|name| scripted::react(&mut self.model, name))
    }

    /// Runs a hook that is due, and remembers that it has run.
    async fn run_due(&mut self, unit: &str, event: Event) -> Result<HookRun> {
        resolver::prepare(&mut self.model, unit, &event);
        self.announce(unit, &event);
        self.unpack(unit, &event)?;
        let echo = self.echo_of(unit, &event);
        let ended = self.start(unit, event.clone(), &mut |_, _| {}).await?;
        let forced = self.model.app_of(unit).is_some_and(|app| app.forced);
        if ended.run.exit.is_success() {
            resolver::succeeded(&mut self.model, unit, &event);
            if let Some(unit) = self.model.unit_mut(unit) {
                unit.agent.echo = echo == Echo::Twice;
            }
        } else if forced {
            self.forget(unit);
        } else if !ended.run.exit.is_terminated() {
            self.failed(unit, event);
        } else if let Some(unit) = self.model.unit_mut(unit) {
            unit.agent.pending = Some(event);
        }
        self.save()?;
        Ok(ended.run)
    }

    /// Whether a hook that is due is to be followed by another of its kind.
    fn echo_of(&self, unit: &str, event: &Event) -> Echo {
        let news = match event {
            Event::Hook(name) if name == "config-changed" => resolver::news(&self.model, unit),
            _ => None,
        };
        match news {
            Some(resolver::News::Trust) => self.echoes.trust,
            Some(resolver::News::Settings) => self.echoes.config,
            None => Echo::Once,
        }
    }

    /// What Juju itself says of a unit around some hooks.
    fn announce(&mut self, unit: &str, event: &Event) {
        let message = match event.name().as_str() {
            "install" => "installing charm software",
            "stop" => "stopping charm software",
            "remove" => "cleaning up prior to charm deletion",
            _ => return,
        };
        if let Some(unit) = self.model.unit_mut(unit) {
            unit.status.push(Status::now("maintenance", message));
        }
    }

    /// Before `install` and `upgrade-charm` the charm directory is filled again; and before any other hook
    /// if a lost pod took it along, as when the unit is going or an older hook is still due.
    fn unpack(&self, unit: &str, event: &Event) -> Result<()> {
        let name = event.name();
        let charm = self.model.app_of(unit).and_then(model::Application::charm);
        let paths = self.paths(unit);
        match charm {
            Some(charm)
                if ["install", "upgrade-charm"].contains(&name.as_str())
                    || !paths.charm().exists() =>
            {
                paths.create()?;
                charm.install(&paths.charm())
            }
            _ => Ok(()),
        }
    }

    fn paths(&self, unit: &str) -> UnitPaths {
        UnitPaths::new(self.store.dir(), unit)
    }

    /// Starts the charm, whatever the resolver thinks of it.
    async fn start(
        &mut self,
        unit: &str,
        event: Event,
        listener: &mut dyn FnMut(SystemTime, &str),
    ) -> Result<Ended> {
        let paths = self.paths(unit);
        paths.create()?;
        let late = self.late_role(unit);
        if let (Some(cluster), Some(app)) = (&self.cluster, self.model.app_of(unit)) {
            cluster
                .write_account(&self.model, &app.name, &paths, self.token(unit))
                .await?;
        }
        let running = Box::pin(agent::run(Start {
            model: &mut self.model,
            paths,
            unit: unit.to_owned(),
            event,
            cluster: self.cluster.as_ref(),
            pace: self.pace,
            plan: self.plan.take(),
            sabotage: self.sabotage.take(),
            killer: self.killer.clone(),
            listener,
        }));
        let arriving = Box::pin(async {
            match late {
                Some(role) => role.arrive().await,
                None => Ok(()),
            }
        });
        let (ended, arrived) = tokio::join!(running, arriving);
        let ended = ended?;
        arrived?;
        self.runs.push(ended.run.clone());
        Ok(ended)
    }

    fn token(&self, unit: &str) -> Token {
        let void = self.model.unit(unit).is_some_and(|u| u.agent.token_void);
        if void { Token::Void } else { Token::Valid }
    }

    /// Runs one hook with exactly this event, whether it is due or not; the agent does not remember
    /// it. The charm must have been unpacked.
    pub async fn run_event(&mut self, unit: &str, event: Event) -> Result<HookRun> {
        self.require_unit(unit)?;
        let ended = self.start(unit, event, &mut |_, _| {}).await?;
        self.save()?;
        Ok(ended.run)
    }

    /// Runs `update-status`.
    pub async fn update_status(&mut self, unit: &str) -> Result<HookRun> {
        self.run_hook(unit, "update-status").await
    }

    /// Runs a hook by name, once all that is due has run.
    pub async fn run_hook(&mut self, unit: &str, name: &str) -> Result<HookRun> {
        self.require_unit(unit)?;
        let event = Event::hook(name);
        if let Some(unit) = self.model.unit_mut(unit) {
            unit.agent.queue.push(event);
        }
        let runs = self.settle().await?;
        let run = runs
            .into_iter()
            .rev()
            .find(|run| run.unit == unit && run.hook == name);
        run.with_context(|| format!("{unit} did not come to run {name}: a hook failed before"))
    }

    /// Runs an action and waits for its end.
    pub async fn run_action(
        &mut self,
        unit: &str,
        name: &str,
        params: &Map<String, Value>,
    ) -> Result<ActionOutcome> {
        self.follow_action(unit, name, params, &mut |_, _| {}).await
    }

    /// As [`Juju::run_action`]; each line of `action-log` is handed on as it is called.
    pub async fn follow_action(
        &mut self,
        unit: &str,
        name: &str,
        params: &Map<String, Value>,
        listener: &mut dyn FnMut(SystemTime, &str),
    ) -> Result<ActionOutcome> {
        let found = self.require_unit(unit)?;
        if !found.agent.installed {
            bail!("{unit} is not installed yet; no action runs before that");
        }
        self.model.next.action += 1;
        let id = self.model.next.action;
        let charm = self.model.app_of(unit).and_then(model::Application::charm);
        let charm = charm.with_context(|| format!("{unit} has no charm"))?;
        let params = match actions::parameters(charm, &self.model.juju_version, name, params) {
            Ok(params) => params,
            Err(why) => return Ok(actions::refused(id, why)),
        };
        let event = Event::Action(ActionEvent {
            id,
            name: name.to_owned(),
            params,
        });
        let ended = self.start(unit, event, listener).await?;
        self.save()?;
        Ok(actions::outcome(id, unit, ended))
    }

    fn require_unit(&self, unit: &str) -> Result<&model::Unit> {
        self.model
            .unit(unit)
            .with_context(|| format!("there is no unit {unit}"))
    }

    fn save(&self) -> Result<()> {
        self.store.write(&self.model)
    }

    /// What is shown as a unit's status; a failed hook hides what the charm said.
    #[must_use]
    pub fn unit_status(&self, unit: &str) -> Option<Status> {
        self.model.unit(unit).map(views::shown)
    }

    /// All that was said as a unit's status, oldest first.
    #[must_use]
    pub fn status_history(&self, unit: &str) -> &[Status] {
        self.model
            .unit(unit)
            .map(|unit| unit.status.as_slice())
            .unwrap_or_default()
    }

    /// An application's status.
    #[must_use]
    pub fn app_status(&self, app: &str) -> Option<Status> {
        self.model.applications.get(app).map(resolver::app_status)
    }

    /// What the charm said its workload's version is.
    #[must_use]
    pub fn workload_version(&self, app: &str) -> Option<&str> {
        self.model
            .applications
            .get(app)
            .map(|app| app.version.as_str())
    }

    /// Every run since the model was opened.
    #[must_use]
    pub fn hook_runs(&self) -> &[HookRun] {
        &self.runs
    }

    /// The model's log.
    #[must_use]
    pub fn logs(&self) -> &[LogLine] {
        &self.model.log
    }

    /// All that the controller knows.
    #[must_use]
    pub const fn model(&self) -> &Model {
        &self.model
    }

    /// As [`Juju::model`], for tests that bring about a state which no operation leads to.
    pub const fn model_mut(&mut self) -> &mut Model {
        &mut self.model
    }

    /// Its cluster, if it has one.
    #[must_use]
    pub const fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// The model's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.store.dir()
    }

    /// A unit's charm directory, on the host.
    #[must_use]
    pub fn charm_dir(&self, unit: &str) -> PathBuf {
        self.paths(unit).charm()
    }

    /// Takes away what is over: relations that all have left, units that have run `remove`, and
    /// applications without units.
    async fn reap(&mut self) -> Result<bool> {
        let relations = integrations::finished_relations(&self.model);
        for id in &relations {
            self.model.drop_grants(*id);
            self.model.relations.remove(id);
        }
        let units = operations::finished_units(&self.model);
        for unit in &units {
            self.forget_unit(unit)?;
            self.paths(unit).remove()?;
        }
        // An application outlives its units until the other ends have left its relations, too.
        let empty = |app: &&model::Application| {
            app.life == Life::Dying
                && app.units.is_empty()
                && self.model.relations_of(&app.name).is_empty()
        };
        let gone: Vec<_> = self
            .model
            .applications
            .values()
            .filter(empty)
            .map(|app| app.name.clone())
            .collect();
        for app in &gone {
            // What a removal by force leaves is there for good, or for the next of this name.
            let forced = self
                .model
                .applications
                .get(app)
                .is_some_and(|app| app.forced);
            if let Some(cluster) = self.cluster.as_ref().filter(|_| !forced) {
                cluster.remove_application(&self.model, app).await?;
            }
            operations::forget_application(&mut self.model, app);
        }
        Ok(!(relations.is_empty() && units.is_empty() && gone.is_empty()))
    }
}
