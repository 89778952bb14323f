//! What Velero says of the store, and from when on it counts.

use super::*;

#[test]
fn a_verdict_counts_if_it_is_younger_than_write_and_server() {
    let early = "2026-01-01T09:00:00Z";
    let late = "2026-01-01T11:00:00Z";

    let good =
        |validated, changed| location_of(location("Available", validated, changed), Judged::Yes);
    assert_eq!(good(late, early), PartHealth::Good);
    assert_eq!(
        good(late, late),
        PartHealth::Good,
        "times are whole seconds"
    );
    assert!(is_pending(&good(early, early)), "older than the server");
    assert!(is_pending(&good(STARTED, late)), "older than our write");
}

#[test]
fn a_store_that_takes_the_connection_and_says_nothing_is_not_waited_for_for_ever() {
    let asked = |at: &str, now: &str| {
        let live = location("Available", "2026-01-01T09:00:00Z", at);
        let running = running(deployment(&rolled_out()), vec![healthy_pod()], Some(live));
        assess(&running, &expected(Judged::Yes), now.parse().unwrap()).location
    };
    assert!(is_pending(&asked(STARTED, "2026-01-01T10:01:59Z")));
    let PartHealth::Bad(why) = asked(STARTED, "2026-01-01T10:02:01Z") else {
        panic!("still waited for");
    };
    assert!(why.cause.contains("does not respond"), "{why}");
}

#[test]
fn a_verdict_grows_old_unless_the_location_is_checked_at_other_times() {
    let now = "2026-01-01T10:10:00Z".parse().unwrap();
    let judged = |live: DynamicObject| {
        let running = running(deployment(&rolled_out()), vec![healthy_pod()], Some(live));
        assess(&running, &expected(Judged::Yes), now).location
    };
    let old = location("Available", STARTED, STARTED);
    let mut seldom = old.clone();
    seldom.data["spec"] = json!({"validationFrequency": "1h"});

    assert_eq!(
        judged(location("Available", "2026-01-01T10:09:00Z", STARTED)),
        PartHealth::Good
    );
    assert!(matches!(judged(old), PartHealth::Bad(_)));
    assert_eq!(judged(seldom), PartHealth::Good);
}

#[test]
fn a_bad_verdict_right_after_a_change_may_still_be_on_what_was_there_before() {
    let told = |given: &str, wanted: Judged| {
        let live = location("Unavailable", given, STARTED);
        location_of(live, wanted)
    };
    let changed = || Judged::Changed {
        before: Verdict::default(),
    };
    assert!(is_pending(&told("2026-01-01T10:00:04Z", changed())));
    assert!(!is_pending(&told("2026-01-01T10:00:03Z", changed())));
    assert!(
        !is_pending(&told("2026-01-01T10:00:06Z", changed())),
        "a clock that is ahead"
    );
    assert!(!is_pending(&told("2026-01-01T10:00:04Z", Judged::Yes)));
}

#[test]
fn a_new_credential_that_velero_has_yet_to_see_is_waited_for() {
    let told = |missed: &str, changed: &str| {
        let mut live = location("Unavailable", "2026-01-01T10:00:02Z", changed);
        live.data["spec"] = json!({"credential": {"name": "ours", "key": "cloud"}});
        let message = format!("unable to get key for secret: Secret {missed:?} not found");
        live.data["status"]["message"] = message.into();
        location_of(live, Judged::Yes)
    };
    assert!(is_pending(&told("ours", STARTED)));
    assert!(!is_pending(&told("theirs", STARTED)));
    let long_ago = "2026-01-01T09:00:00Z";
    assert!(!is_pending(&told("ours", long_ago)), "it looked again");
}

#[test]
fn the_other_locations_are_named_when_a_store_says_nothing() {
    let live = location("Available", "2026-01-01T09:00:00Z", STARTED);
    let mut running = running(
        deployment(&rolled_out()),
        vec![healthy_pod()],
        Some(live.clone()),
    );
    running.locations.insert("theirs".into(), live);
    assert!(silence(&running).cause.contains("`theirs`"));
}

#[test]
fn a_bad_verdict_gives_veleros_reason() {
    let late = "2026-01-01T11:00:00Z";
    let part = location_of(location("Unavailable", late, STARTED), Judged::Yes);
    let told = "object store unavailable: no such thing";
    assert_eq!(part, PartHealth::Bad(Clause::of_cause(told)));
}

#[test]
fn an_unknown_phase_is_told_as_velero_says_it() {
    let late = "2026-01-01T11:00:00Z";
    let of = |live: DynamicObject| match location_of(live, Judged::Yes) {
        PartHealth::Bad(why) => why.to_string(),
        other => panic!("{other:?}"),
    };
    let told = of(location("Throttled", late, STARTED));
    let see = "see `kubectl describe backupstoragelocations.velero.io default -n `: Velero reports \
               `Throttled` for the object store";
    let expected = format!("{see}: no such thing");
    assert_eq!(told, expected);
    let mut silent = location("Throttled", late, STARTED);
    silent.data["status"]["message"] = Value::Null;
    assert_eq!(of(silent), see);
}

#[test]
fn a_verdict_without_a_readable_time_is_a_verdict() {
    for time in [json!("at noon"), Value::Null] {
        let judged = |phase: &str, wanted: Judged| {
            let mut live = location(phase, STARTED, STARTED);
            live.data["status"]["lastValidationTime"] = time.clone();
            location_of(live, wanted)
        };
        assert_eq!(judged("Available", Judged::Yes), PartHealth::Good);
        assert!(matches!(
            judged("Unavailable", Judged::Yes),
            PartHealth::Bad(_)
        ));
        assert!(is_pending(&judged("", Judged::Yes)), "never judged");
    }
}

#[test]
fn verdict_from_before_a_change_is_no_news() {
    let before = location::verdict(&location("Available", STARTED, STARTED));
    let told = |phase, at, changed| {
        let before = before.clone();
        location_of(location(phase, at, changed), Judged::Changed { before })
    };

    assert!(is_pending(&told("Available", STARTED, STARTED)));
    assert!(matches!(
        told("Unavailable", STARTED, STARTED),
        PartHealth::Bad(_)
    ));
    let late = "2026-01-01T11:00:00Z";
    assert_eq!(told("Available", late, STARTED), PartHealth::Good);
    assert_eq!(
        told("Available", late, "2026-01-01T12:00:00Z"),
        PartHealth::Good,
        "clocks may differ"
    );
}

#[test]
fn location_is_not_reported_without_a_server() {
    let live = location("Available", "2026-01-01T11:00:00Z", STARTED);
    let world = running(deployment(&json!({})), vec![], Some(live));
    let health = assess(&world, &expected(Judged::Yes), now());

    assert_eq!(health.location, PartHealth::Pending(String::new()));
    assert!(!health.is_settled());
}
