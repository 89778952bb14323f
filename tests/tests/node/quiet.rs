//! What changes nothing, and what is put right.

use std::collections::BTreeMap;

use serde_json::json;
use tests::operator::{self, APP, S3, UNIT};
use tests::stack::versions;
use tests::stores::{descriptors, no_store};
use tests::world::World;

use super::{kubectl, writes};

#[tokio::test]
async fn nothing_to_do_nothing_written() {
    let mut world = World::connected("steady").await.unwrap();
    world.update_status().await.unwrap();
    let mark = world.stack.audit().mark().await.unwrap();
    let starts = world.cli_starts().unwrap();
    assert!(!starts.is_empty(), "installing starts the CLI");

    let run = world.update_status().await.unwrap();

    assert_eq!(writes(&world, &mark).await, Vec::<String>::new());
    assert_eq!(world.cli_starts().unwrap(), starts, "the CLI was started");
    let tools: Vec<_> = run
        .tool_calls
        .iter()
        .map(|call| call.tool.as_str())
        .collect();
    let mut expected = vec!["is-leader", "config-get"];
    for descriptor in descriptors() {
        expected.push("relation-ids");
        if descriptor.integrator == S3 {
            expected.extend(["relation-list", "relation-get", "relation-get"]);
        }
    }
    expected.push("status-get");
    assert_eq!(tools, expected);
    let requests = world.stack.audit().since(&mark).await.unwrap();
    let mut verbs = BTreeMap::<_, u32>::new();
    for request in requests
        .iter()
        .filter(|request| request.user == world.charm_user())
    {
        *verbs.entry(request.verb.as_str()).or_default() += 1;
    }
    println!(
        "steady update-status: hook tools {tools:?}; API requests {verbs:?}; 0 CLI starts; {:.0} ms; \
         {:.1} MB resident",
        run.duration.as_secs_f64() * 1000.0,
        f64::from(u32::try_from(run.max_rss / 1024).unwrap()) / 1024.0
    );
}

#[tokio::test]
async fn edits_by_others_stay_and_edits_of_ours_are_undone() {
    let mut world = World::connected("drift").await.unwrap();
    let patch = json!({"spec": {"template": {"spec": {
        "initContainers": [{"name": "theirs", "image": versions::BUSYBOX_IMAGE, "command": ["true"]}],
        "containers": [{"name": "velero", "image": "velero/velero:v1.18.0"}],
    }}}});
    let patch = patch.to_string();
    kubectl(&world, &["patch", "deployment", "velero", "-p", &patch]).await;
    let bucket = r#"{"spec":{"objectStorage":{"bucket":"elsewhere"},"validationFrequency":"2m"}}"#;
    let location = "backupstoragelocations.velero.io/default";
    kubectl(&world, &["patch", location, "--type=merge", "-p", bucket]).await;

    world.update_status().await.unwrap();

    world.expect_status("active: ").unwrap();
    let shown = "jsonpath={.spec.template.spec.containers[0].image} \
                {.spec.template.spec.initContainers[*].name}";
    let pod = kubectl(&world, &["get", "deployment", "velero", "-o", shown]).await;
    assert!(pod.starts_with(&versions::velero_image()), "{pod}");
    assert!(
        pod.contains("theirs") && pod.contains("storage-plugin-aws"),
        "{pod}"
    );
    let spec = world.location().await.unwrap().unwrap();
    assert_eq!(spec["objectStorage"]["bucket"], json!(world.bucket));
    assert_eq!(spec["validationFrequency"], "2m");
}

#[tokio::test]
async fn an_unknown_hook_is_an_ordinary_one() {
    let mut world = World::deployed("unknown-hook").await.unwrap();
    let run = world.juju.run_hook(UNIT, "never-heard-of").await.unwrap();
    assert!(run.exit.is_success());
    assert_eq!(operator::status(&world.juju), no_store());
}

#[tokio::test]
async fn a_unit_that_comes_and_goes_changes_nothing() {
    let mut world = World::connected("scale").await.unwrap();
    let mark = world.stack.audit().mark().await.unwrap();

    let second = world.juju.add_unit(APP).unwrap();
    world.juju.settle().await.unwrap();
    let status = world.juju.unit_status(&second).unwrap();
    assert_eq!(
        (status.level.as_str(), status.message.as_str()),
        ("active", "")
    );
    world.juju.remove_unit(&second).unwrap();
    world.juju.settle().await.unwrap();
    assert_eq!(world.juju.unit_status(&second), None, "the unit is gone");

    assert_eq!(writes(&world, &mark).await, Vec::<String>::new());
    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();
}

#[tokio::test]
async fn what_is_lost_is_made_again_by_one_hook() {
    let mut world = World::connected("lost").await.unwrap();
    world.config("use-node-agent", "true").await.unwrap();
    let secret = world.location().await.unwrap().unwrap()["credential"]["name"]
        .as_str()
        .unwrap()
        .to_owned();

    for lost in [
        "daemonset/node-agent",
        "deployment/velero",
        "serviceaccount/velero",
        "backupstoragelocations.velero.io/default",
        &format!("secret/{secret}"),
        "configmap/velero-operator-applied",
    ] {
        kubectl(&world, &["delete", lost]).await;
        world.update_status().await.unwrap();
        world.expect_status("active: ").unwrap();
    }
    let daemon_set = kubectl(&world, &["get", "daemonsets", "-o", "name"]).await;
    assert_eq!(daemon_set, "daemonset.apps/node-agent");
}

#[tokio::test]
async fn a_strategy_set_by_hand_is_set_back() {
    let mut world = World::deployed("strategy").await.unwrap();
    let rolling =
        r#"{"spec":{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1}}}}"#;
    kubectl(&world, &["patch", "deployment", "velero", "-p", rolling]).await;

    world.update_status().await.unwrap();

    world.expect_status(&no_store()).unwrap();
    let strategy = "jsonpath={.spec.strategy}";
    let strategy = kubectl(&world, &["get", "deployment", "velero", "-o", strategy]).await;
    assert_eq!(strategy, r#"{"type":"Recreate"}"#);
}

/// Of two defaults Velero takes one away at once.
#[tokio::test]
async fn a_users_default_location_stays_and_nobody_fights() {
    let mut world = World::connected("two-defaults").await.unwrap();
    let ours = world.location().await.unwrap().unwrap();
    let mut theirs = json!({
        "apiVersion": "velero.io/v1", "kind": "BackupStorageLocation",
        "metadata": {"name": "theirs", "namespace": world.namespace},
        "spec": ours,
    });
    theirs["spec"]["objectStorage"]["prefix"] = json!("theirs");
    world.apply(&theirs).await.unwrap();
    let kind = "backupstoragelocations.velero.io";
    let judged = "--for=jsonpath={.status.phase}=Available";
    kubectl(&world, &["wait", &format!("{kind}/theirs"), judged]).await;
    world.update_status().await.unwrap();
    let defaults = async |world: &World| {
        let shown = "jsonpath={range .items[*]}{.metadata.name}={.spec.default} {end}";
        kubectl(world, &["get", kind, "-o", shown]).await
    };
    assert_eq!(defaults(&world).await.trim(), "default= theirs=true");

    let mark = world.stack.audit().mark().await.unwrap();
    for _ in 0..3 {
        world.update_status().await.unwrap();
        world.expect_status("active: ").unwrap();
    }
    assert_eq!(writes(&world, &mark).await, Vec::<String>::new());
    assert_eq!(defaults(&world).await.trim(), "default= theirs=true");

    kubectl(&world, &["delete", kind, "theirs"]).await;
    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();
    assert_eq!(defaults(&world).await.trim(), "default=true");
}
