//! The Schedules of those who ask to be backed up.

use std::{collections::BTreeMap, fmt};

use kube::{ResourceExt, api::DynamicObject};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::{
    Owner,
    keep::{self, FAR},
};
use crate::velero::{
    kind,
    template::{Saving, Template},
};

/// As long may a name be for the names of its Backups, which have a time behind it, to be labels.
const LONGEST_NAME: usize = 48;
/// Bytes of the hash in a name.
const HASH: usize = 5;

/// On a Schedule: the relation that asked for it.
const RELATION: &str = "velero-operator/relation";

/// Who is backed up, as they call themselves: an integrator may stand between them and us.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    pub(crate) model: String,
    pub(crate) app: String,
    pub(crate) endpoint: String,
}

/// When Backups are made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Timing {
    pub(crate) cron: String,
    pub(crate) paused: Option<bool>,
    pub(crate) skip_immediately: Option<bool>,
    pub(crate) owner_references: Option<bool>,
}

impl Key {
    const LABELS: [&str; 3] = ["app", "endpoint", "model"];

    /// The labels that Schedules and Backups carry, as those of the previous charm.
    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        let values = [&self.app, &self.endpoint, &self.model];
        let pairs = Self::LABELS.into_iter().zip(values);
        pairs
            .map(|(key, value)| (key.to_owned(), value.clone()))
            .collect()
    }

    /// Whose an object is by its labels.
    pub(crate) fn of(object: &impl ResourceExt) -> Option<Self> {
        Self::of_labels(object.labels())
    }

    /// Whose what carries these labels is.
    pub(crate) fn of_labels(labels: &BTreeMap<String, String>) -> Option<Self> {
        let [app, endpoint, model] = Self::LABELS.map(|label| labels.get(label).cloned());
        Some(Self {
            model: model?,
            app: app?,
            endpoint: endpoint?,
        })
    }

    /// The same for the same three, and another for others: a client that goes and comes back finds what was its own.
    pub(crate) fn name(&self) -> String {
        let Self {
            model,
            app,
            endpoint,
        } = self;
        let all = format!("{model}\0{app}\0{endpoint}");
        let hash = digest(&SHA256, all.as_bytes());
        let hash: String = hash
            .as_ref()
            .iter()
            .take(HASH)
            .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let longest = LONGEST_NAME - 2 * HASH - 1;
        format!("{}-{hash}", self.readable(longest))
    }

    /// What it is called in this model: two others can have an application of one name.
    pub(crate) fn seen_from(&self, model: &str) -> String {
        if self.model == model {
            format!("`{self}`")
        } else {
            format!("`{self}` in model `{}`", self.model)
        }
    }

    /// What the names of Backups begin with that an action makes.
    pub(crate) fn stem(&self) -> String {
        self.readable(LONGEST_NAME)
    }

    /// `app-endpoint` as it can be in the name of an object, of at most so many letters.
    fn readable(&self, longest: usize) -> String {
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        };
        let Self { app, endpoint, .. } = self;
        let all = format!("{app}-{endpoint}");
        let text: String = all.chars().map(plain).take(longest).collect();
        text.trim_matches('-').to_owned()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.app, self.endpoint)
    }
}

/// How long Backups stay.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Lifetime {
    /// As long as the template says.
    OfTemplate,
    /// As long as the rule of option `keep` says, which the charm applies.
    ByRule,
}

/// What a Schedule is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order<'a> {
    pub(crate) key: &'a Key,
    pub(crate) relation: &'a str,
    pub(crate) timing: &'a Timing,
    pub(crate) template: &'a Template,
    pub(crate) saving: Saving,
    pub(crate) lifetime: Lifetime,
}

/// The Schedule to apply.
pub(crate) fn schedule(
    name: &str,
    order: Order<'_>,
    (namespace, owner): (&str, &Owner),
) -> DynamicObject {
    let Order {
        key,
        relation,
        timing,
        template,
        saving,
        lifetime,
    } = order;
    let mut labels = owner.labels();
    labels.extend(key.labels());
    labels.insert(RELATION.to_owned(), as_label(relation));
    let mut template = template.spec(saving);
    // Else Backups get all labels of the Schedule, those that say whose it is too.
    let mut of_backups = key.labels();
    if lifetime == Lifetime::ByRule {
        of_backups.extend([keep::label(owner)]);
        template["ttl"] = json!(FAR);
    }
    template["metadata"] = json!({"labels": of_backups});
    let mut spec = json!({"schedule": timing.cron, "template": template});
    for (field, value) in [
        ("paused", timing.paused),
        ("skipImmediately", timing.skip_immediately),
        ("useOwnerReferencesInBackup", timing.owner_references),
    ] {
        if let Some(value) = value {
            spec[field] = Value::Bool(value);
        }
    }
    let mut object = DynamicObject::new(name, &kind("Schedule")).within(namespace);
    object.metadata.labels = Some(labels);
    object.data(json!({ "spec": spec }))
}

/// The relation asked for the Schedule.
pub(crate) fn is_for(schedule: &impl ResourceExt, relation: &str) -> bool {
    schedule.labels().get(RELATION) == Some(&as_label(relation))
}

/// `velero-backups:7` without the colon, which no label has.
fn as_label(relation: &str) -> String {
    relation.replace(':', ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(model: &str, app: &str, endpoint: &str) -> Key {
        Key {
            model: model.into(),
            app: app.into(),
            endpoint: endpoint.into(),
        }
    }

    #[test]
    fn names_are_apart_where_dashes_could_join_them() {
        let keys = [
            key("m", "a", "b"),
            key("n", "a", "b"),
            key("m", "a-b", "c"),
            key("m", "a", "b-c"),
            key("m-a", "b", "c"),
        ];
        let names: std::collections::BTreeSet<_> = keys.iter().map(Key::name).collect();
        assert_eq!(names.len(), keys.len());
        assert_eq!(keys[0].name(), "a-b-89660882bc", "{names:?}");
    }

    #[test]
    fn name_leaves_room_for_the_time_of_a_backup() {
        let long = key("m", &"a".repeat(63), &"Under_score".repeat(5));
        assert_eq!(long.name().len(), 48);
        assert!(long.name().starts_with("aaa"));
        assert!(key("m", "a", "my_end").name().starts_with("a-my-end-"));
        assert_eq!(long.stem().len(), 48);
        assert_eq!(key("m", "Shop.eu", "my_end_").stem(), "shop-eu-my-end");
    }
}
