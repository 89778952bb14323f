//! The charm on a plane, from its deployment to its removal.

use juju_emulator::DeployOptions;
use worlds::operator::{APP, S3};
use worlds::plane::{Fate, LightWorld, Plane, Verdict};

const PLUGIN: &str = "velero/velero-plugin-for-aws:v1.14.3";
const SERVER: &str = "velero/velero:v1.18.3";

#[tokio::test]
async fn states_of_the_cluster_can_be_brought_about() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::deployed(&plane, "any-state").await.unwrap();
    world
        .expect_in_status("blocked: ", &["no object store"])
        .unwrap();
    world.connect().await.unwrap();

    let it_rains = Verdict::Unavailable("it rains".into());
    let bucket = world.bucket.clone();
    world.let_bucket(&bucket, it_rains).await.unwrap();
    world.update_status().await.unwrap();
    world
        .expect_status("blocked: object store unavailable: it rains")
        .unwrap();
    world.let_bucket(&bucket, Verdict::Available).await.unwrap();

    let crash = Fate::CrashLoops {
        code: 1,
        last_words: "first\nno such flag\n".into(),
    };
    world.let_containers(SERVER, crash).await.unwrap();
    world.update_status().await.unwrap();
    world
        .expect_status(&format!(
            "blocked: see `kubectl logs -n {} -l deploy=velero -c velero --previous`: the Velero server \
             does not start: `CrashLoopBackOff` of image `{SERVER}`: no such flag",
            world.namespace
        ))
        .unwrap();
}

#[tokio::test]
async fn removal_is_done_by_the_real_controllers() {
    let plane = Plane::shared().await.unwrap();
    let mut world = plane.world("removal").await.unwrap();
    world
        .let_containers(PLUGIN, Fate::waits("ImagePullBackOff", "not found"))
        .await
        .unwrap();
    world.deploy(DeployOptions::trusted()).await.unwrap();
    world.config("use-node-agent", "true").await.unwrap();
    let settings = world.settings();
    world.integrate(settings).await.unwrap();
    world
        .expect_in_status("blocked: ", &["ImagePullBackOff", PLUGIN])
        .unwrap();
    world.let_containers(PLUGIN, Fate::Runs).await.unwrap();
    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();

    world.juju.remove_application(S3).unwrap();
    world.juju.remove_application(APP).unwrap();
    world.settle().await.unwrap();
    assert_eq!(world.belongings().await.unwrap(), "");
    // The definitions are those of all worlds.
    let dump = world.dump().await.unwrap();
    let definition = |one: &str| one.contains("kind: CustomResourceDefinition");
    let left: Vec<_> = dump.split("---\n").filter(|one| !definition(one)).collect();
    assert!(left.concat().is_empty(), "{left:?}");
}
