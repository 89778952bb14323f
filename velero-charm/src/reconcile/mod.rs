//! One hook, start to end: `observe → validate → plan → apply → assess → status`.
//!
//! **Invariant:** level, not edge. Every hook runs the same stages on what is there now; the hook's
//! name never decides what is done. Only the leader writes.

mod apply;
pub(crate) mod assess;
pub(crate) mod observe;
mod plan;
mod record;
pub(crate) mod remove;
pub(crate) mod status;
mod validate;

use std::{ops::ControlFlow, time::Duration};

use jiff::Timestamp;
use provider_api::{Descriptor, Registry, RegistryError, secrecy::SecretString};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use self::{
    assess::{Expected, Health, Wanted, assess},
    observe::{Leadership, Observed},
    plan::{Place, Plan},
    status::Report,
    validate::{Desired, Intent},
};
use crate::{
    cluster::{Cluster, ClusterError, follow, follow::Running},
    juju::{JujuError, Level, Status, Tools, Unit},
    velero::{
        BUNDLED, Owner,
        cli::{Cli, CliError},
        location::{self, Verdict},
        manifests::NodeAgent,
    },
};

/// A hook that finds nothing to do waits no longer than this for what is on its way.
const STEADY: Duration = Duration::from_secs(30);
/// A hook that changes something.
const CHANGING: Duration = Duration::from_mins(3);

/// Why a hook could not be finished.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the charm may not read the cluster")]
    NotTrusted,
    #[error("the Velero in namespace `{namespace}` is not ours")]
    Foreign { namespace: String },
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
}

/// What every stage that does IO works with.
#[derive(Debug)]
pub(crate) struct Charm {
    pub(crate) tools: Tools,
    pub(crate) unit: Unit,
    pub(crate) registry: Registry,
    pub(crate) owner: Owner,
}

/// Whether this hook may write at all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tenure {
    /// The unit stays.
    Staying,
    /// The unit goes; whoever stays does the work.
    Leaving,
}

impl Charm {
    pub(crate) fn new(unit: Unit) -> Result<Self, Error> {
        let owner = Owner {
            application: unit.application.clone(),
            model_uuid: unit.model_uuid.clone(),
        };
        Ok(Self {
            tools: Tools::default(),
            unit,
            registry: providers::registry()?,
            owner,
        })
    }

    /// Runs the stages and tells the user how it went.
    pub(crate) async fn reconcile(&self, tenure: Tenure) -> Result<(), Error> {
        let begun = Instant::now();
        let outcome =
            match tokio::time::timeout_at(begun + CHANGING, self.stages(tenure, begun)).await {
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
        let observed = observe::observe(
            &self.tools,
            &self.unit,
            &self.registry,
            &cluster,
            &self.owner,
        )
        .await?;
        debug!("Observed after {} ms.", begun.elapsed().as_millis());
        self.refuse_foreign(&observed, &cluster)?;
        let desired = validate::validate(&observed.config, &observed.relations, &self.registry);
        let place = Place {
            namespace: cluster.namespace(),
            owner: &self.owner,
        };
        let mut plan = plan::plan(&desired, &observed.live, place);
        if observed.leadership == Leadership::Follower || tenure == Tenure::Leaving {
            plan = Plan::default();
        } else {
            self.shake_hands(&observed).await?;
        }
        let held_by = hold(&mut plan, &cluster).await?;
        let (running, expected) = self
            .carry_out(plan, observed, &desired, &cluster, begun)
            .await?;
        debug!(
            "Carried out and settled after {} ms.",
            begun.elapsed().as_millis()
        );
        Ok(self.conclude(&desired, &assess(&running, &expected), &held_by))
    }

    /// A Velero that somebody else installed is never touched.
    fn refuse_foreign(&self, observed: &Observed, cluster: &Cluster) -> Result<(), Error> {
        match observed.live.running.server() {
            Some(server) if !self.owner.owns(server) => Err(Error::Foreign {
                namespace: cluster.namespace().into(),
            }),
            _ => Ok(()),
        }
    }

    /// Says what makes integrators send their data, where it was not yet said.
    async fn shake_hands(&self, observed: &Observed) -> Result<(), Error> {
        for relation in observed
            .relations
            .iter()
            .filter(|r| !r.handshake.is_empty())
        {
            self.tools
                .set_data_bag(&relation.id, &relation.handshake)
                .await?;
        }
        Ok(())
    }

    /// Applies the plan and follows the cluster until it has settled.
    async fn carry_out(
        &self,
        plan: Plan,
        observed: Observed,
        desired: &Desired,
        cluster: &Cluster,
        begun: Instant,
    ) -> Result<(Running, Expected), Error> {
        let before = observed
            .live
            .running
            .location()
            .map(location::verdict)
            .unwrap_or_default();
        let changed = !plan.is_empty();
        let relocated = !plan.locations.is_empty();
        let installs = plan.install.is_some();
        let removes_location = matches!(desired.storage, Intent::None);
        if changed {
            self.announce(&plan, &observed).await?;
            if relocated {
                until_a_new_verdict_would_differ(&before).await;
            }
            let cli = Cli::new(&self.unit.charm_dir, cluster.namespace());
            let place = Place {
                namespace: cluster.namespace(),
                owner: &self.owner,
            };
            apply::apply(plan, cluster, &cli, place, begun + CHANGING).await?;
        }
        if installs {
            self.tools.set_version(BUNDLED).await?;
        }
        let deadline = begun + if changed { CHANGING } else { STEADY };
        let expected = |running: &Running| Expected {
            node_agent: desired.core.as_ref().map_or_else(
                |_| {
                    if running.node_agent().is_some() {
                        NodeAgent::On
                    } else {
                        NodeAgent::Off
                    }
                },
                |core| core.node_agent,
            ),
            location: match (running.location(), relocated) {
                _ if removes_location => Wanted::No,
                (_, true) => Wanted::Changed {
                    before: before.clone(),
                },
                (None, false) if !matches!(desired.storage, Intent::Set { .. }) => Wanted::No,
                (_, false) => Wanted::Yes,
            },
        };
        let mut running = observed.live.running;
        let settled = |running: &Running| assess(running, &expected(running)).is_settled();
        // Nothing was asked for yet if the first config is invalid: there is nothing to wait for.
        let nothing_runs = desired.core.is_err() && running.server().is_none();
        if changed || (!settled(&running) && !nothing_runs) {
            // Room for telling how it went, should the deadline pass.
            let stop = deadline
                .checked_sub(Duration::from_secs(3))
                .unwrap_or(deadline);
            running = follow::follow(cluster, stop, |running| {
                if settled(running) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })
            .await?;
        }
        let expected = expected(&running);
        Ok((running, expected))
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

    fn conclude(&self, desired: &Desired, health: &Health, held_by: &[String]) -> Status {
        let (provider, secrets) = in_use(desired);
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
            debug!("{}", status::redact(finding.text(), secrets));
        }
        status::status(&findings, secrets)
    }

    /// Sets the status, unless it is shown already.
    pub(crate) async fn show(&self, status: &Status) -> Result<(), Error> {
        if self.tools.status().await? == *status {
            return Ok(());
        }
        match status.level {
            Level::Blocked => warn!("Blocked: {}.", status.message),
            level => info!("Now {level}: {}.", or_all_well(&status.message)),
        }
        self.tools.set_status(status).await?;
        Ok(())
    }
}

fn or_all_well(message: &str) -> &str {
    if message.is_empty() {
        "all is well"
    } else {
        message
    }
}

/// The provider in use, and the secrets that messages about it could repeat.
fn in_use(desired: &Desired) -> (Option<&'static Descriptor>, &[SecretString]) {
    match &desired.storage {
        Intent::Set {
            descriptor,
            storage,
        } => (Some(*descriptor), &storage.canaries),
        Intent::Keep(_) | Intent::None => (None, &[]),
    }
}

/// Puts off what would fail a running Backup or Restore; names these.
async fn hold(plan: &mut Plan, cluster: &Cluster) -> Result<Vec<String>, Error> {
    if !plan.restarts_server() {
        return Ok(Vec::new());
    }
    let busy = observe::in_flight(cluster).await?;
    if !busy.is_empty() {
        info!(
            "A change that restarts Velero waits for {}.",
            busy.join(", ")
        );
        *plan = Plan::default();
    }
    Ok(busy)
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
