//! Volumes: what a Backup holds of them, and where that is written down.
//!
//! **Invariant:** what is told comes from objects of the cluster, never from the charm's config. All but `read`
//! is pure.

pub(crate) mod note;
pub(crate) mod read;
pub(crate) mod report;
pub(crate) mod scope;
