//! Waiting for what Velero works on, and saying how far it is.
//!
//! **Invariant:** every phase in which Velero does no more is an end, and so is an object that is gone.
//! What is said was seen: progress comes from the objects of Velero's own work.

use std::{collections::BTreeMap, ops::ControlFlow, time::Duration};

use futures::stream::{SelectAll, select_all};
use kube::api::{DynamicObject, ListParams};
use tokio::{time::Instant, try_join};

use super::{Failure, words};
use crate::{
    cluster::{
        Cluster, ClusterError,
        follow::{Changes, follow, watch},
    },
    context::Context,
    velero::{self, job::Status},
};

/// Progress is logged after this time, and then at intervals that double up to the longest.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_mins(2);

/// A Backup or Restore that is waited for.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) uid: String,
}

/// How the waiting ended.
#[derive(Debug)]
pub(super) enum End {
    /// Velero does nothing more with it.
    Over(Seen),
    /// Somebody has deleted it, or it has expired.
    Gone,
    Deadline(Seen),
}

/// What was seen last.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Seen {
    pub(super) status: Status,
    pub(super) volumes: Volumes,
}

/// Volumes of which the node agents move data.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Volumes {
    pub(super) done: usize,
    pub(super) all: usize,
    pub(super) bytes: u64,
}

#[derive(Debug, Default)]
struct World {
    own: BTreeMap<String, DynamicObject>,
    files: BTreeMap<String, DynamicObject>,
    moved: BTreeMap<String, DynamicObject>,
}

impl Work {
    /// What moves its volumes' data: kinds, and the label that has its uid.
    fn movers(&self) -> ([&'static str; 2], &'static str) {
        if self.kind == "Backup" {
            (["PodVolumeBackup", "DataUpload"], "velero.io/backup-uid")
        } else {
            (
                ["PodVolumeRestore", "DataDownload"],
                "velero.io/restore-uid",
            )
        }
    }

    /// Its kind and its name, in a sentence.
    pub(super) fn named(&self) -> String {
        format!("{} `{}`", self.kind.to_lowercase(), self.name)
    }
}

/// Waits until it has ended or the deadline passes, and logs how far it is.
pub(super) async fn attend(
    ctx: &Context,
    cluster: &Cluster,
    work: &Work,
    deadline: Instant,
) -> Result<End, Failure> {
    let mut pause = FIRST;
    let mut said = String::new();
    loop {
        let until = (Instant::now() + pause).min(deadline);
        let world = follow(
            || begin(cluster, work),
            until,
            |world| {
                if world.is_over() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            },
        );
        let world = world
            .await
            .map_err(|error| lost_sight(&error, work, &ctx.unit.name))?;
        let Some(seen) = world.seen() else {
            return Ok(End::Gone);
        };
        if seen.status.has_ended() {
            return Ok(End::Over(seen));
        }
        if Instant::now() >= deadline {
            return Ok(End::Deadline(seen));
        }
        let line = seen.line();
        if line != said {
            ctx.tools.action_log(&line).await?;
            said = line;
        }
        pause = (pause * 2).min(LONGEST);
    }
}

/// What is known then: it was made, and no more.
fn lost_sight(error: &ClusterError, work: &Work, unit: &str) -> Failure {
    let follow = words::follow(unit, work.kind, &work.name);
    Failure::Refused(format!(
        "how {} is doing could not be read: {error}; it continues in Velero, follow it with {follow}",
        work.named()
    ))
}

async fn begin(
    cluster: &Cluster,
    work: &Work,
) -> Result<(World, SelectAll<Changes<World>>), ClusterError> {
    let ([files, moved], label) = work.movers();
    let alone = ListParams::default().fields(&format!("metadata.name={}", work.name));
    let of_it = ListParams::default().labels(&format!("{label}={}", work.uid));
    let api = |kind| cluster.dynamic(&velero::kind(kind));
    let (own, files, moved) = (api(work.kind), api(files), api(moved));
    let ((own, of_own), (files, of_files), (moved, of_moved)) = try_join!(
        watch(&own, &alone, |world: &mut World| &mut world.own),
        watch(&files, &of_it, |world: &mut World| &mut world.files),
        watch(&moved, &of_it, |world: &mut World| &mut world.moved),
    )?;
    let world = World { own, files, moved };
    Ok((world, select_all([of_own, of_files, of_moved])))
}

impl World {
    fn is_over(&self) -> bool {
        self.seen().is_none_or(|seen| seen.status.has_ended())
    }

    /// `None` if it is gone.
    fn seen(&self) -> Option<Seen> {
        let own = self.own.values().next()?;
        let copies = self.files.values().chain(self.moved.values());
        Some(Seen {
            status: Status::of(own),
            volumes: copies.fold(Volumes::default(), |sum, copy| {
                let status = &copy.data["status"];
                Volumes {
                    done: sum.done + usize::from(status["phase"] == "Completed"),
                    all: sum.all + 1,
                    bytes: sum.bytes + status["progress"]["bytesDone"].as_u64().unwrap_or_default(),
                }
            }),
        })
    }
}

impl Seen {
    /// One line of progress.
    pub(super) fn line(&self) -> String {
        let progress = self.status.progress();
        let mut parts = vec![format!(
            "{} of {} items",
            progress.items_done, progress.total_items
        )];
        let Volumes { done, all, bytes } = self.volumes;
        if all > 0 {
            parts.push(format!("{done} of {all} volumes"));
            parts.push(words::size(bytes));
        }
        format!("{}: {}", self.status.phase(), parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(status: &Value) -> DynamicObject {
        serde_json::from_value(json!({"metadata": {"name": "x"}, "status": status})).unwrap()
    }

    fn world(status: &Value) -> World {
        let copy =
            |phase, bytes| object(&json!({"phase": phase, "progress": {"bytesDone": bytes}}));
        World {
            own: [("x".into(), object(status))].into(),
            files: [
                ("a".into(), copy("Completed", 1 << 20)),
                ("b".into(), copy("InProgress", 512)),
            ]
            .into(),
            moved: BTreeMap::new(),
        }
    }

    #[test]
    fn progress_has_items_volumes_and_bytes() {
        let world = world(
            &json!({"phase": "InProgress", "progress": {"totalItems": 9, "itemsBackedUp": 4}}),
        );
        assert_eq!(
            world.seen().unwrap().line(),
            "InProgress: 4 of 9 items, 1 of 2 volumes, 1.0 MiB"
        );
        assert!(!world.is_over());
    }

    #[test]
    fn every_phase_without_work_is_an_end() {
        for phase in [
            "FailedValidation",
            "Completed",
            "PartiallyFailed",
            "Failed",
            "Deleting",
        ] {
            assert!(world(&json!({"phase": phase})).is_over(), "{phase}");
        }
        for phase in [
            "New",
            "Queued",
            "WaitingForPluginOperations",
            "Finalizing",
            "Unheard",
        ] {
            assert!(!world(&json!({"phase": phase})).is_over(), "{phase}");
        }
        assert!(World::default().is_over(), "it is gone");
    }
}
