//! A model on disk, and a person who works on it.

use std::path::Path;

use juju_emulator::{Exit, Juju, S3Settings};

use super::World;

/// The hand on a persisted model.
fn cli(dir: &Path, arguments: &[&str]) -> (bool, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_juju"))
        .args(arguments)
        .env("JUJU_DIR", dir)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn a_person_goes_on_with_the_model() {
    let mut world = World::new().await;
    world.deploy("true").await;
    world.script(
        "case $JUJU_DISPATCH_PATH in
         actions/*) action-log at-it; action-set word=$(action-get word) ;;
         *) status-set active \"$(config-get word)\"; juju-log \"ran $JUJU_HOOK_NAME\" ;;
         esac",
    );
    world
        .juju
        .deploy_s3_integrator("s3", S3Settings::default())
        .unwrap();
    let dir = world.juju.dir().to_owned();
    let World { juju, dir: _keep } = world;
    drop(juju);

    let (done, text) = cli(&dir, &["config", "app", "word=there"]);
    assert!(
        done && text.starts_with("app/0 config-changed: ok ("),
        "{text}"
    );
    let (_, text) = cli(&dir, &["status"]);
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].starts_with("Model  Controller  Cloud/Region  Version  Timestamp"),
        "{text}"
    );
    let unit = lines
        .iter()
        .find(|line| line.starts_with("app/0*"))
        .unwrap();
    let words: Vec<_> = unit.split_whitespace().collect();
    assert_eq!(words[..3], ["app/0*", "active", "idle"], "{text}");
    assert_eq!(words.last(), Some(&"there"), "{text}");
    let (done, text) = cli(&dir, &["integrate", "app", "s3"]);
    assert!(
        done && text.contains("s3-credentials-relation-joined: ok"),
        "{text}"
    );
    let (_, text) = cli(&dir, &["show-unit", "app/0"]);
    assert!(
        text.contains("      s3/0:\n        in-scope: true\n"),
        "{text}"
    );
    let (done, text) = cli(&dir, &["run", "app/0", "act", "word=x"]);
    assert!(
        done && text.ends_with(" at-it\nreturn-code: 0\nword: x\n"),
        "{text}"
    );
    let (done, text) = cli(&dir, &["run", "app/0", "act", "nope=x"]);
    assert!(
        !done && text.contains("additional property \"nope\" is not allowed"),
        "{text}"
    );
    let (_, text) = cli(&dir, &["update-status", "app/0"]);
    assert!(text.starts_with("app/0 update-status: ok"), "{text}");
    let (_, text) = cli(&dir, &["debug-log", "-n", "1"]);
    assert!(
        text.ends_with("INFO unit.app/0.juju-log ran update-status\n"),
        "{text}"
    );
    let (done, text) = cli(&dir, &["remove-relation", "app", "s3"]);
    assert!(
        done && text.contains("s3-credentials-relation-broken: ok"),
        "{text}"
    );
    let (done, text) = cli(&dir, &["remove-application", "app"]);
    assert!(done && text.contains("app/0 remove: ok"), "{text}");
}

#[tokio::test]
async fn a_model_can_be_opened_again() {
    let mut world = World::new().await;
    world.deploy("status-set active").await;
    let dir = world.juju.dir().to_owned();
    assert!(Juju::open(&dir, None).await.is_err(), "one at a time");
    let World { juju, dir: _keep } = world;
    drop(juju);
    let mut juju = Juju::open(&dir, None).await.unwrap();
    assert!(juju.settle().await.unwrap().is_empty());
    assert_eq!(
        juju.update_status("app/0").await.unwrap().exit,
        Exit::Code(0)
    );
}
