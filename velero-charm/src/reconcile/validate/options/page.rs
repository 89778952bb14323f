//! The page of options, made from `charmcraft.yaml` and the table.

use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use serde_json::Value;

use super::{
    table::{Form, ROWS, Row},
    tests::declared,
};
use crate::velero::settings::{Place, Program};

const INTRODUCTION: &str = "# Options

What `juju config` takes, made by a test from `charmcraft.yaml` and the table that the charm reads by:
`UPDATE_DOCS=1 cargo test -p velero-charm page_of_options`.

All options are checked together, and each that is wrong is named with what to do; nothing is changed until all
are right. An option at its default leaves Velero its own value.

## What becomes settings of Velero

What an option sets is the charm's: an edit of it by hand is undone, and where an option takes the place of memory
or processors that somebody had set, the log says so. What no option sets stays as it was edited.

The model's proxies (`juju-http-proxy`, `juju-https-proxy`, `juju-no-proxy`) become `HTTP_PROXY`, `HTTPS_PROXY` and
`NO_PROXY` of the server and the node agent, of what they start, and of the CLI behind `run`; names and addresses of
Services are excepted. They stand in the pods as they stand in `juju model-config`, a password in them too.

A restart is held back while a Backup, a Restore or the data of a volume is worked on, for six hours at most.

| option | default | what it may be | becomes | restarts |
| --- | --- | --- | --- | --- |
";

const OTHERS: &str = "
## The others

| option | default | what it is for |
| --- | --- | --- |
";

#[test]
fn page_of_options_is_as_they_are() {
    let page = page();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/options.md");
    if is_update() {
        std::fs::write(&path, &page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == page,
        "UPDATE_DOCS=1 writes {} again",
        path.display()
    );
}

#[expect(clippy::disallowed_methods, reason = "a developer asks for it")]
fn is_update() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some()
}

fn page() -> String {
    let declared = declared();
    let mut page = INTRODUCTION.to_owned();
    for row in ROWS {
        let default = &declared[row.option]["default"];
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {} |",
            row.option,
            shown(default),
            range(row),
            joined(row.places.iter().map(|place| becomes(*place))),
            joined(row.places.iter().map(|place| restarts(*place).to_owned())),
        );
    }
    page += OTHERS;
    for (name, option) in declared.as_object().unwrap() {
        if ROWS.iter().all(|row| row.option != name) {
            let description = option["description"].as_str().unwrap();
            let description: Vec<_> = description.split_whitespace().collect();
            let (default, description) = (shown(&option["default"]), description.join(" "));
            let _ = writeln!(page, "| `{name}` | {default} | {description} |");
        }
    }
    page
}

/// Each once.
fn joined(all: impl Iterator<Item = String>) -> String {
    let mut seen = BTreeSet::new();
    let all = all.filter(|one| seen.insert(one.clone()));
    all.collect::<Vec<_>>().join("<br>")
}

fn shown(default: &Value) -> String {
    match default {
        Value::Null => "not set".into(),
        Value::String(text) if text.is_empty() => "empty".into(),
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

fn range(row: &Row) -> String {
    match row.form {
        Form::Flag => "`true`, `false`".into(),
        Form::Number { range, .. } => {
            let range = range();
            format!("{} to {}", range.start(), range.end())
        }
        Form::Text(text) => text.shape.into(),
        Form::Word(words) | Form::InCluster(words, _) => {
            let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
            words.join(", ")
        }
    }
}

fn who(program: Program) -> &'static str {
    match program {
        Program::Server => "the server",
        Program::NodeAgent => "the node agent",
    }
}

fn becomes(place: Place) -> String {
    match place {
        Place::Argument(program, flag) => format!("`--{flag}` of {}", who(program)),
        Place::Container(program, path) => format!("`{}` of {}", path.join("."), who(program)),
        Place::Variable(program, name) => format!("`{name}` of {}", who(program)),
        Place::Pod(program, field) => format!("`{field}` of the pod of {}", who(program)),
        Place::Folder(program, volume, _) => format!("volume `{volume}` of {}", who(program)),
    }
}

fn restarts(place: Place) -> &'static str {
    match place {
        Place::Argument(program, _)
        | Place::Container(program, _)
        | Place::Variable(program, _)
        | Place::Pod(program, _)
        | Place::Folder(program, ..) => who(program),
    }
}
