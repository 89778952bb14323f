//! What a provider says of itself, each way of saying it wrongly.

use super::*;

#[test]
fn words_that_do_not_fit_together_are_caught() {
    let stops: [Resolve; 4] = [
        |inputs| {
            reworded(inputs, |mut problem, _| {
                problem.hint = "ask {the-robot}".into();
                problem
            })
        },
        |inputs| {
            reworded(inputs, |mut problem, _| {
                problem.hint.push('.');
                problem
            })
        },
        |inputs| match unanswered(inputs) {
            Some(_) => Ok(Answer::Waiting(" ".into())),
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
        options: &[],
        ..TAPE
    });
    assert_eq!(broken, only(Rule::Declared, &["velero-tape-plugin-image"]));

    let tape = || Tape {
        descriptor: const { &TAPE },
        resolve: good,
        inside: listed,
    };
    for (there, instead) in [
        ("interface: robot", "interface: arm"),
        ("robot, limit: 1", "robot"),
        ("limit: 1, optional: true}\nconfig", "limit: 1}\nconfig"),
        ("  tape-robot:", "  tape-arm:"),
    ] {
        assert!(DECLARED.contains(there));
        let charmcraft = DECLARED.replace(there, instead).leak();
        let broken = found(check(&Subject {
            charmcraft,
            ..subject_of(tape(), vec![example()])
        }));
        assert_eq!(broken, only(Rule::Declared, &["tape-robot"]), "{instead}");
    }
    let broken = found(check(&Subject {
        charmcraft: "{",
        ..subject_of(tape(), vec![example()])
    }));
    assert_eq!(broken, only(Rule::Declared, &["charmcraft.yaml"]));
}

#[test]
fn a_handshake_that_asks_for_the_wrong_things_is_caught() {
    let handshake = |requested_secrets, placeholder| Descriptor {
        endpoint: Endpoint {
            handshake: Handshake {
                requested_secrets,
                placeholder,
                ..TAPE.endpoint.handshake
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
fn advice_that_cannot_be_said_or_reached_is_caught() {
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
    let nobody = advice(&[Advice {
        then: "replace the tape in {tape-drive}",
        ..TORN
    }]);
    assert_eq!(nobody, only(Rule::Advice, &["torn"]));
    let somebody = advice(&[Advice {
        then: "replace the tape in {tape-credentials}",
        ..TORN
    }]);
    assert_eq!(somebody, []);
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
