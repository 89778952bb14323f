//! The secrets that this run has come across, and texts without them.
//!
//! What people are told passes [`Secrets::presentable`] inside [`Tools`](super::Tools) and [`log`](super::log),
//! so that no caller can forget it.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};

use super::text;

/// What stands for a secret.
const MASK: &str = "***";
/// No store takes a key that is shorter, and its letters would be found in every other word.
const SHORTEST: usize = 4;
/// A shorter secret may be a part of ordinary words (`velero`, `minio`): it is only looked for where it
/// stands alone.
const UNMISTAKABLE: usize = 8;

/// What RFC 3986 leaves as it is, wherever it stands in a URL.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// What a path may hold in addition.
const PATH: &AsciiSet = &QUERY
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// Everything that must not be told. Clones share what they know.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Arc<RwLock<Vec<SecretString>>>);

impl Secrets {
    /// From now on this is redacted, as a whole and line by line.
    pub(crate) fn learn(&self, secret: &SecretString) {
        let secret = secret.expose_secret();
        self.learn_parts(std::iter::once(secret).chain(secret.lines()));
    }

    /// The same of a text whose lines are no secrets.
    pub(crate) fn learn_whole(&self, secret: &SecretString) {
        self.learn_parts(std::iter::once(secret.expose_secret()));
    }

    fn learn_parts<'a>(&self, parts: impl Iterator<Item = &'a str>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let parts = parts.map(str::trim);
        for part in parts.filter(|part| part.len() >= SHORTEST) {
            for spelling in spellings(part) {
                if !known.iter().any(|one| one.expose_secret() == spelling) {
                    known.push(spelling.into_owned().into());
                }
            }
        }
        // A part of a secret must not be masked before the whole is looked for.
        known.sort_by_key(|one| std::cmp::Reverse(one.expose_secret().len()));
    }

    /// The text as people may see it: without secrets, and without what a terminal obeys.
    pub(crate) fn presentable(&self, text: &str) -> String {
        text::printable(&self.redact(text))
    }

    /// The text with a mask in place of every secret.
    pub(super) fn redact(&self, text: &str) -> String {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().fold(text.to_owned(), |text, secret| {
            let secret = secret.expose_secret();
            if secret.len() < UNMISTAKABLE {
                mask_where_alone(&text, secret)
            } else {
                text.replace(secret, MASK)
            }
        })
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

/// How a secret may show up: as it is, in a URL, in a header or in a manifest.
fn spellings(secret: &str) -> [Cow<'_, str>; 4] {
    [
        secret.into(),
        utf8_percent_encode(secret, QUERY).into(),
        utf8_percent_encode(secret, PATH).into(),
        STANDARD.encode(secret).into(),
    ]
}

fn mask_where_alone(text: &str, secret: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(secret) {
        let stands_alone =
            !before.ends_with(continues_a_word) && !after.starts_with(continues_a_word);
        masked.push_str(before);
        masked.push_str(if stands_alone { MASK } else { secret });
        rest = after;
    }
    masked + rest
}

/// Also what joins the words of a host, a path or an application's name.
fn continues_a_word(c: char) -> bool {
    c.is_alphanumeric() || ['-', '_', '.', '/'].contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knowing(secrets: &[&str]) -> Secrets {
        let known = Secrets::default();
        for secret in secrets {
            known.learn(&(*secret).into());
        }
        known
    }

    #[test]
    fn lines_of_a_secret_are_masked() {
        let known = knowing(&["a-first-line\r\n  a-second-line\n\nx\n"]);

        for told in ["a-first-line", "a-second-line"] {
            assert_eq!(known.redact(&format!("by {told}.")), "by ***.");
        }
        assert_eq!(known.redact("x"), "x");
    }

    #[test]
    fn lines_of_a_whole_are_told() {
        let known = Secrets::default();
        known.learn_whole(&"[default]\nname=value\n".into());
        assert_eq!(known.redact("[default]\nname=value."), "***.");
        assert_eq!(known.redact("[default]"), "[default]");
    }

    #[test]
    fn encoded_secrets_are_masked() {
        let known = knowing(&["se/cr+et=="]);

        for told in ["se%2Fcr%2Bet%3D%3D", "se%2Fcr+et==", "c2UvY3IrZXQ9PQ=="] {
            assert_eq!(known.redact(&format!("key={told}&x")), "key=***&x");
        }
    }

    #[test]
    fn a_short_secret_is_masked_where_it_stands_alone() {
        let known = knowing(&["minio", "abc"]);

        assert_eq!(known.redact("key `minio`, abc"), "key `***`, abc");
        for told in ["https://minio.example.com", "minio-operator", "a/minio"] {
            assert_eq!(known.redact(told), told);
        }
    }

    #[test]
    fn the_whole_is_masked_before_its_parts() {
        let known = knowing(&["secret-4711", "secret-4711-and-more"]);
        assert_eq!(known.redact("secret-4711-and-more"), "***");
    }

    #[test]
    fn clones_share_secrets_and_debug_tells_none() {
        let known = Secrets::default();
        known.clone().learn(&"canary-4711".into());
        assert_eq!(known.redact("canary-4711"), "***");
        assert!(!format!("{known:?}").contains("canary"));
    }
}
