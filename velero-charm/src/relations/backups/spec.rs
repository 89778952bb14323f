//! What of a target's `spec` Velero gets, checked as Velero checks it.

use std::collections::BTreeMap;

use provider_api::{Problem, Problems};
use serde_json::{Map, Value};

use super::{Key, Target, is_label_value, sends};
use crate::velero::{cron::Cron, duration, template::Template};

/// A spec that can work.
pub(super) struct Spec {
    template: Template,
    schedule: Option<String>,
    paused: Option<bool>,
    skip_immediately: Option<bool>,
    owner_references: Option<bool>,
}

impl Spec {
    pub(super) fn of(self, key: Key, relation: &str) -> Target {
        Target {
            key,
            relation: relation.to_owned(),
            template: self.template,
            schedule: self.schedule,
            paused: self.paused,
            skip_immediately: self.skip_immediately,
            owner_references: self.owner_references,
        }
    }
}

/// Understands a spec, whose fields are spelled with underscores. Further fields are of later releases, or of nobody's.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn read(fields: &Map<String, Value>, who: &str) -> Result<Spec, Problems> {
    let mut reader = Reader {
        fields,
        who,
        problems: Vec::new(),
    };
    let spec = Spec {
        template: Template {
            included_namespaces: reader.namespaces("include_namespaces"),
            excluded_namespaces: reader.list("exclude_namespaces"),
            included_resources: reader.list("include_resources"),
            excluded_resources: reader.list("exclude_resources"),
            cluster_resources: reader.flag("include_cluster_resources"),
            labels: reader.labels("label_selector"),
            ttl: reader.checked("ttl", check_ttl),
        },
        schedule: reader.checked("schedule", check_cron),
        paused: reader.flag("paused"),
        skip_immediately: reader.flag("skip_immediately"),
        owner_references: reader.flag("use_owner_references_in_backup"),
    };
    reader.contradictions(&spec.template);
    Problems::raise(reader.problems)?;
    Ok(spec)
}

/// The text is a `ttl`.
///
/// # Errors
/// What is wrong with it, to be read after its name, and what would be right.
pub(crate) fn check_ttl(text: &str) -> Result<(), (String, &'static str)> {
    let right = "a duration such as `720h`";
    match duration::parse(text) {
        Ok(ttl) if ttl.is_negative() => {
            let reason =
                format!("`{text}` is negative, so that Velero would delete each backup at once");
            Err((reason, right))
        }
        Ok(_) => Ok(()),
        Err(error) => Err((format!("`{text}` {error}"), right)),
    }
}

/// The text is a `schedule`.
///
/// # Errors
/// What is wrong with it, to be read after its name, and what would be right.
pub(crate) fn check_cron(text: &str) -> Result<(), (String, &'static str)> {
    let right = "a cron expression such as `0 2 * * *` or `@daily`";
    match Cron::parse(text) {
        Ok(_) => Ok(()),
        Err(error) => Err((format!("`{text}` {error}"), right)),
    }
}

struct Reader<'a> {
    fields: &'a Map<String, Value>,
    who: &'a str,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    /// `null` is what was left out.
    fn value(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    fn refuse(&mut self, field: &str, reason: impl Into<String>, right: &str) {
        let hint = sends(right, self.who);
        self.problems.push(Problem::invalid(field, reason, hint));
    }

    fn flag(&mut self, field: &str) -> Option<bool> {
        let flag = self.value(field)?.as_bool();
        if flag.is_none() {
            self.refuse(field, "is neither `true` nor `false`", "one of them");
        }
        flag
    }

    /// A blank one is what was left out.
    fn checked(
        &mut self,
        field: &str,
        check: fn(&str) -> Result<(), (String, &'static str)>,
    ) -> Option<String> {
        let Value::String(text) = self.value(field)? else {
            self.refuse(field, "is not a text", "a text");
            return None;
        };
        let text = text.trim().to_owned();
        if text.is_empty() {
            return None;
        }
        if let Err((reason, right)) = check(&text) {
            self.refuse(field, reason, right);
        }
        Some(text)
    }

    fn list(&mut self, field: &str) -> Vec<String> {
        let Some(value) = self.value(field) else {
            return Vec::new();
        };
        let texts = value.as_array().and_then(|items| {
            let texts = items.iter().map(|item| item.as_str().map(str::trim));
            texts.collect::<Option<Vec<_>>>()
        });
        let texts = texts.filter(|texts| texts.iter().all(|text| !text.is_empty()));
        let Some(texts) = texts else {
            self.refuse(field, "is not a list of names", "a list of names");
            return Vec::new();
        };
        texts.into_iter().map(ToOwned::to_owned).collect()
    }

    /// A list that was computed and came out empty is no wish for everything, which Velero would take it for.
    fn namespaces(&mut self, field: &str) -> Vec<String> {
        let list = self.list(field);
        let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
        if self.value(field).is_some_and(is_empty) {
            let reason = "is an empty list, which Velero would take for every namespace";
            self.refuse(field, reason, "a namespace that exists");
        }
        list
    }

    fn labels(&mut self, field: &str) -> BTreeMap<String, String> {
        let Some(value) = self.value(field) else {
            return BTreeMap::new();
        };
        let pairs = value.as_object().and_then(|pairs| {
            let pairs = pairs.iter().map(|(key, value)| {
                let value = value.as_str().filter(|value| is_label_value(value))?;
                is_label_key(key).then(|| (key.clone(), value.to_owned()))
            });
            pairs.collect::<Option<BTreeMap<_, _>>>()
        });
        if pairs.is_none() {
            self.refuse(
                field,
                "has more in it than labels and their values",
                "labels",
            );
        }
        pairs.unwrap_or_default()
    }

    /// What Velero refuses of lists.
    fn contradictions(&mut self, template: &Template) {
        for (of, included, excluded) in [
            (
                "namespaces",
                &template.included_namespaces,
                &template.excluded_namespaces,
            ),
            (
                "resources",
                &template.included_resources,
                &template.excluded_resources,
            ),
        ] {
            let is_all = |name: &String| name == "*";
            if included.len() > 1 && included.iter().any(is_all) {
                let reason = "has `*` and names next to it";
                self.refuse(&format!("include_{of}"), reason, "one or the other");
            }
            let field = format!("exclude_{of}");
            if excluded.iter().any(is_all) {
                self.refuse(&field, "has `*`, which leaves nothing to back up", "names");
            }
            if let Some(both) = excluded.iter().find(|name| included.contains(name)) {
                let reason = format!("has `{both}`, which `include_{of}` has too");
                self.refuse(&field, reason, "it in one of them");
            }
        }
    }
}

/// A name, after the domain that it may belong to.
fn is_label_key(key: &str) -> bool {
    let (domain, name) = key.split_once('/').unwrap_or(("x", key));
    let is_of_domain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
    !name.is_empty()
        && is_label_value(name)
        && !domain.is_empty()
        && domain.len() <= 253
        && domain.chars().all(is_of_domain)
}
