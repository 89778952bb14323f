//! The page of options, made from `charmcraft.yaml` and the table.

use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use serde_json::Value;

use super::{
    table::{Form, ROWS, Row},
    tests::declared,
};
use crate::velero::{
    SERVER,
    document::{Document, Reading},
    settings::{Place, Program},
};

const INTRODUCTION: &str = "# Options

What `juju config` takes, made by a test from `charmcraft.yaml` and the table that the charm reads by:
`UPDATE_DOCS=1 cargo test -p velero-charm page_of_options`.

All options are checked together, and each that is wrong is named with what to do; nothing is changed until all
are right. An option at its default leaves Velero its own value.

## What becomes settings of Velero

What an option sets is the charm's: an edit of it by hand is undone, and where an option takes the place of memory
or processors that somebody had set, or of what somebody has written into a ConfigMap, the log says so. What no option
sets stays as it was edited. `velero-node-agent-config` and `velero-volume-policies` have one key, since Velero refuses
them with more: any other is taken out.

The model's proxies (`juju-http-proxy`, `juju-https-proxy`, `juju-no-proxy`) become `HTTP_PROXY`, `HTTPS_PROXY` and
`NO_PROXY` of the server and the node agent, of what they start, and of the CLI behind `run`; names and addresses of
Services are excepted. They stand in the pods as they stand in `juju model-config`, a password in them too.

A change that restarts something is held back while a Backup, a Restore or the data of a volume is worked on, for six
hours at most.

| option | default | what it may be | becomes | restarts | held while work is in flight |
| --- | --- | --- | --- | --- | --- |
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
            "| `{}` | {} | {} | {} | {} | {} |",
            row.option,
            shown(default),
            range(row),
            joined(row.places.iter().map(|place| becomes(*place))),
            joined(restarts(row.places).into_iter().map(Restart::words)),
            held(row.places),
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

/// Who is restarted, where in any case not with a condition again.
fn restarts(places: &[Place]) -> Vec<Restart> {
    let all: Vec<_> = places.iter().filter_map(|place| restart(*place)).collect();
    let is_certain = |restart: &Restart| match restart {
        Restart::Always(_) => true,
        Restart::WithTheMap(program) => !all.contains(&Restart::Always(*program)),
    };
    all.iter().filter(|one| is_certain(one)).copied().collect()
}

/// What ends pods waits, as `hold.rs` has it.
fn held(places: &[Place]) -> &'static str {
    let all = restarts(places);
    let is_always = |restart: &Restart| matches!(restart, Restart::Always(_));
    if all.iter().any(is_always) {
        "yes"
    } else {
        "no, but for that restart"
    }
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
        Form::Text(text) | Form::Found(text, _) => text.shape.into(),
        Form::Pairs(pairs) => pairs.shape.into(),
        Form::Yaml(_) => "YAML".into(),
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
        Place::Labels(program) => format!("labels of the pod of {}", who(program)),
        Place::Note(program, name) => {
            format!("annotation `{name}` of the pod of {}", who(program))
        }
        Place::AccountAnnotations => format!("annotations of ServiceAccount `{SERVER}`"),
        Place::Folder(program, volume, _) => format!("volume `{volume}` of {}", who(program)),
        Place::Field(document, []) => format!("all {}", in_map(document)),
        Place::Field(document, path) => format!("`{}` {}", path.join("."), in_map(document)),
        Place::Resource(document, field) => {
            format!("`podResources.{field}` {}", in_map(document))
        }
        Place::Nodes(document) => format!("`loadAffinity` {}", in_map(document)),
    }
}

fn in_map(document: Document) -> String {
    format!("in ConfigMap `{}`", document.name())
}

/// Whose pods a setting replaces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Restart {
    Always(Program),
    /// If the ConfigMap comes or goes.
    WithTheMap(Program),
}

impl Restart {
    fn words(self) -> String {
        match self {
            Self::Always(program) => who(program).into(),
            Self::WithTheMap(program) => {
                format!("{}, if the ConfigMap comes or goes", who(program))
            }
        }
    }
}

fn restart(place: Place) -> Option<Restart> {
    let restart = match place {
        Place::AccountAnnotations => return None,
        Place::Argument(program, _)
        | Place::Container(program, _)
        | Place::Variable(program, _)
        | Place::Pod(program, _)
        | Place::Labels(program)
        | Place::Note(program, _)
        | Place::Folder(program, ..) => Restart::Always(program),
        Place::Field(document, _) | Place::Resource(document, _) | Place::Nodes(document) => {
            let reader = document.reader();
            match document.reading() {
                Reading::AtStart => Restart::Always(reader),
                Reading::AtEachUse => Restart::WithTheMap(reader),
            }
        }
    };
    Some(restart)
}
