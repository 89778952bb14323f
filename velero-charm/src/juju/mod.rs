//! Juju: the hook's environment and the hook tools.
//!
//! **Invariant:** nothing else in the charm reads the environment or starts a hook tool, and no
//! secret is ever an argument of one: what is told passes [`Secrets`] on its way out.

pub(crate) mod env;
pub(crate) mod log;
mod secrets;
mod text;
mod tools;

pub(crate) use self::{
    env::{Event, News, Unit},
    secrets::Secrets,
    tools::{JujuError, Leadership, Level, Status, Tools},
};
