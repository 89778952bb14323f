//! Whatever users do and whatever goes wrong, in any order: after one quiet hook the cluster is as config
//! and relations call for, and a second one writes nothing.
//!
//! A failing sequence names its seed: `CHARM_SEED=<seed>` runs it alone, step for step the same.
//! `CHARM_SEQUENCES` says how many to run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a test may stop at the first surprise, and shows its count"
)]

mod oracle;
mod steps;

use std::env;

use tests::dice::Dice;
use tests::operator::UNIT;
use tests::plane::{LightWorld, Plane};

use oracle::Wanted;
use steps::Step;

const SEQUENCES: u64 = 8;
const STEPS: usize = 14;

#[tokio::test]
async fn whatever_happens_the_present_config_and_relations_are_what_counts() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = match number("CHARM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CHARM_SEQUENCES").unwrap_or(SEQUENCES),
    };
    let plane = Plane::shared().await.unwrap();
    let (mut sequences, mut hooks, mut killed) = (0, 0, 0);
    for seed in seeds {
        let world = sequence(&plane, seed).await;
        sequences += 1;
        hooks += world.juju.hook_runs().len();
        let runs = world.juju.hook_runs().iter();
        killed += runs.filter(|run| run.exit.is_terminated()).count();
    }
    println!("{sequences} sequences of {STEPS} steps: {hooks} hooks, {killed} killed");
}

async fn sequence(plane: &Plane, seed: u64) -> LightWorld {
    let mut dice = Dice::new(seed);
    let mut world = LightWorld::deployed(plane, &format!("property-{seed}"))
        .await
        .unwrap();
    let mut wanted = Wanted::default();
    let mut taken = Vec::new();
    for _ in 0..STEPS {
        let step = Step::choose(&wanted, &mut dice);
        taken.push(step.clone());
        step.take(&mut world, &mut wanted).await;
        world.settle().await.unwrap();
    }
    // What was interrupted goes on; then comes the quiet hook.
    world.settle().await.unwrap();
    world.juju.update_status(UNIT).await.unwrap();
    if let Err(difference) = wanted.compare(&world).await {
        panic!(
            "CHARM_SEED={seed}: {difference}\nafter {taken:#?}\n{}",
            world.log()
        );
    }
    let mark = plane.audit().mark().await.unwrap();
    world.juju.update_status(UNIT).await.unwrap();
    let writes = writes(&world, &mark).await;
    assert!(
        writes.is_empty(),
        "CHARM_SEED={seed}: {writes:?} after {taken:#?}"
    );
    world
}

async fn writes(world: &LightWorld, mark: &tests::stack::Mark) -> Vec<String> {
    let requests = world.plane().audit().since(mark).await.unwrap();
    let user = world.charm_user();
    let ours = requests.into_iter().filter(|request| request.user == user);
    ours.filter(|request| !["get", "list", "watch"].contains(&request.verb.as_str()))
        .map(|request| format!("{} {}", request.verb, request.uri))
        .collect()
}
