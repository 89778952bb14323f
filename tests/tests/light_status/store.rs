//! What Velero says of the store, in the words of real ones.

use jiff::{Timestamp, ToSpan as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use tests::plane::{LightWorld, Plane, Verdict};

use crate::table::{Rows, Section};

const LISTING: &str = "rpc error: code = Unknown desc = operation error S3: ListObjectsV2, ";
const LOCATION: &str = "backupstoragelocations.velero.io/default";

/// What is wrong, and what Velero 1.18.3 says after "is unavailable: ".
fn causes() -> Vec<(&'static str, String)> {
    let answered = |code: u16, error: &str| {
        format!(
            "{LISTING}https response error StatusCode: {code}, RequestID: 18EA68A1E1169F0A564C39ED, \
             HostID: , {error}"
        )
    };
    let unanswered = |url: &str, error: &str| {
        format!(
            "{LISTING}exceeded maximum number of attempts, 3, https response error StatusCode: 0, \
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

pub(crate) async fn judged(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let mut world = LightWorld::connected(plane, "store").await.unwrap();
    let bucket = world.bucket.clone();
    for (situation, cause) in causes() {
        let verdict = Verdict::Unavailable(cause);
        world.let_bucket(&bucket, verdict).await.unwrap();
        world.update_status().await.unwrap();
        rows.take(&world, Section::Store, "blocked", situation);
    }
    rows
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
    pods.delete_collection(&how, &server).await.unwrap();

    world.update_status().await.unwrap();
    let situation = "Velero has yet to judge the location";
    rows.take(&world, Section::Store, "waiting", situation);

    let pod = pods.list(&server).await.unwrap().items.remove(0);
    an_hour_passes(&world, &pods, &pod).await;
    world.update_status().await.unwrap();
    let situation = "The store takes connections and never answers, for two minutes";
    rows.take(&world, Section::Store, "blocked", situation);
    rows
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
