//! Tests that leave alone what is wide as the cluster: two run at a time.
//!
//! They come before those of the whole node, which is waited for only once that way. The longest are among the first by
//! their names: the test harness takes them in that order.

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
