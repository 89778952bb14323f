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
    &["stranger", "volumes"],
    &["error"],
    &["context"],
    &["reconcile"],
    &["remove", "actions", "command_line"],
    &["main"],
];

/// The same of the stages of a hook, in `reconcile`.
const STAGES: [&[&str]; 12] = [
    &["trust"],
    &["observe"],
    &["validate"],
    &["strangers"],
    &["adopt"],
    &["plan"],
    &["assess"],
    &["hold"],
    &["report"],
    &["apply"],
    &["settle"],
    &["inspect"],
];

/// The folder of the stages.
const HOOK: &str = "reconcile";

/// The first floor that may know providers.
const KNOWS_PROVIDERS: &str = "ours";

/// The floor that a room is on.
fn floor(room: &str, floors: &[&[&str]]) -> Option<usize> {
    floors.iter().position(|rooms| rooms.contains(&room))
}

/// Whether one room may import another, or itself.
fn may_import(from: &str, to: &str, floors: &[&[&str]]) -> bool {
    floor(to, floors) < floor(from, floors) || from == to
}

/// Each other file of the crate with the names of the modules that it is in.
pub(crate) fn sources() -> Vec<(Vec<String>, String)> {
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

/// The paths, from the crate's root, of what the code of a module imports or names by `crate::` or `super::`.
fn imports(text: &str, module: &[String]) -> Vec<Vec<String>> {
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
            let mut base = module;
            while let Some(next) = rest.strip_prefix("super::") {
                rest = next;
                // Past the root: that of a module inside this file.
                base = base.split_last().map_or(base, |(_, outer)| outer);
            }
            let base = match rest.strip_prefix("crate::") {
                Some(next) => {
                    rest = next;
                    &[]
                }
                None => base,
            };
            found.extend(leaves(rest).into_iter().map(|leaf| [base, &leaf].concat()));
        }
    }
    found
}

/// What a path leads to, or each path of its groups.
fn leaves(path: &str) -> Vec<Vec<String>> {
    let path = path.trim_start();
    if let Some(group) = path.strip_prefix('{') {
        return parts(group).into_iter().flat_map(leaves).collect();
    }
    let is_word = |c: &char| c.is_alphanumeric() || *c == '_';
    let name: String = path.chars().take_while(is_word).collect();
    if name.is_empty() {
        return Vec::new();
    }
    let further = path
        .get(name.len()..)
        .and_then(|rest| rest.strip_prefix("::"));
    let further = further.map(leaves).unwrap_or_default();
    if further.is_empty() {
        return vec![vec![name]];
    }
    let whole = |inner| [vec![name.clone()], inner].concat();
    further.into_iter().map(whole).collect()
}

/// What stands between the commas of a group, of which the opening brace is left out.
fn parts(group: &str) -> Vec<&str> {
    let (mut depth, mut start) = (0, 0);
    let mut found = Vec::new();
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.extend(group.get(start..at));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.extend(group.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

/// Fails if a room has no floor, or imports one that is not below it. Rooms are the modules at this depth. Gives
/// how many imports it has seen.
fn assert_lower(
    sources: impl IntoIterator<Item = (Vec<String>, String)>,
    depth: usize,
    floors: &[&[&str]],
) -> usize {
    let mut seen = 0;
    for (modules, text) in sources {
        let (file, room) = (modules.join("::"), &modules[depth]);
        assert!(floor(room, floors).is_some(), "`{room}` has no floor");
        for import in imports(&text, &modules) {
            let is_near = import.get(..depth) == modules.get(..depth);
            // What has no floor is no room, but a name of the file's own.
            let other = import.get(depth).filter(|_| is_near);
            let Some(other) = other.filter(|other| floor(other, floors).is_some()) else {
                continue;
            };
            seen += 1;
            let is_lower = may_import(room, other, floors);
            assert!(
                is_lower,
                "`{file}` imports `{other}`, which is no lower room"
            );
        }
    }
    seen
}

#[test]
fn imports_look_down_only() {
    let seen = assert_lower(sources(), 0, &FLOORS);
    assert!(seen > 100, "only {seen} imports were found");
}

#[test]
fn imports_of_stages_look_down_only() {
    let is_stage = |modules: &[String]| {
        let is_test = modules.iter().any(|module| module.starts_with("tests"));
        modules.len() > 1 && modules[0] == HOOK && !is_test
    };
    let stages = sources().into_iter();
    let seen = assert_lower(stages.filter(|(modules, _)| is_stage(modules)), 1, &STAGES);
    assert!(seen > 15, "only {seen} imports were found");
}

#[test]
fn lower_floors_know_no_provider() {
    let first = floor(KNOWS_PROVIDERS, &FLOORS).unwrap();
    for (modules, text) in sources() {
        let floor = floor(&modules[0], &FLOORS).unwrap();
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
    let found: Vec<_> = imports(text, &["attic".to_owned()])
        .into_iter()
        .map(|path| path.join("::"))
        .collect();
    let expected = [
        "juju",
        "cluster::Cluster",
        "cluster::follow::self",
        "cluster::follow::Lost",
        "velero::self",
        "velero::kind",
        "ours",
        "relations::g",
        "reconcile::h",
        "own",
    ];
    assert_eq!(found, expected);
    let inner = imports(
        "use super::super::plan;",
        &["reconcile", "a", "b"].map(str::to_owned),
    );
    assert_eq!(inner, [["reconcile", "plan"]]);
}

#[test]
fn rooms_of_one_floor_do_not_know_each_other() {
    assert!(!may_import("juju", "cluster", &FLOORS));
    assert!(!may_import("velero", "ours", &FLOORS));
    assert!(may_import("ours", "velero", &FLOORS));
    assert!(may_import("reconcile", "reconcile", &FLOORS));
}
