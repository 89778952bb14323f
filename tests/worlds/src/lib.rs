//! Worlds for tests: a model with the charm in it, on the stack or on a control plane where kubelet and Velero are
//! played, and what a previous charm would have left there.

pub mod charmed;
pub mod clusters;
pub mod commands;
pub mod cos;
pub mod dice;
pub mod documented;
pub mod foreign_charms;
mod kinds;
pub mod kubectl;
pub mod matrix;
pub mod namespaces;
pub mod operator;
pub mod options;
pub mod pages;
pub mod past;
pub mod plane;
pub mod prometheus;
pub mod shop;
pub mod side_by_side;
pub mod store;
pub mod stores;
pub mod versions;
pub mod world;
