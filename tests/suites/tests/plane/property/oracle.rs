//! What there should be, told from config and relations alone.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::api::{DynamicObject, ListParams};
use serde_json::{Value, json};
use worlds::operator::APP;
use worlds::plane::StoreKind;
use worlds::stores::no_store;

use super::steps::{BUCKET, KEY, PATH, Scene};

/// Fails unless everything is as config and relations call for.
pub(crate) async fn assert_as_called_for(scene: &Scene) {
    let log = || scene.world.log();
    let status = scene.world.juju.unit_status(&scene.leader()).unwrap();
    let status = format!("{}: {}", status.level, status.message);
    let related = scene.is_related() == Some(true);
    let wanted = if related {
        "active: ".to_owned()
    } else {
        no_store()
    };
    assert_eq!(status, wanted, "{}", log());
    server(scene, related).await;
    node_agent(scene).await;
    let secret = location(scene, related).await;
    credential(scene, secret.as_deref()).await;
    belongings(scene, secret).await;
}

/// As Velero knows it.
const fn provider(scene: &Scene) -> &'static str {
    match scene.store {
        StoreKind::S3 => "aws",
        StoreKind::Azure => "azure",
        StoreKind::Gcs => "gcp",
    }
}

fn setting(scene: &Scene, option: &str) -> Value {
    let app = &scene.world.juju.model().applications[APP];
    app.setting(option).cloned().unwrap()
}

async fn find(scene: &Scene, group: &str, kind: &str, name: &str) -> Option<DynamicObject> {
    scene.api(group, kind).get_opt(name).await.unwrap()
}

async fn server(scene: &Scene, related: bool) {
    let server = find(scene, "apps", "Deployment", "velero")
        .await
        .expect("there is no server");
    let spec = &server.data["spec"];
    assert_eq!(spec["replicas"], 1);
    assert_eq!(spec["strategy"], json!({"type": "Recreate"}));
    let pod = &spec["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(container["image"], setting(scene, "velero-image"));
    let files = format!("--default-volumes-to-fs-backup={}", true);
    let arguments = container["args"].as_array().unwrap();
    let has_files = arguments.iter().any(|argument| *argument == files);
    assert_eq!(
        json!(has_files),
        setting(scene, "default-volumes-to-fs-backup"),
        "{arguments:?}"
    );
    let plugins = pod["initContainers"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let plugins: Vec<_> = plugins
        .iter()
        .map(|plugin| (&plugin["name"], &plugin["image"]))
        .collect();
    let (option, _) = scene.plugin();
    let name = format!("storage-plugin-{}", provider(scene));
    let (name, image) = (json!(name), setting(scene, option));
    let wanted = if related {
        vec![(&name, &image)]
    } else {
        Vec::new()
    };
    assert_eq!(plugins, wanted);
}

async fn node_agent(scene: &Scene) {
    let agent = find(scene, "apps", "DaemonSet", "node-agent").await;
    assert_eq!(
        json!(agent.is_some()),
        setting(scene, "use-node-agent"),
        "a node agent"
    );
    if let Some(agent) = agent {
        let image = &agent.data["spec"]["template"]["spec"]["containers"][0]["image"];
        assert_eq!(*image, setting(scene, "velero-image"));
    }
}

/// The name of the Secret that the location names.
async fn location(scene: &Scene, related: bool) -> Option<String> {
    let location = find(scene, "velero.io", "BackupStorageLocation", "default").await;
    assert_eq!(location.is_some(), related, "a location");
    assert!(
        find(scene, "velero.io", "VolumeSnapshotLocation", "default")
            .await
            .is_none()
    );
    let spec = location?.data["spec"].clone();
    let mut store = json!({"bucket": scene.told[BUCKET]});
    let path = scene.told[PATH].trim_matches('/');
    if !path.is_empty() {
        store["prefix"] = json!(path);
    }
    assert_eq!(spec["objectStorage"], store);
    assert_eq!(spec["provider"], provider(scene));
    assert_eq!(spec["default"], true);
    let config = match scene.store {
        StoreKind::S3 => {
            let settings = scene.world.settings();
            let option = |key: &str| settings.options[key].clone();
            json!({
                "region": option("region"),
                "s3Url": option("endpoint"),
                "s3ForcePathStyle": "true",
                // It is no Amazon.
                "checksumAlgorithm": "",
            })
        }
        StoreKind::Azure => json!({
            "storageAccount": "acme",
            "storageAccountKeyEnvVar": "AZURE_STORAGE_ACCOUNT_ACCESS_KEY",
        }),
        StoreKind::Gcs => Value::Null,
    };
    assert_eq!(spec["config"], config);
    Some(spec["credential"]["name"].as_str().unwrap().to_owned())
}

/// There is exactly one, and it holds the keys of now.
async fn credential(scene: &Scene, named: Option<&str>) {
    let select = ListParams::default().labels("velero-operator/role");
    let secrets = scene.api("", "Secret").list(&select).await.unwrap().items;
    let there: Vec<_> = secrets
        .iter()
        .filter_map(|secret| secret.metadata.name.as_deref())
        .collect();
    assert_eq!(there, named.into_iter().collect::<Vec<_>>());
    for secret in &secrets {
        let text = STANDARD
            .decode(secret.data["data"]["cloud"].as_str().unwrap())
            .unwrap();
        let text = String::from_utf8(text).unwrap();
        let lines = text.lines().filter_map(|line| line.split_once('='));
        let values: Vec<_> = lines.map(|(_, value)| value.trim()).collect();
        let key = scene.told[KEY].as_str();
        match scene.store {
            StoreKind::S3 => {
                let access_key = scene.world.settings().access_key;
                assert_eq!(values, [access_key.as_str(), key]);
            }
            StoreKind::Azure => assert_eq!(values, [key, "AzurePublicCloud"]),
            StoreKind::Gcs => assert_eq!(text, key),
        }
    }
}

/// Nothing else carries our label.
async fn belongings(scene: &Scene, secret: Option<String>) {
    let world = &scene.world;
    let mut wanted = BTreeSet::from([
        "deployment/velero".to_owned(),
        "serviceaccount/velero".to_owned(),
        "configmap/velero-operator-applied".to_owned(),
        format!(
            "clusterrolebinding/velero-{}-{}",
            world.namespace,
            world.juju.model().uuid
        ),
    ]);
    if setting(scene, "use-node-agent") == true {
        wanted.insert("daemonset/node-agent".to_owned());
    }
    wanted.extend(secret.map(|name| format!("secret/{name}")));
    let found = world.belongings().await.unwrap();
    let found: BTreeSet<_> = found.lines().map(ToOwned::to_owned).collect();
    assert_eq!(found, wanted);
}
