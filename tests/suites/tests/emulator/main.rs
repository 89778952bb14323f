//! Juju, emulated: it is Juju.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::string_slice,
    missing_docs,
    reason = "a test may stop at the first surprise, and shows what it has seen"
)]

mod cluster;
mod conformance;
mod foreign;
mod hooks;
mod property;
