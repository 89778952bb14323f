//! A store that repeats a key in what it says.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use juju_emulator::HookRun;
use worlds::operator::{self, S3, UNIT};
use worlds::plane::{LightWorld, Plane, StoreKind, Verdict};

const ACCESS_KEY: &str = "a-light-access-key";
const SECRET_KEY: &str = "a/light+secret=key";
const ENCODED: [&str; 2] = ["a%2Flight%2Bsecret%3Dkey", "YS9saWdodCtzZWNyZXQ9a2V5"];

fn repeated(key: &str) -> String {
    format!("no: {key}, {ACCESS_KEY}, {}", ENCODED.join(", "))
}

async fn store_says(world: &LightWorld, what: &str) {
    let verdict = Verdict::Unavailable(what.to_owned());
    world.let_bucket(&world.bucket, verdict).await.unwrap();
}

/// A world whose store repeats its keys.
async fn world(plane: &Plane, name: &str) -> LightWorld {
    let mut world = LightWorld::deployed(plane, name).await.unwrap();
    let settings = world.settings().credentials(ACCESS_KEY, SECRET_KEY);
    world.integrate(settings).await.unwrap();
    world.expect_status("active: ").unwrap();
    store_says(&world, &repeated(SECRET_KEY)).await;
    world
}

fn expect_untold(said: &str) {
    for secret in [ACCESS_KEY, SECRET_KEY].iter().chain(&ENCODED) {
        let line = said.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "`{secret}` was told");
    }
}

fn said_by(run: &HookRun) -> String {
    let tools = run.tool_calls.iter().map(|call| format!("{:?}", call.args));
    let log = run.log.iter().map(|line| line.text.clone());
    tools.chain(log).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn keys_are_untold_while_the_relation_is_valid() {
    let plane = Plane::shared().await.unwrap();
    let mut world = world(&plane, "told-valid").await;
    world.update_status().await.unwrap();
    world
        .expect_status("blocked: object store unavailable: no: ***, ***, ***, ***")
        .unwrap();
    expect_untold(&world.everything_said());
}

#[tokio::test]
async fn keys_are_untold_while_another_field_is_invalid() {
    let plane = Plane::shared().await.unwrap();
    let mut world = world(&plane, "told-invalid").await;
    for (field, value) in [("endpoint", "s3.example.com"), ("bucket", "")] {
        world.offer(field, value).await.unwrap();
        world
            .expect_in_status("blocked: ", &["set `", "(and 1 more)"])
            .unwrap();
        expect_untold(&world.everything_said());
    }
}

#[tokio::test]
async fn keys_are_untold_while_their_secret_is_not_granted() {
    let plane = Plane::shared().await.unwrap();
    let mut world = world(&plane, "told-revoked").await;
    for secret in world.juju.model_mut().secrets.values_mut() {
        secret.grants.clear();
    }
    // A hook that asks for secrets again.
    world.juju.run_hook(UNIT, "start").await.unwrap();
    world
        .expect_in_status("blocked: ", &["***", "(and 1 more)"])
        .unwrap();
    expect_untold(&world.everything_said());
}

#[tokio::test]
async fn the_old_key_is_untold_in_the_hook_that_rotates() {
    let plane = Plane::shared().await.unwrap();
    for kind in StoreKind::ALL {
        let name = format!("told-rotated-{}", kind.integrator());
        let mut world = LightWorld::deployed(&plane, &name).await.unwrap();
        kind.deploy(&mut world).unwrap();
        world
            .juju
            .integrate(operator::APP, kind.integrator())
            .unwrap();
        world.settle().await.unwrap();
        world.expect_status("active: ").unwrap();
        let old = kind.secret_key(&world);
        store_says(&world, &format!("the key {old} is no more")).await;

        let key = kind.key_of("bmV3ZXIgbGlnaHQga2V5");
        let new = [("secret-key", key.as_str())];
        world.juju.config(kind.integrator(), &new).unwrap();
        let runs = world.juju.settle().await.unwrap();

        let first = said_by(runs.first().unwrap());
        assert!(first.contains("the key *** is no more"), "{first}");
        assert!(!first.contains(&old), "{first}");
    }
}

/// What the CLI prints may come from a store as well.
#[tokio::test]
async fn keys_are_untold_in_actions() {
    let plane = Plane::shared().await.unwrap();
    let mut world = world(&plane, "told-action").await;
    let cli = world.juju.charm_dir(UNIT).join("velero");
    // The file is shared with the charm's other copies: it is replaced, never written to.
    fs::remove_file(&cli).unwrap();
    let said = repeated(SECRET_KEY);
    let script = format!("#!/bin/sh\necho '{said}'\necho 'error: {said}' >&2\nexit 1\n");
    fs::write(&cli, script).unwrap();
    fs::set_permissions(&cli, fs::Permissions::from_mode(0o755)).unwrap();

    for invalid in [false, true] {
        if invalid {
            world.juju.config(S3, &[("bucket", "")]).unwrap();
        }
        let outcome = operator::run(&mut world.juju, "backup logs x")
            .await
            .unwrap();
        assert!(
            outcome.message.contains("error: no: ***"),
            "{}",
            outcome.message
        );
        let all = format!(
            "{} {:?} {:?}",
            outcome.message, outcome.results, outcome.log
        );
        expect_untold(&all);
        expect_untold(&world.everything_said());
    }
}

#[tokio::test]
async fn message_is_cut_in_its_cause_and_obeyed_by_no_terminal() {
    let plane = Plane::shared().await.unwrap();
    let mut world = world(&plane, "told-long").await;
    let page = "<p>\u{1b}[31mno\u{202e} such bucket</p>".repeat(20_000);
    store_says(&world, &format!("NoSuchBucket: {page}")).await;

    world.update_status().await.unwrap();

    let status = world.status();
    let advice = "blocked: create the bucket or correct `bucket` in `s3-integrator`: object store \
                  unavailable: NoSuchBucket: <p>";
    assert!(status.starts_with(advice), "{status}");
    assert!(status.ends_with("bucket</p>"), "{status}");
    assert!(status.len() <= 520, "{status}");
    let odd = |c: char| c.is_control() || c == '\u{202e}';
    assert!(!status.contains(odd), "{status:?}");
    for line in world.juju.logs() {
        assert!(
            line.text.len() < 8192,
            "{} bytes were logged",
            line.text.len()
        );
    }
}
