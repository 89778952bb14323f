//! Tests that need what is wide as the cluster to themselves: Velero's definitions, which a removal takes away, and classes
//! of snapshots.

mod csi;
mod foreign;
mod past;
mod removal;
mod whole_way;
