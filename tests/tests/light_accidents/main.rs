//! What befalls a charm from outside, in any order: an API server that breaks or cuts answers off, hooks
//! killed at any request, trust taken away, Backups in flight, units and leaders that come and go, and
//! what people delete and edit. After one quiet hook the world is the same as one of equal config and
//! relations in which nothing ever happened, to the owner of every field; a second one writes nothing.
//!
//! A failing sequence names its seed: `CHARM_SEED=<seed>` runs it alone, step for step the same.
//! `CHARM_SEQUENCES` says how many to run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    reason = "a test may stop at the first surprise, and shows its count"
)]

mod scene;
mod steps;

use std::env;
use std::time::Instant;

use tests::dice::Dice;
use tests::plane::Plane;

use scene::Scene;
use steps::Step;

const SEQUENCES: u64 = 6;
const STEPS: usize = 12;

#[tokio::test]
async fn a_world_after_accidents_is_as_one_without() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = match number("CHARM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CHARM_SEQUENCES").unwrap_or(SEQUENCES),
    };
    let plane = Plane::start().await.unwrap();
    let began = Instant::now();
    let (mut hooks, mut killed) = (0, 0);
    for seed in seeds.clone() {
        let scene = sequence(&plane, seed).await;
        let runs = scene.world.juju.hook_runs();
        hooks += runs.len();
        killed += runs.iter().filter(|run| run.exit.is_terminated()).count();
    }
    println!(
        "seeds {seeds:?}, {STEPS} steps each: {hooks} hooks, {killed} killed; {:.1} s",
        began.elapsed().as_secs_f64()
    );
}

/// One sequence. Its steps are told if it ends in a panic.
async fn sequence(plane: &Plane, seed: u64) -> Scene {
    struct Told(u64, Vec<String>);
    impl Drop for Told {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("CHARM_SEED={}\n{}", self.0, self.1.join("\n"));
            }
        }
    }
    let mut told = Told(seed, Vec::new());
    let mut dice = Dice::new(seed);
    let mut scene = Scene::set(plane, &format!("seed-{seed}")).await;
    for _ in 0..STEPS {
        let step = Step::choose(&scene, &mut dice);
        told.1.push(format!("{step:?}"));
        step.take(&mut scene).await;
        // Sometimes one thing comes before the last one has come to rest.
        if dice.roll(10) < 7 {
            scene.settle().await;
        }
    }
    told.1.push("the end".to_owned());
    scene.end().await;
    let status = scene.quiet_hook().await;
    let twin = scene.twin(plane, &format!("twin-{seed}")).await;
    let ours = scene.world.dump().await.unwrap();
    let theirs = twin.world.dump().await.unwrap();
    assert_eq!(ours, theirs, "{}", scene.world.log());
    assert_eq!(status, twin.world.status());
    scene.assert_next_hook_writes_nothing().await;
    scene
}
