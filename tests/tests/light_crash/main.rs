//! A crash costs nothing: killed between any two calls, the next hook ends in the same state as if it
//! had not been.
//!
//! Each hook of each step is killed at each of its calls: when it calls a hook tool, before a request
//! goes on to the API server, and after a write was carried out, before the charm hears of it. (After a
//! read is the same as before the next call: a killed charm forgets what it has read.) Juju runs the
//! hook again, and then there must be to see what there was without the kill.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a test may stop at the first surprise, and shows what it has tried"
)]

mod course;
mod ledger;
mod steps;

use std::thread;
use std::time::Instant;

use tests::operator;
use tests::plane::Plane;

use course::Course;
use ledger::Ledger;
use steps::Site;

#[test]
fn a_killed_hook_costs_nothing() {
    let begun = Instant::now();
    let ledger = Ledger::default();
    on_a_thread_each(vec![Site::Shared, Site::Upgraded, Site::Bare], &|site| {
        work_at(site, &ledger);
    });
    println!("{}", ledger.table());
    println!("took {} s", begun.elapsed().as_secs());
    let failures = ledger.failures();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Walks every course of a site undisturbed, and then with several worlds at once until nothing is left
/// to try.
fn work_at(site: Site, ledger: &Ledger) {
    let plane = block_on(async {
        operator::program().await.unwrap();
        Plane::start().await.unwrap()
    });
    block_on(Course::scout(&plane, site, ledger));
    on_a_thread_each(site.walkers(), &|(name, steps)| {
        block_on(async {
            let mut course = Course::begin(&plane, site, name, steps).await;
            course.disturb(ledger).await;
        });
    });
}

/// Worlds are busy for themselves; what they wait for is elsewhere.
fn on_a_thread_each<T: Send>(jobs: Vec<T>, work: &(impl Fn(T) + Sync)) {
    thread::scope(|scope| {
        for job in jobs {
            scope.spawn(move || work(job));
        }
    });
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work)
}
