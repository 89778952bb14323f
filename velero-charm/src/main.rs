//! The charm's `dispatch`, and a small program for people when Juju did not start it.
//!
//! **Invariant:** started by Juju, the arguments are never looked at. An expected problem ends with a
//! status and exit code 0; anything else is logged and fails the hook, which Juju then runs again.

mod actions;
mod cluster;
mod context;
mod error;
mod juju;
mod people;
mod reconcile;
mod remove;
mod stranger;
mod velero;

use std::process::ExitCode;

use anyhow::Context as _;
use tracing::info;

use crate::{
    context::Context,
    error::Stage,
    juju::{Event, Secrets, Unit, log},
    reconcile::reconcile,
    remove::remove,
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
        let ctx = Context::new(unit, event.news(), secrets)?;
        match event {
            Event::Action(name) => actions::run(&ctx, &name).await?,
            Event::Remove => ctx.at(Stage::Remove, remove(&ctx)).await?,
            Event::Parting(_) => match ctx.tools.goal_state(&ctx.unit.name).await? {
                Some(goal) if goal.is_dying(&ctx.unit.name) => reconcile(&ctx.leaving()).await?,
                Some(_) => reconcile(&ctx).await?,
                // It may not act, and nobody would read its status.
                None => info!("Juju has forgotten this unit: nothing is done."),
            },
            Event::Hook(_) => reconcile(&ctx).await?,
        }
        Ok(())
    })
}
