//! Options, good and bad.

use worlds::stores::no_store;
use worlds::versions;
use worlds::world::World;

#[tokio::test]
async fn an_image_that_cannot_be_pulled_is_named() {
    let mut world = World::deployed("bad-image").await.unwrap();

    world
        .config("velero-image", "velero/velero:v1.18.99")
        .await
        .unwrap();
    let reason = ["`ImagePullBackOff` of image `", "velero/velero:v1.18.99`"];
    world
        .expect_in_status("blocked: set an image that the nodes can pull: ", &reason)
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
        .expect_in_status("blocked: set an image that the nodes can pull: ", &reason)
        .unwrap();
    world
        .config("velero-aws-plugin-image", &versions::plugin_aws_image())
        .await
        .unwrap();
    world.expect_status("active: ").unwrap();
}
