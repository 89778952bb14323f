//! What is in a relation's secret: as it was kept, or as Juju gives it.
//!
//! **Invariant:** this is the one place that asks for secrets (`clippy.toml`), and only where what was kept may
//! no longer be the newest. A secret has new content only under a new address or with a hook that tells of
//! it, and such hooks come to a unit that has read the secret since it was born. So it is asked for if
//! nothing is kept for its address, if this unit has not read it, or if a hook was told of news and what it
//! read was not kept; and once a day in any case.

use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;

use crate::{
    juju::{
        JujuError, News, Tools,
        secret::{Address, Content},
    },
    ours::credential::{Note, Reading},
};

/// What was read is read again after this time, even if Juju has told us nothing.
const LASTS: SignedDuration = SignedDuration::from_hours(24);

/// More is no credential, and would not fit into a Secret of Kubernetes twice.
const LARGEST_SECRET: usize = 256 * 1024;

/// Whether our data bag says that the secret is unread.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mark {
    None,
    /// And it is.
    Unread,
    /// But this hook has read it, or there is none.
    Outdated,
}

/// How a unit comes to know what is in a secret.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Means<'a> {
    /// It asks Juju, and keeps what it reads.
    Asks { unit: &'a str, news: News },
    /// It knows what the leader has kept.
    Follows,
}

/// A secret that is to be opened.
#[derive(Debug)]
pub(super) struct Secret<'a> {
    /// In the form in which it was sent.
    pub(super) address: &'a str,
    /// The fields that it is to have.
    pub(super) requested: &'a [&'static str],
    /// What was read of the relation's secret earlier.
    pub(super) kept: Option<&'a Reading>,
    pub(super) mark: Mark,
}

/// What is known of a secret.
#[derive(Debug)]
pub(super) enum Opened {
    /// What was kept of it.
    Kept(Reading),
    /// What Juju has just given.
    Read(Reading),
    Unreadable(String),
}

impl Secret<'_> {
    pub(super) async fn open(
        &self,
        tools: &Tools,
        means: Means<'_>,
        now: Timestamp,
    ) -> Result<Opened, JujuError> {
        let unreadable = |reason: &str| Ok(Opened::Unreadable(reason.to_owned()));
        let Some(address) = Address::parse(self.address) else {
            return unreadable("its address is not that of a secret");
        };
        let kept = self
            .kept
            .filter(|kept| kept.note.address == address.as_str());
        let (unit, good) = match (means, kept) {
            (Means::Follows, Some(kept)) => return Ok(Opened::Kept(kept.clone())),
            (Means::Follows, None) => return unreadable("the leader has not read it yet"),
            (Means::Asks { unit, .. }, kept) => {
                (unit, kept.filter(|kept| is_good(&kept.note, unit, now)))
            }
        };
        if let Some(good) = good.filter(|_| self.mark == Mark::None) {
            return Ok(Opened::Kept(good.clone()));
        }
        #[expect(clippy::disallowed_methods, reason = "this is the place that asks")]
        let answer = tools.secret(&address).await;
        let mut content = match answer {
            Ok(content) => content,
            Err(error) => {
                return match error.refusal() {
                    Some(reason) => unreadable(reason),
                    None => Err(error),
                };
            }
        };
        content.retain(|field, _| self.requested.contains(&field.as_str()));
        let size = content.values().map(|value| value.expose_secret().len());
        if size.sum::<usize>() > LARGEST_SECRET {
            return unreadable("it is too large");
        }
        Ok(Opened::Read(
            match good.filter(|good| is_same(&good.content, &content)) {
                Some(good) => good.clone(),
                None => Reading {
                    note: Note {
                        address: address.as_str().to_owned(),
                        unit: unit.to_owned(),
                        at: now,
                    },
                    content,
                },
            },
        ))
    }
}

/// Juju tells this unit when there is something newer, and it is not so long ago that we would rather make
/// sure.
fn is_good(note: &Note, unit: &str, now: Timestamp) -> bool {
    let age = now.duration_since(note.at);
    note.unit == unit && !age.is_negative() && age < LASTS
}

fn is_same(one: &Content, other: &Content) -> bool {
    let open = |content: &Content| -> Vec<(String, String)> {
        content
            .iter()
            .map(|(field, value)| (field.clone(), value.expose_secret().to_owned()))
            .collect()
    };
    open(one) == open(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &str = "9m4e2mr0ui3e8a215n4g";

    #[test]
    fn a_note_is_good_for_its_reader_and_a_day() {
        let now: Timestamp = "2026-01-02T12:00:00Z".parse().unwrap();
        let read = |at: &str| Note {
            address: BARE.into(),
            unit: "v/0".into(),
            at: at.parse().unwrap(),
        };
        assert!(is_good(&read("2026-01-02T12:00:00Z"), "v/0", now));
        assert!(is_good(&read("2026-01-01T12:00:01Z"), "v/0", now));
        assert!(!is_good(&read("2026-01-02T12:00:00Z"), "v/1", now));
        assert!(!is_good(&read("2026-01-01T12:00:00Z"), "v/0", now));
        assert!(!is_good(&read("2026-01-02T12:00:01Z"), "v/0", now));
    }
}
