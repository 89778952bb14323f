//! Which of the ways that Juju has is played, where it has several.
//!
//! Invariant: real Juju does each of these; which one is a matter of moments, and here of the test.

/// How often `config-changed` runs for one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// Once.
    Once,
    /// Twice in a row.
    Twice,
}

/// Which last hooks the units of a destroyed model come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastHooks {
    /// `stop` and no more: the usual way.
    Stop,
    /// `stop` and `remove`.
    StopAndRemove,
}

/// How a change is echoed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Echoes {
    /// A setting. Real Juju mostly takes the other way; this one keeps a test's hooks apart.
    pub(super) config: Echo,
    /// Trust given or taken: the usual way.
    pub(super) trust: Echo,
}

impl Default for Echoes {
    fn default() -> Self {
        Self {
            config: Echo::Once,
            trust: Echo::Twice,
        }
    }
}
