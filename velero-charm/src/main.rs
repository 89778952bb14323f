//! The charm's `dispatch`, and a small program for people when Juju did not start it.
//!
//! Started by Juju, it does not look at its arguments. An expected problem ends with a status and exit code
//! 0; anything else is logged and fails the hook, which Juju then runs again.

mod actions;
mod cluster;
mod command_line;
#[cfg(test)]
mod floors;
mod juju;
mod ours;
mod reconcile;
mod relations;
mod velero;

use std::process::ExitCode;

use anyhow::Context as _;
use tracing::info;

use crate::{
    juju::{Event, Fate, Secrets, Unit, log},
    reconcile::{Charm, Tenure},
};

fn main() -> ExitCode {
    let Some(event) = Event::from_env() else {
        return command_line::main();
    };
    let secrets = Secrets::default();
    log::start(&event, &secrets);
    match dispatch(&event, secrets) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(event: &Event, secrets: Secrets) -> anyhow::Result<()> {
    let unit = Unit::from_env()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the async runtime does not start")?;
    runtime.block_on(async {
        let charm = Charm::new(unit, event.news(), secrets)?;
        match event {
            Event::Action(name) => actions::run(&charm, name).await?,
            Event::Remove => charm.remove().await?,
            Event::Hook(_) | Event::Parting(_) => {
                match charm.tools.fate(event, &charm.unit.name).await? {
                    Fate::Stays => charm.reconcile(Tenure::Staying).await?,
                    Fate::Leaves => charm.reconcile(Tenure::Leaving).await?,
                    Fate::Forgotten => info!("Juju has forgotten this unit: nothing is done."),
                }
            }
        }
        Ok(())
    })
}
