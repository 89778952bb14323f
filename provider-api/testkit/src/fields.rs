//! What happens to each field of an example: left out, blank, unreadable, strange.
//!
//! **Invariant:** one field is spoiled at a time, so that an answer is about that field.

use secrecy::ExposeSecret as _;

use super::{
    Breach, Example, Rule, Subject,
    ask::{Answer, Asker, Ready, secrets, texts},
};
use crate::{Dialect, Problem, ProblemKind, Value};

/// What means something to one format or the other. Each is put between the value and an `x`, so that
/// it is not at an end, where white space may be cut off.
const STRANGE: [&str; 13] = [
    ",", "\"", "'", "\n", "\r", "\t", " #", ";", "=", "\\", "$", "é日", "\0",
];
/// Nothing, as integrators spell it. The first two are said of secrets too.
const BLANKS: [&str; 6] = ["", " \t", "\"\"", "null", "[]", "[\"\"]"];
/// Shorter secrets would be found by chance.
const LONG_ENOUGH: usize = 8;

pub(super) fn breaches(subject: &Subject, example: &Example) -> Vec<Breach> {
    let mut asker = Asker {
        subject,
        example,
        breaches: Vec::new(),
    };
    let answer = asker.ask(example, None);
    let Answer::Ready(ready) = answer else {
        asker.breach(
            Rule::Examples,
            None,
            format!("is not complete: {}", answer.describe()),
        );
        return asker.breaches;
    };
    asker.distinct_secrets();
    asker.complete(&ready);
    asker.empty();
    asker.echo();
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
            if secret.len() < LONG_ENOUGH || is_another {
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

    fn complete(&mut self, ready: &Ready) {
        if ready.plugin_image != self.example.inputs(self.subject.provider).plugin_image {
            self.breach(
                Rule::PluginImage,
                None,
                "another image than the user's is used",
            );
        }
        for (name, secret) in secrets(self.example) {
            let secret = secret.expose_secret();
            // A secret may be a document with the secret proper in it.
            let is_known = |canary: &String| !canary.is_empty() && secret.contains(canary.as_str());
            if !ready.canaries.iter().any(is_known) {
                self.breach(Rule::Canaries, Some(name), "is not among the canaries");
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
                let answer = self.ask(&changed, Some(endpoint));
                if !matches!(answer, Answer::Waiting(_)) {
                    let what = format!("nothing has been sent, and {}", answer.describe());
                    self.breach(Rule::Empty, Some(endpoint), what);
                }
            }
        }
    }

    /// A placeholder is said where the provider's own relation has a trigger. Before the keys come it is no
    /// answer at all.
    fn echo(&mut self) {
        let endpoint = self.subject.provider.descriptor().endpoint;
        let handshake = endpoint.handshake;
        let Dialect::ObjectStorage {
            legacy_trigger: Some(trigger),
        } = handshake.dialect
        else {
            return;
        };
        // Otherwise it is a handshake that asks for what is not there.
        if !self.example.fields().any(|(name, _)| name == trigger) {
            return;
        }
        let mut early = self
            .example
            .with(trigger, Some(&Value::Echo("relation-47".into())));
        for secret in handshake.requested_secrets {
            early = early.with(secret, None);
        }
        let answer = self.ask(&early, Some(trigger));
        if !matches!(answer, Answer::Waiting(_)) {
            let what = format!(
                "nothing but a placeholder of ours has come back, and {}",
                answer.describe()
            );
            self.breach(Rule::Echo, Some(trigger), what);
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
            let answer = self.ask(&changed, Some(field));
            if self.example.is_required(field) {
                let named = match &answer {
                    Answer::Refused(problems) => problems
                        .iter()
                        .any(|p| p.field == field && p.kind == ProblemKind::Missing),
                    // Without its only field a relation is as good as empty.
                    Answer::Waiting(what) => what.contains(field) || self.example.is_alone(field),
                    Answer::Ready(_) => false,
                };
                if !named {
                    let what = format!(
                        "{state:?}, it is not named as missing: {}",
                        answer.describe()
                    );
                    self.breach(Rule::Required, Some(field), what);
                }
            } else if !matches!(&answer, Answer::Ready(ready) if ready.gaps.is_empty()) {
                let what = format!("it is not required, and {state:?}: {}", answer.describe());
                self.breach(Rule::Required, Some(field), what);
            }
        }
    }

    fn unreadable(&mut self, field: &str, value: &Value) {
        if !matches!(value, Value::Secret(_)) || !self.example.is_required(field) {
            return;
        }
        let reason = "the post is late";
        let changed = self
            .example
            .with(field, Some(&Value::Unreadable(reason.into())));
        let answer = self.ask(&changed, Some(field));
        let is_told = |problem: &Problem| {
            problem.field == field && problem.is_retryable() && problem.reason.contains(reason)
        };
        if !matches!(&answer, Answer::Refused(problems) if problems.iter().all(is_told)) {
            let what = format!("it cannot be read, and {}", answer.describe());
            self.breach(Rule::Unreadable, Some(field), what);
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
            Answer::Refused(problems) if problems.iter().any(|p| p.field == field) => {
                if !self.example.is_decisive(field) {
                    let what = format!("with {strange:?} in it, everything is refused");
                    self.breach(Rule::Optional, Some(field), what);
                }
            }
            Answer::Ready(ready) if ready.gaps.iter().any(|gap| gap.problem.field == field) => {
                if self.example.is_decisive(field) {
                    let what = "it says where backups go, and is left as it was";
                    self.breach(Rule::Optional, Some(field), what);
                }
            }
            Answer::Ready(ready) if got_through(self.subject, &ready, &text) => {}
            // Nobody uses it.
            Answer::Ready(ready) if is_same_but_for_canaries(&ready, usual) => {}
            answer => {
                let what = format!(
                    "with {strange:?} in it, it neither gets through nor is refused by name: {}",
                    answer.describe()
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
    let read = (subject.credential_values)(&ready.credential);
    shown.any(|shown| shown.contains(text)) || read.iter().any(|value| value == text)
}

/// A secret that is sent and not used still has to be kept out of messages.
fn is_same_but_for_canaries(one: &Ready, other: &Ready) -> bool {
    one.credential == other.credential
        && one.location == other.location
        && one.snapshots == other.snapshots
        && one.plugin_image == other.plugin_image
}
