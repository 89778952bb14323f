//! What every provider must hold, as one test in its own crate.
//!
//! The kit knows a provider by the contract alone: its descriptor, complete inputs as examples, and how its
//! plugin reads a credential file. Everything else it makes up by spoiling the examples. A breach names
//! provider, example, field and [`Rule`], and shows no secret of its own accord.

mod ask;
mod declared;
mod documents;
mod fields;
mod fuzz;

use std::{collections::BTreeMap, fmt};

use provider_api::{
    Descriptor, Endpoint, Facts, Handshake, ImageOption, Inputs, StorageProvider, Value, Version,
};

/// A provider, and what the kit has to know to try it.
#[derive(Debug)]
pub struct Subject {
    /// The provider.
    pub provider: &'static dyn StorageProvider,
    /// The text of the charm's `charmcraft.yaml`.
    pub charmcraft: &'static str,
    /// One for each way of using it. Together they have to have a relation on each of its endpoints and
    /// each secret that it asks for.
    pub examples: Vec<Example>,
    /// Every value that the plugin reads out of a credential file. Of a file that is a document, the file
    /// itself.
    pub credential_values: fn(&str) -> Vec<String>,
}

/// Inputs that the provider is ready with.
#[derive(Clone, Debug, Default)]
pub struct Example {
    /// What a breach calls it.
    pub name: &'static str,
    /// The relations there are: endpoint, and fields with their values.
    pub relations: Vec<(&'static str, Vec<(&'static str, Value)>)>,
    /// The fields without which it would not be ready.
    pub required: &'static [&'static str],
    /// Fields that are not required but say where backups go: with a value that cannot work, everything is
    /// refused.
    pub decisive: &'static [&'static str],
    /// Of each secret that is a document: its field, and a text in it that is secret on its own, as a parser of
    /// the document gives it. Its lines that begin with `-----`, as those around a PEM do, count for nothing.
    pub secret_parts: Vec<(&'static str, String)>,
    /// What the provider makes of a placeholder of ours that comes back with all else.
    pub echo: Echo,
    /// What is known of the cluster. Only what the example's endpoints ask for.
    pub facts: Facts,
    /// What the user has set for options of the provider.
    pub options: Vec<(&'static str, &'static str)>,
    /// Who Velero's pods are in the provider's cloud.
    pub identity: Option<&'static str>,
}

/// What a placeholder means that comes back.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Echo {
    /// Nothing: backups must not go there.
    #[default]
    IsNoAnswer,
    /// Integrators of this store make what they are asked for, so that it is a bucket of ours.
    IsMade,
}

/// What a provider does not hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Breach {
    /// The provider's name.
    pub provider: &'static str,
    /// The example that showed it, if one did.
    pub example: Option<&'static str>,
    /// The field that was spoiled, or the endpoint or option that is declared wrongly.
    pub field: Option<String>,
    /// The rule that is broken.
    pub rule: Rule,
    /// What was seen.
    pub what: String,
}

/// Everything that a provider does not hold.
#[derive(Clone, Eq, PartialEq)]
pub struct Breaches(pub Vec<Breach>);

/// What every provider has to hold.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Rule {
    /// The kit's examples are complete, and their secrets can be told from other text.
    Examples,
    /// Equal inputs give equal answers.
    Deterministic,
    /// A secret stands in the credential file and nowhere else.
    Secrecy,
    /// What is required is missed by its name, blank like absent; what is not is not.
    Required,
    /// An optional field that cannot work is named as a gap, and holds nothing else back.
    Optional,
    /// A placeholder of ours that comes back is not taken for what the user wants, unless the example says
    /// that it was made.
    Echo,
    /// A secret that cannot be read is named with the reason, and may become readable later.
    Unreadable,
    /// While nothing has been sent there is nothing wrong.
    Empty,
    /// A value gets through to the byte, or is refused by its field's name.
    Fidelity,
    /// `secrets_inside` tells the secret parts of a document, and of the file each secret in it, and nothing else.
    Redaction,
    /// Whatever is sent, an answer comes, and no control characters get into a location.
    Fuzzed,
    /// Facts are given to endpoints that ask for them, and come in any order.
    Facts,
    /// What else is in a data bag changes nothing, a hostile address of a secret included.
    Bag,
    /// What a person reads has a cause and a next step, as clauses without a full stop. A name in braces is that
    /// of an endpoint, for whose application it stands.
    Wording,
    /// An option's default passes its check; what passes is never refused afterwards, and what does not is
    /// refused by the option's name.
    Options,
    /// Pods do without keys only by the identity that they have, and keys that were sent are used whatever it is.
    Identity,
    /// `charmcraft.yaml` declares what the descriptor says.
    Declared,
    /// A handshake asks for the secrets that there are, by fields that there are.
    Handshake,
    /// Each piece of advice can be reached, and is a clause without a full stop.
    Advice,
}

/// A secret that can be told from any other text: no eight bytes of it are in a field's name.
#[must_use]
pub fn canary(field: &str) -> Value {
    let field: String = field.chars().rev().collect();
    Value::Secret(format!("canary-{field}-4711").into())
}

/// A certificate, in PEM, for fields that hold some. It is valid from 2020 to 2039.
pub const CERTIFICATE: &str = include_str!("certificate.pem");

/// A descriptor for tests that need any.
pub const TAPE: Descriptor = Descriptor {
    name: "tape",
    summary: "A tape drive",
    endpoint: Endpoint {
        name: "tape-credentials",
        interface: "tape",
        handshake: Handshake {
            requested_secrets: &["pin"],
            version: Version::Said,
            placeholder: Some("reel"),
        },
        facts: &[],
    },
    integrator: "tape-integrator",
    optional_endpoints: &[],
    plugin: ImageOption {
        option: "velero-tape-plugin-image",
        default: "tape/plugin:v1",
    },
    options: &[],
    identity: None,
    advice: &[provider_api::Advice {
        when: "torn",
        then: "replace the tape",
    }],
};

/// Tries a provider by every rule.
///
/// # Errors
/// If it breaks one.
pub fn check(subject: &Subject) -> Result<(), Breaches> {
    let mut breaches = declared::breaches(subject);
    for example in &subject.examples {
        breaches.extend(fields::breaches(subject, example));
    }
    if breaches.is_empty() {
        Ok(())
    } else {
        Err(Breaches(breaches))
    }
}

/// Tries a provider with made-up inputs, the same ones each time: 128 of each example, or as many as
/// `FUZZ_CASES` says. Gives the number of all that were tried.
///
/// # Errors
/// If one is not answered as every input is, or gets control characters into a location.
pub fn fuzz(subject: &Subject) -> Result<usize, Breaches> {
    let cases = fuzz::cases();
    let examples = subject.examples.iter();
    let breaches: Vec<_> = examples
        .flat_map(|example| fuzz::breaches(subject, example, cases))
        .collect();
    if breaches.is_empty() {
        Ok(cases as usize * subject.examples.len())
    } else {
        Err(Breaches(breaches))
    }
}

impl Example {
    fn inputs(&self, provider: &dyn StorageProvider) -> Inputs {
        let mut relations: BTreeMap<_, _> = self
            .relations
            .iter()
            .map(|(endpoint, fields)| ((*endpoint).to_owned(), fields.iter().cloned().collect()))
            .collect();
        let descriptor = provider.descriptor();
        let own = relations.remove(descriptor.endpoint.name);
        let own = own.unwrap_or_default();
        let options = self.options.iter();
        let options = options.map(|(name, text)| (*name, (*text).to_owned()));
        Inputs::new(descriptor, own, relations, self.facts.clone())
            .configured(options.collect())
            .identified(self.identity.map(str::to_owned))
    }

    /// Each field with its value.
    fn fields(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        let all = self.relations.iter().flat_map(|(_, fields)| fields);
        all.map(|(name, value)| (*name, value))
    }

    /// The same with the field changed, or without it.
    fn with(&self, field: &str, value: Option<&Value>) -> Self {
        let mut changed = self.clone();
        for (_, fields) in &mut changed.relations {
            if let Some(at) = fields.iter().position(|(name, _)| *name == field) {
                match value {
                    Some(value) => fields[at].1 = value.clone(),
                    None => drop(fields.remove(at)),
                }
            }
        }
        changed
    }

    fn is_required(&self, field: &str) -> bool {
        self.required.contains(&field)
    }

    fn is_decisive(&self, field: &str) -> bool {
        self.is_required(field) || self.decisive.contains(&field)
    }

    /// No other field is in its relation.
    fn is_alone(&self, field: &str) -> bool {
        let relations = self.relations.iter().map(|(_, fields)| fields.as_slice());
        relations
            .filter(|fields| fields.iter().any(|(name, _)| *name == field))
            .all(|fields| fields.len() == 1)
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            provider,
            example,
            field,
            rule,
            what,
        } = self;
        write!(f, "provider `{provider}`, rule {rule:?}")?;
        if let Some(field) = field {
            write!(f, ", field `{field}`")?;
        }
        if let Some(example) = example {
            write!(f, ", example `{example}`")?;
        }
        write!(f, ": {what}")
    }
}

/// As a person wants to read it, since `unwrap` shows no other.
impl fmt::Debug for Breaches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|breach| write!(f, "\n  {breach}"))
    }
}

#[cfg(test)]
mod tests;
