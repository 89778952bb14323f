//! A good provider, and one for each way of being a bad one.

use std::sync::atomic::{AtomicUsize, Ordering};

use provider_api::{
    Advice, Answer, Credential, Fact, Gap, Location, Part, Problem, Problems, RelationData,
    SnapshotLocation, Storage,
    secrecy::{ExposeSecret as _, SecretString},
};

use super::{TAPE as PLAIN, *};

mod address;
mod declared;
mod documents;
mod identity;
mod options;

const ROBOT: Endpoint = Endpoint {
    name: "tape-robot",
    interface: "robot",
    handshake: Handshake {
        requested_secrets: &["code"],
        version: Version::Unsaid,
        placeholder: None,
    },
    facts: &[],
};

const TAPE: Descriptor = Descriptor {
    optional_endpoints: &[ROBOT],
    ..PLAIN
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

type Resolve = fn(&Inputs) -> Result<Answer, Problems>;
type Inside = fn(&str) -> Vec<String>;

/// Resolves tapes, in its own way.
#[derive(Debug)]
struct Tape {
    descriptor: &'static Descriptor,
    resolve: Resolve,
    inside: Inside,
}

impl StorageProvider for Tape {
    fn descriptor(&self) -> &'static Descriptor {
        self.descriptor
    }

    fn resolve(&self, inputs: &Inputs) -> Result<Answer, Problems> {
        (self.resolve)(inputs)
    }

    fn secrets_inside(&self, text: &SecretString) -> Vec<SecretString> {
        let inside = (self.inside)(text.expose_secret()).into_iter();
        inside.map(Into::into).collect()
    }
}

/// What is secret in a file of tapes, which lists pin and code.
fn listed(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_default()
}

/// What is read before anything is made of it.
struct Read {
    reel: String,
    pin: SecretString,
    code: Option<SecretString>,
    speed: Option<String>,
}

fn unanswered(inputs: &Inputs) -> Option<Answer> {
    let robot = inputs.optional.get("tape-robot");
    if !inputs.own.has_any(&["reel", "pin"]) {
        Some(Answer::Waiting("a reel and a pin".into()))
    } else if robot.is_some_and(|robot| !robot.has_any(&["code"])) {
        Some(Answer::Waiting("a robot".into()))
    } else {
        None
    }
}

fn read(inputs: &Inputs) -> Result<Read, Problems> {
    let data = &inputs.own;
    let robot = inputs.optional.get("tape-robot");
    let code = robot.map(|robot| robot.required_secret("code", "set it"));
    let (reel, pin, code) = provider_api::all!(
        data.required("reel", "insert one").map(str::to_owned),
        data.required_secret("pin", "set it"),
        code.transpose(),
    )?;
    Ok(Read {
        reel,
        pin,
        code,
        speed: data.plain("speed").map(str::to_owned),
    })
}

fn store(read: Read) -> Storage {
    let secrets: Vec<_> = std::iter::once(read.pin).chain(read.code).collect();
    let open: Vec<_> = secrets.iter().map(SecretString::expose_secret).collect();
    Storage {
        credential: Credential::Keys(serde_json::to_string(&open).unwrap().into()),
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
) -> Result<Answer, Problems> {
    if let Some(waiting) = unanswered(inputs) {
        return Ok(waiting);
    }
    let mut storage = store(read(inputs)?);
    change(&mut storage, &inputs.own);
    Ok(Answer::Ready(Box::new(storage)))
}

fn good(inputs: &Inputs) -> Result<Answer, Problems> {
    changed(inputs, |_, _| ())
}

/// As it should be, but for what is said of problems.
fn reworded(
    inputs: &Inputs,
    reword: fn(Problem, &RelationData) -> Problem,
) -> Result<Answer, Problems> {
    good(inputs).map_err(|problems| {
        let all = problems
            .iter()
            .map(|problem| reword(problem.clone(), &inputs.own));
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
        charmcraft: DECLARED,
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

fn by(resolve: Resolve) -> Vec<(Rule, String)> {
    let tape = Tape {
        descriptor: const { &TAPE },
        resolve,
        inside: listed,
    };
    found(check(&subject_of(tape, vec![example()])))
}

fn by_descriptor(descriptor: Descriptor) -> Vec<(Rule, String)> {
    let tape = Tape {
        descriptor: Box::leak(Box::new(descriptor)),
        resolve: good,
        inside: listed,
    };
    found(check(&subject_of(tape, vec![example()])))
}

fn by_example(change: fn(&mut Example)) -> Vec<(Rule, String)> {
    let tape = Tape {
        descriptor: const { &TAPE },
        resolve: good,
        inside: listed,
    };
    let mut example = example();
    change(&mut example);
    found(check(&subject_of(tape, vec![example])))
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
fn file_that_nobody_can_mask_is_caught() {
    let tape = Tape {
        descriptor: const { &TAPE },
        resolve: good,
        inside: |text| listed(text).into_iter().take(1).collect(),
    };
    let broken = found(check(&subject_of(tape, vec![example()])));
    assert_eq!(broken, only(Rule::Redaction, &["code"]));
}

#[test]
fn a_good_provider_breaks_nothing() {
    assert_eq!(by(good), []);
}

#[test]
fn a_breach_says_where_it_is() {
    let tape = Tape {
        descriptor: const { &TAPE },
        inside: listed,
        resolve: |inputs| {
            if inputs.own.plain("speed").is_none() && unanswered(inputs).is_none() {
                return Err(Problem::missing("speed", "set it").into());
            }
            good(inputs)
        },
    };
    let breaches = check(&subject_of(tape, vec![example()])).unwrap_err();
    assert_eq!(
        breaches.0[0].to_string(),
        "provider `tape`, rule Required, field `speed`, example `pin and robot`: it is not required, \
         and \"absent\": it says set it: `speed` is missing"
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
    let leaks: [Resolve; 6] = [
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
                storage.snapshots = Some(SnapshotLocation { config });
            })
        },
        |inputs| {
            reworded(inputs, |mut problem, data| {
                problem.hint = format!("not with {}", pin(data));
                problem
            })
        },
        |inputs| match unanswered(inputs) {
            Some(_) => Ok(Answer::Waiting(format!("more than {}", pin(&inputs.own)))),
            None => good(inputs),
        },
    ];
    for leak in leaks {
        assert_eq!(rules(&by(leak)), [Rule::Secrecy]);
    }
}

#[test]
fn required_field_that_is_not_missed_is_caught() {
    let lenient = by(|inputs| {
        let mut inputs = inputs.clone();
        if inputs.own.plain("reel").is_none() && inputs.own.has_any(&["pin"]) {
            let pin = inputs.own.secret("pin").unwrap();
            inputs.own = [("reel", "one".into()), ("pin", Value::Secret(pin))]
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

    let strict = by(|inputs| match inputs.own.plain("speed") {
        None if unanswered(inputs).is_none() && read(inputs).is_ok() => {
            Err(Problem::missing("speed", "set it").into())
        }
        _ => good(inputs),
    });
    assert_eq!(strict, only(Rule::Required, &["speed"]));
}

fn with_gap(inputs: &Inputs, field: &str) -> Result<Answer, Problems> {
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
    let strict = by(|inputs| match inputs.own.plain("speed") {
        Some(speed) if speed.contains(',') => {
            Err(Problem::invalid("speed", "has a comma", "drop it").into())
        }
        _ => good(inputs),
    });
    assert_eq!(strict, only(Rule::Optional, &["speed"]));

    let lenient = by(|inputs| match inputs.own.plain("reel") {
        Some(reel) if reel.contains(',') => with_gap(inputs, "reel"),
        _ => good(inputs),
    });
    assert_eq!(lenient, only(Rule::Optional, &["reel"]));

    let right = by(|inputs| match inputs.own.plain("speed") {
        Some(speed) if speed.contains(',') => with_gap(inputs, "speed"),
        _ => good(inputs),
    });
    assert_eq!(right, []);
}

#[test]
fn an_echo_that_is_taken_for_an_answer_is_caught() {
    let broken = by(|inputs| match inputs.own.echo("reel") {
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
        let speed = inputs.own.plain("speed");
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
    let broken = by(|inputs| Ok(Answer::Ready(Box::new(store(read(inputs)?)))));
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
            let file = storage
                .credential
                .file()
                .unwrap()
                .expose_secret()
                .replace(" #", "");
            storage.credential = Credential::Keys(file.into());
        })
    });
    assert_eq!(cut, only(Rule::Fidelity, &["code", "pin"]));

    let misnamed = by(|inputs| match inputs.own.plain("reel") {
        Some(reel) if reel.contains(',') => {
            Err(Problem::invalid("speed", "has a comma", "drop it").into())
        }
        _ => good(inputs),
    });
    assert_eq!(misnamed, only(Rule::Fidelity, &["reel"]));
}
