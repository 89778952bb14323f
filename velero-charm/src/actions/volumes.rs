//! Volumes: whether what a command asks for them can be done here.
//!
//! **Invariant:** what is told comes from objects of the cluster and from the server's arguments, never
//! from the charm's config alone. All but `read` is pure.

pub(super) mod obstacles;
pub(super) mod read;
