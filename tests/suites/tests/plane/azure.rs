//! A service principal in addition to a store in Azure: what it adds, what it needs, and what it is alone.

use juju_emulator::AzureSettings;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use worlds::operator::APP;
use worlds::plane::{LightWorld, Plane};

const STORE: &str = "azure-storage-integrator";
const AUTH: &str = "azure-auth-integrator";
const PRINCIPAL: [(&str, &str); 4] = [
    ("client-id", "a-client-id"),
    ("client-secret", "a-$CLIENT#secret"),
    ("tenant-id", "a-tenant"),
    ("subscription-id", "a-subscription"),
];
const NODE: &str = "azure:///subscriptions/a-subscription/resourceGroups/a-group/providers/\
                    Microsoft.Compute/virtualMachines/vm";

async fn connected(plane: &Plane, name: &str) -> LightWorld {
    let mut world = LightWorld::deployed(plane, name).await.unwrap();
    let settings = AzureSettings::of_account("acme", "velero", "YSBsaWdodCBrZXk=");
    world.juju.deploy_azure_integrator(STORE, settings).unwrap();
    world.juju.integrate(APP, STORE).unwrap();
    world.settle().await.unwrap();
    world.expect_status("active: ").unwrap();
    world
}

/// Nothing runs on it: it is there for its provider id.
async fn node_in_azure(world: &LightWorld) {
    let node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "vm"},
        "spec": {"providerID": NODE, "unschedulable": true},
    });
    world.apply(&node).await.unwrap();
}

/// The credential files that there are.
async fn files(world: &LightWorld) -> Vec<String> {
    let secrets: Api<Secret> = Api::namespaced(world.client(), &world.namespace);
    let role = ListParams::default().labels("velero-operator/role=storage-credential");
    let secrets = secrets.list(&role).await.unwrap().items;
    let files = secrets
        .into_iter()
        .filter_map(|secret| Some(secret.data?.get("cloud")?.0.clone()));
    files.map(|file| String::from_utf8(file).unwrap()).collect()
}

/// How often the charm has listed nodes in one hook.
pub(super) async fn lists_of_nodes(world: &mut LightWorld) -> usize {
    let audit = world.plane().audit();
    let mark = audit.mark().await.unwrap();
    world.update_status().await.unwrap();
    let requests = audit.since(&mark).await.unwrap();
    let user = world.charm_user();
    let ours = requests.iter().filter(|request| request.user == user);
    ours.filter(|request| request.resource == "nodes").count()
}

#[tokio::test]
async fn a_service_principal_is_used_as_a_whole_and_given_back() {
    let plane = Plane::shared().await.unwrap();
    let mut world = connected(&plane, "principal").await;
    let before = (world.location().await.unwrap(), files(&world).await);
    assert_eq!(before.1.len(), 1);
    assert_eq!(lists_of_nodes(&mut world).await, 0, "nobody asks");

    world.juju.deploy_azure_auth_integrator(AUTH).unwrap();
    world.juju.integrate(APP, AUTH).unwrap();
    world.settle().await.unwrap();
    let waits = "waiting: waiting for `azure-auth-integrator` to send a service principal";
    world.expect_status(waits).unwrap();
    world.juju.config(AUTH, &PRINCIPAL[..2]).unwrap();
    world.settle().await.unwrap();
    let lacks = [AUTH, "`tenant-id` is missing"];
    world.expect_in_status("blocked: ", &lacks).unwrap();
    let now = (world.location().await.unwrap(), files(&world).await);
    assert_eq!(now, before, "what worked is touched");

    world.juju.config(AUTH, &PRINCIPAL[2..]).unwrap();
    world.settle().await.unwrap();
    world.expect_status("active: ").unwrap();
    let location = world.location().await.unwrap().unwrap();
    assert_eq!(
        location["config"],
        json!({"storageAccount": "acme", "subscriptionId": "a-subscription", "useAAD": "true"})
    );
    let who = format!(
        "AZURE_TENANT_ID=a-tenant\nAZURE_CLIENT_ID=a-client-id\nAZURE_CLIENT_SECRET='{}'\n",
        PRINCIPAL[1].1
    );
    let cloud = "AZURE_CLOUD_NAME=AzurePublicCloud\n";
    assert_eq!(files(&world).await, [format!("{who}{cloud}")]);
    let snapshots = world
        .velero_object("VolumeSnapshotLocation", "default")
        .await;
    assert!(snapshots.unwrap().is_none(), "no disk is in Azure");

    node_in_azure(&world).await;
    assert_eq!(lists_of_nodes(&mut world).await, 1);
    world.expect_status("active: ").unwrap();
    let location = world.location().await.unwrap().unwrap();
    assert_eq!(
        location["config"],
        json!({"storageAccount": "acme", "useAAD": "true"})
    );
    let (subscription, group) = (
        "AZURE_SUBSCRIPTION_ID=a-subscription\n",
        "AZURE_RESOURCE_GROUP=a-group\n",
    );
    let with_disks = format!("{subscription}{who}{group}{cloud}");
    assert_eq!(files(&world).await, [with_disks]);
    let snapshots = world
        .velero_object("VolumeSnapshotLocation", "default")
        .await;
    let snapshots = snapshots.unwrap().unwrap();
    assert_eq!(
        snapshots.data["spec"]["config"],
        json!({"resourceGroup": "a-group"})
    );

    let quiet = world.update_status().await.unwrap();
    let mut tools = quiet.tool_calls.iter().map(|call| call.tool.as_str());
    assert!(!tools.any(|tool| tool == "secret-get"), "nothing is new");

    world.juju.remove_relation(APP, AUTH).unwrap();
    world.settle().await.unwrap();
    world.expect_status("active: ").unwrap();
    let (location, files) = (world.location().await.unwrap(), files(&world).await);
    assert_eq!(location.unwrap()["config"], before.0.unwrap()["config"]);
    assert_eq!(files, before.1);
    let snapshots = world
        .velero_object("VolumeSnapshotLocation", "default")
        .await;
    assert!(snapshots.unwrap().is_none());
    let log = world.log();
    assert!(
        !log.contains(PRINCIPAL[1].1) && !log.contains("YSBsaWdodCBrZXk="),
        "{log}"
    );
}

#[tokio::test]
async fn a_service_principal_alone_selects_nothing_and_tears_down_nothing() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "other-store").await.unwrap();
    let before = world.dump().await.unwrap();

    world.juju.deploy_azure_auth_integrator(AUTH).unwrap();
    world.juju.config(AUTH, &PRINCIPAL).unwrap();
    let id = world.juju.integrate(APP, AUTH).unwrap();
    world.settle().await.unwrap();
    assert_eq!(lists_of_nodes(&mut world).await, 0);
    world.expect_status("active: ").unwrap();
    assert_eq!(world.dump().await.unwrap(), before);
    let ours = &world.juju.model().relations[&id]
        .local(APP)
        .unwrap()
        .bag
        .data;
    let secrets = r#"["client-id", "client-secret"]"#;
    assert_eq!(
        ours.iter().collect::<Vec<_>>(),
        [(&"requested-secrets".to_owned(), &secrets.to_owned())],
        "so that what will be of use comes as a secret"
    );

    world.juju.remove_relation(APP, AUTH).unwrap();
    world.settle().await.unwrap();
    assert_eq!(world.dump().await.unwrap(), before);
}
