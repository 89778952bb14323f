//! Random sequences of what users, clusters and charms do to a model, with charms that record what they
//! see; after each step the rules of Juju hold (`rules.rs`).
//!
//! A failing sequence names its seed: `JUJU_SEED=<seed>` runs it alone, step for step the same.
//! `JUJU_SEQUENCES` says how many to run.

mod rules;
mod steps;

use std::time::Instant;

use worlds::dice::{self, Dice, Steps};

use steps::World;

const SEQUENCES: u64 = 16;
const STEPS: usize = 25;

#[tokio::test]
async fn rules_of_juju_hold_whatever_happens() {
    let seeds = dice::seeds("JUJU", SEQUENCES).unwrap();
    let began = Instant::now();
    let (mut hooks, mut failed, mut killed, mut sequences) = (0, 0, 0, 0);
    for seed in seeds {
        let world = sequence(seed).await;
        sequences += 1;
        hooks += world.juju.hook_runs().len();
        failed += world.rules.failed;
        killed += world.rules.killed;
    }
    println!(
        "{sequences} sequences of {STEPS} steps: {hooks} hooks, {failed} failed, {killed} killed; \
         {:.1} s",
        began.elapsed().as_secs_f64()
    );
}

/// One sequence. Its steps are printed if it ends in a panic.
async fn sequence(seed: u64) -> World {
    let mut told = Steps::of("JUJU", seed);
    let mut dice = Dice::new(seed);
    let mut world = World::new().await;
    for _ in 0..STEPS {
        let step = world.choose(&mut dice);
        told.take(format!("{step:?}"));
        world.take(step).await;
        // Sometimes one thing comes before the last one has come to rest.
        if dice.roll(10) < 7 {
            world.rest().await;
        }
    }
    world.rest().await;
    world
}
