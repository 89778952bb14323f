//! A good provider, and one for each way of being a bad one.

use std::sync::atomic::{AtomicUsize, Ordering};

use secrecy::{ExposeSecret as _, SecretString};

use super::*;
use crate::{
    Advice, Descriptor, Dialect, Endpoint, FurtherEndpoint, Gap, Handshake, ImageOption, Location,
    Part, Problem, Problems, RelationData, Storage, Verdict, doctest_descriptor,
};

const ROBOT: FurtherEndpoint = FurtherEndpoint {
    endpoint: Endpoint {
        name: "tape-robot",
        interface: "robot",
        handshake: Handshake {
            requested_secrets: &["code"],
            dialect: Dialect::SecretsOnly,
        },
    },
    facts: &[],
};

const TAPE: Descriptor = Descriptor {
    further_endpoints: &[ROBOT],
    ..doctest_descriptor()
};

const DECLARED: &str = "
requires:
  tape-credentials: {interface: tape, limit: 1, optional: true}
  tape-robot: {interface: robot, limit: 1, optional: true}
config:
  options:
    velero-tape-plugin-image: {type: string, default: 'tape/plugin:v1'}
";

static CALLS: AtomicUsize = AtomicUsize::new(0);

type Validate = fn(&Inputs) -> Result<Verdict, Problems>;

/// Validates tapes, in its own way.
#[derive(Debug)]
struct Tape {
    descriptor: &'static Descriptor,
    validate: Validate,
}

impl StorageProvider for Tape {
    fn descriptor(&self) -> &'static Descriptor {
        self.descriptor
    }

    fn validate(&self, inputs: &Inputs) -> Result<Verdict, Problems> {
        (self.validate)(inputs)
    }
}

/// What is read before anything is made of it.
struct Read {
    reel: String,
    pin: SecretString,
    code: Option<SecretString>,
    speed: Option<String>,
}

fn unanswered(inputs: &Inputs) -> Option<Verdict> {
    let robot = inputs.further.get("tape-robot");
    if !inputs.storage.has_any(&["reel", "pin"]) {
        Some(Verdict::Waiting("a reel and a pin".into()))
    } else if robot.is_some_and(|robot| !robot.has_any(&["code"])) {
        Some(Verdict::Waiting("a robot".into()))
    } else {
        None
    }
}

fn read(inputs: &Inputs) -> Result<Read, Problems> {
    let data = &inputs.storage;
    let robot = inputs.further.get("tape-robot");
    let code = robot.map(|robot| robot.required_secret("code", "set it"));
    let secrets = Problems::both(data.required_secret("pin", "set it"), code.transpose());
    let reel = data.required("reel", "insert one").map(str::to_owned);
    let (reel, (pin, code)) = Problems::both(reel, secrets)?;
    Ok(Read {
        reel,
        pin,
        code,
        speed: data.plain("speed").map(str::to_owned),
    })
}

fn store(read: Read, inputs: &Inputs) -> Storage {
    let canaries: Vec<_> = std::iter::once(read.pin).chain(read.code).collect();
    let open: Vec<_> = canaries.iter().map(SecretString::expose_secret).collect();
    Storage {
        plugin_image: inputs.plugin_image.clone(),
        credential: serde_json::to_string(&open).unwrap().into(),
        canaries,
        location: Location {
            bucket: read.reel,
            prefix: None,
            ca_certificates: None,
            config: read
                .speed
                .map(|speed| ("speed".to_owned(), speed))
                .into_iter()
                .collect(),
        },
        snapshots: None,
        remarks: vec!["Tapes are slow.".into()],
        gaps: Vec::new(),
    }
}

/// As it should be, but for what is changed at the end.
fn changed(
    inputs: &Inputs,
    change: impl FnOnce(&mut Storage, &RelationData),
) -> Result<Verdict, Problems> {
    if let Some(waiting) = unanswered(inputs) {
        return Ok(waiting);
    }
    let mut storage = store(read(inputs)?, inputs);
    change(&mut storage, &inputs.storage);
    Ok(Verdict::Ready(Box::new(storage)))
}

fn good(inputs: &Inputs) -> Result<Verdict, Problems> {
    changed(inputs, |_, _| ())
}

/// As it should be, but for what is said of problems.
fn reworded(
    inputs: &Inputs,
    reword: fn(Problem, &RelationData) -> Problem,
) -> Result<Verdict, Problems> {
    good(inputs).map_err(|problems| {
        let all = problems
            .iter()
            .map(|problem| reword(problem.clone(), &inputs.storage));
        Problems::from_vec(all.collect()).unwrap()
    })
}

fn example() -> Example {
    Example {
        name: "pin and robot",
        relations: vec![
            (
                "tape-credentials",
                vec![
                    ("reel", "seven".into()),
                    ("speed", "high".into()),
                    ("pin", canary("pin")),
                ],
            ),
            ("tape-robot", vec![("code", canary("code"))]),
        ],
        required: &["reel", "pin", "code"],
        ..Example::default()
    }
}

fn subject_of(tape: Tape, examples: Vec<Example>) -> Subject {
    Subject {
        provider: Box::leak(Box::new(tape)),
        examples,
        credential_values: |file| serde_json::from_str(file).unwrap(),
    }
}

/// The rules that are broken, and in which fields.
fn found(result: Result<(), Breaches>) -> Vec<(Rule, String)> {
    let breaches = result.err().map(|breaches| breaches.0).unwrap_or_default();
    let mut broken: Vec<_> = breaches
        .into_iter()
        .map(|breach| (breach.rule, breach.field.unwrap_or_default()))
        .collect();
    broken.sort();
    broken.dedup();
    broken
}

fn by(validate: Validate) -> Vec<(Rule, String)> {
    let tape = Tape {
        descriptor: const { &TAPE },
        validate,
    };
    found(check_against(&subject_of(tape, vec![example()]), DECLARED))
}

fn by_descriptor(descriptor: Descriptor) -> Vec<(Rule, String)> {
    let tape = Tape {
        descriptor: Box::leak(Box::new(descriptor)),
        validate: good,
    };
    found(check_against(&subject_of(tape, vec![example()]), DECLARED))
}

fn by_example(change: fn(&mut Example)) -> Vec<(Rule, String)> {
    let tape = Tape {
        descriptor: const { &TAPE },
        validate: good,
    };
    let mut example = example();
    change(&mut example);
    found(check_against(&subject_of(tape, vec![example]), DECLARED))
}

fn only(rule: Rule, fields: &[&str]) -> Vec<(Rule, String)> {
    fields
        .iter()
        .map(|field| (rule, (*field).to_owned()))
        .collect()
}

fn rules(broken: &[(Rule, String)]) -> Vec<Rule> {
    let mut rules: Vec<_> = broken.iter().map(|(rule, _)| *rule).collect();
    rules.dedup();
    rules
}

#[test]
fn a_good_provider_breaks_nothing() {
    assert_eq!(by(good), []);
}

#[test]
fn a_breach_says_where_it_is() {
    let tape = Tape {
        descriptor: const { &TAPE },
        validate: |inputs| changed(inputs, |storage, _| storage.canaries.clear()),
    };
    let breaches = check_against(&subject_of(tape, vec![example()]), DECLARED).unwrap_err();
    assert_eq!(
        breaches.0[0].to_string(),
        "provider `tape`, rule Canaries, field `pin`, example `pin and robot`: is not among the \
         canaries"
    );
    assert_eq!(
        format!("{breaches:?}").lines().count(),
        1 + breaches.0.len()
    );
}

#[test]
fn chance_is_caught() {
    let broken = by(|inputs| {
        changed(inputs, |storage, _| {
            let remark = format!("Call {}.", CALLS.fetch_add(1, Ordering::Relaxed));
            storage.remarks.push(remark);
        })
    });
    assert_eq!(rules(&broken), [Rule::Deterministic]);
}

#[test]
fn a_secret_in_sight_is_caught_wherever_it_shows() {
    fn pin(data: &RelationData) -> String {
        let pin = data.secret("pin");
        pin.map(|pin| pin.expose_secret().to_owned())
            .unwrap_or_default()
    }
    let leaks: [Validate; 6] = [
        |inputs| {
            changed(inputs, |storage, data| {
                storage.remarks.push(format!("It is {}.", pin(data)));
            })
        },
        |inputs| {
            changed(inputs, |storage, data| {
                storage.location.config.insert("pin".into(), pin(data));
            })
        },
        |inputs| {
            changed(inputs, |storage, data| {
                storage.location.prefix = Some(pin(data));
            })
        },
        |inputs| {
            changed(inputs, |storage, data| {
                let config = [("pin".to_owned(), pin(data))].into();
                storage.snapshots = Some(crate::SnapshotLocation { config });
            })
        },
        |inputs| {
            reworded(inputs, |mut problem, data| {
                problem.hint = format!("not with {}", pin(data));
                problem
            })
        },
        |inputs| match unanswered(inputs) {
            Some(_) => Ok(Verdict::Waiting(format!(
                "more than {}",
                pin(&inputs.storage)
            ))),
            None => good(inputs),
        },
    ];
    for leak in leaks {
        assert_eq!(rules(&by(leak)), [Rule::Secrecy]);
    }
}

#[test]
fn what_is_required_and_not_missed_is_caught() {
    let lenient = by(|inputs| {
        let mut inputs = inputs.clone();
        if inputs.storage.plain("reel").is_none() && inputs.storage.has_any(&["pin"]) {
            let pin = inputs.storage.secret("pin").unwrap();
            inputs.storage = [("reel", "one".into()), ("pin", Value::Secret(pin))]
                .into_iter()
                .collect();
        }
        good(&inputs)
    });
    assert_eq!(lenient, only(Rule::Required, &["reel"]));

    let misnamed = by(|inputs| {
        reworded(inputs, |mut problem, _| {
            if problem.field == "reel" {
                problem.field = "tape".into();
            }
            problem
        })
    });
    assert_eq!(misnamed, only(Rule::Required, &["reel"]));

    let strict = by(|inputs| match inputs.storage.plain("speed") {
        None if unanswered(inputs).is_none() && read(inputs).is_ok() => {
            Err(Problem::missing("speed", "set it").into())
        }
        _ => good(inputs),
    });
    assert_eq!(strict, only(Rule::Required, &["speed"]));
}

fn with_gap(inputs: &Inputs, field: &str) -> Result<Verdict, Problems> {
    let problem = Problem::invalid(field, "has a comma", "drop it");
    changed(inputs, |storage, _| {
        storage.gaps.push(Gap {
            problem,
            parts: &[Part::Config("speed")],
        });
    })
}

#[test]
fn an_optional_field_that_refuses_everything_is_caught() {
    let strict = by(|inputs| match inputs.storage.plain("speed") {
        Some(speed) if speed.contains(',') => {
            Err(Problem::invalid("speed", "has a comma", "drop it").into())
        }
        _ => good(inputs),
    });
    assert_eq!(strict, only(Rule::Optional, &["speed"]));

    let lenient = by(|inputs| match inputs.storage.plain("reel") {
        Some(reel) if reel.contains(',') => with_gap(inputs, "reel"),
        _ => good(inputs),
    });
    assert_eq!(lenient, only(Rule::Optional, &["reel"]));

    let right = by(|inputs| match inputs.storage.plain("speed") {
        Some(speed) if speed.contains(',') => with_gap(inputs, "speed"),
        _ => good(inputs),
    });
    assert_eq!(right, []);
}

#[test]
fn an_echo_that_is_taken_for_an_answer_is_caught() {
    let broken = by(|inputs| match inputs.storage.echo("reel") {
        Some(reel) => {
            Err(Problem::invalid("pin", format!("is not that of {reel}"), "set it").into())
        }
        None => good(inputs),
    });
    assert_eq!(broken, only(Rule::Echo, &["reel"]));
}

#[test]
fn a_blank_in_one_spelling_that_is_no_blank_is_caught() {
    let broken = by(|inputs| {
        let speed = inputs.storage.plain("speed");
        changed(inputs, |storage, _| {
            // It never hears of other spellings, since `plain` keeps them off; so it is played.
            if speed.is_none() && storage.location.config.is_empty() {
                storage.gaps.push(Gap {
                    problem: Problem::missing("speed", "set it"),
                    parts: &[],
                });
            }
        })
    });
    assert_eq!(broken, only(Rule::Required, &["speed"]));
}

#[test]
fn a_secret_that_cannot_be_read_and_is_called_missing_is_caught() {
    let broken = by(|inputs| {
        reworded(inputs, |problem, _| {
            Problem::missing(problem.field, problem.hint)
        })
    });
    assert_eq!(broken, only(Rule::Unreadable, &["code", "pin"]));
}

#[test]
fn a_complaint_about_nothing_is_caught() {
    let broken = by(|inputs| Ok(Verdict::Ready(Box::new(store(read(inputs)?, inputs)))));
    let mut expected = only(Rule::Echo, &["reel"]);
    expected.extend(only(Rule::Empty, &["tape-credentials", "tape-robot"]));
    assert_eq!(broken, expected);
}

#[test]
fn a_value_that_is_bent_on_its_way_is_caught() {
    let bent = by(|inputs| {
        changed(inputs, |storage, _| {
            storage.location.bucket = storage.location.bucket.replace('\n', "");
            let config = &mut storage.location.config;
            for speed in config.values_mut() {
                *speed = speed.replace('"', "'");
            }
        })
    });
    assert_eq!(bent, only(Rule::Fidelity, &["reel", "speed"]));

    let cut = by(|inputs| {
        changed(inputs, |storage, _| {
            let file = storage.credential.expose_secret().replace(" #", "");
            storage.credential = file.into();
        })
    });
    assert_eq!(cut, only(Rule::Fidelity, &["code", "pin"]));

    let misnamed = by(|inputs| match inputs.storage.plain("reel") {
        Some(reel) if reel.contains(',') => {
            Err(Problem::invalid("speed", "has a comma", "drop it").into())
        }
        _ => good(inputs),
    });
    assert_eq!(misnamed, only(Rule::Fidelity, &["reel"]));
}

#[test]
fn a_secret_that_redaction_would_miss_is_caught() {
    let broken = by(|inputs| changed(inputs, |storage, _| drop(storage.canaries.pop())));
    assert_eq!(broken, only(Rule::Canaries, &["code"]));
}

#[test]
fn another_image_than_the_user_s_is_caught() {
    let broken = by(|inputs| {
        changed(inputs, |storage, _| {
            storage.plugin_image = "tape/plugin:v1".into();
        })
    });
    assert_eq!(rules(&broken), [Rule::PluginImage]);
}

#[test]
fn words_that_do_not_fit_together_are_caught() {
    let stops: [Validate; 3] = [
        |inputs| {
            reworded(inputs, |mut problem, _| {
                problem.hint.push('.');
                problem
            })
        },
        |inputs| match unanswered(inputs) {
            Some(_) => Ok(Verdict::Waiting(" ".into())),
            None => good(inputs),
        },
        |inputs| changed(inputs, |storage, _| storage.remarks = vec!["slow".into()]),
    ];
    for stop in stops {
        assert_eq!(rules(&by(stop)), [Rule::Wording]);
    }
}

#[test]
fn a_declaration_that_differs_is_caught() {
    let broken = by_descriptor(Descriptor {
        plugin: ImageOption {
            default: "tape/plugin:v2",
            ..TAPE.plugin
        },
        ..TAPE
    });
    assert_eq!(broken, only(Rule::Declared, &["velero-tape-plugin-image"]));

    let tape = || Tape {
        descriptor: const { &TAPE },
        validate: good,
    };
    for (there, instead) in [
        ("interface: robot", "interface: arm"),
        ("robot, limit: 1", "robot"),
        ("limit: 1, optional: true}\nconfig", "limit: 1}\nconfig"),
        ("  tape-robot:", "  tape-arm:"),
    ] {
        assert!(DECLARED.contains(there));
        let declared = DECLARED.replace(there, instead);
        let broken = found(check_against(
            &subject_of(tape(), vec![example()]),
            &declared,
        ));
        assert_eq!(broken, only(Rule::Declared, &["tape-robot"]), "{instead}");
    }
    let broken = found(check_against(&subject_of(tape(), vec![example()]), "{"));
    assert_eq!(broken, only(Rule::Declared, &["charmcraft.yaml"]));
}

#[test]
fn a_handshake_that_asks_for_the_wrong_things_is_caught() {
    let handshake = |requested_secrets, legacy_trigger| Descriptor {
        endpoint: Endpoint {
            handshake: Handshake {
                requested_secrets,
                dialect: Dialect::ObjectStorage { legacy_trigger },
            },
            ..TAPE.endpoint
        },
        ..TAPE
    };
    let too_little = by_descriptor(handshake(&[], None));
    assert_eq!(too_little, only(Rule::Handshake, &["pin"]));
    let too_much = by_descriptor(handshake(&["pin", "speed"], Some("reel")));
    assert_eq!(too_much, only(Rule::Handshake, &["speed"]));
    let unknown = by_descriptor(handshake(&["pin"], Some("wheel")));
    assert_eq!(unknown, only(Rule::Handshake, &["wheel"]));
}

#[test]
fn advice_that_is_no_clause_or_never_reached_is_caught() {
    const TORN: Advice = Advice {
        when: "torn",
        then: "replace the tape",
    };
    let advice = |advice| by_descriptor(Descriptor { advice, ..TAPE });
    let stop = advice(&[Advice {
        then: "replace the tape.",
        ..TORN
    }]);
    assert_eq!(stop, only(Rule::Advice, &["torn"]));
    let silent = advice(&[Advice { then: "", ..TORN }]);
    assert_eq!(silent, only(Rule::Advice, &["torn"]));
    let late = advice(&[
        TORN,
        Advice {
            when: "badly torn",
            ..TORN
        },
    ]);
    assert_eq!(late, only(Rule::Advice, &["badly torn"]));
}

#[test]
fn examples_that_prove_nothing_are_caught() {
    let incomplete = by_example(|example| example.relations[0].1.truncate(2));
    assert!(
        incomplete.contains(&(Rule::Examples, String::new())),
        "{incomplete:?}"
    );
    let short = by_example(|example| example.relations[0].1[2].1 = Value::Secret("1".into()));
    assert!(short.contains(&(Rule::Examples, "pin".into())), "{short:?}");
    let twice = by_example(|example| example.relations[1].1[0].1 = canary("pin"));
    assert_eq!(twice, only(Rule::Examples, &["code"]));
    let stranger = by_example(|example| example.relations.push(("tape-arm", Vec::new())));
    assert!(
        stranger.contains(&(Rule::Examples, "tape-arm".into())),
        "{stranger:?}"
    );
    let untried = by_example(|example| {
        example.relations.truncate(1);
        example.required = &["reel", "pin"];
    });
    assert_eq!(untried, only(Rule::Examples, &["tape-robot"]));
    let absent = by_example(|example| example.required = &["reel", "pin", "code", "size"]);
    assert_eq!(absent, only(Rule::Examples, &["size"]));
}
