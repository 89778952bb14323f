//! The user's own secret with the password of the volumes' files.

use jiff::Timestamp;

use super::secret::{Mark, Means, Opened, Secret};
use crate::{
    juju::{JujuError, News, Tools},
    ours::{
        credential::Reading,
        password::{FIELD, Wanted, value},
    },
};

/// Opens it, by what was kept of it or by asking Juju.
pub(crate) async fn open(
    address: &str,
    kept: Option<&Reading>,
    tools: &Tools,
    means: Means<'_>,
    now: Timestamp,
) -> Result<Wanted, JujuError> {
    let mark = match means {
        Means::Asks {
            news: News::OfSecrets,
            ..
        } => Mark::Unread,
        Means::Asks { .. } | Means::Follows => Mark::None,
    };
    let sealed = Secret {
        address,
        requested: &[FIELD],
        kept,
        mark,
    };
    Ok(match sealed.open(tools, means, now).await? {
        Opened::Kept(reading) | Opened::Read(reading) if value(&reading).is_some() => {
            Wanted::Known(reading)
        }
        Opened::Kept(_) | Opened::Read(_) => {
            Wanted::Unreadable(format!("it has nothing in a field `{FIELD}`"))
        }
        Opened::Unreadable(reason) => Wanted::Unreadable(reason),
    })
}
