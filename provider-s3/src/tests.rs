use proptest::prelude::*;
use provider_api::{Facts, Value, secrecy::ExposeSecret};
use provider_testkit::{CERTIFICATE, Echo, Example, Subject, canary};

use super::*;

mod options;
mod snapshots;
mod vendors;

const PRIVATE_KEY: &str =
    "-----BEGIN EC PRIVATE KEY-----\nY2FuYXJ5LTQ3MTE=\n-----END EC PRIVATE KEY-----\n";

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
    given(fields.into_iter().collect())
}

fn given(own: RelationData) -> Inputs {
    Inputs::new(&DESCRIPTOR, own, BTreeMap::new(), Facts::default())
}

fn ready(changes: &[(&str, &str)]) -> Storage {
    ready_with(&inputs(changes))
}

fn ready_with(inputs: &Inputs) -> Storage {
    match PROVIDER.resolve(inputs).unwrap() {
        Answer::Ready(storage) => *storage,
        Answer::Waiting(what) => panic!("waits for {what}"),
    }
}

fn refused(changes: &[(&str, &str)]) -> Vec<String> {
    let problems = PROVIDER.resolve(&inputs(changes)).unwrap_err();
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

/// Strips a pair of quotes as the AWS SDK does, which slices a lone quote out of bounds.
fn unquoted(value: &str) -> &str {
    let is_quoted = |quote| value.starts_with(quote) && value.ends_with(quote);
    if is_quoted('\'') || is_quoted('"') {
        value.get(1..value.len() - 1).expect("the SDK panics")
    } else {
        value
    }
}

/// Reads the file as the AWS SDK does: lines of `key=value`, ends trimmed, comments cut, quotes stripped.
fn credential_values(file: &str) -> Vec<String> {
    let values = file.lines().filter_map(|line| line.split_once('='));
    let cut = |value: &str| {
        let comments = [" #", " ;", "\t#", "\t;"];
        let end = comments
            .iter()
            .filter_map(|comment| value.find(comment))
            .min();
        let (value, _) = value.split_at(end.unwrap_or(value.len()));
        unquoted(value.trim()).to_owned()
    };
    values.map(|(_, value)| cut(value)).collect()
}

const ROLE: &str = "arn:aws:iam::111122223333:role/velero";

fn subject() -> Subject {
    let keys = [
        (ACCESS_KEY, canary(ACCESS_KEY)),
        (SECRET_KEY, canary(SECRET_KEY)),
    ];
    let elsewhere = [
        (BUCKET, "backups"),
        (PATH, "shop"),
        (REGION, "eu-central-1"),
        (ENDPOINT, "https://s3.example.com"),
        (URI_STYLE, "path"),
        (CA_CHAIN, CERTIFICATE),
        ("attributes", "x-amz-server-side-encryption=AES256"),
        ("storage-class", "GLACIER"),
        ("s3-api-version", "2"),
        ("delete-older-than-days", "7"),
    ];
    let nodes = Facts {
        provider_ids: vec![
            "aws:///eu-central-1a/i-0a".into(),
            "aws:///eu-central-1b/i-0b".into(),
        ],
        ..Facts::default()
    };
    let example = |name, fields: &[(&'static str, &str)]| {
        let fields = fields
            .iter()
            .map(|(name, text)| (*name, Value::from(*text)));
        Example {
            name,
            relations: vec![("s3-credentials", fields.chain(keys.clone()).collect())],
            required: &[BUCKET, ACCESS_KEY, SECRET_KEY],
            decisive: &[ENDPOINT],
            ..Example::default()
        }
    };
    Subject {
        provider: &PROVIDER,
        charmcraft: include_str!("../../charmcraft.yaml"),
        examples: vec![
            Example {
                facts: nodes,
                ..example("Amazon", &[(BUCKET, "backups")])
            },
            Example {
                echo: Echo::IsMade,
                facts: Facts {
                    now: Some(std::time::SystemTime::UNIX_EPOCH),
                    ..Facts::default()
                },
                options: vec![("s3-config", "checksumAlgorithm=CRC32 tagging=team=a&app=b")],
                ..example("another store", &elsewhere)
            },
            Example {
                name: "Amazon, which knows the pods",
                relations: vec![("s3-credentials", vec![(BUCKET, "backups".into())])],
                required: &[BUCKET],
                identity: Some(ROLE),
                ..Example::default()
            },
        ],
        credential_values,
    }
}

#[test]
fn provider_holds_the_contract() {
    provider_testkit::check(&subject()).unwrap();
}

/// What the integrator sends, and the pods' role.
fn with_role(fields: &[(&'static str, &str)]) -> Result<Answer, Problems> {
    let own = fields
        .iter()
        .map(|(name, text)| (*name, Value::from(*text)));
    let inputs = Inputs::new(
        &DESCRIPTOR,
        own.collect(),
        BTreeMap::new(),
        Facts {
            provider_ids: vec!["aws:///eu-central-1a/i-0a".into()],
            ..Facts::default()
        },
    );
    PROVIDER.resolve(&inputs.identified(Some(ROLE.into())))
}

#[test]
fn role_of_the_pods_takes_the_place_of_keys_at_amazon() {
    let Answer::Ready(storage) = with_role(&[(BUCKET, "backups"), (SECRET_KEY, " ")]).unwrap()
    else {
        panic!("it waits");
    };
    assert!(storage.credential.file().is_none());
    assert!(storage.snapshots.is_some());
    assert!(storage.remarks[0].contains("the role of Velero's pods"));

    let half = with_role(&[(BUCKET, "backups"), (ACCESS_KEY, "a")]).unwrap_err();
    assert_eq!(half.first().field, SECRET_KEY);
    let elsewhere = [(BUCKET, "backups"), (ENDPOINT, "https://s3.example.com")];
    for (fields, what) in [
        (&elsewhere[..], "{s3-credentials} to send keys"),
        (
            &[(REGION, "eu-central-1")],
            "{s3-credentials} to send a bucket",
        ),
    ] {
        let answer = with_role(fields).unwrap();
        assert!(
            matches!(&answer, Answer::Waiting(text) if text == what),
            "{answer:?}"
        );
    }
}

#[test]
fn role_is_told_from_other_texts() {
    assert!(access::is_role(ROLE) && access::is_role("arn:aws-cn:iam::1:role/path/velero"));
    for text in [
        "",
        "velero",
        "arn:aws:iam::1:user/velero",
        "arn:aws:iam::1:role/a b",
    ] {
        assert!(!access::is_role(text), "{text}");
    }
}

#[test]
fn provider_answers_whatever_is_sent() {
    let tried = provider_testkit::fuzz(&subject()).unwrap();
    println!("{tried} made-up inputs are answered");
}

#[test]
fn amazon_needs_no_more_than_a_bucket_and_keys() {
    let storage = ready(&[]);

    assert_eq!(storage.location.bucket, "backups");
    assert_eq!(config(&storage), []);
    assert_eq!(storage.snapshots, None, "nobody knows where the nodes are");
    assert_eq!(
        storage.credential.file().unwrap().expose_secret(),
        "[default]\naws_access_key_id=canary-access-key\naws_secret_access_key=canary-secret-key\n"
    );
}

#[test]
fn store_of_another_vendor_gets_safe_defaults() {
    let storage = ready(&[("endpoint", "http://192.0.2.1:8333/")]);

    let expected = [
        ("checksumAlgorithm", ""),
        ("region", "us-east-1"),
        ("s3ForcePathStyle", "true"),
        ("s3Url", "http://192.0.2.1:8333"),
    ];
    assert_eq!(config(&storage), expected);
    assert_eq!(storage.snapshots, None);
    for said in ["Nothing is known", "unencrypted", "`us-east-1` is used"] {
        let count = storage
            .remarks
            .iter()
            .filter(|remark| remark.contains(said))
            .count();
        assert_eq!(count, 1, "{said}: {:?}", storage.remarks);
    }
}

#[test]
fn style_and_region_of_the_user_win() {
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
fn values_are_taken_as_text_whatever_they_look_like() {
    let storage = ready(&[("bucket", "123456"), ("path", "true")]);

    assert_eq!(storage.location.bucket, "123456");
    assert_eq!(storage.location.prefix.as_deref(), Some("true"));
}

#[test]
fn certificates_alone_get_into_the_location() {
    let storage = ready(&[(CA_CHAIN, CERTIFICATE)]);
    assert_eq!(
        storage.location.ca_certificates.as_deref(),
        Some(CERTIFICATE)
    );
    assert_eq!(storage.gaps, []);

    for (behind, reason) in [
        (PRIVATE_KEY, "holds a private key"),
        ("-----BEGIN CERTIFICATE-----\nMIIB", "cut off"),
    ] {
        let chain = format!("{CERTIFICATE}{behind}");
        let storage = ready(&[(CA_CHAIN, &chain)]);
        assert_eq!(storage.location.ca_certificates, None);
        let said = storage.gaps[0].problem.to_string();
        assert!(said.contains(reason), "{said}");
        assert!(!format!("{storage:?}").contains("Y2FuYXJ5"), "{storage:?}");
    }
}

#[test]
fn certificate_that_expired_is_remarked_on_and_used() {
    let year = |year: u64| {
        let at = std::time::Duration::from_hours((year - 1970) * 8766);
        let mut inputs = inputs(&[(CA_CHAIN, CERTIFICATE)]);
        inputs.facts.now = Some(std::time::SystemTime::UNIX_EPOCH + at);
        ready_with(&inputs)
    };
    assert_eq!(year(2030).remarks, Vec::<String>::new());
    let expired = year(2041);
    assert!(
        expired.remarks[0].contains("expired at 2040-01-01"),
        "{:?}",
        expired.remarks
    );
    assert_eq!(
        expired.location,
        year(2030).location,
        "the clock changes a location"
    );
}

#[test]
fn certificates_that_were_reset_are_none() {
    for text in ["", "\"\"", "null", "[]", "[\"\"]", "[null]", "\" \""] {
        let storage = ready(&[("tls-ca-chain", text)]);
        assert_eq!(storage.location.ca_certificates, None, "{text}");
        assert_eq!(storage.gaps, [], "{text}");
    }
}

#[test]
fn optional_fields_that_cannot_be_read_hold_nothing_back() {
    let changes = [
        ("bucket", "moved"),
        ("region", "eu central"),
        ("s3-uri-style", "sideways"),
        ("tls-ca-chain", "[\"hello\"]"),
        ("path", "a\nb"),
        ("secret-key", "rotated"),
    ];
    let storage = ready(&changes);

    assert_eq!(storage.location.bucket, "moved");
    assert!(
        storage
            .credential
            .file()
            .unwrap()
            .expose_secret()
            .contains("rotated")
    );
    let gaps = storage
        .gaps
        .iter()
        .map(|gap| (gap.problem.field.as_str(), gap.parts));
    let expected = [
        (REGION, REGION_PARTS),
        (URI_STYLE, ADDRESSING_PARTS),
        (CA_CHAIN, CA_PARTS),
        (PATH, PREFIX_PARTS),
    ];
    assert_eq!(gaps.collect::<Vec<_>>(), expected);
}

fn answer(fields: &[(&str, Value)]) -> Result<Answer, Problems> {
    PROVIDER.resolve(&given(fields.iter().cloned().collect()))
}

#[test]
fn without_keys_nothing_is_an_answer_yet() {
    for (field, value) in [
        (ENDPOINT, "http://store"),
        (BUCKET, "backups"),
        (BUCKET, "a/b"),
        (REGION, "eu central"),
    ] {
        let answer = answer(&[(field, value.into())]);
        assert!(matches!(answer, Ok(Answer::Waiting(_))), "{answer:?}");
    }
}

#[test]
fn key_without_its_other_half_is_a_problem() {
    for (sent, missing) in [(ACCESS_KEY, SECRET_KEY), (SECRET_KEY, ACCESS_KEY)] {
        for blank in [vec![], vec![(missing, Value::Secret("".into()))]] {
            let fields = [(BUCKET, "b".into()), (sent, Value::Secret("key".into()))];
            let problems = answer(&[fields.to_vec(), blank].concat()).unwrap_err();
            let fields: Vec<_> = problems
                .iter()
                .map(|problem| problem.field.as_str())
                .collect();
            assert_eq!(fields, [missing], "{problems}");
        }
    }
}

#[test]
fn an_echo_is_a_bucket_only_where_a_store_may_have_made_it() {
    let echo = (BUCKET, Value::Echo("relation-7".into()));
    let keys = [ACCESS_KEY, SECRET_KEY].map(|key| (key, Value::Secret(key.into())));
    let endpoint = (ENDPOINT, Value::from("http://seaweed:8333"));

    let early = answer(&[echo.clone(), endpoint.clone()]);
    assert!(matches!(early, Ok(Answer::Waiting(_))), "{early:?}");
    let amazon = answer(&[&keys[..], std::slice::from_ref(&echo)].concat()).unwrap_err();
    assert_eq!(
        amazon.to_string(),
        "set `bucket` in {s3-credentials}: `bucket` is missing"
    );
    match answer(&[&keys[..], &[echo, endpoint]].concat()).unwrap() {
        Answer::Ready(storage) => assert_eq!(storage.location.bucket, "relation-7"),
        Answer::Waiting(what) => panic!("waits for {what}"),
    }
}

#[test]
fn white_space_around_a_key_is_that_of_its_file() {
    let storage = ready(&[(ACCESS_KEY, " a\n"), (SECRET_KEY, "\u{feff}s\r\n")]);
    let file = storage.credential.file().unwrap().expose_secret();
    assert_eq!(credential_values(file), ["a", "s"]);
}

#[test]
fn key_in_quotes_is_refused() {
    for key in ["'", "\"key\"", "'key", "key'"] {
        assert_eq!(refused(&[(SECRET_KEY, key)]), [SECRET_KEY], "{key}");
    }
}

#[test]
fn bucket_that_no_store_can_have_is_refused() {
    let long = "x".repeat(300_000);
    for bucket in [
        "a b", "a\nb", "a\0b", "..", "a..b", "a/b", "é", "b@c", &long,
    ] {
        let endpoint = (ENDPOINT, "https://s3.example.com");
        let problems = PROVIDER
            .resolve(&inputs(&[(BUCKET, bucket), endpoint]))
            .unwrap_err();
        assert_eq!(problems.first().field, BUCKET);
        assert!(problems.to_string().len() < 200, "{problems}");
    }
    let legacy = "Old_Bucket.x".repeat(20);
    assert_eq!(ready(&[(BUCKET, &legacy)]).location.bucket, legacy);
    for of_others in ["ab", "tenant:backups"] {
        assert_eq!(refused(&[(BUCKET, of_others)]), [BUCKET]);
        let store = ready(&[(BUCKET, of_others), (ENDPOINT, "https://s3.example.com")]);
        assert_eq!(store.location.bucket, of_others);
    }
}

#[test]
fn problems_are_all_named_at_once() {
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
        BUCKET, ENDPOINT, ACCESS_KEY, SECRET_KEY, REGION, URI_STYLE, CA_CHAIN,
    ];

    assert_eq!(refused(&wrong), expected);
}

#[test]
fn keys_in_quotes_are_refused() {
    for key in ["'", "\"", "''", "\"\"", "'AKIA'", "\"AKIA\"", "'a\"b'"] {
        assert_eq!(
            refused(&[(ACCESS_KEY, key), (SECRET_KEY, key)]),
            [ACCESS_KEY, SECRET_KEY]
        );
    }
    let inside = "a'b";
    let storage = ready(&[(ACCESS_KEY, inside), (SECRET_KEY, inside)]);
    assert_eq!(
        credential_values(storage.credential.file().unwrap().expose_secret()),
        [inside, inside]
    );
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
    let problems = PROVIDER.resolve(&inputs(&[("endpoint", "https://u:hunter2@store")]));
    assert!(!problems.unwrap_err().to_string().contains("hunter2"));
}

/// Anything, and often what the file's format gives a meaning to.
const KEYS: &str = "\\PC{1,40}|['\"#;=:\\[\\] a]{1,6}";

proptest! {
    #[test]
    fn the_file_says_what_was_sent_or_is_refused(access in KEYS, secret in KEYS) {
        let answer = PROVIDER.resolve(&inputs(&[(ACCESS_KEY, &access), (SECRET_KEY, &secret)]));
        if let Ok(Answer::Ready(storage)) = answer {
            let read = credential_values(storage.credential.file().unwrap().expose_secret());
            let [access, secret] = [&access, &secret].map(|key| key.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}'));
            prop_assert_eq!(read, [access, secret]);
        }
    }
}
