//! Relations and the secrets in them.

use std::fs;

use juju_emulator::{DeployOptions, S3Settings};

use super::{World, charm_in, names};

#[tokio::test]
async fn integrate_and_remove_relation() {
    let mut world = World::new().await;
    world
        .deploy("env | grep JUJU_DEPARTING_UNIT > departing-$JUJU_HOOK_NAME; true")
        .await;
    let settings = S3Settings::path_style("http://s3:8333", "us-east-1", "b");
    world
        .juju
        .deploy_s3_integrator("s3-integrator", settings)
        .unwrap();
    world.juju.integrate("app", "s3-integrator").unwrap();
    let runs = world.juju.settle().await.unwrap();
    let hooks = [
        "s3-credentials-relation-created",
        "s3-credentials-relation-changed",
        "s3-credentials-relation-joined",
        "s3-credentials-relation-changed",
    ];
    assert_eq!(names(&runs), hooks);

    world.juju.remove_relation("app", "s3-integrator").unwrap();
    let runs = world.juju.settle().await.unwrap();
    assert_eq!(
        names(&runs),
        [
            "s3-credentials-relation-departed",
            "s3-credentials-relation-broken"
        ]
    );
    assert_eq!(
        world.written("departing-s3-credentials-relation-departed"),
        "JUJU_DEPARTING_UNIT=s3-integrator/0\n"
    );
    assert_eq!(
        world.written("departing-s3-credentials-relation-broken"),
        ""
    );
    assert!(world.juju.model().relations.is_empty());
}

#[tokio::test]
async fn the_secret_of_the_integrator_comes_and_is_renewed() {
    let script = r#"
        case $JUJU_HOOK_NAME in
        *-relation-created)
            relation-set --app requested-secrets='["access-key","secret-key"]' version=1 ;;
        *-relation-changed)
            uri=$(relation-get --app secret-extra s3-integrator)
            [ -z "$uri" ] || secret-get --format=json "$uri" --label it --refresh > secret.json ;;
        secret-changed)
            echo "$JUJU_SECRET_ID $JUJU_SECRET_LABEL" > told
            secret-get --format=json --label it > old.json
            secret-get --format=json --label it --peek > peeked.json
            secret-get --format=json --label it --refresh > secret.json ;;
        esac"#;
    let mut world = World::new().await;
    world.deploy(script).await;
    let settings = S3Settings::path_style("http://s3:8333", "us-east-1", "b");
    let settings = settings.credentials("AK", "SK");
    world
        .juju
        .deploy_s3_integrator("s3-integrator", settings)
        .unwrap();
    let id = world
        .juju
        .integrate("app:s3-credentials", "s3-integrator:s3-credentials")
        .unwrap();
    world.juju.settle().await.unwrap();
    assert_eq!(
        world.written("secret.json"),
        "{\"access-key\":\"AK\",\"secret-key\":\"SK\"}\n"
    );
    let bag = &world.juju.model().relations[&id]
        .local("s3-integrator")
        .unwrap()
        .bag
        .data;
    assert_eq!(bag["bucket"], "b");
    assert!(
        !bag.contains_key("access-key") && !bag.contains_key("secret-key"),
        "{bag:?}"
    );
    let uri = bag["secret-extra"].clone();

    world
        .juju
        .config("s3-integrator", &[("secret-key", "new")])
        .unwrap();
    let runs = world.juju.settle().await.unwrap();
    assert_eq!(
        names(&runs),
        ["secret-changed"],
        "the URI is the same, so the bag is"
    );
    // The bag has the long address, the hook the short one.
    let model = &world.juju.model().uuid;
    let id = uri.strip_prefix(&format!("secret://{model}/")).unwrap();
    assert_eq!(world.written("told"), format!("secret:{id} it\n"));
    assert!(world.written("old.json").contains("SK"));
    assert!(world.written("peeked.json").contains("new"));
    assert!(world.written("secret.json").contains("new"));

    world.script(&format!("secret-get {uri} 2> refused; true"));
    world.juju.remove_relation("app", "s3-integrator").unwrap();
    world.juju.settle().await.unwrap();
    world.juju.update_status("app/0").await.unwrap();
    assert_eq!(
        world.written("refused"),
        "ERROR \"app/0\" is not allowed to read this secret\n"
    );
}

#[tokio::test]
async fn two_charms_talk_to_each_other() {
    let mut world = World::new().await;
    let script = |word: &str| {
        format!(
            "case $JUJU_HOOK_NAME in
             *-relation-joined) relation-set word={word} ;;
             *-relation-changed) relation-get word > heard ;;
             esac"
        )
    };
    let one = charm_in(&world.dir.path().join("one"), &script("ping"));
    let two = charm_in(&world.dir.path().join("two"), &script("pong"));
    world
        .juju
        .deploy(&one, "app", DeployOptions::default())
        .await
        .unwrap();
    world
        .juju
        .deploy(&two, "peer", DeployOptions::default())
        .await
        .unwrap();
    world.juju.integrate("app:other", "peer:offer").unwrap();
    world.juju.settle().await.unwrap();
    assert_eq!(world.written("heard"), "pong\n");
    let heard = fs::read_to_string(world.juju.charm_dir("peer/0").join("heard")).unwrap();
    assert_eq!(heard, "ping\n");
}
