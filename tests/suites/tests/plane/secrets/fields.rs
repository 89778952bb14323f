//! Fields as integrators of several ages send them.

use juju_emulator::{Dialect, S3Settings};
use worlds::operator::{APP, S3};
use worlds::plane::{LightWorld, Plane};

use super::{in_force, said, say, with_silent_integrator};

const PEM: &str = include_str!("../../../../../provider-api/testkit/src/certificate.pem");

#[tokio::test]
async fn an_option_that_was_reset_is_unset() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "reset").await.unwrap();
    let before = world.location().await.unwrap();
    for blank in ["\"\"", "null", "[]", "[\"\"]", " "] {
        world.offer("tls-ca-chain", PEM).await.unwrap();
        let location = world.location().await.unwrap().unwrap();
        assert!(location["objectStorage"]["caCert"].is_string());

        world.offer("tls-ca-chain", blank).await.unwrap();
        world.expect_status("active: ").unwrap();
        assert_eq!(world.location().await.unwrap(), before, "{blank}");
    }
}

#[tokio::test]
async fn an_optional_field_that_is_wrong_holds_nothing_back() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "gaps").await.unwrap();
    world.offer("tls-ca-chain", PEM).await.unwrap();
    world.offer("path", "deep").await.unwrap();
    let before = world.location().await.unwrap().unwrap();

    let wrong = [
        ("tls-ca-chain", "no certificate"),
        ("region", "eu central"),
        ("s3-uri-style", "sideways"),
        ("path", "a\u{7}b"),
        ("bucket", "moved"),
        ("secret-key", "rotated-all-the-same"),
    ];
    world.juju.config(S3, &wrong).unwrap();
    world.settle().await.unwrap();

    let named = wrong[..4].iter().map(|(field, _)| format!("`{field}`"));
    let named: Vec<_> = named.collect();
    let named: Vec<_> = named.iter().map(String::as_str).collect();
    world.expect_in_status("blocked: ", &named).unwrap();
    let location = world.location().await.unwrap().unwrap();
    assert_eq!(location["config"], before["config"]);
    let store = |location: &serde_json::Value, key: &str| location["objectStorage"][key].clone();
    assert_eq!(store(&location, "bucket"), "moved");
    for kept in ["caCert", "prefix"] {
        assert_eq!(store(&location, kept), store(&before, kept));
    }
    assert!(in_force(&world).await.contains("rotated-all-the-same"));
}

/// Nothing of ours is there that it could stay as.
#[tokio::test]
async fn a_first_answer_with_a_wrong_field_is_refused() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::deployed(&plane, "first").await.unwrap();
    let mut settings = world.settings();
    settings
        .options
        .insert("tls-ca-chain".into(), "no certificate".into());
    world.integrate(settings).await.unwrap();
    world
        .expect_in_status("blocked: ", &["`tls-ca-chain` holds something"])
        .unwrap();
    assert_eq!(world.location().await.unwrap(), None);
}

#[tokio::test]
async fn an_answer_without_keys_is_waited_for() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::deployed(&plane, "keyless").await.unwrap();
    with_silent_integrator(&mut world).await;
    say(
        &mut world,
        &[("bucket", "backups"), ("endpoint", "http://store")],
    );
    world.settle().await.unwrap();
    let waits = "waiting: waiting for `s3-integrator` to send keys";
    world.expect_status(waits).unwrap();
    say(&mut world, &[("access-key", "a")]);
    world.settle().await.unwrap();
    world
        .expect_in_status("blocked: ", &["`secret-key` is missing"])
        .unwrap();
}

/// An integrator of the oldest dialect: it keeps what it has seen of us.
async fn of_the_oldest_dialect(plane: &Plane, name: &str) -> LightWorld {
    let mut world = LightWorld::deployed(plane, name).await.unwrap();
    world
        .juju
        .deploy_s3_integrator_of(S3, S3Settings::default(), Dialect::V0)
        .unwrap();
    world.juju.integrate(APP, S3).unwrap();
    world.settle().await.unwrap();
    world
}

#[tokio::test]
async fn an_echo_of_our_placeholder_is_no_bucket() {
    let plane = Plane::shared().await.unwrap();
    let mut world = of_the_oldest_dialect(&plane, "echo").await;
    let placeholder = said(&world, "bucket").unwrap();
    assert!(placeholder.starts_with("relation-"), "{placeholder}");

    say(&mut world, &[("bucket", &placeholder)]);
    world.settle().await.unwrap();
    let waits = "waiting: waiting for `s3-integrator` to send a bucket and keys";
    world.expect_status(waits).unwrap();

    say(&mut world, &[("access-key", "a"), ("secret-key", "s")]);
    world.settle().await.unwrap();
    world
        .expect_in_status("blocked: ", &["set `bucket` in `s3-integrator`"])
        .unwrap();
    assert_eq!(world.location().await.unwrap(), None);

    // A store of one's own has made it.
    say(&mut world, &[("endpoint", "http://seaweed:8333")]);
    world.settle().await.unwrap();
    world.expect_status("active: ").unwrap();
    let location = world.location().await.unwrap().unwrap();
    assert_eq!(location["objectStorage"]["bucket"], placeholder);
}

/// It has no mark of the oldest dialect, and would take our placeholder for a wish.
#[tokio::test]
async fn an_integrator_without_the_mark_gets_no_placeholder() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::deployed(&plane, "no-mark").await.unwrap();
    with_silent_integrator(&mut world).await;
    let fields = [
        ("version", ""),
        ("endpoint", "http://store"),
        ("access-key", "a"),
        ("secret-key", "s"),
    ];
    say(&mut world, &fields);
    world.juju.update_status("velero-operator/0").await.unwrap();
    assert_eq!(said(&world, "bucket"), None);
}

/// A placeholder that was said is taken back, and what comes back of it stays what it was.
#[tokio::test]
async fn a_withdrawn_placeholder_is_still_no_bucket() {
    let plane = Plane::shared().await.unwrap();
    let mut world = of_the_oldest_dialect(&plane, "withdrawn").await;
    let placeholder = said(&world, "bucket").unwrap();
    let fields = [
        ("bucket", placeholder.as_str()),
        ("access-key", "a"),
        ("secret-key", "s"),
        ("lib-version", "1.0"),
    ];
    for _ in 0..2 {
        say(&mut world, &fields);
        world.settle().await.unwrap();
        world.update_status().await.unwrap();
        assert_eq!(said(&world, "bucket"), None);
        world
            .expect_in_status("blocked: ", &["set `bucket` in `s3-integrator`"])
            .unwrap();
    }
    say(&mut world, &[("bucket", "a-real-one"), ("region", "here")]);
    world.settle().await.unwrap();
    world.expect_status("active: ").unwrap();
    assert_eq!(said(&world, "withdrawn-placeholder"), None);
}

/// The user's bucket has the very name that we would have said.
#[tokio::test]
async fn a_bucket_that_is_called_like_a_placeholder_works() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::deployed(&plane, "namesake").await.unwrap();
    let next = world.juju.model().next.relation;
    let mut settings = world.settings();
    settings
        .options
        .insert("bucket".into(), format!("relation-{next}"));
    world.integrate(settings).await.unwrap();
    world.expect_status("active: ").unwrap();
    assert_eq!(said(&world, "bucket"), None);
    let location = world.location().await.unwrap().unwrap();
    let bucket = format!("relation-{next}");
    assert_eq!(location["objectStorage"]["bucket"], bucket);
}
