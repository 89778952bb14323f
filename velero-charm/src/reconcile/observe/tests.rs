//! What becomes of what was read.

use provider_api::RelationData;
use provider_testkit::TAPE;

use super::*;
use crate::{
    juju::{News, Secrets, Unit},
    ours::credential::{Note, Reading},
};

#[derive(Debug)]
struct Tape;

impl provider_api::StorageProvider for Tape {
    fn descriptor(&self) -> &'static provider_api::Descriptor {
        const { &TAPE }
    }

    fn resolve(
        &self,
        _: &provider_api::Inputs,
    ) -> Result<provider_api::Answer, provider_api::Problems> {
        Ok(provider_api::Answer::Waiting("a tape".into()))
    }
}

fn relation(id: &str, address: Option<&str>) -> Relation {
    let mut relation = Relation::opened_with(id, "integrator", RelationData::default());
    relation.reading = address.map(|address| Reading {
        note: Note {
            address: address.into(),
            unit: "velero/0".into(),
            at: "2026-01-01T00:00:00Z".parse().unwrap(),
        },
        content: BTreeMap::new(),
    });
    relation
}

#[test]
fn reading_of_every_relation_is_kept() {
    let storage = StorageRelation {
        provider: &Tape,
        own: relation("tape:1", Some("secret:one")),
        optional: vec![(&TAPE.endpoint, relation("robot:2", Some("secret:two")))],
    };
    let unread = StorageRelation {
        provider: &Tape,
        own: relation("tape:3", None),
        optional: Vec::new(),
    };
    let observed = Observed {
        role: Role::Leads,
        config: Map::new(),
        relations: vec![storage, unread],
        clients: Vec::new(),
        backups: Backups::default(),
        greetings: Vec::new(),
        facts: Facts::default(),
        surroundings: Surroundings::default(),
        password: None,
        observers: Observers::default(),
        live: Live::default(),
    };
    let readings = observed.readings().into_iter();
    let addresses: Vec<_> = readings
        .map(|(id, reading)| (id, reading.note.address))
        .collect();
    let expected = [("robot:2", "secret:two"), ("tape:1", "secret:one")];
    assert_eq!(
        addresses,
        expected.map(|(id, address)| (id.to_owned(), address.to_owned()))
    );
}

#[test]
fn unit_that_may_not_keep_a_secret_asks_for_none() {
    let unit = Unit {
        name: "velero/0".into(),
        application: "velero".into(),
        model: "prod".into(),
        model_uuid: "m".into(),
        charm_dir: "/charm".into(),
        endpoint: None,
        broken_relation: None,
    };
    let ctx = Context::new(unit, News::OfSecrets, Secrets::default()).unwrap();
    let asks = |role| {
        matches!(
            means(role, &ctx),
            Means::Asks {
                unit: "velero/0",
                ..
            }
        )
    };
    assert!(asks(Role::Leads));
    assert!(!asks(Role::Follows) && !asks(Role::Leaves));
}

#[test]
fn credentials_show_nothing_but_their_names() {
    let secret: Secret = serde_json::from_value(serde_json::json!({
        "metadata": {"name": "velero-storage-1"}, "data": {"cloud": "Y2FuYXJ5"},
    }))
    .unwrap();
    let credentials = Credentials::from(vec![secret]);
    assert_eq!(format!("{credentials:?}"), r#"["velero-storage-1"]"#);
    assert_eq!(credentials.len(), 1);
}
