//! What is said of a store of Google's: its data, and Velero's words with those of Google's own client.

use juju_emulator::{GcsRelease, GcsSettings};
use serde_json::{Value, json};
use worlds::operator::{APP, GCS};
use worlds::plane::{LightWorld, Plane, StoreKind, Verdict};

use super::store::WRAPPED;
use super::table::{Rows, Section};

const LIST: &str =
    "Get \"https://storage.googleapis.com/storage/v1/b/velero/o?alt=json&delimiter=%2F\": ";

/// What is wrong, and what Velero says after "is unavailable: ". The plugin's client was asked, against a store and
/// a server of tokens that answer as Google's do.
fn causes() -> Vec<(&'static str, String)> {
    let token = |error: &str| {
        let grant = r#"{"error": "invalid_grant", "error_description": "#;
        format!("{LIST}auth: cannot fetch token: 400\nResponse: {grant}\"{error}\"}}")
    };
    let refused = |message: &str| format!("googleapi: Error 403: {message}");
    vec![
        (
            "The key is not the account's",
            token("Invalid JWT Signature."),
        ),
        (
            "The account is gone",
            token("Invalid grant: account not found"),
        ),
        (
            "The clock is wrong",
            token(
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable \
                 timeframe. Check your iat and exp values in the JWT claim.",
            ),
        ),
        (
            "The bucket does not exist",
            "storage: bucket doesn't exist: googleapi: Error 404: The specified bucket does not \
             exist., notFound"
                .to_owned(),
        ),
        (
            "The account may not use the bucket",
            refused(
                "velero@acme.iam.gserviceaccount.com does not have storage.objects.list access to \
                 the Google Cloud Storage bucket. Permission 'storage.objects.list' denied on \
                 resource (or it may not exist)., forbidden",
            ),
        ),
        (
            "The API is disabled",
            refused(
                "Cloud Storage JSON API has not been used in project 104711 before or it is \
                 disabled. Enable it by visiting https://console.developers.google.com/apis/api/\
                 storage-api.json/overview?project=104711 then retry., accessNotConfigured",
            ),
        ),
        (
            "Billing is disabled",
            refused(
                "The billing account for the owning project is disabled in state absent, \
                 accountDisabled",
            ),
        ),
        (
            "The cluster does not find Google",
            format!(
                "{LIST}auth: cannot fetch token: Post \"https://oauth2.googleapis.com/token\": dial \
                 tcp: lookup oauth2.googleapis.com on 10.0.0.53:53: no such host"
            ),
        ),
    ]
}

/// Keys that cannot work.
fn keys(good: &str) -> Vec<(&'static str, String)> {
    let with = |name: &str, value: Value| {
        let mut key: Value = serde_json::from_str(good).unwrap();
        key[name] = value;
        key.to_string()
    };
    vec![
        ("The key is no JSON", "key.json".to_owned()),
        (
            "The key lacks parts",
            "{\"type\": \"service_account\"}".to_owned(),
        ),
        (
            "The key is of another type",
            with("type", json!("external_account")),
        ),
        (
            "The key would be used elsewhere",
            with("token_uri", json!("https://example.com/token")),
        ),
    ]
}

pub(super) async fn gcs(plane: &Plane) -> Rows {
    let mut rows = Rows::default();
    let mut world = LightWorld::deployed(plane, "google").await.unwrap();
    let (bucket, key) = (world.bucket.clone(), StoreKind::Gcs.secret_key(&world));
    let keyless = GcsSettings::of_bucket(&bucket, "");
    let juju = &mut world.juju;
    juju.deploy_gcs_integrator(GCS, keyless, GcsRelease::Library)
        .unwrap();
    juju.integrate(APP, GCS).unwrap();
    world.settle().await.unwrap();
    let situation = "The integrator has not been given its key";
    rows.take(&world, Section::Gcs, "waiting", situation);
    offer(&mut world, "secret-key", &key).await;
    rows.healed(&world);

    for (value, situation) in [
        ("", "The bucket is missing"),
        ("backups/velero", "The bucket is a path"),
        ("Backups", "The bucket is no name"),
    ] {
        offer(&mut world, "bucket", value).await;
        rows.take(&world, Section::Gcs, "blocked", situation);
        offer(&mut world, "bucket", &bucket).await;
        rows.healed(&world);
    }
    for (situation, value) in keys(&key) {
        offer(&mut world, "secret-key", &value).await;
        rows.take(&world, Section::Gcs, "blocked", situation);
        offer(&mut world, "secret-key", &key).await;
        rows.healed(&world);
    }
    for (situation, cause) in causes() {
        let verdict = Verdict::Unavailable(format!("{WRAPPED}{cause}"));
        world.let_bucket(&bucket, verdict).await.unwrap();
        world.update_status().await.unwrap();
        rows.take(&world, Section::Gcs, "blocked", situation);
        let available = Verdict::Available;
        world.let_bucket(&bucket, available).await.unwrap();
        world.update_status().await.unwrap();
        rows.healed(&world);
    }
    rows
}

async fn offer(world: &mut LightWorld, field: &str, value: &str) {
    world.juju.config(GCS, &[(field, value)]).unwrap();
    world.settle().await.unwrap();
}
