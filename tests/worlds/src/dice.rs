//! Numbers for tests that do things at random, the course of such a test, and what it tells when it fails.
//!
//! Invariant: the same seed gives the same numbers, on every machine.

use std::env;
use std::fmt::Debug;
use std::io::Write as _;
use std::ops::Range;

use anyhow::{Context as _, Result};

/// A small generator of numbers that are random enough, and the same for the same seed.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Numbers of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `sides`.
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let sides = u64::try_from(sides).unwrap_or(u64::MAX);
        // Below `sides`, so it fits.
        usize::try_from(mixed % sides).unwrap_or_default()
    }

    /// One of these, of which there are some.
    pub fn one_of<T: Copy, const N: usize>(&mut self, from: &[T; N]) -> T {
        from[self.roll(N)]
    }

    /// One of these, if there are any.
    pub fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        (!from.is_empty()).then(|| from[self.roll(from.len())].clone())
    }
}

/// The seeds to try: that of `<name>_SEED` alone, or as many as `<name>_SEQUENCES` says, or this many.
///
/// # Errors
/// If one of them is set and no number.
pub fn seeds(name: &str, usual: u64) -> Result<Range<u64>> {
    let number = |what: &str| -> Result<Option<u64>> {
        let name = format!("{name}_{what}");
        let text = env::var(&name).ok();
        let number = text.map(|text| text.parse().with_context(|| format!("{name}={text}")));
        number.transpose()
    };
    Ok(match number("SEED")? {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEQUENCES")?.unwrap_or(usual),
    })
}

/// A world that things happen to, and what holds of it.
#[expect(async_fn_in_trait, reason = "a test waits for it where it calls it")]
pub trait Eventful {
    /// Something that can happen.
    type Step: Debug;

    /// Something that can happen now.
    fn choose(&self, dice: &mut Dice) -> Self::Step;

    /// Lets it happen.
    async fn take(&mut self, step: Self::Step);

    /// Lets what follows from it come to an end.
    async fn rest(&mut self);

    /// Fails unless everything is as it should be, however it came to be so.
    async fn end(&mut self);
}

/// One sequence of steps. They are printed if it ends in a panic; `<name>_SEED` repeats it.
pub async fn sequence<W: Eventful>(
    name: &'static str,
    seed: u64,
    steps: usize,
    begin: impl Future<Output = W>,
) -> W {
    let mut told = Steps {
        name,
        seed,
        taken: Vec::new(),
    };
    let mut dice = Dice::new(seed);
    let mut world = begin.await;
    for _ in 0..steps {
        let step = world.choose(&mut dice);
        told.taken.push(format!("{step:?}"));
        world.take(step).await;
        // Sometimes one thing comes before the last one has come to rest.
        if dice.roll(10) < 7 {
            world.rest().await;
        }
    }
    told.taken.push("the end".to_owned());
    world.end().await;
    world
}

/// The steps that were taken.
struct Steps {
    name: &'static str,
    seed: u64,
    taken: Vec<String>,
}

impl Drop for Steps {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (name, seed, steps) = (self.name, self.seed, self.taken.join("\n"));
            // Nobody is left to be told when standard error is closed.
            let _ = writeln!(std::io::stderr(), "{name}_SEED={seed}\n{steps}");
        }
    }
}
