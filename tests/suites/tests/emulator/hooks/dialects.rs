//! Played integrators of several releases: who is answered by each, and how it sends keys.

use std::collections::BTreeMap;

use juju_emulator::{AuthRelease, AzureDialect, AzureSettings, Dialect, Release, S3Settings};

use super::World;

/// A requirer that says nothing until it has written down what to say.
const SAYS: &str = r"
    for endpoint in s3-credentials azure-storage-credentials azure-service-principal-credentials; do
        for id in $(relation-ids $endpoint); do
            [ ! -e words ] || relation-set -r $id --app --file words
        done
    done";

const S3_SECRETS: &str = r#"["access-key", "secret-key"]"#;
const PRINCIPAL_SECRETS: &str = r#"["client-id", "client-secret"]"#;

async fn world(deploy: impl FnOnce(&mut World)) -> World {
    let mut world = World::new().await;
    world.deploy(SAYS).await;
    deploy(&mut world);
    world.juju.integrate("app", "integrator").unwrap();
    world.juju.settle().await.unwrap();
    world
}

async fn with_s3(dialect: Dialect, settings: S3Settings) -> World {
    let settings = settings.credentials("AK", "SK");
    world(|world| {
        let juju = &mut world.juju;
        juju.deploy_s3_integrator_of("integrator", settings, dialect)
            .unwrap();
    })
    .await
}

/// What the requirer says from now on, instead of what it said.
async fn say(world: &mut World, words: &[(&str, &str)]) {
    let words: BTreeMap<_, _> = words.iter().copied().collect();
    let text = serde_json::to_string(&words).unwrap();
    std::fs::write(world.juju.charm_dir("app/0").join("words"), text).unwrap();
    world.juju.update_status("app/0").await.unwrap();
    world.juju.settle().await.unwrap();
}

fn sent(world: &World) -> BTreeMap<String, String> {
    let relation = world.juju.model().relations.values().next().unwrap();
    relation.local("integrator").unwrap().bag.data.clone()
}

fn store() -> S3Settings {
    S3Settings::path_style("http://s3:8333", "us-east-1", "b")
}

#[tokio::test]
async fn s3_dialects_answer_what_each_waits_for() {
    let words = [
        ("requested-secrets", S3_SECRETS),
        ("version", "1"),
        ("lib-version", "1.0"),
    ];
    for (dialect, before, after) in [
        (Dialect::V0, "data", "data"),
        (Dialect::Unversioned, "", "secret-extra"),
        (Dialect::LibVersion, "lib-version", "secret-extra"),
        (Dialect::V1, "version", "secret-extra"),
        (Dialect::Deaf, "secret-key", "secret-key"),
    ] {
        let mut world = with_s3(dialect, store()).await;
        let first = sent(&world);
        assert!(before.is_empty() || first.contains_key(before), "{first:?}");
        let is_deaf = dialect == Dialect::Deaf;
        assert_eq!(first.contains_key("bucket"), is_deaf, "{first:?}");

        say(&mut world, &words).await;
        let bag = sent(&world);
        assert!(bag.contains_key(after), "{dialect:?}: {bag:?}");
        assert_eq!(bag.contains_key("secret-key"), is_deaf, "{bag:?}");
    }
}

#[tokio::test]
async fn s3_dialect_of_track_1_takes_the_asked_bucket_for_its_own() {
    let mut settings = store();
    settings.options.remove("bucket");
    let mut world = with_s3(Dialect::V0, settings).await;
    say(&mut world, &[("bucket", "relation-7")]).await;
    let bag = sent(&world);
    assert_eq!(bag["bucket"], "relation-7");
    assert_eq!(
        (bag["access-key"].as_str(), bag["secret-key"].as_str()),
        ("AK", "SK")
    );

    let juju = &mut world.juju;
    juju.config("integrator", &[("tls-ca-chain", "PEM")])
        .unwrap();
    juju.settle().await.unwrap();
    assert_eq!(sent(&world)["tls-ca-chain"], r#"["PEM"]"#);
    let juju = &mut world.juju;
    juju.config("integrator", &[("tls-ca-chain", "")]).unwrap();
    juju.settle().await.unwrap();
    assert_eq!(
        sent(&world)["tls-ca-chain"],
        r#""""#,
        "JSON of an empty text"
    );
}

/// As in the libraries: a relation that began in the clear goes on so.
#[tokio::test]
async fn keys_sent_in_the_clear_stay_so_until_integrated_again() {
    for dialect in [Dialect::Unversioned, Dialect::LibVersion, Dialect::V1] {
        let mut world = with_s3(dialect, store()).await;
        say(&mut world, &[("bucket", "relation-7")]).await;
        assert_eq!(sent(&world)["secret-key"], "SK");
        let asks = [
            ("bucket", ""),
            ("requested-secrets", S3_SECRETS),
            ("version", "1"),
            ("lib-version", "1.0"),
        ];
        say(&mut world, &asks).await;
        let bag = sent(&world);
        assert_eq!(bag["secret-key"], "SK", "{dialect:?}");
        assert!(!bag.contains_key("secret-extra"), "{bag:?}");

        world.juju.remove_relation("app", "integrator").unwrap();
        world.juju.settle().await.unwrap();
        world.juju.integrate("app", "integrator").unwrap();
        world.juju.settle().await.unwrap();
        let bag = sent(&world);
        assert!(
            bag.contains_key("secret-extra") && !bag.contains_key("secret-key"),
            "{bag:?}"
        );
    }
}

#[tokio::test]
async fn reset_options_stand_with_the_dialects_in_the_middle() {
    for (dialect, stands) in [
        (Dialect::V0, false),
        (Dialect::Unversioned, true),
        (Dialect::LibVersion, true),
        (Dialect::V1, false),
    ] {
        let mut world = with_s3(dialect, store()).await;
        let words = [
            ("bucket", "relation-7"),
            ("requested-secrets", S3_SECRETS),
            ("version", "1"),
            ("lib-version", "1.0"),
        ];
        say(&mut world, &words).await;
        for path in ["deep", ""] {
            world.juju.config("integrator", &[("path", path)]).unwrap();
            world.juju.settle().await.unwrap();
        }
        assert_eq!(sent(&world).contains_key("path"), stands, "{dialect:?}");
    }
}

#[tokio::test]
async fn azure_dialects_answer_a_container_or_a_version() {
    let asks = ("requested-secrets", r#"["secret-key"]"#);
    for (dialect, enough) in [
        (AzureDialect::V0, "container"),
        (AzureDialect::V1, "version"),
    ] {
        let settings = AzureSettings::of_account("acme", "c", "K");
        let mut world = world(|world| {
            let juju = &mut world.juju;
            juju.deploy_azure_integrator_of("integrator", settings, dialect)
                .unwrap();
        })
        .await;
        say(&mut world, &[asks]).await;
        assert!(!sent(&world).contains_key("container"), "{dialect:?}");
        say(&mut world, &[asks, (enough, "1")]).await;
        let bag = sent(&world);
        assert_eq!(
            bag["container"], "c",
            "what is asked for counts for nothing"
        );
        assert!(bag.contains_key("secret-extra"), "{bag:?}");
        assert_eq!(bag.contains_key("data"), dialect == AzureDialect::V0);
    }
}

#[tokio::test]
async fn azure_principal_comes_as_a_secret_if_asked_before_it_is_sent() {
    let settings = [
        ("client-id", "id"),
        ("client-secret", "S"),
        ("tenant-id", "t"),
    ];
    for (release, asked_first, is_secret) in [
        (AuthRelease::Old, false, false),
        (AuthRelease::Old, true, true),
        (AuthRelease::New, false, true),
    ] {
        let mut world = world(|world| {
            let juju = &mut world.juju;
            juju.deploy_azure_auth_integrator_of("integrator", release)
                .unwrap();
        })
        .await;
        let asks = [("requested-secrets", PRINCIPAL_SECRETS)];
        if asked_first {
            say(&mut world, &asks).await;
        }
        world.juju.config("integrator", &settings).unwrap();
        world.juju.settle().await.unwrap();
        say(&mut world, &asks).await;
        let bag = sent(&world);
        assert_eq!(
            bag.contains_key("secret-extra"),
            is_secret,
            "{release:?}: {bag:?}"
        );
        assert_eq!(
            bag.contains_key("client-secret"),
            !is_secret,
            "{release:?}: {bag:?}"
        );
    }
}

#[tokio::test]
async fn refreshed_integrator_speaks_its_new_dialect() {
    let mut world = with_s3(Dialect::V0, store()).await;
    say(
        &mut world,
        &[("requested-secrets", S3_SECRETS), ("version", "1")],
    )
    .await;
    assert!(!sent(&world).contains_key("secret-extra"));
    let next = Release::S3(Dialect::V1);
    world.juju.refresh_integrator("integrator", next).unwrap();
    world.juju.settle().await.unwrap();
    let bag = sent(&world);
    assert!(
        bag.contains_key("version") && bag.contains_key("secret-extra"),
        "{bag:?}"
    );
    let other = Release::AzureAuth(AuthRelease::New);
    assert!(world.juju.refresh_integrator("integrator", other).is_err());
}
