//! A sick API server gives a clear status, not silence, and costs nothing for good.
//!
//! Requests of a scene differ in method, kind or purpose. Of the faults that each of them can meet one in sixteen is
//! tried, each kind of fault somewhere; with `MATRIX=all` all are. A fault lasts for the whole hook. That ends in time and
//! well, its status says what failed and what comes next, nothing is deleted but what the undisturbed hook deletes, and one
//! more hook without the fault ends where the undisturbed one does.

mod bout;
mod report;
mod scenes;
mod targets;

use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::Result;
use worlds::matrix::everything;
use worlds::plane::{LightWorld, Plane};
use worlds::side_by_side::{alone, side_by_side};

use bout::Bout;
use report::Report;
use scenes::Scene;

/// Worlds a scene: a fault that is waited out costs time and no work, and a world that few faults are for costs more than
/// they do.
fn worlds() -> RangeInclusive<usize> {
    if everything() { 1..=3 } else { 1..=1 }
}

#[test]
fn a_sick_api_server_is_told_and_costs_nothing_for_good() {
    let begun = Instant::now();
    let report = Report::default();
    alone(async {
        let plane = Plane::start().await?;
        // While somebody else uses Velero, definitions stay.
        let neighbour = LightWorld::deployed(&plane, "neighbour").await?;
        neighbour.use_velero().await?;
        side_by_side(Scene::ALL.to_vec(), async |scene| {
            play(scene, &plane, &report).await
        })
    })
    .unwrap();
    println!("{report}\ntook {} s", begun.elapsed().as_secs());
    let failures = report.failures();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(report.unmet(), []);
}

/// Plays a scene once undisturbed, and then with each fault at each request.
async fn play(scene: Scene, plane: &Plane, report: &Report) -> Result<()> {
    let mut first = Bout::begin(plane, scene, 0).await?;
    let undisturbed = first.undisturbed().await?;
    let rounds = Mutex::new(targets::rounds(scene, &undisturbed.record));
    let next = || rounds.lock().unwrap().pop_front();
    side_by_side(worlds().collect(), async |number| {
        let mut bout = Bout::begin(plane, scene, number).await?;
        while let Some(round) = next() {
            bout.fight(&round, &undisturbed, report).await?;
        }
        Ok(())
    })
}
