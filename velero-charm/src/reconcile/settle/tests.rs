use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;

use super::*;
use crate::reconcile::{hold::Held, plan::Judged};

const NOW: &str = "2026-01-01T10:00:05Z";

fn server(available: i32) -> Running {
    let server: Deployment = serde_json::from_value(json!({
        "metadata": {"name": "velero", "generation": 1},
        "spec": {"replicas": 1, "selector": {}, "template": {}},
        "status": {
            "observedGeneration": 1, "updatedReplicas": 1, "replicas": 1,
            "availableReplicas": available,
        },
    }))
    .unwrap();
    Running {
        servers: [("velero".to_owned(), server)].into(),
        ..Running::default()
    }
}

fn applied(done: Done, server: Presence) -> Applied {
    Applied {
        done,
        expected: Expected {
            server,
            node_agent: Presence::No,
            location: Judged::No,
        },
        held: Held::default(),
        schedules: None,
    }
}

fn waits(running: &Running, applied: &Applied) -> Wait {
    wait(running, applied, NOW.parse().unwrap())
}

#[test]
fn quiet_hook_waits_only_for_what_is_on_its_way() {
    let nothing = applied(Done::Nothing, Presence::Yes);
    assert_eq!(waits(&server(1), &nothing), Wait::No);
    assert_eq!(waits(&server(0), &nothing), Wait::ForOthers);
    assert_eq!(waits(&Running::default(), &nothing), Wait::ForOthers);
}

#[test]
fn change_is_waited_for_whatever_was_seen_before() {
    let something = applied(Done::Something, Presence::Yes);
    for running in [server(1), server(0), Running::default()] {
        assert_eq!(waits(&running, &something), Wait::ForOurs);
    }
}

#[test]
fn server_that_nobody_installs_is_not_waited_for() {
    let nothing = applied(Done::Nothing, Presence::AsItIs);
    assert_eq!(waits(&Running::default(), &nothing), Wait::No);
    assert_eq!(waits(&server(0), &nothing), Wait::ForOthers);
}

#[test]
fn change_that_is_held_back_is_not_waited_for() {
    for done in [Done::Nothing, Done::Something] {
        let held = Applied {
            held: Held {
                by: vec!["Backup `nightly`".into()],
                ..Held::default()
            },
            ..applied(done, Presence::Yes)
        };
        assert_eq!(waits(&server(0), &held), Wait::No);
    }
}

#[test]
fn node_agent_that_is_expected_is_waited_for() {
    let mut with_agent = applied(Done::Nothing, Presence::Yes);
    with_agent.expected.node_agent = Presence::Yes;
    assert_eq!(waits(&server(1), &with_agent), Wait::ForOthers);
    with_agent.expected.node_agent = Presence::AsItIs;
    assert_eq!(waits(&server(1), &with_agent), Wait::No);
}
