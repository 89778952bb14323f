//! The storage relations: what integrators sent, and the word that makes them send it.
//!
//! **Invariant:** one algorithm for all providers, driven by their descriptors. Secrets are fetched
//! here and nowhere else.

use std::collections::BTreeMap;

use provider_api::{Handshake, Registry, RelationData, StorageProvider, Value};

use super::{JujuError, Leadership, Tools};

/// Where integrators put the address of the Juju secret.
const SECRET_ADDRESS: &str = "secret-extra";
const REQUESTED_SECRETS: &str = "requested-secrets";
/// The dialect that we speak. Integrators of an interim release know it by another name.
const DIALECT: [(&str, &str); 2] = [("version", "1"), ("lib-version", "1.0")];

/// A relation that can select a provider.
#[derive(Debug)]
pub(crate) struct StorageRelation {
    pub(crate) id: String,
    pub(crate) provider: &'static dyn StorageProvider,
    /// The integrator's application name, if it is there yet.
    pub(crate) remote_app: Option<String>,
    pub(crate) data: RelationData,
    /// What we have yet to write for the integrator to answer.
    pub(crate) handshake: BTreeMap<&'static str, String>,
}

/// Reads every storage relation there is. Changes nothing.
pub(crate) async fn read(
    tools: &Tools,
    registry: &Registry,
    own_app: &str,
    leadership: Leadership,
) -> Result<Vec<StorageRelation>, JujuError> {
    let mut relations = Vec::new();
    for provider in registry.iter() {
        for id in tools
            .relation_ids(provider.descriptor().endpoint.name)
            .await?
        {
            relations.push(read_one(tools, provider, id, own_app, leadership).await?);
        }
    }
    Ok(relations)
}

async fn read_one(
    tools: &Tools,
    provider: &'static dyn StorageProvider,
    id: String,
    own_app: &str,
    leadership: Leadership,
) -> Result<StorageRelation, JujuError> {
    let handshake = provider.descriptor().handshake;
    let remote_app = tools.remote_app(&id).await?.filter(|app| !app.is_empty());
    let bag = match &remote_app {
        Some(app) => tools.data_bag(&id, app).await?,
        None => BTreeMap::new(),
    };
    let missing = match leadership {
        Leadership::Leader => {
            missing_words(handshake, &id, &bag, &tools.data_bag(&id, own_app).await?)
        }
        // Others may not write it, and with some versions of Juju not even read it.
        Leadership::Follower => BTreeMap::new(),
    };
    let data = open(tools, handshake, bag).await?;
    Ok(StorageRelation {
        id,
        provider,
        remote_app,
        data,
        handshake: missing,
    })
}

/// What our data bag lacks for the integrator to answer, and go on answering when it is refreshed. An
/// empty word takes back what was said.
fn missing_words(
    handshake: Handshake,
    relation: &str,
    theirs: &BTreeMap<String, String>,
    ours: &BTreeMap<String, String>,
) -> BTreeMap<&'static str, String> {
    let fields = handshake.requested_secrets.join("\", \"");
    let mut words = BTreeMap::from([(REQUESTED_SECRETS, format!("[\"{fields}\"]"))]);
    words.extend(DIALECT.map(|(key, value)| (key, value.to_owned())));
    // An integrator of the older dialect answers only a request for a certain bucket, and knows
    // that this name stands for none. One of the newer dialect would create that bucket.
    let speaks_ours = DIALECT.iter().any(|(key, _)| theirs.contains_key(*key));
    let number = relation.rsplit(':').next().unwrap_or(relation);
    let placeholder = format!("relation-{number}");
    if !theirs.is_empty() && !speaks_ours {
        words.insert(handshake.legacy_trigger, placeholder);
    } else if ours.get(handshake.legacy_trigger) == Some(&placeholder) {
        words.insert(handshake.legacy_trigger, String::new());
    }
    words.retain(|key, value| ours.get(*key) != Some(value));
    words
}

/// The data bag with the secret's content in it.
async fn open(
    tools: &Tools,
    handshake: Handshake,
    mut bag: BTreeMap<String, String>,
) -> Result<RelationData, JujuError> {
    let address = bag.remove(SECRET_ADDRESS);
    let plain = bag.into_iter().map(|(field, text)| {
        let value = if handshake.requested_secrets.contains(&field.as_str()) {
            Value::Secret(text.into())
        } else {
            Value::Plain(text)
        };
        (field, value)
    });
    let mut fields: BTreeMap<String, Value> = plain.collect();
    let Some(address) = address else {
        return Ok(fields.into_iter().collect());
    };
    match tools.secret(&address).await {
        Ok(content) => {
            fields.extend(
                content
                    .into_iter()
                    .map(|(field, value)| (field, Value::Secret(value))),
            );
        }
        Err(error) if error.is_denied() || error.is_not_found() => {
            let reason = if error.is_denied() {
                "not granted to us"
            } else {
                "it is gone"
            };
            for field in handshake.requested_secrets {
                fields.insert((*field).into(), Value::Unreadable(reason.into()));
            }
        }
        Err(error) => return Err(error),
    }
    Ok(fields.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HANDSHAKE: Handshake = Handshake {
        requested_secrets: &["key-a", "key-b"],
        legacy_trigger: "reel",
    };

    fn bag(fields: &[(&str, &str)]) -> BTreeMap<String, String> {
        fields
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect()
    }

    fn missing(theirs: &[(&str, &str)], ours: &[(&str, &str)]) -> Vec<(&'static str, String)> {
        missing_words(HANDSHAKE, "tape:7", &bag(theirs), &bag(ours))
            .into_iter()
            .collect()
    }

    #[test]
    fn the_first_word_names_the_secrets_and_the_dialect() {
        let words = missing(&[], &[]);

        let expected = [
            ("lib-version", "1.0"),
            ("requested-secrets", r#"["key-a", "key-b"]"#),
            ("version", "1"),
        ];
        assert_eq!(words, expected.map(|(key, value)| (key, value.to_owned())));
    }

    #[test]
    fn what_was_said_is_not_said_again() {
        let said = [
            ("lib-version", "1.0"),
            ("requested-secrets", r#"["key-a", "key-b"]"#),
            ("version", "1"),
        ];
        assert_eq!(missing(&[], &said), []);
        assert_eq!(missing(&[("version", "1")], &said), []);
    }

    #[test]
    fn only_an_integrator_of_the_older_dialect_gets_a_placeholder() {
        let placeholder = ("reel", "relation-7".to_owned());

        assert!(missing(&[("data", "{}")], &[]).contains(&placeholder));
        for spoken in ["version", "lib-version"] {
            assert!(!missing(&[(spoken, "1")], &[]).contains(&placeholder));
        }
    }

    #[test]
    fn the_placeholder_is_taken_back_when_the_integrator_has_learnt_our_dialect() {
        let said = [("reel", "relation-7")];
        let taken_back = ("reel", String::new());

        assert!(missing(&[("version", "1")], &said).contains(&taken_back));
        assert!(!missing(&[("data", "{}")], &said).contains(&taken_back));
        let wanted = [("reel", "a-real-one")];
        assert!(!missing(&[("version", "1")], &wanted).contains(&taken_back));
    }
}
