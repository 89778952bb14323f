//! How long the charm's hooks take, and what they cost.
//!
//! Invariant: every figure is taken from outside (the emulator's record, the API server's audit log, a
//! relay, the kernel, a watcher), but for where the time within a hook went, which the charm's own log
//! tells. A goal that is missed is a figure, not a failure.

mod changes;
mod clients;
mod many;
mod program;
mod relay;
mod sheet;
mod site;
mod stages;
mod steady;
mod watcher;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

pub use sheet::Sheet;
pub use site::Ground;

/// How often what takes a tenth of a second is measured.
const TURNS: usize = 15;
/// And what takes half a minute.
const ROUNDS: usize = 5;

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// Everything else; the steady hook in turns with another build of the charm too, if there is one.
    Usual {
        /// That build.
        against: Option<&'a Path>,
    },
    /// The steady hook with many applications that ask to be backed up, which takes as long as the rest.
    Clients,
}

/// Measures it.
pub async fn measure(ground: &Ground, part: Part<'_>) -> Result<Sheet> {
    match part {
        Part::Usual { against } => Box::pin(usual(ground, against)).await,
        Part::Clients => {
            let mut sheet = Sheet::default();
            // Dropped as it is: with so many relations, removal is a thousand hooks.
            let mut site = ground.site("clients").await?;
            site.connect().await?;
            Box::pin(clients::measure(&mut site, ROUNDS, &mut sheet)).await?;
            Ok(sheet)
        }
    }
}

async fn usual(ground: &Ground, against: Option<&Path>) -> Result<Sheet> {
    let mut sheet = Sheet::default();
    program::measure(TURNS, &mut sheet).await?;
    {
        // There is one site at a time on a node.
        let mut site = ground.site("steady").await?;
        site.connect().await?;
        Box::pin(steady::measure(&mut site, against, TURNS, &mut sheet)).await?;
        Box::pin(many::measure(
            &mut site,
            steady::BACKUPS,
            ROUNDS,
            &mut sheet,
        ))
        .await?;
        site.remove().await?;
    }
    Box::pin(changes::measure(ground, ROUNDS, &mut sheet)).await?;
    Ok(sheet)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Something countable as a number.
fn number(count: impl TryInto<u32>) -> f64 {
    count.try_into().map_or(f64::NAN, f64::from)
}
