//! Since when integrators are waited for.

use provider_api::RelationData;

use crate::reconcile::validate::clients::Clients;

use super::*;
use crate::{
    reconcile::report::tests::TAPES,
    relations::{applications::Applications, storage::Relation},
};

const NOW: &str = "2026-01-01T10:00:00Z";

fn waits_of(storage: Intent, noted: Option<&str>) -> Vec<Wait> {
    let own = Relation::opened_with("tape:1", "tapes", RelationData::default());
    let relations = [StorageRelation {
        provider: &TAPES,
        own: own.waited_for(noted.unwrap_or_default()),
        optional: Vec::new(),
    }];
    let desired = Desired {
        core: Ok(core()),
        storage,
        clients: Clients::default(),
        applications: Applications::default(),
        waiting_since: None,
        complaints: Vec::new(),
    };
    let (live, owner) = (Live::default(), owner());
    let world = World {
        live: &live,
        governed: &[],
        readings: &Readings::new(),
        password: None,
        place: place(&owner),
        fresh_name: "fresh",
        relations: &relations,
        now: NOW.parse().unwrap(),
    };
    waits(&desired, world)
}

fn silent() -> Intent {
    Intent::Keep(Why::Waiting("a tape".into()))
}

#[test]
fn wait_is_noted_once_and_taken_back() {
    let note = |since: Option<&str>| {
        vec![Wait {
            relation: "tape:1".into(),
            since: since.map(|time| time.parse().unwrap()),
        }]
    };
    assert_eq!(waits_of(silent(), None), note(Some(NOW)));
    assert_eq!(waits_of(silent(), Some("2026-01-01T00:00:00Z")), []);
    let stored = || set(storage(None, "file"));
    assert_eq!(waits_of(stored(), Some(NOW)), note(None));
    assert_eq!(waits_of(stored(), None), []);
    let unreadable = Problem::unreadable("reel", "it is gone", "wait");
    let unreadable = Intent::Keep(Why::Invalid(unreadable.into()));
    assert_eq!(waits_of(unreadable, None), note(Some(NOW)));
    assert_eq!(
        waits_of(kept(), Some(NOW)),
        note(None),
        "it has sent something"
    );
}
