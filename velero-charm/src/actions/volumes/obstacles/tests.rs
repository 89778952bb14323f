use serde_json::{from_value, json};

use super::*;

const PLAIN: Server = Server {
    csi: false,
    node_agent: false,
    files_by_default: false,
    moves_by_default: false,
    snapshot_locations: false,
};

const AGENT: Server = Server {
    node_agent: true,
    ..PLAIN
};

fn obstacles(command: &str, server: Server) -> Vec<String> {
    let command = Command::parse(command).unwrap();
    Wish::of_command(&command).obstacles(server, "velero")
}

#[test]
fn data_movement_without_csi_is_refused() {
    for command in [
        "backup create x --snapshot-move-data",
        "backup create x --snapshot-move-data=false --snapshot-move-data=1 --wait",
        "schedule create x --schedule @daily --snapshot-move-data=true",
    ] {
        let found = obstacles(command, AGENT);
        assert_eq!(found.len(), 1, "{command}: {found:?}");
        assert_eq!(
            found[0],
            "`--snapshot-move-data` moves data out of CSI snapshots, and this Velero takes none (its \
             server runs without `--features=EnableCSI`), so nothing would be saved: leave \
             `--snapshot-move-data` out; save the volumes' files instead with \
             `--default-volumes-to-fs-backup`"
        );
    }
    let found = obstacles("backup create x --snapshot-move-data", PLAIN);
    let agent =
        "run `juju config velero use-node-agent=true`, then add `--default-volumes-to-fs-backup`";
    assert!(found[0].ends_with(agent), "{found:?}");

    let csi = Server { csi: true, ..AGENT };
    assert_eq!(
        obstacles("backup create x --snapshot-move-data", csi),
        [""; 0]
    );
    let csi = Server { csi: true, ..PLAIN };
    let found = obstacles("backup create x --snapshot-move-data", csi);
    assert!(found[0].contains("needs Velero's node agent"), "{found:?}");
}

#[test]
fn file_system_backup_without_node_agent_is_refused() {
    let command = "backup create x --default-volumes-to-fs-backup";
    let found = obstacles(command, PLAIN);
    assert_eq!(
        found,
        [
            "`--default-volumes-to-fs-backup` needs Velero's node agent, which is not installed: run \
             `juju config velero use-node-agent=true` first, or leave `--default-volumes-to-fs-backup` \
             out"
        ]
    );
    assert_eq!(obstacles(command, AGENT), [""; 0]);

    let by_default = Server {
        files_by_default: true,
        ..PLAIN
    };
    let found = obstacles("backup create x", by_default);
    assert!(
        found[0].contains("the server's default, needs"),
        "{found:?}"
    );
    assert!(found[0].contains("add `--default-volumes-to-fs-backup=false`"));
    let without = "backup create x --default-volumes-to-fs-backup=false";
    assert_eq!(obstacles(without, by_default), [""; 0]);
}

#[test]
fn snapshots_that_nobody_can_take_are_refused() {
    let command = "backup create x --snapshot-volumes";
    let found = obstacles(command, AGENT);
    assert!(
        found[0].contains("there is no VolumeSnapshotLocation"),
        "{found:?}"
    );
    let located = Server {
        snapshot_locations: true,
        ..AGENT
    };
    assert_eq!(obstacles(command, located), [""; 0]);
    for command in [
        "backup create x",
        "backup create x --snapshot-volumes=false",
    ] {
        assert_eq!(obstacles(command, AGENT), [""; 0]);
    }
}

#[test]
fn a_schedules_own_wish_counts_for_its_backups() {
    let spec = json!({"template": {"snapshotMoveData": true, "defaultVolumesToFsBackup": false}});
    let found = Wish::of_schedule("daily", &spec).obstacles(AGENT, "velero");

    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("`--snapshot-move-data` of schedule `daily` moves"),
        "{found:?}"
    );
    assert!(
        found[0].contains("make schedule `daily` again without it"),
        "{found:?}"
    );
    let nothing = Wish::of_schedule("daily", &json!({"template": {}}));
    assert_eq!(nothing.obstacles(PLAIN, "velero"), [""; 0]);
}

#[test]
fn a_restore_of_files_needs_the_node_agent() {
    let files = Held {
        files: true,
        moved: false,
    };
    let found = of_restore("nightly", files, PLAIN, "velero");
    assert!(
        found[0].contains("`juju config velero use-node-agent=true`"),
        "{found:?}"
    );
    assert_eq!(of_restore("nightly", files, AGENT, "velero"), [""; 0]);
    assert_eq!(
        of_restore("nightly", Held::default(), PLAIN, "velero"),
        [""; 0]
    );

    let moved = Held {
        files: false,
        moved: true,
    };
    assert_eq!(of_restore("nightly", moved, PLAIN, "velero").len(), 2);
    assert_eq!(of_restore("nightly", moved, AGENT, "velero").len(), 1);
    assert_eq!(
        of_restore("nightly", moved, Server { csi: true, ..AGENT }, "velero"),
        [""; 0]
    );
}

#[test]
fn the_servers_arguments_say_what_it_can() {
    let server = |args: &[&str]| {
        let deployment = from_value(json!({"spec": {"selector": {}, "template": {"spec": {
            "containers": [
                {"name": "other", "args": ["--features=EnableCSI"]},
                {"name": "velero", "command": ["/velero"], "args": args},
            ]
        }}}}));
        Server::of(&deployment.unwrap(), false, false)
    };

    assert_eq!(server(&["server", "--features="]), PLAIN);
    assert_eq!(
        server(&[
            "server",
            "--featuresque=EnableCSI",
            "--default-volumes-to-fs-backup-x"
        ]),
        PLAIN
    );
    for args in [
        &["server", "--features=EnableCSI"][..],
        &["server", "--features", "EnableCSI"],
        &["server", "--features=", "--features=Other,EnableCSI"],
    ] {
        assert!(server(args).csi, "{args:?}");
    }
    assert!(server(&["server", "--default-volumes-to-fs-backup"]).files_by_default);
    assert!(server(&["server", "--default-volumes-to-fs-backup=true"]).files_by_default);
    assert!(!server(&["server", "--default-volumes-to-fs-backup=false"]).files_by_default);
    assert!(server(&["server", "--default-snapshot-move-data"]).moves_by_default);
}
