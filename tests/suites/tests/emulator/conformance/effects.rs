//! What a hook or action led to, held against what the recorded one led to.
//!
//! Invariant: what is not played yet is not looked at; all else must be the same.

use std::collections::{BTreeMap, BTreeSet};

use juju_emulator::model::Bag;
use juju_emulator::secrets::Owner;
use juju_emulator::{ActionOutcome, HookRun, Juju, LogLine};
use serde_json::{Value, json};

use super::UNIT;
use super::recording::{runs, transcript};
use super::scenes::Scene;

/// What a scene led to.
pub(crate) struct Replayed {
    pub(crate) run: HookRun,
    pub(crate) outcome: Option<ActionOutcome>,
}

/// Whether the hook or action led to what the recorded one led to, as far as it is played: its end,
/// statuses, log, version, relation data and results.
pub(crate) fn check_effects(juju: &Juju, scene: &Scene, replayed: &Replayed) {
    let Some(recorded) = recorded_effects(scene) else {
        return;
    };
    let at = format!("{}.txt:{:?}", scene.file, scene.lines);
    let Replayed { run, outcome } = replayed;
    if outcome.is_none() {
        assert_eq!(
            run.exit.reason().as_deref(),
            recorded["error"].as_str(),
            "{at}"
        );
    }
    let events = recorded["events"].as_array().cloned().unwrap_or_default();
    let of = |kinds: &[&str]| -> Vec<Value> {
        let one = |event: &Value| kinds.iter().find_map(|kind| event.get(kind).cloned());
        events.iter().filter_map(one).collect()
    };
    let statuses: Vec<_> = run
        .statuses
        .iter()
        .map(|s| json!([s.level, s.message]))
        .collect();
    // One recording is replayed in several scenes, so this one may have set none.
    if run.tool_calls.iter().any(|call| call.tool == "status-set") {
        assert_eq!(statuses, of(&["unit-status", "app-status"]), "{at}");
    }
    // What is printed and what is logged come by different ways, in no fixed order.
    let sorted = |mut lines: Vec<String>| {
        lines.sort_unstable();
        lines
    };
    let text = |l: &LogLine| format!("{} {} {}", l.level, l.module, l.text);
    let want = of(&["log"])
        .iter()
        .map(|line| line.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        sorted(run.log.iter().map(text).collect()),
        sorted(want),
        "{at}"
    );
    if let Some(version) = of(&["workload-version"]).last() {
        assert_eq!(
            juju.workload_version("velero-operator"),
            version.as_str(),
            "{at}"
        );
    }
    check_bags(juju, &of(&["commit"]), &at);
    check_secrets(juju, &of(&["commit"]), &at);
    check_environment(scene, run, &at);
    if let Some(outcome) = outcome {
        let log: Vec<_> = outcome.log.iter().map(|(_, line)| json!(line)).collect();
        assert_eq!(log, of(&["action-log"]), "{at}");
        let ActionOutcome {
            message,
            results,
            status,
            ..
        } = outcome;
        let end = json!({"message": message, "results": results, "status": status});
        assert_eq!(vec![end], of(&["action-finish"]), "{at}");
    }
}

/// Variables about the event: those recorded, with the same values, and no others of their kind.
pub(crate) fn check_environment(scene: &Scene, run: &HookRun, at: &str) {
    let about_it = |key: &String| {
        [
            "JUJU_ACTION_",
            "JUJU_DEPARTING",
            "JUJU_DISPATCH",
            "JUJU_HOOK",
            "JUJU_RELATION",
            "JUJU_REMOTE",
        ]
        .iter()
        .any(|start| key.starts_with(start))
    };
    let text = transcript(scene.file);
    let (first, last) = scene.lines;
    for line in text
        .lines()
        .take(last)
        .skip(first - 1)
        .filter(|line| line.starts_with("{\""))
    {
        let recorded: BTreeMap<String, String> = serde_json::from_str(line).unwrap();
        let names: BTreeSet<_> = run.environment.iter().map(|(key, _)| key).collect();
        assert!(
            recorded.keys().all(|key| names.contains(key)),
            "{at}: {recorded:?}"
        );
        let want: Vec<_> = recorded
            .into_iter()
            .filter(|(key, _)| about_it(key))
            .collect();
        let got = run
            .environment
            .iter()
            .filter(|(key, _)| about_it(key))
            .cloned();
        assert_eq!(got.collect::<Vec<_>>(), want, "{at}");
    }
}

pub(crate) fn check_bags(juju: &Juju, commits: &[Value], at: &str) {
    let settings = commits
        .iter()
        .find_map(|commit| commit["relation-unit-settings"].get(0));
    // The recording holds deleted keys as empty texts.
    let bag = |name: &str| -> Bag {
        let entries = settings
            .and_then(|s| s[name].as_object())
            .into_iter()
            .flatten();
        let entries = entries.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()));
        entries.filter(|(_, value)| !value.is_empty()).collect()
    };
    let Some(side) = juju
        .model()
        .relations
        .get(&3)
        .and_then(|r| r.local("velero-operator"))
    else {
        return;
    };
    let mut unit = bag("settings");
    unit.entry("ingress-address".to_owned())
        .or_insert_with(|| "10.2.2.2".to_owned());
    assert_eq!(side.unit_bag(UNIT), Some(&unit), "{at}");
    let known = settings.is_some_and(|s| s["application-settings"].is_object());
    let app = if known {
        bag("application-settings")
    } else {
        Bag::new()
    };
    assert_eq!(side.bag.data, app, "{at}");
}

pub(crate) fn recorded_effects(scene: &Scene) -> Option<Value> {
    let (first, last) = scene.lines;
    let text = transcript(scene.file);
    let mut lines = text.lines().take(last).skip(first - 1);
    let effects = lines.find_map(|line| line.strip_prefix("=> "))?;
    Some(serde_json::from_str(&runs(effects)).unwrap())
}

/// Secrets that the hook made or removed, as the recorded commit has them.
fn check_secrets(juju: &Juju, commits: &[Value], at: &str) {
    let all = |key: &str| -> Vec<Value> {
        let lists = commits.iter().filter_map(|commit| commit[key].as_array());
        lists.flatten().cloned().collect()
    };
    let secrets = &juju.model().secrets;
    let id = |change: &Value| change["uri"].as_str().unwrap()["secret:".len()..].to_owned();
    let created = all("secret-creates");
    for change in &created {
        let secret = &secrets[&id(change)];
        let content = json!(secret.content().unwrap());
        assert_eq!(content, change["content"]["data"], "{at}");
        assert_eq!(
            secret.label,
            change["label"].as_str().unwrap_or_default(),
            "{at}"
        );
        let owner = match &secret.owner {
            Owner::Application(name) => format!("application-{name}"),
            Owner::Unit(name) => format!("unit-{}", name.replace('/', "-")),
            Owner::User => format!("model-{}", juju.model().uuid),
        };
        assert_eq!(Some(&*owner), change["owner-tag"].as_str(), "{at}");
    }
    for change in all("secret-deletes") {
        assert!(!secrets.contains_key(&id(&change)), "{at}");
    }
    let fresh = secrets
        .keys()
        .filter(|id| id.starts_with("9m4e2mr0ui3e8a211"));
    assert_eq!(fresh.count(), created.len(), "{at}: made, and no more");
}
