use provider_api::Problems;
use serde_json::json;

use super::*;
use crate::{
    ours::credential::Readings,
    reconcile::{
        observe::Live,
        plan::tests::{core, drafted, of_pods, set, set_with, storage, with_node_agent, world},
        validate::{Core, Intent},
    },
    velero::settings::{Place, Program, Settings},
};

fn backup() -> Work {
    Work {
        of_server: vec!["Backup `nightly`".into()],
        of_agents: vec![],
    }
}

fn upload() -> Work {
    Work {
        of_server: vec![],
        of_agents: vec!["DataUpload `nightly-1`".into()],
    }
}

fn changed_image() -> Core {
    Core {
        velero_image: "velero/velero:v1.18.2".into(),
        ..core()
    }
}

fn draft_of(core: Core, intent: Intent, live: &Live) -> Plan<Draft> {
    drafted(Ok::<_, Problems>(core), intent, &Readings::new(), live)
}

fn finished(core: Core, intent: Intent, live: &Live, role: Role, work: Work) -> Plan<Final> {
    let plan = draft_of(core, intent, live);
    finish(plan, role, work, Spared::default(), live.running.server())
}

#[test]
fn unit_that_may_not_write_gets_no_steps() {
    let live = Live::default();
    for role in [Role::Follows, Role::Leaves] {
        let plan = finished(
            core(),
            set(storage(None, "file")),
            &live,
            role,
            Work::default(),
        );
        assert_eq!(
            plan.expected.location,
            Judged::Yes,
            "the leader brings it, and its verdict on it counts"
        );
        assert!(plan.stage.into_parts().0.is_none(), "{role:?}");
    }
    let plan = finished(
        core(),
        set(storage(None, "file")),
        &live,
        Role::Leads,
        Work::default(),
    );
    assert!(matches!(plan.expected.location, Judged::Changed { .. }));
    assert!(!plan.stage.into_parts().0.unwrap().is_empty());
}

#[test]
fn restart_waits_for_work_in_flight() {
    let live = world(&core(), Intent::None);
    let free = finished(
        changed_image(),
        Intent::None,
        &live,
        Role::Leads,
        Work::default(),
    );
    let (steps, held) = free.stage.into_parts();
    assert!(steps.unwrap().interrupts() && held.by.is_empty());

    let held = finished(changed_image(), Intent::None, &live, Role::Leads, backup());
    let (steps, held) = held.stage.into_parts();
    assert!(steps.unwrap().is_empty());
    assert_eq!(held.by, ["Backup `nightly`"]);
}

#[test]
fn node_agents_wait_for_the_data_that_they_move() {
    let live = with_node_agent(world(&core(), Intent::None));
    let plan = finished(core(), Intent::None, &live, Role::Leads, upload());
    let (steps, held) = plan.stage.into_parts();
    assert!(steps.unwrap().is_empty());
    assert_eq!(held.by, ["DataUpload `nightly-1`"]);
}

#[test]
fn rotated_key_goes_through_in_a_backup_and_pods_stay() {
    let live = with_node_agent(world(&core(), set(storage(None, "old"))));
    let moved = set_with("tape/plugin:v2", storage(None, "new"));
    let draft = draft_of(core(), moved, &live);
    assert!(draft.stage.0.interrupts() && draft.stage.0.drops_credentials());

    let plan = finish(
        draft,
        Role::Leads,
        backup(),
        Spared::default(),
        live.running.server(),
    );

    assert!(matches!(plan.expected.location, Judged::Changed { .. }));
    let (steps, held) = plan.stage.into_parts();
    let steps = steps.unwrap();
    assert!(!steps.interrupts() && steps.install.is_none());
    assert_eq!((steps.credentials.len(), steps.locations.len()), (1, 1));
    assert!(
        !steps.drops_credentials(),
        "the backup began with the old key"
    );
    assert_eq!(held.by, ["Backup `nightly`"]);
}

#[test]
fn rotation_alone_is_not_held_by_a_backup() {
    let live = world(&core(), set(storage(None, "old")));
    let plan = finished(
        core(),
        set(storage(None, "new")),
        &live,
        Role::Leads,
        backup(),
    );
    let (steps, held) = plan.stage.into_parts();
    let steps = steps.unwrap();
    assert_eq!(held.by, Vec::<String>::new());
    assert!(!steps.drops_credentials());
    assert_eq!((steps.credentials.len(), steps.locations.len()), (1, 1));
}

#[test]
fn location_stays_while_the_pods_have_no_plugin_for_the_next() {
    let live = world(&core(), set(storage(None, "file")));
    let plan = finished(core(), Intent::None, &live, Role::Leads, backup());
    let (steps, held) = plan.stage.into_parts();
    assert!(steps.unwrap().is_empty());
    assert!(!held.by.is_empty());

    let live = world(&core(), Intent::None);
    let plan = finished(
        core(),
        set(storage(None, "file")),
        &live,
        Role::Leads,
        backup(),
    );
    assert_eq!(plan.expected.location, Judged::Yes, "it does not change");
    let steps = plan.stage.into_parts().0.unwrap();
    assert!(steps.is_only_notes() && !steps.is_empty());
}

#[test]
fn location_stays_while_the_pods_are_unknown_to_the_store() {
    let note = (Place::Note(Program::Server, "who"), json!("velero"));
    let known = || Core {
        settings: Settings::from_iter([note.clone()]),
        ..changed_image()
    };
    let mut live = world(&core(), set(storage(None, "file")));
    let by_pods = |live: &Live| {
        let plan = finished(known(), set(of_pods()), live, Role::Leads, backup());
        let (steps, held) = plan.stage.into_parts();
        assert_eq!(held.by, ["Backup `nightly`"]);
        steps.unwrap().locations.len()
    };
    assert_eq!(by_pods(&live), 0);

    let server = live.running.servers.get_mut("velero").unwrap();
    let template = &mut server.spec.as_mut().unwrap().template;
    let metadata = json!({"annotations": {"who": "\"velero\""}});
    template.metadata = serde_json::from_value(metadata).unwrap();
    assert_eq!(by_pods(&live), 1, "they are known by now");
}

#[test]
fn server_that_may_have_started_counts_as_working() {
    let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
    let made = Working::OnWhatBeganSince(Reverse("2026-01-01T11:00:00Z".parse().unwrap()));
    let began = |time: &str, working: Working| {
        let backup: DynamicObject = serde_json::from_value(serde_json::json!({
            "apiVersion": "velero.io/v1", "kind": "Backup",
            "metadata": {"name": "b", "creationTimestamp": "2026-01-01T10:00:00Z"},
            "status": {"phase": "InProgress", "startTimestamp": time},
        }))
        .unwrap();
        is_worked_on(&backup, working, now)
    };
    assert!(began("2026-01-01T11:00:01Z", made));
    assert!(!began("2026-01-01T10:59:59Z", made), "of the server before");
    assert!(began("2026-01-01T10:59:59Z", Working::Yes));
    assert!(!began("2026-01-01T11:00:01Z", Working::No));
}
