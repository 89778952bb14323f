use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use provider_api::{ProblemKind, Value, secrecy::ExposeSecret};

use super::*;

const PEM: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----";

fn inputs(changes: &[(&str, &str)]) -> Inputs {
    let mut fields = BTreeMap::from([("bucket".to_owned(), Value::from("backups"))]);
    for key in [ACCESS_KEY, SECRET_KEY] {
        fields.insert(key.into(), Value::Secret(format!("canary-{key}").into()));
    }
    fields.extend(
        changes
            .iter()
            .map(|(name, text)| ((*name).to_owned(), Value::from(*text))),
    );
    Inputs {
        storage: fields.into_iter().collect(),
        plugin_image: "plugin:v1".into(),
        ..Inputs::default()
    }
}

fn ready(changes: &[(&str, &str)]) -> Storage {
    match PROVIDER.validate(&inputs(changes)).unwrap() {
        Verdict::Ready(storage) => *storage,
        Verdict::Waiting(what) => panic!("waits for {what}"),
    }
}

fn refused(changes: &[(&str, &str)]) -> Vec<String> {
    let problems = PROVIDER.validate(&inputs(changes)).unwrap_err();
    problems
        .iter()
        .map(|problem| problem.field.clone())
        .collect()
}

fn config(storage: &Storage) -> Vec<(&str, &str)> {
    storage
        .location
        .config
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect()
}

#[test]
fn amazon_needs_no_more_than_a_bucket_and_keys() {
    let storage = ready(&[]);

    assert_eq!(storage.location.bucket, "backups");
    assert_eq!(config(&storage), []);
    assert_eq!(
        storage.snapshots, None,
        "without a region no snapshot can be made"
    );
    assert_eq!(
        storage.credential.expose_secret(),
        "[default]\naws_access_key_id=canary-access-key\naws_secret_access_key=canary-secret-key\n"
    );
}

#[test]
fn amazon_with_a_region_can_make_snapshots() {
    let storage = ready(&[("region", "eu-central-1"), ("path", "/shop/a/")]);

    assert_eq!(config(&storage), [("region", "eu-central-1")]);
    assert_eq!(storage.location.prefix.as_deref(), Some("shop/a"));
    assert_eq!(storage.snapshots.unwrap().config["region"], "eu-central-1");
}

#[test]
fn another_store_gets_path_style_no_checksums_and_any_region() {
    let storage = ready(&[("endpoint", "http://192.0.2.1:8333/")]);

    let expected = [
        ("checksumAlgorithm", ""),
        ("region", "us-east-1"),
        ("s3ForcePathStyle", "true"),
        ("s3Url", "http://192.0.2.1:8333"),
    ];
    assert_eq!(config(&storage), expected);
    assert_eq!(storage.snapshots, None);
    assert_eq!(storage.remarks.len(), 1);
}

#[test]
fn what_the_user_says_of_style_and_region_wins() {
    let endpoint = ("endpoint", "https://s3.example.com");

    for style in ["host", "virtual"] {
        let storage = ready(&[endpoint, ("s3-uri-style", style), ("region", "default")]);
        assert_eq!(storage.location.config.get("s3ForcePathStyle"), None);
        assert_eq!(storage.location.config["region"], "default");
    }
    assert_eq!(
        ready(&[("s3-uri-style", "path")]).location.config["s3ForcePathStyle"],
        "true"
    );
}

#[test]
fn a_listed_store_gets_what_it_wants() {
    let storage = ready(&[("endpoint", "https://oss-eu-central-1.aliyuncs.com")]);
    assert_eq!(storage.location.config.get("s3ForcePathStyle"), None);

    let storage = ready(&[("endpoint", "https://notaliyuncs.com")]);
    assert_eq!(storage.location.config["s3ForcePathStyle"], "true");
}

#[test]
fn values_are_taken_as_text_whatever_they_look_like() {
    let storage = ready(&[("bucket", "123456"), ("path", "true")]);

    assert_eq!(storage.location.bucket, "123456");
    assert_eq!(storage.location.prefix.as_deref(), Some("true"));
}

#[test]
fn certificates_are_read_in_every_dress() {
    let packed = STANDARD.encode(PEM);
    let list = serde_json::to_string(&[PEM, packed.as_str()]).unwrap();

    for text in [PEM, packed.as_str()] {
        assert_eq!(
            ready(&[("tls-ca-chain", text)])
                .location
                .ca_certificates
                .as_deref(),
            Some(PEM)
        );
    }
    let both = ready(&[("tls-ca-chain", &list)])
        .location
        .ca_certificates
        .unwrap();
    assert_eq!(both.matches("BEGIN CERTIFICATE").count(), 2);
    assert_eq!(
        ready(&[("tls-ca-chain", "[]")]).location.ca_certificates,
        None
    );
    assert_eq!(refused(&[("tls-ca-chain", "[\"hello\"]")]), [CA_CHAIN]);
}

#[test]
fn nothing_sent_is_waiting() {
    for bag in [
        vec![],
        vec![("version", "1")],
        vec![("endpoint", "http://store")],
    ] {
        let storage = bag.into_iter().map(|(k, v)| (k, Value::from(v))).collect();
        let verdict = PROVIDER.validate(&Inputs {
            storage,
            ..Inputs::default()
        });
        assert!(matches!(verdict, Ok(Verdict::Waiting(_))), "{verdict:?}");
    }
}

#[test]
fn everything_wrong_is_named_at_once() {
    let wrong = [
        ("bucket", "a/b"),
        ("region", "eu central"),
        ("endpoint", "ftp://store"),
        ("s3-uri-style", "sideways"),
        ("tls-ca-chain", "hello"),
        ("access-key", "two words"),
        ("secret-key", "line\nbreak"),
    ];
    let expected = [
        BUCKET, REGION, ENDPOINT, URI_STYLE, CA_CHAIN, ACCESS_KEY, SECRET_KEY,
    ];

    assert_eq!(refused(&wrong), expected);
}

#[test]
fn each_required_field_is_missed_by_name() {
    for field in [BUCKET, ACCESS_KEY, SECRET_KEY] {
        assert_eq!(refused(&[(field, " ")]), [field]);
    }
}

#[test]
fn a_secret_that_cannot_be_read_says_why_and_may_heal() {
    let mut inputs = inputs(&[]);
    let unreadable = || Value::Unreadable("not granted".into());
    inputs.storage = [
        ("bucket", Value::from("b")),
        (ACCESS_KEY, unreadable()),
        (SECRET_KEY, unreadable()),
    ]
    .into_iter()
    .collect();

    let problems = PROVIDER.validate(&inputs).unwrap_err();

    assert!(
        problems
            .iter()
            .all(|p| p.kind == ProblemKind::Unreadable && p.is_retryable())
    );
    assert!(problems.to_string().contains("not granted"));
}

#[test]
fn an_endpoint_that_would_leak_or_mislead_is_refused() {
    for endpoint in [
        "https://user:pw@store",
        "https://store?x=1",
        "store:9000",
        "not a url",
    ] {
        assert_eq!(refused(&[("endpoint", endpoint)]), [ENDPOINT], "{endpoint}");
    }
    let problems = PROVIDER.validate(&inputs(&[("endpoint", "https://u:hunter2@store")]));
    assert!(!problems.unwrap_err().to_string().contains("hunter2"));
}

#[test]
fn no_secret_is_shown() {
    let shown = format!("{:?} {:?}", ready(&[]), inputs(&[]));
    assert!(!shown.contains("canary-"), "{shown}");
}

proptest! {
    /// Reads the file as the AWS SDK does: lines of `key=value`, ends trimmed, comments cut.
    #[test]
    fn the_file_says_what_was_sent_or_is_refused(access in "\\PC{1,40}", secret in "\\PC{1,40}") {
        let verdict = PROVIDER.validate(&inputs(&[(ACCESS_KEY, &access), (SECRET_KEY, &secret)]));
        if let Ok(Verdict::Ready(storage)) = verdict {
            let text = storage.credential.expose_secret().to_owned();
            let read = |key: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
                let value = line.strip_prefix('=').unwrap();
                let cut = [" #", " ;", "\t#", "\t;"].iter().filter_map(|c| value.find(c)).min();
                value.split_at(cut.unwrap_or(value.len())).0.trim().to_owned()
            };
            prop_assert_eq!(read("aws_access_key_id"), access);
            prop_assert_eq!(read("aws_secret_access_key"), secret);
        }
    }
}
