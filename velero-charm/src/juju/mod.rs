//! Juju: the hook's environment and the hook tools.
//!
//! **Invariant:** no other room starts a hook tool or reads the environment (`clippy.toml`), but for the
//! client of `cluster`, which finds the API server by it. What is told to people passes [`Secrets`] on its
//! way out.

pub(crate) mod env;
pub(crate) mod log;
pub(crate) mod secret;
mod secrets;
mod text;
mod tools;

pub(crate) use self::{
    env::{Event, News, Unit},
    secrets::Secrets,
    text::printable,
    tools::{Fate, JujuError, Leadership, Level, Status, Tools},
};
