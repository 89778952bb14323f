//! What a charm is given, and what it may call.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use juju_emulator::{DeployOptions, Exit, S3Settings};
use serde_json::Map;
use tokio::sync::Notify;

use super::{METADATA, World};

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
JUJU_CHARM_NO_PROXY=127.0.0.1,localhost,::1
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
async fn a_charm_runs_as_the_user_of_its_metadata() {
    for (user, want) in [("root", "0"), ("sudoer", "171"), ("non-root", "170")] {
        let mut world = World::new().await;
        let dir = world.dir.path().join("charm");
        let charm = world
            .charm("echo $(id -u) $(id -g) $(id -G) > who.txt; status-set active $(is-leader)");
        fs::write(
            dir.join("metadata.yaml"),
            format!("{METADATA}charm-user: {user}\n"),
        )
        .unwrap();
        let options = DeployOptions::default();
        world.juju.deploy(&charm, "app", options).await.unwrap();
        let runs = world.juju.settle().await.unwrap();
        assert!(runs.iter().all(|run| run.exit == Exit::Code(0)), "{runs:?}");
        assert_eq!(world.written("who.txt"), format!("{want} {want} {want}\n"));
    }
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

/// The kernel's limit for one argument, which a charm meets before Juju does.
#[tokio::test]
async fn one_argument_may_be_so_long_and_no_longer() {
    let mut world = World::new().await;
    world.deploy("true").await;
    world.script(
        "long() { head -c $1 /dev/zero | tr '\\0' x; }
         juju-log \"$(long 131071)\" && echo logged > seen
         juju-log \"$(long 131072)\" 2>> seen; echo $? >> seen",
    );
    let run = world.juju.update_status("app/0").await.unwrap();
    let seen = world.written("seen");
    assert!(
        seen.starts_with("logged\n") && seen.contains("Argument list too long"),
        "{seen}"
    );
    assert!(seen.ends_with("126\n"), "{seen}");
    assert_eq!(run.tool_calls.len(), 1);
    assert_eq!(run.tool_calls[0].args[0].len(), 131_071);
}

#[tokio::test]
async fn leader_settings_are_there_with_juju_3_alone() {
    let mut world = World::new().await;
    world.deploy("command -v leader-get > found; true").await;
    assert_eq!(world.written("found"), "");
    let mut world = World::new().await;
    world.juju.play_version("3.6.28");
    world
        .deploy("leader-set a=$JUJU_HOOK_NAME; leader-get a > got; printenv JUJU_SLA JUJU_VERSION > env")
        .await;
    assert_eq!(world.written("got"), "start\n");
    assert_eq!(world.written("env"), "\n3.6.28\n");
    world.juju.add_unit("app").unwrap();
    world.juju.settle().await.unwrap();
    let other = world.juju.charm_dir("app/1").join("got");
    assert_eq!(
        fs::read_to_string(other).unwrap(),
        "start\n",
        "the other's word stands"
    );
}
