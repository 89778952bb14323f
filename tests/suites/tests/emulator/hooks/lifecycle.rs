//! What befalls units: failures, kills, lost pods, leadership, scale, the end.

use std::time::Duration;

use juju_emulator::{Exit, Interruption, PodLoss, Resolve};
use serde_json::Map;

use super::{World, charm_in, names};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[tokio::test]
async fn a_failed_hook_is_tried_again_later_and_later() {
    let mut world = World::new().await;
    world.deploy("true").await;
    world.script("exit 1");
    world.juju.config("app", &[("word", "x")]).unwrap();
    assert_eq!(
        names(&world.juju.settle().await.unwrap()),
        ["config-changed"]
    );
    assert!(
        world.juju.settle().await.unwrap().is_empty(),
        "time stands still"
    );
    // 5, 10, 20, 40, 80, 160, then always 300 s.
    for pause in [5, 10, 20, 40, 80, 160, 300, 300] {
        let early = world.juju.advance(seconds(pause - 1)).await.unwrap();
        assert!(early.is_empty(), "before {pause} s: {:?}", names(&early));
        let runs = world.juju.advance(seconds(1)).await.unwrap();
        assert_eq!(names(&runs), ["config-changed"], "after {pause} s");
    }
    world.script("true");
    let runs = world.juju.advance(seconds(300)).await.unwrap();
    assert_eq!(names(&runs)[0], "config-changed");
    assert!(runs[0].exit.is_success());
    world.script("exit 1");
    world.juju.config("app", &[("word", "y")]).unwrap();
    world.juju.settle().await.unwrap();
    let runs = world.juju.advance(seconds(5)).await.unwrap();
    assert_eq!(names(&runs), ["config-changed"], "a success starts it over");

    world.juju.model_mut().retries_hooks = false;
    world.juju.advance(seconds(10)).await.unwrap();
    assert!(world.juju.advance(seconds(900)).await.unwrap().is_empty());
    world.juju.resolved("app/0", Resolve::Skip).unwrap();
    world.script("true");
    let runs = world.juju.settle().await.unwrap();
    assert!(names(&runs).is_empty(), "it was taken for done: {runs:?}");
}

#[tokio::test]
async fn an_idle_unit_updates_its_status_every_five_minutes() {
    let mut world = World::new().await;
    world.deploy("true").await;
    let runs = world.juju.advance(seconds(899)).await.unwrap();
    assert_eq!(names(&runs), ["update-status"; 2]);
    assert_eq!(
        names(&world.juju.advance(seconds(1)).await.unwrap()),
        ["update-status"]
    );
}

#[tokio::test]
async fn failed_hooks_come_before_new_ones() {
    let mut world = World::new().await;
    world.deploy("true").await;
    world.script("exit 1");
    world.juju.run_hook("app/0", "update-status").await.unwrap();
    world.juju.config("app", &[("word", "x")]).unwrap();
    world.script("true");
    world.juju.resolved("app/0", Resolve::Retry).unwrap();
    let runs = world.juju.settle().await.unwrap();
    assert_eq!(names(&runs), ["update-status", "config-changed"]);

    world.script("juju-log one; juju-log two; state-set done=$JUJU_HOOK_NAME");
    world.juju.interrupt_next(Interruption::Killed, 2);
    let run = world.juju.run_hook("app/0", "update-status").await.unwrap();
    assert_eq!(run.exit, Exit::Interrupted(Interruption::Killed));
    assert_eq!(run.tool_calls.len(), 1, "{run:#?}");
    assert!(world.juju.model().unit("app/0").unwrap().state.is_empty());
    assert_ne!(world.juju.unit_status("app/0").unwrap().level, "error");
    world.juju.config("app", &[("word", "y")]).unwrap();
    let runs = world.juju.settle().await.unwrap();
    assert_eq!(names(&runs), ["update-status", "config-changed"]);
    assert_eq!(
        world.juju.model().unit("app/0").unwrap().state["done"],
        "config-changed"
    );
}

#[tokio::test]
async fn an_action_that_is_stopped_does_not_run_again() {
    let mut world = World::new().await;
    world.deploy("true").await;
    world.script("action-set a=1; action-log here; action-set b=2; state-set k=v");
    let rows = [
        (Interruption::Killed, "failed", "terminated", Some(-1)),
        (Interruption::AgentLost, "failed", "action terminated", None),
    ];
    for (how, status, message, code) in rows {
        world.juju.interrupt_next(how, 3);
        let outcome = world
            .juju
            .run_action("app/0", "act", &Map::new())
            .await
            .unwrap();
        assert_eq!((&*outcome.status, &*outcome.message), (status, message));
        assert_eq!(outcome.results["a"], "1");
        assert!(!outcome.results.contains_key("b"), "{outcome:?}");
        assert_eq!(
            outcome.results.get("return-code"),
            code.map(Into::into).as_ref()
        );
        assert!(world.juju.settle().await.unwrap().is_empty());
    }
    assert!(world.juju.model().unit("app/0").unwrap().state.is_empty());
}

#[tokio::test]
async fn refusal_of_the_controller_fails_hook_and_action() {
    let mut world = World::new().await;
    world.deploy("true").await;
    let other = charm_in(&world.dir.path().join("other"), "true");
    world
        .juju
        .deploy(&other, "other", juju_emulator::DeployOptions::default())
        .await
        .unwrap();
    world.juju.integrate("app:other", "other:offer").unwrap();
    world.juju.settle().await.unwrap();
    // Juju's own number is no different, but takes the reader of YAML its time.
    assert_eq!(world.juju.model().largest_bag, 16 << 20);
    world.juju.model_mut().largest_bag = 1000;
    world.script(
        "{ printf '{\"k\": \"'; head -c 1000 /dev/zero | tr '\\0' x; printf '\"}'; } > big
         relation-set -r 0 --file - < big; state-set k=v; echo err >&2",
    );
    let outcome = world
        .juju
        .run_action("app/0", "act", &Map::new())
        .await
        .unwrap();
    let refusal = "committing requested changes failed";
    assert_eq!((&*outcome.status, &*outcome.message), ("failed", refusal));
    assert_eq!(outcome.results["return-code"], 0);
    let stderr = outcome.results["stderr"].as_str().unwrap();
    assert!(
        stderr.starts_with("err\n") && stderr.contains("quota"),
        "{stderr}"
    );
    let run = world.juju.update_status("app/0").await.unwrap();
    assert!(matches!(run.exit, Exit::NotCommitted(_)), "{run:?}");
    assert_eq!(world.juju.unit_status("app/0").unwrap().level, "error");
    assert!(
        world.juju.model().unit("app/0").unwrap().state.is_empty(),
        "all or nothing"
    );
}

#[tokio::test]
async fn leadership_moves_and_only_the_new_leader_hears_of_it() {
    let mut world = World::new().await;
    world.deploy("is-leader > leads").await;
    world.juju.add_unit("app").unwrap();
    world.juju.settle().await.unwrap();
    for (to, from) in [("app/1", "app/0"), ("app/0", "app/1"), ("app/1", "app/0")] {
        world.juju.move_leadership(to).unwrap();
        let runs = world.juju.settle().await.unwrap();
        assert_eq!(names(&runs), ["leader-elected"]);
        assert_eq!(runs[0].unit, to);
        world.juju.update_status(from).await.unwrap();
        let leads = std::fs::read_to_string(world.juju.charm_dir(from).join("leads")).unwrap();
        assert_eq!(leads, "False\n");
    }
}

#[tokio::test]
async fn a_lost_pod_upgrades_and_starts() {
    let mut world = World::new().await;
    world
        .deploy("touch $JUJU_DISPATCH_PATH 2>/dev/null; touch kept; state-set k=v")
        .await;
    world.juju.replace_pod("app/0", PodLoss::Drained).unwrap();
    let runs = world.juju.settle().await.unwrap();
    assert_eq!(
        names(&runs),
        ["stop", "upgrade-charm", "config-changed", "start"]
    );
    std::fs::write(world.juju.charm_dir("app/0").join("mine"), "").unwrap();
    world.juju.replace_pod("app/0", PodLoss::Killed).unwrap();
    assert!(!world.juju.charm_dir("app/0").exists());
    let runs = world.juju.settle().await.unwrap();
    assert_eq!(names(&runs), ["upgrade-charm", "config-changed", "start"]);
    assert!(!world.juju.charm_dir("app/0").join("mine").exists());
    assert_eq!(
        world.juju.model().unit("app/0").unwrap().state["k"],
        "v",
        "the controller's"
    );

    std::fs::write(world.juju.charm_dir("app/0").join("mine"), "").unwrap();
    world.juju.restart_container("app/0").unwrap();
    assert_eq!(names(&world.juju.settle().await.unwrap()), ["start"]);
    assert!(world.juju.charm_dir("app/0").join("mine").exists());
}

/// Keeps each hook's goal state where the unit's end does not reach.
const WATCHES: &str = "name=$(echo $JUJU_UNIT_NAME | tr / -)
goal-state --format=json | sed 's/\"since\":\"[^\"]*\"/\"since\":\"\"/g' > KEPT/$name-$JUJU_HOOK_NAME";

#[tokio::test]
async fn the_goal_state_tells_a_scale_down_from_the_end() {
    let mut world = World::new().await;
    let kept = world.dir.path().join("kept");
    std::fs::create_dir_all(&kept).unwrap();
    let read = |name: &str| std::fs::read_to_string(kept.join(name)).unwrap();
    let script = WATCHES.replace("KEPT", &kept.display().to_string());
    world.deploy(&format!("status-set active; {script}")).await;
    let other = charm_in(&world.dir.path().join("other"), "status-set blocked");
    world
        .juju
        .deploy(&other, "other", juju_emulator::DeployOptions::default())
        .await
        .unwrap();
    world.juju.integrate("app:other", "other:offer").unwrap();
    world.juju.scale("app", 3).unwrap();
    world.juju.settle().await.unwrap();

    world.juju.scale("app", 1).unwrap();
    let runs = world.juju.settle().await.unwrap();
    assert!(runs.iter().all(|run| run.exit.is_success()));
    let relation = "\"relations\":{\"other\":{\"other\":{\"status\":\"joined\",\"since\":\"\"},\
                    \"other/0\":{\"status\":\"blocked\",\"since\":\"\"}}}";
    let unit = |number: u32, status: &str| {
        format!("\"app/{number}\":{{\"status\":\"{status}\",\"since\":\"\"}}")
    };
    let units = [unit(0, "active"), unit(1, "dying"), unit(2, "dying")].join(",");
    let want = format!("{{\"units\":{{{units}}},{relation}}}\n");
    assert_eq!(read("app-1-other-relation-broken"), want);
    assert!(read("app-1-remove").contains(&unit(0, "active")));
    assert_eq!(world.juju.model().applications["app"].units.len(), 1);

    world.juju.scale("app", 0).unwrap();
    world.juju.settle().await.unwrap();
    let want = format!("{{\"units\":{{{}}},{relation}}}\n", unit(0, "dying"));
    assert_eq!(
        read("app-0-remove"),
        want,
        "no unit stays, but the relation does"
    );
    assert!(world.juju.model().applications["app"].units.is_empty());
    assert_eq!(world.juju.model().relations.len(), 1);

    world.juju.scale("app", 1).unwrap();
    world.juju.settle().await.unwrap();
    world.juju.remove_application("app").unwrap();
    world.juju.settle().await.unwrap();
    let want = format!(
        "{{\"units\":{{{}}},\"relations\":{{}}}}\n",
        unit(3, "dying")
    );
    assert_eq!(read("app-3-remove"), want);
    assert!(world.juju.model().relations.is_empty());
    assert!(!world.juju.model().applications.contains_key("app"));
}

#[tokio::test]
async fn a_failing_remove_holds_the_application_until_force() {
    let mut world = World::new().await;
    world.deploy("[ $JUJU_HOOK_NAME != remove ]").await;
    world.juju.remove_application("app").unwrap();
    assert_eq!(
        names(&world.juju.settle().await.unwrap()),
        ["stop", "remove"]
    );
    assert!(world.juju.model().applications.contains_key("app"));
    assert_eq!(world.juju.unit_status("app/0").unwrap().level, "error");
    world.juju.remove_application_by_force("app").unwrap();
    let runs = world.juju.settle().await.unwrap();
    assert!(
        runs.is_empty(),
        "what it was stuck with counts as done: {runs:?}"
    );
    assert!(!world.juju.model().applications.contains_key("app"));
}
