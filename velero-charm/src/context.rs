//! What every stage that does IO is handed.

use std::{cell::Cell, future::Future, time::Duration};

use k8s_openapi::api::core::v1::Secret;
use provider_api::{Registry, secrecy::SecretString};
use tokio::time::Instant;
use tracing::debug;

use crate::{
    cluster::Cluster,
    error::{Error, Stage, StageError},
    juju::{Leadership, News, Secrets, Tools, Unit},
    ours::{Owner, credential},
};

/// A hook that finds nothing to do waits no longer than this for what is on its way.
const STEADY: Duration = Duration::from_secs(30);
/// A hook that changes something.
const CHANGING: Duration = Duration::from_mins(3);
/// Kept for telling how it went.
const FAREWELL: Duration = Duration::from_secs(3);

/// The hook's tools, its unit, the providers of this build, and the time that is left.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) tools: Tools,
    pub(crate) unit: Unit,
    pub(crate) registry: Registry,
    pub(crate) owner: Owner,
    /// What this hook may bring.
    pub(crate) news: News,
    pub(crate) budget: Budget,
    tenure: Tenure,
    stage: Cell<Stage>,
}

/// What this unit may do, as Juju says at the beginning of the hook.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// It writes for its application.
    Leads,
    /// It looks, and reports.
    Follows,
    /// It is on its way out: it writes nothing, leader or not, since another unit may lead by now.
    Leaves,
}

/// Where objects live and whose they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) owner: &'a Owner,
}

/// The time of one hook.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    begun: Instant,
}

/// What becomes of the unit.
#[derive(Clone, Copy, Debug)]
enum Tenure {
    Stays,
    Leaves,
}

impl Context {
    /// Of a unit that stays. Tools and log know the same secrets.
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
            budget: Budget {
                begun: Instant::now(),
            },
            tenure: Tenure::Stays,
            stage: Cell::new(Stage::Observe),
        })
    }

    /// The same of a unit that is on its way out.
    pub(crate) fn leaving(self) -> Self {
        Self {
            tenure: Tenure::Leaves,
            ..self
        }
    }

    pub(crate) fn role(&self, leadership: Leadership) -> Role {
        role(leadership, self.tenure)
    }

    pub(crate) fn place<'a>(&'a self, cluster: &'a Cluster) -> Place<'a> {
        Place {
            namespace: cluster.namespace(),
            owner: &self.owner,
        }
    }

    /// Nothing that leaves may hold these, nor what is secret inside of them.
    pub(crate) fn keep_secrets<'a>(&self, secrets: impl IntoIterator<Item = &'a SecretString>) {
        for secret in secrets {
            credential::learn(secret, &self.registry, self.tools.secrets());
        }
    }

    /// Nothing that leaves may hold what is in these.
    pub(crate) fn keep_credentials(&self, credentials: &[Secret]) {
        for secret in credentials {
            credential::learn_contents(secret, &self.registry, self.tools.secrets());
        }
    }

    /// Goes through one stage: notes in the log when it was over, and in an error that it was this one.
    pub(crate) fn at<T>(
        &self,
        stage: Stage,
        work: impl Future<Output = Result<T, Error>>,
    ) -> impl Future<Output = Result<T, StageError>> {
        // On the heap: it would be moved twice on its way to the runtime.
        let work = Box::pin(work);
        async move {
            self.stage.set(stage);
            let outcome = work.await;
            let milliseconds = self.budget.begun.elapsed().as_secs_f64() * 1000.0;
            debug!("{stage:?} after {milliseconds:.1} ms.");
            outcome.map_err(|error| self.failed(error))
        }
    }

    /// An error of the stage that the hook is in.
    pub(crate) fn failed(&self, error: impl Into<Error>) -> StageError {
        StageError {
            stage: self.stage.get(),
            cause: error.into(),
        }
    }
}

impl Budget {
    /// When the hook is broken off.
    pub(crate) fn end(self) -> Instant {
        self.begun + CHANGING
    }

    /// Until when a hook that changed something may wait for what comes of it.
    pub(crate) fn left_to_change(self) -> Instant {
        self.end() - FAREWELL
    }

    /// Until when a hook that changed nothing may wait.
    pub(crate) fn left_to_wait(self) -> Instant {
        self.begun + STEADY - FAREWELL
    }
}

fn role(leadership: Leadership, tenure: Tenure) -> Role {
    match (leadership, tenure) {
        (Leadership::Leader, Tenure::Stays) => Role::Leads,
        (Leadership::Follower, Tenure::Stays) => Role::Follows,
        (Leadership::Leader | Leadership::Follower, Tenure::Leaves) => Role::Leaves,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_leads_only_for_a_leader_that_stays() {
        for (leadership, tenure, expected) in [
            (Leadership::Leader, Tenure::Stays, Role::Leads),
            (Leadership::Follower, Tenure::Stays, Role::Follows),
            (Leadership::Leader, Tenure::Leaves, Role::Leaves),
            (Leadership::Follower, Tenure::Leaves, Role::Leaves),
        ] {
            assert_eq!(role(leadership, tenure), expected);
        }
    }

    #[test]
    fn budget_keeps_time_for_the_report() {
        let begun = Instant::now();
        let budget = Budget { begun };

        assert!(budget.left_to_wait() < budget.left_to_change());
        assert!(budget.left_to_change() + FAREWELL <= budget.end());
    }
}
