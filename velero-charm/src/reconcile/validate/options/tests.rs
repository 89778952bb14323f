use serde_json::json;

use super::*;
use crate::velero::{
    document::Document,
    snapshots::{Lack, Snapshots, Uncovered},
};

/// What a cluster with snapshots of one of its two StorageClasses has.
fn surroundings() -> Surroundings {
    Surroundings {
        snapshots: Snapshots {
            covered: vec!["fast".into()],
            uncovered: vec![Uncovered {
                class: "local".into(),
                driver: "local-path".into(),
                lack: Lack::None,
            }],
        },
        ..Surroundings::default()
    }
}

fn read_in(surroundings: &Surroundings, config: &Value) -> Read {
    let config = config.as_object().unwrap();
    read(config, surroundings, NodeAgent::On)
}

fn read_alone(config: &Value) -> Read {
    read_in(&Surroundings::default(), config)
}

/// What each option is declared as.
pub(super) fn declared() -> Value {
    let charm: Value =
        serde_saphyr::from_str(include_str!("../../../../../charmcraft.yaml")).unwrap();
    charm["config"]["options"].clone()
}

#[test]
fn options_are_declared_as_they_are_read() {
    let declared = declared();
    for row in ROWS {
        let option = &declared[row.option];
        let (kind, default) = match row.form {
            Form::Flag => ("boolean", json!(false)),
            Form::Number { default, .. } => ("int", json!(default)),
            Form::Text(_) | Form::Found(..) | Form::Pairs(_) | Form::Yaml(_) => {
                ("string", json!(""))
            }
            Form::Word(words) | Form::InCluster(words, _) => ("string", json!(words[0])),
        };
        assert_eq!(option["type"], kind, "{}", row.option);
        assert_eq!(option["default"], default, "{}", row.option);
        assert!(option["description"].is_string(), "{}", row.option);
    }
}

#[test]
fn defaults_change_nothing() {
    let defaults = declared();
    let defaults = defaults.as_object().unwrap().iter();
    let defaults = defaults.filter_map(|(name, option)| {
        let default = option.get("default")?;
        Some((name.clone(), default.clone()))
    });
    for config in [json!({}), Value::Object(defaults.collect())] {
        let read = read_alone(&config);
        assert_eq!(read.problems, [], "{config}");
        assert_eq!(read.settings, Settings::default(), "{config}");
    }
}

#[test]
fn bad_values_are_named_all_at_once_with_what_to_do() {
    let bad = [
        ("csi-snapshots", json!("yes"), "is none of its words"),
        ("cpu-request", json!("half"), "is no quantity"),
        ("cpu-limit", json!("0"), "is not more than zero"),
        ("memory-request", json!("-1Mi"), "is not more than zero"),
        ("memory-limit", json!("1GB"), "is no quantity"),
        ("node-agent-cpu-request", json!("1 cpu"), "is no quantity"),
        ("node-agent-cpu-limit", json!("m"), "is no quantity"),
        ("node-agent-memory-request", json!("1mi"), "is no quantity"),
        ("node-agent-memory-limit", json!("1.5.0"), "is no quantity"),
        ("data-mover-concurrency", json!(0), "is 0"),
        ("data-mover-nodes", json!("disk"), "has no `=`"),
        ("volume-policies", json!("version: v1"), "lacks it"),
        ("repository-cache-mb", json!(1_000_000), "is 1000000"),
        ("repository-gc", json!("never"), "is none of its words"),
        ("default-backup-ttl", json!("30d"), "is no such duration"),
        ("concurrent-backups", json!(0), "is 0"),
        ("item-block-workers", json!(101), "is 101"),
        (
            "node-selector",
            json!("disk=ssd,zone"),
            "has no `=` in `zone`",
        ),
        ("tolerations", json!("gpu:Never"), "is no taint"),
        ("priority-class", json!("High"), "is no name"),
        ("image-pull-secret", json!("a b"), "is no name"),
        (
            "service-account-annotations",
            json!("role"),
            "has no `=` in `role`",
        ),
        ("pod-labels", json!("team=a b"), "is no label"),
        ("log-level", json!("loud"), "is none of its words"),
        ("log-format", json!("xml"), "is none of its words"),
        ("kubelet-root-dir", json!("var/lib"), "is no absolute path"),
    ];
    let config = bad
        .iter()
        .map(|(option, value, _)| ((*option).to_owned(), value.clone()));
    let problems = read_alone(&Value::Object(config.collect())).problems;
    let found: Vec<_> = problems.iter().map(|one| one.field.as_str()).collect();
    let wanted: Vec<_> = bad.iter().map(|(option, ..)| *option).collect();
    assert_eq!(found, wanted, "{problems:?}");
    for (problem, (_, _, reason)) in problems.iter().zip(bad) {
        assert!(problem.reason.contains(reason), "{problem}");
        assert!(!problem.hint.is_empty(), "{problem}");
    }
}

#[test]
fn request_above_its_limit_is_refused() {
    for (config, field) in [
        (json!({"memory-limit": "100Mi"}), "memory-limit"),
        (json!({"memory-request": "1Gi"}), "memory-request"),
        (json!({"cpu-request": "3", "cpu-limit": "2"}), "cpu-limit"),
        (
            json!({"node-agent-cpu-request": "2", "node-agent-cpu-limit": "1"}),
            "node-agent-cpu-limit",
        ),
    ] {
        let problems = read_alone(&config).problems;
        let fields: Vec<_> = problems.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(fields, [field], "{config}");
    }
    for fine in [
        json!({"memory-limit": "2Gi", "memory-request": "2048Mi"}),
        json!({"node-agent-memory-request": "64Gi"}),
    ] {
        assert_eq!(read_alone(&fine).problems, [], "{fine}");
    }
}

#[test]
fn csi_snapshots_are_taken_where_they_can_be() {
    let (none, some) = (Surroundings::default(), surroundings());
    for (word, surroundings, is_on) in [
        ("auto", &none, false),
        ("auto", &some, true),
        ("true", &some, true),
        ("false", &some, false),
    ] {
        let read = read_in(surroundings, &json!({"csi-snapshots": word}));
        assert_eq!(read.problems, []);
        for program in [&read.settings.server, &read.settings.node_agent] {
            let feature = program.argument("features");
            assert_eq!(feature, is_on.then_some("EnableCSI"), "{word}");
        }
        assert_eq!(read.remarks.len(), usize::from(is_on), "{word}");
    }
    let problems = read_in(&none, &json!({"csi-snapshots": "true"})).problems;
    assert_eq!(problems[0].field, "csi-snapshots");
}

#[test]
fn kubelet_folder_is_what_is_set_or_else_what_nodes_tell() {
    let told = Surroundings {
        kubelet_root: Some("/var/lib/k0s/kubelet"),
        ..Surroundings::default()
    };
    let root = |surroundings: &Surroundings, set: &str| {
        let read = read_in(surroundings, &json!({"kubelet-root-dir": set}));
        assert_eq!(read.problems, []);
        read.settings
    };
    let none = Surroundings::default();
    assert_eq!(root(&told, ""), root(&none, "/var/lib/k0s/kubelet"));
    assert_eq!(root(&told, "/mnt/kubelet"), root(&none, "/mnt/kubelet"));
    assert_eq!(root(&none, ""), Settings::default());
}

#[test]
fn class_without_snapshots_is_named_unless_files_are_saved() {
    let mut surroundings = surroundings();
    let shown = |surroundings: &Surroundings, config: &Value| {
        let remarks = read_in(surroundings, config).remarks;
        let remarks: Vec<_> = remarks.iter().map(ToString::to_string).collect();
        remarks.join("\n")
    };
    assert_eq!(
        shown(&surroundings, &json!({})),
        "make a VolumeSnapshotClass for `local-path` or set `default-volumes-to-fs-backup=true`: volumes \
         of StorageClass `local` are not snapshotted"
    );
    surroundings.snapshots.uncovered[0].lack = Lack::Choice;
    assert_eq!(
        shown(&surroundings, &json!({})),
        "label a VolumeSnapshotClass `velero.io/csi-volumesnapshot-class=true` or set \
         `default-volumes-to-fs-backup=true`: of several VolumeSnapshotClasses for `local-path` none is \
         marked, so volumes of StorageClass `local` are not snapshotted"
    );
    let files = json!({"default-volumes-to-fs-backup": true});
    assert_eq!(shown(&surroundings, &files), "");
}

#[test]
fn data_is_moved_where_there_are_snapshots_and_node_agents() {
    let config = json!({"snapshot-move-data": true});
    let read = read_in(&surroundings(), &config);
    assert_eq!(read.problems, []);
    let flag = read.settings.server.argument("default-snapshot-move-data");
    assert_eq!(flag, Some("true"));

    let config = config.as_object().unwrap();
    let nothing = super::read(config, &Surroundings::default(), NodeAgent::Off);
    let reasons: Vec<_> = nothing.problems.iter().map(|one| &one.reason).collect();
    assert_eq!(
        reasons,
        [
            "needs CSI snapshots, and none are taken here",
            "needs the node agent"
        ]
    );
}

#[test]
fn texts_become_what_pods_take() {
    let pod = |option: &str, text: &str| {
        let read = read_alone(&json!({option: text}));
        assert_eq!(read.problems, [], "{option}={text}");
        let mut template = json!({"spec": {}});
        read.settings.server.lay_over_template(&mut template);
        read.settings.node_agent.lay_over_template(&mut template);
        template["spec"].clone()
    };
    for (option, text, expected) in [
        (
            "node-selector",
            "example.com/disk=ssd, zone=",
            json!({"nodeSelector": {"example.com/disk": "ssd", "zone": ""}}),
        ),
        (
            "tolerations",
            "dedicated=backup:NoSchedule,gpu",
            json!({"tolerations": [
                {"key": "dedicated", "operator": "Equal", "value": "backup", "effect": "NoSchedule"},
                {"key": "gpu", "operator": "Exists"},
            ]}),
        ),
        (
            "tolerations",
            "*",
            json!({"tolerations": [{"operator": "Exists"}]}),
        ),
        (
            "image-pull-secret",
            "pull",
            json!({"imagePullSecrets": [{"name": "pull"}]}),
        ),
        (
            "priority-class",
            "high",
            json!({"priorityClassName": "high"}),
        ),
        (
            "kubelet-root-dir",
            "/k/",
            json!({"volumes": [
                {"name": "host-pods", "hostPath": {"path": "/k/pods"}},
                {"name": "host-plugins", "hostPath": {"path": "/k/plugins"}},
            ]}),
        ),
    ] {
        assert_eq!(pod(option, text), expected);
    }
}

#[test]
fn pods_that_programs_start_are_as_the_options_say() {
    let config = json!({
        "priority-class": "high",
        "node-selector": "disk=ssd",
        "memory-limit": "1Gi",
        "node-agent-cpu-request": "100m",
        "data-mover-concurrency": 3,
        "data-mover-nodes": "zone=a",
        "repository-cache-mb": 200,
        "repository-gc": "eagerGC",
    });
    let read = read_alone(&config);
    assert_eq!(read.problems, []);
    let document = |document| json!(read.settings.documents[&document]);
    let nodes = |labels: Value| json!([{"nodeSelector": {"matchLabels": labels}}]);
    let resources = |field: &str, quantity: &str| {
        let mut all =
            json!({"cpuRequest": "0", "cpuLimit": "0", "memoryRequest": "0", "memoryLimit": "0"});
        all[field] = json!(quantity);
        all
    };
    assert_eq!(
        document(Document::NodeAgent),
        json!({
            "loadConcurrency": {"globalConfig": 3},
            "loadAffinity": nodes(json!({"zone": "a"})),
            "podResources": resources("cpuRequest", "100m"),
            "priorityClassName": "high",
        })
    );
    assert_eq!(
        document(Document::Maintenance),
        json!({
            "loadAffinity": nodes(json!({"disk": "ssd"})),
            "podResources": resources("memoryLimit", "1Gi"),
            "priorityClassName": "high",
        })
    );
    assert_eq!(
        document(Document::Repositories),
        json!({"cacheLimitMB": 200, "fullMaintenanceInterval": "eagerGC"})
    );
}

#[test]
fn policies_that_copy_files_need_the_node_agent() {
    let policies = "{version: v1, volumePolicies: [{action: {type: fs-backup}}]}";
    let config = json!({"volume-policies": policies});
    let read = read_alone(&config);
    assert_eq!(read.problems, []);
    let wanted = json!({"version": "v1", "volumePolicies": [{"action": {"type": "fs-backup"}}]});
    assert_eq!(
        json!(read.settings.documents[&Document::VolumePolicies]),
        wanted
    );
    let config = config.as_object().unwrap();
    let read = super::read(config, &Surroundings::default(), NodeAgent::Off);
    let fields: Vec<_> = read.problems.iter().map(|one| &one.field).collect();
    assert_eq!(fields, ["volume-policies"]);
}

#[test]
fn priority_class_that_is_not_there_is_named() {
    let surroundings = Surroundings {
        missing_priority_class: Some("high".into()),
        ..Surroundings::default()
    };
    let read = read_in(&surroundings, &json!({"priority-class": "high"}));
    let [problem] = read.problems.as_slice() else {
        panic!("{:?}", read.problems);
    };
    assert!(problem.to_string().contains("`high`"), "{problem}");
}
