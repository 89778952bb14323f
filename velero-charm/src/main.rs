//! The charm's `dispatch`, and a small program for people when Juju did not start it.
//!
//! **Invariant:** started by Juju, the arguments are never looked at. An expected problem ends with a
//! status and exit code 0; anything else is logged and fails the hook, which Juju then runs again.

mod actions;
mod cluster;
mod juju;
mod people;
mod reconcile;
mod velero;

use std::process::ExitCode;

use anyhow::Context as _;

use crate::{
    juju::{Event, Secrets, Unit, log},
    reconcile::{Charm, Tenure},
};

fn main() -> ExitCode {
    let Some(event) = Event::from_env() else {
        return people::main();
    };
    let secrets = Secrets::default();
    log::start(&event, &secrets);
    match dispatch(event, secrets) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(event: Event, secrets: Secrets) -> anyhow::Result<()> {
    let unit = Unit::from_env()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the async runtime does not start")?;
    runtime.block_on(async {
        let charm = Charm::new(unit, secrets)?;
        match event {
            Event::Action(name) => actions::run(&charm, &name).await?,
            Event::Remove => charm.remove().await?,
            Event::Parting(_) => {
                let dying = charm.tools.goal_state().await?.is_dying(&charm.unit.name);
                let tenure = if dying {
                    Tenure::Leaving
                } else {
                    Tenure::Staying
                };
                charm.reconcile(tenure).await?;
            }
            Event::Hook(_) => charm.reconcile(Tenure::Staying).await?,
        }
        Ok(())
    })
}
