//! Schedules as they are to be.
//!
//! One that comes back at once must not meet itself on its way out: it would be applied to, and gone with what was
//! applied. So a hook that deletes one waits until it has gone, and so does one that makes it again
//! (`client_that_comes_back_has_a_schedule_at_once`).

use std::{collections::BTreeSet, time::Duration};

use kube::{ResourceExt as _, api::DynamicObject};
use tokio::time::Instant;
use tracing::info;

use super::{Writer, describe};
use crate::{
    cluster::{deletion::Selection, follow::until_none, managers::Former},
    error::Error,
    reconcile::{adopt, plan::Schedules},
    velero::{
        kind,
        schedule::{disown, goes},
    },
};

/// The garbage collector takes their names out of Backups first.
const LIMIT: Duration = Duration::from_secs(10);

pub(super) async fn put(steps: Schedules, writer: &Writer<'_>) -> Result<(), Error> {
    let Schedules {
        taken,
        applied,
        deleted,
    } = steps;
    let former = Former::of(&adopt::MANAGERS);
    for (schedule, labels) in &taken {
        writer.cluster.take_over(schedule, &former, labels).await?;
    }
    let left = until_gone(met(&applied, &writer.live.schedules), writer).await?;
    for schedule in applied {
        if !left.contains(&schedule.name_any()) {
            writer.put(&schedule).await?;
            info!("Applied {}.", describe(&schedule));
        }
    }
    let mut names = BTreeSet::new();
    for deletion in &deleted {
        if let Selection::Named(name) = &deletion.what {
            disown(writer.cluster, name).await?;
            names.insert(name.clone());
        }
        writer.cluster.carry_out(deletion).await?;
    }
    until_gone(names, writer).await.map(drop)
}

/// The names of those to be applied that are still there, and about to go.
fn met(applied: &[DynamicObject], there: &[DynamicObject]) -> BTreeSet<String> {
    let names: BTreeSet<_> = applied.iter().map(DynamicObject::name_any).collect();
    let going = there.iter().filter(|one| goes(one));
    let going = going.map(DynamicObject::name_any);
    going.filter(|name| names.contains(name)).collect()
}

/// Waits until those of these names have gone; gives the names of those that have not when time is up.
async fn until_gone(
    names: BTreeSet<String>,
    writer: &Writer<'_>,
) -> Result<BTreeSet<String>, Error> {
    if names.is_empty() {
        return Ok(names);
    }
    let (api, ours) = (
        writer.cluster.dynamic(&kind("Schedule")),
        writer.owner.selector(),
    );
    let is_awaited = |one: &DynamicObject| goes(one) && names.contains(&one.name_any());
    let deadline = Instant::now() + LIMIT;
    let left = until_none(&api, &ours, deadline, is_awaited).await?;
    for name in &left {
        info!("Schedule `{name}` has not gone yet.");
    }
    Ok(left)
}

/// That of a live one that stays.
pub(super) fn uid_of(schedules: &[DynamicObject], name: &str) -> Option<String> {
    let mut all = schedules.iter();
    let one = all.find(|one| one.name_any() == name && !goes(one));
    one?.uid()
}
