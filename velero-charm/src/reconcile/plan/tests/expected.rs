//! What is to be seen once a plan is carried out.

use super::*;

fn expected(core: Result<Core, Problems>, storage: Intent, live: &Live) -> Expected {
    drafted(core, storage, &Readings::new(), live).expected
}

fn invalid() -> Result<Core, Problems> {
    Err(Problem::missing("velero-image", "set it").into())
}

#[test]
fn expectation_follows_what_is_asked_for() {
    let stored = || set(storage(None, "file"));
    let live = world(&core(), stored());
    for (intent, location) in [
        (stored(), Judged::Yes),
        (kept(), Judged::AsItIs),
        (Intent::None, Judged::No),
    ] {
        let expected = expected(Ok(core()), intent, &live);
        assert_eq!(
            expected,
            Expected {
                server: Presence::Yes,
                node_agent: Presence::No,
                location,
            }
        );
    }
    let with_agent = Core {
        node_agent: NodeAgent::On,
        ..core()
    };
    let expected = expected(Ok(with_agent), stored(), &live);
    assert_eq!(expected.node_agent, Presence::Yes);
}

#[test]
fn expectation_of_an_invalid_config_is_what_is_there() {
    for (intent, location) in [
        (set(storage(None, "file")), Judged::AsItIs),
        (kept(), Judged::AsItIs),
        (Intent::None, Judged::No),
    ] {
        let expected = expected(invalid(), intent, &Live::default());
        assert_eq!(
            expected,
            Expected {
                server: Presence::AsItIs,
                node_agent: Presence::AsItIs,
                location,
            }
        );
    }
}

#[test]
fn expectation_of_a_change_knows_the_verdict_of_before() {
    let mut live = world(&core(), set(storage(None, "old")));
    let status = json!({"phase": "Unavailable", "message": "torn"});
    live.running.locations.get_mut(LOCATION).unwrap().data["status"] = status;

    let expected = expected(Ok(core()), set(storage(None, "new")), &live);

    let Judged::Changed { before } = expected.location else {
        panic!("{expected:?}");
    };
    assert_eq!(before.message, "torn");
}

#[test]
fn labels_alone_are_put_back_without_a_change() {
    let stored = || set(storage(None, "file"));
    let mut live = world(&core(), stored());
    let location = live.running.locations.get_mut(LOCATION).unwrap();
    location.metadata.labels = None;

    let plan = drafted(Ok(core()), stored(), &Readings::new(), &live);

    assert_eq!(plan.expected.location, Judged::Yes);
    let steps = plan.stage.0;
    assert!(steps.relabelled.is_some() && steps.locations.is_empty());
    assert!(!steps.is_only_notes());
}
