//! What the API server refuses: to the charm while it is trusted, and pods to their controllers.

use jiff::Timestamp;
use kube_stack::proxy::{Asked, Fault, Refusal, Rule};
use kube_stack::{DEADLINE, until};
use serde_json::json;
use worlds::operator;
use worlds::plane::{LightWorld, Plane, Trial};

use crate::here;

const REFUSAL: &str = "-o=jsonpath={range .status.conditions[?(@.type=='ReplicaFailure')]}\
                       {.lastTransitionTime} {.message}{end}";

#[tokio::test]
async fn an_action_names_what_no_role_allows() {
    let plane = Plane::shared().await.unwrap();
    let mut trial = Trial::open(&plane, "narrow-role").await.unwrap();
    let trusted = juju_emulator::DeployOptions::trusted();
    trial.world.deploy(trusted).await.unwrap();
    trial.world.connect().await.unwrap();
    let locations = |asked: &Asked| asked.path.contains("/backupstoragelocations");
    let refuse = Fault::Refuse(Refusal::Forbidden);
    trial.proxy.play(vec![Rule::every(locations, refuse)]);

    let outcome = operator::run(&mut trial.world.juju, "backup get")
        .await
        .unwrap();

    assert_eq!(outcome.status, "failed");
    for part in [
        "not trusted to get resource \"backupstoragelocations\"",
        "run `juju trust velero-operator --scope=cluster`",
    ] {
        assert!(outcome.message.contains(part), "{}", outcome.message);
    }
}

/// Until the server's pod is refused for this, and what happens now has a later time: they are whole seconds.
async fn until_pods_are_refused(world: &LightWorld, because: &str) {
    let has_been_refused = async || {
        let told = here(world, &["get", "deployment", "velero", REFUSAL]).await;
        told.split_once(' ').is_some_and(|(since, message)| {
            let since: Timestamp = since.parse().unwrap();
            message.contains(because) && since.as_second() < Timestamp::now().as_second()
        })
    };
    until("the pod has been refused", DEADLINE, has_been_refused)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_refusal_that_a_missing_service_account_left_is_waited_out() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "account-gone").await.unwrap();
    world.config("use-node-agent", "true").await.unwrap();
    here(&world, &["delete", "serviceaccount", "velero"]).await;
    here(&world, &["delete", "pods", "-l", "component=velero"]).await;
    until_pods_are_refused(&world, "serviceaccount \"velero\" not found").await;

    world.update_status().await.unwrap();

    world.expect_status("active: ").unwrap();
}

#[tokio::test]
async fn a_refusal_of_what_the_hook_has_just_undone_is_waited_out() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "undone").await.unwrap();
    let enforced = "pod-security.kubernetes.io/enforce=restricted";
    let labelled = ["label", "namespace", &world.namespace, enforced];
    world.kubectl(&labelled).await.unwrap();
    let bold = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "velero", "securityContext": {"allowPrivilegeEscalation": true}},
    ]}}}});
    let bold = bold.to_string();
    here(&world, &["patch", "deployment", "velero", "-p", &bold]).await;
    until_pods_are_refused(&world, "allowPrivilegeEscalation").await;

    world.update_status().await.unwrap();

    world.expect_status("active: ").unwrap();
}
