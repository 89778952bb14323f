//! What an account in Azure has that other stores have not: two keys, to change one while the other is in
//! use. The plugin is the stand-in.

use worlds::operator::{AZURE, run_well};
use worlds::store::Store;
use worlds::world::World;

use super::{kubectl, server_pod};

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

#[tokio::test]
async fn the_other_key_of_an_account_is_used_at_once_and_restarts_nothing() {
    let mut world = World::deployed("rotation-in-azure").await.unwrap();
    let first = world.stack.azure();
    let second = first.with_second_key().key;
    let store = Store::Azure(first.clone());
    store.make_bucket(&world.bucket).await.unwrap();
    world.integrate_with(&store).await.unwrap();
    world.expect_status("active: ").unwrap();
    let pod = server_pod(&world).await;
    let (name, key) = credential(&world).await;
    assert_eq!(key, first.key);

    world
        .juju
        .config(AZURE, &[("secret-key", &second)])
        .unwrap();
    world.settle().await.unwrap();

    world.expect_status("active: ").unwrap();
    let (new_name, key) = credential(&world).await;
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
    assert_eq!(server_pod(&world).await, pod, "the server was restarted");
}
