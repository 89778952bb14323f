//! How the model and the hook stood for each part of the recordings.
//!
//! Invariant: every recorded call is in exactly one scene.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use juju_emulator::event::{ActionEvent, Event, RelationEvent, RelationKind};
use juju_emulator::model::{Bag, Life, Model, Relation, Side, Status, UnitBag, Versioned};
use juju_emulator::secrets::{Consumer, Content, Grant, Owner, Secret};
use juju_emulator::{CharmSource, DeployOptions, Juju};
use serde_json::json;

use super::UNIT;

/// How the model and the hook stood for some lines of a recording.
pub(crate) struct Scene {
    pub(crate) file: &'static str,
    pub(crate) lines: (usize, usize),
    pub(crate) event: Event,
    pub(crate) prepare: fn(&mut Model),
    /// What the recorded charm did after its last call.
    pub(crate) end: &'static str,
}

impl Scene {
    pub(crate) const fn ending(mut self, end: &'static str) -> Self {
        self.end = end;
        self
    }
}

pub(crate) fn scene(
    file: &'static str,
    lines: (usize, usize),
    event: Event,
    prepare: fn(&mut Model),
) -> Scene {
    Scene {
        file,
        lines,
        event,
        prepare,
        end: "",
    }
}

pub(crate) fn scenes() -> Vec<Scene> {
    let hook = || Event::hook("config-changed");
    let as_is = |_: &mut Model| {};
    vec![
        scene("t1", (1, 72), hook(), as_is),
        scene("t2", (1, 68), hook(), as_is),
        scene("t2", (69, 81), hook(), |model| {
            model
                .applications
                .get_mut("velero-operator")
                .unwrap()
                .leader = None;
        }),
        scene("t2", (82, 85), hook(), |model| model.secrets.clear()),
        scene("t3", (1, 13), hook(), as_is),
        // The recording's controller gave fixed answers; the model is made to fit each.
        scene("t3", (14, 17), hook(), |model| {
            say(model, "maintenance", "installing charm software");
        }),
        scene("t3", (18, 20), hook(), |model| {
            say(model, "active", "u-msg");
            let app = model.applications.get_mut("velero-operator").unwrap();
            app.status = vec![Status::now("active", "app-msg")];
        }),
        scene("t3", (21, 84), hook(), |model| {
            say(model, "active", "");
            model.relations.clear();
            model
                .applications
                .get_mut("velero-operator")
                .unwrap()
                .trusted = true;
        }),
        scene("t3", (85, 88), hook(), as_is),
        scene("t4", (1, 37), action(), as_is).ending("echo printed out; echo printed err >&2"),
        scene("t4", (38, 42), action(), as_is),
        scene("t4", (43, 47), action(), as_is),
        scene("t4", (48, 50), action(), as_is),
        scene("t4", (51, 55), action(), as_is).ending("echo boom >&2; exit 3"),
        scene("t4", (56, 58), action(), as_is).ending("exit 3"),
        scene("t4", (67, 73), hook(), as_is).ending("echo out; echo boom >&2; exit 1"),
        scene("t4", (74, 88), about(RelationKind::Created, None), as_is),
        scene(
            "t4",
            (89, 103),
            about(RelationKind::Joined, Some("kubeflow-velero/0")),
            as_is,
        ),
        scene("t4", (104, 118), about(RelationKind::Changed, None), as_is),
        scene(
            "t4",
            (119, 133),
            about(RelationKind::Changed, Some("kubeflow-velero/0")),
            as_is,
        ),
        scene(
            "t4",
            (134, 148),
            about(RelationKind::Departed, Some("kubeflow-velero/0")),
            as_is,
        ),
        // The recorded agents had been started when these relations were dying already.
        scene(
            "t4",
            (149, 163),
            about(RelationKind::Broken, None),
            |model| {
                let agent = &mut model.unit_mut(UNIT).unwrap().agent;
                agent.relations.get_mut(&3).unwrap().dying_from_the_start = true;
            },
        ),
        scene("t5", (1, 13), hook(), as_is),
        scene("t5", (14, 18), about_s3(), as_is),
        scene("t5", (19, 22), hook(), |model| {
            model.relations.get_mut(&7).unwrap().life = Life::Dying;
            let agent = &mut model.unit_mut(UNIT).unwrap().agent;
            agent.relations.get_mut(&7).unwrap().dying_from_the_start = true;
        }),
        scene("t5", (23, 26), action(), as_is),
        scene("t7", (1, 20), hook(), as_is),
        scene("t7", (21, 39), hook(), as_is),
        scene("t7", (40, 62), hook(), as_is),
        scene("t7", (63, 67), hook(), |model| {
            let secret = model.secrets.get_mut("9m4e2mr0ui3e8a215n4g").unwrap();
            let tracked = secret.revisions.get_mut(&1).unwrap();
            tracked.insert("bin".to_owned(), "//79".to_owned());
        }),
        scene("t7", (68, 84), action(), as_is),
        scene("t7", (85, 86), action(), as_is).ending("echo o"),
        scene("t7", (89, 90), action(), as_is),
    ]
}

pub(crate) fn say(model: &mut Model, level: &str, message: &str) {
    let since = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_045);
    let unit = model.unit_mut(UNIT).unwrap();
    unit.status = vec![Status {
        since,
        ..Status::now(level, message)
    }];
}

pub(crate) fn action() -> Event {
    let params = json!({"backup-uid": "u", "count": 3, "policy": "none"});
    Event::Action(ActionEvent {
        id: 12,
        name: "restore".to_owned(),
        params: params.as_object().cloned().unwrap(),
    })
}

pub(crate) fn about(kind: RelationKind, unit: Option<&str>) -> Event {
    let departing = unit.filter(|_| kind == RelationKind::Departed);
    Event::Relation(RelationEvent {
        kind,
        id: 3,
        endpoint: "velero-backups".to_owned(),
        remote_app: "kubeflow-velero".to_owned(),
        remote_unit: unit.map(str::to_owned),
        departing: departing.map(str::to_owned),
    })
}

pub(crate) fn about_s3() -> Event {
    Event::Relation(RelationEvent {
        kind: RelationKind::Created,
        id: 7,
        endpoint: "s3-credentials".to_owned(),
        remote_app: "s3-integrator".to_owned(),
        remote_unit: None,
        departing: None,
    })
}

pub(crate) const METADATA: &str = r"
name: velero-operator
summary: stands where the recorded charm stood
description: stands where the recorded charm stood
requires:
  s3-credentials: {interface: s3}
  velero-backups: {interface: velero_backup_config}
";

pub(crate) const CONFIG: &str = r#"
options:
  big: {type: int, default: 10000000}
  empty: {type: string, default: ""}
  f: {type: float, default: 1.5}
  f2: {type: float, default: 2.0}
  label: {type: string, default: "a<b>&\"c"}
  n: {type: int, default: 5}
  nil: {type: string}
  use-node-agent: {type: boolean, default: false}
  velero-image: {type: string, default: "velero/velero:v1.15.2"}
"#;

pub(crate) const ACTIONS: &str = r"
restore:
  params:
    backup-uid: {type: string}
    count: {type: integer}
    policy: {type: string, enum: [none, update], default: none}
  required: [backup-uid]
";

pub(crate) async fn stand(dir: &Path, scene: &Scene) -> Juju {
    use std::os::unix::fs::PermissionsExt;
    let charm = dir.join("charm");
    fs::create_dir_all(&charm).unwrap();
    fs::write(charm.join("metadata.yaml"), METADATA).unwrap();
    fs::write(charm.join("config.yaml"), CONFIG).unwrap();
    fs::write(charm.join("actions.yaml"), ACTIONS).unwrap();
    fs::write(charm.join("dispatch"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(charm.join("dispatch"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut juju = Juju::bootstrap(&dir.join("juju"), "mymodel", None)
        .await
        .unwrap();
    let source = CharmSource::Directory(charm);
    juju.deploy(&source, "velero-operator", DeployOptions::default())
        .await
        .unwrap();
    juju.settle().await.unwrap();
    furnish(juju.model_mut());
    (scene.prepare)(juju.model_mut());
    juju
}

/// The model of the recordings.
pub(crate) fn furnish(model: &mut Model) {
    "deadbeef-0bad-400d-8000-4b1d0d06f00d".clone_into(&mut model.uuid);
    let bag = |pairs: &[(&str, &str)]| Versioned {
        data: pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect::<Bag>(),
        version: 1,
    };
    let unit = |pairs| UnitBag {
        bag: bag(pairs),
        present: true,
    };
    let side = |app: &str, endpoint: &str, own, units: Vec<(&str, UnitBag)>| Side {
        app: app.to_owned(),
        endpoint: endpoint.to_owned(),
        bag: own,
        units: units
            .into_iter()
            .map(|(name, bag)| (name.to_owned(), bag))
            .collect(),
    };
    let ours = || vec![(UNIT, unit(&[("ingress-address", "10.2.2.2")]))];
    let theirs = vec![(
        "kubeflow-velero/0",
        unit(&[("ingress-address", "10.1.1.1")]),
    )];
    let relation = |id, interface: &str, sides| Relation {
        id,
        interface: interface.to_owned(),
        life: Life::Alive,
        sides,
        gone: false,
    };
    let spec = bag(&[("app", "x"), ("spec", "{\"a\":1}")]);
    let velero = vec![
        side("velero-operator", "velero-backups", bag(&[]), ours()),
        side("kubeflow-velero", "x", spec, theirs),
    ];
    let s3 = vec![
        side("velero-operator", "s3-credentials", bag(&[]), ours()),
        side(
            "s3-integrator",
            "s3-credentials",
            bag(&[("bucket", "b")]),
            Vec::new(),
        ),
    ];
    model
        .relations
        .insert(3, relation(3, "velero_backup_config", velero));
    model.relations.insert(7, relation(7, "s3", s3));
    let agent = &mut model.unit_mut(UNIT).unwrap().agent;
    let member = ("kubeflow-velero/0".to_owned(), Some(1));
    let seen = agent.relations.entry(3).or_default();
    seen.members.extend([member]);
    "velero-backups".clone_into(&mut seen.endpoint);
    let seen = agent.relations.entry(7).or_default();
    "s3-credentials".clone_into(&mut seen.endpoint);
    let unit = model.unit_mut(UNIT).unwrap();
    "10.1.2.3".clone_into(&mut unit.address);
    // The recorded controller knew no name for the network.
    unit.interface.clear();
    let app = model.applications.get_mut("velero-operator").unwrap();
    "10.152.183.9".clone_into(&mut app.service_address);
    let id = |number: u32| format!("9m4e2mr0ui3e8a21100{number}");
    model.next.secret_ids = (1..=9).rev().map(id).collect();
    add_secrets(model);
}

pub(crate) fn add_secrets(model: &mut Model) {
    let own = Owner::Application("velero-operator".to_owned());
    let other = Owner::Application("kubeflow-velero".to_owned());
    let grant = Grant {
        relation: Some(3),
        app: "velero-operator".to_owned(),
        unit: None,
    };
    let content = |token: &str| -> Content {
        let key = ("key".to_owned(), "AA==".to_owned());
        [key, ("token".to_owned(), token.to_owned())].into()
    };
    let mut add = |id: &str, owner: &Owner, content: Content| {
        let mut secret = Secret::new(owner.clone(), content).unwrap();
        id.clone_into(&mut secret.id);
        model.secrets.insert(id.to_owned(), secret);
    };
    add("9m4e2mr0ui3e8a215n4g", &other, content("czNjcmV0"));
    add("9m4e2mr0ui3e8a215n50", &other, content("czNjcmV0"));
    let token = Content::from([("token".to_owned(), "czNjcmV0".to_owned())]);
    add("9m4e2mr0ui3e8a215n5g", &own, token);
    let tracked = model.secrets.get_mut("9m4e2mr0ui3e8a215n4g").unwrap();
    tracked.grants.push(grant);
    tracked.update(content("bmV3"));
    let consumer = Consumer {
        label: "creds".to_owned(),
        tracked: 1,
        notified: 2,
    };
    tracked.consumers.insert(UNIT.to_owned(), consumer);
    let own = model.secrets.get_mut("9m4e2mr0ui3e8a215n5g").unwrap();
    "mine".clone_into(&mut own.label);
    "de".clone_into(&mut own.description);
}
