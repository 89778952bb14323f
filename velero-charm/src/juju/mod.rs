//! Juju: the hook's environment and the hook tools.
//!
//! **Invariant:** no other room starts a hook tool or reads the environment (`clippy.toml`), but for the
//! client of `cluster`, which finds the API server by it. What people read passes [`Secrets`] on its
//! way out.

pub(crate) mod env;
pub(crate) mod log;
pub(crate) mod secret;
mod secrets;
mod status;
mod text;
mod tools;

pub(crate) use self::{
    env::{Event, News, Unit},
    secrets::Secrets,
    status::{Clause, Level, Status, more},
    text::printable,
    tools::{Fate, JujuError, Leadership, Tools},
};
