//! What a test can do to a single hook: run it alone, kill it from outside, let its tools fail.

use std::time::Duration;

use juju_emulator::{Exit, ToolFault};
use tokio::time::{sleep, timeout};

use super::World;

#[tokio::test]
async fn one_step_is_one_hook_and_what_it_left_can_be_looked_at() {
    let mut world = World::new().await;
    world.deploy("true").await;
    world.juju.remove_application("app").unwrap();
    for hook in ["stop", "remove"] {
        let run = world.juju.step().await.unwrap().unwrap();
        assert_eq!(run.hook, hook);
        assert!(world.juju.charm_dir("app/0").exists());
    }
    assert_eq!(world.juju.step().await.unwrap().map(|run| run.hook), None);
    assert!(world.juju.model().applications.is_empty());
}

#[tokio::test]
async fn a_charm_that_is_killed_from_outside_runs_again() {
    let mut world = World::new().await;
    world.deploy("true").await;
    world.script("touch begun; exec sleep 60");
    let killer = world.juju.killer();
    assert!(killer.kill().is_err(), "nothing runs yet");
    let begun = world.juju.charm_dir("app/0").join("begun");
    let kill = async {
        while !begun.exists() {
            sleep(Duration::from_millis(5)).await;
        }
        killer.kill().unwrap();
    };

    let (run, ()) = tokio::join!(world.juju.update_status("app/0"), kill);

    assert_eq!(run.unwrap().exit, Exit::Signal("killed".to_owned()));
    assert!(killer.kill().is_err(), "nothing runs any more");
    world.script("true");
    let run = world.juju.step().await.unwrap().unwrap();
    assert_eq!(run.hook, "update-status");
    assert!(run.exit.is_success());
}

#[tokio::test]
async fn a_tool_goes_wrong_at_one_call_of_one_run() {
    let mut world = World::new().await;
    world.deploy("true").await;
    world.script(
        "juju-log a; is-leader >> said; is-leader >> said 2> why || true; is-leader >> said",
    );
    let fails = ToolFault::Fails {
        code: 1,
        stderr: "ERROR the sky fell\n".to_owned(),
    };

    world.juju.sabotage_next("is-leader", 2, fails);
    let run = world.juju.update_status("app/0").await.unwrap();
    assert!(run.exit.is_success());
    assert_eq!(world.written("said"), "True\nTrue\n");
    assert_eq!(world.written("why"), "ERROR the sky fell\n");

    let says = ToolFault::Says("perhaps\n".to_owned());
    world.juju.sabotage_next("is-leader", 1, says);
    world.juju.update_status("app/0").await.unwrap();
    world.juju.update_status("app/0").await.unwrap();
    let all = "True\nTrue\nperhaps\nTrue\nTrue\nTrue\nTrue\nTrue\n";
    assert_eq!(world.written("said"), all);
}

#[tokio::test]
async fn behind_a_tool_that_hangs_all_wait() {
    let mut world = World::new().await;
    world.deploy("true").await;
    world.script("juju-log before; timeout 0.1 is-leader; juju-log after");
    world.juju.sabotage_next("is-leader", 1, ToolFault::Hangs);
    let hook = world.juju.update_status("app/0");
    assert!(timeout(Duration::from_millis(500), hook).await.is_err());
    let said: Vec<_> = world.juju.logs().iter().map(|line| &*line.text).collect();
    assert!(said.contains(&"before") && !said.contains(&"after"));
}
