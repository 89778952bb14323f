//! The `run` action, with the real Velero CLI on a plane: what it lets through, and what it tells.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tests::juju::ActionOutcome;
use tests::kubectl::Kubectl;
use tests::operator::{self, UNIT};
use tests::plane::{LightWorld, NODE, Plane};
use tokio::time::timeout;

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
    let dir = tempfile::tempdir().unwrap();
    let victim = dir.path().join("victim");
    fs::write(&victim, "precious").unwrap();
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
    let dir = tempfile::tempdir().unwrap();
    let sign = dir.path().join("sign");
    nix::unistd::mkfifo(&sign, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let script = format!("exec 3>{}; echo here >&3; exec sleep 600", sign.display());
    replace_cli(&world, &script);

    let killer = world.juju.killer();
    // The reader sees the end of the file once the last writer has closed it.
    let watch = tokio::task::spawn_blocking(move || {
        let mut lines = BufReader::new(File::open(sign).unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "here");
        killer.kill().unwrap();
        assert!(lines.next().is_none());
    });
    let (outcome, watched) = tokio::join!(
        run(&mut world, "backup get"),
        timeout(Duration::from_mins(1), watch)
    );
    assert_eq!(outcome.status, "failed");
    watched.expect("the CLI goes on").unwrap();
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
    assert_eq!(outcome.results["output"], "abc\nde");
    assert!(
        outcome.message.ends_with("?[signature removed]\""),
        "{}",
        outcome.message
    );
    assert_eq!(outcome.log.last().unwrap().1, "abc\nde");
}

#[tokio::test]
async fn wishes_that_cannot_come_true_are_refused() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "wishes").await.unwrap();
    let agent = "`juju config velero-operator use-node-agent=true`";
    for (command, parts) in [
        (
            "backup create x --snapshot-move-data --wait",
            ["EnableCSI", agent],
        ),
        (
            "schedule create x --schedule @daily --snapshot-move-data",
            ["EnableCSI", agent],
        ),
        (
            "backup create x --default-volumes-to-fs-backup",
            ["needs Velero's node agent", agent],
        ),
        (
            "schedule create x --schedule @daily --default-volumes-to-fs-backup=true",
            ["needs Velero's node agent", agent],
        ),
    ] {
        let message = refusal(&mut world, command).await;
        for part in parts {
            assert!(message.contains(part), "`{command}`: {message}");
        }
    }
    world
        .apply(&json!({
            "apiVersion": "velero.io/v1",
            "kind": "Schedule",
            "metadata": {"name": "daily", "namespace": world.namespace},
            "spec": {"schedule": "@daily", "template": {"snapshotMoveData": true}},
        }))
        .await
        .unwrap();
    let message = refusal(&mut world, "backup create --from-schedule daily").await;
    assert!(
        message.contains("`--snapshot-move-data` of schedule `daily`"),
        "{message}"
    );

    let made = [
        "-n",
        &world.namespace,
        "get",
        "backups.velero.io",
        "-o",
        "name",
    ];
    assert_eq!(world.kubectl(&made).await.unwrap(), "");
    world.config("use-node-agent", "true").await.unwrap();
    output(&run(&mut world, "backup create x --default-volumes-to-fs-backup").await);
    let message = refusal(&mut world, "backup create y --snapshot-move-data").await;
    assert!(
        message.contains("instead with `--default-volumes-to-fs-backup`"),
        "{message}"
    );
}

#[tokio::test]
async fn restore_of_files_needs_the_node_agent() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "files").await.unwrap();
    let kubectl = plane.kubectl();
    output(&run(&mut world, "backup create held --include-namespaces shop").await);
    complete(
        &kubectl,
        &world.namespace,
        "held",
        &[("shop", "cart", "data")],
    )
    .await;

    let message = refusal(&mut world, "restore create --from-backup held").await;
    assert!(
        message.contains("backup `held` holds files of volumes"),
        "{message}"
    );
    assert!(message.contains("use-node-agent=true"), "{message}");
    let without_pods = "restore create --from-backup held --exclude-resources pods";
    output(&run(&mut world, without_pods).await);
    world.config("use-node-agent", "true").await.unwrap();
    output(&run(&mut world, "restore create again --from-backup held").await);
}

#[tokio::test]
async fn volumes_that_nothing_saved_are_named_at_the_end() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "volumes").await.unwrap();
    let kubectl = plane.kubectl();
    open_shop(&world, "light-volumes-shop").await;
    world.config("use-node-agent", "true").await.unwrap();

    let command = "backup create nothing --include-namespaces light-volumes-shop --wait";
    let outcome = back_up(&mut world, &kubectl, command, "nothing", &[]).await;
    let warning = "WARNING: backup `nothing` holds no data of 4 of 4 volumes:\n  \
                   light-volumes-shop/data\n  light-volumes-shop/cart:cache\n";
    assert!(output(&outcome).contains("Backup completed with status: Completed"));
    assert!(output(&outcome).contains(warning), "{}", output(&outcome));
    let remedy =
        "`juju config velero-operator use-node-agent=true default-volumes-to-fs-backup=true`";
    assert!(output(&outcome).contains(remedy));
    let last = &outcome.log.last().unwrap().1;
    assert!(
        last.starts_with(warning) && output(&outcome).ends_with(last),
        "{last}"
    );
    assert_eq!(outcome.results["volumes"], "0 of 4");
    assert_eq!(
        outcome.results["volumes-without-data"],
        "light-volumes-shop/data (file-system backup not asked for), light-volumes-shop/cart:cache \
         (file-system backup not asked for), light-volumes-shop/idle (no running pod to read it \
         through), light-volumes-shop/local (a hostPath volume)"
    );
    let described = run(&mut world, "backup describe nothing").await;
    assert!(output(&described).ends_with(last), "{}", output(&described));

    let shop = "light-volumes-shop";
    let saved = [(shop, "cart", "cache"), (shop, "cart", "data")];
    let command = "backup create files --include-namespaces light-volumes-* --exclude-resources \
                   nodes --default-volumes-to-fs-backup --wait";
    let outcome = back_up(&mut world, &kubectl, command, "files", &saved).await;
    assert_eq!(outcome.results["volumes"], "2 of 4");
    assert!(
        !output(&outcome).contains("not asked for"),
        "{}",
        output(&outcome)
    );

    let command = "backup create some --include-namespaces light-volumes-shop --wait \
                   --selector app=cart --default-volumes-to-fs-backup";
    let outcome = back_up(&mut world, &kubectl, command, "some", &saved).await;
    assert_eq!(outcome.results["volumes"], "2 of 2");
    assert_eq!(outcome.results.get("volumes-without-data"), None);
    assert!(
        !output(&outcome).contains("WARNING"),
        "{}",
        output(&outcome)
    );

    let outcome = run(
        &mut world,
        "backup create later --include-namespaces light-volumes-shop",
    )
    .await;
    let hint = "juju run velero-operator/0 run command=\"backup describe later\"";
    assert!(output(&outcome).ends_with("with `--wait`.") && output(&outcome).contains(hint));

    output(&run(&mut world, "schedule create daily --schedule @daily --paused --include-namespaces light-volumes-shop").await);
    let command = "backup create of-schedule --from-schedule daily --wait";
    let outcome = back_up(&mut world, &kubectl, command, "of-schedule", &[]).await;
    assert_eq!(outcome.results["volumes"], "0 of 4");
}

/// Runs a backup that Velero completes, with copies of these volumes of pods.
async fn back_up(
    world: &mut LightWorld,
    kubectl: &Kubectl,
    command: &str,
    name: &str,
    saved: &[(&str, &str, &str)],
) -> ActionOutcome {
    let namespace = world.namespace.clone();
    let (outcome, ()) = tokio::join!(
        run(world, command),
        complete(kubectl, &namespace, name, saved)
    );
    outcome
}

/// What Velero does to a Backup, as far as the cluster shows it.
async fn complete(kubectl: &Kubectl, space: &str, name: &str, saved: &[(&str, &str, &str)]) {
    let object = format!("backups.velero.io/{name}");
    let wait = [
        "-n",
        space,
        "wait",
        "--for=create",
        &object,
        "--timeout=60s",
    ];
    kubectl.run(&wait).await.unwrap();
    let get = [
        "-n",
        space,
        "get",
        &object,
        "-o",
        "jsonpath={.metadata.uid}",
    ];
    let uid = kubectl.run(&get).await.unwrap();
    for (namespace, pod, volume) in saved {
        let copy = json!({
            "apiVersion": "velero.io/v1",
            "kind": "PodVolumeBackup",
            "metadata": {
                "name": format!("{name}-{volume}"),
                "namespace": space,
                "labels": {"velero.io/backup-name": name, "velero.io/backup-uid": uid},
            },
            "spec": {
                "backupStorageLocation": "default",
                "node": NODE,
                "pod": {"namespace": namespace, "name": pod},
                "repoIdentifier": "",
                "volume": volume,
            },
            "status": {"phase": "Completed"},
        });
        let apply = ["apply", "-f", "-"];
        kubectl.run_on(&apply, &copy.to_string()).await.unwrap();
    }
    let now = jiff::Timestamp::now().to_string();
    let status = json!({"status": {"phase": "Completed", "startTimestamp": now}}).to_string();
    let patch = ["-n", space, "patch", &object, "--type=merge", "-p", &status];
    kubectl.run(&patch).await.unwrap();
}

/// A namespace with a pod that has a claim, a volume of its own and a Secret, with a claim on a node's
/// folder, and with one that nobody mounts.
async fn open_shop(world: &LightWorld, shop: &str) {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": shop}});
    world.apply(&namespace).await.unwrap();
    for (claim, source) in [
        (
            "data",
            json!({"nfs": {"server": "192.0.2.9", "path": "/data"}}),
        ),
        (
            "idle",
            json!({"nfs": {"server": "192.0.2.9", "path": "/idle"}}),
        ),
        ("local", json!({"hostPath": {"path": "/srv/local"}})),
    ] {
        let volume = format!("{shop}-{claim}");
        let size = json!({"storage": "1Gi"});
        let mut spec = json!({
            "accessModes": ["ReadWriteOnce"],
            "capacity": size,
            "claimRef": {"namespace": shop, "name": claim},
            "storageClassName": "",
        });
        spec.as_object_mut()
            .unwrap()
            .extend(source.as_object().unwrap().clone());
        let object = json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume}, "spec": spec,
        });
        world.apply(&object).await.unwrap();
        let object = json!({
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": claim, "namespace": shop},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": size},
                "storageClassName": "",
                "volumeName": volume,
            },
        });
        world.apply(&object).await.unwrap();
        // No controller of the plane binds claims.
        let bound = json!({"status": {"phase": "Bound"}}).to_string();
        let patch = [
            "-n",
            shop,
            "patch",
            "pvc",
            claim,
            "--subresource=status",
            "-p",
            &bound,
        ];
        world.kubectl(&patch).await.unwrap();
    }
    world.apply(&pod(shop, "cart", "data")).await.unwrap();
    world.apply(&pod(shop, "till", "local")).await.unwrap();
    let ready = [
        "pod/cart",
        "pod/till",
        "--timeout=60s",
        "--for=condition=Ready",
    ];
    let wait = [&["-n", shop, "wait"], &ready[..]].concat();
    world.kubectl(&wait).await.unwrap();
}

fn pod(shop: &str, name: &str, claim: &str) -> Value {
    let mut volumes = vec![
        json!({"name": claim, "persistentVolumeClaim": {"claimName": claim}}),
        json!({"name": "settings", "configMap": {"name": "settings", "optional": true}}),
    ];
    if name == "cart" {
        volumes.push(json!({"name": "cache", "emptyDir": {}}));
    }
    let names = volumes.iter().filter_map(|volume| volume["name"].as_str());
    let mounts: Vec<_> = names
        .map(|name| json!({"name": name, "mountPath": format!("/{name}")}))
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": shop, "labels": {"app": name}},
        "spec": {
            "automountServiceAccountToken": false,
            "nodeName": NODE,
            "containers": [{"name": "shop", "image": "shop", "volumeMounts": mounts}],
            "volumes": volumes,
        },
    })
}
