//! Charms that are not ours on the emulator: real `ops`, and the integrators' real library at both ends.
//! Only Juju is played here; so what they agree on, they agree on by Juju's rules.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use juju_emulator::{CharmSource, DeployOptions, HookRun, Juju, S3Settings};
use worlds::foreign_charms::{self, ForeignCharm};

async fn model(dir: &Path) -> Juju {
    let mut juju = Juju::bootstrap(&dir.join("juju"), "m", None).await.unwrap();
    let settings =
        S3Settings::path_style("http://10.1.2.3:80", "here", "").credentials("AK", "SK1");
    foreign_charms::deploy_s3_provider(&mut juju, "provider", &settings)
        .await
        .unwrap();
    settle(&mut juju).await;
    juju
}

async fn settle(juju: &mut Juju) -> Vec<HookRun> {
    let runs = juju.settle().await.unwrap();
    for run in &runs {
        assert!(run.exit.is_success(), "{run:#?}");
        let tracebacks = run
            .log
            .iter()
            .filter(|line| line.text.contains("Traceback"));
        assert_eq!(tracebacks.count(), 0, "{run:#?}");
    }
    runs
}

fn hooks_of<'a>(runs: &'a [HookRun], unit: &str) -> Vec<&'a str> {
    let own = runs.iter().filter(|run| run.unit == unit);
    own.map(|run| run.hook.as_str()).collect()
}

#[tokio::test]
async fn provider_and_requirer_of_the_real_library_find_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut juju = model(dir.path()).await;
    assert_eq!(juju.unit_status("provider/0").unwrap().level, "active");
    let source = ForeignCharm::ObjectStorageRequirer.source().await.unwrap();
    juju.deploy(&source, "asks", DeployOptions::default())
        .await
        .unwrap();
    let id = juju
        .integrate("asks:s3-credentials", "provider:s3-credentials")
        .unwrap();
    settle(&mut juju).await;
    let want = |secret: &str| {
        format!(
            "access-key=AK bucket=wished endpoint=http://10.1.2.3:80 region=here \
             s3-uri-style=path secret-key={secret}"
        )
    };
    let said = |juju: &Juju| juju.unit_status("asks/0").unwrap().message;
    assert_eq!(said(&juju), want("SK1"));
    let bag = &juju.model().relations[&id]
        .local("provider")
        .unwrap()
        .bag
        .data;
    assert!(bag["secret-extra"].starts_with("secret:"), "{bag:?}");
    assert!(!format!("{bag:?}").contains("SK1"), "{bag:?}");

    juju.config("provider", &[("secret-key", "SK2")]).unwrap();
    let runs = settle(&mut juju).await;
    assert!(
        hooks_of(&runs, "asks/0").contains(&"secret-changed"),
        "{runs:#?}"
    );
    assert_eq!(said(&juju), want("SK2"));

    juju.remove_relation("asks:s3-credentials", "provider:s3-credentials")
        .unwrap();
    let runs = settle(&mut juju).await;
    let ends = [
        "s3-credentials-relation-departed",
        "s3-credentials-relation-broken",
    ];
    assert_eq!(hooks_of(&runs, "asks/0"), ends);
    assert_eq!(hooks_of(&runs, "provider/0"), ends);
    assert_eq!(said(&juju), "no store");
}

/// What our charm writes into its bag to be answered, and what it then reads.
const OURS: &str = r#"#!/bin/sh
for id in $(relation-ids ENDPOINT); do
    echo '{"requested-secrets": "REQUESTED", "version": "1", "lib-version": "1.0"}' |
        relation-set -r $id --app --file -
    app=$(relation-list -r $id --app)
    relation-get -r $id --app --format=json - $app > bag
    uri=$(relation-get -r $id --app secret-extra $app)
    [ -z "$uri" ] || secret-get --refresh --format=json $uri > secret
done
"#;

/// Relates a charm that asks for these secrets in our words.
async fn integrate_ours(juju: &mut Juju, dir: &Path, endpoint: (&str, &str), requested: &str) {
    let (name, interface) = endpoint;
    let charm = dir.join("ours");
    fs::create_dir_all(&charm).unwrap();
    let metadata = format!("name: ours\nrequires: {{{name}: {{interface: {interface}}}}}\n");
    fs::write(charm.join("metadata.yaml"), metadata).unwrap();
    let requested = requested.replace('"', "\\\"");
    let dispatch = OURS.replace("ENDPOINT", name);
    let dispatch = dispatch.replace("REQUESTED", &requested);
    fs::write(charm.join("dispatch"), dispatch).unwrap();
    fs::set_permissions(charm.join("dispatch"), fs::Permissions::from_mode(0o755)).unwrap();
    let source = CharmSource::Directory(charm);
    juju.deploy(&source, "ours", DeployOptions::default())
        .await
        .unwrap();
    juju.integrate("ours", "provider").unwrap();
    settle(juju).await;
}

/// What our charm has read.
fn ours(juju: &Juju, name: &str) -> serde_json::Value {
    let text = fs::read_to_string(juju.charm_dir("ours/0").join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn our_charm_s_words_are_answered_by_the_real_provider() {
    let dir = tempfile::tempdir().unwrap();
    let mut juju = model(dir.path()).await;
    juju.config("provider", &[("bucket", "b")]).unwrap();
    let endpoint = ("s3-credentials", "s3");
    let secrets = r#"["access-key", "secret-key"]"#;
    integrate_ours(&mut juju, dir.path(), endpoint, secrets).await;

    let bag = ours(&juju, "bag");
    assert_eq!(
        (&bag["bucket"], &bag["version"]),
        (&"b".into(), &"1".into()),
        "{bag}"
    );
    assert!(bag.get("secret-key").is_none(), "{bag}");
    assert_eq!(ours(&juju, "secret")["secret-key"], "SK1");
    juju.config("provider", &[("secret-key", "SK2")]).unwrap();
    settle(&mut juju).await;
    assert_eq!(ours(&juju, "secret")["secret-key"], "SK2");
}

/// A document is no text to the library's own reader, so that it might come out changed.
#[tokio::test]
async fn google_key_comes_to_the_byte_from_the_real_provider() {
    const KEY: &str = "{\"type\":  \"service_account\",\n \"private_key\": \"-----BEGIN\\n\"}";
    let dir = tempfile::tempdir().unwrap();
    let mut juju = model(dir.path()).await;
    let settings = [
        ("bucket", "b"),
        ("path", "p"),
        ("storage-class", "NEARLINE"),
        ("secret-key", KEY),
    ];
    juju.config("provider", &settings).unwrap();
    let endpoint = ("gcs-credentials", "gcs");
    integrate_ours(&mut juju, dir.path(), endpoint, r#"["secret-key"]"#).await;

    let bag = ours(&juju, "bag");
    for (field, value) in [
        ("bucket", "b"),
        ("path", "p"),
        ("storage-class", "NEARLINE"),
    ] {
        assert_eq!(bag[field], value, "{bag}");
    }
    assert!(bag.get("secret-key").is_none(), "{bag}");
    assert_eq!(ours(&juju, "secret")["secret-key"], KEY);
}

#[tokio::test]
async fn the_same_for_azure_and_with_juju_3() {
    let dir = tempfile::tempdir().unwrap();
    let mut juju = Juju::bootstrap(&dir.path().join("juju"), "m", None)
        .await
        .unwrap();
    juju.play_version("3.6.28");
    let source = ForeignCharm::ObjectStorageProvider.source().await.unwrap();
    juju.deploy(&source, "provider", DeployOptions::default())
        .await
        .unwrap();
    let source = ForeignCharm::ObjectStorageRequirer.source().await.unwrap();
    juju.deploy(&source, "asks", DeployOptions::default())
        .await
        .unwrap();
    juju.integrate(
        "asks:azure-storage-credentials",
        "provider:azure-storage-credentials",
    )
    .unwrap();
    settle(&mut juju).await;
    assert_eq!(juju.unit_status("provider/0").unwrap().level, "blocked");
    let settings = [
        ("container", "c"),
        ("storage-account", "sa"),
        ("connection-protocol", "abfss"),
        ("secret-key", "SK"),
    ];
    juju.config("provider", &settings).unwrap();
    settle(&mut juju).await;
    let said = juju.unit_status("asks/0").unwrap().message;
    assert_eq!(
        said,
        "connection-protocol=abfss container=c secret-key=SK storage-account=sa"
    );
}

/// The real provider on this endpoint with a requirer that says our charm's words. Its user has named a secret to
/// it and not granted it.
async fn ungranted(dir: &Path, endpoint: &str, settings: &[(&str, &str)]) -> Juju {
    let mut juju = Juju::bootstrap(&dir.join("juju"), "m", None).await.unwrap();
    let source = ForeignCharm::ObjectStorageProvider.source().await.unwrap();
    let options = DeployOptions::default();
    juju.deploy(&source, "provider", options).await.unwrap();
    let keys = [("access-key", "AK"), ("secret-key", "SK")];
    let address = juju.add_secret("keys", &keys).unwrap();
    juju.config("provider", settings).unwrap();
    juju.config("provider", &[("credentials", &address)])
        .unwrap();
    settle(&mut juju).await;

    let (interface, requested) = match endpoint {
        "s3-credentials" => ("s3", r#"["access-key", "secret-key"]"#),
        _ => ("azure_storage", r#"["secret-key"]"#),
    };
    integrate_ours(&mut juju, dir, (endpoint, interface), requested).await;
    juju
}

/// The key that has come as a secret, if one has.
fn key_that_came(juju: &Juju) -> Option<String> {
    let text = fs::read_to_string(juju.charm_dir("ours/0").join("secret")).ok()?;
    let content: serde_json::Value = serde_json::from_str(&text).ok()?;
    content["secret-key"].as_str().map(str::to_owned)
}

async fn minutes_pass(juju: &mut Juju) {
    juju.update_status("provider/0").await.unwrap();
    settle(juju).await;
    juju.update_status("ours/0").await.unwrap();
}

#[tokio::test]
async fn s3_library_sends_keys_some_minutes_after_the_grant() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [("bucket", "b")];
    let mut juju = ungranted(dir.path(), "s3-credentials", &settings).await;
    assert_eq!(key_that_came(&juju), None);

    juju.grant_secret("keys", "provider").unwrap();
    settle(&mut juju).await;
    assert_eq!(key_that_came(&juju), None, "no hook tells of a grant");
    minutes_pass(&mut juju).await;
    assert_eq!(key_that_came(&juju).as_deref(), Some("SK"));

    juju.revoke_secret("keys", "provider").unwrap();
    minutes_pass(&mut juju).await;
    assert_eq!(key_that_came(&juju).as_deref(), Some("SK"), "it stays");
}

#[tokio::test]
async fn azure_library_sends_a_granted_key_once_integrated_again() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        ("container", "c"),
        ("storage-account", "sa"),
        ("connection-protocol", "abfss"),
    ];
    let mut juju = ungranted(dir.path(), "azure-storage-credentials", &settings).await;
    assert_eq!(key_that_came(&juju).as_deref(), Some(""), "a blank");

    juju.grant_secret("keys", "provider").unwrap();
    minutes_pass(&mut juju).await;
    assert_eq!(
        key_that_came(&juju).as_deref(),
        Some(""),
        "nothing makes it send"
    );

    juju.remove_relation("ours", "provider").unwrap();
    settle(&mut juju).await;
    juju.integrate("ours", "provider").unwrap();
    settle(&mut juju).await;
    assert_eq!(key_that_came(&juju).as_deref(), Some("SK"));

    juju.revoke_secret("keys", "provider").unwrap();
    juju.config("provider", &[("path", "p")]).unwrap();
    settle(&mut juju).await;
    assert_eq!(key_that_came(&juju).as_deref(), Some(""), "blank again");
}
