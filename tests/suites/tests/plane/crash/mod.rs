//! A crash costs nothing: killed between any two calls, the next hook ends in the same state as if it
//! had not been.
//!
//! Each hook of each step is killed at its calls: when it calls a hook tool, before a request
//! is passed on to the API server, and after a write was carried out, before the charm hears of it. (After a
//! read is the same as before the next call: a killed charm forgets what it has read.) Juju runs the
//! hook again, and then there must be to see what there was without the kill.
//!
//! Between two writes a kill leaves the same world behind wherever it falls, so one of them counts; of those a
//! third is tried, in each hook at least one. With `MATRIX=all` each point is.

mod course;
mod ledger;
mod steps;

use std::time::Instant;

use anyhow::Result;
use worlds::plane::{LightWorld, Plane};
use worlds::side_by_side::side_by_side;

use course::Course;
use ledger::Ledger;
use steps::Site;

#[test]
fn a_killed_hook_costs_nothing() {
    let begun = Instant::now();
    let ledger = Ledger::default();
    let sites = vec![Site::Shared, Site::Upgraded, Site::Bare];
    side_by_side(sites, async |site| {
        // The plane serves worlds of other threads.
        let plane = Plane::start().await?;
        work_at(site, &plane, &ledger).await
    })
    .unwrap();
    println!("{}", ledger.table());
    println!("took {} s", begun.elapsed().as_secs());
    let failures = ledger.failures();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Walks every step of a site undisturbed, and then with several worlds at once until nothing is left to
/// try.
async fn work_at(site: Site, plane: &Plane, ledger: &Ledger) -> Result<()> {
    let neighbour = match site {
        Site::Shared => Some(LightWorld::deployed(plane, "neighbour").await?),
        Site::Upgraded | Site::Bare => None,
    };
    if let Some(neighbour) = &neighbour {
        // While somebody else uses Velero, definitions stay.
        neighbour.use_velero().await?;
    }
    Course::scout(plane, site, ledger).await;
    side_by_side(site.walkers(), async |(name, round)| {
        let mut course = Course::begin(plane, site, name, round).await;
        course.disturb(ledger).await;
        Ok(())
    })
}
