use std::cmp::Reverse;

use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::*;

mod reasons;

const STARTED: &str = "2026-01-01T10:00:00Z";
const NOW: &str = "2026-01-01T10:00:05Z";

fn deployment(status: &Value) -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"name": "velero", "generation": 2},
        "spec": {"replicas": 1, "selector": {}, "template": {}},
        "status": status,
    }))
    .unwrap()
}

fn rolled_out() -> Value {
    json!({"observedGeneration": 2, "updatedReplicas": 1, "replicas": 1, "availableReplicas": 1})
}

fn pod(statuses: &Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "velero-1", "labels": {"deploy": "velero"}},
        "status": statuses,
    }))
    .unwrap()
}

fn container(state: &Value, ready: bool) -> Value {
    json!({"name": "velero", "image": "velero:v1", "imageID": "", "restartCount": 0, "ready": ready, "state": state})
}

fn healthy_pod() -> Pod {
    let state = json!({"running": {"startedAt": STARTED}});
    pod(&json!({"containerStatuses": [container(&state, true)]}))
}

fn waiting_pod(list: &str, reason: &str) -> Pod {
    let state = json!({"waiting": {"reason": reason, "message": "because"}});
    pod(&json!({list: [container(&state, false)]}))
}

fn location(phase: &str, validated: &str, changed: &str) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "velero.io/v1", "kind": "BackupStorageLocation",
        "metadata": {"name": "default", "managedFields": [
            {"manager": "velero-operator", "operation": "Apply", "time": changed},
            {"manager": "velero-server", "operation": "Update", "time": "2027-01-01T00:00:00Z"},
        ]},
        "status": {"phase": phase, "message": "it is unavailable: no such thing",
                   "lastValidationTime": validated},
    }))
    .unwrap()
}

use kube::api::DynamicObject;

fn running(server: Deployment, pods: Vec<Pod>, location: Option<DynamicObject>) -> Running {
    Running {
        servers: [(server.name_any(), server)].into(),
        pods: pods.into_iter().map(|pod| (pod.name_any(), pod)).collect(),
        locations: location
            .into_iter()
            .map(|live| (live.name_any(), live))
            .collect(),
        ..Running::default()
    }
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn expected(location: Judged) -> Expected {
    Expected {
        server: Presence::Yes,
        node_agent: Presence::No,
        location,
    }
}

fn server_of(status: &Value, pods: Vec<Pod>) -> PartHealth {
    assess(
        &running(deployment(status), pods, None),
        &expected(Judged::No),
        now(),
    )
    .server
}

fn location_of(live: DynamicObject, wanted: Judged) -> PartHealth {
    let world = running(deployment(&rolled_out()), vec![healthy_pod()], Some(live));
    assess(&world, &expected(wanted), now()).location
}

fn is_pending(part: &PartHealth) -> bool {
    matches!(part, PartHealth::Pending(_))
}

#[test]
fn a_rolled_out_server_with_a_ready_pod_is_good() {
    assert_eq!(
        server_of(&rolled_out(), vec![healthy_pod()]),
        PartHealth::Good
    );
}

#[test]
fn an_older_generation_or_too_few_replicas_is_on_its_way() {
    for (field, value) in [
        ("observedGeneration", 1),
        ("updatedReplicas", 0),
        ("availableReplicas", 0),
    ] {
        let mut status = rolled_out();
        status[field] = json!(value);
        assert!(
            is_pending(&server_of(&status, vec![healthy_pod()])),
            "{field}"
        );
    }
}

#[test]
fn containers_decide_even_when_the_deployment_says_available() {
    let part = server_of(
        &rolled_out(),
        vec![waiting_pod("containerStatuses", "CrashLoopBackOff")],
    );
    assert!(matches!(part, PartHealth::Bad(why) if why.cause.contains("`CrashLoopBackOff`")));
}

#[test]
fn failure_of_a_pod_about_to_be_replaced_is_not_shown() {
    for (field, value) in [("observedGeneration", 1), ("updatedReplicas", 0)] {
        let mut status = rolled_out();
        status[field] = json!(value);
        let old = waiting_pod("containerStatuses", "ImagePullBackOff");
        assert!(is_pending(&server_of(&status, vec![old])), "{field}");
    }
}

#[test]
fn a_container_that_has_just_come_back_from_a_failure_is_not_trusted_yet() {
    let came_back = |exit_code: i32| {
        let mut container = container(&json!({"running": {"startedAt": STARTED}}), true);
        container["lastState"] = json!({"terminated": {"exitCode": exit_code}});
        server_of(
            &rolled_out(),
            vec![pod(&json!({"containerStatuses": [container]}))],
        )
    };
    assert!(is_pending(&came_back(1)));
    assert_eq!(came_back(0), PartHealth::Good);
}

#[test]
fn a_unit_that_does_not_lead_waits_for_the_one_that_does() {
    let health = assess(&Running::default(), &expected(Judged::Yes), now());
    assert_eq!(
        health.server,
        PartHealth::Pending("the leader to install Velero".into())
    );
}

#[test]
fn an_image_that_cannot_be_pulled_is_named_the_plugins_too() {
    for list in ["containerStatuses", "initContainerStatuses"] {
        let part = server_of(&rolled_out(), vec![waiting_pod(list, "ImagePullBackOff")]);
        assert!(
            matches!(part, PartHealth::Bad(why) if why.cause.contains("`ImagePullBackOff` of image `velero:v1`"))
        );
    }
}

#[test]
fn the_first_failed_pull_is_not_the_last_word() {
    let mut status = rolled_out();
    status["availableReplicas"] = json!(0);
    let part = server_of(
        &status,
        vec![waiting_pod("containerStatuses", "ErrImagePull")],
    );
    assert!(
        matches!(part, PartHealth::Pending(text) if text.contains("`ErrImagePull` of image `velero:v1`"))
    );
}

#[test]
fn an_unschedulable_pod_gives_the_schedulers_reason() {
    let pod = pod(&json!({"conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: \
                    1 No preemption victims found for incoming pod.",
    }]}));
    let part = server_of(&rolled_out(), vec![pod]);
    assert!(matches!(part, PartHealth::Bad(why) if why.cause.contains(": 1 Insufficient cpu")));
}

#[test]
fn a_pod_on_its_way_out_is_not_looked_at() {
    let mut leaving = waiting_pod("containerStatuses", "CrashLoopBackOff");
    leaving.metadata.name = Some("velero-0".into());
    leaving.metadata.deletion_timestamp = serde_json::from_value(json!(STARTED)).unwrap();
    assert_eq!(
        server_of(&rolled_out(), vec![leaving, healthy_pod()]),
        PartHealth::Good
    );
}

#[test]
fn a_pod_that_has_ended_for_good_does_not_count() {
    for (phase, reason) in [
        ("Failed", "Evicted"),
        ("Failed", "NodeAffinity"),
        ("Failed", "Preempting"),
        ("Succeeded", "Terminated"),
        ("Unknown", "NodeLost"),
    ] {
        let ended = [
            json!({"phase": phase, "reason": reason}),
            json!({"phase": phase, "reason": reason, "containerStatuses": [
                container(&json!({"waiting": {"reason": "CreateContainerError"}}), false),
            ]}),
            json!({"phase": phase, "reason": reason, "conditions": [{
                "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            }]}),
        ];
        for status in ended {
            let mut dead = pod(&status);
            dead.metadata.name = Some("velero-0".into());
            let part = server_of(&rolled_out(), vec![dead, healthy_pod()]);
            assert_eq!(part, PartHealth::Good, "{status}");
        }
    }
}

#[test]
fn a_server_works_as_long_as_a_container_of_it_runs() {
    let works = |pods: Vec<Pod>| {
        let running = running(deployment(&json!({})), pods, None);
        working(&running.pods, velero::SERVER_PODS) == Working::Yes
    };
    let mut leaving = healthy_pod();
    leaving.metadata.deletion_timestamp = serde_json::from_value(json!(STARTED)).unwrap();
    let unready = container(&json!({"running": {"startedAt": STARTED}}), false);
    let init = pod(&json!({"initContainerStatuses": [unready]}));
    let mut other = healthy_pod();
    other.metadata.labels = None;

    assert!(works(vec![healthy_pod()]));
    assert!(works(vec![leaving]));
    assert!(works(vec![pod(&json!({"containerStatuses": [unready]}))]));
    assert!(!works(vec![init]), "the plugin is being copied");
    assert!(!works(vec![other]));
    assert!(!works(vec![waiting_pod(
        "containerStatuses",
        "CrashLoopBackOff"
    )]));
    assert!(!works(vec![pod(&json!({"phase": "Failed"}))]));
}

#[test]
fn a_refused_pod_gives_the_api_servers_reason() {
    let part = server_of(
        &json!({"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "too bold"}]}),
        vec![],
    );
    assert!(matches!(part, PartHealth::Bad(why) if why.cause.contains("too bold")));
}

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

#[test]
fn a_node_agent_is_good_when_all_of_it_is_ready() {
    let agent = |ready: i32| -> DaemonSet {
        serde_json::from_value(json!({
            "metadata": {"name": "node-agent", "generation": 1},
            "status": {"observedGeneration": 1, "desiredNumberScheduled": 2, "numberReady": ready,
                       "currentNumberScheduled": 2, "numberMisscheduled": 0,
                       "updatedNumberScheduled": 2},
        }))
        .unwrap()
    };
    let agents = |agent: DaemonSet| {
        let world = Running {
            node_agents: [("node-agent".to_owned(), agent)].into(),
            ..Running::default()
        };
        node_agent(world.node_agent(), &world, now())
    };
    assert_eq!(agents(agent(2)), PartHealth::Good);
    let part = agents(agent(1));
    assert_eq!(
        part,
        PartHealth::Pending("the node agent to start (1 of 2 ready)".into())
    );
}

#[test]
fn node_agents_that_the_api_server_refuses_are_explained_by_the_last_event() {
    let agent: DaemonSet = serde_json::from_value(json!({
        "metadata": {"name": "node-agent", "uid": "u"},
        "spec": {"selector": {}, "template": {}},
        "status": {"desiredNumberScheduled": 1, "currentNumberScheduled": 0,
                   "numberMisscheduled": 0, "numberReady": 0},
    }))
    .unwrap();
    let event = |uid: &str, at: &str, why: &str| -> Event {
        serde_json::from_value(json!({
            "metadata": {}, "involvedObject": {"uid": uid}, "lastTimestamp": at,
            "message": format!("Error creating: pods \"node-agent-x1\" is forbidden: {why}"),
        }))
        .unwrap()
    };
    let refusals = BTreeMap::from([
        ("a".to_owned(), event("u", STARTED, "exceeded quota")),
        (
            "b".to_owned(),
            event(
                "u",
                NOW,
                "violates PodSecurity \"baseline:latest\": hostPath",
            ),
        ),
        (
            "c".to_owned(),
            event("earlier", "2027-01-01T00:00:00Z", "of another one"),
        ),
    ]);
    let running = Running {
        node_agents: [("node-agent".to_owned(), agent)].into(),
        refusals,
        ..running(deployment(&rolled_out()), vec![healthy_pod()], None)
    };
    let expected = Expected {
        node_agent: Presence::Yes,
        ..expected(Judged::No)
    };
    assert_eq!(
        assess(&running, &expected, now()).node_agent,
        PartHealth::Bad(Clause::new(
            "label the namespace `pod-security.kubernetes.io/enforce=privileged`",
            "the node agent's pods are refused: violates PodSecurity \"baseline:latest\": hostPath"
        ))
    );
}

#[test]
fn part_that_is_left_as_it_is_counts_only_if_it_is_there() {
    let as_it_is = Expected {
        server: Presence::AsItIs,
        node_agent: Presence::AsItIs,
        location: Judged::AsItIs,
    };
    let live = location("Unavailable", NOW, STARTED);
    let with = running(deployment(&rolled_out()), vec![healthy_pod()], Some(live));
    let without = running(deployment(&rolled_out()), vec![healthy_pod()], None);

    let health = assess(&without, &as_it_is, now());
    assert_eq!(health.parts(), [&PartHealth::Good; 3]);
    let health = assess(&with, &as_it_is, now());
    assert!(matches!(health.location, PartHealth::Bad(_)), "{health:?}");
}

/// A pod of a workload with one container, on a node.
fn pod_of(label: (&str, &str), container: &str, status: &Value) -> Pod {
    let (key, value) = label;
    serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "ns", "labels": {key: value}},
        "spec": {"nodeName": "worker-2", "containers": [{
            "name": container, "resources": {"limits": {"memory": "512Mi"}},
        }], "initContainers": [{"name": "storage-plugin-tape"}]},
        "status": status,
    }))
    .unwrap()
}

/// A container that runs since then, after a failure.
fn returned(name: &str, started: &str, ended: &Value, restarts: u32) -> Value {
    json!({
        "name": name, "image": "velero:v1", "imageID": "", "restartCount": restarts, "ready": true,
        "state": {"running": {"startedAt": started}}, "lastState": {"terminated": ended},
    })
}

fn clause(part: PartHealth) -> Clause {
    match part {
        PartHealth::Bad(clause) | PartHealth::Later(clause) => clause,
        other => panic!("{other:?}"),
    }
}

const DEPLOY: (&str, &str) = ("deploy", "velero");
const AGENT: (&str, &str) = ("name", "node-agent");

#[test]
fn memory_that_was_too_little_is_named_with_its_limit() {
    let killed =
        |finished: &str| json!({"exitCode": 137, "reason": "OOMKilled", "finishedAt": finished});
    let after = |finished: &str| {
        let status = returned("velero", finished, &killed(finished), 1);
        let pod = pod_of(DEPLOY, "velero", &json!({"containerStatuses": [status]}));
        server_of(&rolled_out(), vec![pod])
    };
    let bad = after("2026-01-01T00:00:00Z");
    assert!(matches!(bad, PartHealth::Bad(_)), "{bad:?}");
    let clause = clause(bad);
    assert_eq!(clause.advice, "set `memory-limit` to 1024Mi");
    assert_eq!(
        clause.cause,
        "the Velero server was killed for memory at 512Mi"
    );
    assert_eq!(
        after("2025-12-31T09:00:00Z"),
        PartHealth::Good,
        "a day later"
    );
}

#[test]
fn starved_container_without_a_limit_lacks_room_on_its_node() {
    let state = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
    let mut status = container(&state, false);
    status["name"] = json!("storage-plugin-tape");
    let pod = pod_of(
        DEPLOY,
        "velero",
        &json!({"initContainerStatuses": [status]}),
    );
    let clause = clause(server_of(&rolled_out(), vec![pod]));
    assert_eq!(clause.advice, "make room in the memory of node `worker-2`");
    assert!(
        clause
            .cause
            .starts_with("container `storage-plugin-tape` of the Velero server")
    );
}

#[test]
fn failure_counts_until_the_container_has_run_for_a_while() {
    let failed = |from: &str, to: &str| json!({"exitCode": 1, "startedAt": from, "finishedAt": to});
    let short = failed("2026-01-01T09:56:00Z", "2026-01-01T09:57:00Z");
    let long = failed("2026-01-01T00:00:00Z", "2026-01-01T09:57:00Z");
    let part = |started: &str, ended: &Value, restarts: u32| {
        let status = returned("velero", started, ended, restarts);
        server_of(
            &rolled_out(),
            vec![pod(&json!({"containerStatuses": [status]}))],
        )
    };
    let (lately, before) = ("2026-01-01T09:58:00Z", "2026-01-01T09:50:00Z");

    let once = part(lately, &short, 1);
    assert!(matches!(once, PartHealth::Later(_)), "{once:?}");
    assert_eq!(
        clause(once),
        Clause::new(
            "waiting for the Velero server to run for 10 minutes",
            "it ended with exit code 1 at 2026-01-01 09:57Z"
        )
    );
    assert!(
        matches!(part(lately, &long, 7), PartHealth::Later(_)),
        "no loop"
    );
    let looping = part(lately, &short, 2);
    assert!(
        matches!(&looping, PartHealth::Bad(clause) if clause.cause.contains("`CrashLoopBackOff`"))
    );
    for restarts in [1, 2, 7] {
        assert_eq!(part(before, &short, restarts), PartHealth::Good);
    }
}

#[test]
fn node_that_is_down_is_named_with_since_when() {
    let lost = |since: &str| {
        let status = json!({
            "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": since}],
            "containerStatuses": [{
                "name": "node-agent", "image": "v", "imageID": "", "restartCount": 0, "ready": true,
                "state": {"running": {"startedAt": STARTED}},
            }],
        });
        let agent = agent_set(&json!({
            "observedGeneration": 1, "updatedNumberScheduled": 3, "currentNumberScheduled": 3,
            "desiredNumberScheduled": 3, "numberReady": 2, "numberMisscheduled": 0,
        }));
        let mut world = running(deployment(&rolled_out()), vec![], None);
        world.pods = [("p".to_owned(), pod_of(AGENT, "node-agent", &status))].into();
        node_agent(Some(&agent), &world, now())
    };
    let cause = "the node agent on it has not been ready since 2026-01-01 09:55Z";
    let waits = lost("2026-01-01T09:55:00Z");
    assert!(matches!(waits, PartHealth::Later(_)), "{waits:?}");
    assert_eq!(
        clause(waits),
        Clause::new("waiting for node `worker-2` to come back", cause)
    );
    let bad = lost("2026-01-01T09:50:00Z");
    assert!(matches!(bad, PartHealth::Bad(_)), "{bad:?}");
    assert!(
        clause(bad)
            .advice
            .contains("`kubectl delete node worker-2`")
    );
}

fn agent_set(status: &Value) -> DaemonSet {
    serde_json::from_value(json!({
        "metadata": {"name": "node-agent", "namespace": "ns", "generation": 1, "managedFields": [
            {"manager": "velero-operator", "operation": "Apply", "time": "2026-01-01T09:00:00Z"},
        ]},
        "spec": {"selector": {}, "template": {}},
        "status": status,
    }))
    .unwrap()
}

#[test]
fn pods_on_their_way_for_too_long_are_reported() {
    let creating = |created: &str| {
        let mut pod = pod_of(AGENT, "node-agent", &json!({}));
        pod.metadata.creation_timestamp = serde_json::from_value(json!(created)).unwrap();
        let agent = agent_set(&json!({
            "observedGeneration": 1, "updatedNumberScheduled": 1, "currentNumberScheduled": 1,
            "desiredNumberScheduled": 1, "numberReady": 0, "numberMisscheduled": 0,
        }));
        let mut world = running(deployment(&rolled_out()), vec![], None);
        world.pods = [("p".to_owned(), pod)].into();
        node_agent(Some(&agent), &world, now())
    };
    assert!(is_pending(&creating("2026-01-01T09:51:00Z")));
    assert_eq!(
        clause(creating("2026-01-01T09:50:00Z")),
        Clause::new(
            "see `kubectl describe pods -n ns -l name=node-agent`",
            "the node agent has not been ready since 2026-01-01 09:50Z (0 of 1 ready)"
        )
    );

    let server = |transition: &str, written: &str| {
        let mut status = rolled_out();
        status["availableReplicas"] = json!(0);
        status["conditions"] =
            json!([{"type": "Available", "status": "False", "lastTransitionTime": transition}]);
        let mut live = deployment(&status);
        live.metadata.managed_fields = serde_json::from_value(json!([
            {"manager": "velero-operator", "operation": "Apply", "time": written},
        ]))
        .unwrap();
        let world = running(live, vec![], None);
        assess(&world, &expected(Judged::No), now()).server
    };
    let long_ago = "2026-01-01T00:00:00Z";
    assert!(matches!(server(long_ago, long_ago), PartHealth::Bad(_)));
    assert!(is_pending(&server(STARTED, long_ago)));
    assert!(
        is_pending(&server(long_ago, STARTED)),
        "what was written is on its way"
    );
}

#[test]
fn server_that_is_about_to_start_works_on_nothing_older() {
    let of = |status: &Value| {
        let mut pod = pod(status);
        pod.metadata.creation_timestamp = serde_json::from_value(json!(STARTED)).unwrap();
        working(&[("p".to_owned(), pod)].into(), velero::SERVER_PODS)
    };
    let since = |time: &str| Working::OnWhatBeganSince(Reverse(time.parse().unwrap()));

    assert_eq!(of(&json!({"phase": "Pending"})), since(STARTED));
    let later = "2026-01-01T11:00:00Z";
    let mut looping = container(&json!({"waiting": {"reason": "CrashLoopBackOff"}}), false);
    looping["lastState"] = json!({"terminated": {"exitCode": 1, "finishedAt": later}});
    assert_eq!(of(&json!({"containerStatuses": [looping]})), since(later));
    assert_eq!(of(&json!({"phase": "Failed"})), Working::No);
}
