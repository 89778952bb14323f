use std::cmp::Reverse;

use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::*;

mod lasting;
mod reasons;
mod verdicts;

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

/// The managed fields of an object that was last written at this time.
fn written(at: &str) -> Value {
    json!([{"manager": "velero-operator", "operation": "Apply", "time": at}])
}

#[test]
fn a_refusal_of_an_earlier_deployment_is_waited_for_a_while() {
    let part = |refused: &str, changed: &str| {
        let failure = json!({"type": "ReplicaFailure", "status": "True", "message": "too bold",
                             "lastTransitionTime": refused});
        let mut server =
            serde_json::to_value(deployment(&json!({"conditions": [failure]}))).unwrap();
        server["metadata"]["managedFields"] = written(changed);
        let server: Deployment = serde_json::from_value(server).unwrap();
        super::server(Some(&server), &BTreeMap::new(), now())
    };
    let is_told =
        |part: PartHealth| matches!(part, PartHealth::Bad(why) if why.cause.contains("too bold"));
    assert!(is_pending(&part("2026-01-01T09:59:59Z", STARTED)));
    assert!(is_told(part(STARTED, STARTED)), "of this one");
    let (earlier, long_ago) = ("2026-01-01T09:56:59Z", "2026-01-01T09:57:00Z");
    assert!(is_told(part(earlier, long_ago)), "of this one, too, by now");
}

#[test]
fn a_pod_that_lacked_its_service_account_is_waited_for() {
    let lacks = "pods \"velero-1-\" is forbidden: error looking up service account x/velero: \
                 serviceaccount \"velero\" not found";
    let failure = json!({"type": "ReplicaFailure", "status": "True", "message": lacks});
    assert!(is_pending(&server_of(
        &json!({"conditions": [failure]}),
        vec![]
    )));
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
    let part = refused_agent_of(
        STARTED,
        vec![
            refusal("u", STARTED, "exceeded quota"),
            refusal(
                "u",
                NOW,
                "violates PodSecurity \"baseline:latest\": hostPath",
            ),
            refusal("earlier", "2027-01-01T00:00:00Z", "of another one"),
        ],
    );
    assert_eq!(
        part,
        PartHealth::Bad(Clause::new(
            "label the namespace `pod-security.kubernetes.io/enforce=privileged`",
            "the node agent's pods are refused: violates PodSecurity \"baseline:latest\": hostPath"
        ))
    );
}

#[test]
fn a_refusal_of_an_earlier_node_agent_is_waited_for() {
    let before = refusal("u", "2026-01-01T09:59:59Z", "exceeded quota");
    assert!(is_pending(&refused_agent_of(STARTED, vec![before])));
    let lacks = "error looking up service account x/velero: serviceaccount \"velero\" not found";
    let lacks = refusal("u", NOW, lacks);
    assert!(is_pending(&refused_agent_of(STARTED, vec![lacks])));
}

/// A node agent of which the API server took no pod, as events tell.
fn refused_agent_of(changed: &str, events: Vec<Event>) -> PartHealth {
    let agent: DaemonSet = serde_json::from_value(json!({
        "metadata": {"name": "node-agent", "uid": "u", "managedFields": written(changed)},
        "spec": {"selector": {}, "template": {}},
        "status": {"desiredNumberScheduled": 1, "currentNumberScheduled": 0,
                   "numberMisscheduled": 0, "numberReady": 0},
    }))
    .unwrap();
    let named = events.into_iter().enumerate();
    let running = Running {
        node_agents: [("node-agent".to_owned(), agent)].into(),
        refusals: named
            .map(|(number, event)| (number.to_string(), event))
            .collect(),
        ..running(deployment(&rolled_out()), vec![healthy_pod()], None)
    };
    let expected = Expected {
        node_agent: Presence::Yes,
        ..expected(Judged::No)
    };
    assess(&running, &expected, now()).node_agent
}

fn refusal(of: &str, at: &str, why: &str) -> Event {
    serde_json::from_value(json!({
        "metadata": {}, "involvedObject": {"uid": of}, "lastTimestamp": at,
        "message": format!("Error creating: pods \"node-agent-x1\" is forbidden: {why}"),
    }))
    .unwrap()
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
