//! A hook asks for a secret when it may have changed, and forgets no news of it.

use juju_emulator::AzureSettings;
use kube_stack::proxy::{Face, Fault, Refusal, Rule};
use serde_json::json;
use worlds::operator::{APP, AZURE, S3, UNIT};
use worlds::plane::{LightWorld, Plane};

use super::{asked, in_force, no_hook_has_failed, said, secrets};

const MARK: &str = "unread-secret";

#[tokio::test]
async fn hook_asks_for_a_secret_only_on_news() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "asks").await.unwrap();

    world
        .juju
        .config(APP, &[("use-node-agent", "true")])
        .unwrap();
    world.juju.config(S3, &[("path", "deeper")]).unwrap();
    let runs = world.juju.settle().await.unwrap();
    assert!(runs.len() > 1);
    for run in &runs {
        assert_eq!(asked(run), 0, "{}", run.hook);
    }
    assert_eq!(asked(&world.update_status().await.unwrap()), 0);
    for hook in ["start", "leader-elected", "upgrade-charm", "secret-changed"] {
        let audit = plane.audit();
        let mark = audit.mark().await.unwrap();
        let run = world.juju.run_hook(UNIT, hook).await.unwrap();
        assert_eq!(asked(&run), 1, "{hook}");
        assert_eq!(said(&world, MARK), None, "{hook}");
        let user = world.charm_user();
        assert_eq!(audit.writes_of(&user, &mark).await.unwrap(), [], "{hook}");
    }
}

#[tokio::test]
async fn followers_know_what_the_leader_has_read() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "follows").await.unwrap();
    let second = world.juju.add_unit(APP).unwrap();
    let runs = world.juju.settle().await.unwrap();
    let own: Vec<_> = runs.iter().filter(|run| run.unit == second).collect();
    assert!(!own.is_empty() && own.iter().all(|run| asked(run) == 0));
    assert_eq!(world.juju.unit_status(&second).unwrap().level, "active");

    let secret = secrets(&world).await.remove(0).metadata.name.unwrap();
    let delete = ["-n", &world.namespace, "delete", "secret", &secret];
    world.kubectl(&delete).await.unwrap();
    let run = world.juju.update_status(&second).await.unwrap();
    let status = world.juju.unit_status(&second).unwrap();
    assert_eq!((status.level.as_str(), asked(&run)), ("waiting", 0));
    assert!(status.message.contains("the leader has not read it yet"));
    world.update_status().await.unwrap();
    world.juju.update_status(&second).await.unwrap();
    assert_eq!(world.juju.unit_status(&second).unwrap().level, "active");
}

#[tokio::test]
async fn a_day_later_it_is_asked_again_and_only_noted() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "a-day").await.unwrap();
    let before = secrets(&world).await.remove(0);
    let location = world.location().await.unwrap();
    for at in ["2020-01-01T00:00:00Z", "2120-01-01T00:00:00Z"] {
        super::property::redate(&world, at).await;

        assert_eq!(asked(&world.update_status().await.unwrap()), 1, "{at}");
        assert_eq!(asked(&world.update_status().await.unwrap()), 0, "{at}");
    }
    let after = secrets(&world).await.remove(0);
    assert_eq!(
        (&after.metadata.uid, &after.data),
        (&before.metadata.uid, &before.data)
    );
    assert_eq!(world.location().await.unwrap(), location);
    world.expect_status("active: ").unwrap();
}

/// The hook that Juju runs for it cannot do anything, and ends well.
#[tokio::test]
async fn a_rotation_that_a_hook_cannot_use_is_not_forgotten() {
    let plane = Plane::shared().await.unwrap();
    let proxy = plane.proxy(Face::Valid).await.unwrap();
    let mut world = plane.world_at("not-now", proxy.api()).await.unwrap();
    world
        .deploy(juju_emulator::DeployOptions::trusted())
        .await
        .unwrap();
    world.connect().await.unwrap();
    let azure = AzureSettings::of_account("acme", "velero", "YSBsaWdodCBrZXk=");
    world.juju.deploy_azure_integrator(AZURE, azure).unwrap();

    for hindrance in ["api", "trust", "config", "store", "bucket"] {
        match hindrance {
            "api" => {
                let broken = Fault::Refuse(Refusal::Broken);
                proxy.play(vec![Rule::every(|_| true, broken)]);
            }
            "trust" => world.juju.untrust(APP).await.unwrap(),
            "config" => world.config("velero-image", "no image").await.unwrap(),
            "store" => drop(world.juju.integrate(APP, AZURE).unwrap()),
            _ => world.offer("bucket", "a/b").await.unwrap(),
        }
        world.settle().await.unwrap();
        let key = format!("rotated-{hindrance}");
        world.offer("secret-key", &key).await.unwrap();
        // No news any more.
        world.update_status().await.unwrap();
        match hindrance {
            "api" => proxy.play(Vec::new()),
            "trust" => world.juju.trust(APP).await.unwrap(),
            "config" => {
                let image = "velero/velero:v1.18.3";
                world.config("velero-image", image).await.unwrap();
            }
            "store" => world.juju.remove_relation(APP, AZURE).unwrap(),
            _ => {
                let bucket = world.bucket.clone();
                world.offer("bucket", &bucket).await.unwrap();
            }
        }
        world.settle().await.unwrap();
        let run = world.update_status().await.unwrap();
        no_hook_has_failed(&world);
        world.expect_status("active: ").unwrap();
        let file = in_force(&world).await;
        assert!(file.contains(&key), "{hindrance}\n{}", world.log());
        assert_eq!(said(&world, MARK), None, "{hindrance}");
        assert_eq!(secrets(&world).await.len(), 1, "{hindrance}");
        drop(run);
        assert_eq!(
            asked(&world.update_status().await.unwrap()),
            0,
            "{hindrance}"
        );
    }
}

/// Nothing of ours can use it, for as long as somebody else's Velero is there.
#[tokio::test]
async fn beside_a_foreign_velero_no_hook_asks() {
    let plane = Plane::shared().await.unwrap();
    let mut world = plane.world("foreign").await.unwrap();
    let labels = json!({"app": "theirs"});
    let foreign = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "velero", "namespace": world.namespace},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "velero", "image": "velero/velero:v1.18.3"}]},
            },
        },
    });
    world.apply(&foreign).await.unwrap();
    world
        .deploy(juju_emulator::DeployOptions::trusted())
        .await
        .unwrap();
    let settings = world.settings();
    world.integrate(settings).await.unwrap();
    world.update_status().await.unwrap();
    world.expect_in_status("blocked: ", &["Velero"]).unwrap();
    let all: usize = world.juju.hook_runs().iter().map(asked).sum();
    assert_eq!(all, 0);
}

/// Neither what cannot be used nor what cannot be used now is asked for at each hook.
#[tokio::test]
async fn content_that_cannot_be_used_is_asked_for_once() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "unusable").await.unwrap();
    let before = (world.location().await.unwrap(), in_force(&world).await);

    for key in ["two words", "three more words"] {
        world.offer("secret-key", key).await.unwrap();
        let blocked = world.update_status().await.unwrap();
        world
            .expect_in_status("blocked: ", &["`secret-key` contains white space"])
            .unwrap();
        assert_eq!(asked(&blocked), 0);
        assert_eq!(secrets(&world).await.len(), 2, "one in force, one read");
    }
    assert_eq!(
        (world.location().await.unwrap(), in_force(&world).await),
        before
    );

    world.offer("secret-key", "good-again").await.unwrap();
    world.expect_status("active: ").unwrap();
    assert!(in_force(&world).await.contains("good-again"));
    assert_eq!(secrets(&world).await.len(), 1);
    assert!(!world.log().contains("two words"));
}

/// Both secrets of a store are kept, and each is read on its own.
#[tokio::test]
async fn secrets_of_a_store_are_both_kept() {
    const AUTH: &str = "azure-auth-integrator";
    let plane = Plane::start().await.unwrap();
    let mut world = LightWorld::deployed(&plane, "both").await.unwrap();
    let node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "vm"},
        "spec": {"unschedulable": true, "providerID":
            "azure:///subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm"},
    });
    world.apply(&node).await.unwrap();
    let settings = AzureSettings::of_account("acme", "velero", "YSBsaWdodCBrZXk=");
    world.juju.deploy_azure_integrator(AZURE, settings).unwrap();
    world.juju.integrate(APP, AZURE).unwrap();
    world.juju.deploy_azure_auth_integrator(AUTH).unwrap();
    let principal = [
        ("client-id", "a-client-id"),
        ("client-secret", "a-client-secret"),
        ("tenant-id", "t"),
        ("subscription-id", "s"),
    ];
    world.juju.config(AUTH, &principal).unwrap();
    world.juju.integrate(APP, AUTH).unwrap();
    world.settle().await.unwrap();
    world.expect_status("active: ").unwrap();
    assert_eq!(asked(&world.update_status().await.unwrap()), 0);

    world
        .juju
        .config(AUTH, &[("client-secret", "rotated")])
        .unwrap();
    let runs = world.juju.settle().await.unwrap();
    assert_eq!(
        runs.iter().map(asked).sum::<usize>(),
        2,
        "either may have changed"
    );
    assert!(in_force(&world).await.contains("rotated"));
    assert_eq!(asked(&world.update_status().await.unwrap()), 0);
    let secret = secrets(&world).await.remove(0);
    let keys: Vec<_> = secret.data.unwrap().into_keys().collect();
    assert_eq!(keys, ["cloud", "read"]);
}
