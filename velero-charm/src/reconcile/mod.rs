//! One hook, start to end: `observe → validate → plan → apply → assess → status`.
//!
//! **Invariant:** level, not edge. Every hook runs the same stages on what is there now; the hook's
//! name never decides what is done. Only the leader writes.

mod adopt;
mod apply;
pub(crate) mod assess;
mod hold;
pub(crate) mod observe;
mod plan;
pub(crate) mod remove;
pub(crate) mod status;
mod strangers;
pub(crate) mod trust;
mod validate;

use std::{ops::ControlFlow, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::DynamicObject;
use provider_api::{Registry, RegistryError, StorageProvider};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use self::{
    adopt::{Search, Standing},
    assess::{Expected, Health, Wanted, assess},
    observe::{Live, Observed, Observer},
    plan::{Place, Plan},
    status::Report,
    strangers::Stranger,
    validate::{Desired, Intent},
};
use crate::{
    cluster::{Cluster, ClusterError},
    juju::{JujuError, Leadership, Level, News, Secrets, Status, Tools, Unit, env::in_cluster},
    ours::{Owner, credential, location::is_judged_again},
    relations::storage::{Sealed, StorageRelation},
    velero::{
        BUNDLED,
        cli::{Cli, CliError},
        install::NodeAgent,
        location::{self, Verdict},
        running::{self, Running},
    },
};

/// A hook that finds nothing to do waits no longer than this for what is on its way.
const STEADY: Duration = Duration::from_secs(30);
/// Kept for telling how it went.
const FAREWELL: Duration = Duration::from_secs(3);
/// A hook that changes something.
const CHANGING: Duration = Duration::from_mins(3);

/// Why a hook could not be finished.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the charm may not read the cluster")]
    NotTrusted,
    #[error("in the way: {}", strangers::places(.0))]
    Foreign(Vec<Stranger>),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Cli(#[from] CliError),
    #[error("out of time")]
    Deadline,
    #[error(transparent)]
    Juju(#[from] JujuError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("internal: {0}")]
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    pub(crate) fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(source.into())
    }

    /// The cluster refuses what it grants to a trusted charm.
    fn is_refusal(&self) -> bool {
        match self {
            Self::NotTrusted => true,
            Self::Cluster(error) => error.is_forbidden(),
            _ => false,
        }
    }
}

/// What a hook has changed, as far as the wait for it depends on it.
#[derive(Debug)]
enum Change {
    Nothing,
    /// What Velero judges of a location, of which it had said this.
    Location {
        before: Verdict,
    },
    /// Anything else; Velero says nothing new of the location.
    Other,
}

/// What every stage that does IO works with.
#[derive(Debug)]
pub(crate) struct Charm {
    pub(crate) tools: Tools,
    pub(crate) unit: Unit,
    pub(crate) registry: Registry,
    pub(crate) owner: Owner,
    /// What this hook may bring.
    news: News,
}

/// Whether this hook may write at all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Authority {
    /// The leader, which stays.
    Acts,
    /// Anybody else.
    Watches,
}

/// What becomes of the unit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tenure {
    /// The unit stays.
    Staying,
    /// The unit goes; whoever stays does the work.
    Leaving,
}

impl Charm {
    /// Tools and log know the same secrets.
    pub(crate) fn new(unit: Unit, news: News, secrets: Secrets) -> Result<Self, Error> {
        let owner = Owner {
            application: unit.application.clone(),
            model_uuid: unit.model_uuid.clone(),
        };
        Ok(Self {
            tools: Tools::new(secrets),
            unit,
            registry: providers::registry()?,
            owner,
            news,
        })
    }

    /// Runs the stages and tells the user how it went.
    pub(crate) async fn reconcile(&self, tenure: Tenure) -> Result<(), Error> {
        let begun = Instant::now();
        let outcome =
            match tokio::time::timeout_at(begun + CHANGING, Box::pin(self.stages(tenure, begun)))
                .await
            {
                Ok(outcome) => outcome,
                Err(_) => Err(Error::Deadline),
            };
        let status = match outcome {
            Ok(status) => status,
            Err(error) => {
                let Some(status) = status::of_error(&error, &self.unit) else {
                    return Err(error);
                };
                warn!("{error}");
                status
            }
        };
        self.show(&status).await?;
        Ok(())
    }

    async fn stages(&self, tenure: Tenure, begun: Instant) -> Result<Status, Error> {
        let cluster = Cluster::connect()?;
        let by = Observer {
            tools: &self.tools,
            unit: &self.unit,
            registry: &self.registry,
            owner: &self.owner,
            tenure,
            news: self.news,
        };
        let mut observed = observe::observe(by, &cluster).await?;
        self.keep_credentials(&observed.live.credentials);
        passed("Observed", begun);
        let authority = authority(observed.leadership, tenure);
        self.adopt(&mut observed, &cluster, authority).await?;
        let observed = observed.open(by).await?;
        self.keep_secrets(&observed);
        let desired = validate::validate(&observed, &self.registry, &self.owner);
        for secret in desired.secrets() {
            self.tools.keep_secret(secret);
        }
        let place = Place {
            namespace: cluster.namespace(),
            owner: &self.owner,
        };
        let mut plan = plan::plan(&desired, &observed.readings(), &observed.live, place);
        passed("Planned", begun);
        if authority == Authority::Acts {
            self.shake_hands(&observed).await?;
        } else {
            plan = Plan::default();
        }
        let held_by = hold::hold(&mut plan, &observed.live.running, &cluster).await?;
        let change = self
            .carry_out(plan, &observed, &desired, &cluster, begun)
            .await?;
        for relation in observed.relations.iter().flat_map(StorageRelation::all) {
            relation.is_kept(&self.tools).await?;
        }
        passed("Carried out", begun);
        let running = if held_by.is_empty() {
            settle(observed.live.running, &desired, &change, &cluster, begun).await?
        } else {
            observed.live.running
        };
        passed("Settled", begun);
        let health = assess(&running, &expected(&running, &desired, &change));
        Ok(self.conclude(&desired, &running, &health, &held_by))
    }

    /// What integrators sent, used or not.
    fn keep_secrets(&self, observed: &Observed) {
        let relations = observed.relations.iter().flat_map(StorageRelation::all);
        let sent = relations.flat_map(|relation| relation.data.secrets());
        sent.for_each(|secret| self.tools.keep_secret(secret));
    }

    /// Nothing that leaves may hold what is in these.
    pub(crate) fn keep_credentials(&self, credentials: &[Secret]) {
        let contents = credentials.iter().flat_map(credential::contents);
        contents.for_each(|secret| self.tools.keep_secret(&secret));
    }

    /// Takes over what the charm before this one has left. A Velero that somebody else installed is
    /// never touched.
    async fn adopt(
        &self,
        observed: &mut Observed<Sealed>,
        cluster: &Cluster,
        authority: Authority,
    ) -> Result<(), Error> {
        let (live, agent) = (&observed.live, validate::node_agent(&observed.config));
        match adopt::standing(live, agent, Search::Glance, cluster, &self.owner).await? {
            Standing::Foreign(strangers) => {
                if authority == Authority::Acts {
                    adopt::withhold_rights(live, cluster, &self.owner).await?;
                }
                return Err(Error::Foreign(strangers));
            }
            Standing::Predecessors(objects) if authority == Authority::Acts => {
                for relation in observed.relations.iter().flat_map(StorageRelation::all) {
                    relation.forget_copy(&self.tools).await?;
                }
                let plugins = adopt::plugins(&observed.config, &self.registry);
                adopt::take_over(objects, plugins, cluster, &self.owner).await?;
                observed.live = Live::read(cluster, &self.owner).await?;
                self.keep_credentials(&observed.live.credentials);
            }
            Standing::Ours | Standing::Predecessors(_) => {}
        }
        Ok(())
    }

    /// Says what makes integrators send their data, where it was not yet said.
    async fn shake_hands(&self, observed: &Observed) -> Result<(), Error> {
        let relations = observed.relations.iter().flat_map(StorageRelation::all);
        for relation in relations.filter(|relation| !relation.handshake.is_empty()) {
            self.tools
                .set_data_bag(&relation.id, &relation.handshake)
                .await?;
        }
        Ok(())
    }

    /// Carries out the plan.
    async fn carry_out(
        &self,
        mut plan: Plan,
        observed: &Observed,
        desired: &Desired,
        cluster: &Cluster,
        begun: Instant,
    ) -> Result<Change, Error> {
        if plan.is_empty() {
            return Ok(Change::Nothing);
        }
        if !plan.is_only_secrets() {
            self.announce(&plan, observed).await?;
        }
        let installs = plan.install.is_some();
        let live = observed.live.running.location();
        let change = change(&plan, live);
        match &change {
            Change::Location { before } => {
                remark(desired, &observed.live.running);
                until_a_new_verdict_would_differ(before).await;
            }
            Change::Nothing | Change::Other => relabel(&mut plan, cluster).await?,
        }
        let cli = Cli::new(&self.unit.charm_dir, cluster.namespace(), in_cluster());
        let place = Place {
            namespace: cluster.namespace(),
            owner: &self.owner,
        };
        if installs {
            // Before the record is written: after it, nothing would tell that this is left to do.
            self.tools.set_version(BUNDLED).await?;
        }
        let live = &observed.live;
        apply::apply(plan, live, cluster, &cli, place, begun + CHANGING).await?;
        Ok(change)
    }

    /// Says what takes a while, before it does.
    async fn announce(&self, plan: &Plan, observed: &Observed) -> Result<(), Error> {
        let message = match (&plan.install, observed.live.running.server()) {
            (Some(_), None) => "installing Velero",
            (Some(_), Some(_)) => "updating Velero",
            (None, _) => "configuring the object store",
        };
        let status = Status {
            level: Level::Maintenance,
            message: message.into(),
        };
        self.tools.set_status(&status).await?;
        Ok(())
    }

    fn conclude(
        &self,
        desired: &Desired,
        running: &Running,
        health: &Health,
        held_by: &[String],
    ) -> Status {
        let provider = running.location().and_then(location::provider);
        let provider = provider
            .and_then(|name| self.registry.by_name(name))
            .map(StorageProvider::descriptor);
        let report = Report {
            unit: &self.unit,
            registry: &self.registry,
            desired,
            health,
            held_by,
            provider,
        };
        let findings = status::findings(&report);
        for finding in &findings {
            debug!("{}", finding.text());
        }
        status::status(&findings)
    }

    /// Sets the status, unless it is shown already.
    pub(crate) async fn show(&self, status: &Status) -> Result<(), Error> {
        let status = self.tools.presentable(status);
        if self.tools.status().await? == status {
            return Ok(());
        }
        match status.level {
            Level::Blocked => warn!("Blocked: {}.", status.message.trim_end_matches('.')),
            level => info!("Now {level}: {}.", or_all_well(&status.message)),
        }
        self.tools.set_status(&status).await?;
        Ok(())
    }
}

fn authority(leadership: Leadership, tenure: Tenure) -> Authority {
    match (leadership, tenure) {
        (Leadership::Leader, Tenure::Staying) => Authority::Acts,
        (Leadership::Follower, _) | (_, Tenure::Leaving) => Authority::Watches,
    }
}

/// Notes when a stage was over, for whoever asks where a hook's time went.
fn passed(stage: &str, begun: Instant) {
    let milliseconds = begun.elapsed().as_secs_f64() * 1000.0;
    debug!("{stage} after {milliseconds:.1} ms.");
}

/// What carrying out a plan changes.
fn change(plan: &Plan, live: Option<&DynamicObject>) -> Change {
    if plan.is_only_secrets() {
        return Change::Nothing;
    }
    let mut locations = plan.locations.iter();
    let wanted = locations.find(|one| location::is_backup_location(one));
    match wanted.filter(|wanted| is_judged_again(live, wanted)) {
        Some(_) => Change::Location {
            before: live.map(location::verdict).unwrap_or_default(),
        },
        None => Change::Other,
    }
}

/// Labels alone are put back without an apply, which would give the location a new date: what Velero has said of
/// it would no longer count, and it would say nothing more for a while.
async fn relabel(plan: &mut Plan, cluster: &Cluster) -> Result<(), ClusterError> {
    let (relabelled, others): (Vec<_>, _) = std::mem::take(&mut plan.locations)
        .into_iter()
        .partition(location::is_backup_location);
    plan.locations = others;
    for location in relabelled {
        cluster.put_labels_on(&location).await?;
    }
    Ok(())
}

/// Passes on what there is to say of a store though nothing is wrong.
fn remark(desired: &Desired, running: &Running) {
    if let Intent::Set { storage, .. } = &desired.storage {
        storage.remarks.iter().for_each(|remark| info!("{remark}"));
    }
    if let Some(theirs) = location::other_default(&running.locations) {
        info!("Backups go to location `{theirs}` unless they name another: it stays the default.");
    }
}

fn or_all_well(message: &str) -> &str {
    if message.is_empty() {
        "all is well"
    } else {
        message
    }
}

/// Follows the cluster until there is nothing left to wait for.
async fn settle(
    running: Running,
    desired: &Desired,
    change: &Change,
    cluster: &Cluster,
    begun: Instant,
) -> Result<Running, Error> {
    let settled =
        |running: &Running| assess(running, &expected(running, desired, change)).is_settled();
    let changed = !matches!(change, Change::Nothing);
    // Under an invalid config nothing is installed: there is nothing to wait for.
    let nothing_comes = desired.core.is_err() && running.server().is_none();
    if !changed && (settled(&running) || nothing_comes) {
        return Ok(running);
    }
    let limit = if changed { CHANGING } else { STEADY };
    let running = running::follow(cluster, begun + limit - FAREWELL, |running| {
        if settled(running) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    Ok(running.await?)
}

/// What there should be, given what is asked for and was done.
fn expected(running: &Running, desired: &Desired, change: &Change) -> Expected {
    let node_agent = match &desired.core {
        Ok(core) => core.node_agent,
        Err(_) if running.node_agent().is_some() => NodeAgent::On,
        Err(_) => NodeAgent::Off,
    };
    let location = match (&desired.storage, change) {
        (Intent::None, _) => Wanted::No,
        (_, Change::Location { before }) => Wanted::Changed {
            before: before.clone(),
        },
        (Intent::Keep(_), _) if running.location().is_none() => Wanted::No,
        _ if desired.core.is_err() && running.location().is_none() => Wanted::No,
        (_, Change::Nothing | Change::Other) => Wanted::Yes,
    };
    Expected {
        node_agent,
        location,
        now: Timestamp::now(),
    }
}

/// Verdicts carry whole seconds. One that follows another in the same second and says the same could
/// not be told from it, so a change waits for that second's end.
async fn until_a_new_verdict_would_differ(before: &Verdict) {
    let Some(given) = before.last_validation_time else {
        return;
    };
    let next = given.as_second() * 1000 + 1000;
    let left = next - Timestamp::now().as_millisecond();
    if let Ok(left @ 1..=1000) = u64::try_from(left) {
        tokio::time::sleep(Duration::from_millis(left)).await;
    }
}
