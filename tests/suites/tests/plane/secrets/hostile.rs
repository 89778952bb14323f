//! What an integrator can send to do harm.

use juju_emulator::secrets::{Grant, Owner, Secret, encode};
use worlds::operator::{APP, S3};
use worlds::plane::{LightWorld, Plane};

use super::{in_force, no_hook_has_failed, say, with_silent_integrator};

const NO_ADDRESS: &str = "its address is not that of a secret";
const GONE: &str = "the secret is gone";

/// Addresses, and what is said of them.
fn addresses() -> Vec<(String, &'static str)> {
    let gone = "9m4e2mr0ui3e8a215n4g";
    let model = "0b7a6c1e-56a5-4a65-8d5c-1f2a3b4c5d6e";
    let mut all: Vec<_> = [
        "nonsense",
        "--help",
        "--peek",
        "-",
        "--",
        "secret:",
        "secret:9m4e2mr0ui3e8a215n4g --peek",
        "secret:9m4e2mr0ui3e8a215n4g\n9m4e2mr0ui3e8a215n4g",
        "secret://elsewhere/9m4e2mr0ui3e8a215n4g",
        "https://example.com/9m4e2mr0ui3e8a215n4g",
        "\u{202e}\u{0}",
        "null",
    ]
    .map(|text| (text.to_owned(), NO_ADDRESS))
    .to_vec();
    all.push(("x".repeat(2 << 20), NO_ADDRESS));
    all.push((gone.to_owned(), GONE));
    all.push((format!("secret:{gone}"), GONE));
    all.push((format!("secret://{model}/{gone}"), GONE));
    // Of the form of Juju's, but with letters that it has not.
    all.push(("secret:zzzzzzzzzzzzzzzzzzzz".to_owned(), "not valid"));
    all
}

#[tokio::test]
async fn hostile_addresses_fail_no_hook() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::deployed(&plane, "hostile-secrets")
        .await
        .unwrap();
    with_silent_integrator(&mut world).await;
    say(&mut world, &[("bucket", "backups")]);
    for (address, reason) in addresses() {
        say(&mut world, &[("secret-extra", &address)]);
        world.settle().await.unwrap();
        world
            .juju
            .run_hook("velero-operator/0", "start")
            .await
            .unwrap();
        no_hook_has_failed(&world);
        world
            .expect_in_status("waiting: waiting for `s3-integrator` (", &[reason])
            .unwrap();
    }
    world.config("use-node-agent", "true").await.unwrap();
    assert!(world.belongings().await.unwrap().contains("daemonset"));
    world.juju.remove_relation(APP, S3).unwrap();
    world.settle().await.unwrap();
    world
        .expect_in_status("blocked: ", &[": no object store"])
        .unwrap();
    no_hook_has_failed(&world);
}

#[tokio::test]
async fn a_hostile_address_does_not_hold_up_removal() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "hostile-end").await.unwrap();
    say(&mut world, &[("secret-extra", "--help")]);
    world.juju.remove_application(APP).unwrap();
    world.settle().await.unwrap();
    no_hook_has_failed(&world);
    assert_eq!(world.belongings().await.unwrap(), "");
}

/// A secret with this content, granted to us; its address.
fn secret_of(world: &mut LightWorld, content: &[(&str, &str)]) -> String {
    let content = content
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let mut secret = Secret::new(Owner::Application(S3.to_owned()), encode(&content)).unwrap();
    let model = world.juju.model_mut();
    secret.grants.push(Grant {
        relation: model.relations.keys().next().copied(),
        app: APP.to_owned(),
        unit: None,
    });
    let address = format!("secret:{}", secret.id);
    model.secrets.insert(secret.id.clone(), secret);
    address
}

#[tokio::test]
async fn odd_content_of_a_secret_fails_no_hook() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::deployed(&plane, "odd").await.unwrap();
    with_silent_integrator(&mut world).await;
    say(&mut world, &[("bucket", "backups"), ("region", "here")]);
    let large = "k".repeat(600_000);
    let good = [("access-key", "a-key"), ("secret-key", "a-secret")];
    for (content, parts) in [
        (vec![], ["blocked: ", "`access-key` is blank"]),
        (vec![("other", "x")], ["blocked: ", "`access-key` is blank"]),
        (
            vec![("access-key", "a")],
            ["blocked: ", "`secret-key` is blank"],
        ),
        (
            vec![("access-key", "a"), ("secret-key", &large)],
            ["waiting: ", "it is too large"],
        ),
        (
            vec![("access-key", "a\u{0}b"), ("secret-key", "s")],
            ["blocked: ", "`access-key` contains white space"],
        ),
        (
            // What nobody asked for is not looked at.
            [&good[..], &[("bucket", "theirs"), ("version", &large)]].concat(),
            ["active: ", ""],
        ),
    ] {
        let address = secret_of(&mut world, &content);
        say(&mut world, &[("secret-extra", &address)]);
        world.settle().await.unwrap();
        no_hook_has_failed(&world);
        world.expect_in_status(parts[0], &parts[1..]).unwrap();
    }
    let location = world.location().await.unwrap().unwrap();
    assert_eq!(location["objectStorage"]["bucket"], "backups");
    assert!(in_force(&world).await.contains("a-secret"));
}

#[tokio::test]
async fn huge_and_odd_fields_fail_no_hook() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "huge").await.unwrap();
    let before = world.location().await.unwrap();
    let huge = "[".repeat(1 << 20);
    for (field, value) in [
        ("bucket", huge.as_str()),
        ("endpoint", &huge),
        ("tls-ca-chain", &huge),
        ("region", "\u{202e}\u{0}\n"),
        ("path", "a\nb"),
        ("something-else", &huge),
    ] {
        world.offer(field, value).await.unwrap();
        no_hook_has_failed(&world);
        assert_eq!(world.location().await.unwrap(), before, "{field}");
        let good = world.settings().options.get(field).cloned();
        world.offer(field, &good.unwrap_or_default()).await.unwrap();
        world.expect_status("active: ").unwrap();
    }
}
