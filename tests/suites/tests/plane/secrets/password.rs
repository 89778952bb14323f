//! The password of the volumes' files, which a user may choose.

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::json;
use worlds::operator::APP;
use worlds::plane::{LightWorld, Plane};

use super::{asked, no_hook_has_failed};

const OPTION: &str = "repository-password";
const NAME: &str = "velero-repo-credentials";
const NOT_GRANTED: &str =
    "`repository-password` cannot be read (the secret is not granted to this application)";

async fn in_force(world: &LightWorld) -> Option<String> {
    let secrets: Api<Secret> = Api::namespaced(world.client(), &world.namespace);
    let secret = secrets.get_opt(NAME).await.unwrap()?;
    let password = secret.data.unwrap()[OPTION].0.clone();
    Some(String::from_utf8(password).unwrap())
}

/// As Velero leaves it behind when it starts.
async fn make_veleros_own(world: &LightWorld) {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": NAME, "namespace": world.namespace},
        "stringData": {OPTION: "static-passw0rd"},
    });
    world.apply(&secret).await.unwrap();
}

/// As Velero has it once it has opened one.
async fn open_a_repository(world: &LightWorld) {
    let repository = json!({
        "apiVersion": "velero.io/v1", "kind": "BackupRepository",
        "metadata": {"name": "shop", "namespace": world.namespace},
        "spec": {
            "backupStorageLocation": "default", "volumeNamespace": "shop",
            "repositoryType": "kopia", "resticIdentifier": "", "maintenanceFrequency": "1h",
        },
        "status": {"phase": "Ready", "lastMaintenanceTime": "2026-01-01T00:00:00Z"},
    });
    world.apply(&repository).await.unwrap();
}

#[tokio::test]
async fn chosen_password_is_there_before_the_server() {
    let plane = Plane::shared().await.unwrap();
    let mut world = plane.world("password-first").await.unwrap();
    let address = world
        .juju
        .add_secret("files", &[("password", "chosen-4711\n")]);
    let mut options = juju_emulator::DeployOptions::trusted();
    options.config.insert(OPTION.into(), address.unwrap());
    world.deploy(options).await.unwrap();
    world.expect_in_status("blocked: ", &[NOT_GRANTED]).unwrap();
    assert_eq!(in_force(&world).await, None);
    let belongings = world.belongings().await.unwrap();
    assert!(!belongings.contains("deployment"), "{belongings}");

    world.juju.grant_secret("files", APP).unwrap();
    world.update_status().await.unwrap();
    world
        .expect_in_status("blocked: ", &[": no object store"])
        .unwrap();
    assert_eq!(in_force(&world).await.as_deref(), Some("chosen-4711"));
    world.connect().await.unwrap();

    world.juju.remove_application(APP).unwrap();
    world.settle().await.unwrap();
    no_hook_has_failed(&world);
    assert_eq!(in_force(&world).await.as_deref(), Some("chosen-4711"));
    assert!(!world.everything_said().contains("chosen-4711"));
}

#[tokio::test]
async fn password_in_use_is_never_changed() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "password-used")
        .await
        .unwrap();
    make_veleros_own(&world).await;
    let address = world
        .juju
        .add_secret("files", &[("password", "chosen-4711")])
        .unwrap();
    world.juju.grant_secret("files", APP).unwrap();
    world.config(OPTION, &address).await.unwrap();
    world.expect_status("active: ").unwrap();
    assert_eq!(in_force(&world).await.as_deref(), Some("chosen-4711"));
    let mark = plane.audit().mark().await.unwrap();
    let quiet = world.update_status().await.unwrap();
    assert_eq!(asked(&quiet), 0);
    let writes = plane
        .audit()
        .writes_of(&world.charm_user(), &mark)
        .await
        .unwrap();
    assert!(writes.is_empty());

    open_a_repository(&world).await;
    world
        .juju
        .update_secret("files", &[("password", "other-4712")])
        .unwrap();
    let refused = "`repository-password` is not the password of BackupRepository `shop`";
    for _ in 0..2 {
        world.settle().await.unwrap();
        world.update_status().await.unwrap();
        world.expect_in_status("blocked: ", &[refused]).unwrap();
        assert_eq!(in_force(&world).await.as_deref(), Some("chosen-4711"));
    }

    world.reset(&[OPTION]).await.unwrap();
    world.expect_status("active: ").unwrap();
    assert_eq!(in_force(&world).await.as_deref(), Some("chosen-4711"));
    no_hook_has_failed(&world);
    let said = world.everything_said();
    assert!(!said.contains("chosen-4711") && !said.contains("other-4712"));
}

#[tokio::test]
async fn known_password_of_files_in_the_store_stays() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "password-known")
        .await
        .unwrap();
    assert!(
        world.log().contains("which everybody knows"),
        "{}",
        world.log()
    );
    make_veleros_own(&world).await;
    open_a_repository(&world).await;
    let address = world
        .juju
        .add_secret("files", &[("password", "chosen-4711")])
        .unwrap();
    world.juju.grant_secret("files", APP).unwrap();
    world.config(OPTION, &address).await.unwrap();
    world
        .expect_in_status("blocked: ", &["is not the password of BackupRepository"])
        .unwrap();
    assert_eq!(in_force(&world).await.as_deref(), Some("static-passw0rd"));

    // The one that they were made with can be brought.
    let known = world
        .juju
        .add_secret("known", &[("password", "static-passw0rd")])
        .unwrap();
    world.juju.grant_secret("known", APP).unwrap();
    world.config(OPTION, &known).await.unwrap();
    world.expect_status("active: ").unwrap();
}
