//! What was there before this charm, or before this version of it.
//!
//! Invariant: nothing here is guessed. Manifests are recordings of the CLI that made them, requests
//! are those of the charm that sent them, and a test holds the one against the other.

mod account;
mod cli;
mod own_charm;
mod python_charm;
mod recordings;

pub use cli::{CLI, VeleroCli};
pub use own_charm::take_back;
pub use python_charm::{LIGHTKUBE, PythonCharm};
pub use recordings::{Installation, Release, left_by_the_python_charm};
