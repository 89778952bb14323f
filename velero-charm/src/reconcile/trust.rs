//! Rights that are on their way: `juju trust` lets `config-changed` run a moment before it changes the
//! role, and does not always run another hook afterwards.
//!
//! A request that is refused is repeated for a few seconds. There is nothing to watch without rights.

use std::{fmt::Display, future::Future, time::Duration};

use backon::{ConstantBuilder, Retryable as _};
use tokio::time::Instant;
use tracing::debug;

/// Seen on a real controller: up to 0.3 s.
const ON_ITS_WAY: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(200);

/// Asks again while the answer is a refusal. The time that answers take counts: what is refused slowly is asked for
/// less often.
pub(crate) async fn patiently<T, E, F>(
    request: impl FnMut() -> F,
    mut is_refusal: impl FnMut(&E) -> bool,
) -> Result<T, E>
where
    E: Display,
    F: Future<Output = Result<T, E>>,
{
    let pauses = ConstantBuilder::default()
        .with_delay(PAUSE)
        .without_max_times();
    let until = Instant::now() + ON_ITS_WAY;
    request
        .retry(pauses)
        .when(|error| is_refusal(error) && Instant::now() < until)
        .notify(|error, _| debug!("{error}; asking again in case trust is on its way."))
        .await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn patience_ends_in_time_with_slow_refusals() {
        let asked = Cell::new(0);
        let refused = patiently(
            async || {
                asked.set(asked.get() + 1);
                tokio::time::sleep(ON_ITS_WAY / 2).await;
                Err::<(), _>("no")
            },
            |_| true,
        );
        assert_eq!(refused.await, Err("no"));
        assert!((2..=3).contains(&asked.get()), "{}", asked.get());
    }

    #[tokio::test]
    async fn patience_is_for_refusals_alone() {
        let asked = Cell::new(0);
        let failed = patiently(
            async || {
                asked.set(asked.get() + 1);
                Err::<(), _>("away")
            },
            |_| false,
        );
        assert_eq!(failed.await, Err("away"));
        assert_eq!(asked.get(), 1);
    }
}
