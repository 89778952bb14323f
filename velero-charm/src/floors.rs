//! The floors of the house, which these tests hold: imports look down only.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// From the bottom. A room knows those of lower floors, and none of its own.
const FLOORS: [&[&str]; 10] = [
    &["juju", "cluster"],
    &["velero"],
    &["ours"],
    &["relations"],
    &["stranger"],
    &["error"],
    &["context"],
    &["reconcile"],
    &["remove", "actions", "command_line"],
    &["main"],
];

/// The first floor that may know providers.
const KNOWS_PROVIDERS: &str = "ours";

/// The floor that a room is on.
fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// Whether one room may import another, or itself; `None` if one of them has no floor.
fn may_import(from: &str, to: &str) -> Option<bool> {
    Some(floor(to)? < floor(from)? || from == to)
}

/// Each other file of the crate with the names of the modules that it is in.
fn sources() -> Vec<(Vec<String>, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path != root.join("floors.rs") {
                // This file has examples in it.
                let text = fs::read_to_string(&path).unwrap();
                found.push((modules(path.strip_prefix(&root).unwrap()), text));
            }
        }
    }
    found
}

fn modules(file: &Path) -> Vec<String> {
    let path: PathBuf = file.with_extension("");
    let names = path.iter().map(|name| name.to_str().unwrap().to_owned());
    names.filter(|name| name != "mod").collect()
}

/// The code without what stands in comments.
fn code(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// The modules at the crate's root that the code of a file at this depth names.
fn imports(text: &str, depth: usize) -> Vec<String> {
    let code = code(text);
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let before = code.get(..at).unwrap();
            // The end of a longer name, or a later part of a path.
            if before.ends_with(is_word) || before.ends_with("::") {
                continue;
            }
            let mut rest = code.get(at..).unwrap();
            let mut steps = 0;
            while let Some(next) = rest.strip_prefix(start) {
                (rest, steps) = (next, steps + 1);
            }
            if start == "super::" && steps < depth {
                continue;
            }
            let names = first_names(rest);
            // From inside the file `super` may be its own module.
            let is_meant = |name: &String| start == "crate::" || floor(name).is_some();
            found.extend(names.into_iter().filter(is_meant));
        }
    }
    found
}

/// The first part of a path, or of each path of a group.
fn first_names(path: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        let is_word = |c: &char| c.is_alphanumeric() || *c == '_';
        text.trim_start().chars().take_while(is_word).collect()
    };
    let Some(group) = path.strip_prefix('{') else {
        return vec![word(path)];
    };
    let mut depth = 0;
    let mut names = vec![word(group)];
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(word(group.get(at + 1..).unwrap())),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn imports_look_down_only() {
    for (modules, text) in sources() {
        let (file, room) = (modules.join("::"), &modules[0]);
        for import in imports(&text, modules.len()) {
            match may_import(room, &import) {
                Some(true) => {}
                Some(false) => panic!("`{file}` imports `{import}`, which is no lower room"),
                None => panic!("`{room}` or `{import}`, which it imports, has no floor"),
            }
        }
    }
}

#[test]
fn lower_floors_know_no_provider() {
    let first = floor(KNOWS_PROVIDERS).unwrap();
    for (modules, text) in sources() {
        let floor = floor(&modules[0]).unwrap();
        let is_known = ["provider_api", "providers::"]
            .iter()
            .any(|name| code(&text).contains(name));
        assert!(floor >= first || !is_known, "{}", modules.join("::"));
    }
}

#[test]
fn imports_are_read_from_paths_and_groups() {
    let text = "
        use crate::juju; // crate::main
        use crate::{
            cluster::{Cluster, follow::{self, Lost}},
            velero::{self, kind}, ours,
        };
        /// [`crate::main`]
        fn f() { crate::relations::g(super::reconcile::h, my_crate::x, super::own) }
    ";
    let found = imports(text, 1);
    let expected = [
        "juju",
        "cluster",
        "velero",
        "ours",
        "relations",
        "reconcile",
    ];
    assert_eq!(found, expected);
    assert!(!imports(text, 2).contains(&"reconcile".to_owned()));
}

#[test]
fn rooms_of_one_floor_do_not_know_each_other() {
    assert_eq!(may_import("juju", "cluster"), Some(false));
    assert_eq!(may_import("velero", "ours"), Some(false));
    assert_eq!(may_import("ours", "velero"), Some(true));
    assert_eq!(may_import("reconcile", "reconcile"), Some(true));
    assert_eq!(may_import("attic", "juju"), None);
}
