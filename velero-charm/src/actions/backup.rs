//! The Backup that a person means, and what becomes of one: shared by the actions.

use std::time::Duration;

use kube::{
    ResourceExt as _,
    api::{DynamicObject, ListParams},
};
use tokio::time::Instant;

use super::{
    Failure,
    attend::{End, Seen, Work, attend},
    results::{Messages, messages},
    words,
};
use crate::{
    cluster::{Cluster, ClusterError, those},
    context::Context,
    velero::{
        self,
        job::{Light, Status, holds},
    },
};

/// An object that Velero is to work on, and whether it was there before.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) work: Work,
    pub(super) before: Before,
}

/// What was found under a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Before {
    Nothing,
    /// The same, still running: an action before this one has made it.
    Same,
}

/// How long is waited, and from when on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) begun: Instant,
    pub(super) timeout: Duration,
}

/// Results of an action, in their order.
pub(super) type Results = Vec<(&'static str, String)>;

/// Makes an object for Velero. One of this name that asks for the same and has not ended is what an action
/// has left that was killed: it is taken up.
pub(super) async fn start(
    cluster: &Cluster,
    kind: &'static str,
    object: &DynamicObject,
) -> Result<Started, Failure> {
    let name = object.name_any();
    let found = match cluster.create(object).await {
        Ok(made) => return Ok(Started::of(kind, &made, Before::Nothing)),
        Err(error) if error.is_conflict() => cluster.get(&velero::kind(kind), &name).await?,
        Err(error) => return Err(error.into()),
    };
    let label = kind.to_lowercase();
    let Some(found) = found else {
        return Err(Failure::Refused(format!(
            "{label} `{name}` was just deleted: run the action again"
        )));
    };
    let status = Status::of(&found);
    if !status.has_ended() && holds(&found.data["spec"], &object.data["spec"]) {
        return Ok(Started::of(kind, &found, Before::Same));
    }
    Err(Failure::Refused(format!(
        "{label} `{name}` exists already ({}): give another `name`",
        status.phase()
    )))
}

impl Started {
    /// Of an object that is there.
    pub(super) fn of(kind: &'static str, object: &DynamicObject, before: Before) -> Self {
        Self {
            work: Work {
                kind,
                name: object.name_any(),
                uid: object.uid().unwrap_or_default(),
            },
            before,
        }
    }

    /// What the log says before anything is waited for.
    pub(super) fn announcement(&self) -> String {
        let Work { kind, name, .. } = &self.work;
        match self.before {
            Before::Nothing => format!("{kind} `{name}` is made."),
            Before::Same => format!("{kind} `{name}` was made before and continues."),
        }
    }
}

/// Reads a Backup by its name.
pub(super) async fn by_name(cluster: &Cluster, name: &str) -> Result<DynamicObject, Failure> {
    cluster
        .get(&velero::kind("Backup"), name)
        .await?
        .ok_or_else(|| unknown(name))
}

/// Reads a Backup by its uid, which the previous charm's users have.
pub(super) async fn by_uid(cluster: &Cluster, uid: &str) -> Result<DynamicObject, Failure> {
    let its = |one: Light| (one.metadata.uid == uid).then_some(one.metadata.name);
    let kind = velero::kind("Backup");
    let found = cluster.glean(&kind, ListParams::default(), its).await?;
    match found.first() {
        Some(name) => by_name(cluster, name).await,
        None => Err(unknown(uid)),
    }
}

fn unknown(id: &str) -> Failure {
    Failure::Refused(format!(
        "there is no backup `{id}`: `list-backups` names those that are there"
    ))
}

/// The Restores from a Backup that Velero has not ended.
pub(super) async fn unfinished_restores(
    cluster: &Cluster,
    backup: &str,
) -> Result<Vec<DynamicObject>, ClusterError> {
    let api = cluster.dynamic(&velero::kind("Restore"));
    let of_it = |one: &DynamicObject| {
        one.data["spec"]["backupName"] == backup && !Status::of(one).has_ended()
    };
    cluster
        .sift(&api, ListParams::default(), those(of_it))
        .await
}

/// What is the same of Backups and Restores that have ended.
pub(super) async fn outcome(
    ctx: &Context,
    cluster: &Cluster,
    work: &Work,
    seen: &Seen,
) -> Result<(Results, Messages), Failure> {
    let status = &seen.status;
    let said = if status.errors + status.warnings > 0 {
        messages(ctx, cluster, work).await?
    } else {
        Messages::default()
    };
    let progress = status.progress();
    let mut results = vec![
        (
            "status",
            String::from(if status.is_success() {
                "success"
            } else {
                "failed"
            }),
        ),
        ("phase", status.phase().to_owned()),
        (
            "items",
            format!("{} of {}", progress.items_done, progress.total_items),
        ),
        ("errors", status.errors.to_string()),
        ("warnings", status.warnings.to_string()),
    ];
    if let Some(duration) = status.duration() {
        results.push(("duration", words::duration(duration)));
    }
    if seen.volumes.all > 0 {
        results.push(("bytes", seen.volumes.bytes.to_string()));
    }
    for (key, messages) in [
        ("first-errors", &said.errors),
        ("first-warnings", &said.warnings),
    ] {
        if !messages.is_empty() {
            results.push((key, messages.join("\n")));
        }
    }
    Ok((results, said))
}

/// Why the action fails, for a phase that is no success.
pub(super) fn failure(work: &Work, seen: &Seen, said: &Messages, unit: &str) -> String {
    let status = &seen.status;
    let mut text = format!("{} ended `{}`", work.named(), status.phase());
    if let Some(reason) = status.reason() {
        text = format!("{text}: {reason}");
    } else if status.errors > 0 {
        text = format!("{text} with {}", words::count(status.errors, "error"));
        if let Some(first) = said.errors.first() {
            text = format!("{text}: {first}");
        }
    }
    format!(
        "{text}; see `juju run {unit} run command=\"{} logs {}\"`",
        work.kind.to_lowercase(),
        work.name
    )
}

/// Ends an action that does not wait, with the way to follow what it has started.
pub(super) async fn leave(ctx: &Context, work: &Work, mut results: Results) -> Result<(), Failure> {
    results.push(("status", "started".into()));
    let follow = words::follow(&ctx.unit.name, work.kind, &work.name);
    results.push(("follow", follow));
    Ok(ctx.tools.action_set_all(&results).await?)
}

/// Waits for work, and ends the action with all that was seen of it. `over` adds what is to be said of work that has
/// ended, and gives why the action fails, if it does.
pub(super) async fn see_through(
    ctx: &Context,
    cluster: &Cluster,
    work: &Work,
    limit: Limit,
    mut results: Results,
    over: impl AsyncFnOnce(&Seen, &mut Results) -> Result<Option<String>, Failure>,
) -> Result<(), Failure> {
    let failure = match attend(ctx, cluster, work, limit.begun + limit.timeout).await? {
        End::Over(seen) => over(&seen, &mut results).await?,
        End::Gone => Some(gone(work)),
        End::Deadline(seen) => {
            results.push(("phase", seen.status.phase().to_owned()));
            Some(deadline(work, &seen, limit.timeout, &ctx.unit.name))
        }
    };
    ctx.tools.action_set_all(&results).await?;
    failure.map_or(Ok(()), |text| Err(Failure::Refused(text)))
}

/// What is known of work whose object is not there any more.
fn gone(work: &Work) -> String {
    format!("{} is gone: somebody has deleted it", work.named())
}

/// What is known at the deadline.
fn deadline(work: &Work, seen: &Seen, after: Duration, unit: &str) -> String {
    format!(
        "not finished after {}: {} continues in Velero ({}); follow it with {}, or give a longer `timeout`",
        words::limit(after),
        work.named(),
        seen.line(),
        words::follow(unit, work.kind, &work.name)
    )
}
