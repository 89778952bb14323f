//! `juju trust`: what it changes in the cluster comes a moment after the hook that tells of it.
//!
//! Invariant: the role is changed while the first hook runs that follows, or once nothing is due; never
//! before, so that a charm which looks at once finds what was before.

use std::time::Duration;

use anyhow::Result;

use super::Juju;
use super::cluster::{Cluster, Trust};
use super::courses::Echo;
use super::model::{Application, Model, split_unit};

/// From a hook's start to the change of the role; 0.1 to 0.3 s were seen.
const LATE: Duration = Duration::from_millis(120);

/// A role that is to be changed while a hook runs.
pub(super) struct LateRole {
    cluster: Cluster,
    model: Model,
    app: String,
    trust: Trust,
}

impl LateRole {
    /// Changes it, late.
    pub(super) async fn arrive(self) -> Result<()> {
        tokio::time::sleep(LATE).await;
        let Self {
            cluster,
            model,
            app,
            trust,
        } = self;
        cluster.ensure_application(&model, &app, trust).await
    }
}

impl Juju {
    /// `juju trust app --scope=cluster`.
    pub async fn trust(&mut self, app: &str) -> Result<()> {
        self.set_trust(app, Trust::Given).await
    }

    /// `juju trust app --remove --scope=cluster`.
    pub async fn untrust(&mut self, app: &str) -> Result<()> {
        self.set_trust(app, Trust::Withheld).await
    }

    /// Whether a second `config-changed` follows the one that a change of trust brings.
    pub const fn play_trust(&mut self, echo: Echo) {
        self.echoes.trust = echo;
    }

    async fn set_trust(&mut self, app: &str, trust: Trust) -> Result<()> {
        let application = self.application_mut(app)?;
        let changes = application.trusted != (trust == Trust::Given);
        application.trusted = trust == Trust::Given;
        // A unit that is still starting has it among what it hears anyway, and hears no more of it.
        for unit in application.units.values_mut() {
            let agent = &mut unit.agent;
            if let Some(seen) = agent.config.as_mut().filter(|_| !agent.started) {
                seen.trusted = trust == Trust::Given;
            }
        }
        application.role_is_late |= changes;
        if !changes && !application.role_is_late {
            self.bring_role_up(app).await?;
        }
        self.save()
    }

    /// Takes over what the hook that starts now is to be overtaken by.
    pub(super) fn late_role(&mut self, unit: &str) -> Option<LateRole> {
        let (app, _) = split_unit(unit)?;
        let application = self.model.applications.get_mut(app)?;
        if !std::mem::take(&mut application.role_is_late) {
            return None;
        }
        let trust = Trust::from(application.trusted);
        Some(LateRole {
            cluster: self.cluster.clone()?,
            model: self.model.clone(),
            app: app.to_owned(),
            trust,
        })
    }

    /// Nothing is due: no hook is overtaken any more.
    pub(super) async fn bring_roles_up(&mut self) -> Result<()> {
        let late = |app: &&Application| app.role_is_late;
        let late: Vec<_> = self
            .model
            .applications
            .values()
            .filter(late)
            .map(|app| app.name.clone())
            .collect();
        for app in late {
            self.bring_role_up(&app).await?;
        }
        Ok(())
    }

    async fn bring_role_up(&mut self, app: &str) -> Result<()> {
        let application = self.application_mut(app)?;
        application.role_is_late = false;
        let trust = Trust::from(application.trusted);
        match &self.cluster {
            Some(cluster) => cluster.ensure_application(&self.model, app, trust).await,
            None => Ok(()),
        }
    }
}
