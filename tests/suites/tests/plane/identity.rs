//! Who Velero's pods are to a cloud: annotations of their ServiceAccount, and labels of theirs.

use serde_json::{Value, json};
use worlds::operator::APP;
use worlds::plane::{LightWorld, Plane, StoreKind};

use crate::gcs::files;
use crate::options::{let_backup, object};
use crate::{here, writes};

const INTEGRATOR: &str = "store";

const ACCOUNT: &str = "serviceaccount/velero";
const SERVER: &str = "deployment/velero";
const ANNOTATIONS: &str = "service-account-annotations";
const LABELS: &str = "pod-labels";

async fn annotations(world: &LightWorld) -> Value {
    let account = object(world, ACCOUNT).await;
    account["metadata"]["annotations"].clone()
}

#[tokio::test]
async fn annotations_by_hand_stay_and_those_of_options_go() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "annotated").await.unwrap();
    let before = annotations(&world).await;
    here(&world, &["annotate", ACCOUNT, "by-hand=true"]).await;
    world.config(ANNOTATIONS, "stage=live").await.unwrap();
    world.expect_status("active: ").unwrap();

    let edit = ["annotate", "--overwrite", ACCOUNT, "stage=elsewhere"];
    here(&world, &edit).await;
    world.update_status().await.unwrap();
    let both = annotations(&world).await;
    let found = [&both["by-hand"], &both["stage"]];
    assert_eq!(found, ["true", "live"], "{both}");
    let run = world.update_status().await.unwrap();
    assert_eq!(run.statuses, [], "the next hook changes nothing");

    world.reset(&[ANNOTATIONS]).await.unwrap();
    let mut wanted = before.as_object().cloned().unwrap_or_default();
    wanted.insert("by-hand".into(), "true".into());
    assert_eq!(annotations(&world).await, json!(wanted));
}

#[tokio::test]
async fn labels_that_find_pods_are_refused_with_all_else() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "labelled").await.unwrap();
    let before = object(&world, SERVER).await;
    world.config(LABELS, "deploy=mine,team").await.unwrap();
    let both = ["`pod-labels` has `deploy`", "has no `=` in `team`"];
    world.expect_in_status("blocked: ", &both).unwrap();
    let after = object(&world, SERVER).await;
    assert_eq!(after["spec"], before["spec"], "nothing is done");
    world.reset(&[LABELS]).await.unwrap();
    world.expect_status("active: ").unwrap();
}

/// A kind of store whose cloud knows pods.
struct Cloud {
    endpoint: (&'static str, &'static str),
    provider: &'static str,
    annotations: &'static str,
    labels: &'static str,
    /// What is sent of the store, but for its bucket.
    store: &'static [(&'static str, &'static str)],
    bucket: &'static str,
    keys: &'static [(&'static str, &'static str)],
    /// What the location says where the cloud knows the pods.
    config: &'static str,
    /// What its one credential file says then.
    file: Option<&'static str>,
    /// What is said where nobody is known.
    awaited: &'static str,
}

const CLOUDS: [Cloud; 3] = [
    Cloud {
        endpoint: ("s3-credentials", "s3"),
        provider: "aws",
        annotations: "eks.amazonaws.com/role-arn=arn:aws:iam::111122223333:role/velero",
        labels: "",
        store: &[("region", "eu-central-1")],
        bucket: "bucket",
        keys: &[
            ("access-key", "an-access-key"),
            ("secret-key", "a-secret-key"),
        ],
        config: r#"{"region":"eu-central-1"}"#,
        file: None,
        awaited: "to send keys",
    },
    Cloud {
        endpoint: ("azure-storage", "azure_storage"),
        provider: "azure",
        annotations: "azure.workload.identity/client-id=00112233-4455-6677-8899-aabbccddeeff",
        labels: "azure.workload.identity/use=true",
        store: &[("storage-account", "acme")],
        bucket: "container",
        keys: &[("secret-key", "YSBsaWdodCBrZXk=")],
        config: r#"{"storageAccount":"acme","useAAD":"true"}"#,
        file: Some("AZURE_CLOUD_NAME=AzurePublicCloud\n"),
        awaited: "to send the account's key",
    },
    Cloud {
        endpoint: ("gcs-credentials", "gcs"),
        provider: "gcp",
        annotations: "iam.gke.io/gcp-service-account=velero@acme.iam.gserviceaccount.com",
        labels: "",
        store: &[],
        bucket: "bucket",
        keys: &[],
        config: r#"{"serviceAccount":"velero@acme.iam.gserviceaccount.com"}"#,
        file: None,
        awaited: "a service account's key",
    },
];

impl Cloud {
    /// Those of the store that is related.
    fn keys(&self, world: &LightWorld) -> Vec<(&'static str, String)> {
        if self.keys.is_empty() {
            return vec![("secret-key", StoreKind::Gcs.secret_key(world))];
        }
        let keys = self.keys.iter();
        keys.map(|(name, key)| (*name, (*key).to_owned())).collect()
    }
}

fn send_keys(world: &mut LightWorld, keys: &[(&'static str, String)]) {
    let keys: Vec<_> = keys
        .iter()
        .map(|(name, key)| (*name, key.as_str()))
        .collect();
    world.juju.config(INTEGRATOR, &keys).unwrap();
}

/// A world that is related to an integrator which sends a store without keys.
async fn keyless(plane: &Plane, cloud: &Cloud, name: &str) -> LightWorld {
    let mut world = LightWorld::deployed(plane, name).await.unwrap();
    let secrets: Vec<_> = cloud.keys(&world).iter().map(|(name, _)| *name).collect();
    let juju = &mut world.juju;
    juju.deploy_integrator(INTEGRATOR, cloud.endpoint, &secrets)
        .unwrap();
    juju.config(INTEGRATOR, cloud.store).unwrap();
    juju.config(INTEGRATOR, &[(cloud.bucket, "backups")])
        .unwrap();
    juju.integrate(APP, INTEGRATOR).unwrap();
    world.settle().await.unwrap();
    let awaited = format!("waiting: waiting for `{INTEGRATOR}` ");
    world.expect_in_status(&awaited, &[cloud.awaited]).unwrap();
    world
}

fn say_who(world: &mut LightWorld, cloud: &Cloud) {
    let options = [(ANNOTATIONS, cloud.annotations), (LABELS, cloud.labels)];
    world.juju.config(APP, &options).unwrap();
}

/// The store is open to Velero's pods, and to nobody by a key.
async fn expect_open_to_pods(world: &LightWorld, cloud: &Cloud) {
    world.expect_status("active: ").unwrap();
    let location = world.location().await.unwrap().unwrap();
    assert_eq!(location["provider"], cloud.provider);
    assert_eq!(location["config"].to_string(), cloud.config);
    assert_eq!(location["credential"].is_null(), cloud.file.is_none());
    let file = cloud.file.map(str::to_owned);
    assert_eq!(files(world).await, Vec::from_iter(file));
}

#[tokio::test]
async fn identity_opens_a_store_and_keys_come_first() {
    let plane = Plane::shared().await.unwrap();
    for cloud in &CLOUDS {
        let name = format!("identity-{}", cloud.provider);
        let mut world = keyless(&plane, cloud, &name).await;
        say_who(&mut world, cloud);
        world.settle().await.unwrap();
        expect_open_to_pods(&world, cloud).await;
        let (key, who) = cloud.annotations.split_once('=').unwrap();
        assert_eq!(annotations(&world).await[key], who);
        let mark = plane.audit().mark().await.unwrap();
        let run = world.update_status().await.unwrap();
        assert_eq!(run.statuses, [], "{name}: the next hook changes nothing");
        assert_eq!(writes(&world, &mark).await, [""; 0]);

        let keys = cloud.keys(&world);
        send_keys(&mut world, &keys);
        world.settle().await.unwrap();
        world.expect_status("active: ").unwrap();
        let location = world.location().await.unwrap().unwrap();
        assert!(!location["credential"].is_null(), "{name}: {location}");
        let by_keys = files(&world).await;
        assert!(
            matches!(by_keys.as_slice(), [file] if keys.iter().all(|(_, key)| file.contains(key))),
            "{name}"
        );

        let blank: Vec<_> = keys.iter().map(|(key, _)| (*key, String::new())).collect();
        send_keys(&mut world, &blank);
        world.settle().await.unwrap();
        expect_open_to_pods(&world, cloud).await;

        // What is wrong, or taken back, leaves what works.
        let before = world.location().await.unwrap();
        world
            .config(ANNOTATIONS, &format!("{key}=!"))
            .await
            .unwrap();
        let named = format!("has `{key}`, which is not");
        world.expect_in_status("blocked: ", &[&named]).unwrap();
        world.reset(&[ANNOTATIONS, LABELS]).await.unwrap();
        world
            .expect_in_status("blocked: ", &["`secret-key` is blank"])
            .unwrap();
        assert_eq!(world.location().await.unwrap(), before, "{name}");
    }
}

#[tokio::test]
async fn identity_without_its_label_is_refused() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::deployed(&plane, "unlabelled").await.unwrap();
    let [_, azure, _] = &CLOUDS;
    world.config(ANNOTATIONS, azure.annotations).await.unwrap();
    let lacks = format!("`{LABELS}` lacks `{}`", azure.labels);
    world.expect_in_status("blocked: ", &[&lacks]).unwrap();
}

#[tokio::test]
async fn location_waits_for_the_pods_that_its_store_knows() {
    let plane = Plane::shared().await.unwrap();
    let [amazon, ..] = &CLOUDS;
    let mut world = keyless(&plane, amazon, "identity-held").await;
    let keys = amazon.keys(&world);
    send_keys(&mut world, &keys);
    world.settle().await.unwrap();
    world.expect_status("active: ").unwrap();
    let before = world.location().await.unwrap();
    let by_keys = files(&world).await;

    let_backup(&world, "InProgress").await;
    say_who(&mut world, amazon);
    let blank: Vec<_> = keys.iter().map(|(key, _)| (*key, String::new())).collect();
    send_keys(&mut world, &blank);
    world.settle().await.unwrap();
    world
        .expect_in_status("waiting: waiting for Backup `nightly`", &[])
        .unwrap();
    assert_eq!(world.location().await.unwrap(), before);
    assert!(files(&world).await.contains(&by_keys[0]));

    let_backup(&world, "Completed").await;
    world.update_status().await.unwrap();
    expect_open_to_pods(&world, amazon).await;
}
