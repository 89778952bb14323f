use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, Time};
use provider_api::Problem;
use serde_json::{Value, json};

use super::*;
use crate::{
    cluster::FIELD_MANAGER,
    ours::credential::Readings,
    reconcile::{
        observe::Live,
        plan::tests::{core, kept, owned_fields, owner, place, set, storage, world},
        validate::clients::Clients,
    },
    relations::{
        applications::Applications,
        backups::{Fault, Who},
    },
    velero::template::Template,
};

fn key(model: &str) -> Key {
    Key {
        model: model.into(),
        app: "minio".into(),
        endpoint: "backup".into(),
    }
}

fn timing() -> Timing {
    Timing {
        cron: "@daily".into(),
        paused: None,
        skip_immediately: None,
        owner_references: None,
    }
}

fn asks(key: Key, timing: Timing) -> Clients {
    let wanted = Wanted {
        relation: "velero-backups:7".into(),
        template: Template::default(),
        timing: Some(timing),
        keep: None,
    };
    Clients {
        wanted: [(key, wanted)].into(),
        ..Clients::default()
    }
}

/// A world that is connected to a store, with these Schedules.
fn with(schedules: Vec<DynamicObject>) -> Live {
    Live {
        schedules,
        ..world(&core(), set(storage(None, "key")))
    }
}

fn planned(clients: Clients, intent: Intent, live: &Live) -> Schedules {
    let desired = Desired {
        core: Ok(core()),
        storage: intent,
        clients,
        applications: Applications::default(),
        waiting_since: None,
        complaints: Vec::new(),
    };
    let owner = owner();
    let world = World {
        live,
        governed: &[],
        readings: &Readings::new(),
        password: None,
        place: place(&owner),
        fresh_name: "fresh",
        relations: &[],
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    schedules(&core(), &desired, world)
}

fn stored() -> Intent {
    set(storage(None, "key"))
}

fn written(mut object: DynamicObject, manager: &str, operation: &str) -> DynamicObject {
    let fields = json!({
        "f:metadata": {"f:labels": owned_fields(&json!(object.labels()))},
        "f:spec": owned_fields(&object.data["spec"]),
    });
    object.metadata.uid = Some(object.name_any());
    object.metadata.managed_fields = Some(vec![ManagedFieldsEntry {
        manager: Some(manager.into()),
        operation: Some(operation.into()),
        fields_v1: Some(serde_json::from_value(fields).unwrap()),
        ..ManagedFieldsEntry::default()
    }]);
    object
}

/// What a plan makes, as the API server would show it.
fn applied(clients: Clients, live: &Live) -> DynamicObject {
    let mut steps = planned(clients, stored(), live);
    written(steps.applied.remove(0), FIELD_MANAGER, "Apply")
}

/// As the Python charm made it in this model.
fn of_python(name: &str, model: &str) -> DynamicObject {
    let object: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "velero.io/v1", "kind": "Schedule",
        "metadata": {"name": name, "namespace": "ns", "labels": {
            "app": "minio", "endpoint": "backup", "model": model, "managed-by": "velero-operator",
        }},
        "spec": {"schedule": "@daily", "template": {"storageLocation": "default"}},
    }))
    .unwrap();
    written(object, PREVIOUS_CHARM, "Update")
}

#[test]
fn schedule_is_made_once_and_under_a_name_that_holds() {
    let made = applied(asks(key("m"), timing()), &with(vec![]));
    assert_eq!(made.name_any(), key("m").name());
    assert_eq!(
        made.data["spec"]["template"]["metadata"]["labels"]["app"],
        "minio"
    );
    assert_eq!(made.data["spec"]["template"]["storageLocation"], "default");
    assert_eq!(
        made.labels()["velero-operator/relation"],
        "velero-backups.7"
    );

    let live = with(vec![made]);
    assert!(planned(asks(key("m"), timing()), stored(), &live).is_empty());
    let weekly = Timing {
        cron: "@weekly".into(),
        ..timing()
    };
    let steps = planned(asks(key("m"), weekly), stored(), &live);
    assert_eq!(steps.applied[0].data["spec"]["schedule"], "@weekly");
    assert!(steps.deleted.is_empty() && steps.taken.is_empty());
}

#[test]
fn clients_of_one_name_in_two_models_have_one_each() {
    let mut both = asks(key("m"), timing());
    both.wanted.extend(asks(key("n"), timing()).wanted);
    let steps = planned(both, stored(), &with(vec![]));
    assert_ne!(steps.applied[0].name_any(), steps.applied[1].name_any());
}

#[test]
fn schedule_goes_with_its_relation_and_spares_its_backups() {
    let live = with(vec![applied(asks(key("m"), timing()), &with(vec![]))]);
    let steps = planned(Clients::default(), stored(), &live);
    let schedule = Deletion::sparing_dependents(velero::kind("Schedule"), key("m").name());
    assert_eq!(steps.deleted, [schedule]);
}

#[test]
fn schedule_on_its_way_out_is_made_again() {
    let mut goes = applied(asks(key("m"), timing()), &with(vec![]));
    goes.metadata.deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
    let live = with(vec![goes]);
    let steps = planned(asks(key("m"), timing()), stored(), &live);
    assert_eq!(steps.applied[0].name_any(), key("m").name());
    assert!(planned(Clients::default(), stored(), &live).is_empty());
}

#[test]
fn schedule_stays_while_nobody_knows_what_is_asked_for() {
    let live = with(vec![applied(asks(key("m"), timing()), &with(vec![]))]);
    let empty = Clients {
        unknown: ["velero-backups:7".to_owned()].into(),
        ..Clients::default()
    };
    assert!(planned(empty, stored(), &live).is_empty());
    let invalid = Clients {
        faults: vec![Fault {
            who: Who::Target(key("m")),
            relation: "velero-backups:7".into(),
            problems: Problem::missing("spec", "send it").into(),
        }],
        ..Clients::default()
    };
    assert!(planned(invalid, stored(), &live).is_empty());
    let other = Clients {
        unknown: ["velero-backups:8".to_owned()].into(),
        ..Clients::default()
    };
    assert_eq!(planned(other, stored(), &live).deleted.len(), 1);
}

#[test]
fn schedule_of_the_previous_charm_goes_on_under_its_name() {
    let live = with(vec![of_python("minio-backup-x7k2p", "m")]);
    let steps = planned(asks(key("m"), timing()), stored(), &live);
    let (taken, labels) = &steps.taken[0];
    assert_eq!(taken.name_any(), "minio-backup-x7k2p");
    assert_eq!(labels["velero-operator/application"], "velero");
    assert_eq!(labels["model"], "m");
    assert_eq!(steps.applied[0].name_any(), "minio-backup-x7k2p");
    assert!(steps.deleted.is_empty());

    let ours = written(steps.applied[0].clone(), FIELD_MANAGER, "Apply");
    let live = with(vec![ours]);
    assert!(planned(asks(key("m"), timing()), stored(), &live).is_empty());
}

#[test]
fn schedule_that_two_models_fought_for_goes_to_its_own() {
    let mut both = asks(key("a"), timing());
    both.wanted.extend(asks(key("m"), timing()).wanted);
    let live = with(vec![of_python("theirs", "m")]);
    let steps = planned(both, stored(), &live);
    let names: Vec<_> = steps
        .applied
        .iter()
        .map(kube::ResourceExt::name_any)
        .collect();
    assert_eq!(names, [key("a").name(), "theirs".to_owned()]);
    let steps = planned(asks(key("a"), timing()), stored(), &live);
    assert_eq!(
        steps.taken[0].0.name_any(),
        "theirs",
        "its model was never said"
    );
}

#[test]
fn schedules_of_users_are_left_alone() {
    let mut theirs = of_python("theirs", "m");
    theirs.metadata.managed_fields = None;
    let live = with(vec![theirs]);
    let steps = planned(asks(key("m"), timing()), stored(), &live);
    assert!(steps.taken.is_empty() && steps.deleted.is_empty());
    assert_eq!(steps.applied[0].name_any(), key("m").name());
}

#[test]
fn word_to_skip_is_said_at_birth_and_when_a_pause_ends() {
    let skips = |paused| Timing {
        paused: Some(paused),
        skip_immediately: Some(true),
        ..timing()
    };
    let mut born = applied(asks(key("m"), skips(false)), &with(vec![]));
    assert_eq!(born.data["spec"]["skipImmediately"], true);
    // Velero takes it back, and owns it from then on.
    born.data["spec"]["skipImmediately"] = false.into();
    let entries = born.metadata.managed_fields.as_mut().unwrap();
    let spec = entries[0]
        .fields_v1
        .as_mut()
        .unwrap()
        .0
        .get_mut("f:spec")
        .unwrap();
    spec.as_object_mut().unwrap().remove("f:skipImmediately");
    let live = with(vec![born]);
    assert!(planned(asks(key("m"), skips(false)), stored(), &live).is_empty());

    let paused = applied(asks(key("m"), skips(true)), &live);
    assert_eq!(paused.data["spec"]["paused"], true);
    let live = with(vec![paused]);
    assert!(planned(asks(key("m"), skips(true)), stored(), &live).is_empty());
    let goes_on = applied(asks(key("m"), skips(false)), &live);
    assert_eq!(goes_on.data["spec"]["skipImmediately"], true);
}

#[test]
fn schedule_rests_while_there_is_no_store() {
    let made = applied(asks(key("m"), timing()), &with(vec![]));
    let live = with(vec![made]);
    let steps = planned(asks(key("m"), timing()), Intent::None, &live);
    assert_eq!(steps.applied[0].data["spec"]["paused"], true);
    let rests = written(steps.applied[0].clone(), FIELD_MANAGER, "Apply");
    let live = with(vec![rests]);
    assert!(planned(asks(key("m"), timing()), Intent::None, &live).is_empty());
    let steps = planned(asks(key("m"), timing()), stored(), &live);
    assert_eq!(steps.applied[0].data["spec"].get("paused"), None::<&Value>);
    let none = planned(asks(key("m"), timing()), Intent::None, &with(vec![]));
    assert!(none.is_empty(), "its Backups would fail, and stay");
    assert!(
        planned(asks(key("m"), timing()), kept(), &with(vec![]))
            .applied
            .len()
            == 1
    );
}
