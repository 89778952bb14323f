//! What a charm can be started for.
//!
//! Invariant: an [`Event`] holds all that distinguishes one start from another; the variables that
//! a charm sees about it follow from it and nothing else.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A hook or an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A hook that has nothing but its name: `install`, `config-changed`, or one yet unknown.
    Hook(String),
    /// A hook about a relation.
    Relation(RelationEvent),
    /// A hook about a secret.
    Secret(SecretEvent),
    /// An action.
    Action(ActionEvent),
}

/// A hook about a relation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelationEvent {
    /// What happened.
    pub kind: RelationKind,
    /// The relation.
    pub id: u32,
    /// The unit's own endpoint.
    pub endpoint: String,
    /// The application at the other end.
    pub remote_app: String,
    /// The unit that it is about, if it is about one.
    pub remote_unit: Option<String>,
    /// Who leaves, when someone does.
    pub departing: Option<String>,
}

/// What happens to a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RelationKind {
    /// It is there.
    Created,
    /// A unit has come.
    Joined,
    /// A bag has changed.
    Changed,
    /// A unit has gone.
    Departed,
    /// It is over.
    Broken,
}

impl RelationKind {
    /// The last word of the hook's name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Joined => "joined",
            Self::Changed => "changed",
            Self::Departed => "departed",
            Self::Broken => "broken",
        }
    }
}

/// A hook about a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretEvent {
    /// `changed`, `remove`, `rotate` or `expired`.
    pub kind: String,
    /// The secret, without scheme.
    pub id: String,
    /// The unit's label for it.
    pub label: String,
    /// The revision, for those kinds that have one.
    pub revision: Option<u32>,
}

/// An action that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionEvent {
    /// The number of the task.
    pub id: u32,
    /// The action's name.
    pub name: String,
    /// Its parameters, defaults included.
    pub params: Map<String, Value>,
}

impl Event {
    /// The hook of this name.
    #[must_use]
    pub fn hook(name: &str) -> Self {
        Self::Hook(name.to_owned())
    }

    /// The hook's or action's name.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Hook(name) => name.clone(),
            Self::Relation(event) => format!("{}-relation-{}", event.endpoint, event.kind.word()),
            Self::Secret(event) => format!("secret-{}", event.kind),
            Self::Action(event) => event.name.clone(),
        }
    }

    /// What `JUJU_DISPATCH_PATH` says.
    #[must_use]
    pub fn dispatch_path(&self) -> String {
        let folder = if self.action().is_some() {
            "actions"
        } else {
            "hooks"
        };
        format!("{folder}/{}", self.name())
    }

    /// The relation that it is about.
    #[must_use]
    pub const fn relation(&self) -> Option<&RelationEvent> {
        match self {
            Self::Relation(event) => Some(event),
            _ => None,
        }
    }

    /// The action that it is.
    #[must_use]
    pub const fn action(&self) -> Option<&ActionEvent> {
        match self {
            Self::Action(event) => Some(event),
            _ => None,
        }
    }

    /// The variables that tell a charm about it.
    #[must_use]
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let hook = if self.action().is_some() {
            String::new()
        } else {
            self.name()
        };
        let mut all = vec![
            ("JUJU_DISPATCH_PATH", self.dispatch_path()),
            ("JUJU_HOOK_NAME", hook),
        ];
        match self {
            Self::Hook(_) => {}
            Self::Relation(event) => all.extend(event.variables()),
            Self::Secret(event) => all.extend(event.variables()),
            Self::Action(event) => all.extend([
                ("JUJU_ACTION_NAME", event.name.clone()),
                ("JUJU_ACTION_UUID", event.id.to_string()),
                ("JUJU_ACTION_TAG", format!("action-{}", event.id)),
            ]),
        }
        all
    }
}

impl RelationEvent {
    fn variables(&self) -> Vec<(&'static str, String)> {
        let mut all = vec![
            ("JUJU_RELATION", self.endpoint.clone()),
            ("JUJU_RELATION_ID", format!("{}:{}", self.endpoint, self.id)),
            (
                "JUJU_REMOTE_UNIT",
                self.remote_unit.clone().unwrap_or_default(),
            ),
            ("JUJU_REMOTE_APP", self.remote_app.clone()),
        ];
        all.extend(
            self.departing
                .clone()
                .map(|unit| ("JUJU_DEPARTING_UNIT", unit)),
        );
        all
    }
}

impl SecretEvent {
    fn variables(&self) -> Vec<(&'static str, String)> {
        // Only the owner of a secret gets this hook, and it needs no more than the id.
        let id = if self.kind == "remove" {
            self.id.clone()
        } else {
            format!("secret:{}", self.id)
        };
        let mut all = vec![
            ("JUJU_SECRET_ID", id),
            ("JUJU_SECRET_LABEL", self.label.clone()),
        ];
        all.extend(
            self.revision
                .map(|number| ("JUJU_SECRET_REVISION", number.to_string())),
        );
        all
    }
}
