//! The charm on a real node: real Velero, a real store, real failures.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tests::juju::{ActionOutcome, DeployOptions};
use tests::operator::{self, APP, S3, UNIT, run_well};
use tests::shop::Shop;
use tests::stack::versions;
use tests::world::World;

const NO_STORE: &str =
    "blocked: no object store: run `juju integrate velero-operator s3-integrator`";

async fn run_with(world: &mut World, action: &str, params: Value) -> ActionOutcome {
    let params: Map<String, Value> = serde_json::from_value(params).unwrap();
    world.juju.run_action(UNIT, action, &params).await.unwrap()
}

async fn refusal(world: &mut World, command: &str) -> String {
    let outcome = run_with(world, "run", json!({"command": command})).await;
    assert_eq!(outcome.status, "failed", "`{command}` was not refused");
    assert_eq!(
        outcome.results["return-code"], 0,
        "an expected failure ends with 0"
    );
    outcome.message
}

/// Everything that the charm said, asked or was given by a tool, but for what it read of secrets.
fn everything_said(world: &World) -> String {
    let runs = world.juju.hook_runs().iter();
    let calls = runs.flat_map(|run| {
        let environment = run
            .environment
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        environment.chain(
            run.tool_calls
                .iter()
                .map(|call| format!("{} {:?}", call.tool, call.args)),
        )
    });
    let statuses = world
        .juju
        .status_history(UNIT)
        .iter()
        .map(|status| status.message.clone());
    let said: Vec<_> = calls.chain(statuses).chain([world.log()]).collect();
    said.join("\n")
}

#[tokio::test]
async fn one_backup_lost_and_restored() {
    let mut world = World::open("whole-way").await.unwrap();
    world.deploy(DeployOptions::default()).await.unwrap();
    world
        .expect_status("blocked: not trusted: run `juju trust velero-operator --scope=cluster`")
        .unwrap();

    world.juju.trust(APP).await.unwrap();
    world.juju.settle().await.unwrap();
    world.expect_status(NO_STORE).unwrap();
    assert_eq!(world.juju.workload_version(APP), Some(versions::VELERO));

    world.config("use-node-agent", "true").await.unwrap();
    let settings = world.settings();
    world.integrate(settings).await.unwrap();
    world.expect_status("active: ").unwrap();

    let shop = Shop::open(&world.stack, "shop-whole-way").await.unwrap();
    let files = shop.checksums().await.unwrap();
    let backup = "backup create nightly --include-namespaces shop-whole-way \
                  --default-volumes-to-fs-backup --wait";
    let outcome = run_well(&mut world.juju, backup).await.unwrap();
    assert!(outcome.log.len() >= 2, "the output is logged while it runs");
    let output = outcome.results["output"].as_str().unwrap();
    assert!(
        output.contains("completed with status: Completed"),
        "{output}"
    );
    let objects = world.stack.s3().list(&world.bucket, "").await.unwrap();
    assert!(
        objects
            .iter()
            .any(|object| object.key.starts_with("kopia/")),
        "{objects:?}"
    );

    shop.lose().await.unwrap();
    run_well(
        &mut world.juju,
        "restore create --from-backup nightly --wait",
    )
    .await
    .unwrap();
    shop.ready().await.unwrap();
    assert_eq!(shop.checksums().await.unwrap(), files);
    assert_eq!(shop.motto().await.unwrap(), "never lose anything");

    world.juju.remove_relation(APP, S3).unwrap();
    world.juju.settle().await.unwrap();
    world.expect_status(NO_STORE).unwrap();
    assert_eq!(world.location().await.unwrap(), None);
    let init = "jsonpath={.spec.template.spec.initContainers[*].name}";
    let get = [
        "-n",
        &world.namespace,
        "get",
        "deployment",
        "velero",
        "-o",
        init,
    ];
    assert_eq!(
        world.kubectl(&get).await.unwrap(),
        "",
        "the plugin went with the relation"
    );
    let secrets = world.belongings().await.unwrap();
    assert!(!secrets.contains("secret/"), "{secrets}");

    let before = world.stack.s3().list(&world.bucket, "").await.unwrap();
    world.juju.remove_application(APP).unwrap();
    world.juju.settle().await.unwrap();
    assert_eq!(world.belongings().await.unwrap(), "");
    let after = world.stack.s3().list(&world.bucket, "").await.unwrap();
    assert_eq!(after, before, "what is in the bucket stays");

    let said = everything_said(&world);
    for secret in [world.stack.s3().secret_key, world.stack.s3().access_key] {
        assert!(!said.contains(&secret), "a key was said");
    }
}

#[tokio::test]
async fn a_store_that_does_not_work_is_explained_and_heals() {
    let mut world = World::deployed("bad-store").await.unwrap();
    let good = world.settings();
    let dead = format!("http://{}:1", world.stack.host_ip());

    world
        .integrate(
            good.clone()
                .credentials(&good.access_key, "not-the-secret-key"),
        )
        .await
        .unwrap();
    let reason = [
        "SignatureDoesNotMatch",
        "correct the secret key in the S3 integrator",
    ];
    world
        .expect_in_status("blocked: object store unavailable: ", &reason)
        .unwrap();
    assert!(
        !world.status().contains("RequestID"),
        "it differs at every try"
    );
    world.offer("secret-key", &good.secret_key).await.unwrap();
    world.expect_status("active: ").unwrap();

    world.offer("bucket", "no-such-bucket").await.unwrap();
    let reason = ["NoSuchBucket", "create the bucket or correct `bucket`"];
    world
        .expect_in_status("blocked: object store unavailable: ", &reason)
        .unwrap();
    let bucket = world.bucket.clone();
    world.offer("bucket", &bucket).await.unwrap();
    world.expect_status("active: ").unwrap();

    world.offer("endpoint", &dead).await.unwrap();
    let reason = [
        "connection refused",
        "correct `endpoint` in the S3 integrator",
    ];
    world
        .expect_in_status("blocked: object store unavailable: ", &reason)
        .unwrap();
    world
        .offer("endpoint", &good.options["endpoint"])
        .await
        .unwrap();
    world.expect_status("active: ").unwrap();
}

#[tokio::test]
async fn bad_data_is_named_and_destroys_nothing() {
    let mut world = World::connected("bad-data").await.unwrap();
    let before = world.location().await.unwrap();

    world.offer("bucket", "a/b").await.unwrap();
    let reason = [
        "data from `s3-integrator` is invalid",
        "`bucket` contains a `/`",
    ];
    world.expect_in_status("blocked: ", &reason).unwrap();
    assert_eq!(world.location().await.unwrap(), before);

    world.offer("bucket", "").await.unwrap();
    world
        .expect_in_status("blocked: ", &["`bucket` is missing"])
        .unwrap();
    assert_eq!(world.location().await.unwrap(), before);

    let bucket = world.bucket.clone();
    world.offer("bucket", &bucket).await.unwrap();
    world.expect_status("active: ").unwrap();
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_is_named() {
    let mut world = World::deployed("bad-image").await.unwrap();

    world
        .config("velero-image", "velero/velero:v1.18.99")
        .await
        .unwrap();
    let reason = ["`ImagePullBackOff` of image `", "velero/velero:v1.18.99`"];
    world
        .expect_in_status("blocked: the Velero server does not start: ", &reason)
        .unwrap();
    world
        .config("velero-image", &versions::velero_image())
        .await
        .unwrap();
    world.expect_status(NO_STORE).unwrap();

    let plugin = "velero/velero-plugin-for-aws:v1.14.99";
    world
        .config("velero-aws-plugin-image", plugin)
        .await
        .unwrap();
    let settings = world.settings();
    world.integrate(settings).await.unwrap();
    let reason = ["`ImagePullBackOff` of image `", plugin];
    world
        .expect_in_status("blocked: the Velero server does not start: ", &reason)
        .unwrap();
    world
        .config("velero-aws-plugin-image", &versions::plugin_aws_image())
        .await
        .unwrap();
    world.expect_status("active: ").unwrap();
}

#[tokio::test]
async fn config_that_cannot_work_is_refused_and_touches_nothing() {
    let mut world = World::deployed("bad-config").await.unwrap();
    let mark = world.stack.audit().mark().await.unwrap();

    world
        .config("velero-image", "velero/velero:v1.15.2")
        .await
        .unwrap();
    let reason = [
        "`velero-image` is Velero 1.15",
        "set it to `velero/velero:v1.18.3`",
    ];
    world
        .expect_in_status("blocked: invalid config: ", &reason)
        .unwrap();
    world
        .config("default-volumes-to-fs-backup", "true")
        .await
        .unwrap();
    let reason = ["`default-volumes-to-fs-backup` needs the node agent"];
    world
        .expect_in_status("blocked: invalid config: ", &reason)
        .unwrap();

    assert_eq!(writes(&world, &mark).await, Vec::<String>::new());
}

/// `verb resource` of each write of the charm since a mark.
async fn writes(world: &World, mark: &tests::stack::Mark) -> Vec<String> {
    let requests = world.stack.audit().since(mark).await.unwrap();
    let ours = requests
        .into_iter()
        .filter(|request| request.user == world.charm_user());
    ours.filter(|request| !["get", "list", "watch"].contains(&request.verb.as_str()))
        .map(|request| format!("{} {}", request.verb, request.resource))
        .collect()
}

#[tokio::test]
async fn nothing_to_do_nothing_written() {
    let mut world = World::connected("steady").await.unwrap();
    world.update_status().await.unwrap();
    let mark = world.stack.audit().mark().await.unwrap();
    let starts = world.cli_starts().unwrap();
    assert!(!starts.is_empty(), "installing starts the CLI");

    let run = world.update_status().await.unwrap();

    assert_eq!(writes(&world, &mark).await, Vec::<String>::new());
    assert_eq!(world.cli_starts().unwrap(), starts, "the CLI was started");
    let tools: Vec<_> = run
        .tool_calls
        .iter()
        .map(|call| call.tool.as_str())
        .collect();
    let expected = [
        "is-leader",
        "config-get",
        "relation-ids",
        "relation-list",
        "relation-get",
        "secret-get",
        "status-get",
    ];
    assert_eq!(tools, expected);
    let requests = world.stack.audit().since(&mark).await.unwrap();
    let mut verbs = BTreeMap::<_, u32>::new();
    for request in requests
        .iter()
        .filter(|request| request.user == world.charm_user())
    {
        *verbs.entry(request.verb.as_str()).or_default() += 1;
    }
    println!(
        "steady update-status: hook tools {tools:?}; API requests {verbs:?}; 0 CLI starts; {:.0} ms; \
         {:.1} MB resident",
        run.duration.as_secs_f64() * 1000.0,
        f64::from(u32::try_from(run.max_rss / 1024).unwrap()) / 1024.0
    );
}

#[tokio::test]
async fn what_is_not_for_an_action_is_refused_with_its_reason() {
    let mut world = World::deployed("refusals").await.unwrap();

    let message = refusal(&mut world, "backup get").await;
    assert!(
        message.contains("`juju integrate velero-operator s3-integrator`"),
        "{message}"
    );
    for (command, reason) in [
        ("", "is empty"),
        ("backup 'x", "quote"),
        ("install", "use `backup`, `restore`, `schedule`"),
        ("backup get -wn kube-system", "`-n` is not allowed"),
        (
            "backup get --namespace=kube-system",
            "`--namespace` is not allowed",
        ),
        (
            "backup get --kubeconfig /tmp/x",
            "`--kubeconfig` is not allowed",
        ),
        ("backup get -- x", "`--` is not allowed"),
        ("backup download x", "`backup download` is not allowed"),
        ("backup delete x", "add `--confirm`"),
    ] {
        let message = refusal(&mut world, command).await;
        assert!(message.contains(reason), "`{command}`: {message}");
    }
    assert!(
        world
            .cli_starts()
            .unwrap()
            .iter()
            .all(|start| start.contains(" install "))
    );
}

#[tokio::test]
async fn the_run_action_gives_output_errors_and_time_limits() {
    let mut world = World::connected("actions").await.unwrap();

    let create = json!({"command": "backup create a --include-namespaces default --wait"});
    let outcome = run_with(&mut world, "run-cli", create).await;
    assert_eq!(outcome.status, "completed", "{}", outcome.message);

    let outcome = run_with(&mut world, "run", json!({"command": "backup logs a"})).await;
    let whole = outcome.results["output"].as_str().unwrap();
    assert_eq!(outcome.status, "completed");
    assert!(whole.len() <= 64 * 1024 + 64);
    let logged: usize = outcome.log.iter().map(|(_, line)| line.len()).sum();
    assert!(
        logged + outcome.log.len() >= whole.len(),
        "the log has all of it"
    );

    let message = refusal(&mut world, "backup describe no-such-backup --details=maybe").await;
    assert!(
        message.starts_with("velero failed with exit code 1: "),
        "{message}"
    );

    let shop = Shop::open(&world.stack, "shop-actions").await.unwrap();
    world.config("use-node-agent", "true").await.unwrap();
    let slow = json!({
        "command": "backup create slow --include-namespaces shop-actions \
                    --default-volumes-to-fs-backup --wait",
        "timeout": "1s",
    });
    let outcome = run_with(&mut world, "run", slow).await;
    assert_eq!(outcome.status, "failed");
    assert!(
        outcome.message.contains("goes on in Velero"),
        "{}",
        outcome.message
    );
    let follow = "juju run velero-operator/0 run command=\"backup describe slow\"";
    assert!(outcome.message.contains(follow), "{}", outcome.message);
    let wait = ["--for=jsonpath={.status.phase}=Completed", "--timeout=60s"];
    let backup = ["-n", &world.namespace, "wait", "backups.velero.io/slow"];
    world
        .kubectl(&[&backup[..], &wait[..]].concat())
        .await
        .unwrap();

    let outcome = run_with(
        &mut world,
        "run",
        json!({"command": "backup get", "timeout": "soon"}),
    )
    .await;
    assert!(
        outcome.message.contains("`timeout` is `soon`"),
        "{}",
        outcome.message
    );
    shop.lose().await.unwrap();
}

#[tokio::test]
async fn a_velero_of_somebody_else_is_left_alone() {
    let mut world = World::open("foreign").await.unwrap();
    let image = format!("--image={}", versions::BUSYBOX_IMAGE);
    let create = [
        "-n",
        &world.namespace,
        "create",
        "deployment",
        "velero",
        &image,
    ];
    world.kubectl(&create).await.unwrap();
    let mark = world.stack.audit().mark().await.unwrap();

    world.deploy(DeployOptions::trusted()).await.unwrap();

    world
        .expect_in_status("blocked: ", &["has a Velero that is not this charm's"])
        .unwrap();
    assert_eq!(writes(&world, &mark).await, Vec::<String>::new());
}

#[tokio::test]
async fn edits_by_others_stay_and_edits_of_ours_are_undone() {
    let mut world = World::connected("drift").await.unwrap();
    let patch = json!({"spec": {"template": {"spec": {
        "initContainers": [{"name": "theirs", "image": versions::BUSYBOX_IMAGE, "command": ["true"]}],
        "containers": [{"name": "velero", "image": "velero/velero:v1.18.0"}],
    }}}});
    let patch = patch.to_string();
    let edit = [
        "-n",
        &world.namespace,
        "patch",
        "deployment",
        "velero",
        "-p",
        &patch,
    ];
    world.kubectl(&edit).await.unwrap();
    let bucket = r#"{"spec":{"objectStorage":{"bucket":"elsewhere"},"validationFrequency":"2m"}}"#;
    let location = "backupstoragelocations.velero.io/default";
    let edit = [
        "-n",
        &world.namespace,
        "patch",
        location,
        "--type=merge",
        "-p",
        bucket,
    ];
    world.kubectl(&edit).await.unwrap();

    world.update_status().await.unwrap();

    world.expect_status("active: ").unwrap();
    let shown = "jsonpath={.spec.template.spec.containers[0].image} \
                {.spec.template.spec.initContainers[*].name}";
    let get = [
        "-n",
        &world.namespace,
        "get",
        "deployment",
        "velero",
        "-o",
        shown,
    ];
    let pod = world.kubectl(&get).await.unwrap();
    assert!(pod.starts_with(&versions::velero_image()), "{pod}");
    assert!(
        pod.contains("theirs") && pod.contains("storage-plugin-aws"),
        "{pod}"
    );
    let spec = world.location().await.unwrap().unwrap();
    assert_eq!(spec["objectStorage"]["bucket"], json!(world.bucket));
    assert_eq!(spec["validationFrequency"], "2m");
}

#[tokio::test]
async fn an_unknown_hook_is_an_ordinary_one() {
    let mut world = World::deployed("unknown-hook").await.unwrap();
    let run = world.juju.run_hook(UNIT, "never-heard-of").await.unwrap();
    assert!(run.exit.is_success());
    assert_eq!(operator::status(&world.juju), NO_STORE);
}

#[tokio::test]
async fn a_backup_in_flight_is_not_interrupted() {
    let mut world = World::connected("in-flight").await.unwrap();
    world.config("use-node-agent", "true").await.unwrap();
    let shop = Shop::open(&world.stack, "shop-in-flight").await.unwrap();
    let backup = json!({
        "command": "backup create slow --include-namespaces shop-in-flight \
                    --default-volumes-to-fs-backup --wait",
        "timeout": "1s",
    });
    run_with(&mut world, "run", backup).await;

    world
        .config("default-volumes-to-fs-backup", "true")
        .await
        .unwrap();
    world
        .expect_status("waiting: change held back until Backup `slow` has ended")
        .unwrap();

    let done = "--for=jsonpath={.status.phase}=Completed";
    let wait = ["wait", "backups.velero.io/slow", done, "--timeout=60s"];
    let here = ["-n", &world.namespace.clone()];
    world
        .kubectl(&[&here[..], &wait[..]].concat())
        .await
        .unwrap();
    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();
    let arguments = "jsonpath={.spec.template.spec.containers[0].args}";
    let get = ["get", "deployment", "velero", "-o", arguments];
    let arguments = world
        .kubectl(&[&here[..], &get[..]].concat())
        .await
        .unwrap();
    assert!(
        arguments.contains("--default-volumes-to-fs-backup=true"),
        "{arguments}"
    );
    shop.lose().await.unwrap();
}

#[tokio::test]
async fn a_unit_that_comes_and_goes_changes_nothing() {
    let mut world = World::connected("scale").await.unwrap();
    let mark = world.stack.audit().mark().await.unwrap();

    let second = world.juju.add_unit(APP).unwrap();
    world.juju.settle().await.unwrap();
    let status = world.juju.unit_status(&second).unwrap();
    assert_eq!(
        (status.level.as_str(), status.message.as_str()),
        ("active", "")
    );
    world.juju.remove_unit(&second).unwrap();
    world.juju.settle().await.unwrap();
    assert_eq!(world.juju.unit_status(&second), None, "the unit is gone");

    assert_eq!(writes(&world, &mark).await, Vec::<String>::new());
    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();
}

/// Right after a CRD was made, the API server is too busy for its objects for a moment.
#[tokio::test]
async fn a_cluster_that_never_had_velero_is_ready_after_one_hook() {
    let mut world = World::open("first").await.unwrap();
    let definitions = [
        "delete",
        "customresourcedefinitions",
        "-l",
        "component=velero",
    ];
    world.kubectl(&definitions).await.unwrap();

    world.deploy(DeployOptions::trusted()).await.unwrap();

    let install = &world.juju.hook_runs()[0];
    assert_eq!(install.hook, "install");
    let status = install.statuses.last().unwrap();
    assert_eq!(format!("{}: {}", status.level, status.message), NO_STORE);
}

/// The other end is not ours: a charm on `ops`, with the library that the real integrators use.
#[tokio::test]
async fn the_integrators_own_library_connects_us() {
    let mut world = World::deployed("real-library").await.unwrap();
    let settings = world.settings();
    let provider = "object-storage";
    world
        .juju
        .deploy_foreign_s3_provider(provider, &settings)
        .await
        .unwrap();
    world.juju.settle().await.unwrap();

    world
        .juju
        .integrate(APP, "object-storage:s3-credentials")
        .unwrap();
    world.juju.settle().await.unwrap();
    world.expect_status("active: ").unwrap();
    let spec = world.location().await.unwrap().unwrap();
    assert_eq!(spec["objectStorage"]["bucket"], json!(world.bucket));

    for (key, status) in [
        ("wrong", "blocked: object store unavailable: "),
        (settings.secret_key.as_str(), "active: "),
    ] {
        world.juju.config(provider, &[("secret-key", key)]).unwrap();
        world.juju.settle().await.unwrap();
        world.expect_in_status(status, &[]).unwrap();
    }
}
