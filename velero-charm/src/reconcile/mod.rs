//! One hook, start to end, in ten calls. Every hook goes this way, whatever its name: what is done follows from what
//! is there now. What a stage has made is read by later ones and changed by none.

pub(crate) mod adopt;
pub(crate) mod apply;
mod assess;
mod hold;
mod inspect;
pub(crate) mod observe;
pub(crate) mod plan;
pub(crate) mod report;
mod settle;
pub(crate) mod strangers;
pub(crate) mod trust;
pub(crate) mod validate;

use jiff::Timestamp;
use tokio::time::timeout_at;
use tracing::warn;

use self::{
    adopt::adopt,
    apply::apply,
    assess::{assess, protection},
    hold::hold,
    inspect::inspect,
    observe::observe,
    plan::plan,
    report::{Findings, of_error, report, show},
    settle::settle,
    validate::validate,
};
use crate::{
    cluster::Cluster,
    context::Context,
    error::{
        Error,
        Stage::{Adopt, Apply, Hold, Inspect, Observe, Report, Settle},
        StageError,
    },
    ours::credential,
};

/// Goes through the stages and tells the user how it went. What a retry can heal fails the hook; all else becomes a
/// status.
pub(crate) async fn reconcile(ctx: &Context) -> Result<(), StageError> {
    let outcome = match timeout_at(ctx.budget.end(), Box::pin(stages(ctx))).await {
        Ok(outcome) => outcome,
        Err(_) => Err(ctx.failed(Error::Deadline)),
    };
    let status = match outcome {
        Ok(findings) => findings.status(),
        Err(error) => {
            let Some(status) = of_error(&error.cause, &ctx.unit) else {
                return Err(error);
            };
            warn!("{error}");
            status
        }
    };
    ctx.at(Report, async { Ok(show(&status, ctx).await?) })
        .await
}

/// All that there is to tell. Nothing changes if the context is that of a unit that may not write.
pub(crate) async fn stages(ctx: &Context) -> Result<Findings, StageError> {
    let cluster = Cluster::connect().map_err(|error| ctx.failed(error))?;

    // Juju and the cluster, as they are.
    let observed = ctx.at(Observe, observe(ctx, &cluster)).await?;

    // A previous charm's objects become ours; foreign ones end the hook. Then secrets are opened.
    let observed = ctx.at(Adopt, adopt(observed, ctx, &cluster)).await?;

    // The last stage that sees text.
    let desired = validate(&observed, &ctx.registry, &ctx.owner);

    // Steps, and what is to be seen afterwards.
    let fresh_name = credential::fresh_name(&ctx.owner);
    let place = ctx.place(&cluster);
    let now = Timestamp::now();
    let plan = plan(&desired, &observed, place, &ctx.unit, &fresh_name, now);

    // Takes out what would fail work in flight, and everything for a unit that may not write.
    let plan = ctx.at(Hold, hold(plan, &observed, &cluster)).await?;

    // Carries out what is left.
    let applied = ctx.at(Apply, apply(plan, &observed, ctx, &cluster)).await?;

    // Watches until what the plan expects is seen, or time is up.
    let role = observed.role;
    let seen = observed.live.running;
    let running = ctx
        .at(Settle, settle(seen, &applied, ctx, &cluster))
        .await?;

    // What Backups hold that have ended, once for each.
    ctx.at(Inspect, inspect(role, ctx, &cluster)).await?;

    // What pods and locations say of their health, and what came of the Schedules that there are now.
    let now = Timestamp::now();
    let health = assess(&running, &applied.expected, now);
    let schedules = applied.schedules.as_ref();
    let schedules = schedules.unwrap_or(&observed.live.schedules);
    let protection = protection(schedules, &observed.backups.made, now);

    // Findings by rank, the worst first.
    Ok(report(
        ctx,
        &desired,
        &running,
        &health,
        &protection,
        &applied.held,
        now,
    ))
}
