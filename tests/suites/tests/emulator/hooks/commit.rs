//! What becomes of what a hook asks for.

use juju_emulator::{Resolve, S3Settings};
use serde_json::Map;

use super::{World, names, write_script};

#[tokio::test]
async fn a_bag_is_committed_on_success_and_dropped_on_failure() {
    let mut world = World::new().await;
    world.deploy("true").await;
    world
        .juju
        .deploy_s3_integrator("s3", S3Settings::default())
        .unwrap();
    let id = world.juju.integrate("app", "s3").unwrap();
    world.juju.settle().await.unwrap();
    let bag = |world: &World| {
        world.juju.model().relations[&id]
            .local("app")
            .unwrap()
            .bag
            .data
            .clone()
    };

    world.script(
        "relation-set -r 0 --app a=1; relation-get -r 0 --app a app > seen
         status-set blocked said; application-version-set 7; juju-log -l ERROR hm; exit 3",
    );
    world.juju.run_hook("app/0", "update-status").await.unwrap();
    assert_eq!(
        world.written("seen"),
        "1\n",
        "a hook reads what it has written"
    );
    assert!(bag(&world).is_empty(), "{:?}", bag(&world));
    assert_eq!(world.juju.workload_version("app"), Some("7"));
    assert_eq!(
        world.juju.status_history("app/0").last().unwrap().message,
        "said"
    );
    let shown = world.juju.unit_status("app/0").unwrap();
    assert_eq!(
        (&*shown.level, &*shown.message),
        ("error", "hook failed: \"update-status\"")
    );

    world.juju.config("app", &[("word", "x")]).unwrap();
    assert!(
        world.juju.settle().await.unwrap().is_empty(),
        "a failed hook holds all others back"
    );
    let outcome = world
        .juju
        .run_action("app/0", "act", &Map::new())
        .await
        .unwrap();
    assert_eq!(outcome.status, "failed", "but not actions");

    world.script("relation-set -r 0 --app a=2");
    world.juju.resolved("app/0", Resolve::Retry).unwrap();
    let runs = world.juju.settle().await.unwrap();
    assert_eq!(names(&runs), ["update-status", "config-changed"]);
    assert_eq!(bag(&world)["a"], "2");
}

#[tokio::test]
async fn output_of_a_hook_is_logged() {
    let mut world = World::new().await;
    world.deploy("true").await;
    world.script("echo out; echo err >&2; juju-log -l WARN said");
    let run = world.juju.update_status("app/0").await.unwrap();
    let mut lines: Vec<_> = run
        .log
        .iter()
        .map(|l| format!("{} {} {}", l.level, l.module, l.text))
        .collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "DEBUG unit.app/0.update-status out",
            "WARNING unit.app/0.juju-log said",
            "WARNING unit.app/0.update-status err",
        ]
    );
}

#[tokio::test]
async fn a_killed_hook_runs_again_and_is_no_error() {
    let mut world = World::new().await;
    let runs = world
        .deploy("[ $JUJU_HOOK_NAME != install ] || kill -KILL $$")
        .await;
    assert_eq!(names(&runs), ["install"]);
    assert_ne!(world.juju.unit_status("app/0").unwrap().level, "error");
    world.script("true");
    // The charm directory is filled again for it, so the source must be changed.
    let source = world.juju.model().applications["app"]
        .charm()
        .unwrap()
        .directory
        .clone();
    write_script(&source, "true");
    let runs = world.juju.settle().await.unwrap();
    assert_eq!(
        names(&runs),
        ["install", "leader-elected", "config-changed", "start"]
    );
}
