//! What makes integrators send their data.
//!
//! **Invariant:** what is said depends on a provider's descriptor and the two data bags alone.

use std::collections::BTreeMap;

use provider_api::{Handshake, Version};
use tracing::warn;

use crate::juju::{JujuError, Tools};

/// Where integrators put the address of the Juju secret.
pub(super) const SECRET_ADDRESS: &str = "secret-extra";
const REQUESTED_SECRETS: &str = "requested-secrets";
/// The version that we speak. Integrators of an interim release know it by another name.
const VERSION: [(&str, &str); 2] = [("version", "1"), ("lib-version", "1.0")];
/// Where integrators of the oldest dialect keep what they have seen of us. It is there before they answer.
const SEEN: &str = "data";
/// A word to ourselves: what the integrator still says back is no more than a placeholder of ours.
const WITHDRAWN: &str = "withdrawn-placeholder";

/// What the libraries of the previous charm wrote into its data bags, and nobody reads.
const LEFTOVERS: [&str; 2] = ["provided-secrets", SEEN];

/// The same, and a copy of the integrator's data, secrets included, in the data bag of a unit.
pub(super) const LEFTOVERS_OF_UNIT: [&str; 3] = [REQUESTED_SECRETS, LEFTOVERS[0], LEFTOVERS[1]];

/// What is still to be written into a relation.
#[derive(Debug, Default)]
pub(crate) struct Greeting {
    relation: String,
    fields: BTreeMap<&'static str, String>,
    /// It comes too late for an integrator that has sent credentials already.
    remark: Option<String>,
}

impl Greeting {
    /// What our data bag lacks, as far as it is ours to write. The applications are ours and theirs.
    pub(super) fn new(
        handshake: Handshake,
        relation: &str,
        [application, integrator]: [&str; 2],
        theirs: &BTreeMap<String, String>,
        ours: &BTreeMap<String, String>,
    ) -> Self {
        let fields = missing_words(handshake, relation, theirs, ours);
        // What is taken back was said to an integrator of another release, or by the previous charm.
        let is_first =
            fields.contains_key(REQUESTED_SECRETS) || fields.values().any(String::is_empty);
        let late = is_first && stays_in_the_clear(handshake, theirs);
        let remark = format!(
            "Run `juju remove-relation {application} {integrator}`, then `juju integrate {application} \
             {integrator}`: `{integrator}` has written credentials into its data bag in the clear before \
             it was asked for a secret, and keeps to it until then."
        );
        Self {
            relation: relation.to_owned(),
            fields,
            remark: late.then_some(remark),
        }
    }

    /// Writes it, if there is anything.
    pub(crate) async fn say(&self, tools: &Tools) -> Result<(), JujuError> {
        if self.fields.is_empty() {
            return Ok(());
        }
        tools.set_data_bag(&self.relation, &self.fields).await?;
        self.remark.iter().for_each(|remark| warn!("{remark}"));
        Ok(())
    }
}

/// Integrators whose library can send secrets do not change over in a relation in which they have sent a
/// credential without. Those of the oldest protocol version know no secrets.
fn stays_in_the_clear(handshake: Handshake, theirs: &BTreeMap<String, String>) -> bool {
    let mut secret = handshake.requested_secrets.iter();
    let sent = secret.any(|field| theirs.get(*field).is_some_and(|text| !text.is_empty()));
    sent && !needs_placeholder(theirs)
}

/// What we say to integrators that answer only a request for a certain bucket, and know that this name
/// stands for none.
fn placeholder(relation: &str) -> String {
    let number = relation.rsplit(':').next().unwrap_or(relation);
    format!("relation-{number}")
}

/// The integrator is of the oldest dialect. One of a newer dialect would create the bucket.
fn is_of_the_oldest_dialect(theirs: &BTreeMap<String, String>) -> bool {
    let speaks_ours = VERSION.iter().any(|(key, _)| theirs.contains_key(*key));
    theirs.contains_key(SEEN) && !speaks_ours
}

/// It has not answered without one.
fn needs_placeholder(theirs: &BTreeMap<String, String>) -> bool {
    is_of_the_oldest_dialect(theirs) && !theirs.contains_key(SECRET_ADDRESS)
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
fn missing_words(
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
    let left = LEFTOVERS.into_iter().filter(|key| ours.contains_key(*key));
    words.extend(left.map(|key| (key, String::new())));
    words
}

fn placeholder_words(
    trigger: &'static str,
    relation: &str,
    theirs: &BTreeMap<String, String>,
    ours: &BTreeMap<String, String>,
) -> Vec<(&'static str, String)> {
    let placeholder = placeholder(relation);
    let is_said = ours.get(trigger) == Some(&placeholder);
    // Without it, such an integrator would send nothing more: no new key, no changed option.
    if needs_placeholder(theirs) || (is_said && is_of_the_oldest_dialect(theirs)) {
        return vec![(trigger, placeholder)];
    }
    let mut words = Vec::new();
    let comes_back = theirs.get(trigger) == Some(&placeholder);
    if is_said {
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
        let answered = [("data", "{}"), ("secret-extra", "secret:x")];
        assert!(!missing(&answered, &said).contains(&taken_back));
        let wanted = [("reel", "a-real-one")];
        assert!(!missing(&[("version", "1")], &wanted).contains(&taken_back));
    }

    #[test]
    fn leftovers_of_the_previous_charm_are_taken_back() {
        let said = [
            ("lib-version", "1.0"),
            ("requested-secrets", r#"["key-a", "key-b"]"#),
            ("version", "1"),
            ("provided-secrets", r#"["username"]"#),
            ("data", r#"{"key-a": "k"}"#),
        ];
        let taken_back = [("data", String::new()), ("provided-secrets", String::new())];
        assert_eq!(missing(&[], &said), taken_back);
        assert_eq!(missing(&[], &said[..3]), []);
    }

    #[test]
    fn credentials_in_the_clear_are_remarked_on_once() {
        let remark = |theirs: &[(&str, &str)], ours: &[(&str, &str)]| {
            let apps = ["velero", "my-tape"];
            Greeting::new(HANDSHAKE, "tape:7", apps, &bag(theirs), &bag(ours)).remark
        };
        let sent = [("version", "1"), ("key-b", "k")];
        let said = remark(&sent, &[]).unwrap();
        let commands =
            "Run `juju remove-relation velero my-tape`, then `juju integrate velero my-tape`";
        assert!(said.starts_with(commands), "{said}");
        let asked = [("requested-secrets", r#"["key-a", "key-b"]"#)];
        assert_eq!(remark(&sent, &asked), None, "it was said");
        for left in [("reel", "relation-7"), ("data", "{}")] {
            let after_a_refresh = [asked[0], left];
            assert!(remark(&sent, &after_a_refresh).is_some(), "{left:?}");
        }
        let others: [&[(&str, &str)]; 4] = [
            &[],
            &[("version", "1"), ("secret-extra", "secret:x")],
            &[("version", "1"), ("key-b", "")],
            &[("data", "{}"), ("key-b", "it knows no secrets")],
        ];
        for theirs in others {
            assert_eq!(remark(theirs, &[]), None, "{theirs:?}");
        }
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
