//! Secrets that are documents with secret parts: a JSON key, for example.
//!
//! The charm masks what it handed in. Of a document it hands in the whole, which nobody ever quotes, so the
//! parts are to be masked by themselves; and what is spoiled behind a document's end says little of what becomes
//! of its inside.

use provider_api::{Value, secrecy::ExposeSecret as _};
use serde_json::{Value as Json, json};

use super::{
    Example, Rule,
    ask::{Asker, Outcome, Ready, TELLING, secrets},
    fields::STRANGE,
};

/// A member that no document has.
const STRANGER: &str = "kit-4711";

/// What is named as secret in a field.
pub(super) fn parts<'a>(example: &'a Example, field: &str) -> impl Iterator<Item = &'a str> {
    let parts = example.secret_parts.iter();
    parts
        .filter(move |(name, _)| *name == field)
        .map(|(_, part)| part.as_str())
}

impl Asker<'_> {
    /// What the example says of its documents.
    pub(super) fn documents(&mut self, ready: &Ready) {
        self.parts_are_there();
        self.redactions(ready);
        for (field, value) in self.example.fields() {
            let Value::Secret(secret) = value else {
                continue;
            };
            let document = secret.expose_secret();
            let parts: Vec<_> = parts(self.example, field).collect();
            match serde_json::from_str(document) {
                Ok(Json::Object(members)) => {
                    if parts.is_empty() {
                        let what = "its secret is a document: name its `secret_parts`";
                        self.breach(Rule::Examples, Some(field), what);
                    }
                    self.inside(field, &Json::Object(members), &parts);
                }
                _ => self.within(field, document, &parts),
            }
        }
    }

    fn parts_are_there(&mut self) {
        for (field, part) in &self.example.secret_parts {
            let is_in = self.example.fields().any(|(name, value)| match value {
                Value::Secret(secret) => {
                    let text = secret.expose_secret();
                    name == *field && (text.contains(part) || text.contains(&escaped(part)))
                }
                Value::Plain(_) | Value::Unreadable(_) | Value::Echo(_) => false,
            });
            if !is_in || part.len() < TELLING {
                let what = "a secret part is not in it, or too short";
                self.breach(Rule::Examples, Some(field), what);
            }
        }
    }

    /// Each part is masked, and nothing else is.
    fn redactions(&mut self, ready: &Ready) {
        let parts: Vec<_> = self.example.secret_parts.clone();
        let wholes = secrets(self.example)
            .filter(|(field, _)| parts.iter().all(|(name, _)| name != field))
            .map(|(field, secret)| (field, secret.expose_secret().to_owned()));
        let wholes: Vec<_> = wholes.collect();
        for redaction in ready.inside_sent.iter().chain(&ready.inside_file) {
            let is_secret = parts
                .iter()
                .chain(&wholes)
                .any(|(_, part)| part.contains(redaction) || escaped(part).contains(redaction));
            if redaction.len() < TELLING || !is_secret {
                let what = "`secrets_inside` has something that is too short, or in none of the \
                            example's secrets and `secret_parts`: it would mask ordinary words";
                self.breach(Rule::Redaction, None, what);
            }
        }
        for (field, part) in &parts {
            self.masked(field, part, ready);
            self.masked(
                field,
                &part.lines().map(escaped).collect::<Vec<_>>().join("\n"),
                ready,
            );
        }
        for (field, secret) in &wholes {
            if self.reads(ready, secret) && !is_masked(secret, &ready.inside_file) {
                let what = "`secrets_inside` does not find it in the credential file";
                self.breach(Rule::Redaction, Some(field), what);
            }
        }
    }

    fn masked(&mut self, field: &str, part: &str, ready: &Ready) {
        let covers = |masks: &[String]| telling_lines(part).all(|line| is_masked(line, masks));
        if !covers(&ready.inside_sent) || !covers(&ready.inside_file) {
            let what = "a secret part of it is not covered by `secrets_inside` of what was sent and of the \
                        credential file";
            self.breach(Rule::Redaction, Some(field), what);
        }
    }

    /// JSON with each of its texts spoiled, one at a time, and its secret parts taken out.
    fn inside(&mut self, field: &str, document: &Json, parts: &[&str]) {
        let mut texts = Vec::new();
        texts_in(document, String::new(), &mut texts);
        let is_text = |part: &&str| texts.iter().any(|(_, text)| text == part);
        if !parts.iter().all(is_text) {
            let what = "a secret part is not the whole of a text in its document";
            self.breach(Rule::Examples, Some(field), what);
        }
        for (place, text) in texts {
            let is_secret = parts.contains(&text.as_str());
            for strange in STRANGE {
                let spoiled = format!("{text}{strange}x");
                let changed = with(document, &place, json!(spoiled)).to_string();
                self.changed_inside(field, &changed, &spoiled, is_secret);
            }
            if is_secret {
                for (state, value) in [("blank", json!("")), ("null", Json::Null)] {
                    let changed = with(document, &place, value).to_string();
                    self.part_is_missed(field, &changed, state);
                }
                let changed = without(document, &place).to_string();
                self.part_is_missed(field, &changed, "absent");
            }
        }
        for strange in STRANGE {
            let spoiled = format!("a{strange}x");
            let mut changed = document.clone();
            changed[STRANGER] = json!(spoiled);
            self.changed_inside(field, &changed.to_string(), &spoiled, false);
        }
    }

    /// A document of some other form, with its secret parts spoiled.
    fn within(&mut self, field: &str, document: &str, parts: &[&str]) {
        for part in parts {
            for strange in STRANGE {
                let spoiled = format!("{part}{strange}x");
                let changed = document.replace(part, &spoiled);
                self.changed_inside(field, &changed, &spoiled, true);
            }
            self.part_is_missed(field, &document.replace(part, ""), "blank");
        }
    }

    fn changed_inside(&mut self, field: &str, document: &str, spoiled: &str, is_secret: bool) {
        let outcome = self.ask_with(field, document);
        match &outcome {
            Outcome::Ready(ready) if self.reads(ready, document) || self.reads(ready, spoiled) => {
                if is_secret {
                    self.masked(field, spoiled, ready);
                }
            }
            refused if refused.names(field) => {}
            other => {
                let what = format!(
                    "changed inside, it neither gets through to the byte nor is refused by name: {}",
                    other.describe()
                );
                self.breach(Rule::Fidelity, Some(field), what);
            }
        }
    }

    fn part_is_missed(&mut self, field: &str, document: &str, state: &str) {
        let outcome = self.ask_with(field, document);
        if !outcome.names(field) {
            let what = format!(
                "a secret part of it is {state}, and it is not named: {}",
                outcome.describe()
            );
            self.breach(Rule::Required, Some(field), what);
        }
    }

    fn ask_with(&mut self, field: &str, document: &str) -> Outcome {
        let value = Value::Secret(document.into());
        let changed = self.example.with(field, Some(&value));
        self.ask(&changed, Some(field))
    }

    fn reads(&self, ready: &Ready, text: &str) -> bool {
        let read = ready.credential_values(self.subject);
        read.iter().any(|value| value == text)
    }
}

/// As it stands within quotes in JSON.
fn escaped(text: &str) -> String {
    let quoted = json!(text).to_string();
    quoted.trim_matches('"').to_owned()
}

/// The lines of a secret but for the armour of a PEM, which is no secret.
pub(super) fn telling_lines(secret: &str) -> impl Iterator<Item = &str> {
    secret.lines().filter(|line| !line.starts_with("-----"))
}

/// Whether a line is masked but for crumbs, where each redaction is masked as a whole and line by line.
fn is_masked(line: &str, redactions: &[String]) -> bool {
    let whole = redactions.iter().map(String::as_str);
    let lines = redactions.iter().flat_map(|one| one.lines());
    let mut masks: Vec<_> = whole.chain(lines).map(str::trim).collect();
    masks.retain(|mask| mask.len() >= TELLING);
    masks.sort_by_key(|mask| std::cmp::Reverse(mask.len()));
    let mut crumbs = vec![line];
    for mask in masks {
        crumbs = crumbs.iter().flat_map(|crumb| crumb.split(mask)).collect();
    }
    crumbs.iter().all(|crumb| crumb.len() < TELLING)
}

/// Every text in a document, with its place.
fn texts_in(json: &Json, place: String, found: &mut Vec<(String, String)>) {
    match json {
        Json::String(text) => found.push((place, text.clone())),
        Json::Object(members) => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                texts_in(member, format!("{place}/{name}"), found);
            }
        }
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                texts_in(item, format!("{place}/{index}"), found);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

fn with(document: &Json, place: &str, value: Json) -> Json {
    let mut changed = document.clone();
    if let Some(there) = changed.pointer_mut(place) {
        *there = value;
    }
    changed
}

fn without(document: &Json, place: &str) -> Json {
    let mut changed = document.clone();
    if let Some((parent, name)) = place.rsplit_once('/')
        && let Some(Json::Object(members)) = changed.pointer_mut(parent)
    {
        let name = name.replace("~1", "/").replace("~0", "~");
        members.remove(&name);
    }
    changed
}
