//! Packs the dashboard as Grafana's charm takes it: base64 of xz of the JSON.

#![expect(
    clippy::disallowed_methods,
    reason = "cargo says by the environment where to"
)]

use std::{env, fs, io::Write as _, path::Path};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use lzma_rust2::{XzOptions, XzWriter};
use serde_json::Value;

const DASHBOARD: &str = "src/ours/dashboard.json";

fn main() -> anyhow::Result<()> {
    println!("cargo:rerun-if-changed={DASHBOARD}");
    let dashboard: Value = serde_json::from_slice(&fs::read(DASHBOARD)?)?;
    let mut xz = XzWriter::new(Vec::new(), XzOptions::with_preset(6))?;
    xz.write_all(dashboard.to_string().as_bytes())?;
    let packed = STANDARD.encode(xz.finish()?);
    let folder = env::var_os("OUT_DIR").context("cargo has named no folder")?;
    fs::write(Path::new(&folder).join("dashboard.xz.base64"), packed)?;
    Ok(())
}
