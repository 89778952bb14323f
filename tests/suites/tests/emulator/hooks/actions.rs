//! Actions and their outcome.

use juju_emulator::S3Settings;
use serde_json::{Map, json};

use super::{World, map};

#[tokio::test]
async fn the_rows_of_the_action_table() {
    let mut world = World::new().await;
    world.deploy("true").await;
    let rows = [
        (
            "action-set a.b=1",
            "completed",
            "",
            json!({"a": {"b": "1"}, "return-code": 0}),
        ),
        (
            "action-fail why",
            "failed",
            "why",
            json!({"return-code": 0}),
        ),
        (
            "action-set a=1; action-fail why; echo boom >&2; exit 3",
            "failed",
            "exit status 3",
            json!({"a": "1", "return-code": 3, "stderr": "boom\n"}),
        ),
        (
            "kill -SEGV $$",
            "failed",
            "signal: segmentation fault",
            json!({"return-code": -1}),
        ),
        (
            "action-get word",
            "completed",
            "",
            json!({"return-code": 0, "stdout": "none\n"}),
        ),
    ];
    for (script, status, message, results) in rows {
        world.script(script);
        let outcome = world
            .juju
            .run_action("app/0", "act", &Map::new())
            .await
            .unwrap();
        assert_eq!(
            (&*outcome.status, &*outcome.message, outcome.results),
            (status, message, map(&results)),
            "{script}"
        );
    }
    assert_eq!(
        world.juju.unit_status("app/0").unwrap().level,
        "unknown",
        "never an error"
    );

    let params = map(&json!({"count": "3"}));
    let outcome = world
        .juju
        .run_action("app/0", "act", &params)
        .await
        .unwrap();
    assert_eq!(outcome.status, "error");
    assert_eq!(
        outcome.message,
        "cannot run \"act\" action: validation failed: (root).count : must be of type integer, \
         given \"3\""
    );
}

#[tokio::test]
async fn an_action_s_log_arrives_while_it_runs() {
    let mut world = World::new().await;
    world.deploy("true").await;
    world.script("action-log one; touch $JUJU_CHARM_DIR/said; action-log two");
    let said = world.juju.charm_dir("app/0").join("said");
    let mut heard = Vec::new();
    let mut listen = |_, line: &str| heard.push((line.to_owned(), said.exists()));
    let params = Map::new();
    let outcome = world
        .juju
        .follow_action("app/0", "act", &params, &mut listen)
        .await
        .unwrap();
    assert_eq!(heard, [("one".to_owned(), false), ("two".to_owned(), true)]);
    assert_eq!(outcome.log.len(), 2);
}

#[tokio::test]
async fn an_action_commits_only_when_it_exits_with_zero() {
    let mut world = World::new().await;
    world.deploy("true").await;
    world
        .juju
        .deploy_s3_integrator("s3", S3Settings::default())
        .unwrap();
    let id = world.juju.integrate("app", "s3").unwrap();
    world.juju.settle().await.unwrap();
    for (script, kept) in [
        ("relation-set -r 0 --app a=1; exit 1", None),
        ("relation-set -r 0 --app a=1; action-fail no", Some("1")),
    ] {
        world.script(script);
        world
            .juju
            .run_action("app/0", "act", &Map::new())
            .await
            .unwrap();
        let bag = &world.juju.model().relations[&id]
            .local("app")
            .unwrap()
            .bag
            .data;
        assert_eq!(bag.get("a").map(String::as_str), kept, "{script}");
    }
}
