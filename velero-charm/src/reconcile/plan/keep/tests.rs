use kube::api::DynamicObject;
use serde_json::json;

use super::*;
use crate::{
    cluster::FIELD_MANAGER,
    ours::{
        credential::Readings,
        keep::Grade,
        schedule::{Key, Timing},
    },
    reconcile::{
        observe::Live,
        plan::{
            clients::schedules,
            tests::{core, kept as unreadable, owned_fields, owner, place, set, storage, world},
        },
        validate::clients::{Clients, Wanted},
    },
    relations::applications::Applications,
    velero::template::Template,
};

fn key(model: &str) -> Key {
    Key {
        model: model.into(),
        app: "minio".into(),
        endpoint: "backup".into(),
    }
}

fn asked(rule: Option<&str>) -> Desired {
    let wanted = Wanted {
        relation: "velero-backups:7".into(),
        template: Template {
            ttl: Some("48h".into()),
            ..Template::default()
        },
        timing: Some(Timing {
            cron: "@daily".into(),
            paused: None,
            skip_immediately: None,
            owner_references: None,
        }),
        keep: rule.map(|text| Rule::parse(text).unwrap()),
    };
    Desired {
        core: Ok(core()),
        storage: set(storage(None, "key")),
        clients: Clients {
            wanted: [(key("m"), wanted)].into(),
            ..Clients::default()
        },
        applications: Applications::default(),
        waiting_since: None,
        complaints: Vec::new(),
    }
}

/// The Schedule that this asks for, as the API server would show it.
fn made(desired: &Desired) -> DynamicObject {
    let live = Live::default();
    let made = in_world(&live, &[], |world| schedules(&core(), desired, world));
    let mut object = made.applied.into_iter().next().unwrap();
    object.metadata.managed_fields = serde_json::from_value(json!([{
        "manager": FIELD_MANAGER, "operation": "Apply",
        "fieldsV1": {"f:spec": owned_fields(&object.data["spec"])},
    }]))
    .unwrap();
    object
}

fn in_world<T>(live: &Live, governed: &[Governed], act: impl FnOnce(World<'_>) -> T) -> T {
    let owner = owner();
    act(World {
        live,
        governed,
        readings: &Readings::new(),
        password: None,
        place: place(&owner),
        fresh_name: "fresh",
        relations: &[],
        now: Timestamp::UNIX_EPOCH,
    })
}

/// A world in which Velero can delete, with the Schedule.
fn live(desired: &Desired) -> Live {
    let mut live = world(&core(), set(storage(None, "key")));
    live.schedules = vec![made(desired)];
    let location = live.running.locations.values_mut().next().unwrap();
    location.data["status"] = json!({"phase": "Available"});
    live
}

fn backup(day: i64, state: State) -> Governed {
    Governed {
        key: key("m"),
        schedule: key("m").name(),
        name: format!("b{day}"),
        uid: format!("u{day}"),
        begun: Timestamp::from_second(day * 86_400).unwrap(),
        state,
    }
}

fn days(number: i64) -> Vec<Governed> {
    let good = |day| backup(day, State::Ended(Grade::Good));
    (0..number).map(good).collect()
}

fn gone(desired: &Desired, live: &Live, governed: &[Governed]) -> Vec<String> {
    let all = in_world(live, governed, |world| {
        surplus(desired, &Steps::default(), world)
    });
    all.into_iter().map(|one| one.backup).collect()
}

#[test]
fn backups_that_are_kept_by_the_rule_live_long() {
    let by_rule = made(&asked(Some("last 3")));
    let template = &by_rule.data["spec"]["template"];
    assert_eq!(template["ttl"], "876000h");
    assert_eq!(
        template["metadata"]["labels"]["velero-operator/kept-by"],
        "m"
    );
    let with_a_lifetime = made(&asked(None));
    let template = &with_a_lifetime.data["spec"]["template"];
    assert_eq!(template["ttl"], "48h");
    let labels = json!({"app": "minio", "endpoint": "backup", "model": "m"});
    assert_eq!(template["metadata"]["labels"], labels);
}

#[test]
fn backups_that_are_no_longer_kept_go_the_oldest_first() {
    let desired = asked(Some("last 3"));
    let live = live(&desired);
    let mut all = days(5);
    all.reverse();
    assert_eq!(gone(&desired, &live, &all), ["b0", "b1"]);
    all.truncate(3);
    assert!(gone(&desired, &live, &all).is_empty());
    assert!(gone(&asked(None), &live, &days(5)).is_empty());
}

#[test]
fn deletion_that_came_to_nothing_is_asked_for_again() {
    let desired = asked(Some("last 3"));
    let all = [days(2), vec![backup(7, State::Deleting)]].concat();
    assert_eq!(gone(&desired, &live(&desired), &all), ["b7"]);
}

#[test]
fn backups_of_strangers_are_left_alone() {
    let desired = asked(Some("last 1"));
    let live = live(&desired);
    let of_another = |change: &dyn Fn(&mut Governed)| {
        let mut all = days(5);
        all.iter_mut().for_each(change);
        gone(&desired, &live, &all)
    };
    assert_eq!(of_another(&|_| ()).len(), 4);
    assert!(of_another(&|one| one.schedule = "another".into()).is_empty());
    assert!(of_another(&|one| one.key = key("another")).is_empty());

    // The client is gone, or what it asks for is not known.
    let mut nobody = asked(Some("last 1"));
    nobody.clients = Clients::default();
    assert!(gone(&nobody, &live, &days(5)).is_empty());
    let mut by_hand = asked(Some("last 1"));
    by_hand.clients.wanted.get_mut(&key("m")).unwrap().timing = None;
    assert!(gone(&by_hand, &live, &days(5)).is_empty());

    // The Schedule is not there, or somebody else's.
    let mut without = self::live(&desired);
    without.schedules.clear();
    assert!(gone(&desired, &without, &days(5)).is_empty());
    let mut theirs = self::live(&desired);
    theirs.schedules[0]
        .labels_mut()
        .remove("velero-operator/application");
    assert!(gone(&desired, &theirs, &days(5)).is_empty());
}

#[test]
fn nothing_goes_while_velero_cannot_delete() {
    let mut desired = asked(Some("last 1"));
    let with = |said: serde_json::Value, access: &str| {
        let mut live = live(&asked(Some("last 1")));
        let location = live.running.locations.values_mut().next().unwrap();
        location.data["status"] = said;
        location.data["spec"]["accessMode"] = json!(access);
        live
    };
    let available = json!({"phase": "Available"});
    assert_eq!(
        gone(&desired, &with(available.clone(), "ReadWrite"), &days(5)).len(),
        4
    );
    let unavailable = with(json!({"phase": "Unavailable"}), "ReadWrite");
    assert!(gone(&desired, &unavailable, &days(5)).is_empty());
    assert!(gone(&desired, &with(json!({}), "ReadWrite"), &days(5)).is_empty());
    assert!(gone(&desired, &with(available, "ReadOnly"), &days(5)).is_empty());

    let live = live(&desired);
    let moving = Steps {
        locations: vec![made(&desired)],
        ..Steps::default()
    };
    let all = in_world(&live, &days(5), |world| surplus(&desired, &moving, world));
    assert!(all.is_empty(), "the location is about to be another");
    desired.storage = unreadable();
    assert!(gone(&desired, &live, &days(5)).is_empty());
}
