//! A provider whose secret is a document, and one for each way of being careless with it.

use serde_json::{Value as Json, json};

use super::*;

const KEY: &str =
    "-----BEGIN KEY-----\nVGhlIGZpcnN0IGxpbmU=\nVGhlIHNlY29uZCBsaW5l\n-----END KEY-----\n";

const CARD: Descriptor = Descriptor {
    name: "card",
    endpoint: Endpoint {
        name: "card-credentials",
        interface: "card",
        handshake: Handshake {
            requested_secrets: &["card"],
            version: Version::Said,
            placeholder: None,
        },
        facts: &[Fact::ProviderIds],
    },
    plugin: ImageOption {
        option: "velero-card-plugin-image",
        default: "card/plugin:v1",
    },
    ..PLAIN
};

const DECLARED: &str = "
requires:
  card-credentials: {interface: card, limit: 1, optional: true}
config:
  options:
    velero-card-plugin-image: {type: string, default: 'card/plugin:v1'}
";

/// What the card says.
fn card() -> Json {
    json!({"kind": "punch", "owner": "archive@example.com", "label": "harmless", "key": KEY})
}

fn example() -> Example {
    let card = Value::Secret(card().to_string().into());
    Example {
        name: "a card",
        relations: vec![(
            "card-credentials",
            vec![("drawer", "seven".into()), ("card", card)],
        )],
        required: &["drawer", "card"],
        secret_parts: vec![("card", KEY.into())],
        facts: Facts {
            provider_ids: vec!["shelf-2".into(), "shelf-1".into()],
            ..Facts::default()
        },
        ..Example::default()
    }
}

fn key(card: &SecretString) -> Option<String> {
    let card: Json = serde_json::from_str(card.expose_secret()).ok()?;
    let key = card["key"].as_str().filter(|key| !key.is_empty());
    key.filter(|_| card["kind"] == "punch").map(str::to_owned)
}

fn no_card(reason: impl Into<String>) -> Problem {
    Problem::invalid("card", reason, "set it again")
}

fn is_early(inputs: &Inputs) -> bool {
    inputs.own.lacks_all(&["card"])
}

fn waiting() -> Answer {
    Answer::Waiting("a drawer and a card".into())
}

/// As it should be, but for what is changed at the end, which is given the key.
fn changed(inputs: &Inputs, change: impl FnOnce(&mut Storage, &str)) -> Result<Answer, Problems> {
    if is_early(inputs) {
        return Ok(waiting());
    }
    let data = &inputs.own;
    let card = data.required_secret("card", "set it");
    let card = card.and_then(|card| match key(&card) {
        Some(key) => Ok((card, key)),
        None => Err(no_card("is no card with a key")),
    });
    let (drawer, (card, key)) = provider_api::all!(data.required("drawer", "open one"), card)?;
    let shelf = inputs.facts.provider_ids.iter().min();
    let mut storage = Storage {
        credential: Credential::Keys(card),
        location: Location {
            bucket: drawer.to_owned(),
            prefix: None,
            ca_certificates: None,
            config: BTreeMap::new(),
        },
        snapshots: shelf.map(|shelf| SnapshotLocation {
            config: BTreeMap::from([("shelf".to_owned(), shelf.clone())]),
        }),
        remarks: Vec::new(),
        gaps: Vec::new(),
    };
    change(&mut storage, &key);
    Ok(Answer::Ready(Box::new(storage)))
}

fn good(inputs: &Inputs) -> Result<Answer, Problems> {
    changed(inputs, |_, _| ())
}

/// What is secret in a card.
fn only_the_key(text: &str) -> Vec<String> {
    key(&text.into()).into_iter().collect()
}

fn kit(descriptor: Descriptor, resolve: Resolve, example: Example) -> Vec<(Rule, String)> {
    kit_of(descriptor, resolve, only_the_key, example)
}

fn kit_of(
    descriptor: Descriptor,
    resolve: Resolve,
    inside: Inside,
    example: Example,
) -> Vec<(Rule, String)> {
    let provider = Box::leak(Box::new(Tape {
        descriptor: Box::leak(Box::new(descriptor)),
        resolve,
        inside,
    }));
    found(check(&Subject {
        provider,
        charmcraft: DECLARED,
        examples: vec![example],
        credential_values: |file| vec![file.to_owned()],
    }))
}

/// The one rule that such a provider breaks.
fn rule(resolve: Resolve) -> Vec<Rule> {
    rules(&kit(CARD, resolve, example()))
}

/// The same of one that has its own idea of what is secret.
fn rule_of(inside: Inside) -> Vec<Rule> {
    rules(&kit_of(CARD, good, inside, example()))
}

#[test]
fn careful_provider_of_documents_breaks_nothing() {
    assert_eq!(kit(CARD, good, example()), []);
}

#[test]
fn key_in_the_locations_config_is_caught() {
    let broken = rule(|inputs| {
        changed(inputs, |storage, key| {
            storage.location.config.insert("key".into(), key.into());
        })
    });
    assert_eq!(broken, [Rule::Secrecy]);
}

#[test]
fn key_in_a_remark_is_caught() {
    let broken = rule(|inputs| {
        changed(inputs, |storage, key| {
            let line = key.lines().nth(1).unwrap();
            storage.remarks.push(format!("It is {line}."));
        })
    });
    assert_eq!(broken, [Rule::Secrecy]);
}

#[test]
fn document_quoted_in_a_problem_is_caught() {
    let broken = rule(|inputs| {
        let card = inputs.own.secret("card");
        match card.filter(|card| key(card).is_none()) {
            Some(card) => {
                let quote: String = card.expose_secret().chars().take(140).collect();
                Err(no_card(format!("is no card ({quote})")).into())
            }
            None => good(inputs),
        }
    });
    assert_eq!(broken, [Rule::Secrecy]);
}

#[test]
fn redaction_of_a_brace_is_caught() {
    assert_eq!(rule_of(|_| vec!["{".into()]), [Rule::Redaction]);
}

#[test]
fn redaction_of_the_whole_file_is_caught() {
    assert_eq!(rule_of(|text| vec![text.into()]), [Rule::Redaction]);
}

#[test]
fn redaction_of_another_word_is_caught() {
    let instead: Inside = |_| vec!["archive@example.com".into()];
    // In addition to the key it would still hide a harmless word.
    let too: Inside = |text| [only_the_key(text), vec!["archive@example.com".into()]].concat();
    for bad in [instead, too] {
        assert_eq!(rule_of(bad), [Rule::Redaction]);
    }
}

#[test]
fn file_that_loses_each_semicolon_is_caught() {
    let broken = rule(|inputs| {
        changed(inputs, |storage, _| {
            let file = storage
                .credential
                .file()
                .unwrap()
                .expose_secret()
                .replace(';', "");
            storage.credential = Credential::Keys(file.into());
        })
    });
    assert_eq!(broken, [Rule::Fidelity]);
}

#[test]
fn document_without_any_redaction_is_caught() {
    assert_eq!(rule_of(|_| Vec::new()), [Rule::Redaction]);
}

#[test]
fn redaction_of_a_part_of_the_key_is_caught() {
    fn lines(text: &str) -> impl Iterator<Item = String> {
        let keys = only_the_key(text).into_iter();
        keys.flat_map(|key| key.lines().map(str::to_owned).collect::<Vec<_>>())
    }
    let first: Inside = |text| lines(text).take(2).collect();
    let encoded: Inside = |text| {
        let keys = only_the_key(text).into_iter();
        keys.map(|key| key.replace('\n', "\\n")).collect()
    };
    for bad in [first, encoded] {
        assert_eq!(rule_of(bad), [Rule::Redaction]);
    }
    let by_line: Inside = |text| lines(text).collect();
    assert_eq!(rule_of(by_line), [], "each line is as good as the whole");
}

#[test]
fn piece_of_a_key_in_a_snapshot_location_is_caught() {
    let broken = rule(|inputs| {
        changed(inputs, |storage, key| {
            let piece = key
                .lines()
                .nth(2)
                .unwrap_or_default()
                .chars()
                .take(9)
                .collect();
            let config = BTreeMap::from([("id".to_owned(), piece)]);
            storage.snapshots = Some(SnapshotLocation { config });
        })
    });
    assert_eq!(broken, [Rule::Secrecy]);
}

#[test]
fn document_without_its_secret_is_missed_or_caught() {
    let broken = rule(|inputs| match inputs.own.secret("card") {
        Some(card) if key(&card).is_none() => {
            let mut card: Json = match serde_json::from_str(card.expose_secret()) {
                Ok(card @ Json::Object(_)) => card,
                _ => return good(inputs),
            };
            if card["kind"] != "punch" {
                return good(inputs);
            }
            let file = card.to_string();
            card["key"] = json!(KEY);
            let given: RelationData = [
                (
                    "drawer",
                    inputs.own.plain("drawer").unwrap_or_default().into(),
                ),
                ("card", Value::Secret(card.to_string().into())),
            ]
            .into_iter()
            .collect();
            let mut inputs = inputs.clone();
            inputs.own = given;
            changed(&inputs, |storage, _| {
                storage.credential = Credential::Keys(file.into());
            })
        }
        _ => good(inputs),
    });
    assert_eq!(broken, [Rule::Required]);
}

#[test]
fn placeholder_taken_for_a_bucket_is_caught() {
    const COPIED: Descriptor = Descriptor {
        endpoint: Endpoint {
            handshake: Handshake {
                placeholder: Some("drawer"),
                ..CARD.endpoint.handshake
            },
            ..CARD.endpoint
        },
        ..CARD
    };
    fn trusting(inputs: &Inputs) -> Result<Answer, Problems> {
        let mut inputs = inputs.clone();
        if let (Some(drawer), Some(card)) = (inputs.own.echo("drawer"), inputs.own.secret("card")) {
            let fields = [("drawer", drawer.into()), ("card", Value::Secret(card))];
            inputs.own = fields.into_iter().collect();
        }
        good(&inputs)
    }
    assert_eq!(
        kit(COPIED, good, example()),
        [],
        "copied alone, it does no harm"
    );
    assert_eq!(
        kit(COPIED, trusting, example()),
        only(Rule::Echo, &["drawer"])
    );
    let made = Example {
        echo: Echo::IsMade,
        ..example()
    };
    assert_eq!(kit(COPIED, trusting, made), []);
}

#[test]
fn placeholder_in_an_optional_field_is_caught() {
    const COPIED: Descriptor = Descriptor {
        endpoint: Endpoint {
            handshake: Handshake {
                placeholder: Some("folder"),
                ..CARD.endpoint.handshake
            },
            ..CARD.endpoint
        },
        ..CARD
    };
    let mut example = example();
    example.relations[0].1.push(("folder", "shop".into()));
    let foldered: Resolve = |inputs| {
        changed(inputs, |storage, _| {
            storage.location.prefix = inputs.own.plain("folder").map(str::to_owned);
        })
    };
    assert_eq!(kit(CARD, foldered, example.clone()), []);
    let broken = kit(COPIED, foldered, example);
    assert_eq!(broken, only(Rule::Handshake, &["folder"]));
}

#[test]
fn facts_that_nobody_asks_for_are_caught() {
    const INCURIOUS: Descriptor = Descriptor {
        endpoint: Endpoint {
            facts: &[],
            ..CARD.endpoint
        },
        ..CARD
    };
    assert_eq!(kit(INCURIOUS, good, example()), only(Rule::Facts, &[""]));
    let without = Example {
        facts: Facts::default(),
        ..example()
    };
    assert_eq!(kit(INCURIOUS, good, without.clone()), []);
    assert_eq!(
        kit(CARD, good, without),
        only(Rule::Facts, &["card-credentials"])
    );
}

#[test]
fn facts_taken_in_their_order_are_caught() {
    let broken = rule(|inputs| {
        changed(inputs, |storage, _| {
            let first = inputs.facts.provider_ids.first().cloned();
            storage
                .remarks
                .extend(first.map(|shelf| format!("It is on {shelf}.")));
        })
    });
    assert_eq!(broken, [Rule::Facts]);
}

#[test]
fn secret_address_taken_for_a_field_is_caught() {
    let broken = rule(|inputs| {
        changed(inputs, |storage, _| {
            let address = inputs.own.plain("secret-extra").map(str::to_owned);
            storage
                .location
                .config
                .extend(address.map(|text| ("at".to_owned(), text)));
        })
    });
    assert_eq!(broken, [Rule::Bag]);
}

#[test]
fn secrets_missed_one_by_one_are_caught() {
    let impatient = kit(
        CARD,
        |inputs| match inputs.own.unreadable("card") {
            Some(reason) if reason.contains("address") => Ok(waiting()),
            _ => good(inputs),
        },
        example(),
    );
    assert_eq!(impatient, only(Rule::Unreadable, &["card"]));
}

#[test]
fn example_that_keeps_silent_on_its_document_is_caught() {
    let silent = Example {
        secret_parts: Vec::new(),
        ..example()
    };
    let broken = kit(CARD, good, silent);
    assert!(
        broken.contains(&(Rule::Examples, "card".into())),
        "{broken:?}"
    );
    let half = Example {
        secret_parts: vec![("card", "VGhlIGZpcnN0IGxpbmU=".into())],
        ..example()
    };
    let broken = kit(CARD, good, half);
    assert!(
        broken.contains(&(Rule::Examples, "card".into())),
        "{broken:?}"
    );
    let elsewhere = Example {
        secret_parts: vec![("card", KEY.into()), ("card", "not in it".into())],
        ..example()
    };
    let broken = kit(CARD, good, elsewhere);
    assert!(
        broken.contains(&(Rule::Examples, "card".into())),
        "{broken:?}"
    );
}
