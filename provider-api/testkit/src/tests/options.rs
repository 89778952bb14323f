//! Options of a provider, and each way of treating them badly.

use provider_api::ConfigOption;

use super::*;

const OPTION: ConfigOption = ConfigOption {
    name: "tape-tension",
    default: "",
    check,
};

const DECLARED: &str = "
requires:
  tape-credentials: {interface: tape, limit: 1, optional: true}
  tape-robot: {interface: robot, limit: 1, optional: true}
config:
  options:
    velero-tape-plugin-image: {type: string, default: 'tape/plugin:v1'}
    tape-tension: {type: string, default: ''}
";

fn check(text: &str) -> Result<(), Problems> {
    let is_known = text.chars().all(|c| c.is_ascii_alphabetic());
    let problem = || Problem::invalid("tape-tension", "is not a tension", "set it to `high`");
    is_known.then_some(()).ok_or_else(|| problem().into())
}

fn tense(inputs: &Inputs) -> Result<Answer, Problems> {
    check(inputs.option(&OPTION))?;
    good(inputs)
}

fn found_with(
    option: ConfigOption,
    value: Option<&'static str>,
    charmcraft: &'static str,
    resolve: Resolve,
) -> Vec<(Rule, String)> {
    let descriptor = Box::leak(Box::new(Descriptor {
        options: Box::leak(Box::new([option])),
        ..TAPE
    }));
    let mut example = example();
    example.options = value
        .map(|value| ("tape-tension", value))
        .into_iter()
        .collect();
    found(super::check(&Subject {
        charmcraft,
        ..subject_of(
            Tape {
                descriptor,
                resolve,
                inside: listed,
            },
            vec![example],
        )
    }))
}

#[test]
fn option_that_is_checked_breaks_nothing() {
    assert_eq!(found_with(OPTION, Some("high"), DECLARED, tense), []);
}

#[test]
fn option_that_is_declared_otherwise_is_caught() {
    for instead in ["{type: int, default: ''}", "{type: string, default: low}"] {
        let charmcraft = DECLARED.replace(
            "tape-tension: {type: string, default: ''}",
            &format!("tape-tension: {instead}"),
        );
        let broken = found_with(OPTION, Some("high"), charmcraft.leak(), tense);
        assert_eq!(broken, only(Rule::Declared, &["tape-tension"]), "{instead}");
    }
}

#[test]
fn option_without_an_example_is_caught() {
    let broken = found_with(OPTION, None, DECLARED, tense);
    assert_eq!(broken, only(Rule::Examples, &["tape-tension"]));
}

#[test]
fn check_that_is_not_that_of_the_provider_is_caught() {
    let lax = ConfigOption {
        check: |_| Ok(()),
        ..OPTION
    };
    let misnamed = ConfigOption {
        check: |text| check(text).map_err(|_| Problem::missing("tension", "set it").into()),
        ..OPTION
    };
    let needed = ConfigOption {
        check: |text| match text {
            "" => Err(Problem::missing("tape-tension", "set it").into()),
            _ => check(text),
        },
        ..OPTION
    };
    for option in [lax, misnamed, needed] {
        let broken = found_with(option, Some("high"), DECLARED, tense);
        assert_eq!(broken, only(Rule::Options, &["tape-tension"]));
    }
    let broken = found_with(OPTION, Some("1"), DECLARED, good);
    assert_eq!(broken, only(Rule::Options, &["tape-tension"]));
}
