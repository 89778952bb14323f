//! The password of the volumes' files in the store, as the user wants it.
//!
//! Velero reads it from a Secret of a fixed name, and makes that with a password that everybody knows if it is not
//! there. What was read of the user's own goes into it, with a note of where. **Invariant:** nothing here replaces
//! a password with which a repository was opened ([`Password::is_refused`]), and the Secret has none of our labels:
//! it outlives the application, as the files do.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    ResourceExt as _,
    api::{DynamicObject, ObjectMeta},
};
use provider_api::secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::{
    SKIP_JUJU_WEBHOOK,
    credential::{NOTES, Note, Reading},
};
use crate::velero::{REPOSITORY_PASSWORD, REPOSITORY_PASSWORD_KEY, repository_password};

/// The field of the user's secret.
pub(crate) const FIELD: &str = "password";

/// What is asked for, and what is there.
#[derive(Debug)]
pub(crate) struct Password {
    pub(crate) wanted: Wanted,
    pub(crate) live: Live,
}

/// The password that the option names.
#[derive(Debug)]
pub(crate) enum Wanted {
    Known(Reading),
    /// Why it cannot be had.
    Unreadable(String),
}

/// What Velero has.
#[derive(Debug)]
pub(crate) enum Live {
    None,
    /// What is wanted, read as this note tells.
    AsWanted(Option<Note>),
    /// Another, and a repository that was opened with it.
    Other {
        note: Option<Note>,
        repository: Option<String>,
    },
}

/// What is to be done about it.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Make(Reading),
    /// The Secret is there.
    Set(Reading),
    /// What Velero has is not what was read.
    Forget,
}

impl Password {
    /// The repository because of which what is wanted cannot be had.
    pub(crate) fn is_refused(&self) -> Option<&str> {
        match &self.live {
            Live::Other { repository, .. } => repository.as_deref(),
            Live::None | Live::AsWanted(_) => None,
        }
    }

    /// What is to be done, if the rest of the config is valid.
    pub(crate) fn step(&self) -> Option<Step> {
        let Wanted::Known(reading) = &self.wanted else {
            return None;
        };
        match &self.live {
            Live::None => Some(Step::Make(reading.clone())),
            Live::AsWanted(note) if note.as_ref() == Some(&reading.note) => None,
            Live::AsWanted(_)
            | Live::Other {
                repository: None, ..
            } => Some(Step::Set(reading.clone())),
            Live::Other { .. } => self.doubt(),
        }
    }

    /// The note goes that would make the next hook believe that all is well.
    pub(crate) fn doubt(&self) -> Option<Step> {
        match &self.live {
            Live::Other {
                note: Some(_),
                repository: Some(_),
            } => Some(Step::Forget),
            _ => None,
        }
    }
}

/// The password in what was read; a line end at its end comes from the file that it was read from.
pub(crate) fn value(reading: &Reading) -> Option<&str> {
    let text = reading.content.get(FIELD)?.expose_secret();
    Some(text.trim_end_matches(['\r', '\n'])).filter(|text| !text.is_empty())
}

/// What was read earlier and went into the Secret.
pub(crate) fn kept(secret: &Secret) -> Option<Reading> {
    let note = serde_json::from_str(secret.annotations().get(NOTES)?).ok()?;
    let password = String::from_utf8(repository_password(secret)?.to_vec()).ok()?;
    let content = BTreeMap::from([(FIELD.to_owned(), SecretString::from(password))]);
    Some(Reading { note, content })
}

/// The repository was opened with the password that is in force, or is about to be.
pub(crate) fn is_opened(repository: &DynamicObject) -> bool {
    let status = &repository.data["status"];
    status["lastMaintenanceTime"].is_string() || status["phase"] != "NotReady"
}

/// The Secret to create.
pub(crate) fn secret(reading: &Reading, namespace: &str) -> Secret {
    let (label, skip) = SKIP_JUJU_WEBHOOK;
    let password = value(reading).unwrap_or_default().as_bytes().to_vec();
    Secret {
        metadata: ObjectMeta {
            name: Some(REPOSITORY_PASSWORD.into()),
            namespace: Some(namespace.into()),
            labels: Some(BTreeMap::from([(label.into(), skip.into())])),
            annotations: Some(BTreeMap::from([(
                NOTES.into(),
                json!(reading.note).to_string(),
            )])),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(
            REPOSITORY_PASSWORD_KEY.into(),
            ByteString(password),
        )])),
        type_: Some("Opaque".into()),
        ..Secret::default()
    }
}

/// What changes of the Secret that is there: others have made it, so it is not applied.
pub(crate) fn change(reading: &Reading) -> Value {
    let password = value(reading).unwrap_or_default();
    json!({
        "metadata": {"annotations": {NOTES: json!(reading.note).to_string()}},
        "stringData": {REPOSITORY_PASSWORD_KEY: password},
    })
}

/// Takes the note off.
pub(crate) fn without_note() -> Value {
    json!({"metadata": {"annotations": {NOTES: null}}})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(password: &str) -> Reading {
        let note = Note {
            address: "secret:x".into(),
            unit: "velero/0".into(),
            at: "2026-01-01T00:00:00Z".parse().unwrap(),
        };
        let content = BTreeMap::from([(FIELD.to_owned(), password.into())]);
        Reading { note, content }
    }

    fn password(live: Live) -> Password {
        let wanted = Wanted::Known(reading("one"));
        Password { wanted, live }
    }

    #[test]
    fn password_in_use_is_never_replaced() {
        let (note, repository) = (Some(reading("").note), Some("shop".to_owned()));
        let refused = password(Live::Other { note, repository });
        assert!(matches!(refused.step(), Some(Step::Forget)));
        assert_eq!(refused.is_refused(), Some("shop"));

        let repository = Some("shop".to_owned());
        let refused = password(Live::Other {
            note: None,
            repository,
        });
        assert!(refused.step().is_none());
    }

    #[test]
    fn password_is_set_as_long_as_nothing_was_opened() {
        let other = Live::Other {
            note: None,
            repository: None,
        };
        assert!(matches!(password(other).step(), Some(Step::Set(_))));
        assert!(matches!(password(Live::None).step(), Some(Step::Make(_))));
        let known = Live::AsWanted(Some(reading("").note));
        assert!(password(known).step().is_none());
        assert!(matches!(
            password(Live::AsWanted(None)).step(),
            Some(Step::Set(_))
        ));
    }

    #[test]
    fn secret_tells_what_was_read() {
        let secret = secret(&reading("one\r\n"), "m");
        let kept = kept(&secret).unwrap();
        assert_eq!(value(&kept), Some("one"));
        assert_eq!(kept.note, reading("").note);
        assert_eq!(value(&reading("\n")), None);
        assert!(!format!("{:?}", Step::Make(reading("one"))).contains("one"));
    }

    #[test]
    fn repository_counts_unless_it_was_never_opened() {
        let opened = |status: Value| {
            let object = json!({"metadata": {}, "status": status});
            is_opened(&serde_json::from_value(object).unwrap())
        };
        assert!(!opened(json!({"phase": "NotReady"})));
        let since = json!({"phase": "NotReady", "lastMaintenanceTime": "2026-01-01T00:00:00Z"});
        assert!(opened(since));
        assert!(opened(json!({"phase": "Ready"})));
        assert!(opened(Value::Null));
    }
}
