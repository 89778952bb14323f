//! Random sequences of what users, clusters and charms do to a model, with charms that record what they
//! see; after each step the rules of Juju hold (`rules.rs`).
//!
//! A failing sequence names its seed: `JUJU_SEED=<seed>` runs it alone, step for step the same.
//! `JUJU_SEQUENCES` says how many to run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    reason = "a test may stop at the first surprise, and shows its count"
)]

mod rules;
mod steps;

use std::env;
use std::time::Instant;

use steps::World;
use tests::dice::Dice;

const SEQUENCES: u64 = 16;
const STEPS: usize = 25;

#[tokio::test]
async fn whatever_happens_juju_s_rules_hold() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = match number("JUJU_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("JUJU_SEQUENCES").unwrap_or(SEQUENCES),
    };
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

/// One sequence. Its steps are told if it ends in a panic.
async fn sequence(seed: u64) -> World {
    struct Told(u64, Vec<String>);
    impl Drop for Told {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("JUJU_SEED={}\n{}", self.0, self.1.join("\n"));
            }
        }
    }
    let mut told = Told(seed, Vec::new());
    let mut dice = Dice::new(seed);
    let mut world = World::new().await;
    for _ in 0..STEPS {
        told.1.push(String::new());
        let step = world.choose(&mut dice);
        *told.1.last_mut().unwrap() = format!("{step:?}");
        world.take(step).await;
        // Sometimes one thing comes before the last one has come to rest.
        if dice.roll(10) < 7 {
            world.rest().await;
        }
    }
    world.rest().await;
    world
}
