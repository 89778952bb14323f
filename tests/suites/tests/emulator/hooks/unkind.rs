//! Ways of a real controller that a charm would rather not meet.

use juju_emulator::{Echo, LastHooks, S3Settings};
use serde_json::json;

use super::{World, map, names};

async fn integrated(script: &str) -> World {
    let mut world = World::new().await;
    world.deploy(script).await;
    let settings = S3Settings::path_style("http://s3:8333", "us-east-1", "b");
    world.juju.deploy_s3_integrator("s3", settings).unwrap();
    world.juju.integrate("app", "s3").unwrap();
    world.juju.settle().await.unwrap();
    world
}

#[tokio::test]
async fn a_broken_hook_still_lists_and_reads_its_relation() {
    let script = "relation-ids s3-credentials > ids-$JUJU_HOOK_NAME
        relation-list -r s3-credentials:0 > list-$JUJU_HOOK_NAME
        relation-get --app -r s3-credentials:0 version s3 > bag-$JUJU_HOOK_NAME; true";
    for version in ["4.0.15", "3.6.28"] {
        let mut world = integrated(script).await;
        world.juju.play_version(version);
        world.juju.remove_relation("app", "s3").unwrap();
        world.juju.settle().await.unwrap();
        let seen = |what: &str| world.written(&format!("{what}-s3-credentials-relation-broken"));
        assert_eq!(seen("ids"), "s3-credentials:0\n", "{version}");
        assert_eq!(seen("list"), "", "{version}");
        assert_eq!(seen("bag"), "1\n", "{version}");
    }
}

#[tokio::test]
async fn a_relation_gone_by_force_is_listed_and_not_found() {
    let script = "relation-ids s3-credentials > ids-$JUJU_HOOK_NAME
        relation-get --app -r s3-credentials:0 - s3 2> said-$JUJU_HOOK_NAME; true";
    let mut world = integrated(script).await;
    let kept = world.juju.charm_dir("app/0");
    world.juju.remove_application_by_force("app").unwrap();
    let stop = world.juju.step().await.unwrap().unwrap();
    assert_eq!(stop.hook, "stop", "no hook of the relation comes before");
    let read = |name: &str| std::fs::read_to_string(kept.join(name)).unwrap();
    assert_eq!(read("ids-stop"), "s3-credentials:0\n");
    assert_eq!(
        read("said-stop"),
        "ERROR getting regular relation by key: relation not found\n"
    );
    assert_eq!(names(&world.juju.settle().await.unwrap()), ["remove"]);
    assert!(world.juju.model().applications.contains_key("s3"));
    assert!(!world.juju.model().applications.contains_key("app"));
}

#[tokio::test]
async fn a_unit_of_a_destroyed_model_is_not_found() {
    let mut world = integrated("[ $JUJU_HOOK_NAME != stop ] || goal-state").await;
    let runs = world.juju.destroy_model(LastHooks::Stop).await.unwrap();
    assert_eq!(names(&runs), ["stop"]);
    let said = runs[0].log.last().unwrap();
    assert_eq!(said.text, "ERROR unit \"app/0\" not found");
    assert!(world.juju.model().applications.is_empty());
}

#[tokio::test]
async fn a_reset_runs_no_hook() {
    let mut world = World::new().await;
    world.deploy("config-get word > word").await;
    world.juju.config("app", &[("word", "a")]).unwrap();
    assert_eq!(
        names(&world.juju.settle().await.unwrap()),
        ["config-changed"]
    );
    world.juju.reset_config("app", &["word"]).unwrap();
    assert!(world.juju.settle().await.unwrap().is_empty());
    world.juju.config("app", &[("word", "a")]).unwrap();
    assert!(
        world.juju.settle().await.unwrap().is_empty(),
        "as it was told"
    );
    world.juju.reset_config("app", &["word"]).unwrap();
    world.juju.update_status("app/0").await.unwrap();
    assert_eq!(world.written("word"), "hello\n", "the next hook finds it");
}

#[tokio::test]
async fn config_changed_may_run_twice_for_one_setting() {
    let mut world = World::new().await;
    world.deploy("true").await;
    world.juju.play_config(Echo::Twice);
    world.juju.config("app", &[("word", "a")]).unwrap();
    let runs = world.juju.settle().await.unwrap();
    assert_eq!(names(&runs), ["config-changed", "config-changed"]);
}

#[tokio::test]
async fn a_user_s_secret_is_read_while_it_is_granted() {
    let mut world = World::new().await;
    let script = "secret-get --refresh $(config-get key) token > token 2> refused; true";
    world.deploy(script).await;
    let juju = &mut world.juju;
    assert!(juju.config("app", &[("key", "no address")]).is_err());
    let address = juju.add_secret("mine", &[("token", "one")]).unwrap();
    juju.config("app", &[("key", &address)]).unwrap();
    juju.settle().await.unwrap();
    let refused = "ERROR \"app/0\" is not allowed to read this secret\n";
    assert_eq!(world.written("refused"), refused);

    let juju = &mut world.juju;
    juju.grant_secret("mine", "app").unwrap();
    assert!(
        juju.settle().await.unwrap().is_empty(),
        "nobody tells of it"
    );
    juju.update_status("app/0").await.unwrap();
    assert_eq!(world.written("token"), "one\n");

    let juju = &mut world.juju;
    juju.update_secret("mine", &[("token", "two")]).unwrap();
    assert_eq!(names(&juju.settle().await.unwrap()), ["secret-changed"]);
    assert_eq!(world.written("token"), "two\n");
    let juju = &mut world.juju;
    juju.update_secret("mine", &[("token", "two")]).unwrap();
    assert!(juju.settle().await.unwrap().is_empty(), "it is the same");

    world.juju.revoke_secret("mine", "app").unwrap();
    world.juju.update_status("app/0").await.unwrap();
    assert_eq!(world.written("refused"), refused);
    world.juju.remove_secret(&address).unwrap();
    world.juju.update_status("app/0").await.unwrap();
    let gone = "ERROR getting latest secret revision: secret not found\n";
    assert_eq!(world.written("refused"), gone);
}

#[tokio::test]
async fn wrong_values_are_told_all_at_once() {
    let mut world = World::new().await;
    world.deploy("true").await;
    let wrong = [("number", "x"), ("nonsense", "y")];
    let why = world.juju.config("app", &wrong).unwrap_err().to_string();
    assert_eq!(why.matches("; ").count(), 1, "{why}");
    let params = map(&json!({"count": "x", "nonsense": 1}));
    let refused = world
        .juju
        .run_action("app/0", "act", &params)
        .await
        .unwrap();
    assert!(
        refused.message.contains("; (root).count : "),
        "{}",
        refused.message
    );
}

#[tokio::test]
async fn a_relation_takes_its_room_until_it_is_gone() {
    let mut world = integrated("[ $JUJU_HOOK_NAME != s3-credentials-relation-broken ]").await;
    let settings = S3Settings::default();
    world.juju.deploy_s3_integrator("second", settings).unwrap();
    let full = "establishing a new relation for app:s3-credentials would exceed its maximum relation limit of 1";
    let refused = |world: &mut World| world.juju.integrate("app", "second").unwrap_err();
    assert_eq!(refused(&mut world).to_string(), full);
    world.juju.remove_relation("app", "s3").unwrap();
    world.juju.settle().await.unwrap();
    assert_eq!(
        refused(&mut world).to_string(),
        full,
        "its last hook failed"
    );
    world.script("true");
    world
        .juju
        .resolved("app/0", juju_emulator::Resolve::Retry)
        .unwrap();
    world.juju.settle().await.unwrap();
    world.juju.integrate("app", "second").unwrap();
}

#[tokio::test]
async fn proxies_of_the_model_are_told() {
    let mut world = World::new().await;
    world.deploy("true").await;
    world
        .juju
        .model_proxy("juju-https-proxy", "http://p:1")
        .unwrap();
    world.juju.model_proxy("no-proxy", "10.0.0.0/8").unwrap();
    let run = world.juju.update_status("app/0").await.unwrap();
    let told = |name: &str| {
        let found = run.environment.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(told("JUJU_CHARM_HTTPS_PROXY"), Some("http://p:1"));
    assert_eq!(told("no_proxy"), Some("10.0.0.0/8"));
    assert_eq!(told("NO_PROXY"), Some("10.0.0.0/8"));
    assert_eq!(told("https_proxy"), None);
}
