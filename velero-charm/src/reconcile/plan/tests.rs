use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment},
        core::v1::{ConfigMap, Secret},
        rbac::v1::ClusterRoleBinding,
    },
    apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry,
};
use kube::ResourceExt as _;
use provider_api::{Credential, Location, Problem, Problems, Storage, secrecy::ExposeSecret as _};
use provider_testkit::TAPE;
use serde_json::{Value, json};

use super::*;
use crate::{
    cluster::Kind,
    ours::{
        Owner,
        credential::{self, Note, Reading},
        documents,
        manifests::Plugin,
        record::Record,
    },
    reconcile::{
        apply,
        observe::Definition,
        validate::{Core, Why, clients::Clients},
    },
    velero::{
        self, BUNDLED, DEFAULT_IMAGE, LOCATION,
        install::{NodeAgent, VolumeBackups},
        running::Running,
        settings::Settings,
    },
};

mod expected;
mod readings;
mod storage;
mod waits;

pub(in crate::reconcile) fn owner() -> Owner {
    Owner {
        application: "velero".into(),
        model_uuid: "m".into(),
    }
}

pub(in crate::reconcile) fn core() -> Core {
    Core {
        velero_image: DEFAULT_IMAGE.into(),
        node_agent: NodeAgent::Off,
        volume_backups: VolumeBackups::Snapshot,
        settings: Settings::default(),
        remarks: Vec::new(),
    }
}

pub(in crate::reconcile) fn storage(prefix: Option<&str>, credential: &str) -> Storage {
    Storage {
        credential: Credential::Keys(credential.to_owned().into()),
        location: Location {
            bucket: "reel".into(),
            prefix: prefix.map(Into::into),
            ca_certificates: None,
            config: BTreeMap::from([("speed".into(), String::new())]),
        },
        snapshots: None,
        remarks: vec![],
        gaps: vec![],
    }
}

/// The same for pods that the store knows.
pub(in crate::reconcile) fn of_pods() -> Storage {
    Storage {
        credential: Credential::OfPods { file: None },
        ..storage(None, "")
    }
}

pub(in crate::reconcile) fn set(storage: Storage) -> Intent {
    set_with("tape/plugin:v1", storage)
}

pub(in crate::reconcile) fn set_with(plugin_image: &str, storage: Storage) -> Intent {
    Intent::Set {
        descriptor: &TAPE,
        plugin_image: plugin_image.into(),
        storage: Box::new(storage),
    }
}

pub(in crate::reconcile) fn kept() -> Intent {
    Intent::Keep(Why::Invalid(Problem::missing("reel", "insert one").into()))
}

fn planned(core: Core, storage: Intent, live: &Live) -> Steps {
    planned_with(Ok(core), storage, &Readings::new(), live)
}

fn planned_with(
    core: Result<Core, Problems>,
    storage: Intent,
    readings: &Readings,
    live: &Live,
) -> Steps {
    drafted(core, storage, readings, live).stage.0
}

pub(in crate::reconcile) fn drafted(
    core: Result<Core, Problems>,
    storage: Intent,
    readings: &Readings,
    live: &Live,
) -> Plan<Draft> {
    let desired = Desired {
        core,
        storage,
        clients: Clients::default(),
        applications: crate::relations::applications::Applications::default(),
        waiting_since: None,
        complaints: Vec::new(),
    };
    // A fresh name is one that nothing has yet.
    let fresh_name = format!("fresh-{}", fresh_number(live));
    draft(
        &desired,
        World {
            password: None,
            live,
            governed: &[],
            readings,
            place: place(&owner()),
            fresh_name: &fresh_name,
            relations: &[],
            now: Timestamp::UNIX_EPOCH,
        },
    )
}

pub(in crate::reconcile) fn place(owner: &Owner) -> Place<'_> {
    Place {
        namespace: "ns",
        owner,
    }
}

fn fresh_number(live: &Live) -> usize {
    let taken = |number: &usize| {
        let name = format!("fresh-{number}");
        live.credentials.iter().any(|one| one.name_any() == name)
    };
    (0..100).find(|number| !taken(number)).unwrap()
}

pub(in crate::reconcile) fn readings(key: &str, unit: &str) -> Readings {
    let note = Note {
        address: "secret:x".into(),
        unit: unit.into(),
        at: "2026-01-01T00:00:00Z".parse().unwrap(),
    };
    let content = BTreeMap::from([("pin".to_owned(), key.into())]);
    BTreeMap::from([("tape:1".to_owned(), Reading { note, content })])
}

/// The Secrets after a plan was carried out.
fn secrets_after(plan: Steps, before: &[Secret]) -> Vec<Secret> {
    let mut secrets = before.to_vec();
    for credential in plan.credentials {
        let mut secret = apply::secret(&credential, before, place(&owner())).unwrap();
        let fields = json!({"f:data": {}});
        secret.metadata.managed_fields = Some(vec![ManagedFieldsEntry {
            manager: Some("velero-operator".into()),
            operation: Some("Apply".into()),
            fields_v1: Some(serde_json::from_value(fields).unwrap()),
            ..ManagedFieldsEntry::default()
        }]);
        secrets.retain(|live| live.name_any() != secret.name_any());
        secrets.push(secret);
    }
    secrets.retain(|secret| {
        let this = Deletion::named(Kind::of::<Secret>(), secret.name_any());
        !plan.deletions.contains(&this)
    });
    secrets
}

fn content(secret: &Secret) -> String {
    let data = secret.data.iter().flatten();
    let texts = data.map(|(key, value)| format!("{key}={}", String::from_utf8_lossy(&value.0)));
    texts.collect::<Vec<_>>().join(" ")
}

/// The world after a plan was carried out, as the API server would show it.
pub(in crate::reconcile) fn world(core: &Core, intent: Intent) -> Live {
    let plan = planned(core.clone(), intent, &Live::default());
    let install = plan.install.unwrap();
    let labels = json!(owner().labels());
    let rights = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    let init = install.basis.workload().plugin.as_ref().map(|plugin| {
        json!([{
            "name": plugin.container, "image": plugin.image, "securityContext": rights,
        }])
    });
    let server: Deployment = serde_json::from_value(json!({
        "metadata": {"name": "velero", "uid": "u", "generation": 3, "labels": labels},
        "spec": {"selector": {}, "template": {"spec": {
            "initContainers": init,
            "serviceAccountName": "velero",
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "velero", "image": core.velero_image, "command": ["/velero"],
                "args": ["server", "--features=", "--uploader-type=kopia"],
                "env": [
                    {"name": "VELERO_SCRATCH_DIR", "value": "/scratch"},
                    {"name": "LD_LIBRARY_PATH", "value": "/plugins"},
                    {"name": "HOME", "value": "/scratch"},
                    {"name": "TMPDIR", "value": "/scratch"},
                ],
                "securityContext": rights,
            }],
        }}},
    }))
    .unwrap();
    let record = Record {
        inputs: install.basis,
        server: Seen::of(&server),
        node_agent: None,
        newer_definitions: BTreeMap::new(),
    };
    let secrets = secrets_after(
        Steps {
            credentials: plan.credentials,
            ..Steps::default()
        },
        &[],
    );
    let mut locations = plan.locations;
    for location in &mut locations {
        let fields =
            json!({"f:metadata": {"f:labels": {}}, "f:spec": owned_fields(&location.data["spec"])});
        location.metadata.managed_fields = Some(vec![ManagedFieldsEntry {
            manager: Some("velero-operator".into()),
            operation: Some("Apply".into()),
            fields_v1: Some(serde_json::from_value(fields).unwrap()),
            ..ManagedFieldsEntry::default()
        }]);
    }
    let labelled = json!({"metadata": {"name": "velero", "labels": labels}});
    Live {
        definitions: velero::CUSTOM_RESOURCES
            .iter()
            .map(|(_, kind)| ((*kind).to_owned(), made_for(BUNDLED)))
            .collect(),
        account: serde_json::from_value(labelled).unwrap(),
        bindings: vec![binding("velero-ns-m", &json!([subject("ns")]))],
        record: Some(config_map(&record)),
        config_maps: documents::config_maps(record.inputs.workload(), "ns", &owner()),
        credentials: secrets.into(),
        snapshot_locations: vec![],
        metrics: None,
        schedules: vec![],
        running: Running {
            servers: [("velero".to_owned(), server)].into(),
            locations: locations.into_iter().map(|l| (l.name_any(), l)).collect(),
            ..Running::default()
        },
    }
}

fn binding(name: &str, subjects: &Value) -> ClusterRoleBinding {
    serde_json::from_value(json!({
        "metadata": {"name": name, "labels": owner().labels()},
        "roleRef": {"apiGroup": "", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": subjects,
    }))
    .unwrap()
}

fn subject(namespace: &str) -> Value {
    json!({"kind": "ServiceAccount", "name": "velero", "namespace": namespace})
}

pub(super) fn owned_fields(spec: &Value) -> Value {
    match spec {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, below)| (format!("f:{key}"), owned_fields(below)))
            .collect(),
        _ => json!({}),
    }
}

fn config_map(record: &Record) -> ConfigMap {
    record.to_config_map("ns", &owner()).unwrap()
}

fn made_for(velero: &str) -> Definition {
    Definition {
        velero: Some(velero.to_owned()),
        seen: None,
    }
}

fn restarts(plan: &Steps) -> bool {
    plan.install
        .as_ref()
        .is_some_and(|install| install.effect != Effect::Harmless)
}

pub(in crate::reconcile) fn with_node_agent(mut live: Live) -> Live {
    let agent = json!({"metadata": {"name": "node-agent", "labels": owner().labels()}});
    live.running
        .node_agents
        .insert("node-agent".into(), serde_json::from_value(agent).unwrap());
    live
}

#[test]
fn equal_worlds_give_an_empty_plan() {
    for intent in [|| Intent::None, || set(storage(None, "file")), kept] {
        let live = world(&core(), intent());
        let plan = planned(core(), intent(), &live);
        assert!(plan.is_empty(), "{plan:?}");
    }
}

#[test]
fn an_empty_cluster_gets_everything_and_nothing_is_restarted() {
    let plan = planned(core(), set(storage(None, "file")), &Live::default());

    assert!(plan.install.is_some() && !restarts(&plan));
    assert_eq!((plan.credentials.len(), plan.locations.len()), (1, 1));
    assert_eq!(plan.deletions, []);
}

#[test]
fn an_edit_of_the_server_is_undone_without_looking_at_it() {
    let mut live = world(&core(), Intent::None);
    let server = live.running.servers.get_mut("velero").unwrap();
    server.metadata.generation = Some(4);
    assert!(restarts(&planned(core(), Intent::None, &live)));
}

/// Write access to Deployments often comes with write access to the record.
#[test]
fn edit_that_the_record_vouches_for_is_put_right() {
    let edits = [
        ("/containers/0/image", json!("acme/velero:v1.18.3")),
        ("/containers/0/command", json!(["/bin/sh"])),
        ("/containers/0/args", json!(["server"])),
        ("/containers/0/env/1/value", json!("/scratch")),
        ("/initContainers/0/image", json!("acme/plugin:v1")),
        ("/serviceAccountName", json!("default")),
    ];
    for (place, value) in edits {
        let mut live = world(&core(), set(storage(None, "file")));
        let server = live.running.servers.get_mut("velero").unwrap();
        let mut edited = json!(server);
        let pod = edited.pointer_mut("/spec/template/spec").unwrap();
        *pod.pointer_mut(place).unwrap() = value;
        *server = serde_json::from_value(edited).unwrap();

        let plan = planned(core(), set(storage(None, "file")), &live);

        assert!(restarts(&plan), "{place}");
    }
}

#[test]
fn binding_names_our_account_and_nobody_else() {
    let binds = |bindings: Vec<ClusterRoleBinding>| {
        let mut live = world(&core(), Intent::None);
        live.bindings = bindings;
        planned(core(), Intent::None, &live).install
    };
    let ours = || binding("velero-ns-m", &json!([subject("ns")]));
    assert!(binds(vec![ours()]).is_none());
    for subjects in [
        json!([]),
        json!([subject("elsewhere")]),
        json!([subject("ns"), subject("elsewhere")]),
        json!([{"kind": "User", "name": "velero", "namespace": "ns"}]),
        json!([{"kind": "ServiceAccount", "name": "default", "namespace": "ns"}]),
    ] {
        let install = binds(vec![binding("velero-ns-m", &subjects)]);
        let install = install.unwrap_or_else(|| panic!("{subjects} is accepted"));
        assert_eq!(install.misbound, None, "an apply is enough");
        assert_eq!(install.effect, Effect::Harmless);
    }
}

#[test]
fn binding_to_another_role_is_made_again() {
    let mut live = world(&core(), Intent::None);
    live.bindings[0].role_ref.name = "view".into();
    let install = planned(core(), Intent::None, &live).install.unwrap();
    assert_eq!(install.misbound.as_deref(), Some("velero-ns-m"));
}

#[test]
fn binding_of_an_earlier_release_goes_and_nothing_restarts() {
    let mut live = world(&core(), Intent::None);
    live.bindings = vec![binding("velero-ns", &json!([subject("ns")]))];
    let install = planned(core(), Intent::None, &live).install.unwrap();
    assert_eq!(install.former_bindings, ["velero-ns"]);
    assert_eq!(install.effect, Effect::Harmless);
}

#[test]
fn turning_the_node_agent_on_restarts_nothing() {
    let live = world(&core(), Intent::None);
    let on = Core {
        node_agent: NodeAgent::On,
        ..core()
    };
    let plan = planned(on, Intent::None, &live);
    assert!(plan.install.is_some() && !restarts(&plan));
}

#[test]
fn a_lost_record_costs_one_apply() {
    let live = Live {
        record: None,
        ..world(&core(), Intent::None)
    };
    let plan = planned(core(), Intent::None, &live);
    assert!(plan.install.is_some() && !restarts(&plan));
}

#[test]
fn definitions_are_brought_up_but_never_down() {
    let mut live = world(&core(), Intent::None);
    live.definitions.insert("Backup".into(), made_for("1.99.0"));
    assert!(
        planned(core(), Intent::None, &live).is_empty(),
        "newer is fine"
    );

    live.definitions.insert("Restore".into(), made_for("1.9.0"));
    let current = planned(core(), Intent::None, &live)
        .install
        .unwrap()
        .current_definitions;
    assert!(current.contains("Backup") && !current.contains("Restore"));
}

#[test]
fn a_definition_that_was_found_to_be_newer_is_not_looked_at_again() {
    let mut live = world(&core(), Intent::None);
    let seen = |generation: i64| {
        let metadata = json!({"metadata": {"uid": "d", "generation": generation}});
        Seen::of(&serde_json::from_value::<ConfigMap>(metadata).unwrap())
    };
    let unmarked = |generation| Definition {
        velero: None,
        seen: seen(generation),
    };
    let mut record = Record::read(live.record.as_ref()).unwrap();
    record
        .newer_definitions
        .insert("Backup".into(), seen(7).unwrap());
    live.record = Some(config_map(&record));

    live.definitions.insert("Backup".into(), unmarked(7));
    assert!(planned(core(), Intent::None, &live).is_empty());

    live.definitions.insert("Backup".into(), unmarked(8));
    assert!(planned(core(), Intent::None, &live).install.is_some());
}

#[test]
fn a_rolling_server_is_told_from_one_that_is_replaced() {
    let mut live = world(&core(), Intent::None);
    live.record = None;
    let rollout = |live: &Live| planned(core(), Intent::None, live).install.unwrap().rollout;
    assert_eq!(rollout(&live), Rollout::AsWanted);

    let spec = live
        .running
        .servers
        .get_mut("velero")
        .unwrap()
        .spec
        .as_mut();
    let rolling = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}});
    spec.unwrap().strategy = serde_json::from_value(rolling).unwrap();
    assert_eq!(rollout(&live), Rollout::Rolling);
}

#[test]
fn a_changed_image_restarts_and_an_unwanted_node_agent_goes() {
    let live = with_node_agent(world(&core(), Intent::None));
    let changed = Core {
        velero_image: "velero/velero:v1.18.2".into(),
        ..core()
    };
    let plan = planned(changed, Intent::None, &live);

    assert!(restarts(&plan));
    assert_eq!(
        plan.deletions,
        [Deletion::named(Kind::of::<DaemonSet>(), "node-agent")]
    );
}

#[test]
fn invalid_config_leaves_the_cluster_untouched() {
    let plan = planned_with(
        Err(Problem::missing("velero-image", "set it").into()),
        set(storage(None, "file")),
        &Readings::new(),
        &Live::default(),
    );
    assert!(plan.is_empty());
}

#[test]
fn node_agent_that_is_not_ours_is_never_deleted() {
    let mut live = with_node_agent(world(&core(), Intent::None));
    let ours = planned(core(), Intent::None, &live);
    assert!(ours.ends_node_agents());

    for agent in live.running.node_agents.values_mut() {
        agent.metadata.labels = None;
    }
    let theirs = planned(core(), Intent::None, &live);
    assert!(theirs.is_empty(), "{theirs:?}");
}
