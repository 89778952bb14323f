use proptest::prelude::*;
use provider_api::{Credential, Facts, Value, secrecy::ExposeSecret as _};
use provider_testkit::{Example, Subject, canary};

use super::*;

mod address;
mod principal;

const NODE: &str = "azure:///subscriptions/sub-1/resourceGroups/MC_shop/providers/\
                    Microsoft.Compute/virtualMachines/node-1";

fn inputs(changes: &[(&str, &str)]) -> Inputs {
    let mut fields = BTreeMap::from([
        ("container".to_owned(), Value::from("backups")),
        ("storage-account".to_owned(), Value::from("acct")),
        (
            SECRET_KEY.to_owned(),
            Value::Secret("canary-secret-key".into()),
        ),
    ]);
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

/// In addition to the key, a service principal on nodes in Azure.
fn with_principal(changes: &[(&str, &str)]) -> Inputs {
    let mut fields: BTreeMap<_, _> = [CLIENT_ID, CLIENT_SECRET, TENANT_ID, SUBSCRIPTION_ID]
        .map(|field| (field, Value::Plain(format!("canary-{field}"))))
        .into();
    fields.extend(
        changes
            .iter()
            .map(|(name, text)| (*name, Value::from(*text))),
    );
    Inputs::new(
        &DESCRIPTOR,
        inputs(&[]).own,
        BTreeMap::from([(PRINCIPAL_ENDPOINT.into(), fields.into_iter().collect())]),
        Facts {
            provider_ids: vec![NODE.into()],
            ..Facts::default()
        },
    )
}

fn storage(inputs: &Inputs) -> Storage {
    match PROVIDER.resolve(inputs).unwrap() {
        Answer::Ready(storage) => *storage,
        Answer::Waiting(what) => panic!("waits for {what}"),
    }
}

fn ready(changes: &[(&str, &str)]) -> Storage {
    storage(&inputs(changes))
}

fn refused(inputs: &Inputs) -> Vec<String> {
    let problems = PROVIDER.resolve(inputs).unwrap_err();
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

fn file(storage: &Storage) -> &str {
    storage.credential.file().unwrap().expose_secret()
}

/// The values as they were, without the quotes that the file puts them in.
fn credential_values(file: &str) -> Vec<String> {
    let unquoted = |value: &str| match value.chars().next() {
        Some('\'') => value.trim_matches('\'').to_owned(),
        Some('"') => value
            .trim_matches('"')
            .replace("\\n", "\n")
            .replace("\\r", "\r"),
        _ => value.to_owned(),
    };
    let values = file.split('\n').filter_map(|line| line.split_once('='));
    values.map(|(_, value)| unquoted(value)).collect()
}

const IDENTITY: &str = "00112233-4455-6677-8899-aabbccddeeff";

fn subject() -> Subject {
    let relation = |more: &[(&'static str, &str)]| {
        let names = [(CONTAINER, "backups"), (STORAGE_ACCOUNT, "acct")];
        let fields = names.iter().chain(more);
        fields
            .map(|(name, text)| (*name, Value::from(*text)))
            .chain([(SECRET_KEY, canary(SECRET_KEY))])
            .collect()
    };
    let principal = vec![
        (CLIENT_ID, canary(CLIENT_ID)),
        (CLIENT_SECRET, canary(CLIENT_SECRET)),
        (TENANT_ID, "tenant".into()),
        (SUBSCRIPTION_ID, "sub-2".into()),
    ];
    let all = |endpoint| {
        [
            (PATH, "shop"),
            (RESOURCE_GROUP, "rg"),
            (ENDPOINT, endpoint),
            ("connection-protocol", "https"),
        ]
    };
    Subject {
        provider: &PROVIDER,
        charmcraft: include_str!("../../charmcraft.yaml"),
        examples: vec![
            Example {
                name: "key",
                relations: vec![("azure-storage", relation(&[]))],
                required: &[CONTAINER, STORAGE_ACCOUNT, SECRET_KEY],
                ..Example::default()
            },
            Example {
                name: "key for a store of one's own",
                relations: vec![(
                    "azure-storage",
                    relation(&all("https://backup.example.com")),
                )],
                required: &[CONTAINER, STORAGE_ACCOUNT, SECRET_KEY],
                decisive: &[ENDPOINT],
                ..Example::default()
            },
            Example {
                name: "service principal",
                relations: vec![
                    (
                        "azure-storage",
                        relation(&all("https://acct.z17.blob.storage.azure.net")),
                    ),
                    (PRINCIPAL_ENDPOINT, principal.clone()),
                ],
                required: &[
                    CONTAINER,
                    STORAGE_ACCOUNT,
                    CLIENT_ID,
                    CLIENT_SECRET,
                    TENANT_ID,
                ],
                decisive: &[ENDPOINT],
                facts: Facts {
                    provider_ids: vec![NODE.into()],
                    ..Facts::default()
                },
                ..Example::default()
            },
            Example {
                name: "service principal on a cluster elsewhere",
                relations: vec![
                    ("azure-storage", relation(&[(RESOURCE_GROUP, "rg")])),
                    (PRINCIPAL_ENDPOINT, principal),
                ],
                required: &[
                    CONTAINER,
                    STORAGE_ACCOUNT,
                    CLIENT_ID,
                    CLIENT_SECRET,
                    TENANT_ID,
                ],
                ..Example::default()
            },
            Example {
                name: "pods that Azure knows",
                relations: vec![(
                    "azure-storage",
                    vec![
                        (CONTAINER, "backups".into()),
                        (STORAGE_ACCOUNT, "acct".into()),
                    ],
                )],
                required: &[CONTAINER, STORAGE_ACCOUNT],
                identity: Some(IDENTITY),
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

/// What the integrator sends, and the pods' identity.
fn identified(fields: &[(&'static str, &str)]) -> Result<Answer, Problems> {
    let own = fields
        .iter()
        .map(|(name, text)| (*name, Value::from(*text)));
    let inputs = Inputs::new(
        &DESCRIPTOR,
        own.collect(),
        BTreeMap::new(),
        Facts::default(),
    );
    PROVIDER.resolve(&inputs.identified(Some(IDENTITY.into())))
}

#[test]
fn identity_of_the_pods_takes_the_place_of_the_key() {
    let names = [(CONTAINER, "backups"), (STORAGE_ACCOUNT, "acct")];
    for key in [None, Some((SECRET_KEY, " "))] {
        let fields: Vec<_> = names.into_iter().chain(key).collect();
        let Answer::Ready(storage) = identified(&fields).unwrap() else {
            panic!("it waits");
        };
        assert!(matches!(storage.credential, Credential::OfPods { .. }));
        assert_eq!(file(&storage), "AZURE_CLOUD_NAME=AzurePublicCloud\n");
        let wanted = [("storageAccount", "acct"), ("useAAD", "true")];
        assert_eq!(config(&storage), wanted);
        assert_eq!(storage.snapshots, None);
    }
    let elsewhere = (ENDPOINT, "https://backup.example.com");
    let fields: Vec<_> = names.into_iter().chain([elsewhere]).collect();
    let refused = identified(&fields).unwrap_err();
    assert_eq!(refused.first().field, ENDPOINT);
    assert!(
        refused
            .first()
            .hint
            .ends_with("set the account key in {azure-storage}")
    );
    let answer = identified(&[]).unwrap();
    let awaited = "{azure-storage} to send a container";
    assert!(
        matches!(&answer, Answer::Waiting(what) if what == awaited),
        "{answer:?}"
    );
}

#[test]
fn client_id_is_told_from_other_texts() {
    assert!(names::is_client_id(IDENTITY));
    for text in [
        "",
        "velero",
        IDENTITY.trim_start_matches('0'),
        &IDENTITY.replace('0', "g"),
    ] {
        assert!(!names::is_client_id(text), "{text}");
    }
}

#[test]
fn provider_answers_whatever_is_sent() {
    let tried = provider_testkit::fuzz(&subject()).unwrap();
    println!("{tried} made-up inputs are answered");
}

#[test]
fn an_account_and_its_key_are_all_that_is_needed() {
    let storage = ready(&[("path", "/shop/a/")]);

    assert_eq!(storage.location.bucket, "backups");
    assert_eq!(storage.location.prefix.as_deref(), Some("shop/a"));
    let expected = [
        ("storageAccount", "acct"),
        (
            "storageAccountKeyEnvVar",
            "AZURE_STORAGE_ACCOUNT_ACCESS_KEY",
        ),
    ];
    assert_eq!(config(&storage), expected);
    assert_eq!(
        file(&storage),
        "AZURE_STORAGE_ACCOUNT_ACCESS_KEY=canary-secret-key\nAZURE_CLOUD_NAME=AzurePublicCloud\n"
    );
    assert_eq!(storage.snapshots, None, "a key knows nothing of disks");
    assert_eq!(
        ready(&[("resource-group", "rg")]).location.config["resourceGroup"],
        "rg"
    );
}

#[test]
fn problems_are_all_named_at_once() {
    let mut inputs = with_principal(&[
        ("client-secret", " "),
        ("tenant-id", "a b"),
        ("subscription-id", "a/b"),
    ]);
    let wrong = [
        ("container", "a/b"),
        ("storage-account", "a.b"),
        ("resource-group", "r/g"),
        ("endpoint", "nowhere"),
        ("path", "../other"),
    ];
    inputs.own = self::inputs(&wrong).own;

    let expected = [
        CONTAINER,
        STORAGE_ACCOUNT,
        ENDPOINT,
        RESOURCE_GROUP,
        PATH,
        SUBSCRIPTION_ID,
        CLIENT_SECRET,
        TENANT_ID,
    ];
    assert_eq!(refused(&inputs), expected);
    for problem in PROVIDER.resolve(&inputs).unwrap_err().iter() {
        let parts = [&problem.reason, &problem.hint];
        assert!(parts.iter().all(|part| !part.is_empty()), "{problem}");
    }
}

fn answer_to(fields: &[(&str, Value)]) -> Result<Answer, Problems> {
    PROVIDER.resolve(&given(fields.iter().cloned().collect()))
}

#[test]
fn without_a_key_nothing_is_an_answer_yet() {
    let names = [
        (CONTAINER, "backups".into()),
        (STORAGE_ACCOUNT, "acct".into()),
    ];
    for fields in [&names[..0], &names[..1], &names[1..], &names] {
        let answer = answer_to(fields);
        assert!(matches!(answer, Ok(Answer::Waiting(_))), "{answer:?}");
    }
    let blank = [&names[..], &[(SECRET_KEY, Value::Secret(" ".into()))]].concat();
    assert_eq!(answer_to(&blank).unwrap_err().first().field, SECRET_KEY);
}

#[test]
fn an_echo_is_never_a_container() {
    let fields = [
        (CONTAINER, Value::Echo("relation-7".into())),
        (STORAGE_ACCOUNT, "acct".into()),
        (SECRET_KEY, Value::Secret("key".into())),
        (
            ENDPOINT,
            "abfss://relation-7@acct.dfs.core.windows.net/".into(),
        ),
    ];
    assert_eq!(answer_to(&fields).unwrap_err().first().field, CONTAINER);
}

#[test]
fn optional_fields_that_cannot_be_read_hold_nothing_back() {
    let changes = [
        ("container", "moved"),
        ("resource-group", "r/g"),
        ("path", "a\nb"),
        (SECRET_KEY, "rotated"),
    ];
    let storage = ready(&changes);

    assert_eq!(storage.location.bucket, "moved");
    assert!(file(&storage).contains("=rotated\n"));
    let gaps = storage
        .gaps
        .iter()
        .map(|gap| (gap.problem.field.as_str(), gap.parts));
    let expected = [(RESOURCE_GROUP, GROUP_PARTS), (PATH, PREFIX_PARTS)];
    assert_eq!(gaps.collect::<Vec<_>>(), expected);
}

#[test]
fn names_are_held_to_the_rules_of_azure() {
    let long = |length| "a".repeat(length);
    for (field, good, bad) in [
        (
            CONTAINER,
            vec!["abc".into(), "a-1".into(), "0-b-c".into(), long(63)],
            vec![
                "ab".into(),
                long(64),
                "-abc".into(),
                "abc-".into(),
                "a--b".into(),
                "Abc".into(),
                "a.b".into(),
                "a_bc".into(),
                "$root".into(),
                "$web".into(),
                "$logs".into(),
                "abc/d".into(),
                "ab\u{e9}".into(),
            ],
        ),
        (
            STORAGE_ACCOUNT,
            vec!["abc".into(), "0123".into(), long(24)],
            vec!["ab".into(), long(25), "Abc".into(), "a-bc".into()],
        ),
    ] {
        for name in good {
            let changes: [(&str, &str); 1] = [(field, &name)];
            let location = ready(&changes).location;
            let account = location.config["storageAccount"].as_str();
            assert!(location.bucket == name || account == name, "{name}");
        }
        for name in bad {
            let changes: [(&str, &str); 1] = [(field, &name)];
            assert_eq!(refused(&inputs(&changes)), [field], "{name}");
        }
    }
}

#[test]
fn folder_is_one_that_velero_finds_again() {
    let long = |length| "a".repeat(length);
    for path in ["shop", "a/b.c/.d", "/a b/", "\u{e9}", &long(450)] {
        let expected = path.trim_matches('/');
        let storage = ready(&[(PATH, path)]);
        assert_eq!(storage.location.prefix.as_deref(), Some(expected));
    }
    for path in [
        "..",
        ".",
        "a/../b",
        "a/.",
        "a//b",
        "a./b",
        "a\\b",
        "a\nb",
        "a\0b",
        &long(451),
        &long(300_000),
    ] {
        let gaps = ready(&[(PATH, path)]).gaps;
        let fields: Vec<_> = gaps.iter().map(|gap| &gap.problem.field).collect();
        assert_eq!(fields, [PATH], "{path}");
    }
}

#[test]
fn blank_key_comes_with_the_grant_it_lacks() {
    let blank = |field| (field, Value::Secret(" ".into()));
    let account = [
        (CONTAINER, "backups".into()),
        (STORAGE_ACCOUNT, "acct".into()),
    ];
    let mut without_key = inputs(&[]);
    without_key.own = account.into_iter().chain([blank(SECRET_KEY)]).collect();
    let mut without_id = with_principal(&[]);
    let principal = [(CLIENT_SECRET, "word".into()), (TENANT_ID, "tenant".into())];
    let principal = principal.into_iter().chain([blank(CLIENT_ID)]).collect();
    without_id
        .optional
        .insert(PRINCIPAL_ENDPOINT.into(), principal);
    for (inputs, endpoint) in [
        (without_key, "azure-storage"),
        (without_id, PRINCIPAL_ENDPOINT),
    ] {
        let problems = PROVIDER.resolve(&inputs).unwrap_err();
        let hint = &problems.first().hint;
        let at = format!("in {{{endpoint}}}, or if it is set, grant it with `juju grant-secret`");
        assert!(hint.contains(&at), "{hint}");
    }
}

#[test]
fn verdict_on_a_location_comes_with_advice() {
    let said = [
        (
            "AuthorizationFailure: Server failed to authenticate the request. Make sure the value \
             of the Authorization header is formed correctly including the signature.",
            "correct the account key",
        ),
        (
            "failed to create storage account access key credential: decode account key: illegal \
             base64 data at input byte 3",
            "set the complete account key",
        ),
        (
            "no storage account access key with key AZURE_STORAGE_ACCOUNT_ACCESS_KEY found in \
             credential",
            "set the account key",
        ),
        (
            "ContainerNotFound: The specified container does not exist.",
            "create the container",
        ),
        (
            "Get \"http://192.0.2.2:10999/acct/c?comp=list\": dial tcp 192.0.2.2:10999: connect: \
             connection refused",
            "start the store",
        ),
        (
            "AuthorizationFailure: This request is not authorized to perform this operation.",
            "network rules",
        ),
    ];
    for (message, advice) in said {
        let given = DESCRIPTOR.advice_for(message).unwrap();
        assert!(given.contains(advice), "{message}: {given}");
    }
}

#[test]
fn a_secret_gets_the_plainest_dress_that_keeps_it() {
    let line = |secret: &str| {
        let storage = ready(&[(SECRET_KEY, secret)]);
        file(&storage)
            .lines()
            .next()
            .unwrap()
            .split_once('=')
            .unwrap()
            .1
            .to_owned()
    };
    for (secret, dressed) in [
        ("abc+/==", "abc+/=="),
        (r#"it's "so" \n"#, r#"it's "so" \n"#),
        ("a#b", "'a#b'"),
        ("a$b", "'a$b'"),
        (" a ", "a"),
        ("\n\tabc \r\n", "abc"),
        (r#""a""#, r#"'"a"'"#),
        ("a\nb\rc", r#""a\nb\rc""#),
        ("abc\r\n", "abc"),
        ("it's #1", r#""it's #1""#),
        (r#"a#"b"#, r#"'a#"b'"#),
    ] {
        assert_eq!(line(secret), dressed);
    }
    let too_long = ["x".repeat(60_001), format!("x{}x", "\n".repeat(30_000))];
    for secret in [
        "'a'$",
        r#"a#"b#"#,
        "a\n\\",
        "'a\"#",
        &too_long[0],
        &too_long[1],
    ] {
        assert_eq!(
            refused(&inputs(&[(SECRET_KEY, secret)])),
            [SECRET_KEY],
            "{secret}"
        );
    }
}

proptest! {
    #[test]
    fn an_endpoint_never_stops_the_provider(endpoint in "\\PC{0,60}") {
        let _ = PROVIDER.resolve(&inputs(&[("endpoint", &endpoint)]));
    }

    #[test]
    fn an_endpoint_of_an_integrator_s_own_making_is_never_refused(
        account in "[a-z0-9]{3,24}",
        container in "[a-z0-9]{3,10}(-[a-z0-9]{1,10}){0,4}",
        (protocol, service) in prop::sample::select(vec![
            ("abfs", "dfs"), ("abfss", "dfs"), ("wasb", "blob"), ("wasbs", "blob"), ("https", "blob"),
        ]),
    ) {
        let host = format!("{account}.{service}.core.windows.net");
        let endpoint = match protocol {
            "https" => format!("https://{host}/{container}"),
            _ => format!("{protocol}://{container}@{host}/"),
        };
        let storage = ready(&[
            ("storage-account", &account), ("container", &container), ("endpoint", &endpoint),
        ]);
        prop_assert_eq!(storage.location.config.get("storageAccountURI"), None);
    }
}
