//! What changes nothing, and what is put right.

use std::collections::BTreeMap;

use serde_json::json;
use worlds::stores;
use worlds::world::{HalfNode, World};

use crate::{kubectl, writes};

#[tokio::test]
async fn quiet_hook_writes_nothing() {
    let mut world = HalfNode::connected("steady").await.unwrap();
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
    let mut expected = vec![
        "is-leader",
        "config-get",
        "relation-ids",
        "relation-list",
        "relation-get",
        "relation-get",
    ];
    // Of each other kind of store.
    expected.extend(stores::descriptors().iter().skip(1).map(|_| "relation-ids"));
    // Of those who scrape, draw and keep logs, and of those who ask to be backed up.
    expected.extend(["relation-ids"; 5]);
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
    a_users_default_stays_and_nobody_fights(&mut world).await;
}

/// Of two defaults Velero takes one away at once.
async fn a_users_default_stays_and_nobody_fights(world: &mut World) {
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
    kubectl(world, &["wait", &format!("{kind}/theirs"), judged]).await;
    world.update_status().await.unwrap();
    let defaults = async |world: &World| {
        let shown = "jsonpath={range .items[*]}{.metadata.name}={.spec.default} {end}";
        kubectl(world, &["get", kind, "-o", shown]).await
    };
    assert_eq!(defaults(world).await.trim(), "default= theirs=true");

    let mark = world.stack.audit().mark().await.unwrap();
    for _ in 0..3 {
        world.update_status().await.unwrap();
        world.expect_status("active: ").unwrap();
    }
    assert_eq!(writes(world, &mark).await, Vec::<String>::new());
    assert_eq!(defaults(world).await.trim(), "default= theirs=true");

    kubectl(world, &["delete", kind, "theirs"]).await;
    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();
    assert_eq!(defaults(world).await.trim(), "default=true");
}
