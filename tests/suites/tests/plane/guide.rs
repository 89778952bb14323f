//! The guide for adding a provider, carried out as it stands in `CONTRIBUTING.md`.
//!
//! Its blocks are all that a throw-away provider is made of. It is built in a copy of the workspace, which
//! shares what the workspace has compiled of others' crates, and nothing else: cargo tells two workspaces'
//! crates apart by their version.
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Output;

use kube_stack as stack;
use serde_json::Value;
use tokio::sync::OnceCell;
use worlds::operator;

const SECTION: &str = "## Adding a provider";
/// Neither source nor anything that a build needs.
const LEFT_OUT: [&str; 4] = [".git", ".stack", "target", "node_modules"];

/// The version of the workspace's crates, and that of the copy's.
const VERSIONS: [&str; 2] = [
    concat!("\nversion = \"", env!("CARGO_PKG_VERSION"), "\"\n"),
    concat!("\nversion = \"", env!("CARGO_PKG_VERSION"), "-guide\"\n"),
];

/// What is built together with whatever is built: its libraries have the features that they have in the workspace
/// then, and are not built again.
const TOGETHER: [&str; 4] = [
    "--offline",
    "--package=provider-swift",
    "--package=velero-charm",
    "--package=suites",
];

/// What a block of the guide does to a file.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// The file is this.
    Make(String),
    /// Where the first is, there the second has to be.
    Change(String, String),
}

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// The blocks that name a file.
fn steps(guide: &str) -> Vec<(PathBuf, Step)> {
    let (_, rest) = guide.split_once(SECTION).unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let mut steps = Vec::new();
    let mut lines = section.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            continue;
        };
        let (language, path) = info.split_once(' ').expect("a block names its file");
        let body: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        let step = if language == "diff" {
            change(&body)
        } else {
            Step::Make(body.join("\n") + "\n")
        };
        steps.push((path.into(), step));
    }
    steps
}

fn change(diff: &[&str]) -> Step {
    let side = |left_out: char| {
        let lines = diff.iter().filter(|line| !line.starts_with(left_out));
        let texts = lines.map(|line| line.get(1..).unwrap_or_default());
        texts.collect::<Vec<_>>().join("\n") + "\n"
    };
    Step::Change(side('+'), side('-'))
}

fn carry_out(steps: Vec<(PathBuf, Step)>, files: &mut Files) {
    for (path, step) in steps {
        let name = path.display();
        match step {
            Step::Make(text) => {
                let before = files.insert(path.clone(), text.into_bytes());
                assert!(before.is_none(), "`{name}` is there already");
            }
            Step::Change(before, after) => {
                let file = files.get_mut(&path);
                let file = file.unwrap_or_else(|| panic!("there is no `{name}`"));
                let text = String::from_utf8(file.clone()).unwrap();
                let places = text.matches(&before).count();
                assert_eq!(places, 1, "`{name}` has so many places for:\n{before}");
                *file = text.replace(&before, &after).into_bytes();
            }
        }
    }
}

fn read(root: &Path, folder: &Path, files: &mut Files) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if LEFT_OUT.iter().any(|name| entry.file_name() == *name) {
        } else if kind.is_dir() {
            read(root, &path, files);
        } else if kind.is_file() {
            let name = path.strip_prefix(root).unwrap().to_owned();
            files.insert(name, fs::read(&path).unwrap());
        }
    }
}

/// Only what is not so yet, so that cargo finds unchanged files as old as they were.
fn write(root: &Path, files: &Files) {
    let mut there = Files::new();
    fs::create_dir_all(root).unwrap();
    read(root, root, &mut there);
    for path in there.keys().filter(|path| !files.contains_key(*path)) {
        fs::remove_file(root.join(path)).unwrap();
    }
    for (path, content) in files {
        if there.get(path) != Some(content) {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }
}

fn target() -> PathBuf {
    let chosen = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    operator::workspace().join(chosen.unwrap_or_else(|| "target".into()))
}

/// The workspace with the guide carried out, once for all tests, and the guide's own provider tested there:
/// that also writes it into `Cargo.lock`.
async fn workspace() -> &'static Path {
    static WORKSPACE: OnceCell<PathBuf> = OnceCell::const_new();
    let made = WORKSPACE.get_or_init(async || {
        let mut files = Files::new();
        read(operator::workspace(), operator::workspace(), &mut files);
        let guide = String::from_utf8(files[Path::new("CONTRIBUTING.md")].clone()).unwrap();
        carry_out(steps(&guide), &mut files);
        let [ours, theirs] = VERSIONS.map(str::to_owned);
        let version = Step::Change(ours, theirs);
        carry_out(vec![("Cargo.toml".into(), version)], &mut files);
        let root = target().join("guide/workspace");
        write(&root, &files);
        let link = root.join(".stack");
        // The folder may be an earlier clone's.
        let _ = fs::remove_file(&link);
        symlink(stack::folder().unwrap(), link).unwrap();
        let kit = [&["test", "--lib"], &TOGETHER[..]].concat();
        let kit = cargo(&root, &kit).await;
        assert!(kit.contains("provider_holds_the_contract ... ok"), "{kit}");
        root
    });
    made.await
}

/// What cargo prints, which has to go well.
async fn cargo(root: &Path, arguments: &[&str]) -> String {
    let mut cargo = operator::cargo();
    let output: Output = cargo
        .args(arguments)
        .current_dir(root)
        .env("CARGO_BUILD_BUILD_DIR", target())
        .env("CARGO_TARGET_DIR", target().join("guide/out"))
        .env("CHARM_PROFILE", "dev")
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "cargo {arguments:?}: {said}\n{}",
        String::from_utf8_lossy(&output.stdout)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn guide_alone_makes_a_provider_that_is_linked() {
    let root = workspace().await;
    cargo(root, &["fmt", "--all", "--check"]).await;

    let locked = ["build", "--locked", "--message-format=json"];
    let build = [&locked[..], &["--bin=velero-charm"], &TOGETHER].concat();
    let messages = cargo(root, &build).await;
    let program = messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    let listed = std::process::Command::new(program.unwrap())
        .arg("providers")
        .env_clear()
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let ours = "swift\tswift-credentials (swift)\tOpenStack Swift";
    assert!(listed.lines().any(|line| line == ours), "{listed}");
}

#[tokio::test]
async fn guide_alone_connects_its_store_on_a_plane() {
    let root = workspace().await;
    let test = ["test", "--locked", "--test=plane"];

    let chosen = ["--", "swift::", "papers_name", "charmcraft_declares"];
    let chosen = cargo(root, &[&test[..], &TOGETHER, &chosen].concat()).await;
    assert!(chosen.contains("3 passed"), "{chosen}");
}

#[test]
fn steps_are_whole_files_and_changes() {
    let guide = format!(
        "# Guide\n\n```\nno part of it\n```\n\n{SECTION}\n\n```toml a/b.toml\n[a]\n```\n\nThen\n\n\
         ```diff c\n one\n+two\n-three\n \n```\n\n## Next\n\n```rust d\n```\n"
    );
    let expected = [
        ("a/b.toml".into(), Step::Make("[a]\n".into())),
        (
            "c".into(),
            Step::Change("one\nthree\n\n".into(), "one\ntwo\n\n".into()),
        ),
    ];
    assert_eq!(steps(&guide), expected);
}

#[test]
#[should_panic(expected = "has so many places")]
fn change_without_its_place_is_refused() {
    let mut files = Files::from([("c".into(), b"one\n".to_vec())]);
    let change = Step::Change("two\n".into(), "three\n".into());
    carry_out(vec![("c".into(), change)], &mut files);
}
