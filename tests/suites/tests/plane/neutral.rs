//! The charm knows no provider: it names none, in code, words or tests.

use std::fs;
use std::path::PathBuf;

use worlds::operator::workspace;

use crate::files;

/// What people call them, whatever the registry holds.
const CLOUDS: [&str; 6] = ["amazon", "aws", "azure", "gcp", "google", "s3"];

/// Kinds of volumes, as Kubernetes calls them.
const OF_KUBERNETES: [&str; 3] = ["awselasticblockstore", "azuredisk", "azurefile"];

/// Every word by which a provider could be known.
fn words() -> Vec<String> {
    let mut words = CLOUDS.map(str::to_owned).to_vec();
    for descriptor in providers::registry().unwrap().descriptors() {
        let endpoints = descriptor.endpoints().flat_map(|e| [e.name, e.interface]);
        let names = [
            descriptor.name,
            descriptor.integrator,
            descriptor.plugin.option,
            descriptor.plugin.default,
        ];
        words.extend(endpoints.chain(names).map(str::to_lowercase));
    }
    words
}

/// The lines of a text that have one of the words in them, be it as the start of a longer one.
fn naming<'a>(text: &'a str, words: &[String]) -> Vec<&'a str> {
    let names = |line: &&str| {
        let line = OF_KUBERNETES
            .iter()
            .fold(line.to_lowercase(), |line, known| line.replace(known, ""));
        words.iter().any(|word| {
            line.match_indices(word).any(|(at, _)| {
                let before = line.get(..at).and_then(|start| start.chars().next_back());
                !before.is_some_and(char::is_alphanumeric)
            })
        })
    };
    text.lines().filter(names).collect()
}

/// Fails if one of the files has one of the words in it.
fn assert_without(words: &[String], sources: &[PathBuf]) {
    let texts = sources.iter().map(|path| {
        let text = fs::read_to_string(path).unwrap();
        (path.display(), text)
    });
    let named: Vec<_> = texts
        .flat_map(|(path, text)| {
            let lines = naming(&text, words).into_iter();
            lines
                .map(|line| format!("{path}: {line}"))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(named.is_empty(), "{named:#?}");
}

#[test]
fn the_charm_names_no_provider() {
    let sources = files(&workspace().join("velero-charm/src"));
    assert!(sources.len() > 20, "{} files", sources.len());

    assert_without(&words(), &sources);
}

/// The emulator and the stack could leave tomorrow. Recordings are of what real charms were called.
#[test]
fn emulator_and_stack_know_nothing_of_this_charm() {
    let words = [
        "velero",
        "worlds",
        "suites",
        "figures",
        "provider-api",
        "provider_api",
    ]
    .map(str::to_owned);
    for (room, least) in [("juju-emulator", 40), ("kube-stack", 20)] {
        let room = workspace().join("tests").join(room);
        let mut sources = files(&room.join("src"));
        assert!(sources.len() >= least, "{} files", sources.len());
        sources.extend(["Cargo.toml", "README.md"].map(|file| room.join(file)));
        assert_without(&words, &sources);
    }
}

#[test]
fn name_is_found_in_any_form() {
    let words = words();
    let text = "struct AwsStore;\nlet s3_url = 1;\n\"azure-storage\"\nlaws, chaws3\n// Amazon's";
    let found = [
        "struct AwsStore;",
        "let s3_url = 1;",
        "\"azure-storage\"",
        "// Amazon's",
    ];
    assert_eq!(naming(text, &words), found);
}
