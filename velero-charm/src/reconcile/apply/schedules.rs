//! Schedules as they are to be.
//!
//! One that comes back at once must not meet itself on its way out: it would be applied to, and gone with what was
//! applied. So a hook that deletes one waits until it has gone, and so does one that makes it again
//! (`client_that_comes_back_has_a_schedule_at_once`). One that has not gone by then is held by somebody's finalizer: the
//! status says whose, and later hooks no longer wait for it.

use std::{collections::BTreeSet, time::Duration};

use jiff::{SignedDuration, Timestamp};
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
        schedule::{disown, goes, going_since},
    },
};

/// The garbage collector takes their names out of Backups first.
const LIMIT: Duration = Duration::from_secs(10);
/// As long after it was told to go it is no longer waited for. Clocks differ.
const HELD: SignedDuration = SignedDuration::from_mins(1);

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
    let (mut left, going) = met(&applied, &writer.live.schedules, Timestamp::now());
    left.extend(until_gone(going, writer).await?);
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

/// The names of those to be applied that are still there, and about to go: first those that somebody holds.
fn met(
    applied: &[DynamicObject],
    there: &[DynamicObject],
    now: Timestamp,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let names: BTreeSet<_> = applied.iter().map(DynamicObject::name_any).collect();
    let met = there.iter().filter(|one| names.contains(&one.name_any()));
    let since = met.filter_map(|one| Some((one.name_any(), going_since(one)?)));
    let (held, going): (Vec<_>, _) =
        since.partition(|(_, since)| now.duration_since(*since) > HELD);
    let names = |some: Vec<(String, Timestamp)>| some.into_iter().map(|(name, _)| name).collect();
    (names(held), names(going))
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn schedule(name: &str, told_to_go: &Value) -> DynamicObject {
        from_value(json!({"metadata": {"name": name, "deletionTimestamp": told_to_go}})).unwrap()
    }

    #[test]
    fn schedule_that_has_been_going_for_a_minute_is_not_waited_for() {
        let there = [
            schedule("held", &json!("2026-01-01T00:00:00Z")),
            schedule("going", &json!("2026-01-01T00:00:30Z")),
            schedule("stays", &Value::Null),
            schedule("not-ours", &json!("2026-01-01T00:00:30Z")),
        ];
        let now = "2026-01-01T00:01:05Z".parse().unwrap();
        let (held, going) = met(&there[..3], &there, now);
        assert_eq!(held, BTreeSet::from(["held".to_owned()]));
        assert_eq!(going, BTreeSet::from(["going".to_owned()]));
    }
}
