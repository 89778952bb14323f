//! What becomes of options, and of what is there in place of a field that cannot be read.

use super::*;

#[test]
fn options_are_read_as_they_are_set() {
    let config = json!({
        "velero-image": " mirror.example/velero:v1.18.9\n",
        "use-node-agent": true,
        "default-volumes-to-fs-backup": true,
    });
    let core = check(&config, vec![]).core.unwrap();
    assert_eq!(core.velero_image, "mirror.example/velero:v1.18.9");
    assert_eq!(core.node_agent, NodeAgent::On);
    assert_eq!(core.volume_backups, VolumeBackups::FileSystem);
}

#[test]
fn image_of_another_minor_version_is_refused() {
    let config = json!({"velero-image": "velero/velero:v1.17.0"});
    let problems = check(&config, vec![]).core.unwrap_err();
    assert_eq!(problems.first().field, VELERO_IMAGE);
}

#[test]
fn store_is_served_by_the_plugin_that_is_set() {
    let used = |config: &Value| {
        let live = beside(there("BackupStorageLocation", &owner(), "tape"));
        let relation = relation("tape:1", &[("reel", "scratched")]);
        match check_beside(config, vec![relation], live).storage {
            Intent::Set { plugin_image, .. } => plugin_image,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(used(&json!({})), TAPE.plugin.default);
    let set = json!({"velero-tape-plugin-image": "mirror.example/tape:v1"});
    assert_eq!(used(&set), "mirror.example/tape:v1");
}

#[test]
fn snapshots_stay_only_where_they_are_ours() {
    let kept = |change: fn(&mut DynamicObject)| {
        let mut live = beside(there("BackupStorageLocation", &owner(), "tape"));
        live.snapshot_locations.iter_mut().for_each(change);
        let scratched = vec![relation("tape:1", &[("reel", "scratched")])];
        match check_beside(&json!({}), scratched, live).storage {
            Intent::Set { storage, .. } => storage.snapshots.is_some(),
            other => panic!("{other:?}"),
        }
    };
    assert!(kept(|_| ()));
    assert!(!kept(|location| location.metadata.labels = None));
    assert!(!kept(
        |location| location.metadata.name = Some("theirs".into())
    ));
    assert!(!kept(
        |location| location.data["spec"]["provider"] = json!("disk")
    ));
}
