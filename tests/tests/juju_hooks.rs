//! The emulator, with charms that are small shell scripts: what they are given, in which order
//! they are started, and what becomes of what they ask for. No cluster.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Map, Value, json};
use tests::juju::{CharmSource, DeployOptions, Exit, HookRun, Juju, Resolve, S3Settings};
use tokio::sync::Notify;

const METADATA: &str = r"
name: tiny
summary: a charm in a few lines of shell
description: it does what each test wants
requires:
  s3-credentials: {interface: s3, limit: 1}
  other: {interface: other}
provides:
  offer: {interface: other}
";

const ACTIONS: &str = r"
act:
  params:
    word: {type: string, default: none}
    count: {type: integer}
  additionalProperties: false
";

const CONFIG: &str = r"
options:
  word: {type: string, default: hello}
  number: {type: int}
";

struct World {
    juju: Juju,
    dir: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let juju = Juju::bootstrap(&dir.path().join("juju"), "m", None)
            .await
            .unwrap();
        Self { juju, dir }
    }

    /// A charm whose `dispatch` is this script.
    fn charm(&self, script: &str) -> CharmSource {
        charm_in(&self.dir.path().join("charm"), script)
    }

    async fn deploy(&mut self, script: &str) -> Vec<HookRun> {
        let charm = self.charm(script);
        self.juju
            .deploy(&charm, "app", DeployOptions::default())
            .await
            .unwrap();
        self.juju.settle().await.unwrap()
    }

    /// Replaces the script of the unit's charm.
    fn script(&self, script: &str) {
        write_script(&self.juju.charm_dir("app/0"), script);
    }

    fn written(&self, name: &str) -> String {
        fs::read_to_string(self.juju.charm_dir("app/0").join(name)).unwrap_or_default()
    }
}

fn charm_in(dir: &Path, script: &str) -> CharmSource {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("metadata.yaml"), METADATA).unwrap();
    fs::write(dir.join("actions.yaml"), ACTIONS).unwrap();
    fs::write(dir.join("config.yaml"), CONFIG).unwrap();
    write_script(dir, script);
    CharmSource::Directory(dir.to_owned())
}

fn write_script(dir: &Path, script: &str) {
    let path = dir.join("dispatch");
    // Another name of the file may be in use elsewhere.
    let _ = fs::remove_file(&path);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn names(runs: &[HookRun]) -> Vec<&str> {
    runs.iter().map(|run| run.hook.as_str()).collect()
}

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[tokio::test]
async fn a_hook_is_given_exactly_what_juju_gives() {
    let mut world = World::new().await;
    // `env` of a shell adds PWD and the like, so the kernel is asked.
    let runs = world
        .deploy(
            "cp /proc/$$/environ environ.txt; tr '\\0' '\\n' < /proc/$$/cmdline > argv.txt
             readlink /proc/self/fd/0 > stdin.txt; pwd > cwd.txt",
        )
        .await;
    let charm = "/var/lib/juju/agents/unit-app-0/charm";
    assert_eq!(world.written("cwd.txt"), format!("{charm}\n"));
    assert_eq!(world.written("stdin.txt"), "/dev/null\n");
    // The first word is the interpreter's, which the kernel put before ours.
    assert_eq!(
        world.written("argv.txt"),
        format!("/bin/sh\n{charm}/dispatch\n")
    );

    let given = world.written("environ.txt");
    let mut lines: Vec<&str> = given.split_terminator('\0').collect();
    lines.sort_unstable();
    let id = runs
        .last()
        .unwrap()
        .environment
        .iter()
        .find(|(key, _)| key == "JUJU_CONTEXT_ID");
    let id = id.unwrap().1.clone();
    assert!(
        id.starts_with("app/0-start-") && id.len() == "app/0-start-".len() + 32,
        "{id}"
    );
    let uuid = &world.juju.model().uuid;
    let want = format!(
        "APT_LISTCHANGES_FRONTEND=none
CHARM_DIR={charm}
CLOUD_API_VERSION=
DEBIAN_FRONTEND=noninteractive
JUJU_AGENT_SOCKET_ADDRESS=/var/lib/juju/agents/unit-app-0/agent.socket
JUJU_AGENT_SOCKET_NETWORK=unix
JUJU_API_ADDRESSES=10.152.183.10:17070
JUJU_AVAILABILITY_ZONE=
JUJU_CHARM_DIR={charm}
JUJU_CHARM_FTP_PROXY=
JUJU_CHARM_HTTPS_PROXY=
JUJU_CHARM_HTTP_PROXY=
JUJU_CHARM_NO_PROXY=
JUJU_CHARM_TRACE_CONFIG_CA_CERT=
JUJU_CHARM_TRACE_CONFIG_GRPC=
JUJU_CHARM_TRACE_CONFIG_HTTP=
JUJU_CONTEXT_ID={id}
JUJU_DISPATCH_PATH=hooks/start
JUJU_HOOK_NAME=start
JUJU_MACHINE_ID=
JUJU_MODEL_NAME=m
JUJU_MODEL_UUID={uuid}
JUJU_PRINCIPAL_UNIT=
JUJU_UNIT_NAME=app/0
JUJU_VERSION=4.0.15
LANG=C.UTF-8
PATH=/var/lib/juju/tools/unit-app-0:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/charm/bin
TERM=tmux-256color"
    );
    assert_eq!(lines.join("\n"), want);
}

#[tokio::test]
async fn deploy_runs_the_hooks_in_juju_s_order() {
    let mut world = World::new().await;
    let runs = world.deploy("status-set active").await;
    assert_eq!(
        names(&runs),
        ["install", "leader-elected", "config-changed", "start"]
    );
    assert!(runs.iter().all(|run| run.exit == Exit::Code(0)));
    assert!(
        world.juju.settle().await.unwrap().is_empty(),
        "nothing is left to do"
    );
    assert_eq!(world.juju.unit_status("app/0").unwrap().level, "active");

    world.juju.config("app", &[("word", "bye")]).unwrap();
    assert_eq!(
        names(&world.juju.settle().await.unwrap()),
        ["config-changed"]
    );
    world.juju.config("app", &[("word", "bye")]).unwrap();
    assert!(
        world.juju.settle().await.unwrap().is_empty(),
        "the same again is no change"
    );
    world.juju.trust("app").await.unwrap();
    assert_eq!(
        names(&world.juju.settle().await.unwrap()),
        ["config-changed"]
    );
    let run = world.juju.update_status("app/0").await.unwrap();
    assert_eq!(run.hook, "update-status");
    assert_eq!(run.tool_calls.len(), 1);
    // The launcher's few megabytes, in which the process began, and not the emulator's own.
    assert!(
        (100_000..16_000_000).contains(&run.max_rss),
        "{}",
        run.max_rss
    );
}

#[tokio::test]
async fn a_charm_that_says_nothing_is_unknown() {
    let mut world = World::new().await;
    world.deploy("true").await;
    assert_eq!(world.juju.unit_status("app/0").unwrap().level, "unknown");
}

#[tokio::test]
async fn integrate_and_remove_relation() {
    let mut world = World::new().await;
    world
        .deploy("env | grep JUJU_DEPARTING_UNIT > departing-$JUJU_HOOK_NAME; true")
        .await;
    let settings = S3Settings::path_style("http://s3:8333", "us-east-1", "b");
    world
        .juju
        .deploy_s3_integrator("s3-integrator", settings)
        .unwrap();
    world.juju.integrate("app", "s3-integrator").unwrap();
    let runs = world.juju.settle().await.unwrap();
    let hooks = [
        "s3-credentials-relation-created",
        "s3-credentials-relation-changed",
        "s3-credentials-relation-joined",
        "s3-credentials-relation-changed",
    ];
    assert_eq!(names(&runs), hooks);

    world.juju.remove_relation("app", "s3-integrator").unwrap();
    let runs = world.juju.settle().await.unwrap();
    assert_eq!(
        names(&runs),
        [
            "s3-credentials-relation-departed",
            "s3-credentials-relation-broken"
        ]
    );
    assert_eq!(
        world.written("departing-s3-credentials-relation-departed"),
        "JUJU_DEPARTING_UNIT=s3-integrator/0\n"
    );
    assert_eq!(
        world.written("departing-s3-credentials-relation-broken"),
        ""
    );
    assert!(world.juju.model().relations.is_empty());
}

#[tokio::test]
async fn the_secret_of_the_integrator_comes_and_is_renewed() {
    let script = r#"
        case $JUJU_HOOK_NAME in
        *-relation-created)
            relation-set --app requested-secrets='["access-key","secret-key"]' version=1 ;;
        *-relation-changed)
            uri=$(relation-get --app secret-extra s3-integrator)
            [ -z "$uri" ] || secret-get --format=json "$uri" --label it --refresh > secret.json ;;
        secret-changed)
            echo "$JUJU_SECRET_ID $JUJU_SECRET_LABEL" > told
            secret-get --format=json --label it > old.json
            secret-get --format=json --label it --peek > peeked.json
            secret-get --format=json --label it --refresh > secret.json ;;
        esac"#;
    let mut world = World::new().await;
    world.deploy(script).await;
    let settings = S3Settings::path_style("http://s3:8333", "us-east-1", "b");
    let settings = settings.credentials("AK", "SK");
    world
        .juju
        .deploy_s3_integrator("s3-integrator", settings)
        .unwrap();
    let id = world
        .juju
        .integrate("app:s3-credentials", "s3-integrator:s3-credentials")
        .unwrap();
    world.juju.settle().await.unwrap();
    assert_eq!(
        world.written("secret.json"),
        "{\"access-key\":\"AK\",\"secret-key\":\"SK\"}\n"
    );
    let bag = &world.juju.model().relations[&id]
        .local("s3-integrator")
        .unwrap()
        .bag
        .data;
    assert_eq!(bag["bucket"], "b");
    assert!(
        !bag.contains_key("access-key") && !bag.contains_key("secret-key"),
        "{bag:?}"
    );
    let uri = bag["secret-extra"].clone();

    world
        .juju
        .config("s3-integrator", &[("secret-key", "new")])
        .unwrap();
    let runs = world.juju.settle().await.unwrap();
    assert_eq!(
        names(&runs),
        ["secret-changed"],
        "the URI is the same, so the bag is"
    );
    assert_eq!(world.written("told"), format!("{uri} it\n"));
    assert!(world.written("old.json").contains("SK"));
    assert!(world.written("peeked.json").contains("new"));
    assert!(world.written("secret.json").contains("new"));

    world.script(&format!("secret-get {uri} 2> refused; true"));
    world.juju.remove_relation("app", "s3-integrator").unwrap();
    world.juju.settle().await.unwrap();
    world.juju.update_status("app/0").await.unwrap();
    assert_eq!(
        world.written("refused"),
        "ERROR \"app/0\" is not allowed to read this secret\n"
    );
}

#[tokio::test]
async fn a_bag_is_committed_on_success_and_dropped_on_failure() {
    let mut world = World::new().await;
    world.deploy("true").await;
    world
        .juju
        .deploy_s3_integrator("s3", S3Settings::default())
        .unwrap();
    let id = world.juju.integrate("app", "s3").unwrap();
    world.juju.settle().await.unwrap();
    let bag = |world: &World| {
        world.juju.model().relations[&id]
            .local("app")
            .unwrap()
            .bag
            .data
            .clone()
    };

    world.script(
        "relation-set -r 0 --app a=1; relation-get -r 0 --app a app > seen
         status-set blocked said; application-version-set 7; juju-log -l ERROR hm; exit 3",
    );
    world.juju.run_hook("app/0", "update-status").await.unwrap();
    assert_eq!(
        world.written("seen"),
        "1\n",
        "a hook reads what it has written"
    );
    assert!(bag(&world).is_empty(), "{:?}", bag(&world));
    assert_eq!(world.juju.workload_version("app"), Some("7"));
    assert_eq!(
        world.juju.status_history("app/0").last().unwrap().message,
        "said"
    );
    let shown = world.juju.unit_status("app/0").unwrap();
    assert_eq!(
        (&*shown.level, &*shown.message),
        ("error", "hook failed: \"update-status\"")
    );

    world.juju.config("app", &[("word", "x")]).unwrap();
    assert!(
        world.juju.settle().await.unwrap().is_empty(),
        "a failed hook holds all others back"
    );
    let outcome = world
        .juju
        .run_action("app/0", "act", &Map::new())
        .await
        .unwrap();
    assert_eq!(outcome.status, "failed", "but not actions");

    world.script("relation-set -r 0 --app a=2");
    world.juju.resolved("app/0", Resolve::Retry).unwrap();
    let runs = world.juju.settle().await.unwrap();
    assert_eq!(names(&runs), ["config-changed", "update-status"]);
    assert_eq!(bag(&world)["a"], "2");
}

#[tokio::test]
async fn what_a_hook_prints_is_logged() {
    let mut world = World::new().await;
    world.deploy("true").await;
    world.script("echo out; echo err >&2; juju-log -l WARN said");
    let run = world.juju.update_status("app/0").await.unwrap();
    let mut lines: Vec<_> = run
        .log
        .iter()
        .map(|l| format!("{} {} {}", l.level, l.module, l.text))
        .collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "DEBUG unit.app/0.update-status out",
            "WARNING unit.app/0.juju-log said",
            "WARNING unit.app/0.update-status err",
        ]
    );
}

#[tokio::test]
async fn the_rows_of_the_action_table() {
    let mut world = World::new().await;
    world.deploy("true").await;
    let rows = [
        (
            "action-set a.b=1",
            "completed",
            "",
            json!({"a": {"b": "1"}, "return-code": 0}),
        ),
        (
            "action-fail why",
            "failed",
            "why",
            json!({"return-code": 0}),
        ),
        (
            "action-set a=1; action-fail why; echo boom >&2; exit 3",
            "failed",
            "exit status 3",
            json!({"a": "1", "return-code": 3, "stderr": "boom\n"}),
        ),
        (
            "kill -SEGV $$",
            "failed",
            "signal: segmentation fault",
            json!({"return-code": -1}),
        ),
        (
            "action-get word",
            "completed",
            "",
            json!({"return-code": 0, "stdout": "none\n"}),
        ),
    ];
    for (script, status, message, results) in rows {
        world.script(script);
        let outcome = world
            .juju
            .run_action("app/0", "act", &Map::new())
            .await
            .unwrap();
        assert_eq!(
            (&*outcome.status, &*outcome.message, outcome.results),
            (status, message, map(&results)),
            "{script}"
        );
    }
    assert_eq!(
        world.juju.unit_status("app/0").unwrap().level,
        "unknown",
        "never an error"
    );

    let params = map(&json!({"count": "3"}));
    let outcome = world
        .juju
        .run_action("app/0", "act", &params)
        .await
        .unwrap();
    assert_eq!(outcome.status, "error");
    assert_eq!(
        outcome.message,
        "cannot run \"act\" action: validation failed: (root).count : must be of type integer, \
         given \"3\""
    );
}

#[tokio::test]
async fn an_action_s_log_arrives_while_it_runs() {
    let mut world = World::new().await;
    world.deploy("true").await;
    world.script("action-log one; touch $JUJU_CHARM_DIR/said; action-log two");
    let said = world.juju.charm_dir("app/0").join("said");
    let mut heard = Vec::new();
    let mut listen = |_, line: &str| heard.push((line.to_owned(), said.exists()));
    let params = Map::new();
    let outcome = world
        .juju
        .follow_action("app/0", "act", &params, &mut listen)
        .await
        .unwrap();
    assert_eq!(heard, [("one".to_owned(), false), ("two".to_owned(), true)]);
    assert_eq!(outcome.log.len(), 2);
}

#[tokio::test]
async fn an_action_commits_only_when_it_exits_with_zero() {
    let mut world = World::new().await;
    world.deploy("true").await;
    world
        .juju
        .deploy_s3_integrator("s3", S3Settings::default())
        .unwrap();
    let id = world.juju.integrate("app", "s3").unwrap();
    world.juju.settle().await.unwrap();
    for (script, kept) in [
        ("relation-set -r 0 --app a=1; exit 1", None),
        ("relation-set -r 0 --app a=1; action-fail no", Some("1")),
    ] {
        world.script(script);
        world
            .juju
            .run_action("app/0", "act", &Map::new())
            .await
            .unwrap();
        let bag = &world.juju.model().relations[&id]
            .local("app")
            .unwrap()
            .bag
            .data;
        assert_eq!(bag.get("a").map(String::as_str), kept, "{script}");
    }
}

#[tokio::test]
async fn a_killed_hook_runs_again_and_is_no_error() {
    let mut world = World::new().await;
    let runs = world
        .deploy("[ $JUJU_HOOK_NAME != install ] || kill -KILL $$")
        .await;
    assert_eq!(names(&runs), ["install"]);
    assert_ne!(world.juju.unit_status("app/0").unwrap().level, "error");
    world.script("true");
    // The charm directory is filled anew for it, so the source must be changed.
    let source = world.juju.model().applications["app"]
        .charm()
        .unwrap()
        .directory
        .clone();
    write_script(&source, "true");
    let runs = world.juju.settle().await.unwrap();
    assert_eq!(
        names(&runs),
        ["install", "leader-elected", "config-changed", "start"]
    );
}

#[tokio::test]
async fn removal_departs_breaks_stops_and_removes() {
    let mut world = World::new().await;
    world
        .deploy("goal-state --format=json > goals-$JUJU_HOOK_NAME; true")
        .await;
    world
        .juju
        .deploy_s3_integrator("s3", S3Settings::default())
        .unwrap();
    world.juju.integrate("app", "s3").unwrap();
    world.juju.settle().await.unwrap();
    let goals = world.written("goals-s3-credentials-relation-joined");
    assert!(
        goals.contains("\"relations\":{\"s3-credentials\":{\"s3\":{\"status\":\"joined\""),
        "{goals}"
    );
    assert!(goals.contains("\"s3/0\":{\"status\":\"active\""), "{goals}");

    world.script(
        "[ $JUJU_HOOK_NAME != s3-credentials-relation-departed ] || juju-log $JUJU_DEPARTING_UNIT
         juju-log \"$(goal-state --format=json)\"",
    );
    world.juju.remove_application("app").unwrap();
    let runs = world.juju.settle().await.unwrap();
    let hooks = [
        "s3-credentials-relation-departed",
        "s3-credentials-relation-broken",
        "stop",
        "remove",
    ];
    assert_eq!(names(&runs), hooks);
    assert!(
        runs[0].log[0].text.ends_with("app/0"),
        "the one who leaves is the unit itself"
    );
    assert!(
        runs[3].log[0]
            .text
            .contains("\"app/0\":{\"status\":\"dying\"")
    );
    assert!(!world.juju.model().applications.contains_key("app"));
    assert!(world.juju.model().relations.is_empty());
}

#[tokio::test]
async fn a_unit_that_goes_leaves_the_relation_to_the_others() {
    let mut world = World::new().await;
    let charm = world.charm("echo $JUJU_UNIT_NAME; true");
    let options = DeployOptions {
        units: 2,
        ..DeployOptions::default()
    };
    world.juju.deploy(&charm, "app", options).await.unwrap();
    world
        .juju
        .deploy_s3_integrator("s3", S3Settings::default())
        .unwrap();
    world.juju.integrate("app", "s3").unwrap();
    let runs = world.juju.settle().await.unwrap();
    let led: Vec<_> = runs
        .iter()
        .filter(|run| run.hook == "leader-elected")
        .collect();
    assert_eq!(led.len(), 1);
    world.juju.remove_unit("app/0").unwrap();
    let runs = world.juju.settle().await.unwrap();
    let of = |unit: &str| {
        runs.iter()
            .filter(|run| run.unit == unit)
            .map(|run| &*run.hook)
            .collect::<Vec<_>>()
    };
    let hooks = [
        "s3-credentials-relation-departed",
        "s3-credentials-relation-broken",
        "stop",
        "remove",
    ];
    assert_eq!(of("app/0"), hooks);
    assert_eq!(of("app/1"), ["leader-elected"]);
    assert_eq!(world.juju.model().relations.len(), 1);
}

#[tokio::test]
async fn two_charms_talk_to_each_other() {
    let mut world = World::new().await;
    let script = |word: &str| {
        format!(
            "case $JUJU_HOOK_NAME in
             *-relation-joined) relation-set word={word} ;;
             *-relation-changed) relation-get word > heard ;;
             esac"
        )
    };
    let one = charm_in(&world.dir.path().join("one"), &script("ping"));
    let two = charm_in(&world.dir.path().join("two"), &script("pong"));
    world
        .juju
        .deploy(&one, "app", DeployOptions::default())
        .await
        .unwrap();
    world
        .juju
        .deploy(&two, "peer", DeployOptions::default())
        .await
        .unwrap();
    world.juju.integrate("app:other", "peer:offer").unwrap();
    world.juju.settle().await.unwrap();
    assert_eq!(world.written("heard"), "pong\n");
    let heard = fs::read_to_string(world.juju.charm_dir("peer/0").join("heard")).unwrap();
    assert_eq!(heard, "ping\n");
}

#[tokio::test]
async fn refresh_stops_upgrades_and_starts() {
    let mut world = World::new().await;
    world.deploy("status-set active; echo old > kept").await;
    let charm = charm_in(
        &world.dir.path().join("next"),
        "echo $JUJU_HOOK_NAME >> new",
    );
    world.juju.refresh("app", &charm).unwrap();
    let runs = world.juju.settle().await.unwrap();
    assert_eq!(
        names(&runs),
        ["stop", "upgrade-charm", "config-changed", "start"]
    );
    assert_eq!(
        world.written("new"),
        "upgrade-charm\nconfig-changed\nstart\n"
    );
    assert_eq!(
        world.written("kept"),
        "",
        "the charm directory is a new one"
    );
}

#[tokio::test]
async fn what_cannot_be_started() {
    let mut world = World::new().await;
    world.deploy("true").await;
    let dispatch = world.juju.charm_dir("app/0").join("dispatch");
    fs::remove_file(&dispatch).unwrap();
    let run = world.juju.update_status("app/0").await.unwrap();
    assert_eq!(run.exit, Exit::Missing);
    let outcome = world
        .juju
        .run_action("app/0", "act", &Map::new())
        .await
        .unwrap();
    assert_eq!(outcome.message, "action not implemented on unit \"app/0\"");

    let inside = "/var/lib/juju/agents/unit-app-0/charm/dispatch";
    fs::write(&dispatch, "#!/bin/sh\n").unwrap();
    let outcome = world
        .juju
        .run_action("app/0", "act", &Map::new())
        .await
        .unwrap();
    assert_eq!(
        outcome.message,
        format!("exec: \"{inside}\": permission denied")
    );

    fs::write(&dispatch, [0x7f, b'E', b'L', b'F', 0]).unwrap();
    fs::set_permissions(&dispatch, fs::Permissions::from_mode(0o755)).unwrap();
    let outcome = world
        .juju
        .run_action("app/0", "act", &Map::new())
        .await
        .unwrap();
    assert_eq!(
        outcome.message,
        format!("fork/exec {inside}: exec format error")
    );
}

#[tokio::test]
async fn a_tool_writes_to_the_file_that_it_is_told() {
    let mut world = World::new().await;
    world
        .deploy("config-get --format=json word -o here; config-get word -o $PWD/there")
        .await;
    assert_eq!(world.written("here"), "\"hello\"\n");
    assert_eq!(world.written("there"), "hello\n");
}

#[tokio::test]
async fn juju_3_differs_where_it_does() {
    let mut world = World::new().await;
    world.juju.play_version("3.6.28");
    let unknown = "secret-get 9m4e2mr0ui3e8a2aaaag";
    world
        .deploy(&format!(
            "{unknown} 2> said; echo ${{JUJU_SLA-none}} $JUJU_VERSION > is"
        ))
        .await;
    assert_eq!(
        world.written("said"),
        "ERROR secret \"9m4e2mr0ui3e8a2aaaag\" not found\n"
    );
    assert_eq!(
        world.written("is"),
        "3.6.28\n",
        "JUJU_SLA is there, and empty"
    );
}

#[tokio::test]
async fn a_run_that_is_given_up_leaves_no_charm_behind() {
    let mut world = World::new().await;
    world.deploy("true").await;
    let pipe = world.dir.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    world.script(&format!(
        "exec 3> {}; action-log on; sleep 600",
        pipe.display()
    ));
    // A reader comes to the end when the last who could write is gone.
    let reader = tokio::task::spawn_blocking(move || fs::read(pipe).unwrap());
    let on = Notify::new();
    let mut listen = |_, _: &str| on.notify_one();
    let params = Map::new();
    tokio::select! {
        ended = world.juju.follow_action("app/0", "act", &params, &mut listen) => {
            panic!("{ended:?}")
        }
        () = on.notified() => {}
    }
    assert_eq!(reader.await.unwrap(), b"");
}

#[tokio::test]
async fn tools_called_at_once_are_served_one_by_one() {
    let mut world = World::new().await;
    world.deploy("true").await;
    world
        .juju
        .deploy_s3_integrator("s3", S3Settings::default())
        .unwrap();
    let id = world.juju.integrate("app", "s3").unwrap();
    world.juju.settle().await.unwrap();
    // The reader of the pipe is there first, and waits for its standard input.
    world.script("config-get --format=json | relation-set -r 0 --app --file -");
    let run = world.juju.update_status("app/0").await.unwrap();
    assert_eq!(run.exit, Exit::Code(0));
    assert_eq!(run.tool_calls.len(), 2);
    let bag = &world.juju.model().relations[&id]
        .local("app")
        .unwrap()
        .bag
        .data;
    assert_eq!(bag["word"], "hello");
}

/// The hand on a persisted model.
fn cli(dir: &Path, arguments: &[&str]) -> (bool, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_juju"))
        .args(arguments)
        .env("JUJU_DIR", dir)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn a_person_goes_on_with_the_model() {
    let mut world = World::new().await;
    world.deploy("true").await;
    world.script(
        "case $JUJU_DISPATCH_PATH in
         actions/*) action-log at-it; action-set word=$(action-get word) ;;
         *) status-set active \"$(config-get word)\"; juju-log \"ran $JUJU_HOOK_NAME\" ;;
         esac",
    );
    world
        .juju
        .deploy_s3_integrator("s3", S3Settings::default())
        .unwrap();
    let dir = world.juju.dir().to_owned();
    let World { juju, dir: _keep } = world;
    drop(juju);

    let (done, text) = cli(&dir, &["config", "app", "word=there"]);
    assert!(
        done && text.starts_with("app/0 config-changed: ok ("),
        "{text}"
    );
    let (_, text) = cli(&dir, &["status"]);
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].starts_with("Model  Controller  Cloud/Region  Version  Timestamp"),
        "{text}"
    );
    let unit = lines
        .iter()
        .find(|line| line.starts_with("app/0*"))
        .unwrap();
    let words: Vec<_> = unit.split_whitespace().collect();
    assert_eq!(words[..3], ["app/0*", "active", "idle"], "{text}");
    assert_eq!(words.last(), Some(&"there"), "{text}");
    let (done, text) = cli(&dir, &["integrate", "app", "s3"]);
    assert!(
        done && text.contains("s3-credentials-relation-joined: ok"),
        "{text}"
    );
    let (_, text) = cli(&dir, &["show-unit", "app/0"]);
    assert!(
        text.contains("      s3/0:\n        in-scope: true\n"),
        "{text}"
    );
    let (done, text) = cli(&dir, &["run", "app/0", "act", "word=x"]);
    assert!(
        done && text.ends_with(" at-it\nreturn-code: 0\nword: x\n"),
        "{text}"
    );
    let (done, text) = cli(&dir, &["run", "app/0", "act", "nope=x"]);
    assert!(
        !done && text.contains("additional property \"nope\" is not allowed"),
        "{text}"
    );
    let (_, text) = cli(&dir, &["update-status", "app/0"]);
    assert!(text.starts_with("app/0 update-status: ok"), "{text}");
    let (_, text) = cli(&dir, &["debug-log", "-n", "1"]);
    assert!(
        text.ends_with("INFO unit.app/0.juju-log ran update-status\n"),
        "{text}"
    );
    let (done, text) = cli(&dir, &["remove-relation", "app", "s3"]);
    assert!(
        done && text.contains("s3-credentials-relation-broken: ok"),
        "{text}"
    );
    let (done, text) = cli(&dir, &["remove-application", "app"]);
    assert!(done && text.contains("app/0 remove: ok"), "{text}");
}

#[tokio::test]
async fn a_model_can_be_opened_again() {
    let mut world = World::new().await;
    world.deploy("status-set active").await;
    let dir = world.juju.dir().to_owned();
    assert!(Juju::open(&dir, None).await.is_err(), "one at a time");
    let World { juju, dir: _keep } = world;
    drop(juju);
    let mut juju = Juju::open(&dir, None).await.unwrap();
    assert!(juju.settle().await.unwrap().is_empty());
    assert_eq!(
        juju.update_status("app/0").await.unwrap().exit,
        Exit::Code(0)
    );
}
