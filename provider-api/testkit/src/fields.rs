//! What happens to each field of an example: left out, blank, unreadable, strange.
//!
//! One field is spoiled at a time, so that an answer is about that field.

use provider_api::{Fact, Facts, Problem, ProblemKind, Value, secrecy::ExposeSecret as _};

use super::{
    Breach, Echo, Example, Rule, Subject,
    ask::{Asker, Outcome, Ready, TELLING, Whose, secrets, texts},
};

/// What means something to one format or the other. Each is put between the value and an `x`, so that
/// it is not at an end, where white space may be cut off.
pub(super) const STRANGE: [&str; 13] = [
    ",", "\"", "'", "\n", "\r", "\t", " #", ";", "=", "\\", "$", "é日", "\0",
];
/// Nothing, as integrators spell it. The first two are said of secrets too.
const BLANKS: [&str; 6] = ["", " \t", "\"\"", "null", "[]", "[\"\"]"];
/// What the charm says to integrators that answer nothing else.
const PLACEHOLDER: &str = "relation-47";
/// Why a secret cannot be read, in the charm's words; the first three are the fault of its address.
const REASONS: [&str; 5] = [
    "its address is not that of a secret",
    "the secret is not granted",
    "there is no such secret",
    "it is too large",
    "the post is late",
];
/// What may stand where the address of a secret is expected.
pub(super) const ADDRESSES: [&str; 8] = [
    "",
    "secret:d8a1b2c3",
    "secret://another-model/d8a1b2c3",
    "secret:../../d8a1b2c3",
    "--help",
    "secret:d8a1b2c3\nbucket=other",
    "file:///etc/passwd",
    "\0",
];

pub(super) fn breaches(subject: &Subject, example: &Example) -> Vec<Breach> {
    let mut asker = Asker {
        subject,
        example,
        breaches: Vec::new(),
    };
    let outcome = asker.ask(example, None);
    let Outcome::Ready(ready) = outcome else {
        asker.breach(
            Rule::Examples,
            None,
            format!("is not complete: {}", outcome.describe()),
        );
        return asker.breaches;
    };
    asker.distinct_secrets();
    asker.facts(&ready);
    asker.options();
    asker.identity(&ready);
    asker.documents(&ready);
    asker.empty();
    asker.echo();
    asker.bag(&ready);
    asker.address();
    for (field, value) in example.fields() {
        asker.absent_and_blank(field, value);
        asker.unreadable(field, value);
        for strange in STRANGE {
            asker.strange(field, value, strange, &ready);
        }
    }
    asker.breaches
}

impl Asker<'_> {
    fn distinct_secrets(&mut self) {
        let all: Vec<_> = secrets(self.example)
            .map(|(name, secret)| (name, secret.expose_secret()))
            .collect();
        for (index, (name, secret)) in all.iter().enumerate() {
            let is_another = all.iter().take(index).any(|(_, other)| other == secret);
            if secret.len() < TELLING || is_another {
                let what = "its secret is too short or that of another field: use `canary`";
                self.breach(Rule::Examples, Some(name), what);
            }
        }
        for field in self.example.required {
            if !self.example.fields().any(|(name, _)| name == *field) {
                self.breach(Rule::Examples, Some(field), "is required and not there");
            }
        }
    }

    /// A fact is there because an endpoint asks for it, and its order is nobody's.
    fn facts(&mut self, ready: &Ready) {
        let Facts {
            provider_ids,
            now: _,
        } = &self.example.facts;
        if provider_ids.is_empty() {
            return;
        }
        let relations = &self.example.relations;
        let descriptor = self.subject.provider.descriptor();
        let asked = descriptor.facts(|name| relations.iter().any(|(there, _)| *there == name));
        if !asked.contains(&Fact::ProviderIds) {
            let what = "provider ids are given, and no endpoint of the example asks for them: the \
                        charm will give none";
            self.breach(Rule::Facts, None, what);
            return;
        }
        let mut turned = self.example.clone();
        turned.facts.provider_ids.reverse();
        if !matches!(self.ask(&turned, None), Outcome::Ready(other) if *other == *ready) {
            let what = "provider ids in another order gave another answer";
            self.breach(Rule::Facts, None, what);
        }
    }

    /// What passes an option's check is not refused afterwards, whatever the relations say; what does not is
    /// refused by its name, so that the charm can refuse it before there is a relation.
    fn options(&mut self) {
        let example = self.example;
        for (name, text) in &example.options {
            let mut options = self.subject.provider.descriptor().options.iter();
            let Some(option) = options.find(|option| option.name == *name) else {
                let what = "is set, and is none of the provider's options";
                self.breach(Rule::Examples, Some(name), what);
                continue;
            };
            if let Err(problems) = (option.check)(text) {
                let what = format!("its example does not pass its check: {problems}");
                self.breach(Rule::Options, Some(name), what);
            }
            for strange in STRANGE {
                let spoiled: &'static str = Box::leak(format!("{text}{strange}x").into());
                let mut changed = example.clone();
                let at = changed.options.iter_mut().find(|(other, _)| other == name);
                if let Some(at) = at {
                    at.1 = spoiled;
                }
                match (option.check)(spoiled) {
                    Ok(()) if self.ask(&changed, Some(name)).names(name) => {
                        let what =
                            format!("with {strange:?} in it, it passes its check and is refused");
                        self.breach(Rule::Options, Some(name), what);
                    }
                    Err(problems) if problems.iter().any(|problem| problem.field != *name) => {
                        let what =
                            format!("with {strange:?} in it, another name is said: {problems}");
                        self.breach(Rule::Options, Some(name), what);
                    }
                    Ok(()) | Err(_) => {}
                }
            }
        }
    }

    /// Keys that were sent are used, no matter who the pods are. Without an identity of its pods, an example of keys
    /// waits or says what it lacks.
    fn identity(&mut self, ready: &Ready) {
        let examples = &self.subject.examples;
        let Some(known) = examples.iter().find_map(|example| example.identity) else {
            return;
        };
        let mut turned = self.example.clone();
        turned.identity = match self.example.identity {
            Some(_) => None,
            None => Some(known),
        };
        let outcome = self.ask(&turned, None);
        let Outcome::Ready(other) = &outcome else {
            if ready.whose == Whose::Keys {
                let what = format!("the identity of pods decides: {}", outcome.describe());
                self.breach(Rule::Identity, None, what);
            }
            return;
        };
        if !is_same_but_for_words(other, ready) {
            let what = "keys were sent, and the identity of pods makes another answer";
            self.breach(Rule::Identity, None, what);
        }
    }

    /// What integrators and others keep in a bag for themselves, and what stands where a secret's address is
    /// expected.
    fn bag(&mut self, ready: &Ready) {
        for at in 0..self.example.relations.len() {
            for address in ADDRESSES {
                let mut changed = self.example.clone();
                let (endpoint, fields) = &mut changed.relations[at];
                let endpoint = *endpoint;
                fields.push(("secret-extra", address.into()));
                fields.push(("data", "{\"bucket\": \"other\"}".into()));
                fields.push(("requested-secrets", "[]".into()));
                let outcome = self.ask(&changed, Some(endpoint));
                let is_same = |other: &Ready| is_same_but_for_words(other, ready);
                if !matches!(&outcome, Outcome::Ready(other) if is_same(other)) {
                    let what = format!(
                        "with {address:?} for the address of a secret in its bag, the answer is another"
                    );
                    self.breach(Rule::Bag, Some(endpoint), what);
                }
            }
        }
    }

    /// With an address that leads nowhere all secrets of a relation are missed at once.
    fn address(&mut self) {
        let is_secret = |value: &Value| matches!(value, Value::Secret(_));
        for at in 0..self.example.relations.len() {
            for reason in REASONS {
                let mut changed = self.example.clone();
                let mut missed = Vec::new();
                for (field, value) in &mut changed.relations[at].1 {
                    if is_secret(value) {
                        *value = Value::Unreadable(reason.into());
                        missed.push(*field);
                    }
                }
                missed.retain(|field| self.example.is_required(field));
                if missed.is_empty() {
                    continue;
                }
                let outcome = self.ask(&changed, missed.first().copied());
                for field in missed {
                    if !outcome.names(field) {
                        let what = format!(
                            "no secret of its relation can be read, and {}",
                            outcome.describe()
                        );
                        self.breach(Rule::Unreadable, Some(field), what);
                    }
                }
            }
        }
    }

    /// A relation that was just made: nothing in it, or what integrators keep for themselves.
    fn empty(&mut self) {
        for at in 0..self.example.relations.len() {
            for bag in [
                Vec::new(),
                vec![("version", "1".into()), ("data", "{}".into())],
            ] {
                let mut changed = self.example.clone();
                let endpoint = changed.relations[at].0;
                changed.relations[at].1 = bag;
                let outcome = self.ask(&changed, Some(endpoint));
                if !matches!(outcome, Outcome::Waiting(_)) {
                    let what = format!("nothing has been sent, and {}", outcome.describe());
                    self.breach(Rule::Empty, Some(endpoint), what);
                }
            }
        }
    }

    /// What is made of a placeholder that comes back: before the keys it is no answer at all, and with them
    /// it is no bucket, unless the example says that it was made.
    fn echo(&mut self) {
        for endpoint in self.subject.provider.descriptor().endpoints() {
            let handshake = endpoint.handshake;
            let Some(placeholder) = handshake.placeholder else {
                continue;
            };
            // Otherwise it is a handshake that asks for what is not there.
            if !self.example.fields().any(|(name, _)| name == placeholder) {
                continue;
            }
            let said = Value::Echo(PLACEHOLDER.into());
            let late = self.example.with(placeholder, Some(&said));
            let mut early = late.clone();
            for secret in handshake.requested_secrets {
                early = early.with(secret, None);
            }
            let outcome = self.ask(&early, Some(placeholder));
            if !matches!(outcome, Outcome::Waiting(_)) {
                let what = format!(
                    "nothing but a placeholder of ours has come back, and {}",
                    outcome.describe()
                );
                self.breach(Rule::Echo, Some(placeholder), what);
            }
            let outcome = self.ask(&late, Some(placeholder));
            let is_taken = |ready: &Ready| {
                let mut shown = texts(&ready.location, ready.snapshots.as_ref());
                shown.any(|text| text.contains(PLACEHOLDER))
            };
            if self.example.echo == Echo::IsNoAnswer
                && matches!(&outcome, Outcome::Ready(ready) if is_taken(ready))
            {
                let what = "a placeholder of ours has come back with all else, and backups would \
                            go there";
                self.breach(Rule::Echo, Some(placeholder), what);
            }
        }
    }

    fn absent_and_blank(&mut self, field: &str, value: &Value) {
        let all = match value {
            Value::Secret(_) => &BLANKS[..2],
            Value::Plain(_) | Value::Unreadable(_) | Value::Echo(_) => &BLANKS[..],
        };
        let blanks: Vec<_> = all
            .iter()
            .map(|blank| (*blank, like(value, (*blank).into())))
            .collect();
        let absent = std::iter::once(("absent", None));
        for (state, blank) in absent.chain(blanks.iter().map(|(state, b)| (*state, Some(b)))) {
            let changed = self.example.with(field, blank);
            let outcome = self.ask(&changed, Some(field));
            if self.example.is_required(field) {
                let named = match &outcome {
                    Outcome::Refused(problems) => problems
                        .iter()
                        .any(|p| p.field == field && p.kind == ProblemKind::Missing),
                    // Without its only field a relation is as good as empty.
                    Outcome::Waiting(what) => what.contains(field) || self.example.is_alone(field),
                    Outcome::Ready(_) => false,
                };
                if !named {
                    let what = format!(
                        "{state:?}, it is not named as missing: {}",
                        outcome.describe()
                    );
                    self.breach(Rule::Required, Some(field), what);
                }
            } else if !matches!(&outcome, Outcome::Ready(ready) if ready.gaps.is_empty()) {
                let what = format!("it is not required, and {state:?}: {}", outcome.describe());
                self.breach(Rule::Required, Some(field), what);
            }
        }
    }

    fn unreadable(&mut self, field: &str, value: &Value) {
        if !matches!(value, Value::Secret(_)) || !self.example.is_required(field) {
            return;
        }
        for reason in REASONS {
            let unreadable = Value::Unreadable(reason.into());
            let changed = self.example.with(field, Some(&unreadable));
            let outcome = self.ask(&changed, Some(field));
            let is_told = |problem: &Problem| {
                problem.field == field && problem.is_retryable() && problem.reason.contains(reason)
            };
            if !matches!(&outcome, Outcome::Refused(problems) if problems.iter().all(is_told)) {
                let what = format!("it cannot be read, and {}", outcome.describe());
                self.breach(Rule::Unreadable, Some(field), what);
            }
        }
    }

    fn strange(&mut self, field: &str, value: &Value, strange: &str, usual: &Ready) {
        let text = match value {
            Value::Plain(text) => text,
            Value::Secret(secret) => secret.expose_secret(),
            Value::Unreadable(_) | Value::Echo(_) => return,
        };
        let text = format!("{text}{strange}x");
        let changed = self.example.with(field, Some(&like(value, text.clone())));
        match self.ask(&changed, Some(field)) {
            Outcome::Refused(problems) if problems.iter().any(|p| p.field == field) => {
                if !self.example.is_decisive(field) {
                    let what = format!("with {strange:?} in it, everything is refused");
                    self.breach(Rule::Optional, Some(field), what);
                }
            }
            Outcome::Ready(ready) if ready.gaps.iter().any(|gap| gap.problem.field == field) => {
                if self.example.is_decisive(field) {
                    let what = "it says where backups go, and is left as it was";
                    self.breach(Rule::Optional, Some(field), what);
                }
            }
            Outcome::Ready(ready) if got_through(self.subject, &ready, &text) => {}
            // Nobody uses it.
            Outcome::Ready(ready) if is_same_but_for_words(&ready, usual) => {}
            outcome => {
                let what = format!(
                    "with {strange:?} in it, it neither gets through nor is refused by name: {}",
                    outcome.describe()
                );
                self.breach(Rule::Fidelity, Some(field), what);
            }
        }
    }
}

/// The same kind of value with another text.
fn like(value: &Value, text: String) -> Value {
    match value {
        Value::Secret(_) => Value::Secret(text.into()),
        Value::Plain(_) | Value::Unreadable(_) | Value::Echo(_) => Value::Plain(text),
    }
}

/// The text stands, to the byte, where something is made of it.
fn got_through(subject: &Subject, ready: &Ready, text: &str) -> bool {
    let mut shown = texts(&ready.location, ready.snapshots.as_ref());
    let read = ready.credential_values(subject);
    shown.any(|shown| shown.contains(text)) || read.iter().any(|value| value == text)
}

/// The same for Velero; what people read may differ.
fn is_same_but_for_words(one: &Ready, other: &Ready) -> bool {
    (&one.credential, one.whose) == (&other.credential, other.whose)
        && one.location == other.location
        && one.snapshots == other.snapshots
}
