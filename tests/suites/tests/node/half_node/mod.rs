//! Tests that leave alone what is wide as the cluster: two run at a time.
//!
//! They come before those of the whole node, which so waits for the last of these once. Each of the longest is among the
//! first by its name, as the test harness takes them in the order of their names.

mod actions;
mod alerting;
mod bad_store;
mod change_of_store;
mod clients;
mod config;
mod experiments;
mod in_flight;
mod integrator;
mod pod_security;
mod quiet;
