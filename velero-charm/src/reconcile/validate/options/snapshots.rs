//! Whether Velero is to take CSI snapshots.

use serde_json::{Value, json};

use super::Fault;
use crate::{
    reconcile::observe::Surroundings,
    velero::snapshots::{FEATURE, Lack, Snapshots, Uncovered},
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

/// What the user may want to know where snapshots are taken: of which volumes they are not.
pub(super) fn remarks(snapshots: &Snapshots) -> Vec<String> {
    let remark = |uncovered: &Uncovered| {
        let Uncovered {
            class,
            driver,
            lack,
        } = uncovered;
        match lack {
            Lack::None => format!(
                "Volumes of StorageClass `{class}` are not snapshotted: there is no \
                 VolumeSnapshotClass for `{driver}`."
            ),
            Lack::Choice => format!(
                "Volumes of StorageClass `{class}` are not snapshotted: there are several \
                 VolumeSnapshotClasses for `{driver}`; mark one with the label \
                 `velero.io/csi-volumesnapshot-class=true`."
            ),
        }
    };
    match snapshots.covered.as_slice() {
        [] => Vec::new(),
        _ => snapshots.uncovered.iter().map(remark).collect(),
    }
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
