//! Played integrators take their keys from a user's secret, as those of today do: while it is granted, and at
//! their own hooks.

use std::collections::BTreeMap;

use juju_emulator::secrets::{decode, parse_uri};
use juju_emulator::{AzureSettings, S3Settings};

use super::{World, names};

/// Asks for secrets, and follows what it gets.
const ASKS: &str = r#"
    case $JUJU_HOOK_NAME in
    azure-service-principal-credentials-relation-created)
        relation-set --app requested-secrets='["client-id","client-secret"]' ;;
    *-relation-created)
        relation-set --app requested-secrets='["access-key","secret-key"]' version=1 ;;
    *-relation-changed)
        uri=$(relation-get --app secret-extra $JUJU_REMOTE_APP)
        [ -z "$uri" ] || secret-get "$uri" --label it --refresh ;;
    secret-changed)
        secret-get --label it --refresh ;;
    esac"#;

/// What the integrator has sent: its bag, and the secret that is named in it.
struct Sent {
    bag: BTreeMap<String, String>,
    secret: Option<BTreeMap<String, String>>,
}

fn sent(world: &World) -> Sent {
    let model = world.juju.model();
    let relation = model.relations.values().next().unwrap();
    let bag = relation.local("integrator").unwrap().bag.data.clone();
    let content = bag.get("secret-extra").map(|uri| {
        let secret = &model.secrets[parse_uri(uri).unwrap()];
        let content = secret.content().unwrap().iter();
        let text = |value: &String| String::from_utf8(decode(value)).unwrap();
        content
            .map(|(key, value)| (key.clone(), text(value)))
            .collect()
    });
    Sent {
        bag,
        secret: content,
    }
}

fn keys(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(own).collect()
}

/// The settled world of an integrator whose user has named a secret and not granted it.
async fn ungranted(deploy: impl FnOnce(&mut World), content: &[(&str, &str)]) -> World {
    let mut world = World::new().await;
    world.deploy(ASKS).await;
    deploy(&mut world);
    let juju = &mut world.juju;
    let address = juju.add_secret("keys", content).unwrap();
    let settings = [("credentials", address.as_str())];
    juju.config("integrator", &settings).unwrap();
    juju.integrate("app", "integrator").unwrap();
    juju.settle().await.unwrap();
    world
}

fn s3(world: &mut World) {
    let settings = S3Settings::path_style("http://s3:8333", "us-east-1", "b");
    let deployed = world.juju.deploy_s3_integrator("integrator", settings);
    deployed.unwrap();
}

fn azure(world: &mut World) {
    let settings = AzureSettings::of_account("acme", "c", "");
    let deployed = world.juju.deploy_azure_integrator("integrator", settings);
    deployed.unwrap();
}

fn principal(world: &mut World) {
    let deployed = world.juju.deploy_azure_auth_integrator("integrator");
    deployed.unwrap();
    let settings = [("tenant-id", "t")];
    world.juju.config("integrator", &settings).unwrap();
}

#[tokio::test]
async fn s3_keys_come_with_the_grant_and_stay_when_revoked() {
    let mut world = ungranted(s3, &[("access-key", "AK"), ("secret-key", "SK")]).await;
    let before = sent(&world);
    assert_eq!(before.secret, None);
    assert!(!before.bag.contains_key("bucket"), "{:?}", before.bag);

    world.juju.grant_secret("keys", "integrator").unwrap();
    let runs = world.juju.settle().await.unwrap();
    assert_eq!(names(&runs), ["s3-credentials-relation-changed"]);
    let wanted = keys(&[("access-key", "AK"), ("secret-key", "SK")]);
    assert_eq!(sent(&world).secret, Some(wanted));

    let newer = [("access-key", "AK"), ("secret-key", "SK2")];
    world.juju.update_secret("keys", &newer).unwrap();
    let runs = world.juju.settle().await.unwrap();
    assert_eq!(names(&runs), ["secret-changed"]);
    assert_eq!(sent(&world).secret, Some(keys(&newer)));

    world.juju.revoke_secret("keys", "integrator").unwrap();
    assert!(world.juju.settle().await.unwrap().is_empty());
    assert_eq!(sent(&world).secret, Some(keys(&newer)));
}

#[tokio::test]
async fn azure_key_is_blank_until_it_sends_again() {
    let mut world = ungranted(azure, &[("secret-key", "K")]).await;
    let blank = keys(&[("secret-key", "")]);
    assert_eq!(sent(&world).secret.as_ref(), Some(&blank));
    assert_eq!(sent(&world).bag["container"], "c");

    world.juju.grant_secret("keys", "integrator").unwrap();
    assert!(world.juju.settle().await.unwrap().is_empty());
    assert_eq!(
        sent(&world).secret.as_ref(),
        Some(&blank),
        "nobody tells it of the grant"
    );
    let path = |path| [("path", path)];
    world.juju.config("integrator", &path("p")).unwrap();
    let runs = world.juju.settle().await.unwrap();
    let news = [
        "secret-changed",
        "azure-storage-credentials-relation-changed",
    ];
    assert_eq!(names(&runs), news);
    assert_eq!(sent(&world).secret, Some(keys(&[("secret-key", "K")])));

    let newer = [("secret-key", "K2")];
    world.juju.update_secret("keys", &newer).unwrap();
    let runs = world.juju.settle().await.unwrap();
    assert_eq!(names(&runs), ["secret-changed"]);
    assert_eq!(sent(&world).secret, Some(keys(&newer)));

    world.juju.revoke_secret("keys", "integrator").unwrap();
    assert!(world.juju.settle().await.unwrap().is_empty());
    world.juju.config("integrator", &path("p")).unwrap();
    assert!(world.juju.settle().await.unwrap().is_empty(), "as it was");
    world.juju.config("integrator", &path("q")).unwrap();
    world.juju.settle().await.unwrap();
    assert_eq!(sent(&world).secret.as_ref(), Some(&blank));
}

#[tokio::test]
async fn azure_principal_is_blank_until_it_is_granted() {
    let content = [("client-id", "id"), ("client-secret", "S")];
    let mut world = ungranted(principal, &content).await;
    let blank = keys(&[("client-id", ""), ("client-secret", "")]);
    assert_eq!(sent(&world).secret.as_ref(), Some(&blank));
    world.juju.grant_secret("keys", "integrator").unwrap();
    let runs = world.juju.settle().await.unwrap();
    assert_eq!(names(&runs), ["secret-changed"]);
    assert_eq!(sent(&world).secret, Some(keys(&content)));

    world.juju.remove_secret("keys").unwrap();
    world.juju.settle().await.unwrap();
    assert_eq!(
        sent(&world).secret.as_ref(),
        Some(&blank),
        "there is no such secret"
    );
}

#[tokio::test]
async fn credentials_are_an_address_and_count_before_settings() {
    let mut world = ungranted(s3, &[("access-key", "AK"), ("secret-key", "SK")]).await;
    let juju = &mut world.juju;
    let wrong = juju.config("integrator", &[("credentials", "AK")]);
    let wrong = wrong.unwrap_err().to_string();
    assert_eq!(wrong, r#"option "credentials" expected secret, got "AK""#);
    let told = [("access-key", "A"), ("secret-key", "S")];
    juju.config("integrator", &told).unwrap();
    juju.settle().await.unwrap();
    assert_eq!(sent(&world).secret, None);
    world
        .juju
        .config("integrator", &[("credentials", "")])
        .unwrap();
    world.juju.settle().await.unwrap();
    assert_eq!(sent(&world).secret, Some(keys(&told)));
}
