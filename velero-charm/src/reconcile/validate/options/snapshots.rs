//! Whether Velero is to take CSI snapshots.

use serde_json::{Value, json};

use super::Fault;
use crate::{
    juju::Clause,
    reconcile::{observe::Surroundings, validate::FS_BACKUP},
    velero::snapshots::{CHOSEN, FEATURE, Lack, Snapshots, Uncovered},
};

/// The feature of Velero that is to be on, if any.
pub(super) fn feature(word: &str, surroundings: &Surroundings) -> Result<Option<Value>, Fault> {
    let can_be_taken = !surroundings.snapshots.covered.is_empty();
    match word {
        "false" => Ok(None),
        "true" if !can_be_taken => Err(Fault::new(
            lacking(&surroundings.snapshots),
            "make a VolumeSnapshotClass for the driver of a StorageClass, or set it to `auto`",
        )),
        _ => Ok(can_be_taken.then(|| json!(FEATURE))),
    }
}

/// Of which volumes Velero takes no snapshots where it takes some, and saves no files either.
pub(super) fn remarks(snapshots: &Snapshots) -> Vec<Clause> {
    let remark = |uncovered: &Uncovered| {
        let Uncovered {
            class,
            driver,
            lack,
        } = uncovered;
        let (remedy, cause) = match lack {
            Lack::None => (
                format!("make a VolumeSnapshotClass for `{driver}`"),
                format!("volumes of StorageClass `{class}` are not snapshotted"),
            ),
            Lack::Choice => (
                format!("label a VolumeSnapshotClass `{CHOSEN}=true`"),
                format!(
                    "of several VolumeSnapshotClasses for `{driver}` none is marked, so volumes of \
                     StorageClass `{class}` are not snapshotted"
                ),
            ),
        };
        Clause::new(format!("{remedy} or set `{FS_BACKUP}=true`"), cause)
    };
    snapshots.uncovered.iter().map(remark).collect()
}

fn lacking(snapshots: &Snapshots) -> String {
    match snapshots.uncovered.first() {
        Some(Uncovered {
            class,
            driver,
            lack: Lack::Choice,
        }) => format!(
            "cannot be true: of several VolumeSnapshotClasses for `{driver}` of StorageClass \
             `{class}` none is marked"
        ),
        Some(Uncovered { class, driver, .. }) => format!(
            "cannot be true: no VolumeSnapshotClass is for `{driver}` of StorageClass `{class}`"
        ),
        None => "cannot be true: the cluster has no VolumeSnapshotClass".into(),
    }
}
