//! What Velero says of the store, in the words of real ones.

use jiff::{Timestamp, ToSpan as _};
use juju_emulator::AzureSettings;
use juju_emulator::model::Relation;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use worlds::operator::{APP, S3, UNIT};
use worlds::plane::{LightWorld, Plane, Verdict};

use super::asking::AZURE;
use super::table::{Rows, Section};

pub(super) const WRAPPED: &str = "rpc error: code = Unknown desc = ";
const LISTING: &str = "operation error S3: ListObjectsV2, ";
const LOCATION: &str = "backupstoragelocations.velero.io/default";

/// What is wrong, and what Velero 1.18.3 says after "is unavailable: ".
fn causes() -> Vec<(&'static str, String)> {
    let answered = |code: u16, error: &str| {
        format!(
            "{WRAPPED}{LISTING}https response error StatusCode: {code}, RequestID: 18EA68A1E1169F0A564C39ED, \
             HostID: , {error}"
        )
    };
    let unanswered = |url: &str, error: &str| {
        format!(
            "{WRAPPED}{LISTING}exceeded maximum number of attempts, 3, https response error StatusCode: 0, \
             RequestID: , HostID: , request send failed, Get \
             \"{url}/backups?delimiter=%2F&list-type=2&prefix=\": {error}"
        )
    };
    vec![
        (
            "The secret key is wrong",
            answered(
                403,
                "api error SignatureDoesNotMatch: The request signature we calculated does not match \
                 the signature you provided. Check your key and signing method.",
            ),
        ),
        (
            "The access key is wrong",
            answered(
                403,
                "api error InvalidAccessKeyId: The access key ID you provided does not exist in our \
                 records.",
            ),
        ),
        (
            "The key may not use the bucket",
            answered(403, "api error AccessDenied: Access Denied"),
        ),
        (
            "The bucket does not exist",
            answered(404, "NoSuchBucket: The specified bucket does not exist"),
        ),
        (
            "Nothing listens at `endpoint`",
            unanswered(
                "http://192.0.2.2:8999",
                "dial tcp 192.0.2.2:8999: connect: connection refused",
            ),
        ),
        (
            "The host in `endpoint` is unknown",
            unanswered(
                "http://no-such-host.invalid:8333",
                "dial tcp: lookup no-such-host.invalid on 10.0.0.53:53: no such host",
            ),
        ),
        (
            "`endpoint` says `https`, the store speaks `http`",
            unanswered(
                "https://192.0.2.2:8333",
                "http: server gave HTTP response to HTTPS client",
            ),
        ),
        (
            "The store's certificate is of an unknown authority",
            unanswered(
                "https://192.0.2.2:8333",
                "tls: failed to verify certificate: x509: certificate signed by unknown authority",
            ),
        ),
        (
            "The bucket holds other things",
            "Backup store contains invalid top-level directories: [photos]".to_owned(),
        ),
        (
            "Something else is wrong with the store",
            answered(503, "api error SlowDown: Please reduce your request rate."),
        ),
    ]
}

pub(crate) async fn s3(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let mut world = LightWorld::connected(plane, "store").await.unwrap();
    data(&mut world, &mut rows).await;
    for (situation, cause) in causes() {
        let verdict = Verdict::Unavailable(cause);
        let bucket = world.bucket.clone();
        world.let_bucket(&bucket, verdict).await.unwrap();
        world.update_status().await.unwrap();
        rows.take(&world, Section::S3, "blocked", situation);
        world.let_bucket(&bucket, Verdict::Available).await.unwrap();
        world.update_status().await.unwrap();
        rows.healed(&world);
    }
    rows
}

/// Data that cannot work, from an integrator that has sent good data before.
async fn data(world: &mut LightWorld, rows: &mut Rows) {
    let good = world.settings();
    let fields = [
        ("bucket", "", "The bucket is missing"),
        ("bucket", "backups/velero", "The bucket is a path"),
        ("endpoint", "s3.example.com", "`endpoint` is no URL"),
        ("region", "eu central", "`region` is no name"),
        ("s3-uri-style", "dns", "`s3-uri-style` is unknown"),
        (
            "tls-ca-chain",
            "no certificate",
            "`tls-ca-chain` is no certificate",
        ),
    ];
    for (field, value, situation) in fields {
        world.offer(field, value).await.unwrap();
        rows.take(world, Section::S3, "blocked", situation);
        let before = good.options.get(field).map_or("", String::as_str);
        world.offer(field, before).await.unwrap();
        rows.healed(world);
    }
    let several = [("bucket", ""), ("endpoint", "s3.example.com")];
    world.juju.config(S3, &several).unwrap();
    world.settle().await.unwrap();
    rows.take(world, Section::S3, "blocked", "Several fields are wrong");
    let before = several.map(|(field, _)| (field, good.options[field].as_str()));
    world.juju.config(S3, &before).unwrap();
    world.settle().await.unwrap();
    rows.healed(world);

    let secrets = world.juju.model().secrets.clone();
    for secret in world.juju.model_mut().secrets.values_mut() {
        secret.grants.clear();
    }
    world.juju.run_hook(UNIT, "start").await.unwrap();
    let situation = "The integrator has not granted its secret";
    rows.take(world, Section::S3, "waiting", situation);
    world.juju.model_mut().secrets = secrets.clone();
    world.update_status().await.unwrap();
    world.expect_status("active: ").unwrap();

    world.juju.model_mut().secrets.clear();
    // Not `run_hook`, in which the integrator would make another one.
    let hook = juju_emulator::event::Event::hook("start");
    let run = world.juju.run_event(UNIT, hook).await.unwrap();
    assert!(run.exit.is_success());
    let situation = "The secret is gone";
    rows.take(world, Section::S3, "waiting", situation);
    an_hour_is_waited(world, S3);
    let hook = juju_emulator::event::Event::hook("update-status");
    world.juju.run_event(UNIT, hook).await.unwrap();
    let situation = "The secret has been gone for ten minutes";
    rows.take(world, Section::S3, "blocked", situation);
    world.juju.model_mut().secrets = secrets;
    world.juju.remove_relation(APP, S3).unwrap();
    world.settle().await.unwrap();
    world.juju.integrate(APP, S3).unwrap();
    world.settle().await.unwrap();
    rows.healed(world);
}

/// As if the charm had begun an hour ago to wait for this integrator.
fn an_hour_is_waited(world: &mut LightWorld, integrator: &str) {
    let since = (Timestamp::now() - 1.hour()).to_string();
    let relations = &mut world.juju.model_mut().relations;
    let between = |relation: &&mut Relation| relation.sides.iter().any(|one| one.app == integrator);
    let relation = relations.values_mut().rfind(between).unwrap();
    let ours = relation
        .sides
        .iter_mut()
        .find(|side| side.app == APP)
        .unwrap();
    assert!(
        ours.bag.data.contains_key("waiting-since"),
        "{:?}",
        ours.bag
    );
    ours.bag.data.insert("waiting-since".into(), since);
}

/// The same for an account of Azure's, from the first word of its integrator.
pub(crate) async fn azure(plane: &Plane) -> Rows {
    const CONTAINER: &str = "velero";
    const DERIVED: &str = "abfss://velero@acme.dfs.core.windows.net/";
    let mut rows = Rows::default();
    let mut world = LightWorld::deployed(plane, "azure").await.unwrap();
    let good = AzureSettings::of_account("acme", CONTAINER, "YSBsaWdodCBrZXk=");
    let mut keyless = good.clone();
    keyless.secret_key.clear();
    world.juju.deploy_azure_integrator(AZURE, keyless).unwrap();
    world.juju.integrate(APP, AZURE).unwrap();
    world.settle().await.unwrap();
    let situation = "The integrator has not been given its key";
    rows.take(&world, Section::Azure, "waiting", situation);
    an_hour_is_waited(&mut world, AZURE);
    world.update_status().await.unwrap();
    let situation = "The integrator has not been given its key for ten minutes";
    rows.take(&world, Section::Azure, "blocked", situation);
    ungranted(&mut world, &mut rows, &good.secret_key).await;
    offer(&mut world, "secret-key", &good.secret_key).await;
    rows.healed(&world);

    let fields = [
        ("container", "", "The container is missing"),
        ("container", "$web", "The container is one of Azure's own"),
        ("container", "backups/velero", "The container is a path"),
        (
            "storage-account",
            "Acme Backups",
            "`storage-account` is no name",
        ),
        (
            "endpoint",
            "https://other.blob.core.windows.net",
            "`endpoint` is of another account",
        ),
        ("endpoint", "acme", "`endpoint` is no URL"),
        (
            "secret-key",
            "\"'",
            "The key is what no credential file can hold",
        ),
    ];
    for (field, value, situation) in fields {
        offer(&mut world, field, value).await;
        rows.take(&world, Section::Azure, "blocked", situation);
        let before = match field {
            "secret-key" => &good.secret_key,
            "endpoint" => DERIVED,
            option => &good.options[option],
        };
        offer(&mut world, field, before).await;
        rows.healed(&world);
    }
    for (situation, cause) in causes_of_azure() {
        let verdict = Verdict::Unavailable(format!("{WRAPPED}{cause}"));
        world.let_bucket(CONTAINER, verdict).await.unwrap();
        world.update_status().await.unwrap();
        rows.take(&world, Section::Azure, "blocked", situation);
        world
            .let_bucket(CONTAINER, Verdict::Available)
            .await
            .unwrap();
        world.update_status().await.unwrap();
        rows.healed(&world);
    }
    principal(&mut world, &mut rows).await;
    rows
}

/// The integrator is told of a secret before it may read it, and what the status advises ends that.
async fn ungranted(world: &mut LightWorld, rows: &mut Rows, key: &str) {
    let juju = &mut world.juju;
    let address = juju.add_secret("keys", &[("secret-key", key)]).unwrap();
    offer(world, "credentials", &address).await;
    let situation = "The secret with the key is not granted to the integrator";
    rows.take(world, Section::Azure, "blocked", situation);
    world.juju.grant_secret("keys", AZURE).unwrap();
    world.juju.remove_relation(APP, AZURE).unwrap();
    world.settle().await.unwrap();
    world.juju.integrate(APP, AZURE).unwrap();
    world.settle().await.unwrap();
    rows.healed(world);
    offer(world, "credentials", "").await;
}

/// A service principal in addition to the account, from the first word of its integrator.
async fn principal(world: &mut LightWorld, rows: &mut Rows) {
    const AUTH: &str = "azure-auth-integrator";
    world.juju.deploy_azure_auth_integrator(AUTH).unwrap();
    world.juju.integrate(APP, AUTH).unwrap();
    world.settle().await.unwrap();
    let situation = "A service principal is related and not sent yet";
    rows.take(world, Section::Azure, "waiting", situation);
    let sent = [
        ("subscription-id", "sub", ""),
        (
            "client-id",
            "a-client-id",
            "The service principal is incomplete",
        ),
        ("tenant-id", "tenant", ""),
        ("client-secret", "a-client-secret", ""),
    ];
    for (field, value, situation) in sent {
        world.juju.config(AUTH, &[(field, value)]).unwrap();
        world.settle().await.unwrap();
        if !situation.is_empty() {
            rows.take(world, Section::Azure, "blocked", situation);
        }
    }
    rows.healed(world);
}

async fn offer(world: &mut LightWorld, field: &str, value: &str) {
    world.juju.config(AZURE, &[(field, value)]).unwrap();
    world.settle().await.unwrap();
}

const fn causes_of_azure() -> [(&'static str, &'static str); 5] {
    [
        (
            "The key is wrong",
            "AuthorizationFailure: Server failed to authenticate the request. Make sure the value of \
             the Authorization header is formed correctly including the signature.",
        ),
        (
            "The key is only a part of one",
            "failed to create storage account access key credential: decode account key: illegal \
             base64 data at input byte 3",
        ),
        (
            "The network rules of the account keep the cluster out",
            "AuthorizationFailure: This request is not authorized to perform this operation.",
        ),
        (
            "The container does not exist",
            "ContainerNotFound: The specified container does not exist.",
        ),
        (
            "Nothing listens at `endpoint`",
            "Get \"http://192.0.2.2:10000/acme/velero?comp=list&delimiter=%2F&restype=container\": \
             dial tcp 192.0.2.2:10000: connect: connection refused",
        ),
    ]
}

/// The store takes connections and says nothing, from the moment that the server is started again.
pub(crate) async fn unjudged(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let mut world = LightWorld::connected(plane, "silent-store").await.unwrap();
    let bucket = world.bucket.clone();
    world.let_bucket(&bucket, Verdict::Never).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(world.client(), &world.namespace);
    let server = ListParams::default().labels("deploy=velero");
    let how = DeleteParams::default();
    the_second_of_the_verdict_ends(&world).await;
    pods.delete_collection(&how, &server).await.unwrap();

    world.update_status().await.unwrap();
    let situation = "Velero has yet to judge the location";
    rows.take(&world, Section::Store, "waiting", situation);

    let pod = pods.list(&server).await.unwrap().items.remove(0);
    an_hour_passes(&world, &pods, &pod).await;
    world.update_status().await.unwrap();
    let situation = "The store takes connections and never answers, for two minutes";
    rows.take(&world, Section::Store, "blocked", situation);
    world.let_bucket(&bucket, Verdict::Available).await.unwrap();
    world.update_status().await.unwrap();
    rows.healed(&world);
    rows
}

/// Times are whole seconds: a server that starts in the very second of a verdict may have given it.
async fn the_second_of_the_verdict_ends(world: &LightWorld) {
    let location = world.velero_object("BackupStorageLocation", "default");
    let location = location.await.unwrap().unwrap();
    let given = location.data["status"]["lastValidationTime"].as_str();
    let given: Timestamp = given.unwrap().parse().unwrap();
    let left = given + 1.second() - Timestamp::now();
    if let Ok(left) = left.try_into() {
        tokio::time::sleep(left).await;
    }
}

/// As if everything had happened an hour earlier.
async fn an_hour_passes(world: &LightWorld, pods: &Api<Pod>, server: &Pod) {
    let earlier = |hours: i64| {
        let then = Timestamp::now().checked_sub(hours.hours()).unwrap();
        then.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    };
    let mut status = serde_json::to_value(server.status.as_ref().unwrap()).unwrap();
    status["containerStatuses"][0]["state"]["running"]["startedAt"] = json!(earlier(1));
    let (how, patch) = (PatchParams::default(), json!({"status": status}));
    let patch = Patch::Merge(&patch);
    pods.patch_status(&server.name_any(), &how, &patch)
        .await
        .unwrap();

    let judged = json!({"status": {"lastValidationTime": earlier(2)}});
    patch_location(world, &judged).await;
    let get = [
        "get",
        LOCATION,
        "-n",
        &world.namespace,
        "--show-managed-fields",
        "-o",
        "json",
    ];
    let location = world.kubectl(&get).await.unwrap();
    let mut location: Value = serde_json::from_str(&location).unwrap();
    let fields = &mut location["metadata"]["managedFields"];
    for entry in fields.as_array_mut().unwrap() {
        entry["time"] = json!(earlier(1));
    }
    patch_location(world, &json!({"metadata": {"managedFields": fields}})).await;
}

async fn patch_location(world: &LightWorld, patch: &Value) {
    let patch = patch.to_string();
    let arguments = [
        "patch",
        LOCATION,
        "-n",
        &world.namespace,
        "--type=merge",
        "-p",
        &patch,
    ];
    world.kubectl(&arguments).await.unwrap();
}

/// A word of a later Velero, which has definitions of its own too.
pub(crate) async fn unknown_phase(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let mut world = LightWorld::connected(plane, "unknown-phase").await.unwrap();
    let field = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/phase/enum";
    let open = json!([{"op": "remove", "path": field}]).to_string();
    let definition = "crd/backupstoragelocations.velero.io";
    let patch = ["patch", definition, "--type=json", "-p", &open];
    world.kubectl(&patch).await.unwrap();
    let verdict = Verdict::Other {
        phase: "Throttled".into(),
        cause: "too many requests.".into(),
    };
    let bucket = world.bucket.clone();
    world.let_bucket(&bucket, verdict).await.unwrap();
    world.update_status().await.unwrap();
    let situation = "Velero says something that this charm does not know";
    rows.take(&world, Section::Store, "blocked", situation);
    world.let_bucket(&bucket, Verdict::Available).await.unwrap();
    world.update_status().await.unwrap();
    rows.healed(&world);
    rows
}
