//! Asking a provider, and what holds of each of its answers.
//!
//! No answer is looked at that was not first held against determinism, secrecy and wording.

use std::collections::HashSet;

use provider_api::{
    Answer, Credential, Descriptor, Gap, Location, Problems, SnapshotLocation, Storage,
    StorageProvider, Value,
    secrecy::{ExposeSecret as _, SecretString},
};

use super::{Breach, Example, Rule, Subject, documents};

/// A hash map would give itself away within these.
const TIMES: usize = 4;

/// So much of a secret is never met by chance.
pub(super) const TELLING: usize = 8;
/// A document has harmless words in it too: so much of it is no longer one of them.
const A_QUOTE: usize = 64;

/// What came of asking, so that two can be compared. It holds secrets and is never shown.
#[derive(Eq, PartialEq)]
pub(super) enum Outcome {
    Waiting(String),
    Refused(Problems),
    Ready(Box<Ready>),
}

/// A [`Storage`] with its secrets open.
#[derive(Eq, PartialEq)]
pub(super) struct Ready {
    /// The file, and whose it is.
    pub(super) credential: Option<String>,
    pub(super) whose: Whose,
    /// What the provider says is secret inside of what was sent, and of its file.
    pub(super) inside_sent: Vec<String>,
    pub(super) inside_file: Vec<String>,
    pub(super) location: Location,
    pub(super) snapshots: Option<SnapshotLocation>,
    pub(super) remarks: Vec<String>,
    pub(super) gaps: Vec<Gap>,
}

/// What is shown to the store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Whose {
    Keys,
    OfPods,
}

/// One example under examination.
pub(super) struct Asker<'a> {
    pub(super) subject: &'a Subject,
    pub(super) example: &'a Example,
    pub(super) breaches: Vec<Breach>,
}

impl Asker<'_> {
    pub(super) fn breach(&mut self, rule: Rule, field: Option<&str>, what: impl Into<String>) {
        self.breaches.push(Breach {
            provider: self.subject.provider.descriptor().name,
            example: Some(self.example.name),
            field: field.map(str::to_owned),
            rule,
            what: what.into(),
        });
    }

    /// What the provider makes of the example as it was changed in a field.
    pub(super) fn ask(&mut self, changed: &Example, field: Option<&str>) -> Outcome {
        let provider = self.subject.provider;
        let inputs = changed.inputs(provider);
        let answer = provider.resolve(&inputs);
        self.look_for_secrets(&answer, field);
        self.read_aloud(&answer, field);
        let read = |answer| Outcome::of(answer, provider, changed);
        let outcome = read(answer);
        if let (Outcome::Ready(ready), None) = (&outcome, changed.identity)
            && ready.whose == Whose::OfPods
        {
            let what = "pods have no identity, and are to do without keys";
            self.breach(Rule::Identity, field, what);
        }
        if (1..TIMES).any(|_| read(provider.resolve(&inputs)) != outcome) {
            let what = "equal inputs gave different answers";
            self.breach(Rule::Deterministic, field, what);
        }
        outcome
    }

    /// The example's own secrets stay whole in all that the kit changes.
    fn look_for_secrets(&mut self, answer: &Result<Answer, Problems>, field: Option<&str>) {
        let join = |texts: Vec<&String>| texts.into_iter().cloned().collect::<Vec<_>>().join(" ");
        let mut places = Vec::new();
        match answer {
            Ok(Answer::Waiting(what)) => places.push(("what is waited for", what.clone())),
            Err(problems) => places.push(("problems", problems.to_string())),
            Ok(Answer::Ready(storage)) => {
                let Storage {
                    location,
                    snapshots,
                    remarks,
                    gaps,
                    ..
                } = &**storage;
                let said = gaps.iter().map(|gap| gap.problem.to_string());
                places.push(("gaps", said.collect::<Vec<_>>().join(" ")));
                places.push((
                    "a location",
                    join(texts(location, snapshots.as_ref()).collect()),
                ));
                places.push(("remarks", join(remarks.iter().collect())));
            }
        }
        places.push(("Debug", format!("{answer:?}")));
        for (name, secret) in secrets(self.example) {
            let document = secret.expose_secret();
            let parts: Vec<_> = documents::parts(self.example, name).collect();
            let parts = if parts.is_empty() {
                vec![document]
            } else {
                parts
            };
            let lines = parts.into_iter().flat_map(documents::telling_lines);
            let tell: HashSet<_> = lines.flat_map(|line| windows(line, TELLING)).collect();
            let quotes: HashSet<_> = windows(document, A_QUOTE).collect();
            let shown = places.iter().find(|(_, text)| {
                windows(text, TELLING).any(|some| tell.contains(some))
                    || windows(text, A_QUOTE).any(|some| quotes.contains(some))
            });
            if let Some((place, _)) = shown {
                let what = format!("the secret `{name}`, or a part of it, shows in {place}");
                self.breach(Rule::Secrecy, field, what);
            }
        }
    }

    fn read_aloud(&mut self, answer: &Result<Answer, Problems>, field: Option<&str>) {
        let (clauses, sentences): (Vec<&String>, &[String]) = match answer {
            Ok(Answer::Waiting(what)) => (vec![what], &[]),
            Err(problems) => {
                let words = problems.iter().flat_map(|p| [&p.field, &p.reason, &p.hint]);
                (words.collect(), &[])
            }
            Ok(Answer::Ready(storage)) => {
                let problems = storage.gaps.iter().map(|gap| &gap.problem);
                let words = problems.flat_map(|p| [&p.field, &p.reason, &p.hint]);
                (words.collect(), &storage.remarks)
            }
        };
        let bad_clause = clauses.iter().find(|text| !is_clause(text));
        let bad_sentence = sentences.iter().find(|text| !text.ends_with('.'));
        if let Some(text) = bad_clause {
            let what = format!("`{text}` is blank or ends with a full stop");
            self.breach(Rule::Wording, field, what);
        }
        if let Some(text) = bad_sentence {
            self.breach(
                Rule::Wording,
                field,
                format!("the remark `{text}` has no full stop"),
            );
        }
        let descriptor = self.subject.provider.descriptor();
        let mut all = clauses.into_iter().chain(sentences);
        if let Some(unknown) = all.find_map(|text| no_endpoint(text, descriptor)) {
            let what = format!("`{{{unknown}}}` stands for an application at no endpoint");
            self.breach(Rule::Wording, field, what);
        }
    }
}

/// Each run of so many bytes.
fn windows(text: &str, bytes: usize) -> impl Iterator<Item = &[u8]> {
    text.as_bytes().windows(bytes)
}

/// The example's secrets.
pub(super) fn secrets(example: &Example) -> impl Iterator<Item = (&'static str, &SecretString)> {
    example.fields().filter_map(|(name, value)| match value {
        Value::Secret(secret) => Some((name, secret)),
        Value::Plain(_) | Value::Unreadable(_) | Value::Echo(_) => None,
    })
}

/// Everything that Velero is given in plain sight.
pub(super) fn texts<'a>(
    location: &'a Location,
    snapshots: Option<&'a SnapshotLocation>,
) -> impl Iterator<Item = &'a String> {
    let Location {
        bucket,
        prefix,
        ca_certificates,
        config,
    } = location;
    std::iter::once(bucket)
        .chain(prefix)
        .chain(ca_certificates)
        .chain(config.values())
        .chain(snapshots.into_iter().flat_map(|at| at.config.values()))
}

/// A name in braces that is none of the provider's endpoints, for which the charm could put no application.
pub(super) fn no_endpoint<'a>(text: &'a str, descriptor: &Descriptor) -> Option<&'a str> {
    let in_braces = text.split('{').skip(1);
    let mut names = in_braces.filter_map(|rest| Some(rest.split_once('}')?.0));
    names.find(|name| {
        let is_name = |c: char| c.is_ascii_lowercase() || c == '-';
        name.chars().all(is_name) && !descriptor.endpoints().any(|at| at.name == *name)
    })
}

/// Something that other words can follow.
pub(super) fn is_clause(text: &str) -> bool {
    !text.trim().is_empty() && !text.trim_end().ends_with('.')
}

impl Ready {
    /// What the plugin reads out of the file.
    pub(super) fn credential_values(&self, subject: &Subject) -> Vec<String> {
        let read = |file: &String| (subject.credential_values)(file);
        self.credential.iter().flat_map(read).collect()
    }

    fn of(storage: Storage, provider: &dyn StorageProvider, example: &Example) -> Self {
        let Storage {
            credential,
            location,
            snapshots,
            remarks,
            gaps,
        } = storage;
        let open = |secret: &SecretString| secret.expose_secret().to_owned();
        let inside = |secret| provider.secrets_inside(secret);
        let sent = secrets(example).flat_map(|(_, secret)| inside(secret));
        Self {
            inside_sent: sent.map(|secret| open(&secret)).collect(),
            inside_file: credential
                .file()
                .map(inside)
                .iter()
                .flatten()
                .map(open)
                .collect(),
            credential: credential.file().map(open),
            whose: match credential {
                Credential::Keys(_) => Whose::Keys,
                Credential::OfPods { .. } => Whose::OfPods,
            },
            location,
            snapshots,
            remarks,
            gaps,
        }
    }
}

impl Outcome {
    fn of(
        answer: Result<Answer, Problems>,
        provider: &dyn StorageProvider,
        example: &Example,
    ) -> Self {
        match answer {
            Ok(Answer::Waiting(what)) => Self::Waiting(what),
            Ok(Answer::Ready(storage)) => {
                Self::Ready(Box::new(Ready::of(*storage, provider, example)))
            }
            Err(problems) => Self::Refused(problems),
        }
    }

    /// In a word, without anything that was sent.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Waiting(what) => format!("it waits for {what}"),
            Self::Refused(problems) => format!("it says {problems}"),
            Self::Ready(_) => "it is ready".into(),
        }
    }

    /// It is refused, and the field is named.
    pub(super) fn names(&self, field: &str) -> bool {
        matches!(self, Self::Refused(problems) if problems.iter().any(|p| p.field == field))
    }
}
