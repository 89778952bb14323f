//! The charm's `dispatch`, and a small program for people when Juju did not start it.
//!
//! Started by Juju, it does not look at its arguments. An expected problem ends with a status and exit code
//! 0; anything else is logged and fails the hook, which Juju then runs again.

mod actions;
mod cluster;
mod command_line;
mod context;
mod error;
#[cfg(test)]
mod floors;
mod juju;
mod ours;
mod reconcile;
mod relations;
mod remove;
mod stranger;
mod velero;
mod volumes;

use std::process::ExitCode;

use anyhow::Context as _;
use tracing::info;

use crate::{
    context::Context,
    error::Stage,
    juju::{Event, Fate, Secrets, Unit, log},
    reconcile::reconcile,
    remove::remove,
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
        let ctx = Context::new(unit, event.news(), secrets)?;
        match event {
            // Only hooks write for the application.
            Event::Action(name) => actions::run(&ctx.leaving(), name).await?,
            Event::Remove => ctx.at(Stage::Remove, remove(&ctx)).await?,
            Event::Hook(_) | Event::Parting(_) => {
                match ctx.tools.fate(event, &ctx.unit.name).await? {
                    Fate::Stays => reconcile(&ctx).await?,
                    Fate::Leaves => reconcile(&ctx.leaving()).await?,
                    // It may not act, and nobody would read its status.
                    Fate::Forgotten => info!("Juju has forgotten this unit: nothing is done."),
                }
            }
        }
        Ok(())
    })
}
