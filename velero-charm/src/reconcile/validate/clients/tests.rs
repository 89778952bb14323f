use std::collections::BTreeMap;

use serde_json::{Value, json};

use provider_api::{Credential, Location, SnapshotLocation, Storage};
use provider_testkit::TAPE;

use super::*;
use crate::velero::{install::NodeAgent, settings::Settings};

fn client(relation: &str, app: &str, spec: &Value) -> Client {
    let list = json!([{"app": app, "relation_name": "backup", "model": "m", "spec": spec}]);
    let bag = BTreeMap::from([("backup_targets".to_owned(), list.to_string())]);
    Client::understand(relation, Some("somebody"), bag)
}

fn understood(sent: &[Client], config: &Value) -> Clients {
    clients(sent, config.as_object().unwrap())
}

fn crons(clients: &Clients) -> Vec<Option<&str>> {
    let all = clients.wanted.values();
    all.map(|one| one.timing.as_ref().map(|timing| timing.cron.as_str()))
        .collect()
}

#[test]
fn options_are_for_those_that_bring_nothing() {
    let sent = [
        client("velero-backups:1", "a", &json!({})),
        client(
            "velero-backups:2",
            "b",
            &json!({"schedule": "@daily", "ttl": "1h"}),
        ),
    ];
    let plain = understood(&sent, &json!({}));
    assert_eq!(crons(&plain), [None, Some("@daily")]);
    let config = json!({"schedule": "@weekly", "ttl": "48h"});
    let configured = understood(&sent, &config);
    assert_eq!(crons(&configured), [Some("@weekly"), Some("@daily")]);
    let ttls = configured
        .wanted
        .values()
        .map(|one| one.template.ttl.as_deref());
    assert!(ttls.eq([Some("48h"), Some("1h")]));
}

#[test]
fn options_are_held_to_what_velero_understands() {
    let told = |config: Value| check_options(config.as_object().unwrap());
    assert_eq!(told(json!({"schedule": " ", "ttl": ""})), []);
    let both = told(json!({"schedule": "0 0 * * 7", "ttl": "7d"}));
    let both: Vec<_> = both.iter().map(ToString::to_string).collect();
    assert!(both[0].starts_with("set `schedule` to a cron"), "{both:?}");
    assert!(both[1].starts_with("set `ttl` to a duration"), "{both:?}");
}

#[test]
fn one_that_is_wrong_harms_no_other() {
    let sent = [
        client("velero-backups:1", "a", &json!({"ttl": "30d"})),
        client("velero-backups:2", "b", &json!({"schedule": "@daily"})),
    ];
    let clients = understood(&sent, &json!({}));
    assert_eq!(crons(&clients), [Some("@daily")]);
    assert_eq!(clients.faults.len(), 1);
    let wrong = clients.faults[0].key().unwrap();
    assert_eq!(wrong.to_string(), "a:backup");
}

#[test]
fn target_that_comes_by_an_integrator_too_is_one() {
    let scheduled = json!({"schedule": "@daily"});
    let sent = [
        client("velero-backups:1", "a", &scheduled),
        client("k8s-backup-target:2", "a", &json!({})),
    ];
    let clients = understood(&sent, &json!({}));
    assert_eq!(crons(&clients), [Some("@daily")]);
    assert_eq!(clients.faults, []);
}

#[test]
fn target_that_is_asked_for_in_two_ways_is_left_as_it_is() {
    let sent = [
        client("velero-backups:1", "a", &json!({"schedule": "@daily"})),
        client("velero-backups:2", "a", &json!({"schedule": "@weekly"})),
    ];
    let clients = understood(&sent, &json!({}));
    assert_eq!(crons(&clients), [] as [Option<&str>; 0]);
    let told = clients.faults[0].problems.first().to_string();
    assert!(
        told.contains("`velero-backups:1` and `velero-backups:2`"),
        "{told}"
    );

    let same = [
        sent[0].clone(),
        client("velero-backups:2", "a", &json!({"schedule": "@daily"})),
    ];
    assert_eq!(understood(&same, &json!({})).faults, []);
}

#[test]
fn lack_of_volume_data_is_told_where_the_agent_alone_saves_it() {
    let claims = json!({"include_resources": ["persistentvolumeclaims"]});
    let sent = [client("velero-backups:1", "minio", &claims)];
    let lacks = |volume_backups, storage: Intent| {
        let core = Core {
            velero_image: "velero:v1".into(),
            node_agent: NodeAgent::On,
            volume_backups,
            settings: Settings::default(),
            remarks: Vec::new(),
        };
        let clients = understood(&sent, &json!({}));
        clients.with_lacks(Some(&core), &storage).lacks.len()
    };
    let store = |snapshots| Intent::Set {
        descriptor: &TAPE,
        plugin_image: "tape/plugin:v1".into(),
        storage: Box::new(Storage {
            credential: Credential::Keys("key".to_owned().into()),
            location: Location {
                bucket: "reel".into(),
                prefix: None,
                ca_certificates: None,
                config: BTreeMap::new(),
            },
            snapshots,
            remarks: vec![],
            gaps: vec![],
        }),
    };
    let disks = SnapshotLocation {
        config: BTreeMap::new(),
    };
    assert_eq!(lacks(VolumeBackups::FileSystem, store(None)), 1);
    assert_eq!(lacks(VolumeBackups::Snapshot, store(None)), 0);
    assert_eq!(lacks(VolumeBackups::FileSystem, Intent::None), 0);
    assert_eq!(lacks(VolumeBackups::FileSystem, store(Some(disks))), 0);
}
