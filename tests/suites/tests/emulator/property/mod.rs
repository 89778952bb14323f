//! Random sequences of what users, clusters and charms do to a model, with charms that record what they
//! see; after each step the rules of Juju hold (`rules.rs`).
//!
//! A failing sequence names its seed: `JUJU_SEED=<seed>` runs it alone, step for step the same.
//! `JUJU_SEQUENCES` says how many to run.

mod rules;
mod steps;

use std::time::Instant;

use worlds::dice;

use steps::World;

const SEQUENCES: u64 = 16;
const STEPS: usize = 25;

#[tokio::test]
async fn rules_of_juju_hold_whatever_happens() {
    let seeds = dice::seeds("JUJU", SEQUENCES).unwrap();
    let began = Instant::now();
    let (mut hooks, mut failed, mut killed, mut sequences) = (0, 0, 0, 0);
    for seed in seeds {
        let world = dice::sequence("JUJU", seed, STEPS, World::new()).await;
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
