//! The charm's `dispatch`, and a small program for people when Juju did not start it.
//!
//! **Invariant:** started by Juju, the arguments are never looked at. An expected problem ends with a
//! status and exit code 0; anything else is logged and fails the hook, which Juju then runs again.

mod actions;
mod cluster;
mod command_line;
mod juju;
mod ours;
mod reconcile;
mod relations;
mod velero;

use std::process::ExitCode;

use anyhow::Context as _;
use tracing::info;

use crate::{
    juju::{Event, Secrets, Unit, log},
    reconcile::{Charm, Tenure},
};

fn main() -> ExitCode {
    let Some(event) = Event::from_env() else {
        return command_line::main();
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
        let charm = Charm::new(unit, event.news(), secrets)?;
        match event {
            Event::Action(name) => actions::run(&charm, &name).await?,
            Event::Remove => charm.remove().await?,
            Event::Parting(_) => match charm.tools.goal_state(&charm.unit.name).await? {
                Some(goal) if goal.is_dying(&charm.unit.name) => {
                    charm.reconcile(Tenure::Leaving).await?;
                }
                Some(_) => charm.reconcile(Tenure::Staying).await?,
                // It may not act, and nobody would read its status.
                None => info!("Juju has forgotten this unit: nothing is done."),
            },
            Event::Hook(_) => charm.reconcile(Tenure::Staying).await?,
        }
        Ok(())
    })
}
