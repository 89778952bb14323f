//! The storage relations: what integrators sent, and the word that makes them send it.
//!
//! **Invariant:** one algorithm for all providers, driven by their descriptors. Secrets are fetched
//! here and nowhere else. A relation that is over is not there, whatever Juju still lists.

use std::collections::BTreeMap;

use provider_api::{
    Dialect, Endpoint, Fact, FurtherEndpoint, Handshake, Registry, RelationData, StorageProvider,
    Value,
};

use tracing::warn;

use super::{JujuError, Leadership, Tools, Unit};

/// Where integrators put the address of the Juju secret.
const SECRET_ADDRESS: &str = "secret-extra";
const REQUESTED_SECRETS: &str = "requested-secrets";
/// The version that we speak. Integrators of an interim release know it by another name.
const VERSION: [(&str, &str); 2] = [("version", "1"), ("lib-version", "1.0")];

/// A relation that can select a provider, with those that add to it.
#[derive(Debug)]
pub(crate) struct StorageRelation {
    pub(crate) provider: &'static dyn StorageProvider,
    pub(crate) own: Relation,
    pub(crate) further: Vec<(&'static FurtherEndpoint, Relation)>,
}

/// One relation, as an integrator left it.
#[derive(Debug)]
pub(crate) struct Relation {
    pub(crate) id: String,
    /// The integrator's application name, if it is there yet.
    pub(crate) remote_app: Option<String>,
    pub(crate) data: RelationData,
    /// What we have yet to write for the integrator to answer.
    pub(crate) handshake: BTreeMap<&'static str, String>,
}

/// Who reads, and whether it may write.
#[derive(Clone, Copy, Debug)]
struct Reader<'a> {
    tools: &'a Tools,
    unit: &'a Unit,
    leadership: Leadership,
}

impl StorageRelation {
    /// It and those that add to it.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Relation> {
        let further = self.further.iter().map(|(_, relation)| relation);
        std::iter::once(&self.own).chain(further)
    }

    /// What has to be known of the cluster to make use of it.
    pub(crate) fn facts(&self) -> impl Iterator<Item = Fact> {
        self.further
            .iter()
            .flat_map(|(endpoint, _)| endpoint.facts)
            .copied()
    }
}

/// Reads every storage relation there is. Changes nothing.
pub(crate) async fn read(
    tools: &Tools,
    registry: &Registry,
    unit: &Unit,
    leadership: Leadership,
) -> Result<Vec<StorageRelation>, JujuError> {
    let reader = Reader {
        tools,
        unit,
        leadership,
    };
    let mut relations = Vec::new();
    for provider in registry.iter() {
        let descriptor = provider.descriptor();
        for own in reader.read(&descriptor.endpoint).await? {
            let mut further = Vec::new();
            for endpoint in descriptor.further_endpoints {
                let found = reader.read(&endpoint.endpoint).await?;
                further.extend(found.into_iter().map(|relation| (endpoint, relation)));
            }
            relations.push(StorageRelation {
                provider,
                own,
                further,
            });
        }
    }
    Ok(relations)
}

impl Reader<'_> {
    async fn read(&self, endpoint: &Endpoint) -> Result<Vec<Relation>, JujuError> {
        let mut relations = Vec::new();
        for id in self.tools.relation_ids(endpoint.name).await? {
            if self.unit.broken_relation.as_ref() == Some(&id) {
                continue;
            }
            match self.read_one(id, endpoint.handshake).await {
                Ok(relation) => relations.push(relation),
                // Removed by force: the controller has forgotten what the unit's agent still lists.
                Err(error) if error.is_relation_gone() => warn!("{error}; it counts as removed."),
                Err(error) => return Err(error),
            }
        }
        Ok(relations)
    }

    async fn read_one(&self, id: String, handshake: Handshake) -> Result<Relation, JujuError> {
        let Self {
            tools,
            unit,
            leadership,
        } = *self;
        let remote_app = tools.remote_app(&id).await?.filter(|app| !app.is_empty());
        let bag = match &remote_app {
            Some(app) => tools.data_bag(&id, app).await?,
            None => BTreeMap::new(),
        };
        let missing = match leadership {
            Leadership::Leader => {
                let ours = tools.data_bag(&id, &unit.application).await?;
                missing_words(handshake, &id, &bag, &ours)
            }
            // Others may not write it, and with some versions of Juju not even read it.
            Leadership::Follower => BTreeMap::new(),
        };
        let data = open(tools, handshake, bag).await?;
        Ok(Relation {
            id,
            remote_app,
            data,
            handshake: missing,
        })
    }
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
    if let Dialect::ObjectStorage { legacy_trigger } = handshake.dialect {
        words.extend(VERSION.map(|(key, value)| (key, value.to_owned())));
        // An integrator of the older dialect answers only a request for a certain bucket, and knows
        // that this name stands for none. One of the newer dialect would create that bucket.
        let speaks_ours = VERSION.iter().any(|(key, _)| theirs.contains_key(*key));
        let number = relation.rsplit(':').next().unwrap_or(relation);
        let placeholder = format!("relation-{number}");
        if !theirs.is_empty() && !speaks_ours {
            words.insert(legacy_trigger, placeholder);
        } else if ours.get(legacy_trigger) == Some(&placeholder) {
            words.insert(legacy_trigger, String::new());
        }
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
        dialect: Dialect::ObjectStorage {
            legacy_trigger: "reel",
        },
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
    fn no_version_is_said_to_those_that_know_none() {
        let handshake = Handshake {
            dialect: Dialect::SecretsOnly,
            ..HANDSHAKE
        };
        let theirs = bag(&[("data", "{}")]);
        let words = missing_words(handshake, "tape:7", &theirs, &bag(&[]));
        assert_eq!(words.into_keys().collect::<Vec<_>>(), [REQUESTED_SECRETS]);
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
