//! What the charm finds when it comes after another one: the Python charm, an older release of itself, a
//! Velero of somebody else's, newer CustomResourceDefinitions.

mod definitions;
mod edges;
pub(crate) mod given;
mod relations;
mod removal;
mod takeover;
