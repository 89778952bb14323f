//! Velero's Backups, listed once for all who want to know of them.

use jiff::Timestamp;
use kube::{
    ResourceExt as _,
    api::{DynamicObject, ListParams},
};

use super::governed::Governed;
use crate::{
    cluster::{Cluster, ClusterError},
    ours::{
        Owner,
        alerts::schedules::{Ended, Volumes},
        failures::{self, Failed},
    },
    velero::{
        self,
        schedule::{MADE_BY, Made},
    },
    volumes::note::Note,
};

/// What is kept of them: there may be thousands.
#[derive(Debug, Default)]
pub(in crate::reconcile) struct Backups {
    /// What Schedules have made, for the status.
    pub(in crate::reconcile) made: Vec<Made>,
    /// How that ended, for alert rules.
    pub(in crate::reconcile) ended: Vec<Ended>,
    /// What nobody was told of yet, for those who keep logs.
    pub(in crate::reconcile) failed: Vec<Failed>,
    /// What the rule of option `keep` is for; nothing without it, nor in a unit that does not lead.
    pub(in crate::reconcile) governed: Vec<Governed>,
}

/// Whether the rule of option `keep` is applied in this hook.
#[derive(Clone, Copy, Debug)]
pub(super) enum Governance<'a> {
    By(&'a Owner),
    None,
}

/// Which of them anybody wants to know of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wanted {
    Nothing,
    OfSchedules,
    All,
}

/// One Backup, as each of those who want to know sees it.
struct Seen {
    made: Option<Made>,
    ended: Option<Ended>,
    failed: Option<Failed>,
    governed: Option<Governed>,
}

impl Backups {
    pub(super) async fn read(
        wanted: Wanted,
        governance: Governance<'_>,
        cluster: &Cluster,
    ) -> Result<Self, ClusterError> {
        let select = match wanted {
            Wanted::Nothing => return Ok(Self::default()),
            Wanted::OfSchedules => ListParams::default().labels(MADE_BY),
            Wanted::All => ListParams::default(),
        };
        let now = Timestamp::now();
        let api = cluster.dynamic(&velero::kind("Backup"));
        let seen = |backup| Some(Seen::of(&backup, governance, now));
        let all = cluster.sift(&api, select, seen);
        let mut backups = Self::default();
        for Seen {
            made,
            ended,
            failed,
            governed,
        } in all.await?
        {
            backups.made.extend(made);
            backups.ended.extend(ended);
            backups.failed.extend(failed);
            backups.governed.extend(governed);
        }
        Ok(backups)
    }
}

impl Seen {
    fn of(backup: &DynamicObject, governance: Governance<'_>, now: Timestamp) -> Self {
        Self {
            made: Made::of(backup, now),
            ended: Ended::of(backup, volumes(backup)),
            failed: Failed::of(failures::Kind::Backup, backup, now),
            governed: match governance {
                Governance::By(owner) => Governed::of(backup, owner),
                Governance::None => None,
            },
        }
    }
}

/// What was found out when the Backup ended.
fn volumes(backup: &DynamicObject) -> Volumes {
    match Note::of(backup.annotations()) {
        None => Volumes::Unknown,
        Some(Note {
            without_data: None, ..
        }) => Volumes::Whole,
        Some(Note { saved, .. }) => Volumes::Part(saved),
    }
}
