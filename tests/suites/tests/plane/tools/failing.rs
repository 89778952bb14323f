//! Hook tools that fail or talk nonsense.

use juju_emulator::event::Event;
use juju_emulator::{DeployOptions, Exit, HookRun, Resolve, ToolFault};
use worlds::operator::{APP, S3, UNIT};
use worlds::plane::{Plane, Sight, Trial};

use super::{fails, has_only_read, log};

async fn connected(name: &str) -> (Trial, Sight) {
    let plane = Plane::shared().await.unwrap();
    let mut trial = Trial::open(&plane, name).await.unwrap();
    trial.world.deploy(DeployOptions::trusted()).await.unwrap();
    trial.world.connect().await.unwrap();
    let sight = trial.sight().await.unwrap();
    (trial, sight)
}

/// Runs what is due with one tool that does not work.
async fn broken_by(trial: &mut Trial, tool: &str, fault: ToolFault) {
    trial.proxy.play(Vec::new());
    trial.world.juju.sabotage_next(tool, 1, fault);
    let run = trial.world.juju.step().await.unwrap().unwrap();
    is_told(tool, &run);
}

/// Fails unless the hook has failed and the log says by which tool.
fn is_told(tool: &str, run: &HookRun) {
    assert_eq!(run.exit, Exit::Code(1), "{tool}: {}", log(run));
    let lines = log(run);
    let told = lines
        .lines()
        .any(|line| line.starts_with("ERROR: ") && line.contains(&format!("`{tool}`")));
    assert!(told, "{tool}: {lines}");
}

/// Juju runs it again.
async fn again(trial: &mut Trial) {
    trial.world.juju.resolved(UNIT, Resolve::Retry).unwrap();
    trial.world.settle().await.unwrap();
}

#[tokio::test]
async fn a_tool_that_only_reads_fails_the_hook_and_nothing_else() {
    let (mut trial, sight) = connected("tools-read").await;
    for tool in [
        "is-leader",
        "config-get",
        "relation-ids",
        "relation-list",
        "relation-get",
        "secret-get",
        "status-get",
    ] {
        for fault in [
            fails(),
            ToolFault::Says("{\"half".to_owned()),
            ToolFault::Says("perhaps\n".to_owned()),
        ] {
            trial.proxy.play(Vec::new());
            let juju = &mut trial.world.juju;
            juju.sabotage_next(tool, 1, fault);
            // In any other hook no secret is asked for.
            let hook = Event::hook("start");
            let run = juju.run_event(UNIT, hook).await.unwrap();
            is_told(tool, &run);
            assert!(has_only_read(&trial), "{tool}: {:#?}", trial.proxy.record());
            trial.world.update_status().await.unwrap();
            trial.world.expect_status("active: ").unwrap();
        }
    }
    trial.expect(&sight).await.unwrap();
}

#[tokio::test]
async fn a_tool_that_writes_fails_the_hook_and_juju_runs_it_again() {
    let (mut trial, sight) = connected("tools-write").await;
    let on = "true";
    let set = |trial: &mut Trial, value: &str| {
        trial
            .world
            .juju
            .config(APP, &[("use-node-agent", value)])
            .unwrap();
    };
    set(&mut trial, on);
    trial.world.settle().await.unwrap();
    let with_node_agent = trial.sight().await.unwrap();

    for tool in ["status-set", "application-version-set"] {
        set(&mut trial, "false");
        broken_by(&mut trial, tool, fails()).await;
        again(&mut trial).await;
        trial.expect(&sight).await.unwrap();
        set(&mut trial, on);
        trial.world.settle().await.unwrap();
        trial.expect(&with_node_agent).await.unwrap();
    }

    set(&mut trial, "false");
    trial.world.juju.sabotage_next("juju-log", 1, fails());
    trial.world.settle().await.unwrap();
    trial.expect(&sight).await.unwrap();

    trial.world.juju.remove_relation(APP, S3).unwrap();
    trial.world.settle().await.unwrap();
    trial.world.juju.integrate(APP, S3).unwrap();
    broken_by(&mut trial, "relation-set", fails()).await;
    again(&mut trial).await;
    trial.expect(&sight).await.unwrap();
}

#[tokio::test]
async fn a_removal_waits_for_nothing_but_to_know_who_stays() {
    let (mut trial, _) = connected("tools-remove").await;
    trial.world.juju.remove_application(APP).unwrap();
    while trial.world.juju.step().await.unwrap().unwrap().hook != "stop" {}
    broken_by(&mut trial, "goal-state", fails()).await;
    assert!(has_only_read(&trial), "{:#?}", trial.proxy.record());
    assert!(!trial.world.belongings().await.unwrap().is_empty());

    trial.world.juju.resolved(UNIT, Resolve::Retry).unwrap();
    trial.world.juju.sabotage_next("status-set", 1, fails());
    let run = trial.world.juju.step().await.unwrap().unwrap();
    assert_eq!(run.exit, Exit::Code(0), "{}", log(&run));
    assert_eq!(trial.world.belongings().await.unwrap(), "");
}
