//! What cannot be used: config, data of a relation, commands, a namespace that admits no node agent.

use worlds::kubectl::TIMEOUT;
use worlds::operator;
use worlds::plane::{LightWorld, Plane};
use worlds::stores::no_store;

use crate::{here, writes};

async fn refusal(world: &mut LightWorld, command: &str) -> String {
    let refusal = operator::run_refused(&mut world.juju, command);
    refusal.await.unwrap()
}

#[tokio::test]
async fn config_that_cannot_work_is_refused_and_touches_nothing() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::deployed(&plane, "bad-config").await.unwrap();
    let mark = plane.audit().mark().await.unwrap();

    world
        .config("velero-image", "velero/velero:v1.15.2")
        .await
        .unwrap();
    let reason = [
        "`velero-image` is Velero 1.15",
        "set `velero-image` to `velero/velero:v1.18.3`",
    ];
    world.expect_in_status("blocked: ", &reason).unwrap();
    world
        .config("default-volumes-to-fs-backup", "true")
        .await
        .unwrap();
    let reason = ["`default-volumes-to-fs-backup` needs the node agent"];
    world.expect_in_status("blocked: ", &reason).unwrap();

    assert_eq!(writes(&world, &mark).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_node_agent_that_the_namespace_does_not_admit_is_explained() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::deployed(&plane, "pod-security").await.unwrap();
    let enforce = async |world: &LightWorld, level: &str| {
        let label = format!("pod-security.kubernetes.io/enforce={level}");
        let namespace = format!("namespace/{}", world.namespace);
        here(world, &["label", "--overwrite", &namespace, &label]).await;
    };
    enforce(&world, "baseline").await;

    world.config("use-node-agent", "true").await.unwrap();

    let reason = [
        "violates PodSecurity \"baseline:latest\": hostPath volumes",
        "`pod-security.kubernetes.io/enforce=privileged`: the node agent's pods are refused: ",
    ];
    let refused = "blocked: label the namespace ";
    world.expect_in_status(refused, &reason).unwrap();
    world.update_status().await.unwrap();
    world.expect_in_status(refused, &reason).unwrap();

    enforce(&world, "privileged").await;
    // Its controller tries again at longer and longer intervals; a change makes it try now.
    here(
        &world,
        &["annotate", "daemonset", "node-agent", "try=again"],
    )
    .await;
    here(
        &world,
        &["rollout", "status", "daemonset/node-agent", TIMEOUT],
    )
    .await;
    world.update_status().await.unwrap();
    world.expect_status(&no_store()).unwrap();
}

#[tokio::test]
async fn bad_data_is_named_and_destroys_nothing() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "bad-data").await.unwrap();
    let before = world.location().await.unwrap();

    world.offer("bucket", "a/b").await.unwrap();
    let reason = ["put the folder into `path` of ", "`bucket` contains a `/`"];
    world.expect_in_status("blocked: ", &reason).unwrap();
    assert_eq!(world.location().await.unwrap(), before);

    world.offer("bucket", "").await.unwrap();
    world
        .expect_in_status("blocked: ", &["`bucket` is missing"])
        .unwrap();
    assert_eq!(world.location().await.unwrap(), before);

    let bucket = world.bucket.clone();
    world.offer("bucket", &bucket).await.unwrap();
    world.expect_status("active: ").unwrap();
}

#[tokio::test]
async fn refused_commands_name_their_reason() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::deployed(&plane, "refusals").await.unwrap();

    let message = refusal(&mut world, "backup get").await;
    assert!(
        message.contains("`juju integrate velero-operator s3-integrator`"),
        "{message}"
    );
    for (command, reason) in [
        ("", "is empty"),
        ("backup 'x", "quote"),
        ("install", "use `backup`, `restore`, `schedule`"),
        ("backup create a -wn kube-system", "`-n` is not allowed"),
        (
            "backup get --namespace=kube-system",
            "`--namespace` is not allowed",
        ),
        (
            "backup get --kubeconfig /tmp/x",
            "`--kubeconfig` is not allowed",
        ),
        ("backup get -- x", "`--` is not allowed"),
        ("backup download x", "`backup download` is not allowed"),
        ("backup delete x", "add `--confirm`"),
    ] {
        let message = refusal(&mut world, command).await;
        assert!(message.contains(reason), "`{command}`: {message}");
    }
    let starts = world.cli_starts().unwrap();
    assert!(!starts.is_empty(), "installing starts the CLI");
    assert!(starts.iter().all(|start| start.contains(" install ")));
}
