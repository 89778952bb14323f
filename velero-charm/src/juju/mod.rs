//! Juju: the hook's environment and the hook tools.
//!
//! **Invariant:** nothing else in the charm reads the environment or starts a hook tool, and no
//! secret is ever an argument of one.

pub(crate) mod env;
mod handshake;
pub(crate) mod log;
pub(crate) mod relation;
pub(crate) mod secret;
mod tools;

pub(crate) use self::{
    env::{Event, News, Unit},
    tools::{JujuError, Leadership, Level, Status, Tools},
};
