//! What the documents name is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use worlds::operator::workspace;

use crate::files;

const WITH_TESTS: [&str; 2] = ["ARCHITECTURE.md", "docs/explanation/the-python-charm.md"];

/// The workspace's files with this extension.
fn ending(extension: &str) -> Vec<PathBuf> {
    let mut found = files(workspace());
    found.retain(|path| path.extension().is_some_and(|its| its == extension));
    found
}

/// What stands between backticks and looks like the name of a test: words with underscores.
fn named_tests(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2).filter(|name| {
        name.matches('_').count() >= 2
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    })
}

/// The name of every function in the workspace.
fn functions() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in ending("rs") {
        let text = fs::read_to_string(&path).unwrap();
        let names = text.split("fn ").skip(1).filter_map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
            rest.get(..end).map(ToOwned::to_owned)
        });
        found.extend(names);
    }
    found
}

#[test]
fn tests_named_in_documents_exist() {
    let functions_there = functions();
    let mut missing = Vec::new();
    let mut seen = 0;
    for document in WITH_TESTS {
        let text = fs::read_to_string(workspace().join(document)).unwrap();
        for name in named_tests(&text) {
            seen += 1;
            if !functions_there.contains(name) {
                missing.push(format!("{document}: `{name}`"));
            }
        }
    }
    assert!(seen > 20, "only {seen} names were found");
    assert!(missing.is_empty(), "no such test:\n{}", missing.join("\n"));
}

/// Documents shorten paths from the left: `reconcile/hold.rs` is the end of one.
#[test]
fn sources_named_in_documents_exist() {
    let sources = ending("rs");
    let mut missing = Vec::new();
    let mut seen = 0;
    for document in ending("md") {
        let text = fs::read_to_string(&document).unwrap();
        let prose: String = text.split("\n```").step_by(2).collect();
        for name in prose.split('`').skip(1).step_by(2) {
            let is_source = Path::new(name).extension().is_some_and(|end| end == "rs");
            if !is_source || name.contains([' ', '*', '<']) {
                continue;
            }
            seen += 1;
            let next_to_it = document.parent().unwrap().join(name);
            if !next_to_it.exists() && !sources.iter().any(|source| source.ends_with(name)) {
                missing.push(format!("{}: `{name}`", document.display()));
            }
        }
    }
    assert!(seen > 20, "only {seen} names were found");
    assert!(missing.is_empty(), "no such file:\n{}", missing.join("\n"));
}

/// A link to a file of the repository leads somewhere.
#[test]
fn links_between_documents_lead_somewhere() {
    let mut broken = Vec::new();
    let documents = ending("md");
    for document in &documents {
        let text = fs::read_to_string(document).unwrap();
        // What stands in a fenced block is a file's text, which may be meant for another place.
        let prose: String = text.split("\n```").step_by(2).collect();
        for link in prose.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap();
            let is_file = !target.is_empty() && !target.contains("://");
            if is_file && !document.parent().unwrap().join(target).exists() {
                broken.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(documents.len() > 3);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// One way is documented that keeps the files of volumes: two options, set together.
#[test]
fn documents_save_files_of_volumes_by_the_same_options() {
    let mut documents = ending("md");
    documents.push(workspace().join("charmcraft.yaml"));
    let recordings = workspace().join("tests");
    for document in documents
        .iter()
        .filter(|file| !file.starts_with(&recordings))
    {
        let text = fs::read_to_string(document).unwrap();
        let name = document.display();
        let flag = "--default-volumes-to-fs-backup";
        assert!(!text.contains(flag), "{name} has files by a flag");
        for line in text.lines().filter(|line| line.contains("juju config")) {
            let one = line.contains("use-node-agent=true");
            let other = line.contains("default-volumes-to-fs-backup=true");
            assert_eq!(one, other, "{name}: {line}");
        }
    }
}
