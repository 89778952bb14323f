//! Options, good and bad.

use tests::stack::versions;
use tests::stores::no_store;
use tests::world::World;

use super::{kubectl, writes};

#[tokio::test]
async fn an_image_that_cannot_be_pulled_is_named() {
    let mut world = World::deployed("bad-image").await.unwrap();

    world
        .config("velero-image", "velero/velero:v1.18.99")
        .await
        .unwrap();
    let reason = ["`ImagePullBackOff` of image `", "velero/velero:v1.18.99`"];
    world
        .expect_in_status("blocked: the Velero server does not start: ", &reason)
        .unwrap();
    world
        .config("velero-image", &versions::velero_image())
        .await
        .unwrap();
    world.expect_status(&no_store()).unwrap();

    let plugin = "velero/velero-plugin-for-aws:v1.14.99";
    world
        .config("velero-aws-plugin-image", plugin)
        .await
        .unwrap();
    let settings = world.settings();
    world.integrate(settings).await.unwrap();
    let reason = ["`ImagePullBackOff` of image `", plugin];
    world
        .expect_in_status("blocked: the Velero server does not start: ", &reason)
        .unwrap();
    world
        .config("velero-aws-plugin-image", &versions::plugin_aws_image())
        .await
        .unwrap();
    world.expect_status("active: ").unwrap();
}

#[tokio::test]
async fn config_that_cannot_work_is_refused_and_touches_nothing() {
    let mut world = World::deployed("bad-config").await.unwrap();
    let mark = world.stack.audit().mark().await.unwrap();

    world
        .config("velero-image", "velero/velero:v1.15.2")
        .await
        .unwrap();
    let reason = [
        "`velero-image` is Velero 1.15",
        "set it to `velero/velero:v1.18.3`",
    ];
    world
        .expect_in_status("blocked: invalid config: ", &reason)
        .unwrap();
    world
        .config("default-volumes-to-fs-backup", "true")
        .await
        .unwrap();
    let reason = ["`default-volumes-to-fs-backup` needs the node agent"];
    world
        .expect_in_status("blocked: invalid config: ", &reason)
        .unwrap();

    assert_eq!(writes(&world, &mark).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_node_agent_that_the_namespace_does_not_admit_is_explained() {
    let mut world = World::deployed("pod-security").await.unwrap();
    let enforce = async |world: &World, level: &str| {
        let label = format!("pod-security.kubernetes.io/enforce={level}");
        let namespace = format!("namespace/{}", world.namespace);
        kubectl(world, &["label", "--overwrite", &namespace, &label]).await;
    };
    enforce(&world, "baseline").await;

    world.config("use-node-agent", "true").await.unwrap();

    let reason = [
        "violates PodSecurity \"baseline:latest\": hostPath volumes",
        "label the namespace `pod-security.kubernetes.io/enforce=privileged`",
    ];
    let refused = "blocked: the node agent's pods are refused: ";
    world.expect_in_status(refused, &reason).unwrap();
    world.update_status().await.unwrap();
    world.expect_in_status(refused, &reason).unwrap();

    enforce(&world, "privileged").await;
    // Its controller tries again at longer and longer intervals; a change makes it try now.
    kubectl(
        &world,
        &["annotate", "daemonset", "node-agent", "try=again"],
    )
    .await;
    kubectl(
        &world,
        &["rollout", "status", "daemonset/node-agent", "--timeout=60s"],
    )
    .await;
    world.update_status().await.unwrap();
    world.expect_status(&no_store()).unwrap();
}
