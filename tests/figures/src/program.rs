//! The program alone: its size, and how soon it is there.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, ensure};
use worlds::operator;

use super::sheet::{Sheet, Unit};
use super::{milliseconds, number};

/// Tells size and start.
pub(super) async fn measure(turns: usize, sheet: &mut Sheet) -> Result<()> {
    let program = operator::program().await?;
    sheet.heading("The program");
    let size = number(std::fs::metadata(&program)?.len()) / 1e6;
    sheet.figure("size", Unit::Megabytes, &[size].into_iter().collect());
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        ours.push(time(Command::new(&program).arg("--version"))?);
        bare.push(time(&mut Command::new("true"))?);
    }
    let ours = ours.into_iter().collect();
    sheet.figure("`velero-charm --version`", Unit::Milliseconds, &ours);
    let bare = bare.into_iter().collect();
    sheet.figure("`true`", Unit::Milliseconds, &bare);
    Ok(())
}

fn time(command: &mut Command) -> Result<f64> {
    let clock = Instant::now();
    let status = command
        .env_remove("JUJU_DISPATCH_PATH")
        .stdout(Stdio::null())
        .status()?;
    let took = milliseconds(clock.elapsed());
    ensure!(status.success(), "{command:?}: {status}");
    Ok(took)
}
