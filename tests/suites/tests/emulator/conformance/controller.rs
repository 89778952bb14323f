//! A probe goes through what it went through on a real controller: the same hooks in the same order, the
//! same environment, the same answers.
//!
//! What differs is listed in `KNOWN` with its reason: a new difference fails, and so does an entry that no
//! longer differs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use juju_emulator::{CharmSource, DeployOptions, Echo, HookRun, Juju};
use serde_json::Map;

use super::recording::transcript;

const UNIT: &str = "probe/0";

/// Hooks whose environment or answers are known to differ, and why.
const KNOWN: [(&str, &str); 5] = [
    ("secret-remove", NOT_RECORDED),
    ("store-relation-broken", NOT_RECORDED),
    ("store-relation-changed", NOT_RECORDED),
    ("store-relation-departed", NOT_RECORDED),
    ("store-relation-joined", NOT_RECORDED),
];
const NOT_RECORDED: &str = "the recording lacks lines that the probe printed";

const PROBE: (&str, &str) = (
    "name: probe\nsummary: s\ndescription: d\npeers:\n  kin: {interface: kin}\n\
     requires:\n  wants: {interface: s3}\nprovides:\n  store: {interface: s3}\n",
    include_str!("../../../../juju-emulator/transcripts/t8-probe.sh"),
);
/// As much of the integrator and of the operator as the probe hears.
const INTEGRATOR: (&str, &str) = (
    "name: s3-integrator\nsummary: s\ndescription: d\nprovides:\n  s3-credentials: {interface: s3}\n",
    "#!/bin/sh\ncase $JUJU_HOOK_NAME in\n\
     install) status-set active ;;\n\
     *-relation-changed) relation-set -r $JUJU_RELATION_ID --app lib-version=1.0 ;;\nesac\n",
);
const OPERATOR: (&str, &str) = (
    "name: velero-operator\nsummary: s\ndescription: d\nrequires:\n  s3-credentials: {interface: s3}\n",
    "#!/bin/sh\ncase $JUJU_HOOK_NAME in\n\
     install) status-set blocked ;;\n\
     *-relation-changed) secret-get --refresh $(relation-get --app secret-extra probe)\n\
     relation-set -r $JUJU_RELATION_ID --app version=1 ;;\n\
     secret-changed) secret-get --refresh $JUJU_SECRET_ID ;;\nesac\n",
);
const CONFIG: &str = "options:\n  flag: {type: boolean, default: false}\n  mode: {type: string, default: \"\"}\n  \
                      number: {type: int, default: 10000000}\n  text: {type: string, default: x}\n";
const ACTIONS: &str = "say:\n  params:\n    fail: {type: string}\n";

/// One run of the probe: what was given, said, printed, and how it ended.
#[derive(Default, Debug)]
struct Run {
    hook: String,
    given: BTreeMap<String, String>,
    lines: Vec<String>,
    ended: Option<String>,
}

#[derive(Default)]
struct Counts {
    variables: usize,
    answers: usize,
    equal: usize,
    different: BTreeMap<String, Vec<String>>,
    elsewhere: usize,
}

#[tokio::test]
async fn a_probe_lives_as_on_a_real_controller() {
    let (always, recorded) = recorded();
    let dir = tempfile::tempdir().unwrap();
    let juju = live(dir.path()).await;
    let runs = juju.hook_runs().iter().filter(|run| run.unit == UNIT);
    let played: Vec<Run> = runs.map(|run| played(&juju, run)).collect();
    let names = |runs: &[Run]| runs.iter().map(|run| run.hook.clone()).collect::<Vec<_>>();
    assert_eq!(
        names(&played),
        names(&recorded),
        "hooks and actions, in order"
    );

    let mut counts = Counts::default();
    for (mut want, got) in recorded.into_iter().zip(played) {
        want.given.extend(always.clone());
        compare(&mut counts, &want, &got);
    }
    println!(
        "{} variables and {} lines: {} equal, {} runs not, {} of a cluster that is not here",
        counts.variables,
        counts.answers,
        counts.equal,
        counts.different.len(),
        counts.elsewhere
    );
    let known: BTreeSet<_> = KNOWN.iter().map(|(hook, _)| (*hook).to_owned()).collect();
    for (hook, why) in KNOWN {
        println!("differs: {hook}: {why}");
    }
    let found: BTreeSet<_> = counts.different.keys().cloned().collect();
    assert_eq!(found, known, "{:#?}", counts.different);
}

fn compare(counts: &mut Counts, want: &Run, got: &Run) {
    let mut differ = |what: String| {
        let all = counts.different.entry(want.hook.clone()).or_default();
        all.push(what);
    };
    let keys: BTreeSet<_> = want.given.keys().chain(got.given.keys()).collect();
    for key in keys {
        if key.starts_with("KUBERNETES_") {
            counts.elsewhere += 1;
            continue;
        }
        counts.variables += 1;
        match (want.given.get(key), got.given.get(key)) {
            (want, got) if want == got => counts.equal += 1,
            (want, got) => differ(format!("{key}: want {want:?}, got {got:?}")),
        }
    }
    let (wanted, printed) = (count(&want.lines), count(&got.lines));
    let lines: BTreeSet<_> = wanted.keys().chain(printed.keys()).collect();
    for line in lines {
        counts.answers += 1;
        let (want, got) = (wanted.get(line), printed.get(line));
        if want == got {
            counts.equal += 1;
        } else {
            differ(format!("{line}: want {want:?}, got {got:?}"));
        }
    }
    if want.ended != got.ended {
        differ(format!("ended: want {:?}, got {:?}", want.ended, got.ended));
    }
}

/// What is printed on one way and on the other comes in no fixed order.
fn count(lines: &[String]) -> BTreeMap<&String, usize> {
    let mut counts = BTreeMap::new();
    for line in lines {
        *counts.entry(line).or_default() += 1;
    }
    counts
}

/// What every run was given, and each on its own.
fn recorded() -> (BTreeMap<String, String>, Vec<Run>) {
    let (mut always, mut runs) = (BTreeMap::new(), Vec::<Run>::new());
    for line in transcript("t8")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let (word, rest) = line.split_once(' ').unwrap();
        let pair = || {
            let (key, value) = rest.split_once('=').unwrap();
            (key.to_owned(), value.to_owned())
        };
        match word {
            "always" => always.extend([pair()]),
            "run" => runs.push(Run {
                hook: rest.to_owned(),
                ..Run::default()
            }),
            "given" => runs.last_mut().unwrap().given.extend([pair()]),
            "said" | "printed" => runs.last_mut().unwrap().lines.push(line.to_owned()),
            "ended" => runs.last_mut().unwrap().ended = Some(rest.to_owned()),
            other => panic!("{other}"),
        }
    }
    (always, runs)
}

fn played(juju: &Juju, run: &HookRun) -> Run {
    let own: BTreeMap<_, _> = run.environment.iter().cloned().collect();
    let mut given: BTreeMap<_, _> = own
        .into_iter()
        .map(|(key, value)| (key, neutral(juju, &value)))
        .collect();
    let start = format!("{} E ", run.hook);
    let mut lines = Vec::new();
    for line in run
        .log
        .iter()
        .filter(|line| !line.module.ends_with("juju-log"))
    {
        let word = if line.level == "DEBUG" {
            "printed"
        } else {
            "said"
        };
        match line.text.strip_prefix(&start) {
            None => lines.push(format!("{word} {}", neutral(juju, &line.text))),
            Some(variable) => {
                let argv = variable.strip_prefix("argv0=");
                given.extend(argv.map(|value| ("argv0".to_owned(), value.to_owned())));
            }
        }
    }
    Run {
        hook: run.hook.clone(),
        given,
        lines,
        ended: run.exit.reason(),
    }
}

/// With words for what differs each time.
fn neutral(juju: &Juju, text: &str) -> String {
    let model = juju.model();
    let mut text = text.replace(&model.uuid, "MODEL");
    for (app, word) in [("s3-integrator", "S3"), ("velero-operator", "VELERO")] {
        if let Some(app) = model.applications.get(app) {
            text = text.replace(&app.service_address, word);
        }
    }
    for id in model.secrets.keys() {
        text = text.replace(id, "SECRET");
    }
    text = text.replace(model.api_addresses.trim_end_matches(":17070"), "CONTROLLER");
    if let Some((before, hex)) = text.rsplit_once('-')
        && hex.len() == 32
        && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        text = format!("{before}-HEX");
    }
    let mut parts = text.split("\"since\":\"");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |all, part| {
        let (_, rest) = part.split_once('"').unwrap();
        format!("{all}\"since\":\"TIME\"{rest}")
    })
}

fn charm(dir: &Path, (metadata, dispatch): (&str, &str)) -> CharmSource {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("metadata.yaml"), metadata).unwrap();
    fs::write(dir.join("config.yaml"), CONFIG).unwrap();
    fs::write(dir.join("actions.yaml"), ACTIONS).unwrap();
    fs::write(dir.join("dispatch"), dispatch).unwrap();
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(dir.join("dispatch"), mode).unwrap();
    CharmSource::Directory(dir.to_owned())
}

async fn say(juju: &mut Juju, id: u32) {
    juju.model_mut().next.action = id - 1;
    juju.run_action(UNIT, "say", &Map::new()).await.unwrap();
}

/// What befell the probe.
async fn live(dir: &Path) -> Juju {
    let mut juju = Juju::bootstrap(&dir.join("juju"), "velero", None)
        .await
        .unwrap();
    "1.35.0".clone_into(&mut juju.model_mut().cloud_api_version);
    juju.model_mut().next.relation = 2;
    for (app, parts) in [("probe", PROBE), ("s3-integrator", INTEGRATOR)] {
        let source = charm(&dir.join(app), parts);
        let options = DeployOptions::default();
        juju.deploy(&source, app, options).await.unwrap();
        juju.settle().await.unwrap();
    }
    juju.integrate("probe:wants", "s3-integrator").unwrap();
    juju.settle().await.unwrap();
    juju.update_status(UNIT).await.unwrap();
    set(&mut juju, Echo::Once, &[("text", "y")]).await;
    let several = [("flag", "true"), ("number", "7"), ("text", "a<b>&\"c")];
    set(&mut juju, Echo::Twice, &several).await;
    for id in [23, 25, 27, 33, 37, 35] {
        say(&mut juju, id).await;
    }
    juju.remove_relation("probe:wants", "s3-integrator")
        .unwrap();
    juju.settle().await.unwrap();

    let source = charm(&dir.join("operator"), OPERATOR);
    let options = DeployOptions::default();
    juju.deploy(&source, "velero-operator", options)
        .await
        .unwrap();
    juju.settle().await.unwrap();
    juju.integrate("probe:store", "velero-operator").unwrap();
    juju.settle().await.unwrap();
    set(&mut juju, Echo::Twice, &[("mode", "rotate")]).await;
    juju.remove_relation("probe:store", "velero-operator")
        .unwrap();
    juju.settle().await.unwrap();

    set(&mut juju, Echo::Once, &[("mode", "crash")]).await;
    for pause in [5, 10, 20] {
        juju.advance(Duration::from_secs(pause)).await.unwrap();
    }
    say(&mut juju, 51).await;
    juju.config("probe", &[("mode", "")]).unwrap();
    juju.advance(Duration::from_secs(40)).await.unwrap();
    set(&mut juju, Echo::Twice, &[("number", "101")]).await;
    juju
}

async fn set(juju: &mut Juju, echo: Echo, settings: &[(&str, &str)]) {
    juju.play_config(echo);
    juju.config("probe", settings).unwrap();
    juju.settle().await.unwrap();
}
