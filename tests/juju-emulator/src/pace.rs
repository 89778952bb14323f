//! How fast hook tools answer.
//!
//! Invariant: nothing but the time of an answer depends on it.

use std::time::Duration;

/// How long the charm waits for a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pace {
    /// As long as the emulator needs: about 2 ms.
    #[default]
    Emulators,
    /// As long as for an agent of real Juju, whatever the tool.
    Jujus,
}

/// What a call took on a real controller (4.0.15, two cores), in microseconds from the start of the tool's
/// program to its end.
const REAL: [(&str, u64); 12] = [
    ("is-leader", 3_100),
    ("config-get", 2_700),
    ("relation-ids", 2_600),
    ("relation-list", 3_200),
    ("relation-get", 3_400),
    ("status-get", 2_900),
    ("juju-log", 2_800),
    ("application-version-set", 5_400),
    ("action-log", 7_900),
    ("network-get", 9_400),
    ("goal-state", 14_600),
    ("secret-get", 98_800),
];
/// Any other tool.
const OTHER: u64 = 3_000;
/// Of that, the program's own start and end, which the emulator's tools need as well.
const PROGRAM: u64 = 900;

impl Pace {
    /// How long the agent takes at least to answer a call of this tool.
    pub(super) fn answer(self, tool: &str) -> Duration {
        let real = || REAL.iter().find(|(name, _)| *name == tool);
        match self {
            Self::Emulators => Duration::ZERO,
            Self::Jujus => {
                let whole = real().map_or(OTHER, |(_, took)| *took);
                Duration::from_micros(whole - PROGRAM)
            }
        }
    }
}
