//! Velero's Schedules, and what came of them.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{
    ResourceExt as _,
    api::{DynamicObject, ListParams},
};
use serde_json::{Value, json};

use super::{LOCATION, kind, work};
use crate::cluster::{Cluster, ClusterError, present};

/// Names the Schedule that made a Backup.
pub(crate) const MADE_BY: &str = "velero.io/schedule-name";

/// A Backup that a Schedule has made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Made {
    pub(crate) schedule: String,
    pub(crate) backup: String,
    pub(crate) begun: Timestamp,
    pub(crate) end: End,
}

/// How a Backup ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    Good,
    Bad,
    /// It has not ended yet, or never will.
    None,
}

/// Every Schedule in the namespace.
pub(crate) async fn read(cluster: &Cluster) -> Result<Vec<DynamicObject>, ClusterError> {
    let api = cluster.dynamic(&kind("Schedule"));
    cluster.sift(&api, ListParams::default(), Some).await
}

/// Takes a Schedule out of the owners of its Backups. Deleting it alone, even with its dependents spared, would not do:
/// the garbage collector spares what it has heard of by then, and later deletes what it hears of late.
pub(crate) async fn disown(cluster: &Cluster, schedule: &str) -> Result<(), ClusterError> {
    let backups = kind("Backup");
    let others = |backup: DynamicObject| {
        let is_it = |owner: &&OwnerReference| owner.kind == "Schedule" && owner.name == schedule;
        let owners = backup.owner_references();
        let others = owners.iter().filter(|owner| !is_it(owner));
        let others: Vec<_> = others.cloned().collect();
        (others.len() < owners.len()).then(|| (backup.name_any(), others))
    };
    let select = ListParams::default().labels(&format!("{MADE_BY}={schedule}"));
    let owned = cluster
        .sift(&cluster.dynamic(&backups), select, others)
        .await?;
    for (name, others) in owned {
        let patch = json!({"metadata": {"ownerReferences": others}});
        let outcome = cluster.merge(&backups, &name, "keep", patch).await;
        present(outcome)?;
    }
    Ok(())
}

impl Made {
    /// `None` for one that is being deleted, or that nothing tells the time of.
    pub(crate) fn of(backup: &DynamicObject, now: Timestamp) -> Option<Self> {
        let phase = backup.data.pointer("/status/phase").and_then(Value::as_str);
        Some(Self {
            schedule: backup.labels().get(MADE_BY)?.clone(),
            backup: backup.name_any(),
            begun: work::begun(backup, now)?,
            end: match phase {
                Some("Completed") => End::Good,
                Some("PartiallyFailed" | "Failed" | "FailedValidation") => End::Bad,
                Some("Deleting") => return None,
                _ => End::None,
            },
        })
    }
}

/// Its Backups go to our location.
pub(crate) fn is_of_our_location(schedule: &DynamicObject) -> bool {
    let location = schedule.data.pointer("/spec/template/storageLocation");
    let location = location.and_then(Value::as_str).unwrap_or_default();
    location.is_empty() || location == LOCATION
}

/// It is on its way out: nothing that is written to it lasts.
pub(crate) fn goes(schedule: &DynamicObject) -> bool {
    going_since(schedule).is_some()
}

/// When it was told to go.
pub(crate) fn going_since(schedule: &DynamicObject) -> Option<Timestamp> {
    let told = schedule.metadata.deletion_timestamp.as_ref()?;
    Some(told.0)
}

pub(crate) fn is_paused(schedule: &DynamicObject) -> bool {
    schedule.data.pointer("/spec/paused") == Some(&Value::Bool(true))
}

/// A time in its status.
pub(crate) fn time(schedule: &DynamicObject, field: &str) -> Option<Timestamp> {
    schedule
        .data
        .get("status")?
        .get(field)?
        .as_str()?
        .parse()
        .ok()
}
