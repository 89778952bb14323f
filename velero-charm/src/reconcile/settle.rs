//! Seventh stage: watching until what the plan expects is seen, or time is up.

use std::ops::ControlFlow;

use jiff::Timestamp;

use super::{
    apply::{Applied, Done},
    assess::assess,
    plan::{Expected, Presence},
};
use crate::{
    cluster::Cluster,
    context::Context,
    error::Error,
    velero::running::{Running, follow},
};

/// Whether there is something to wait for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wait {
    No,
    /// For something that was on its way already.
    ForOthers,
    /// For what comes of what was just done.
    ForOurs,
}

/// Follows the cluster until there is nothing left to wait for.
pub(super) async fn settle(
    running: Running,
    applied: &Applied,
    ctx: &Context,
    cluster: &Cluster,
) -> Result<Running, Error> {
    let deadline = match wait(&running, applied, Timestamp::now()) {
        Wait::No => return Ok(running),
        Wait::ForOthers => ctx.budget.left_to_wait(),
        Wait::ForOurs => ctx.budget.left_to_change(),
    };
    let running = follow(cluster, deadline, |running| {
        if is_settled(running, &applied.expected, Timestamp::now()) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    Ok(running.await?)
}

/// What was seen before something was done says nothing of what comes of it.
fn wait(running: &Running, applied: &Applied, now: Timestamp) -> Wait {
    let Applied {
        done,
        expected,
        held,
        schedules: _,
    } = applied;
    let nothing_comes = expected.server == Presence::AsItIs && running.server().is_none();
    match done {
        _ if !held.by.is_empty() => Wait::No,
        Done::Something => Wait::ForOurs,
        Done::Nothing if nothing_comes || is_settled(running, expected, now) => Wait::No,
        Done::Nothing => Wait::ForOthers,
    }
}

fn is_settled(running: &Running, expected: &Expected, now: Timestamp) -> bool {
    assess(running, expected, now).is_settled()
}

#[cfg(test)]
mod tests;
