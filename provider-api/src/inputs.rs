//! What a provider is given.
//!
//! A field is plain, secret, unreadable or an echo of our own; a secret never becomes a plain string on
//! its way to the provider.

use std::{collections::BTreeMap, time::SystemTime};

use secrecy::{ExposeSecret, SecretString};

use crate::{Certificates, ConfigOption, Descriptor, Fact, ImageOption, Problem};

/// What RFC 3986 lets a URL consist of besides letters and digits.
const URL_PUNCTUATION: &str = "-._~:/?#[]@!$&'()*+,;=%";

/// What some editors begin a file with.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Keys of objects have 1,024 bytes at most, in S3 as in Azure. The names that Velero gives need up to half of
/// them: that of a backup, of up to 253 bytes, stands in them twice.
const LONGEST_FOLDER: usize = 450;

/// Everything that a provider may base its answer on.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Inputs {
    /// The data of the provider's own relation.
    pub own: RelationData,
    /// The data of its optional relations that exist, by endpoint name.
    pub optional: BTreeMap<String, RelationData>,
    /// What is known of the cluster, as far as these relations' endpoints ask for it.
    pub facts: Facts,
    /// Who Velero's pods are in the provider's cloud, as its [`Identity`](crate::Identity) says it, if the user has set
    /// that. Keys that were sent come first.
    pub identity: Option<String>,
    options: BTreeMap<&'static str, String>,
}

/// What the charm found out about the cluster.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Facts {
    /// `spec.providerID` of each node that has one, in no order; for [`Fact::ProviderIds`].
    pub provider_ids: Vec<String>,
    /// The time of this hook; for [`Fact::Now`].
    pub now: Option<SystemTime>,
}

impl Inputs {
    /// What a provider is given: of all that is known, only the facts that an endpoint with a relation asks
    /// for.
    #[must_use]
    pub fn new(
        descriptor: &Descriptor,
        own: RelationData,
        optional: BTreeMap<String, RelationData>,
        known: Facts,
    ) -> Self {
        let facts = known.only(&descriptor.facts(|name| optional.contains_key(name)));
        Self {
            own,
            optional,
            facts,
            identity: None,
            options: BTreeMap::new(),
        }
    }

    /// The same for pods with this identity.
    #[must_use]
    pub fn identified(self, identity: Option<String>) -> Self {
        Self { identity, ..self }
    }

    /// The same with what the user has set for options of the provider, the image of its plugin among them. Those
    /// that are left out have their default.
    #[must_use]
    pub fn configured(self, options: BTreeMap<&'static str, String>) -> Self {
        Self { options, ..self }
    }

    /// An option's text.
    #[must_use]
    pub fn option(&self, option: &ConfigOption) -> &str {
        self.options
            .get(option.name)
            .map_or(option.default, String::as_str)
    }

    /// The image of the plugin.
    #[must_use]
    pub fn image(&self, option: ImageOption) -> &str {
        self.options
            .get(option.option)
            .map_or(option.default, String::as_str)
    }
}

impl Facts {
    fn only(self, asked: &[Fact]) -> Self {
        let Self { provider_ids, now } = self;
        let is_asked = asked.contains(&Fact::ProviderIds);
        Self {
            provider_ids: if is_asked { provider_ids } else { Vec::new() },
            now: now.filter(|_| asked.contains(&Fact::Now)),
        }
    }
}

/// One relation's data bag, with the content of its secret merged in.
#[derive(Clone, Debug, Default)]
pub struct RelationData {
    fields: BTreeMap<String, Value>,
}

/// One field of a data bag.
#[derive(Clone, Debug)]
pub enum Value {
    /// Readable by anyone who sees the relation.
    Plain(String),
    /// From a Juju secret, or sent in the clear but known to be a credential.
    Secret(SecretString),
    /// Promised by the integrator but not to be had; the text says why.
    Unreadable(String),
    /// The placeholder that we said ourselves to be answered at all, said back.
    Echo(String),
}

impl RelationData {
    /// Any of these fields has been sent, readable or not; a blank one was not.
    #[must_use]
    pub fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| {
            self.plain(name).is_some()
                || self.secret(name).is_some()
                || self.unreadable(name).is_some()
        })
    }

    /// None of these fields is there, not even blank: the integrator has not come to them yet.
    #[must_use]
    pub fn lacks_all(&self, names: &[&str]) -> bool {
        !names.iter().any(|name| self.fields.contains_key(*name))
    }

    /// A plain field, trimmed; absent and blank are the same, however an integrator spells the latter.
    #[must_use]
    pub fn plain(&self, name: &str) -> Option<&str> {
        match self.fields.get(name)? {
            Value::Plain(text) => Some(text.trim()).filter(|text| !is_blank(text)),
            Value::Secret(_) | Value::Unreadable(_) | Value::Echo(_) => None,
        }
    }

    /// Our own placeholder, if the integrator has sent it back in this field. It names nothing that the user
    /// wants, but some integrators create what they are asked for.
    #[must_use]
    pub fn echo(&self, name: &str) -> Option<&str> {
        match self.fields.get(name)? {
            Value::Echo(text) => Some(text),
            Value::Plain(_) | Value::Secret(_) | Value::Unreadable(_) => None,
        }
    }

    /// A credential, as a secret or in the clear; absent and blank are the same. White space around it comes
    /// from the file or the page that it was copied from: no store gives out keys that begin or end with it.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<SecretString> {
        let text = match self.fields.get(name)? {
            Value::Plain(text) => text,
            Value::Secret(secret) => secret.expose_secret(),
            Value::Unreadable(_) | Value::Echo(_) => return None,
        };
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == BYTE_ORDER_MARK);
        (!text.is_empty()).then(|| SecretString::from(text))
    }

    /// Every credential in it, whether or not anybody asks for it by name.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        self.fields.values().filter_map(|value| match value {
            Value::Secret(secret) => Some(secret),
            Value::Plain(_) | Value::Echo(_) | Value::Unreadable(_) => None,
        })
    }

    /// A plain field that must be there.
    ///
    /// # Errors
    /// If it is absent or cannot be read.
    pub fn required(&self, name: &str, hint: &str) -> Result<&str, Problem> {
        self.plain(name).ok_or_else(|| self.lacks(name, hint))
    }

    /// A credential that must be there.
    ///
    /// # Errors
    /// If it is absent or cannot be read.
    pub fn required_secret(&self, name: &str, hint: &str) -> Result<SecretString, Problem> {
        self.secret(name).ok_or_else(|| match self.fields.get(name) {
            // Integrators send a blank where they may not read what their user has named to them. Those of a
            // storage account hear of a later grant only from a relation that is new.
            Some(Value::Secret(_)) => {
                let hint = format!(
                    "{hint}, or if it is set, grant it with `juju grant-secret`, remove the relation and \
                     integrate again"
                );
                Problem::blank(name, hint)
            }
            _ => self.lacks(name, hint),
        })
    }

    fn lacks(&self, name: &str, hint: &str) -> Problem {
        match self.unreadable(name) {
            Some(reason) => {
                let hint = "if this persists, remove the relation and integrate again";
                Problem::unreadable(name, reason, hint)
            }
            None => Problem::missing(name, hint),
        }
    }

    /// A plain field that names a folder, without slashes at its ends.
    ///
    /// # Errors
    /// If there is something in it that no name in a store should have, or that Velero would resolve (it joins
    /// folders as paths, so that `a/../b` became `b`), or if it leaves no room for the names of backups.
    pub fn folder(&self, name: &str, hint: &str) -> Result<Option<String>, Problem> {
        let folder = self.plain(name).unwrap_or_default().trim_matches('/');
        if folder.is_empty() {
            return Ok(None);
        }
        let reason = if folder.contains(char::is_control) {
            "contains control characters"
        } else if folder
            .split('/')
            .any(|part| matches!(part, "" | "." | ".."))
        {
            "contains a part that is empty, `.` or `..`"
        } else if folder.len() > LONGEST_FOLDER {
            "is too long: with the names of backups behind it, 450 bytes fit"
        } else {
            return Ok(Some(folder.to_owned()));
        };
        Err(Problem::invalid(name, reason, hint))
    }

    /// A plain field that holds certificates, in whatever form integrators send them.
    ///
    /// # Errors
    /// If there is anything in it that is not a certificate, or a part of one is missing.
    pub fn certificates(&self, name: &str, hint: &str) -> Result<Option<Certificates>, Problem> {
        let Some(text) = self.plain(name) else {
            return Ok(None);
        };
        let certificates = Certificates::parse(text);
        let certificates =
            certificates.map_err(|error| Problem::invalid(name, error.to_string(), hint))?;
        Ok(Some(certificates).filter(|certificates| !certificates.is_empty()))
    }

    /// A plain field that is a URL, still to be parsed.
    ///
    /// # Errors
    /// If there is something in it that parsers of URLs drop or rewrite without a word.
    pub fn url_text(&self, name: &str, hint: &str) -> Result<Option<&str>, Problem> {
        let Some(text) = self.plain(name) else {
            return Ok(None);
        };
        let is_of_urls = |c: char| c.is_ascii_alphanumeric() || URL_PUNCTUATION.contains(c);
        if !text.chars().all(is_of_urls) {
            return Err(Problem::invalid(
                name,
                "contains characters not allowed in a URL",
                hint,
            ));
        }
        Ok(Some(text))
    }

    /// Why a field cannot be read, if that is so.
    #[must_use]
    pub fn unreadable(&self, name: &str) -> Option<&str> {
        match self.fields.get(name)? {
            Value::Unreadable(reason) => Some(reason),
            Value::Plain(_) | Value::Secret(_) | Value::Echo(_) => None,
        }
    }
}

/// Nothing is said, in any spelling. Libraries of integrators encode lists and absent values as JSON, so
/// that an option that was reset arrives as `""`, `null`, `[]` or `[""]`.
fn is_blank(text: &str) -> bool {
    fn says_nothing(value: &serde_json::Value) -> bool {
        match value {
            serde_json::Value::Null => true,
            serde_json::Value::String(text) => text.trim().is_empty(),
            serde_json::Value::Array(items) => items.iter().all(says_nothing),
            _ => false,
        }
    }
    text.trim().is_empty() || serde_json::from_str(text).is_ok_and(|value| says_nothing(&value))
}

impl<K: Into<String>> FromIterator<(K, Value)> for RelationData {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(fields: I) -> Self {
        Self {
            fields: fields
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Plain(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Endpoint, Handshake, ImageOption, Version};

    const QUIET: Endpoint = Endpoint {
        name: "tape-credentials",
        interface: "tape",
        handshake: Handshake {
            requested_secrets: &[],
            version: Version::Said,
            placeholder: None,
        },
        facts: &[],
    };
    const CURIOUS: Endpoint = Endpoint {
        name: "tape-robot",
        facts: &[Fact::ProviderIds],
        ..QUIET
    };

    const fn provider(endpoint: Endpoint, optional_endpoints: &'static [Endpoint]) -> Descriptor {
        Descriptor {
            name: "tape",
            summary: "",
            endpoint,
            integrator: "",
            optional_endpoints,
            plugin: ImageOption {
                option: "",
                default: "",
            },
            options: &[],
            identity: None,
            advice: &[],
        }
    }

    #[test]
    fn facts_are_given_only_to_relations_that_ask() {
        let robot = || BTreeMap::from([("tape-robot".to_owned(), RelationData::default())]);
        for (provider, optional, is_given) in [
            (provider(QUIET, &[]), BTreeMap::new(), false),
            (provider(QUIET, &[CURIOUS]), BTreeMap::new(), false),
            (provider(QUIET, &[CURIOUS]), robot(), true),
            (provider(QUIET, &[]), robot(), false),
            (provider(CURIOUS, &[QUIET]), BTreeMap::new(), true),
        ] {
            let known = Facts {
                provider_ids: vec!["shelf".into()],
                now: Some(SystemTime::UNIX_EPOCH),
            };
            let inputs = Inputs::new(&provider, RelationData::default(), optional, known);
            assert_eq!(inputs.facts.provider_ids.len() == 1, is_given, "{inputs:?}");
            assert_eq!(inputs.facts.now, None, "nobody asks for the time");
        }
    }

    #[test]
    fn blank_is_absent_and_debug_shows_no_secret() {
        let data = RelationData::from_iter([
            ("bucket", Value::from("  ")),
            ("region", Value::from(" eu ")),
            (
                "secret-key",
                Value::Secret(SecretString::from("canary-4711")),
            ),
        ]);

        assert_eq!(data.plain("bucket"), None);
        assert_eq!(data.plain("region"), Some("eu"));
        assert!(data.secret("secret-key").is_some());
        assert_eq!(data.secrets().count(), 1);
        assert!(!data.has_any(&["bucket"]) && data.has_any(&["bucket", "secret-key"]));
        assert!(!format!("{data:?}").contains("canary-4711"));
    }

    #[test]
    fn blank_has_many_spellings() {
        for text in [
            "",
            " \t",
            "\"\"",
            "\" \"",
            "null",
            "[]",
            " [\"\"] ",
            "[null, \"\"]",
        ] {
            let data = RelationData::from_iter([("bucket", Value::from(text))]);
            assert_eq!(data.plain("bucket"), None, "{text}");
        }
        for text in ["0", "false", "{}", "\"", "[", "[\"a\"]", "nil"] {
            let data = RelationData::from_iter([("bucket", Value::from(text))]);
            assert_eq!(data.plain("bucket"), Some(text));
        }
    }

    #[test]
    fn blank_secret_may_be_one_that_was_not_granted() {
        let hint_for = |value: Option<Value>| {
            let data = RelationData::from_iter(value.map(|value| ("key", value)));
            data.required_secret("key", "set it").unwrap_err()
        };
        let blank = hint_for(Some(Value::Secret("".into())));
        assert_eq!(blank.kind, crate::ProblemKind::Missing);
        assert!(blank.to_string().ends_with("`key` is blank"), "{blank}");
        assert!(blank.hint.contains("`juju grant-secret`"), "{blank}");
        assert_eq!(hint_for(None).hint, "set it");
    }

    #[test]
    fn white_space_around_a_key_is_cut_off() {
        for text in [
            "key",
            "key\n",
            "key\r\n\n",
            " key ",
            "\tkey",
            "\u{feff}key\n",
        ] {
            let secret =
                RelationData::from_iter([("key", Value::Secret(text.into()))]).secret("key");
            assert_eq!(secret.unwrap().expose_secret(), "key", "{text:?}");
        }
        let inside = RelationData::from_iter([("key", Value::Secret("\nk\ne y ".into()))]);
        assert_eq!(inside.secret("key").unwrap().expose_secret(), "k\ne y");
    }

    #[test]
    fn folder_is_one_that_every_reader_understands_alike() {
        let folder = |text: &str| {
            let data = RelationData::from_iter([("path", Value::from(text))]);
            let hint = "correct `path`";
            data.folder("path", hint)
                .map_err(|problem| problem.to_string())
        };
        for (text, read) in [
            ("", None),
            ("//", None),
            ("/a/b/", Some("a/b")),
            ("a.b/..c/ü d", Some("a.b/..c/ü d")),
        ] {
            assert_eq!(folder(text), Ok(read.map(str::to_owned)), "{text}");
        }
        let long = "x".repeat(300_000);
        for text in [
            "..", ".", "a/../b", "a/..", "./a", "a//b", "a\nb", "a\0b", &long,
        ] {
            let refused = folder(text).unwrap_err();
            assert!(
                refused.contains(": `path` ") && refused.len() < 200,
                "{refused}"
            );
        }
    }
}
