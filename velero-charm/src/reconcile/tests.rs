use std::{
    fs,
    path::{Path, PathBuf},
};

/// What is in this folder, from the ground up: each imports only what stands before it.
const FLOORS: [&str; 12] = [
    "trust",
    "record",
    "observe",
    "validate",
    "strangers",
    "adopt",
    "plan",
    "assess",
    "hold",
    "report",
    "apply",
    "settle",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The siblings that a stage names after `start`, up to the end of the statement.
fn named_after<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = &'static str> + 'a {
    let imports = text.split(start).skip(1);
    imports.flat_map(|rest| {
        let statement = rest.split(';').next().unwrap_or_default();
        let words = statement.split(|c: char| !c.is_alphanumeric() && c != '_');
        let words: Vec<_> = words.collect();
        (FLOORS.iter().copied()).filter(move |floor| words.contains(floor))
    })
}

#[test]
fn imports_of_stages_look_down_only() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/reconcile");
    let mut paths = Vec::new();
    sources(&here, &mut paths);
    let mut upward = Vec::new();
    let mut seen = 0;
    for path in paths {
        let inside = path.strip_prefix(&here).unwrap();
        let is_test = inside
            .components()
            .any(|part| part.as_os_str().to_string_lossy().starts_with("tests"));
        let room = inside.iter().next().unwrap().to_string_lossy();
        let room = room.trim_end_matches(".rs");
        let Some(floor) = FLOORS.iter().position(|name| *name == room) else {
            assert!(["mod", "tests"].contains(&room), "`{room}` has no floor");
            continue;
        };
        let text = fs::read_to_string(&path).unwrap();
        let is_top = inside.components().count() == 1 || inside.ends_with("mod.rs");
        // In a file further below, `super` is the stage itself.
        let mut named: Vec<_> = named_after(&text, "use super::")
            .filter(|_| is_top)
            .collect();
        named.extend(named_after(&text, "reconcile::"));
        seen += named.len();
        let is_above = |name: &&&str| FLOORS.iter().position(|one| one == *name) > Some(floor);
        upward.extend(
            (named.iter().filter(|_| !is_test).filter(is_above))
                .map(|name| format!("{} imports {name}", inside.display())),
        );
    }
    assert!(seen > 15, "only {seen} imports were found");
    assert_eq!(upward, Vec::<String>::new());
}
