use provider_api::{
    Descriptor, Endpoint, Fact, FurtherEndpoint, RelationData, StorageProvider, Value as Field,
    doctest_descriptor,
};
use serde_json::json;

use super::*;

static TAPE: Descriptor = Descriptor {
    further_endpoints: &[ROBOT],
    ..doctest_descriptor()
};
const ROBOT: FurtherEndpoint = FurtherEndpoint {
    endpoint: Endpoint {
        name: "tape-robot",
        ..doctest_descriptor().endpoint
    },
    facts: &[Fact::ProviderIds],
};

#[derive(Debug)]
struct Tape;

impl StorageProvider for Tape {
    fn descriptor(&self) -> &'static Descriptor {
        &TAPE
    }

    fn validate(&self, inputs: &Inputs) -> Result<Verdict, Problems> {
        if let Some(robot) = inputs.further.get("tape-robot") {
            let arm = robot.plain("arm").unwrap_or_default();
            let nodes = &inputs.facts.provider_ids;
            return Ok(Verdict::Waiting(format!("{arm} at {nodes:?}")));
        }
        match inputs.storage.plain("reel") {
            Some(_) => Err(Problem::invalid("reel", "is torn", "replace it").into()),
            None => Ok(Verdict::Waiting("a tape".into())),
        }
    }
}

fn data(fields: &[(&str, &str)]) -> RelationData {
    let fields = fields
        .iter()
        .map(|(key, value)| (*key, Field::from(*value)));
    fields.collect()
}

fn one_end(id: &str, fields: &[(&str, &str)]) -> Relation {
    Relation {
        id: id.into(),
        remote_app: Some(format!("app-of-{id}")),
        data: data(fields),
        handshake: std::collections::BTreeMap::new(),
    }
}

fn relation(id: &str, fields: &[(&str, &str)]) -> StorageRelation {
    StorageRelation {
        provider: &Tape,
        own: one_end(id, fields),
        further: Vec::new(),
    }
}

fn check(config: &Value, relations: &[StorageRelation]) -> Desired {
    let registry = Registry::new(vec![&Tape]).unwrap();
    let facts = Facts {
        provider_ids: vec!["shelf".into()],
    };
    validate(config.as_object().unwrap(), relations, &facts, &registry)
}

#[test]
fn defaults_are_a_plain_velero() {
    let desired = check(&json!({}), &[]);

    let core = desired.core.unwrap();
    assert_eq!(core.velero_image, DEFAULT_IMAGE);
    assert_eq!(core.node_agent, NodeAgent::Off);
    assert!(matches!(desired.storage, Intent::None));
}

#[test]
fn every_bad_option_is_named_at_once() {
    let config = json!({
        "velero-image": "",
        "velero-tape-plugin-image": "no image",
        "default-volumes-to-fs-backup": true,
    });

    let problems = check(&config, &[]).core.unwrap_err();

    let fields: Vec<_> = problems
        .iter()
        .map(|problem| problem.field.as_str())
        .collect();
    assert_eq!(
        fields,
        [VELERO_IMAGE, "velero-tape-plugin-image", FS_BACKUP]
    );
}

#[test]
fn bad_relation_data_leaves_core_alone_and_storage_as_it_is() {
    let desired = check(&json!({}), &[relation("tape:1", &[("reel", "x")])]);

    assert!(desired.core.is_ok());
    let Intent::Keep(Why::Invalid {
        integrators,
        problems,
    }) = desired.storage
    else {
        panic!("{:?}", desired.storage);
    };
    assert_eq!(integrators, ["app-of-tape:1"]);
    assert!(problems.to_string().contains("is torn"));
}

#[test]
fn an_unanswered_relation_leaves_storage_as_it_is() {
    let desired = check(&json!({}), &[relation("tape:1", &[])]);
    assert!(matches!(desired.storage, Intent::Keep(Why::Waiting(what)) if what == "a tape"));
}

#[test]
fn what_adds_to_a_relation_is_handed_on_with_the_facts_it_asks_for() {
    let mut relation = relation("tape:1", &[]);
    assert_eq!(relation.facts().count(), 0, "nobody asks yet");

    relation
        .further
        .push((&ROBOT, one_end("robot:2", &[("arm", "left")])));
    assert_eq!(relation.facts().collect::<Vec<_>>(), [Fact::ProviderIds]);
    let desired = check(&json!({}), &[relation]);
    let Intent::Keep(Why::Waiting(what)) = desired.storage else {
        panic!("{:?}", desired.storage);
    };
    assert_eq!(what, r#"left at ["shelf"]"#);
}

#[test]
fn of_several_relations_none_is_taken() {
    let desired = check(
        &json!({}),
        &[relation("tape:1", &[]), relation("tape:2", &[])],
    );
    assert!(
        matches!(desired.storage, Intent::Keep(Why::Several(apps)) if apps == ["app-of-tape:1", "app-of-tape:2"])
    );
}
