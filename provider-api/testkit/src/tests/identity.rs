//! Pods that a cloud knows without keys, and each way of treating them badly.

use provider_api::Identity;

use super::*;

const READER: Identity = Identity {
    annotation: "tape.example/reader",
    shape: "a reader",
    is_sound: |text| text.starts_with("reader-"),
    label: None,
};

fn by_pods(inputs: &Inputs) -> Answer {
    let Some(reel) = inputs.own.plain("reel") else {
        return Answer::Waiting("a reel".into());
    };
    let mut storage = store(Read {
        reel: reel.to_owned(),
        pin: "".into(),
        code: None,
        speed: inputs.own.plain("speed").map(str::to_owned),
    });
    storage.credential = Credential::OfPods { file: None };
    Answer::Ready(Box::new(storage))
}

fn pins_first(inputs: &Inputs) -> Result<Answer, Problems> {
    if inputs.identity.is_some() && !inputs.own.has_any(&["pin"]) {
        Ok(by_pods(inputs))
    } else {
        good(inputs)
    }
}

fn keyless() -> Example {
    Example {
        name: "pods",
        relations: vec![(
            "tape-credentials",
            vec![("reel", "seven".into()), ("speed", "high".into())],
        )],
        required: &["reel"],
        identity: Some("reader-1"),
        ..Example::default()
    }
}

fn found_with(
    identity: Option<Identity>,
    keyless: Option<Example>,
    resolve: Resolve,
) -> Vec<(Rule, String)> {
    let descriptor = Box::leak(Box::new(Descriptor { identity, ..TAPE }));
    let tape = Tape {
        descriptor,
        resolve,
        inside: listed,
    };
    let examples = std::iter::once(example()).chain(keyless);
    found(check(&subject_of(tape, examples.collect())))
}

#[test]
fn identity_in_place_of_keys_breaks_nothing() {
    assert_eq!(found_with(Some(READER), Some(keyless()), pins_first), []);
}

#[test]
fn pods_that_do_without_keys_unknown_are_caught() {
    let trusting: Resolve = |inputs| {
        let has_pin = inputs.own.has_any(&["pin"]) || !inputs.own.has_any(&["reel"]);
        if has_pin {
            good(inputs)
        } else {
            Ok(by_pods(inputs))
        }
    };
    let broken = found_with(Some(READER), Some(keyless()), trusting);
    assert!(
        broken.contains(&(Rule::Identity, String::new())),
        "{broken:?}"
    );
}

#[test]
fn keys_that_an_identity_displaces_are_caught() {
    let displaced: Resolve = |inputs| match inputs.identity {
        Some(_) if inputs.own.has_any(&["reel"]) => Ok(by_pods(inputs)),
        _ => good(inputs),
    };
    let broken = found_with(Some(READER), Some(keyless()), displaced);
    assert_eq!(broken, only(Rule::Identity, &[""]));
}

#[test]
fn identity_that_is_declared_otherwise_is_caught() {
    let lacks = found_with(Some(READER), None, good);
    assert_eq!(lacks, only(Rule::Examples, &["tape.example/reader"]));
    let unknown = found_with(None, Some(keyless()), pins_first);
    assert_eq!(unknown, only(Rule::Examples, &["identity"]));
    let unsound = Example {
        identity: Some("writer-1"),
        ..keyless()
    };
    let broken = found_with(Some(READER), Some(unsound), pins_first);
    assert_eq!(broken, only(Rule::Identity, &["tape.example/reader"]));
    let lax = Identity {
        is_sound: |_| true,
        ..READER
    };
    let broken = found_with(Some(lax), Some(keyless()), pins_first);
    assert_eq!(broken, only(Rule::Identity, &["tape.example/reader"]));
}
