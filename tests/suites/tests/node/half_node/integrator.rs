//! An integrator as others write them.

use serde_json::json;
use worlds::foreign_charms;
use worlds::operator::APP;
use worlds::world::HalfNode;

/// The other end is not ours: a charm on `ops`, with the library that the real integrators use.
#[tokio::test]
async fn the_integrators_own_library_connects_us() {
    let mut world = HalfNode::deployed("real-library").await.unwrap();
    let settings = world.settings();
    let provider = "object-storage";
    foreign_charms::deploy_s3_provider(&mut world.juju, provider, &settings)
        .await
        .unwrap();
    world.juju.settle().await.unwrap();

    world
        .juju
        .integrate(APP, "object-storage:s3-credentials")
        .unwrap();
    world.juju.settle().await.unwrap();
    world.expect_status("active: ").unwrap();
    let spec = world.location().await.unwrap().unwrap();
    assert_eq!(spec["objectStorage"]["bucket"], json!(world.bucket));

    for (key, status) in [
        ("wrong", "blocked: correct the secret key"),
        (settings.secret_key.as_str(), "active: "),
    ] {
        world.juju.config(provider, &[("secret-key", key)]).unwrap();
        world.juju.settle().await.unwrap();
        world.expect_in_status(status, &[]).unwrap();
    }
}
