//! What a provider says of itself, against `charmcraft.yaml` and against the examples.
//!
//! Nothing here asks the provider anything but its descriptor.

use provider_api::{Advice, Descriptor, Endpoint, Fact, Value};
use serde_json::{Value as Yaml, json};

use super::{
    Breach, Example, Rule, Subject,
    ask::{is_clause, no_endpoint},
};

/// Breaches of one descriptor.
struct Judge<'a> {
    subject: &'a Subject,
    descriptor: &'static Descriptor,
    breaches: Vec<Breach>,
}

pub(super) fn breaches(subject: &Subject) -> Vec<Breach> {
    let descriptor = subject.provider.descriptor();
    let mut judge = Judge {
        subject,
        descriptor,
        breaches: Vec::new(),
    };
    match serde_saphyr::from_str::<Yaml>(subject.charmcraft) {
        Ok(yaml) => judge.declaration(&yaml),
        Err(error) => judge.breach(Rule::Declared, "charmcraft.yaml", &error.to_string()),
    }
    for endpoint in descriptor.endpoints() {
        judge.handshake(endpoint);
        judge.facts(endpoint);
    }
    judge.options();
    judge.identity();
    judge.strangers();
    judge.advice();
    judge.breaches
}

impl Judge<'_> {
    fn breach(&mut self, rule: Rule, field: &str, what: &str) {
        self.breaches.push(Breach {
            provider: self.descriptor.name,
            example: None,
            field: Some(field.into()),
            rule,
            what: what.into(),
        });
    }

    fn declaration(&mut self, yaml: &Yaml) {
        for endpoint in self.descriptor.endpoints() {
            let declared = &yaml["requires"][endpoint.name];
            for (key, wanted) in [
                ("interface", json!(endpoint.interface)),
                ("limit", json!(1)),
                ("optional", json!(true)),
            ] {
                if declared[key] != wanted {
                    let what = format!("charmcraft.yaml has {key} {}, not {wanted}", declared[key]);
                    self.breach(Rule::Declared, endpoint.name, &what);
                }
            }
        }
        let plugin = self.descriptor.plugin;
        let options = self.descriptor.options.iter();
        let options = options.map(|option| (option.name, option.default));
        for (name, default) in std::iter::once((plugin.option, plugin.default)).chain(options) {
            let declared = &yaml["config"]["options"][name];
            for (key, wanted) in [("type", "string"), ("default", default)] {
                if declared[key] != wanted {
                    let what = format!(
                        "charmcraft.yaml has {key} {}, not {wanted:?}",
                        declared[key]
                    );
                    self.breach(Rule::Declared, name, &what);
                }
            }
        }
    }

    fn options(&mut self) {
        for option in self.descriptor.options {
            if let Err(problems) = (option.check)(option.default) {
                let what = format!("its default does not pass its check: {problems}");
                self.breach(Rule::Options, option.name, &what);
            }
            let mut examples = self.subject.examples.iter();
            if !examples.any(|example| example.options.iter().any(|(name, _)| *name == option.name))
            {
                self.breach(Rule::Examples, option.name, "is set in no example");
            }
        }
    }

    /// An identity that is declared is in an example, and passes its own check.
    fn identity(&mut self) {
        let examples = self.subject.examples.iter();
        let used: Vec<_> = examples.filter_map(|example| example.identity).collect();
        match self.descriptor.identity {
            None if used.is_empty() => {}
            None => {
                let what = "is in an example, and the descriptor has none";
                self.breach(Rule::Examples, "identity", what);
            }
            Some(identity) => {
                if used.is_empty() {
                    self.breach(Rule::Examples, identity.annotation, "is in no example");
                }
                if used.iter().any(|who| !(identity.is_sound)(who)) {
                    let what = "its example does not pass its check";
                    self.breach(Rule::Identity, identity.annotation, what);
                }
                if (identity.is_sound)("") {
                    self.breach(
                        Rule::Identity,
                        identity.annotation,
                        "nothing passes its check",
                    );
                }
            }
        }
    }

    fn handshake(&mut self, endpoint: Endpoint) {
        let examples = self.subject.examples.iter();
        let relations: Vec<_> = examples
            .flat_map(|example| &example.relations)
            .filter(|(name, _)| *name == endpoint.name)
            .flat_map(|(_, fields)| fields)
            .collect();
        if relations.is_empty() {
            self.breach(
                Rule::Examples,
                endpoint.name,
                "no example has a relation on it",
            );
            return;
        }
        let asked = endpoint.handshake.requested_secrets;
        let is_secret = |value: &Value| matches!(value, Value::Secret(_));
        for secret in asked {
            if !relations
                .iter()
                .any(|(name, value)| name == secret && is_secret(value))
            {
                self.breach(
                    Rule::Handshake,
                    secret,
                    "is asked for, and in no example a secret",
                );
            }
        }
        for (name, value) in &relations {
            if is_secret(value) && !asked.contains(name) {
                self.breach(Rule::Handshake, name, "is a secret that is not asked for");
            }
        }
        if let Some(placeholder) = endpoint.handshake.placeholder {
            self.placeholder(placeholder, endpoint);
        }
    }

    /// An older integrator takes a placeholder for the user's wish. That nothing else has come is noticed
    /// only where the field must be there.
    fn placeholder(&mut self, placeholder: &'static str, endpoint: Endpoint) {
        let has_it = |example: &&Example| {
            let mut relations = example.relations.iter();
            relations.any(|(name, fields)| {
                *name == endpoint.name && fields.iter().any(|(field, _)| *field == placeholder)
            })
        };
        let with_it: Vec<_> = self.subject.examples.iter().filter(has_it).collect();
        if with_it.is_empty() {
            let what = "is a placeholder, and in no example";
            self.breach(Rule::Handshake, placeholder, what);
        } else if with_it.iter().any(|one| !one.is_required(placeholder)) {
            let what = "is a placeholder and not required: an integrator that takes it for the \
                        user's wish would move backups without a word";
            self.breach(Rule::Handshake, placeholder, what);
        }
    }

    fn facts(&mut self, endpoint: Endpoint) {
        for fact in endpoint.facts {
            let mut examples = self.subject.examples.iter();
            let is_there = examples.any(|example| {
                let mut relations = example.relations.iter();
                let is_known = match fact {
                    Fact::ProviderIds => !example.facts.provider_ids.is_empty(),
                    Fact::Now => example.facts.now.is_some(),
                };
                is_known && relations.any(|(name, _)| *name == endpoint.name)
            });
            if !is_there {
                let what = format!("asks for {fact:?}, and no example with it has any");
                self.breach(Rule::Facts, endpoint.name, &what);
            }
        }
    }

    /// An example must not speak of what the descriptor does not know.
    fn strangers(&mut self) {
        let known: Vec<_> = self
            .descriptor
            .endpoints()
            .map(|endpoint| endpoint.name)
            .collect();
        let subject = self.subject;
        for example in &subject.examples {
            for (endpoint, _) in &example.relations {
                if !known.contains(endpoint) {
                    self.breach(
                        Rule::Examples,
                        endpoint,
                        "is none of the provider's endpoints",
                    );
                }
            }
        }
    }

    fn advice(&mut self) {
        let table = self.descriptor.advice;
        for (index, Advice { when, then }) in table.iter().enumerate() {
            if when.is_empty() || !is_clause(then) {
                self.breach(Rule::Advice, when, "says nothing, or ends with a full stop");
            }
            if let Some(unknown) = no_endpoint(then, self.descriptor) {
                let what = format!("`{{{unknown}}}` stands for an application at no endpoint");
                self.breach(Rule::Advice, when, &what);
            }
            let earlier = table.iter().take(index).find(|row| when.contains(row.when));
            if let Some(earlier) = earlier {
                let what = format!("is never reached: `{}` comes first", earlier.when);
                self.breach(Rule::Advice, when, &what);
            }
        }
    }
}
