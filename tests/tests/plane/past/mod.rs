//! What the charm finds when it comes after another one: the Python charm, an older release of itself, a
//! Velero of somebody else's, newer CustomResourceDefinitions.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

mod definitions;
mod edges;
mod given;
mod relations;
mod removal;
mod takeover;
