//! The built program alone: what is linked into it, and what it makes of relation data.

use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use worlds::operator;
use worlds::stores::{descriptors, integrators};
use worlds::versions;

async fn start(arguments: &[&str], input: &str) -> Output {
    // Not a pipe: a program that refuses its arguments ends without reading what is written into it.
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input.as_bytes()).unwrap();
    file.rewind().unwrap();
    Command::new(operator::program().await.unwrap())
        .args(arguments)
        .env_clear()
        .stdin(file)
        .output()
        .unwrap()
}

async fn print(arguments: &[&str], input: &str) -> String {
    let output = start(arguments, input).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn charmcraft() -> Value {
    let text = std::fs::read_to_string(operator::workspace().join("charmcraft.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// The folders of provider crates in the workspace.
fn provider_crates() -> Vec<String> {
    let entries = std::fs::read_dir(operator::workspace()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_provider = |name: &String| name.starts_with("provider-") && name != "provider-api";
    names.filter(is_provider).collect()
}

/// A crate that is listed but not named is not linked, and nothing else would tell.
#[tokio::test]
async fn providers_of_the_workspace_are_all_linked() {
    let listed = print(&["providers"], "").await;
    let names: Vec<_> = listed
        .lines()
        .map(|line| line.split('\t').next().unwrap())
        .collect();
    let known: Vec<_> = descriptors().iter().map(|one| one.name).collect();
    assert_eq!(names, known);
    assert!(names.contains(&"aws") && names.contains(&"azure"));
    let crates = provider_crates();
    assert_eq!(names.len(), crates.len(), "{names:?} of {crates:?}");
}

#[test]
fn papers_name_every_provider_and_its_integrator() {
    let charmcraft = charmcraft();
    let description = charmcraft["description"].as_str().unwrap();
    for integrator in integrators() {
        assert!(
            description.contains(&format!("`{integrator}`")),
            "{integrator}"
        );
    }
    let readme = std::fs::read_to_string(operator::workspace().join("README.md")).unwrap();
    for name in provider_crates() {
        assert!(readme.contains(&format!("({name}/README.md)")), "{name}");
    }
}

/// That it declares those of the providers is what each provider's own tests hold.
#[test]
fn charmcraft_declares_no_endpoint_that_nobody_serves() {
    let registry = providers::registry().unwrap();
    let endpoints = registry
        .descriptors()
        .flat_map(provider_api::Descriptor::endpoints);
    let mut served: Vec<_> = endpoints.map(|endpoint| endpoint.name).collect();
    served.extend(["velero-backups", "k8s-backup-target", "logging"]);
    served.sort_unstable();

    let charmcraft = charmcraft();
    let declared = |side: &str| {
        charmcraft[side]
            .as_object()
            .unwrap()
            .keys()
            .collect::<Vec<_>>()
    };
    assert_eq!(declared("requires"), served);
    assert_eq!(
        declared("provides"),
        ["grafana-dashboard", "metrics-endpoint"]
    );
}

#[test]
fn the_default_images_are_those_of_the_bundled_velero() {
    let options = &charmcraft()["config"]["options"];
    assert_eq!(
        options["velero-image"]["default"],
        json!(versions::velero_image())
    );
    assert_eq!(
        options["velero-aws-plugin-image"]["default"],
        json!(versions::plugin_aws_image())
    );
}

/// What an integrator sends, and what a person would have to type for the same.
fn relations() -> [(&'static str, Value, &'static str); 2] {
    [
        (
            "aws",
            json!({
                "bucket": "backups", "path": "shop/a", "region": "eu-central-1",
                "endpoint": "https://s3.example.com", "s3-uri-style": "path",
                "access-key": "canary-id", "secret-key": "canary-key",
            }),
            "region=eu-central-1,s3Url=https://s3.example.com,s3ForcePathStyle=true,checksumAlgorithm=",
        ),
        (
            "azure",
            json!({
                "container": "backups", "path": "shop/a", "storage-account": "acme",
                "endpoint": "https://store.example.com", "connection-protocol": "https",
                "resource-group": "shop", "secret-key": "canary-key",
            }),
            "storageAccount=acme,resourceGroup=shop,storageAccountURI=https://store.example.com,\
             storageAccountKeyEnvVar=AZURE_STORAGE_ACCOUNT_ACCESS_KEY",
        ),
    ]
}

#[tokio::test]
async fn a_location_is_what_veleros_own_cli_would_make() {
    let velero = operator::velero().unwrap();
    for (provider, data, config) in relations() {
        let ours = print(&["render", "--provider", provider], &data.to_string()).await;
        assert!(!ours.contains("canary"), "{ours}");
        let mut ours = serde_json::from_str::<Value>(&ours).unwrap()["location"].take();
        let mut theirs = typed_location(&velero, provider, config);

        // What the CLI adds and we leave to the user: the mode, so that `ReadOnly` stays.
        theirs["spec"].as_object_mut().unwrap().remove("accessMode");
        theirs["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("creationTimestamp");
        theirs.as_object_mut().unwrap().remove("status");
        // What we add: whose it is.
        let labels = ours["metadata"]["labels"].as_object_mut().unwrap();
        labels.retain(|key, _| !key.starts_with("velero-operator/"));
        assert_eq!(ours, theirs);
    }
}

fn typed_location(velero: &Path, provider: &str, config: &str) -> Value {
    let output = Command::new(velero)
        .args(["backup-location", "create", "default", "--provider"])
        .args([provider, "--bucket=backups", "--prefix=shop/a", "--default"])
        .args(["--credential=SECRET=cloud", "--output=json"])
        .args(["--config", config, "--namespace=velero"])
        .arg("--labels=component=velero")
        .env_clear()
        .env("HOME", "/nonexistent")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn a_relation_that_adds_to_a_store_is_rendered_with_it() {
    let [_, (provider, mut store, _)] = relations();
    // A principal's token goes to addresses of Azure's own alone.
    store["endpoint"] = json!("https://acme.blob.core.windows.net");
    let principal = json!({
        "client-id": "canary-client", "client-secret": "canary-secret",
        "tenant-id": "a-tenant", "subscription-id": "a-subscription",
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), principal.to_string()).unwrap();
    let with = format!("azure-service-principal={}", file.path().display());
    let render = ["render", "--provider", provider, "--with", &with];

    let elsewhere: Value = serde_json::from_str(&print(&render, &store.to_string()).await).unwrap();
    assert_eq!(elsewhere["location"]["spec"]["config"]["useAAD"], "true");
    assert!(
        elsewhere["snapshotLocation"].is_null(),
        "no node is in Azure"
    );
    let node = "azure:///subscriptions/a-subscription/resourceGroups/a-group/providers/x/vm";
    let in_azure = [&render[..], &["--node", node]].concat();
    let ours = print(&in_azure, &store.to_string()).await;
    assert!(!ours.contains("canary"), "{ours}");
    let rendered: Value = serde_json::from_str(&ours).unwrap();
    assert_eq!(rendered["location"]["spec"]["config"]["useAAD"], "true");
    let snapshots = &rendered["snapshotLocation"]["spec"];
    assert_eq!(snapshots["config"], json!({"resourceGroup": "a-group"}));
    assert_eq!(
        rendered["remarks"],
        json!(["The service principal is used, and the storage account's key is not."])
    );
}

#[tokio::test]
async fn rendered_storage_is_shown_whole_but_for_its_credential() {
    let folder = tempfile::tempdir().unwrap();
    let secret = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        format!("{name}={}", path.display())
    };
    let (id, key) = (
        secret("access-key", "canary-{\"id\"}\n"),
        secret("secret-key", "canary-\"key\"-end"),
    );
    let render = [
        "render",
        "--provider",
        "aws",
        "--secret-file",
        &id,
        "--secret-file",
        &key,
    ];
    let data = json!({"bucket": "backups", "endpoint": "https://s3.example.com", "path": "a\nb"});

    let text = print(&render, &data.to_string()).await;
    assert!(!text.contains("canary"), "{text}");
    let shown: Value = serde_json::from_str(&text).unwrap();
    let keys: Vec<_> = shown.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["gaps", "location", "remarks", "snapshotLocation"]);
    assert_eq!(
        shown["location"]["spec"]["objectStorage"]["bucket"],
        "backups"
    );
    assert_eq!(
        shown["remarks"],
        json!([
            "Nothing is known of the store at `endpoint`: it is asked in path style and without \
             checksums, unless `s3-uri-style` or `s3-config` say otherwise.",
            "No `region` was sent, and `endpoint` does not tell it: `us-east-1` is used.",
        ])
    );
    let gaps = "correct `path` in `s3-integrator`: `path` contains control characters";
    assert_eq!(shown["gaps"], json!([gaps]));
    assert_eq!(shown["snapshotLocation"], Value::Null);

    let by_key = ["render", "--provider", "azure", "--node", "a-node"];
    let refused = start(&by_key, "{}").await;
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(text.contains("leave out `--node`"), "{text}");
    for (more, said) in [
        (
            ["--secret-file", "robot/code=/dev/null"],
            "no optional relation `robot`",
        ),
        (
            ["--secret-file", "secret-key=/nonexistent"],
            "`/nonexistent` cannot be read",
        ),
    ] {
        let refused = start(&[&render[..], &more].concat(), &data.to_string()).await;
        assert!(!refused.status.success());
        let text = String::from_utf8([refused.stdout, refused.stderr].concat()).unwrap();
        assert!(text.contains(said), "{text}");
    }
}

#[tokio::test]
async fn bad_data_and_unknown_providers_are_named() {
    let output = start(
        &["render", "--provider", "aws"],
        r#"{"bucket": "a/b", "access-key": "id"}"#,
    )
    .await;
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"", "data alone, for the next program");
    for field in ["`bucket` contains a `/`", "`secret-key` is missing"] {
        assert!(text.contains(field), "{text}");
    }
    let output = start(&["render", "--provider", "tape"], "{}").await;
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("there are `aws`, `azure`")
    );
}

#[tokio::test]
async fn usage_that_is_not_understood_is_told_on_standard_error() {
    let output = start(&["rendre"], "").await;
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stdout, b"");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("'rendre'"), "{text}");
}
