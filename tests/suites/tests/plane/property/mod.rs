//! Random sequences of what users, integrators, clusters and accidents do to a charmed model. However it
//! came to be as it is: one quiet hook ends in what config and relations call for (`oracle.rs`), and the
//! next one writes nothing.
//!
//! A failing sequence names its seed: `PROPERTY_SEED=<seed>` runs it alone, step for step the same.
//! `PROPERTY_SEQUENCES` says how many to run.

mod oracle;
mod steps;

use std::time::Instant;

use worlds::dice;
use worlds::plane::Plane;

use steps::Scene;

const SEQUENCES: u64 = 4;
const STEPS: usize = 12;

#[tokio::test]
async fn one_undisturbed_hook_converges_from_any_state() {
    let seeds = dice::seeds("PROPERTY", SEQUENCES).unwrap();
    let plane = Plane::start().await.unwrap();
    let began = Instant::now();
    let (mut hooks, mut killed) = (0, 0);
    for seed in seeds.clone() {
        let scene = Scene::set(&plane, seed);
        let scene = dice::sequence("PROPERTY", seed, STEPS, scene).await;
        let runs = scene.world.juju.hook_runs();
        hooks += runs.len();
        killed += runs.iter().filter(|run| run.exit.is_terminated()).count();
    }
    println!(
        "seeds {seeds:?}, {STEPS} steps each: {hooks} hooks, {killed} killed; {:.1} s",
        began.elapsed().as_secs_f64()
    );
}
