//! Fields made up by chance, several at a time: an answer comes whatever an integrator sends, and what holds of
//! every answer holds of it.

use proptest::{
    collection::vec,
    option,
    prelude::{Just, Strategy, any, prop_oneof},
    sample::select,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};
use provider_api::{Value, secrecy::ExposeSecret as _};

use super::{
    Breach, Example, Rule, Subject,
    ask::{Asker, Outcome},
    fields::{ADDRESSES, STRANGE},
};

/// Inputs tried of each example, unless [`CASES`] says another number.
const USUAL: u32 = 128;
/// The variable of the environment that does.
const CASES: &str = "FUZZ_CASES";

/// What becomes of a field.
#[derive(Clone, Debug)]
enum Spoiling {
    Kept,
    Left,
    /// Said instead, or after what was there.
    Said(String),
    Appended(String),
}

/// How many inputs are tried of each example.
pub(super) fn cases() -> u32 {
    let asked = std::env::var(CASES).ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(USUAL)
}

/// Tries so many made-up inputs; the same ones each time.
pub(super) fn breaches(subject: &Subject, example: &Example, cases: u32) -> Vec<Breach> {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, random);
    let number = example.fields().count();
    let spoilings = (vec(spoiling(), number), option::of(text()));
    let outcome = runner.run(&spoilings, |(spoilings, address)| {
        let changed = spoiled(example, &spoilings, address);
        match found(subject, example, &changed).first() {
            Some(breach) => Err(TestCaseError::fail(breach.to_string())),
            None => Ok(()),
        }
    });
    let name = subject.provider.descriptor().name;
    let what = match outcome {
        Ok(()) => return Vec::new(),
        Err(TestError::Fail(reason, input)) => format!("{reason}, of {input:?}"),
        Err(TestError::Abort(reason)) => reason.to_string(),
    };
    vec![Breach {
        provider: name,
        example: Some(example.name),
        field: None,
        rule: Rule::Fuzzed,
        what,
    }]
}

fn found(subject: &Subject, example: &Example, changed: &Example) -> Vec<Breach> {
    let mut asker = Asker {
        subject,
        example,
        breaches: Vec::new(),
    };
    if let Outcome::Ready(ready) = asker.ask(changed, None) {
        let location = &ready.location;
        let snapshots = ready.snapshots.iter();
        let config = snapshots.flat_map(|at| at.config.values());
        let mut texts = std::iter::once(&location.bucket)
            .chain(&location.prefix)
            .chain(location.config.values())
            .chain(config);
        if texts.any(|text| text.contains(char::is_control)) {
            asker.breach(Rule::Fuzzed, None, "control characters get into a location");
        }
    }
    asker.breaches
}

fn spoiled(example: &Example, spoilings: &[Spoiling], address: Option<String>) -> Example {
    let mut changed = example.clone();
    for ((field, value), spoiling) in example.fields().zip(spoilings) {
        let said = |text: String| match value {
            Value::Secret(_) => Value::Secret(text.into()),
            Value::Plain(_) | Value::Unreadable(_) | Value::Echo(_) => Value::Plain(text),
        };
        let old = match value {
            Value::Secret(secret) => secret.expose_secret(),
            Value::Plain(text) | Value::Unreadable(text) | Value::Echo(text) => text,
        };
        changed = match spoiling {
            Spoiling::Kept => continue,
            Spoiling::Left => changed.with(field, None),
            Spoiling::Said(text) => changed.with(field, Some(&said(text.clone()))),
            Spoiling::Appended(text) => changed.with(field, Some(&said(format!("{old}{text}")))),
        };
    }
    if let (Some(address), Some((_, fields))) = (address, changed.relations.first_mut()) {
        fields.push(("secret-extra", Value::Plain(address)));
    }
    changed
}

fn spoiling() -> impl Strategy<Value = Spoiling> {
    prop_oneof![
        4 => Just(Spoiling::Kept),
        1 => Just(Spoiling::Left),
        2 => text().prop_map(Spoiling::Said),
        2 => text().prop_map(Spoiling::Appended),
    ]
}

/// Text of all kinds: of what means something to a format, to a terminal, to a parser; and of no kind.
fn text() -> impl Strategy<Value = String> {
    let nested = (1_usize..20_000, select(vec!["[", "{\"a\":", "(", "%25"]));
    prop_oneof![
        "\\PC{0,40}",
        any::<String>(),
        vec(select(STRANGE.to_vec()), 1..6).prop_map(|parts| parts.concat()),
        select(ADDRESSES.to_vec()).prop_map(str::to_owned),
        nested.prop_map(|(times, part)| part.repeat(times)),
        "https?://[a-z.@:\\[\\]%?#/\\\\0-9]{0,30}",
        "\\{\"[a-z_]{1,8}\": (null|[0-9]{1,40}|\"[a-z]{0,4}\"|\\[\\])\\}",
        "[\u{202a}-\u{202e}\u{200b}a./]{1,12}",
        (1_usize..300_000).prop_map(|times| "a".repeat(times)),
    ]
}
