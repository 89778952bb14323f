//! The `run` action, with the real Velero CLI on a plane: what it lets through, and what it tells.

mod native;
mod volumes;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use juju_emulator::ActionOutcome;
use kube_stack::DEADLINE;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::time::timeout;
use worlds::operator::{self, UNIT};
use worlds::plane::{LightWorld, Plane};

async fn run(world: &mut LightWorld, command: &str) -> ActionOutcome {
    run_with(world, json!({"command": command})).await
}

async fn run_with(world: &mut LightWorld, params: Value) -> ActionOutcome {
    let params: Map<String, Value> = serde_json::from_value(params).unwrap();
    world.juju.run_action(UNIT, "run", &params).await.unwrap()
}

async fn refusal(world: &mut LightWorld, command: &str) -> String {
    let outcome = run(world, command).await;
    assert_eq!(outcome.status, "failed", "`{command}` was not refused");
    assert_eq!(
        outcome.results["return-code"], 0,
        "the charm has not ended well"
    );
    outcome.message
}

fn output(outcome: &ActionOutcome) -> &str {
    assert_eq!(outcome.status, "completed", "{}", outcome.message);
    outcome.results["output"].as_str().unwrap()
}

fn replace_cli(world: &LightWorld, script: &str) {
    let cli = world.juju.charm_dir(UNIT).join("velero");
    fs::remove_file(&cli).unwrap();
    fs::write(&cli, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&cli, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What a person sees of it, in the log and in the results.
fn all_said(outcome: &ActionOutcome) -> String {
    let log = outcome.log.iter().map(|(_, text)| text.as_str());
    let results = outcome.results.values().filter_map(Value::as_str);
    let said = log.chain(results).chain([outcome.message.as_str()]);
    said.collect::<Vec<_>>().join("\n")
}

/// The CLI's words for each command, a kind's own first.
fn help_of_the_cli() -> String {
    let mut text = String::new();
    for kind in ["backup", "restore", "schedule"] {
        let overview = help(&[kind]);
        let (_, commands) = overview.split_once("Available Commands:\n").unwrap();
        let lines = commands.lines().take_while(|line| !line.is_empty());
        let verbs = lines.map(|line| line.split_whitespace().next().unwrap());
        write!(text, "$ velero {kind} --help\n{overview}\n").unwrap();
        for verb in verbs {
            let words = help(&[kind, verb]);
            write!(text, "$ velero {kind} {verb} --help\n{words}\n").unwrap();
        }
    }
    text
}

fn help(words: &[&str]) -> String {
    let velero = operator::velero().unwrap();
    let mut command = Command::new(velero);
    let output = command
        .args(words)
        .arg("--help")
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{words:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn page() -> PathBuf {
    operator::workspace().join("velero-charm/src/actions/allowed/help.txt")
}

#[tokio::test]
async fn table_of_verbs_is_held_to_the_clis_own_help() {
    // It builds the CLI, where that has not been done.
    Plane::shared().await.unwrap();
    let says = help_of_the_cli();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(page(), &says).unwrap();
        return;
    }
    let recorded = fs::read_to_string(page()).unwrap();
    let old: Vec<_> = recorded.lines().collect();
    let new: Vec<_> = says.lines().filter(|line| !old.contains(line)).collect();
    assert!(
        recorded == says,
        "the CLI's help has changed: UPDATE_DOCS=1 takes it over, and then the unit tests of \
         velero-charm name each verb and flag without a rule. New lines:\n{}",
        new.join("\n")
    );
}

#[tokio::test]
async fn hostile_commands_never_reach_the_cli() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "hostile").await.unwrap();
    let starts = world.cli_starts().unwrap();
    assert!(!starts.is_empty(), "installing starts the CLI");
    let dir = tempfile::tempdir().unwrap();
    let victim = dir.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    // The charm's user could write there, so that nothing but the charm is in the way.
    for path in [dir.path(), &victim] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let file = victim.display();

    for command in [
        format!("backup -o x download left --output={file} --force"),
        format!("backup --selector x download left --output={file} --force"),
        format!("backup -l download download left --output={file} --force"),
        format!("backup download left -o{file} --force"),
        format!("backup get --log_file={file} --logtostderr=false"),
        format!("backup get --log_file {file} -v=9"),
        format!(
            "restore get --alsologtostderr --log_dir={}",
            dir.path().display()
        ),
        format!("backup logs left --cacert={file}"),
        format!("backup get --kubeconfig={file}"),
        "backup logs left -v9".into(),
        "schedule get --namespace kube-system".into(),
        "schedule pause --all".into(),
        "schedule unpause --selector=a=b".into(),
        "backup delete left".into(),
        "backup get -- --confirm".into(),
        "plugin add somebody/else:1".into(),
        "backup get \u{0}".into(),
    ] {
        let message = refusal(&mut world, &command).await;
        assert!(!message.contains("velero failed"), "`{command}`: {message}");
    }

    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(world.cli_starts().unwrap(), starts);
}

#[tokio::test]
async fn flags_reach_the_cli_as_they_were_understood() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "flags").await.unwrap();

    let command = "backup create 'first' --labels a=b -l 'app in (x, y)' --labels=c=d \
                   --snapshot-volumes=false --ttl 2h --include-namespaces shop,bank";
    output(&run(&mut world, command).await);
    let backup = world
        .velero_object("Backup", "first")
        .await
        .unwrap()
        .unwrap();
    let spec = &backup.data["spec"];
    assert_eq!(spec["includedNamespaces"], json!(["shop", "bank"]));
    assert_eq!(spec["snapshotVolumes"], false);
    assert_eq!(spec["ttl"], "2h0m0s");
    assert_eq!(
        spec["labelSelector"]["matchExpressions"][0]["values"],
        json!(["x", "y"])
    );
    assert_eq!(backup.metadata.labels.unwrap()["c"], "d");

    let shown = run(&mut world, "velero backup create second -ojson").await;
    let object: Value = serde_json::from_str(output(&shown)).unwrap();
    assert_eq!(object["metadata"]["name"], "second");
    assert_eq!(object["metadata"]["namespace"], world.namespace);
    assert_eq!(world.velero_object("Backup", "second").await.unwrap(), None);

    let help = run(&mut world, "backup create --help").await;
    assert!(output(&help).contains("--include-namespaces"));
}

#[tokio::test]
async fn deadline_tells_the_name_that_the_cli_printed() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "deadline").await.unwrap();
    world.use_velero().await.unwrap();

    // The played Velero works on no Restore, so this one never ends.
    let params = json!({"command": "restore create --from-backup left --wait", "timeout": "8s"});
    let outcome = run_with(&mut world, params).await;
    assert_eq!(outcome.status, "failed");
    let restores = [
        "-n",
        &world.namespace,
        "get",
        "restores.velero.io",
        "-o",
        "name",
    ];
    let restores = world.kubectl(&restores).await.unwrap();
    let mut names = restores.lines().filter_map(|line| line.rsplit('/').next());
    let name = names.find(|name| *name != "left").unwrap();
    let follow = format!(
        "restore `{name}` goes on in Velero; follow it with `juju run velero-operator/0 run \
         command=\"restore describe {name}\"`"
    );
    assert!(outcome.message.contains(&follow), "{}", outcome.message);

    replace_cli(&world, "exec sleep 600");
    let command = "backup create --include-namespaces shop x --wait";
    let outcome = run_with(&mut world, json!({"command": command, "timeout": "1s"})).await;
    assert!(
        outcome.message.contains(
            "the CLI has not said whether the backup was made: look with `juju run \
             velero-operator/0 run command=\"backup get\"`"
        ),
        "{}",
        outcome.message
    );
}

#[tokio::test]
async fn cli_ends_with_a_charm_that_is_killed() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "killed").await.unwrap();
    // Where the charm's user may write.
    let sign = world.juju.charm_dir(UNIT).join("sign");
    nix::unistd::mkfifo(&sign, nix::sys::stat::Mode::S_IRWXU).unwrap();
    replace_cli(&world, "exec 3>${0%/*}/sign; echo here >&3; exec sleep 600");

    let killer = world.juju.killer();
    let sign = pipe::OpenOptions::new().open_receiver(&sign).unwrap();
    let mut lines = BufReader::new(sign).lines();
    // The reader sees the end of the file once the last writer has closed it.
    let watch = async {
        assert_eq!(lines.next_line().await.unwrap().unwrap(), "here");
        killer.kill().unwrap();
        assert_eq!(lines.next_line().await.unwrap(), None);
    };
    let (outcome, watched) = tokio::join!(run(&mut world, "backup get"), timeout(DEADLINE, watch));
    assert_eq!(outcome.status, "failed");
    watched.expect("the CLI goes on");
}

#[tokio::test]
async fn timeouts_that_make_no_sense_are_refused_in_words() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "timeouts").await.unwrap();
    for limit in [
        "2562047788015215h",
        "9223372036854775807s",
        "25h",
        "0s",
        "-1s",
        "\u{1b}[1m",
    ] {
        let params = json!({"command": "backup get", "timeout": limit});
        let outcome = run_with(&mut world, params).await;
        let message = outcome.message;
        assert!(message.starts_with("`timeout` is `"), "{limit}: {message}");
        assert!(!message.contains('\u{1b}'), "{message}");
    }
}

#[tokio::test]
async fn results_and_log_are_plain_text() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "plain").await.unwrap();
    output(&run(&mut world, "schedule create daily --schedule @daily").await);
    world.use_velero().await.unwrap();

    for command in [
        "schedule describe daily",
        "backup describe left",
        "restore describe left",
        "backup get",
        "backup create --help",
        "schedule describe \u{1b}[31mno\u{202e}thing",
        "\u{1b}]0;title\u{7}\u{202e}backup get",
    ] {
        let outcome = run(&mut world, command).await;
        let said = all_said(&outcome);
        let is_plain = |c: char| c == '\n' || c == '\t' || !(c.is_control() || c == '\u{202e}');
        assert!(said.chars().all(is_plain), "`{command}`: {said:?}");
    }

    let hostile = "printf 'a\\033[3'\nsleep 0.2\nprintf '1mb\\342\\200\\256c\\r\\nd\\000e'\n\
                   printf 'Get \"https://s3/x?X-Amz-Signature=KEY\"' >&2\nexit 1";
    replace_cli(&world, hostile);
    let outcome = run(&mut world, "backup get").await;
    assert_eq!(outcome.results["output"], "ab\u{fffd}c\nde");
    assert!(
        outcome.message.ends_with("?[signature removed]\""),
        "{}",
        outcome.message
    );
    assert_eq!(outcome.log.last().unwrap().1, "ab\u{fffd}c\nde");
}
