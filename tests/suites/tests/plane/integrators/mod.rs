//! Integrators of several releases, each taken through the same courses; and the page that says how they end.
//!
//! Invariant: the page has the table that the tests carry out, cell by cell. A release talks through its real
//! library where the package index has it, else it is played.

mod courses;
mod offers;
mod page;
mod stage;
mod table;

use std::fs;

use anyhow::Result;
use worlds::operator::{APP, UNIT, workspace};
use worlds::plane::Plane;
use worlds::side_by_side::side_by_side;

use courses::Course;
use offers::Offer;
use stage::Stage;
use table::{ROWS, Row};

/// A world for each row, two at a time: their hooks take most of a processor.
async fn integrators_of(offer: Offer) -> Result<()> {
    let plane = Plane::shared().await?;
    let rows: Vec<&'static Row> = ROWS.iter().filter(|row| row.offer() == offer).collect();
    assert!(!rows.is_empty());
    let lanes = rows.len().div_ceil(2);
    let lanes: Vec<_> = rows.chunks(lanes).collect();
    side_by_side(lanes, async |rows| {
        for row in rows {
            all_courses(&plane, row).await?;
        }
        Ok(())
    })
}

/// In this order, each course begins where the one before it has ended.
async fn all_courses(plane: &Plane, row: &'static Row) -> Result<()> {
    let mut stage = Stage::of(plane, row).await?;
    for course in Course::ALL {
        courses::run(course, row.outcome(course), &mut stage).await;
    }
    stage.expect_decency();
    Ok(())
}

/// The libraries of the Python charm leave a copy of what came, keys in the clear included, in the bag of each unit.
#[tokio::test]
async fn follower_clears_its_own_bag_of_copied_keys() {
    let plane = Plane::shared().await.unwrap();
    let row = ROWS.iter().find(|row| row.name == "azure-v0").unwrap();
    let mut stage = Stage::named(&plane, row, "copies").await.unwrap();
    let second = stage.world.juju.add_unit(APP).unwrap();
    stage.integrate().await.unwrap();
    for unit in [UNIT, &second] {
        let copied = stage.unit_bag(unit);
        assert!(copied["data"].contains("acme"), "{unit}: {copied:?}");
    }
    stage.refresh_to_ours().await.unwrap();
    for unit in [UNIT, &second] {
        let left = stage.unit_bag(unit).into_keys().collect::<Vec<_>>();
        assert_eq!(left, ["egress-subnets", "ingress-address"], "{unit}");
    }
}

#[tokio::test]
async fn s3_integrators_end_each_course_as_the_page_says() {
    integrators_of(Offer::S3).await.unwrap();
}

#[tokio::test]
async fn azure_integrators_end_each_course_as_the_page_says() {
    integrators_of(Offer::Azure).await.unwrap();
}

#[tokio::test]
async fn principals_integrators_end_each_course_as_the_page_says() {
    integrators_of(Offer::Principal).await.unwrap();
}

#[tokio::test]
async fn google_integrators_end_each_course_as_the_page_says() {
    integrators_of(Offer::Gcs).await.unwrap();
}

/// With `UPDATE_DOCS=1` the page is written again instead of compared.
#[test]
fn page_of_integrators_is_that_of_the_table() {
    let path = workspace().join("docs/reference/integrators.md");
    let page = page::of_table();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap();
    assert!(
        written == page,
        "docs/reference/integrators.md is not what the table says"
    );
}
