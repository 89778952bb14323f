//! What this charm makes in a cluster.

pub(crate) mod credential;
pub(crate) mod manifests;
pub(crate) mod record;
