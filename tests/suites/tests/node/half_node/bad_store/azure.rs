//! What an account in Azure has that other stores have not: two keys, to change one while the other is in
//! use. The plugin is the stand-in.

use worlds::operator::{AZURE, run_well};
use worlds::store::Store;
use worlds::world::{HalfNode, World};

use super::{Fault, dead, explained_and_healed};
use crate::{kubectl, server_pod};

/// The name of the Secret that the location points at, and the key in it.
async fn credential(world: &World) -> (String, String) {
    let location = world.location().await.unwrap().unwrap();
    let name = location["credential"]["name"].as_str().unwrap().to_owned();
    let shown = "go-template={{.data.cloud | base64decode}}";
    let file = kubectl(world, &["get", "secret", &name, "-o", shown]).await;
    let variable = location["config"]["storageAccountKeyEnvVar"]
        .as_str()
        .unwrap();
    let assignment = format!("{variable}=");
    let key = file.lines().find_map(|line| line.strip_prefix(&assignment));
    (name, key.unwrap().to_owned())
}

/// What refuses is Azurite, and what asks is Azure's own library, in a plugin that is a stand-in.
#[tokio::test]
async fn a_store_in_azure_is_explained_heals_and_takes_another_key() {
    let mut world = HalfNode::deployed("bad-store-in-azure").await.unwrap();
    let store = world.stack.azure();
    let reason = [
        "Server failed to authenticate the request",
        "correct the account key in `azure-storage-integrator`",
    ];
    let wrong = "bm90IHRoZSBrZXkgb2YgdGhlIGFjY291bnQ=";
    let key = Fault::new("secret-key", wrong, &store.key, reason);
    let reason = [
        "ContainerNotFound",
        "create the container or correct `container` in `azure-storage-integrator`",
    ];
    let container = Fault::new("container", "no-such-container", &world.bucket, reason);
    let reason = [
        "connection refused",
        "correct `endpoint` in `azure-storage-integrator`",
    ];
    let dead = format!("{}/{}", dead(&world), store.account);
    let endpoint = Fault::new("endpoint", &dead, &store.endpoint, reason);
    let store = Store::Azure(store);
    store.make_bucket(&world.bucket).await.unwrap();
    let faults = [key, container, endpoint];
    explained_and_healed(&mut world, &store, &faults).await;
    another_key_restarts_nothing(&mut world).await;
}

/// The other key of the account is used at once.
async fn another_key_restarts_nothing(world: &mut World) {
    let first = world.stack.azure();
    let second = first.with_second_key().key;
    let store = Store::Azure(first.clone());
    world.expect_status("active: ").unwrap();
    let pod = server_pod(world).await;
    let (name, key) = credential(world).await;
    assert_eq!(key, first.key);

    world
        .juju
        .config(AZURE, &[("secret-key", &second)])
        .unwrap();
    world.settle().await.unwrap();

    world.expect_status("active: ").unwrap();
    let (new_name, key) = credential(world).await;
    assert_eq!(key, second);
    assert_ne!(new_name, name, "Velero asks again only if the name changes");
    let belongings = world.belongings().await.unwrap();
    assert_eq!(belongings.matches("secret/").count(), 1, "{belongings}");
    let backup = "backup create after --include-namespaces default --wait";
    run_well(&mut world.juju, backup).await.unwrap();
    let objects = store.list(&world.bucket).await.unwrap();
    assert!(
        objects
            .iter()
            .any(|object| object.key == "backups/after/velero-backup.json"),
        "{objects:?}"
    );
    assert_eq!(server_pod(world).await, pod, "the server was restarted");
}
