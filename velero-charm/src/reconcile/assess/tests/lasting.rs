//! What lasts: too little memory, failures again and again, a node that is down, pods that never come.

use super::*;

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
    let short = failed("2026-01-01T09:55:00Z", "2026-01-01T09:57:00Z");
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

/// The cause of a loop, such as a ConfigMap that cannot be read, can be removed without a new pod.
#[test]
fn loop_that_is_outlived_by_far_is_over_and_not_good() {
    let part = |life: i64, age: i64| {
        let ago = |seconds: i64| (now() - SignedDuration::from_secs(seconds)).to_string();
        let ended = json!({
            "exitCode": 1, "startedAt": ago(age + 5 + life), "finishedAt": ago(age + 5),
        });
        let status = returned("velero", &ago(age), &ended, 5);
        let pods = vec![pod(&json!({"containerStatuses": [status]}))];
        server_of(&rolled_out(), pods)
    };
    for (life, loops, is_over) in [(0, 59, 60), (29, 59, 60), (100, 199, 200)] {
        let (before, after) = (part(life, loops), part(life, is_over));
        assert!(matches!(before, PartHealth::Bad(_)), "{life}: {before:?}");
        assert!(matches!(after, PartHealth::Later(_)), "{life}: {after:?}");
    }
    for life in [0, 400, 599] {
        assert_eq!(part(life, 600), PartHealth::Good, "{life}");
        let again = part(life, life.max(14));
        assert!(matches!(again, PartHealth::Bad(_)), "{life}: {again:?}");
    }
}

#[test]
fn init_container_that_ended_well_is_in_no_loop() {
    let (began, failed) = ("2026-01-01T09:50:00Z", "2026-01-01T09:50:01Z");
    let failure = json!({"exitCode": 1, "startedAt": began, "finishedAt": failed});
    let part = |code: u8| {
        let state = json!({
            "terminated": {"exitCode": code, "startedAt": failed, "finishedAt": failed},
        });
        let mut init = container(&state, code == 0);
        init["lastState"] = json!({"terminated": failure});
        init["restartCount"] = json!(3);
        let server = container(&json!({"running": {"startedAt": STARTED}}), true);
        let status = json!({"initContainerStatuses": [init], "containerStatuses": [server]});
        server_of(&rolled_out(), vec![pod(&status)])
    };
    assert_eq!(part(0), PartHealth::Good);
    assert!(matches!(part(1), PartHealth::Bad(_)));
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
