//! Azure's credential file, read back by those who read it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use proptest::prelude::*;
use provider_api::secrecy::ExposeSecret as _;
use provider_api::{Answer, Facts, Inputs, Problems, RelationData, StorageProvider, Value};
use tempfile::TempDir;
use worlds::operator;

type Variables = BTreeMap<String, String>;

/// The program with both readers in it.
static READERS: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("dotenv");
    let built = Command::new("go")
        .current_dir(operator::workspace().join("tests/worlds/modules/dotenv"))
        .env("CGO_ENABLED", "0")
        .args(["build", "-o"])
        .arg(&program)
        .output()
        .unwrap();
    assert!(built.status.success(), "{built:?}");
    (folder, program)
});

/// What each reader makes of each file, by the reader's name.
fn read(files: &[String]) -> Vec<BTreeMap<String, Variables>> {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Command::new(&READERS.1);
    for (number, file) in files.iter().enumerate() {
        let path = folder.path().join(number.to_string());
        fs::write(&path, file).unwrap();
        program.arg(path);
    }
    let output = program.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn secret(text: &str) -> Value {
    Value::Secret(text.to_owned().into())
}

/// An account's key, or the two secrets of a service principal.
fn inputs(secrets: &[String; 3]) -> [Inputs; 2] {
    let [key, client_id, client_secret] = secrets;
    let names = [
        ("container", Value::from("backups")),
        ("storage-account", Value::from("acct")),
    ];
    let descriptor = azure().descriptor();
    let own: RelationData = names
        .clone()
        .into_iter()
        .chain([("secret-key", secret(key))])
        .collect();
    let with_key = Inputs::new(descriptor, own, BTreeMap::new(), Facts::default());
    let principal = [
        ("client-id", secret(client_id)),
        ("client-secret", secret(client_secret)),
        ("tenant-id", Value::from("tenant")),
        ("subscription-id", Value::from("sub")),
    ];
    let node = "azure:///subscriptions/sub/resourceGroups/nodes/providers/x/y";
    let with_principal = Inputs::new(
        descriptor,
        names.into_iter().collect(),
        BTreeMap::from([(
            "azure-service-principal".into(),
            principal.into_iter().collect(),
        )]),
        Facts {
            provider_ids: vec![node.into()],
            ..Facts::default()
        },
    );
    [with_key, with_principal]
}

fn wanted(secrets: &[String; 3]) -> [Variables; 2] {
    // White space around a secret is that of the file which it was copied from.
    let [key, client_id, client_secret] = secrets.each_ref().map(|text| text.trim());
    let variables = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter().chain(&[("CLOUD_NAME", "AzurePublicCloud")]);
        pairs
            .map(|(name, value)| (format!("AZURE_{name}"), (*value).to_owned()))
            .collect()
    };
    [
        variables(&[("STORAGE_ACCOUNT_ACCESS_KEY", key)]),
        variables(&[
            ("SUBSCRIPTION_ID", "sub"),
            ("TENANT_ID", "tenant"),
            ("CLIENT_ID", client_id),
            ("CLIENT_SECRET", client_secret),
            ("RESOURCE_GROUP", "nodes"),
        ]),
    ]
}

fn azure() -> &'static dyn StorageProvider {
    providers::registry().unwrap().by_name("azure").unwrap()
}

fn file(inputs: &Inputs) -> Result<String, Problems> {
    match azure().resolve(inputs)? {
        Answer::Ready(storage) => Ok(storage
            .credential
            .file()
            .unwrap()
            .expose_secret()
            .to_owned()),
        Answer::Waiting(what) => panic!("waits for {what}"),
    }
}

/// Real secrets, and every character that means something to one reader or the other.
fn texts() -> impl Strategy<Value = String> {
    let blank = |text: &String| !text.trim().is_empty();
    prop_oneof![
        "[A-Za-z0-9+/]{86}==",
        "[A-Za-z0-9~_.-]{40}",
        r##"[ab1A_ '"#$={}()\\\n\r\t:nr\u{85}\u{a0}\u{0}é]{1,24}"##,
        r##"['"#a]{1,12}"##,
        any::<String>(),
    ]
    .prop_filter("a blank secret is none", blank)
}

/// What can stand in the file in any company.
fn is_harmless(text: &str) -> bool {
    !text.contains(['\'', '"', '\n', '\r'])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Both readers, since one is Velero's and the other that of plugins and older releases.
    #[test]
    fn a_secret_is_read_to_the_byte_or_refused(
        all in prop::collection::vec([texts(), texts(), texts()], 100),
    ) {
        let mut files = Vec::new();
        let mut expected = Vec::new();
        for secrets in &all {
            for (inputs, wanted) in inputs(secrets).iter().zip(wanted(secrets)) {
                match file(inputs) {
                    Ok(file) => {
                        files.push(file);
                        expected.push(wanted);
                    }
                    Err(problems) => {
                        let named = |field: &str, text: &str| {
                            problems.iter().any(|problem| problem.field == field) && !is_harmless(text)
                        };
                        prop_assert!(
                            named("secret-key", &secrets[0])
                                || named("client-id", &secrets[1])
                                || named("client-secret", &secrets[2]),
                            "{problems} of {secrets:?}"
                        );
                    }
                }
            }
        }
        for ((file, wanted), read) in files.iter().zip(&expected).zip(read(&files)) {
            for (reader, variables) in read {
                prop_assert_eq!(&variables, wanted, "{} of {:?}", reader, file);
            }
        }
    }
}

/// As long as a secret may be, in the dress that makes it longest.
#[test]
fn a_long_secret_is_read_too() {
    let secrets = [
        "x".repeat(60_000),
        format!("x{}x", "\n".repeat(29_997)),
        "x".into(),
    ];
    let [with_key, with_principal] = inputs(&secrets);
    let files = [file(&with_key).unwrap(), file(&with_principal).unwrap()];
    for (wanted, read) in wanted(&secrets).iter().zip(read(&files)) {
        assert!(read.values().all(|variables| variables == wanted));
    }
}

#[test]
fn readers_are_both_asked_and_can_fail() {
    let files = [
        "A=b\n".to_owned(),
        "A=a#b\n".to_owned(),
        "nothing\n".to_owned(),
    ];
    let read = read(&files);
    let readers: Vec<_> = read[0].keys().map(String::as_str).collect();
    assert_eq!(readers, ["godotenv", "velero"]);
    assert!(read[0].values().all(|variables| variables["A"] == "b"));
    assert!(read[1].values().all(|variables| variables["A"] == "a"));
    assert!(
        read[2]
            .values()
            .all(|variables| variables.contains_key("error"))
    );
}
