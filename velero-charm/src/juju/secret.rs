//! Secrets that Juju keeps.
//!
//! **Invariant:** an [`Address`] has one of the forms that Juju knows, so that no hook tool takes it for
//! anything else; content is a secret type.

use std::collections::BTreeMap;

use secrecy::SecretString;

const SCHEME: &str = "secret:";
/// The length of a secret's id.
const ID: usize = 20;
/// The lengths of the parts of a model's UUID.
const UUID: [usize; 5] = [8, 4, 4, 4, 12];
/// The address of a secret, in one of the forms that Juju knows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Address(String);

/// The fields of a secret.
pub(crate) type Content = BTreeMap<String, SecretString>;

impl Address {
    /// `secret:<id>`, `secret://<model>/<id>` or the id alone.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_whole = match text.strip_prefix(SCHEME) {
            None => is_id(text),
            Some(rest) => match rest.strip_prefix("//") {
                None => is_id(rest),
                Some(long) => long
                    .split_once('/')
                    .is_some_and(|(model, id)| is_uuid(model) && is_id(id)),
            },
        };
        is_whole.then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_id(text: &str) -> bool {
    let is_letter = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() == ID && text.bytes().all(is_letter)
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq(UUID)
        && parts
            .concat()
            .bytes()
            .all(|c| c.is_ascii_hexdigit() && !c.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &str = "9m4e2mr0ui3e8a215n4g";

    #[test]
    fn addresses_have_one_of_three_forms() {
        let long = format!("secret://0b7a6c1e-56a5-4a65-8d5c-1f2a3b4c5d6e/{BARE}");
        for text in [BARE, &format!("secret:{BARE}"), &long] {
            assert_eq!(Address::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn texts_of_other_forms_are_no_addresses() {
        for text in [
            "",
            "secret:",
            "secret://",
            "--help",
            "--peek=9m4e2mr0ui3e8",
            "-9m4e2mr0ui3e8a215n4",
            "secret:9m4e2mr0ui3e8a215n4g ",
            "secret:9m4e2mr0ui3e8a215n4g\n",
            "secret:9m4e2mr0ui3e8a215n4",
            "secret:9m4e2mr0ui3e8a215n4gg",
            "secret:9M4E2MR0UI3E8A215N4G",
            "secret:../../../../etc/pass",
            "secret:/9m4e2mr0ui3e8a215n4g",
            "secret://other/9m4e2mr0ui3e8a215n4g",
            "secret://0b7a6c1e-56a5-4a65-8d5c-1f2a3b4c5d6e/a/9m4e2mr0ui3e8a215n4g",
            "secret://-0b7a6c1-56a5-4a65-8d5c-1f2a3b4c5d6e/9m4e2mr0ui3e8a215n4g",
            "https://example.com/9m4e2mr0ui3e8a215n4g",
            &"a".repeat(1 << 20),
        ] {
            assert_eq!(Address::parse(text), None, "{text:.60}");
        }
    }
}
