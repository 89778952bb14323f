use proptest::prelude::*;
use std::collections::BTreeMap;

use provider_api::{Facts, Value, secrecy::ExposeSecret as _};
use provider_testkit::{Example, Subject};
use serde_json::{Value as Json, json};

use super::*;

mod keys;

/// No key, but of the form of one.
const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
                   Y2FuYXJ5LWxpbmUtb25lLW9mLWEta2V5LXRoYXQtbm9ib2R5LWhhcy1tYWRlLTEh\n\
                   Y2FuYXJ5LWxpbmUtdHdvLW9mLWl0\n-----END PRIVATE KEY-----\n";
const NODE: &str = "gce://shop-project/europe-west1-b/gke-shop-pool-1";

/// As Google makes it, with these members changed, or left out for `null`.
fn key(changes: &[(&str, Json)]) -> String {
    let mut key = json!({
        "type": "service_account",
        "project_id": "shop-project",
        "private_key_id": "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
        "private_key": PEM,
        "client_email": "velero@shop-project.iam.gserviceaccount.com",
        "client_id": "104711471147114711471",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
        "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
        "universe_domain": "googleapis.com",
    });
    for (name, value) in changes {
        key[name] = value.clone();
    }
    key.as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    serde_json::to_string_pretty(&key).unwrap()
}

/// With these fields in addition to a bucket and a key, or instead of them.
fn data(changes: &[(&str, &str)]) -> RelationData {
    let mut fields = BTreeMap::from([
        (BUCKET, Value::from("backups")),
        (SECRET_KEY, Value::Secret(key(&[]).into())),
    ]);
    fields.extend(
        changes
            .iter()
            .map(|(name, text)| (*name, Value::from(*text))),
    );
    fields.into_iter().collect()
}

fn given(own: RelationData, nodes: &[&str]) -> Inputs {
    let provider_ids = nodes.iter().map(|id| (*id).to_owned()).collect();
    Inputs::new(
        &DESCRIPTOR,
        own,
        BTreeMap::new(),
        Facts {
            provider_ids,
            ..Facts::default()
        },
    )
}

fn answer(own: RelationData) -> Result<Answer, Problems> {
    PROVIDER.resolve(&given(own, &[]))
}

fn ready_on(nodes: &[&str], changes: &[(&str, &str)]) -> Storage {
    match PROVIDER.resolve(&given(data(changes), nodes)).unwrap() {
        Answer::Ready(storage) => *storage,
        Answer::Waiting(what) => panic!("waits for {what}"),
    }
}

fn ready(changes: &[(&str, &str)]) -> Storage {
    ready_on(&[], changes)
}

fn refused(changes: &[(&str, &str)]) -> Problems {
    answer(data(changes)).unwrap_err()
}

#[test]
fn provider_holds_the_contract() {
    let relation = |more: &[(&'static str, &str)]| {
        let fields = more.iter().map(|(name, text)| (*name, Value::from(*text)));
        let own = [
            (BUCKET, "backups".into()),
            (SECRET_KEY, Value::Secret(key(&[]).into())),
        ];
        vec![("gcs-credentials", own.into_iter().chain(fields).collect())]
    };
    let required: &[&str] = &[BUCKET, SECRET_KEY];
    let secret_parts = vec![(SECRET_KEY, PEM.to_owned())];
    provider_testkit::check(&Subject {
        provider: &PROVIDER,
        charmcraft: include_str!("../../charmcraft.yaml"),
        examples: vec![
            Example {
                name: "a bucket and a key",
                relations: relation(&[]),
                required,
                secret_parts: secret_parts.clone(),
                ..Example::default()
            },
            Example {
                name: "a folder, on nodes in Google Cloud",
                relations: relation(&[(PATH, "shop"), (STORAGE_CLASS, "NEARLINE")]),
                required,
                secret_parts,
                facts: Facts {
                    provider_ids: vec![NODE.into(), NODE.replace("shop-project", "other")],
                    ..Facts::default()
                },
                ..Example::default()
            },
            Example {
                name: "a bucket, where Google knows the pods",
                relations: vec![("gcs-credentials", vec![(BUCKET, "backups".into())])],
                required: &[BUCKET],
                identity: Some(ACCOUNT),
                ..Example::default()
            },
        ],
        // The plugin parses it as a whole.
        credential_values: |file| vec![file.to_owned()],
    })
    .unwrap();
}

#[test]
fn bucket_and_key_are_all_that_is_needed() {
    let storage = ready(&[(PATH, "/shop/a/")]);

    let location = Location {
        bucket: "backups".into(),
        prefix: Some("shop/a".into()),
        ca_certificates: None,
        config: BTreeMap::new(),
    };
    assert_eq!(storage.location, location);
    assert_eq!(
        storage.credential.file().unwrap().expose_secret(),
        key(&[]),
        "to the byte"
    );
    assert_eq!(storage.snapshots, None, "no node is in Google Cloud");
    assert_eq!(storage.remarks, [""; 0]);
}

const ACCOUNT: &str = "velero@shop-project.iam.gserviceaccount.com";

#[test]
fn account_of_the_pods_takes_the_place_of_a_key() {
    let own = [(BUCKET, "backups"), (SECRET_KEY, "")].map(|(name, text)| (name, Value::from(text)));
    let known = Facts {
        provider_ids: vec![NODE.into()],
        ..Facts::default()
    };
    let inputs = Inputs::new(
        &DESCRIPTOR,
        own.into_iter().collect(),
        BTreeMap::new(),
        known,
    );
    let inputs = inputs.identified(Some(ACCOUNT.into()));
    let Answer::Ready(storage) = PROVIDER.resolve(&inputs).unwrap() else {
        panic!("it waits");
    };
    assert!(storage.credential.file().is_none());
    let config = &storage.location.config;
    assert_eq!(
        *config,
        BTreeMap::from([("serviceAccount".into(), ACCOUNT.into())])
    );
    let snapshots = storage.snapshots.unwrap().config;
    assert_eq!(
        snapshots,
        BTreeMap::from([("volumeProject".into(), "shop-project".into())])
    );
}

#[test]
fn account_is_told_from_other_texts() {
    assert!(access::is_account(ACCOUNT));
    for text in ["", "velero", "@a", "a@", "a b@c", "a@b@c"] {
        assert!(!access::is_account(text), "{text}");
    }
}

#[test]
fn key_in_the_clear_is_as_good_as_a_secret() {
    let text = format!("\u{feff}{}\n", key(&[]));
    assert_eq!(
        ready(&[(SECRET_KEY, &text)])
            .credential
            .file()
            .unwrap()
            .expose_secret(),
        key(&[])
    );
}

#[test]
fn problems_are_all_named_at_once() {
    let wrong = [(BUCKET, "Back ups"), (SECRET_KEY, "{}"), (PATH, "a\nb")];
    let fields = refused(&wrong)
        .iter()
        .map(|p| p.field.clone())
        .collect::<Vec<_>>();
    assert_eq!(fields, [BUCKET, SECRET_KEY, PATH]);
}

#[test]
fn data_without_a_key_is_no_answer_yet() {
    for fields in [
        &[][..],
        &[(BUCKET, "backups"), (STORAGE_CLASS, USUAL_CLASS)],
    ] {
        let sent = fields
            .iter()
            .map(|(name, text)| (*name, Value::from(*text)));
        let answer = answer(sent.collect());
        assert!(matches!(answer, Ok(Answer::Waiting(_))), "{answer:?}");
    }
}

#[test]
fn bucket_has_a_name_that_google_gives() {
    let part = "a".repeat(63);
    let longest = [part.as_str(), &part, &part, &"a".repeat(30)].join(".");
    for name in [
        "abc",
        "a_b",
        "0-9",
        "backups.example.com",
        "1.2.3",
        &part,
        &longest,
    ] {
        assert_eq!(ready(&[(BUCKET, name)]).location.bucket, name);
    }
    let too_long = longest.clone() + "a";
    for name in [
        "ab",
        "-backups",
        "backups.",
        "_backups",
        "Backups",
        "back ups",
        "bäckups",
        "gs://backups",
        "backups/velero",
        "google",
        "googs",
        "192.0.2.1",
        &"a".repeat(64),
        &too_long,
        &("a".repeat(64) + ".com"),
    ] {
        assert_eq!(refused(&[(BUCKET, name)]).first().field, BUCKET, "{name}");
    }
    let folder = refused(&[(BUCKET, "backups/velero")]);
    assert!(
        folder.to_string().contains("`path` to the folder"),
        "{folder}"
    );
}

#[test]
fn unreadable_folder_holds_nothing_back() {
    let rotated = key(&[("private_key_id", json!("another"))]);
    let storage = ready(&[(BUCKET, "moved"), (PATH, "a\nb"), (SECRET_KEY, &rotated)]);

    assert_eq!(storage.location.bucket, "moved");
    assert_eq!(storage.credential.file().unwrap().expose_secret(), rotated);
    let [gap] = &storage.gaps[..] else {
        panic!("{:?}", storage.gaps);
    };
    assert_eq!(
        (&*gap.problem.field, gap.parts),
        (PATH, &[Part::Prefix][..])
    );
}

#[test]
fn storage_class_is_remarked_on_if_it_was_chosen() {
    assert_eq!(ready(&[(STORAGE_CLASS, "STANDARD")]).remarks, [""; 0]);
    let remarks = ready(&[(STORAGE_CLASS, "NEARLINE")]).remarks;
    assert!(
        remarks[0].starts_with("`storage-class` has no effect"),
        "{remarks:?}"
    );
}

#[test]
fn snapshots_are_taken_where_the_nodes_are() {
    let settings = |nodes: &[&str]| {
        let snapshots = ready_on(nodes, &[]).snapshots;
        snapshots.map(|location| location.config.into_iter().collect::<Vec<_>>())
    };
    let other = NODE.replace("shop-project", "example.com:nodes");
    let volume_project = |project: &str| Some(vec![(VOLUME_PROJECT.into(), project.into())]);
    assert_eq!(settings(&[NODE]), Some(vec![]), "the key says the project");
    assert_eq!(settings(&[&other]), volume_project("example.com:nodes"));
    assert_eq!(
        settings(&[&other, NODE]),
        Some(vec![]),
        "its own goes first"
    );
    for elsewhere in [
        "aws:///eu-central-1a/i-0123",
        "kind://docker/kind/node",
        "gce://",
        "gce:///europe-west1-b/node",
        "gce://shop-project/europe-west1-b",
        "gce://shop-project/europe-west1-b/node/more",
        "gce://Shop Project/europe-west1-b/node",
    ] {
        assert_eq!(settings(&[elsewhere]), None, "{elsewhere}");
    }
}

#[test]
fn nodes_in_several_projects_are_remarked_on() {
    let others = ["b", "a"].map(|project| NODE.replace("shop-project", project));
    let nodes = [others[0].as_str(), &others[1]];
    for nodes in [nodes, [nodes[1], nodes[0]]] {
        let remarks = ready_on(&nodes, &[]).remarks;
        let said = "Nodes are in several projects: disks are looked for in `a` alone.";
        assert_eq!(remarks, [said]);
    }
}

/// As the plugin's client says it, but for the address in front.
#[test]
fn verdict_on_a_location_comes_with_advice() {
    let token = |error: &str| format!("auth: cannot fetch token: 400\nResponse: {error}");
    let said = [
        (
            token(r#"{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}"#),
            "make a new key",
        ),
        (
            token(
                r#"{"error": "invalid_grant", "error_description": "Invalid grant: account not found"}"#,
            ),
            "that still exists",
        ),
        (
            token(
                "{\"error\": \"invalid_grant\", \"error_description\": \"Invalid JWT: Token must be a \
                 short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and \
                 exp values in the JWT claim.\"}",
            ),
            "clock",
        ),
        (
            "private key should be a PEM or plain PKCS1 or PKCS8: asn1: structure error".into(),
            "all of it",
        ),
        (
            "storage: bucket doesn't exist: googleapi: Error 404: The specified \
             bucket does not exist., notFound"
                .into(),
            "create the bucket",
        ),
        (
            "googleapi: Error 403: velero@shop.iam.gserviceaccount.com does not have \
             storage.objects.list access to the Google Cloud Storage bucket. \
             Permission 'storage.objects.list' denied on resource (or it may not exist)., forbidden"
                .into(),
            "`Storage Object Admin`",
        ),
        (
            "googleapi: Error 403: Cloud Storage JSON API has not been used \
             in project 104711 before or it is disabled. Enable it by visiting \
             https://console.developers.google.com/apis/api/storage-api.json/overview?\
             project=104711 then retry., accessNotConfigured"
                .into(),
            "enable the API",
        ),
        (
            "googleapi: Error 403: The billing account for the \
             owning project is disabled in state absent, accountDisabled"
                .into(),
            "enable billing",
        ),
        (
            "auth: cannot fetch token: Post \"https://oauth2.googleapis.com/token\": dial tcp: \
             lookup oauth2.googleapis.com on 10.0.0.53:53: no such host"
                .into(),
            "DNS",
        ),
    ];
    for (message, advice) in said {
        let given = DESCRIPTOR.advice_for(&message).unwrap();
        assert!(given.contains(advice), "{message}: {given}");
    }
}

#[test]
fn placeholder_is_never_said() {
    assert_eq!(DESCRIPTOR.endpoint.handshake.placeholder, None);
}

proptest! {
    #[test]
    fn any_key_and_bucket_are_answered(key in "\\PC{0,80}", bucket in "\\PC{0,80}") {
        let _ = answer(data(&[(SECRET_KEY, &key), (BUCKET, &bucket)]));
    }
}
