//! The dashboard for Grafana, of Velero's own metrics.
//!
//! **Invariant:** no panel asks for a metric that Velero does not have (`panels_use_real_metrics`).

/// What `build.rs` makes of `dashboard.json`.
pub(crate) const PACKED: &str = include_str!(concat!(env!("OUT_DIR"), "/dashboard.xz.base64"));
