//! What the real plugin says of a store at Google, where a stand-in gives the tokens.

use worlds::store::Store;
use worlds::world::HalfNode;

use super::{Fault, explained_and_healed};

#[tokio::test]
async fn a_store_at_google_is_explained_and_heals() {
    let mut world = HalfNode::deployed("bad-store-at-google").await.unwrap();
    let store = world.stack.gcs().await.unwrap();
    let reason = [
        "Invalid JWT Signature",
        "make a new key of the service account and set that in `gcs-integrator`",
    ];
    let key = Fault::new("secret-key", &store.deleted_key, &store.key, reason);
    let reason = [
        "bucket doesn't exist",
        "create the bucket or correct `bucket` in `gcs-integrator`",
    ];
    let bucket = Fault::new("bucket", "no-such-bucket", &world.bucket, reason);
    let store = Store::Gcs(store);
    store.make_bucket(&world.bucket).await.unwrap();
    explained_and_healed(&mut world, &store, &[key, bucket]).await;
}
