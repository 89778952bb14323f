//! What the documents name is there.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
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

/// What stands in a fenced block is a file's text, which may be meant for another place.
fn prose(document: &Path) -> String {
    let text = fs::read_to_string(document).unwrap();
    text.split("\n```").step_by(2).collect()
}

/// The anchors of a page's headings, as forges and the site make them.
fn anchors(document: &Path) -> BTreeSet<String> {
    let of_heading = |line: &str| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter_map(|letter| match letter {
            ' ' => Some('-'),
            '-' | '_' => Some(letter),
            _ => letter.is_alphanumeric().then_some(letter),
        });
        kept.collect()
    };
    let text = prose(document);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(of_heading).collect()
}

/// A link to a file of the repository, and to a heading in it, leads somewhere.
#[test]
fn links_between_documents_lead_somewhere() {
    let mut broken = Vec::new();
    let documents = ending("md");
    for document in &documents {
        for link in prose(document).split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            if path.contains("://") {
                continue;
            }
            let target = if path.is_empty() {
                document.clone()
            } else {
                document.parent().unwrap().join(path)
            };
            let is_page = target.extension().is_some_and(|its| its == "md");
            let leads = target.exists()
                && (anchor.is_empty() || !is_page || anchors(&target).contains(anchor));
            if !leads {
                broken.push(format!("{}: {link}", document.display()));
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

const ACTIONS: &str = "\
# Actions

What `juju run velero-operator/0 <action>` takes and does, on any unit. A parameter that is wrong is named with all
others that are, and then nothing is started. An action that is killed leaves nothing half done: the same action takes
up what it has left, and `list-backups` shows it.

A test makes this page from `charmcraft.yaml`.
";

/// The page of actions, as `charmcraft.yaml` has them.
fn page_of_actions() -> String {
    let text = fs::read_to_string(workspace().join("charmcraft.yaml")).unwrap();
    let charm: Value = serde_saphyr::from_str(&text).unwrap();
    let mut page = ACTIONS.to_owned();
    for (name, action) in charm["actions"].as_object().unwrap() {
        let description = action["description"].as_str().unwrap().trim();
        write!(page, "\n## {name}\n\n{description}\n").unwrap();
        page.push_str("\n| parameter | type | default | |\n| --- | --- | --- | --- |\n");
        let required = action["required"].as_array();
        for (name, parameter) in action["params"].as_object().unwrap() {
            let is_required = required.is_some_and(|all| all.contains(&name.as_str().into()));
            let default = match &parameter["default"] {
                Value::Null if is_required => "required".to_owned(),
                Value::Null => String::new(),
                Value::String(text) => format!("`{text}`"),
                other => format!("`{other}`"),
            };
            let kind = match parameter["enum"].as_array() {
                Some(values) => {
                    let values = values.iter().filter_map(Value::as_str);
                    values
                        .map(|one| format!("`{one}`"))
                        .collect::<Vec<_>>()
                        .join(" or ")
                }
                None => parameter["type"].as_str().unwrap().to_owned(),
            };
            let words = parameter["description"].as_str().unwrap();
            let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
            writeln!(page, "| `{name}` | {kind} | {default} | {words} |").unwrap();
        }
    }
    page
}

/// With `UPDATE_DOCS=1` the page is written again instead of compared.
#[test]
fn page_of_actions_is_that_of_the_charm() {
    let path = workspace().join("docs/reference/actions.md");
    let page = page_of_actions();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap();
    assert!(
        written == page,
        "docs/reference/actions.md is not what `charmcraft.yaml` says"
    );
}

/// Juju 4 lets nothing in that is not declared, and no other release should.
#[test]
fn actions_take_nothing_undeclared() {
    let text = fs::read_to_string(workspace().join("charmcraft.yaml")).unwrap();
    let charm: Value = serde_saphyr::from_str(&text).unwrap();
    for (name, action) in charm["actions"].as_object().unwrap() {
        assert_eq!(action["additionalProperties"], false, "{name}");
        for (parameter, its) in action["params"].as_object().unwrap() {
            assert!(its["type"].is_string(), "{name} {parameter}");
            assert!(its["description"].is_string(), "{name} {parameter}");
        }
    }
}
