//! The words that make integrators send their data.
//!
//! **Invariant:** what is said depends on a provider's descriptor and the two data bags alone.

use std::collections::BTreeMap;

use provider_api::{Handshake, Version};

/// Where integrators put the address of the Juju secret.
pub(super) const SECRET_ADDRESS: &str = "secret-extra";
const REQUESTED_SECRETS: &str = "requested-secrets";
/// The version that we speak. Integrators of an interim release know it by another name.
const VERSION: [(&str, &str); 2] = [("version", "1"), ("lib-version", "1.0")];
/// Where integrators of the oldest dialect keep what they have seen of us. It is there before they answer.
const SEEN: &str = "data";
/// A word to ourselves: what the integrator still says back is no more than a placeholder of ours.
const WITHDRAWN: &str = "withdrawn-placeholder";

/// What we say to integrators that answer only a request for a certain bucket, and know that this name
/// stands for none.
fn placeholder(relation: &str) -> String {
    let number = relation.rsplit(':').next().unwrap_or(relation);
    format!("relation-{number}")
}

/// The integrator is of the oldest dialect. One of a newer dialect would create the bucket.
fn needs_placeholder(theirs: &BTreeMap<String, String>) -> bool {
    let speaks_ours = VERSION.iter().any(|(key, _)| theirs.contains_key(*key));
    theirs.contains_key(SEEN) && !theirs.contains_key(SECRET_ADDRESS) && !speaks_ours
}

/// The field in which our placeholder comes back, if it does.
pub(super) fn echo(
    handshake: Handshake,
    relation: &str,
    theirs: &BTreeMap<String, String>,
    ours: Option<&BTreeMap<String, String>>,
) -> Option<&'static str> {
    let trigger = handshake.placeholder?;
    let placeholder = placeholder(relation);
    let was_said = match ours {
        Some(ours) => [trigger, WITHDRAWN]
            .iter()
            .any(|word| ours.get(*word) == Some(&placeholder)),
        None => needs_placeholder(theirs),
    };
    (was_said && theirs.get(trigger) == Some(&placeholder)).then_some(trigger)
}

/// What our data bag lacks for the integrator to answer, and to keep answering after it is refreshed. An
/// empty word takes back what was said.
pub(super) fn missing_words(
    handshake: Handshake,
    relation: &str,
    theirs: &BTreeMap<String, String>,
    ours: &BTreeMap<String, String>,
) -> BTreeMap<&'static str, String> {
    let fields = handshake.requested_secrets.join("\", \"");
    let mut words = BTreeMap::from([(REQUESTED_SECRETS, format!("[\"{fields}\"]"))]);
    if handshake.version == Version::Said {
        words.extend(VERSION.map(|(key, value)| (key, value.to_owned())));
    }
    if let Some(trigger) = handshake.placeholder {
        words.extend(placeholder_words(trigger, relation, theirs, ours));
    }
    words.retain(|key, value| ours.get(*key) != Some(value));
    words
}

fn placeholder_words(
    trigger: &'static str,
    relation: &str,
    theirs: &BTreeMap<String, String>,
    ours: &BTreeMap<String, String>,
) -> Vec<(&'static str, String)> {
    let placeholder = placeholder(relation);
    if needs_placeholder(theirs) {
        return vec![(trigger, placeholder)];
    }
    let mut words = Vec::new();
    let comes_back = theirs.get(trigger) == Some(&placeholder);
    if ours.get(trigger) == Some(&placeholder) {
        words.push((trigger, String::new()));
        // Else it would be taken for a bucket of the user's from now on.
        words.extend(comes_back.then_some((WITHDRAWN, placeholder)));
    } else if ours.contains_key(WITHDRAWN) && !comes_back {
        words.push((WITHDRAWN, String::new()));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const HANDSHAKE: Handshake = Handshake {
        requested_secrets: &["key-a", "key-b"],
        version: Version::Said,
        placeholder: Some("reel"),
    };

    fn bag(fields: &[(&str, &str)]) -> BTreeMap<String, String> {
        fields
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect()
    }

    fn missing(theirs: &[(&str, &str)], ours: &[(&str, &str)]) -> Vec<(&'static str, String)> {
        missing_words(HANDSHAKE, "tape:7", &bag(theirs), &bag(ours))
            .into_iter()
            .collect()
    }

    #[test]
    fn the_first_word_names_the_secrets_and_the_dialect() {
        let words = missing(&[], &[]);

        let expected = [
            ("lib-version", "1.0"),
            ("requested-secrets", r#"["key-a", "key-b"]"#),
            ("version", "1"),
        ];
        assert_eq!(words, expected.map(|(key, value)| (key, value.to_owned())));
    }

    #[test]
    fn version_is_not_said_to_those_that_know_none() {
        let handshake = Handshake {
            version: Version::Unsaid,
            placeholder: None,
            ..HANDSHAKE
        };
        let theirs = bag(&[("data", "{}")]);
        let words = missing_words(handshake, "tape:7", &theirs, &bag(&[]));
        assert_eq!(words.into_keys().collect::<Vec<_>>(), [REQUESTED_SECRETS]);
    }

    #[test]
    fn words_once_said_are_not_said_again() {
        let said = [
            ("lib-version", "1.0"),
            ("requested-secrets", r#"["key-a", "key-b"]"#),
            ("version", "1"),
        ];
        assert_eq!(missing(&[], &said), []);
        assert_eq!(missing(&[("version", "1")], &said), []);
    }

    #[test]
    fn placeholder_is_said_to_the_oldest_dialect_alone() {
        let placeholder = ("reel", "relation-7".to_owned());

        assert!(missing(&[("data", "{}")], &[]).contains(&placeholder));
        let others: [&[(&str, &str)]; 5] = [
            &[],
            &[("version", "1"), ("data", "{}")],
            &[("lib-version", "1.0"), ("data", "{}")],
            &[("secret-extra", "secret:x"), ("data", "{}")],
            &[("reel", "one"), ("endpoint", "http://store")],
        ];
        for theirs in others {
            assert!(!missing(theirs, &[]).contains(&placeholder), "{theirs:?}");
        }
        let handshake = Handshake {
            placeholder: None,
            ..HANDSHAKE
        };
        let theirs = bag(&[("data", "{}")]);
        let words = missing_words(handshake, "tape:7", &theirs, &bag(&[]));
        assert!(!words.into_values().any(|word| word == placeholder.1));
    }

    #[test]
    fn the_placeholder_is_taken_back_when_it_is_no_longer_needed() {
        let said = [("reel", "relation-7")];
        let taken_back = ("reel", String::new());

        for theirs in [
            ("version", "1"),
            ("secret-extra", "secret:x"),
            ("other", ""),
        ] {
            assert!(missing(&[theirs], &said).contains(&taken_back));
        }
        assert!(!missing(&[("data", "{}")], &said).contains(&taken_back));
        let wanted = [("reel", "a-real-one")];
        assert!(!missing(&[("version", "1")], &wanted).contains(&taken_back));
    }

    #[test]
    fn an_echo_is_known_until_it_is_gone() {
        let theirs = [("version", "1"), ("reel", "relation-7")];
        let is_echo = |theirs: &[(&str, &str)], ours: Option<&[(&str, &str)]>| {
            let ours = ours.map(bag);
            echo(HANDSHAKE, "tape:7", &bag(theirs), ours.as_ref()).is_some()
        };
        assert!(is_echo(&theirs, Some(&[("reel", "relation-7")])));
        let withdrawn = ("withdrawn-placeholder", "relation-7".to_owned());
        assert!(missing(&theirs, &[("reel", "relation-7")]).contains(&withdrawn));
        let ours = [("withdrawn-placeholder", "relation-7")];
        assert!(is_echo(&theirs, Some(&ours)));
        assert!(
            !missing(&theirs, &ours)
                .iter()
                .any(|(word, _)| *word == WITHDRAWN)
        );
        let forgotten = ("withdrawn-placeholder", String::new());
        assert!(missing(&[("version", "1"), ("reel", "one")], &ours).contains(&forgotten));

        assert!(!is_echo(&theirs, Some(&[])), "it was never said");
        assert!(!is_echo(&theirs, None));
        assert!(is_echo(&[("data", "{}"), ("reel", "relation-7")], None));
        assert!(!is_echo(&[("data", "{}"), ("reel", "relation-8")], None));
    }
}
