use provider_api::{Answer, Endpoint, Inputs, Problem, Problems, StorageProvider};
use provider_testkit::TAPE;
use serde_json::json;

use super::*;
use crate::{
    floors::sources,
    ours::schedule::Key,
    reconcile::validate::{Core, clients::Clients},
    relations::{applications::Applications, backups::Fault},
    velero::{
        DEFAULT_IMAGE,
        install::{NodeAgent, VolumeBackups},
        settings::Settings,
    },
};

static DISK: Descriptor = Descriptor {
    name: "disk",
    endpoint: Endpoint {
        name: "disk-credentials",
        ..TAPE.endpoint
    },
    integrator: "disk-integrator",
    ..TAPE
};

pub(in crate::reconcile) static TAPES: Mute = Mute(&TAPE);
static DISKS: Mute = Mute(&DISK);

#[derive(Debug)]
pub(in crate::reconcile) struct Mute(&'static Descriptor);

impl StorageProvider for Mute {
    fn descriptor(&self) -> &'static Descriptor {
        self.0
    }

    fn resolve(&self, _: &Inputs) -> Result<Answer, Problems> {
        Ok(Answer::Waiting("a word".into()))
    }
}

fn unit() -> Unit {
    Unit {
        name: "velero/0".into(),
        application: "velero".into(),
        model: "prod".into(),
        model_uuid: "m".into(),
        charm_dir: "/charm".into(),
        endpoint: None,
        broken_relation: None,
    }
}

fn health(location: PartHealth) -> Health {
    Health {
        server: PartHealth::Good,
        node_agent: PartHealth::Good,
        location,
    }
}

fn core() -> Core {
    Core {
        velero_image: DEFAULT_IMAGE.into(),
        node_agent: NodeAgent::Off,
        volume_backups: VolumeBackups::Snapshot,
        settings: Settings::default(),
        remarks: Vec::new(),
    }
}

fn told(
    core: Result<Core, Problems>,
    storage: Intent,
    health: &Health,
    held_by: &[String],
) -> Status {
    status(&found(core, storage, health, held_by), None)
}

fn found(
    core: Result<Core, Problems>,
    storage: Intent,
    health: &Health,
    held_by: &[String],
) -> Vec<Finding> {
    found_at("2026-01-01T10:09:59Z", core, storage, health, held_by)
}

fn found_at(
    now: &str,
    core: Result<Core, Problems>,
    storage: Intent,
    health: &Health,
    held_by: &[String],
) -> Vec<Finding> {
    findings(&Known {
        unit: &unit(),
        registry: &Registry::new(vec![&TAPES, &DISKS]).unwrap(),
        desired: &Desired {
            core,
            storage,
            clients: Clients::default(),
            applications: Applications::default(),
            waiting_since: "2026-01-01T10:00:00Z".parse().ok(),
            complaints: Vec::new(),
        },
        health,
        protection: &Protection::default(),
        held: &Held {
            by: held_by.to_vec(),
            ..Held::default()
        },
        now: now.parse().unwrap(),
        provider: Some(&TAPE),
    })
}

fn kept(why: Why) -> Status {
    told(
        Ok(core()),
        Intent::Keep(why),
        &health(PartHealth::Good),
        &[],
    )
}

fn blocked(advice: &str, cause: &str) -> Status {
    Status::new(Level::Blocked, Clause::new(advice, cause))
}

fn waiting(advice: &str, cause: &str) -> Status {
    Status::new(Level::Waiting, Clause::new(advice, cause))
}

fn and(others: usize, status: Status) -> Status {
    Status { others, ..status }
}

#[test]
fn missing_store_names_the_commands_that_bring_one() {
    let status = told(Ok(core()), Intent::None, &health(PartHealth::Good), &[]);
    assert_eq!(
        status,
        blocked(
            "run `juju integrate velero disk-integrator` (or `tape-integrator`)",
            "no object store"
        )
    );
}

#[test]
fn an_unanswered_relation_is_waited_for() {
    assert_eq!(
        kept(Why::Waiting("a tape".into())),
        waiting("waiting for a tape", "")
    );
}

#[test]
fn invalid_data_is_blocked_and_unreadable_data_waited_for() {
    let missing = Problem::missing("reel", "insert one");
    let unreadable = Problem::unreadable("pin", "no grant", "or integrate again");
    let problem = || Clause::new("insert one", "`reel` is missing");
    assert_eq!(
        kept(Why::Invalid(missing.clone().into())),
        Status::new(Level::Blocked, problem())
    );
    assert_eq!(
        kept(Why::Invalid(unreadable.clone().into())).level,
        Level::Waiting
    );
    let both = Problems::from(missing).and([unreadable]);
    assert_eq!(
        kept(Why::Invalid(both)).clauses,
        [
            problem(),
            Clause::new("or integrate again", "`pin` cannot be read (no grant)")
        ]
    );
}

#[test]
fn several_stores_are_all_named() {
    assert_eq!(
        kept(Why::Several(vec!["a".into(), "b".into()])),
        blocked(
            "run `juju remove-relation velero b` or remove another relation",
            "more than one object store (`a`, `b`)"
        )
    );
}

#[test]
fn a_bad_verdict_comes_with_advice() {
    let torn = "object store unavailable: the tape is torn";
    let health = health(PartHealth::Bad(Clause::of_cause(torn)));
    let status = told(
        Ok(core()),
        Intent::Keep(Why::Waiting("x".into())),
        &health,
        &[],
    );
    assert_eq!(status, and(1, blocked("replace the tape", torn)));
}

#[test]
fn the_worst_decides_and_the_others_are_counted() {
    let bad_config: Problems = Problem::invalid("velero-image", "is empty", "set it").into();
    let health = Health {
        server: PartHealth::Bad(Clause::of_cause("the Velero Deployment is gone")),
        node_agent: PartHealth::Pending("the node agent to start".into()),
        location: PartHealth::Pending(String::new()),
    };
    let status = told(Err(bad_config), Intent::None, &health, &[]);
    assert_eq!(status, and(3, blocked("set it", "`velero-image` is empty")));
}

#[test]
fn a_change_that_is_held_back_names_what_it_waits_for() {
    let held = ["Backup `a`".to_owned(), "Restore `b`".to_owned()];
    let status = told(
        Ok(core()),
        Intent::Keep(Why::Waiting("x".into())),
        &health(PartHealth::Good),
        &held,
    );
    assert_eq!(
        status,
        and(
            1,
            waiting(
                "waiting for Backup `a` (and 1 more) to end",
                "a change is held back"
            )
        )
    );
}

#[test]
fn all_well_is_active() {
    assert_eq!(
        status(&[], None),
        Status {
            level: Level::Active,
            clauses: Vec::new(),
            others: 0
        }
    );
}

#[test]
fn missing_trust_names_the_command() {
    assert_eq!(
        of_error(&Error::NotTrusted, &unit()),
        Some(blocked(
            "run `juju trust velero --scope=cluster`",
            "not trusted"
        ))
    );
}

#[test]
fn a_model_that_is_going_is_only_waited_for() {
    let status = json!({"code": 403, "status": "Failure", "reason": "Forbidden", "message":
        "secrets \"x\" is forbidden: unable to create new content in namespace m because it is being \
         terminated"});
    let refused = kube::Error::Api(Box::new(serde_json::from_value(status).unwrap()));
    let error = Error::Cluster(ClusterError::request("apply Secret `x`", refused));
    assert_eq!(
        of_error(&error, &unit()),
        Some(waiting(
            "waiting for the model to be destroyed",
            "its namespace is being deleted"
        ))
    );
}

#[test]
fn findings_of_one_rank_keep_their_order() {
    let health = Health {
        server: PartHealth::Pending("z".into()),
        node_agent: PartHealth::Pending("a".into()),
        location: PartHealth::Bad(Clause::of_cause("a verdict")),
    };
    let torn = Why::Invalid(Problem::missing("reel", "insert one").into());
    let held = ["Backup `b`".to_owned()];
    let all = found(Ok(core()), Intent::Keep(torn), &health, &held);

    let texts = all.iter().map(|finding| finding.clauses[0].to_string());
    let texts: Vec<_> = texts.collect();
    assert_eq!(
        texts,
        [
            "insert one: `reel` is missing",
            "a verdict",
            "waiting for Backup `b` to end: a change is held back",
            "waiting for z",
            "waiting for a",
        ]
    );
}

/// Code that makes a status names its level.
#[test]
fn statuses_are_made_in_one_place() {
    let is_allowed = |modules: &[String]| {
        modules[0] == "juju" || modules.starts_with(&["reconcile", "report"].map(str::to_owned))
    };
    let makes = |text: &str| text.contains("set_status(") || text.contains("Level::");
    let found: Vec<_> = sources()
        .into_iter()
        .filter(|(modules, text)| makes(text) && !is_allowed(modules))
        .map(|(modules, _)| modules.join("::"))
        .collect();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn integrator_that_sends_nothing_for_long_is_looked_at() {
    let unreadable = Problem::unreadable("key", "it is gone", "if it stays so, integrate again");
    for (why, advice, cause) in [
        (
            Why::Waiting("`tapes` to send a tape".into()),
            "see in `juju status` what  lacks",
            "waiting for `tapes` to send a tape since 2026-01-01 10:00Z",
        ),
        (
            Why::Invalid(unreadable.into()),
            "remove the relation and integrate again",
            "`key` cannot be read (it is gone) since 2026-01-01 10:00Z",
        ),
    ] {
        let health = health(PartHealth::Good);
        let at = "2026-01-01T10:10:00Z";
        let found = found_at(at, Ok(core()), Intent::Keep(why), &health, &[]);
        assert_eq!(status(&found, None), blocked(advice, cause));
    }
}

#[test]
fn clients_that_cannot_be_backed_up_are_named() {
    let key = |app: &str, model: &str| Key {
        model: model.into(),
        app: app.into(),
        endpoint: "backup".into(),
    };
    let fault = |model: &str| Fault {
        who: Who::Target(key("one", model)),
        relation: "velero-backups:1".into(),
        problems: Problem::invalid("ttl", "`30d` has a unit `d`", "let it send `720h`").into(),
    };
    let clients = Clients {
        faults: vec![fault("prod"), fault("test")],
        lacks: vec![(key("three", "test"), "they leave out `pods`")],
        ..Clients::default()
    };
    let shown = |clients: Clients, protection: &Protection| {
        let findings = findings(&Known {
            unit: &unit(),
            registry: &Registry::new(vec![&TAPES]).unwrap(),
            desired: &Desired {
                core: Ok(core()),
                storage: Intent::Keep(Why::Options),
                clients,
                applications: Applications::default(),
                waiting_since: None,
                complaints: Vec::new(),
            },
            health: &health(PartHealth::Good),
            protection,
            held: &Held::default(),
            now: "2026-01-01T10:00:00Z".parse().unwrap(),
            provider: None,
        });
        let status = status(&findings, protection.last_good);
        let clauses = status.clauses.iter().map(ToString::to_string);
        let clauses = clauses.collect::<Vec<_>>().join("; ");
        format!("{}: {clauses} +{}", status.level, status.others)
    };
    let good = Protection {
        last_good: "2026-01-01T09:59:59Z".parse().ok(),
        ..Protection::default()
    };
    let bad = Protection {
        troubles: vec![Clause::new("see it", "Schedule `x` fails")],
        ..good.clone()
    };
    let elsewhere = Clients {
        faults: vec![fault("test")],
        ..Clients::default()
    };
    let lacking = Clients {
        lacks: clients.lacks.clone(),
        ..Clients::default()
    };

    assert_eq!(
        shown(clients, &good),
        "blocked: let it send `720h`: `one:backup`: `ttl` `30d` has a unit `d` +2"
    );
    assert_eq!(
        shown(elsewhere, &good),
        "blocked: let it send `720h`: `one:backup` in model `test`: `ttl` `30d` has a unit `d` +0"
    );
    assert_eq!(
        shown(Clients::default(), &bad),
        "blocked: see it: Schedule `x` fails +0"
    );
    assert_eq!(
        shown(lacking, &good),
        "active: last good backup after 2026-01-01 09:00Z; backups of `three:backup` in model `test` hold no data of volumes: they leave out `pods` +0"
    );
}
