use kube::api::DynamicObject;
use provider_api::{
    ConfigOption, Credential, Descriptor, Endpoint, Fact, Facts, Gap, Identity, Location, Part,
    RelationData, SnapshotLocation, StorageProvider, Value as Field,
};
use provider_testkit::TAPE as PLAIN;
use serde_json::json;

use super::{
    options::{ANNOTATIONS, POD_LABELS},
    *,
};
use crate::relations::storage::Relation;
use crate::{
    context::Role,
    reconcile::observe::{Live, Surroundings, history::Backups, observers::Observers},
    relations::storage::StorageRelation,
    velero::{self, running::Running},
};

mod options;

static TAPE: Descriptor = Descriptor {
    optional_endpoints: &[ROBOT],
    options: &[TENSION],
    identity: Some(Identity {
        annotation: "tape.example/reader",
        shape: "a reader",
        is_sound: |text| text.starts_with("reader-"),
        label: Some(("tape.example/use", "true")),
    }),
    ..PLAIN
};
const ROBOT: Endpoint = Endpoint {
    name: "tape-robot",
    facts: &[Fact::ProviderIds],
    ..PLAIN.endpoint
};

const TENSION: ConfigOption = ConfigOption {
    name: "tape-tension",
    default: "low",
    check: |text| match text {
        "low" | "high" => Ok(()),
        _ => Err(Problem::invalid("tape-tension", "is none", "set it to `low`").into()),
    },
};

#[derive(Debug)]
struct Tape;

impl StorageProvider for Tape {
    fn descriptor(&self) -> &'static Descriptor {
        &TAPE
    }

    fn resolve(&self, inputs: &Inputs) -> Result<Answer, Problems> {
        if let Some(robot) = inputs.optional.get("tape-robot") {
            let arm = robot.plain("arm").unwrap_or_default();
            let nodes = &inputs.facts.provider_ids;
            return Ok(Answer::Waiting(format!("{arm} at {nodes:?}")));
        }
        match inputs.own.plain("reel") {
            Some("tense") => {
                let tension = inputs.option(&TENSION);
                Ok(Answer::Waiting(format!("{tension} tension")))
            }
            Some("known") => Ok(Answer::Waiting(format!("{:?}", inputs.identity))),
            Some("copied") => Ok(Answer::Ready(Box::new(copied()))),
            Some("scratched") => Ok(Answer::Ready(Box::new(scratched()))),
            Some(_) => Err(Problem::invalid("reel", "is torn", "replace it").into()),
            None => Ok(Answer::Waiting("a tape".into())),
        }
    }
}

fn data(fields: &[(&str, &str)]) -> RelationData {
    let fields = fields
        .iter()
        .map(|(key, value)| (*key, Field::from(*value)));
    fields.collect()
}

/// Everything but the reel is what the integrator says; nobody can read the rest.
fn scratched() -> Storage {
    let gap = |field: &str, parts| Gap {
        problem: Problem::invalid(field, "is scratched", "polish it"),
        parts,
    };
    Storage {
        credential: Credential::Keys("file".into()),
        location: Location {
            bucket: "new".into(),
            prefix: None,
            ca_certificates: None,
            config: [("speed", "new"), ("side", "new")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        },
        snapshots: None,
        remarks: vec![],
        gaps: vec![
            gap("folder", &[Part::Prefix, Part::CaCertificates]),
            gap("side", &[Part::Config("side"), Part::Config("length")]),
            gap("colour", &[Part::Config("speed"), Part::Snapshots]),
        ],
    }
}

/// A store whose cloud can snapshot volumes.
fn copied() -> Storage {
    let config = [("side".to_owned(), "new".to_owned())];
    Storage {
        snapshots: Some(SnapshotLocation {
            config: config.into(),
        }),
        gaps: vec![],
        ..scratched()
    }
}

fn one_end(id: &str, fields: &[(&str, &str)]) -> Relation {
    Relation::opened_with(id, &format!("app-of-{id}"), data(fields))
}

fn relation(id: &str, fields: &[(&str, &str)]) -> StorageRelation {
    StorageRelation {
        provider: &Tape,
        own: one_end(id, fields),
        optional: Vec::new(),
    }
}

fn owner() -> Owner {
    Owner {
        application: "velero".into(),
        model_uuid: "m".into(),
    }
}

fn check(config: &Value, relations: Vec<StorageRelation>) -> Desired {
    check_beside(config, relations, Live::default())
}

fn check_beside(config: &Value, relations: Vec<StorageRelation>, live: Live) -> Desired {
    let registry = Registry::new(vec![&Tape]).unwrap();
    let observed = Observed {
        surroundings: Surroundings::default(),
        password: None,
        role: Role::Leads,
        config: config.as_object().unwrap().clone(),
        relations,
        clients: Vec::new(),
        backups: Backups::default(),
        greetings: Vec::new(),
        facts: Facts {
            provider_ids: vec!["shelf".into()],
            ..Facts::default()
        },
        observers: Observers::default(),
        live,
    };
    validate(&observed, &registry, &owner())
}

/// A location or snapshot location of this owner and provider.
fn there(kind: &str, owner: &Owner, provider: &str) -> DynamicObject {
    let spec = json!({
        "provider": provider,
        "config": {"side": "old", "length": "old"},
        "objectStorage": {"bucket": "old", "prefix": "old", "caCert": "b2xk"},
    });
    let mut object = DynamicObject::new("default", &velero::kind(kind)).data(json!({"spec": spec}));
    object.metadata.labels = Some(owner.labels());
    object
}

fn beside(location: DynamicObject) -> Live {
    Live {
        snapshot_locations: vec![there("VolumeSnapshotLocation", &owner(), "tape")],
        running: Running {
            locations: [("default".to_owned(), location)].into(),
            ..Running::default()
        },
        ..Live::default()
    }
}

#[test]
fn unreadable_field_keeps_its_live_value() {
    let scratched = vec![relation("tape:1", &[("reel", "scratched")])];
    let live = beside(there("BackupStorageLocation", &owner(), "tape"));
    let Intent::Set { storage, .. } = check_beside(&json!({}), scratched, live).storage else {
        panic!("it is refused");
    };

    let Location {
        bucket,
        prefix,
        ca_certificates,
        config,
    } = storage.location;
    assert_eq!(bucket, "new");
    assert_eq!(
        (prefix.as_deref(), ca_certificates.as_deref()),
        (Some("old"), Some("old"))
    );
    let config: Vec<_> = config
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        config,
        [("length", "old"), ("side", "old")],
        "`speed` is not there"
    );
    assert_eq!(storage.snapshots.unwrap().config["side"], "old");
}

#[test]
fn unreadable_field_is_refused_without_a_live_value() {
    let stranger = Owner {
        application: "another".into(),
        ..owner()
    };
    for live in [
        Live::default(),
        beside(there("BackupStorageLocation", &stranger, "tape")),
        beside(there("BackupStorageLocation", &owner(), "disk")),
    ] {
        let scratched = vec![relation("tape:1", &[("reel", "scratched")])];
        let Intent::Keep(Why::Invalid(problems)) =
            check_beside(&json!({}), scratched, live).storage
        else {
            panic!("it is taken");
        };
        assert_eq!(problems.iter().count(), 3);
    }
}

#[test]
fn option_of_a_provider_is_checked_and_handed_over() {
    let tense = || vec![relation("tape:1", &[("reel", "tense")])];
    for (config, tension) in [
        (json!({}), "low tension"),
        (json!({"tape-tension": " high "}), "high tension"),
    ] {
        let desired = check(&config, tense());
        assert!(desired.core.is_ok());
        let Intent::Keep(Why::Waiting(what)) = desired.storage else {
            panic!("{:?}", desired.storage);
        };
        assert_eq!(what, tension);
    }
    let wrong = json!({"tape-tension": "slack"});
    let problems = check(&wrong, vec![]).core.unwrap_err();
    assert_eq!(problems.first().field, "tape-tension", "nobody is related");
    let refused = check(&wrong, tense());
    assert!(refused.core.is_err());
    assert!(matches!(refused.storage, Intent::Keep(Why::Options)));
}

#[test]
fn provider_is_told_who_the_pods_are() {
    let config = |annotations: &str, labels: &str| {
        let options = [(ANNOTATIONS, annotations), (POD_LABELS, labels)];
        let options = options.map(|(name, text)| (name.to_owned(), json!(text)));
        Value::Object(options.into_iter().collect())
    };
    let known = || vec![relation("tape:1", &[("reel", "known")])];
    let label = "tape.example/use=true";
    for (annotations, labels, told) in [
        ("", "", "None"),
        ("another.example/reader=reader-1", label, "None"),
        ("tape.example/reader=reader-1", label, "Some(\"reader-1\")"),
    ] {
        let desired = check(&config(annotations, labels), known());
        assert!(desired.core.is_ok(), "{annotations}");
        let Intent::Keep(Why::Waiting(what)) = desired.storage else {
            panic!("{:?}", desired.storage);
        };
        assert_eq!(what, told);
    }
    for (annotations, labels, wrong) in [
        ("tape.example/reader=me", label, vec![ANNOTATIONS]),
        ("tape.example/reader=me", "", vec![ANNOTATIONS, POD_LABELS]),
        (
            "tape.example/reader=reader-1",
            "tape.example/use=false",
            vec![POD_LABELS],
        ),
        ("reader-1", "", vec![ANNOTATIONS]),
    ] {
        let desired = check(&config(annotations, labels), known());
        let problems = desired.core.unwrap_err();
        let fields: Vec<_> = problems.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(fields, wrong, "{problems}");
        assert!(matches!(desired.storage, Intent::Keep(Why::Options)));
    }
}

#[test]
fn snapshots_are_left_out_where_the_user_wants_none() {
    let with = |config: &Value| {
        let related = vec![relation("tape:1", &[("reel", "copied")])];
        match check(config, related).storage {
            Intent::Set { storage, .. } => storage,
            other => panic!("{other:?}"),
        }
    };
    for wanted in [json!({}), json!({"volume-snapshots": true})] {
        assert!(with(&wanted).snapshots.is_some(), "{wanted}");
    }
    let without = with(&json!({"volume-snapshots": false}));
    assert_eq!(without.snapshots, None);
    assert_eq!(without.location, with(&json!({})).location);

    // Not even what stays of a field that cannot be read.
    let scratched = vec![relation("tape:1", &[("reel", "scratched")])];
    let live = beside(there("BackupStorageLocation", &owner(), "tape"));
    let intent = check_beside(&json!({"volume-snapshots": false}), scratched, live).storage;
    assert!(matches!(intent, Intent::Set { storage, .. } if storage.snapshots.is_none()));
}

#[test]
fn fact_is_asked_for_where_the_provider_needs_it() {
    static PICKY: Picky = Picky;

    #[derive(Debug)]
    struct Picky;

    impl StorageProvider for Picky {
        fn descriptor(&self) -> &'static Descriptor {
            const {
                &Descriptor {
                    endpoint: Endpoint {
                        facts: &[Fact::ProviderIds],
                        ..PLAIN.endpoint
                    },
                    ..PLAIN
                }
            }
        }

        fn needs(&self, _: Fact, own: &RelationData) -> bool {
            own.plain("reel") == Some("cloudy")
        }

        fn resolve(&self, _: &Inputs) -> Result<Answer, Problems> {
            Ok(Answer::Waiting("nothing".into()))
        }
    }

    for (reel, facts) in [("cloudy", &[Fact::ProviderIds][..]), ("seven", &[])] {
        let relation = StorageRelation {
            provider: &PICKY,
            ..relation("tape:1", &[("reel", reel)])
        };
        assert_eq!(relation.facts(), facts, "{reel}");
    }
}

#[test]
fn defaults_are_a_plain_velero() {
    let desired = check(&json!({}), vec![]);

    let core = desired.core.unwrap();
    assert_eq!(core.velero_image, DEFAULT_IMAGE);
    assert_eq!(core.node_agent, NodeAgent::Off);
    assert!(matches!(desired.storage, Intent::None));
}

#[test]
fn bad_options_are_all_named_at_once() {
    let config = json!({
        "velero-image": "",
        "velero-tape-plugin-image": "no image",
        "default-volumes-to-fs-backup": true,
    });

    let problems = check(&config, vec![]).core.unwrap_err();

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
    let desired = check(&json!({}), vec![relation("tape:1", &[("reel", "x")])]);

    assert!(desired.core.is_ok());
    let Intent::Keep(Why::Invalid(problems)) = desired.storage else {
        panic!("{:?}", desired.storage);
    };
    assert_eq!(desired.applications.list(), "`app-of-tape:1`");
    assert!(problems.to_string().contains("is torn"));
}

#[test]
fn an_unanswered_relation_leaves_storage_as_it_is() {
    let desired = check(&json!({}), vec![relation("tape:1", &[])]);
    assert!(matches!(desired.storage, Intent::Keep(Why::Waiting(what)) if what == "a tape"));
}

#[test]
fn optional_relation_and_its_facts_reach_the_provider() {
    let mut relation = relation("tape:1", &[]);
    assert_eq!(relation.facts(), [], "nobody asks yet");

    relation
        .optional
        .push((&ROBOT, one_end("robot:2", &[("arm", "left")])));
    assert_eq!(relation.facts(), [Fact::ProviderIds]);
    let desired = check(&json!({}), vec![relation]);
    let Intent::Keep(Why::Waiting(what)) = desired.storage else {
        panic!("{:?}", desired.storage);
    };
    assert_eq!(what, r#"left at ["shelf"]"#);
}

#[test]
fn own_endpoint_is_given_the_facts_that_it_asks_for() {
    static ASKS: Curious = Curious(&Descriptor {
        endpoint: Endpoint {
            facts: &[Fact::ProviderIds],
            ..PLAIN.endpoint
        },
        ..PLAIN
    });
    static ASKS_NOTHING: Curious = Curious(&PLAIN);

    #[derive(Debug)]
    struct Curious(&'static Descriptor);

    impl StorageProvider for Curious {
        fn descriptor(&self) -> &'static Descriptor {
            self.0
        }

        fn resolve(&self, inputs: &Inputs) -> Result<Answer, Problems> {
            let nodes = &inputs.facts.provider_ids;
            Ok(Answer::Waiting(format!("{nodes:?}")))
        }
    }

    for (provider, asked, given) in [
        (&ASKS, &[Fact::ProviderIds][..], r#"["shelf"]"#),
        (&ASKS_NOTHING, &[], "[]"),
    ] {
        let relation = StorageRelation {
            provider,
            ..relation("tape:1", &[])
        };
        assert_eq!(relation.facts(), asked);
        let desired = check(&json!({}), vec![relation]);
        assert!(
            matches!(&desired.storage, Intent::Keep(Why::Waiting(what)) if what == given),
            "{:?}",
            desired.storage
        );
    }
}

#[test]
fn several_relations_are_none_taken() {
    let desired = check(
        &json!({}),
        vec![relation("tape:1", &[]), relation("tape:2", &[])],
    );
    assert!(
        matches!(desired.storage, Intent::Keep(Why::Several(apps)) if apps == ["app-of-tape:1", "app-of-tape:2"])
    );
}
