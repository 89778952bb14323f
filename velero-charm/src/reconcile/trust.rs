//! Rights that are on their way: `juju trust` lets `config-changed` run a moment before it changes the
//! role, and does not always run another hook afterwards.
//!
//! A request that is refused is repeated for a few seconds. There is nothing to watch without rights.

use std::{fmt::Display, future::Future, time::Duration};

use backon::{ConstantBuilder, Retryable as _};
use tracing::debug;

/// Seen on a real controller: up to 0.3 s.
const ON_ITS_WAY: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(200);

/// Asks again while the answer is a refusal.
pub(crate) async fn patiently<T, E, F>(
    request: impl FnMut() -> F,
    is_refusal: impl FnMut(&E) -> bool,
) -> Result<T, E>
where
    E: Display,
    F: Future<Output = Result<T, E>>,
{
    let times = ON_ITS_WAY.as_millis() / PAUSE.as_millis();
    let pauses = ConstantBuilder::default()
        .with_delay(PAUSE)
        .with_max_times(usize::try_from(times).unwrap_or(usize::MAX));
    request
        .retry(pauses)
        .when(is_refusal)
        .notify(|error, _| debug!("{error}; asking again in case trust is on its way."))
        .await
}
