//! Every recorded call of real Juju's hook tools, made again in the emulator by the real tool
//! program, within a hook or action that stands as it stood in the recording; exit code, standard
//! output and standard error must be the same to the byte.
//!
//! What differs is listed in `KNOWN` with its reason: a new difference fails, and so does an entry
//! that no longer differs.

mod controller;
mod effects;
mod recording;
mod scenes;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use juju_emulator::Juju;
use juju_emulator::event::Event;
use serde_json::json;

use effects::{Replayed, check_effects, recorded_effects};
use recording::{Call, input, recorded};
use scenes::{Scene, scene, scenes, stand};

const UNIT: &str = "velero-operator/0";

/// What the recordings call `BASE`.
const BASE: &str = "/var/lib/juju/agents/unit-velero-operator-0";

/// Calls that are known to differ: file, line, why.
const KNOWN: [(&str, usize, &str); 7] = [
    ("t2", 37, LONG_ADDRESS),
    ("t2", 38, LONG_ADDRESS),
    ("t2", 45, LONG_ADDRESS),
    ("t2", 71, LONG_ADDRESS),
    ("t4", 70, LONG_ADDRESS),
    ("t5", 4, "help is for people, and its text is Juju's own"),
    ("t5", 5, "help is for people, and its text is Juju's own"),
];
const LONG_ADDRESS: &str =
    "a controller gives secrets their long address; what was recorded had none";

#[derive(Default)]
struct Count {
    recorded: usize,
    equal: usize,
    different: usize,
}

#[tokio::test]
async fn recorded_calls_are_answered_as_juju_did() {
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    let mut differences: BTreeMap<(String, usize), String> = BTreeMap::new();
    for scene in scenes() {
        let calls = recorded(scene.file, scene.lines);
        let made: Vec<&Call> = calls.iter().collect();
        for call in &calls {
            counts.entry(call.tool().to_owned()).or_default().recorded += 1;
        }
        let dir = tempfile::tempdir().unwrap();
        let mut juju = stand(dir.path(), &scene).await;
        let replayed = replay(&mut juju, &scene, &made).await;
        check_effects(&juju, &scene, &replayed);
        for call in made {
            let count = counts.get_mut(call.tool()).unwrap();
            match compare(&juju.charm_dir(UNIT), call) {
                None => count.equal += 1,
                Some(why) => {
                    count.different += 1;
                    differences.insert((scene.file.to_owned(), call.line), why);
                }
            }
        }
    }
    println!("{}", table(&counts));
    let all: usize = ["t1", "t2", "t3", "t4", "t5", "t7"]
        .map(|f| recorded(f, (1, 999)).len())
        .iter()
        .sum();
    let replayed: usize = counts.values().map(|count| count.recorded).sum();
    assert_eq!(replayed, all, "every recorded call is in a scene");
    let known: BTreeSet<_> = KNOWN
        .iter()
        .map(|(f, l, _)| ((*f).to_owned(), *l))
        .collect();
    let found: BTreeSet<_> = differences.keys().cloned().collect();
    for (file, line, why) in KNOWN {
        println!("differs: {file}.txt:{line}: {why}");
    }
    let unknown: Vec<_> = differences
        .iter()
        .filter(|(key, _)| !known.contains(*key))
        .collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    assert_eq!(
        known, found,
        "what no longer differs is to be taken off the list"
    );
}

async fn replay(juju: &mut Juju, scene: &Scene, calls: &[&Call]) -> Replayed {
    use std::os::unix::fs::PermissionsExt;
    let dir = juju.charm_dir(UNIT);
    for call in calls {
        if let Some(text) = input(scene.file, call.line) {
            fs::write(dir.join(format!("in.{}", call.line)), text).unwrap();
        }
    }
    let dispatch = dir.join("dispatch");
    fs::remove_file(&dispatch).unwrap();
    fs::write(&dispatch, script(scene.file, calls) + scene.end + "\n").unwrap();
    fs::set_permissions(&dispatch, fs::Permissions::from_mode(0o755)).unwrap();
    let outcome = match &scene.event {
        Event::Action(action) => {
            juju.model_mut().next.action = action.id - 1;
            Some(
                juju.run_action(UNIT, &action.name, &action.params)
                    .await
                    .unwrap(),
            )
        }
        event => {
            juju.run_event(UNIT, event.clone()).await.unwrap();
            None
        }
    };
    Replayed {
        run: juju.hook_runs().last().unwrap().clone(),
        outcome,
    }
}

/// A shell script that makes the calls and keeps what comes of each.
fn script(file: &str, calls: &[&Call]) -> String {
    let mut script = "#!/bin/sh\n".to_owned();
    for name in ["leader-get", "bogus-tool"] {
        writeln!(script, "ln -sf \"$(command -v config-get)\" {name}").unwrap();
    }
    script += "PATH=$PATH:.\n";
    for call in calls {
        let quote = |word: &String| format!("'{}'", word.replace('\'', "'\\''"));
        let words: Vec<_> = call.words(file).iter().map(quote).collect();
        let line = call.line;
        let input = if input(file, line).is_some() {
            format!("in.{line}")
        } else {
            "/dev/null".into()
        };
        let command = words.join(" ");
        writeln!(
            script,
            "{command} < {input} > out.{line} 2> err.{line}; echo $? > rc.{line}"
        )
        .unwrap();
    }
    script
}

/// Parameters that Juju refused before it started the charm, with its words.
#[tokio::test]
async fn wrong_parameters_are_refused_in_juju_s_words() {
    let cases = [
        ("t4", 60, "restore", json!({})),
        ("t4", 62, "restore", json!({"backup-uid": "u", "zz": 1})),
        (
            "t4",
            64,
            "restore",
            json!({"backup-uid": "u", "policy": "x"}),
        ),
        ("t4", 66, "nope", json!({})),
        ("t7", 87, "restore", json!({"backup-uid": 5})),
        (
            "t7",
            88,
            "restore",
            json!({"backup-uid": "u", "count": "3"}),
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    let first = scenes().swap_remove(0);
    let mut juju = stand(dir.path(), &first).await;
    let before = juju.hook_runs().len();
    for (file, line, action, params) in cases {
        let scene = scene(file, (line, line), Event::hook("none"), |_| {});
        let recorded = recorded_effects(&scene).unwrap();
        let params = params.as_object().unwrap();
        let outcome = juju.run_action(UNIT, action, params).await.unwrap();
        assert_eq!(Some(&*outcome.message), recorded["prepare-error"].as_str());
        assert_eq!(outcome.status, "error");
    }
    assert_eq!(juju.hook_runs().len(), before, "the charm was not started");
}

fn compare(dir: &Path, call: &Call) -> Option<String> {
    let got = |what: &str| {
        fs::read_to_string(dir.join(format!("{what}.{}", call.line))).unwrap_or_default()
    };
    let (code, stdout, stderr) = (got("rc"), got("out"), got("err"));
    // Juju lists its own secrets in no fixed order.
    let (got, want) = if call.tool() == "secret-ids" {
        (sorted(&stdout), sorted(&call.stdout))
    } else {
        (stdout.clone(), call.stdout.clone())
    };
    let same = code.trim() == call.code && got == want && stderr == call.stderr;
    (!same).then(|| {
        let short: String = call.command.chars().take(80).collect();
        let Call {
            code: rc,
            stdout: out,
            stderr: err,
            ..
        } = call;
        format!(
            "{short}: want {rc} {out:?} {err:?}; got {} {stdout:?} {stderr:?}",
            code.trim()
        )
    })
}

fn sorted(text: &str) -> String {
    match serde_json::from_str::<Vec<String>>(text) {
        Ok(mut ids) => {
            ids.sort();
            format!("{ids:?}")
        }
        Err(_) => text.to_owned(),
    }
}

fn table(counts: &BTreeMap<String, Count>) -> String {
    let mut text = format!(
        "{:24}{:>9}{:>7}{:>11}\n",
        "tool", "recorded", "equal", "different"
    );
    let mut all = Count::default();
    for (tool, count) in counts {
        row(&mut text, tool, count);
        all.recorded += count.recorded;
        all.equal += count.equal;
        all.different += count.different;
    }
    row(&mut text, "all", &all);
    text
}

fn row(text: &mut String, tool: &str, count: &Count) {
    let Count {
        recorded,
        equal,
        different,
    } = count;
    writeln!(text, "{tool:24}{recorded:>9}{equal:>7}{different:>11}").unwrap();
}
