use std::collections::BTreeSet;

use super::*;

/// What the CLI says of itself; `tests/suites/tests/plane/actions` holds it against the CLI.
const HELP: &str = include_str!("help.txt");

/// The help of a command, by its words.
fn help(words: &str) -> &'static str {
    let mut sections = HELP.split("$ velero ").skip(1);
    sections
        .find_map(|section| section.strip_prefix(words)?.strip_prefix(" --help\n"))
        .unwrap_or_else(|| panic!("no help of `{words}`"))
}

fn verbs(kind: &str) -> BTreeSet<&'static str> {
    let (_, after) = help(kind).split_once("Available Commands:\n").unwrap();
    let lines = after.lines().take_while(|line| !line.is_empty());
    lines
        .map(|line| line.split_whitespace().next().unwrap())
        .collect()
}

/// A flag as the help shows it: `-w, --wait` or `    --ttl duration` or `--snapshot-volumes optionalBool[=true]`.
fn shown(line: &str) -> Option<String> {
    let line = line.trim_start();
    let (definition, _) = line.starts_with('-').then(|| line.split_once("  "))??;
    let (short, long) = match definition.split_once(", ") {
        Some((short, long)) => (short.strip_prefix('-'), long),
        None => (None, definition),
    };
    let (name, kind) = long.split_once(' ').unwrap_or((long, ""));
    let takes = if kind.is_empty() || kind.contains("[=") {
        Takes::Nothing
    } else {
        Takes::Value
    };
    let short = short.and_then(|short| short.chars().next());
    Some(described(name.strip_prefix("--")?, short, takes))
}

fn described(long: &str, short: Option<char>, takes: Takes) -> String {
    let short = short
        .map(|short| format!(" (-{short})"))
        .unwrap_or_default();
    match takes {
        Takes::Value => format!("--{long}{short} with a value"),
        Takes::Nothing => format!("--{long}{short}"),
    }
}

#[test]
fn verbs_of_the_cli_all_stand_in_the_table() {
    for kind in KINDS {
        let ours: BTreeSet<_> = of(kind).map(|verb| verb.name).collect();
        assert_eq!(ours, verbs(kind), "`velero {kind}` has other verbs");
    }
}

#[test]
fn flags_of_the_cli_all_stand_in_the_table() {
    let mut differences = Vec::new();
    for verb in VERBS.iter().filter(|verb| verb.rule == Rule::Passes) {
        let words = format!("{} {}", verb.kind, verb.name);
        let theirs: BTreeSet<_> = help(&words).lines().filter_map(shown).collect();
        let ours: BTreeSet<_> = verb
            .flags()
            .map(|flag| described(flag.long, flag.short, flag.takes))
            .collect();
        let new = theirs.difference(&ours);
        differences.extend(new.map(|flag| format!("`{words}` has a flag without a rule: {flag}")));
        let gone = ours.difference(&theirs);
        differences.extend(gone.map(|flag| format!("`{words}` does not have the flag {flag}")));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn flags_of_a_verb_stand_once() {
    for verb in VERBS {
        let flags: Vec<_> = verb.flags().collect();
        let longs: BTreeSet<_> = flags.iter().map(|flag| flag.long).collect();
        assert_eq!(longs.len(), flags.len(), "{} {}", verb.kind, verb.name);
        let shorts: Vec<_> = flags.iter().filter_map(|flag| flag.short).collect();
        let distinct: BTreeSet<_> = shorts.iter().collect();
        assert_eq!(distinct.len(), shorts.len(), "{} {}", verb.kind, verb.name);
    }
}

#[test]
fn flags_that_lead_elsewhere_are_refused_everywhere() {
    for verb in VERBS {
        for name in [
            "namespace",
            "kubeconfig",
            "kubecontext",
            "log_file",
            "log_dir",
            "v",
            "vmodule",
        ] {
            let flag = verb.long(name).unwrap();
            assert!(matches!(flag.rule, Rule::Refused(_)), "{name}");
        }
        for name in ["cacert", "insecure-skip-tls-verify"] {
            let passes = verb
                .long(name)
                .is_some_and(|flag| flag.rule == Rule::Passes);
            assert!(!passes, "{name}");
        }
    }
}
