//! Which hook comes when.

use std::fs;

use juju_emulator::{DeployOptions, Exit, S3Settings};

use super::{World, charm_in, names};

#[tokio::test]
async fn deploy_runs_the_hooks_in_juju_s_order() {
    let mut world = World::new().await;
    let runs = world.deploy("status-set active").await;
    assert_eq!(
        names(&runs),
        ["install", "leader-elected", "config-changed", "start"]
    );
    assert!(runs.iter().all(|run| run.exit == Exit::Code(0)));
    assert!(
        world.juju.settle().await.unwrap().is_empty(),
        "nothing is left to do"
    );
    assert_eq!(world.juju.unit_status("app/0").unwrap().level, "active");

    world.juju.config("app", &[("word", "bye")]).unwrap();
    assert_eq!(
        names(&world.juju.settle().await.unwrap()),
        ["config-changed"]
    );
    world.juju.config("app", &[("word", "bye")]).unwrap();
    assert!(
        world.juju.settle().await.unwrap().is_empty(),
        "the same again is no change"
    );
    world.juju.trust("app").await.unwrap();
    assert_eq!(
        names(&world.juju.settle().await.unwrap()),
        ["config-changed", "config-changed"]
    );
    let run = world.juju.update_status("app/0").await.unwrap();
    assert_eq!(run.hook, "update-status");
    assert_eq!(run.tool_calls.len(), 1);
    // The launcher's few megabytes, in which the process began, and not the emulator's own.
    assert!(
        (100_000..16_000_000).contains(&run.max_rss),
        "{}",
        run.max_rss
    );
}

#[tokio::test]
async fn a_charm_that_says_nothing_is_unknown() {
    let mut world = World::new().await;
    world.deploy("true").await;
    assert_eq!(world.juju.unit_status("app/0").unwrap().level, "unknown");
}

#[tokio::test]
async fn removal_departs_breaks_stops_and_removes() {
    let mut world = World::new().await;
    world
        .deploy("goal-state --format=json > goals-$JUJU_HOOK_NAME; true")
        .await;
    world
        .juju
        .deploy_s3_integrator("s3", S3Settings::default())
        .unwrap();
    world.juju.integrate("app", "s3").unwrap();
    world.juju.settle().await.unwrap();
    let goals = world.written("goals-s3-credentials-relation-joined");
    assert!(
        goals.contains("\"relations\":{\"s3-credentials\":{\"s3\":{\"status\":\"joined\""),
        "{goals}"
    );
    assert!(goals.contains("\"s3/0\":{\"status\":\"active\""), "{goals}");

    world.script(
        "[ $JUJU_HOOK_NAME != s3-credentials-relation-departed ] || juju-log $JUJU_DEPARTING_UNIT
         juju-log \"$(goal-state --format=json)\"",
    );
    world.juju.remove_application("app").unwrap();
    let runs = world.juju.settle().await.unwrap();
    let hooks = [
        "s3-credentials-relation-departed",
        "s3-credentials-relation-broken",
        "stop",
        "remove",
    ];
    assert_eq!(names(&runs), hooks);
    assert!(
        runs[0].log[0].text.ends_with("app/0"),
        "the one who leaves is the unit itself"
    );
    assert!(
        runs[3].log[0]
            .text
            .contains("\"app/0\":{\"status\":\"dying\"")
    );
    assert!(!world.juju.model().applications.contains_key("app"));
    assert!(world.juju.model().relations.is_empty());
}

#[tokio::test]
async fn a_unit_that_goes_leaves_the_relation_to_the_others() {
    let mut world = World::new().await;
    let charm = world.charm("echo $JUJU_UNIT_NAME; true");
    let options = DeployOptions {
        units: 2,
        ..DeployOptions::default()
    };
    world.juju.deploy(&charm, "app", options).await.unwrap();
    world
        .juju
        .deploy_s3_integrator("s3", S3Settings::default())
        .unwrap();
    world.juju.integrate("app", "s3").unwrap();
    let runs = world.juju.settle().await.unwrap();
    let led: Vec<_> = runs
        .iter()
        .filter(|run| run.hook == "leader-elected")
        .collect();
    assert_eq!(led.len(), 1);
    world.juju.remove_unit("app/0").unwrap();
    let runs = world.juju.settle().await.unwrap();
    let of = |unit: &str| {
        runs.iter()
            .filter(|run| run.unit == unit)
            .map(|run| &*run.hook)
            .collect::<Vec<_>>()
    };
    let hooks = [
        "s3-credentials-relation-departed",
        "s3-credentials-relation-broken",
        "stop",
        "remove",
    ];
    assert_eq!(of("app/0"), hooks);
    assert_eq!(of("app/1"), ["leader-elected"]);
    assert_eq!(world.juju.model().relations.len(), 1);
}

#[tokio::test]
async fn refresh_stops_upgrades_and_starts() {
    let mut world = World::new().await;
    world.deploy("status-set active; echo old > kept").await;
    let charm = charm_in(
        &world.dir.path().join("next"),
        "echo $JUJU_HOOK_NAME >> new",
    );
    world.juju.refresh("app", &charm).unwrap();
    let runs = world.juju.settle().await.unwrap();
    assert_eq!(
        names(&runs),
        ["stop", "upgrade-charm", "config-changed", "start"]
    );
    assert_eq!(
        world.written("new"),
        "upgrade-charm\nconfig-changed\nstart\n"
    );
    assert_eq!(
        world.written("kept"),
        "",
        "the charm directory is a new one"
    );
}

/// What the user has set stays where the new charm has such an option; the rest is the new charm's.
#[tokio::test]
async fn refresh_keeps_the_settings_that_the_new_charm_can_have() {
    let mut world = World::new().await;
    world.deploy("true").await;
    let settings = [("word", "mine"), ("number", "7")];
    world.juju.config("app", &settings).unwrap();
    let next = world.dir.path().join("next");
    let charm = charm_in(&next, "config-get --format=json > config");
    let options =
        "options:\n  word: {type: string, default: new}\n  number: {type: string, default: none}\n";
    fs::write(next.join("config.yaml"), options).unwrap();

    world.juju.refresh("app", &charm).unwrap();
    world.juju.settle().await.unwrap();

    let config = world.written("config");
    assert_eq!(config.trim(), r#"{"number":"none","word":"mine"}"#);
}

#[tokio::test]
async fn refresh_is_refused_where_a_relation_would_lose_its_end() {
    let mut world = World::new().await;
    world.deploy("true").await;
    let settings = S3Settings::default();
    world.juju.deploy_s3_integrator("s3", settings).unwrap();
    world.juju.integrate("app", "s3").unwrap();
    world.juju.settle().await.unwrap();
    let next = world.dir.path().join("next");
    let charm = charm_in(&next, "true");
    fs::write(next.join("metadata.yaml"), "name: tiny\n").unwrap();

    let refused = world.juju.refresh("app", &charm).unwrap_err();

    assert!(
        refused.to_string().contains("would break relation"),
        "{refused}"
    );
}
