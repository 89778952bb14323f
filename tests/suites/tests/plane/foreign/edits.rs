//! What somebody has made of what is ours, though the record says that all is well.

use kube::ResourceExt as _;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use worlds::plane::{LightWorld, Plane};

use super::{Id, OURS, api, mark, writes};

const SERVER: Id<'_> = ("apps", "Deployment", "velero");
const AGENT: Id<'_> = ("apps", "DaemonSet", "node-agent");
const RECORD: Id<'_> = ("", "ConfigMap", "velero-operator-applied");
const BINDINGS: Id<'_> = ("rbac.authorization.k8s.io", "ClusterRoleBinding", "");

async fn get(world: &LightWorld, id: Id<'_>) -> DynamicObject {
    api(world, id).get(id.2).await.unwrap()
}

/// Edits a workload, and writes its new generation into the record.
async fn edit(world: &LightWorld, id: Id<'_>, entry: &str, pod: Value) {
    let how = PatchParams::default();
    let patch = Patch::Strategic(json!({"spec": {"template": {"spec": pod}}}));
    let edited = api(world, id).patch(id.2, &how, &patch).await.unwrap();
    let record = get(world, RECORD).await;
    let text = record.data["data"]["applied"].as_str().unwrap();
    let mut applied: Value = serde_json::from_str(text).unwrap();
    applied[entry]["generation"] = json!(edited.metadata.generation);
    let vouched = Patch::Merge(json!({"data": {"applied": applied.to_string()}}));
    api(world, RECORD)
        .patch(RECORD.2, &how, &vouched)
        .await
        .unwrap();
}

fn pod(object: &DynamicObject) -> &Value {
    &object.data["spec"]["template"]["spec"]
}

#[tokio::test]
async fn edits_that_the_record_vouches_for_are_put_right() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "vouched").await.unwrap();
    world.config("use-node-agent", "true").await.unwrap();
    let server = pod(&get(&world, SERVER).await).clone();
    let agent = pod(&get(&world, AGENT).await).clone();
    let plugin = &server["initContainers"][0]["name"];
    let edits = [
        (
            SERVER,
            "server",
            json!({"containers": [{"name": "velero", "image": "evil/velero:1"}]}),
        ),
        (
            SERVER,
            "server",
            json!({"containers": [{"name": "velero", "args": ["server", "--x"]}]}),
        ),
        (
            SERVER,
            "server",
            json!({"initContainers": [{"name": plugin, "image": "evil/plugin:1"}]}),
        ),
        (SERVER, "server", json!({"serviceAccountName": "default"})),
        (
            AGENT,
            "node-agent",
            json!({"containers": [{"name": "node-agent", "image": "evil/velero:1"}]}),
        ),
    ];
    for (id, entry, change) in edits {
        edit(&world, id, entry, change.clone()).await;

        world.update_status().await.unwrap();

        let wanted = if id == SERVER { &server } else { &agent };
        let live = get(&world, id).await;
        for field in ["containers", "initContainers", "serviceAccountName"] {
            assert_eq!(pod(&live).get(field), wanted.get(field), "{change}");
        }
        world.expect_status("active: ").unwrap();
    }
}

/// Those of ours, whatever they are called.
async fn bindings(world: &LightWorld) -> Vec<DynamicObject> {
    let model = &world.juju.model().uuid;
    let select = format!("velero-operator/application={OURS},velero-operator/model={model}");
    let select = ListParams::default().labels(&select);
    api(world, BINDINGS).list(&select).await.unwrap().items
}

fn subject(namespace: &str) -> Value {
    json!({"kind": "ServiceAccount", "name": "velero", "namespace": namespace})
}

#[tokio::test]
async fn binding_gives_its_rights_to_nobody_else() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "subjects").await.unwrap();
    let name = bindings(&world).await[0].name_any();
    let ours = json!([subject(&world.namespace)]);
    for subjects in [
        json!([subject(&world.namespace), subject("elsewhere")]),
        json!([subject("elsewhere")]),
        json!([{"kind": "User", "name": "eve", "apiGroup": "rbac.authorization.k8s.io"}]),
    ] {
        let edit = Patch::Merge(json!({"subjects": subjects}));
        let how = PatchParams::default();
        api(&world, BINDINGS)
            .patch(&name, &how, &edit)
            .await
            .unwrap();

        world.update_status().await.unwrap();

        let live = bindings(&world).await;
        assert_eq!(live.len(), 1);
        assert_eq!(live[0].data["subjects"], ours, "{subjects}");
        world.expect_status("active: ").unwrap();
    }
}

#[tokio::test]
async fn binding_to_another_role_is_made_again() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "role").await.unwrap();
    let mut binding = bindings(&world).await.remove(0);
    let name = binding.name_any();
    api(&world, BINDINGS)
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    binding.data["roleRef"]["name"] = json!("view");
    binding.metadata.uid = None;
    binding.metadata.resource_version = None;
    binding.metadata.managed_fields = None;
    api(&world, BINDINGS)
        .create(&kube::api::PostParams::default(), &binding)
        .await
        .unwrap();

    world.update_status().await.unwrap();

    let live = bindings(&world).await;
    assert_eq!(live[0].data["roleRef"]["name"], "cluster-admin");
    world.expect_status("active: ").unwrap();
}

async fn pods(world: &LightWorld) -> String {
    let uids = "-o=jsonpath={.items[*].metadata.uid}";
    let get = ["-n", &world.namespace, "get", "pods", uids];
    world.kubectl(&get).await.unwrap()
}

/// Earlier releases called it as Velero's CLI does.
#[tokio::test]
async fn binding_of_an_earlier_release_goes_after_the_new_one_came() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "rename").await.unwrap();
    let mut binding = bindings(&world).await.remove(0);
    let (new, old) = (binding.name_any(), format!("velero-{}", world.namespace));
    assert_eq!(new, format!("{old}-{}", world.juju.model().uuid));
    api(&world, BINDINGS)
        .delete(&new, &DeleteParams::default())
        .await
        .unwrap();
    binding.metadata.name = Some(old.clone());
    // Items of a list do not say what they are.
    binding.types = Some(kube::core::TypeMeta {
        api_version: "rbac.authorization.k8s.io/v1".into(),
        kind: "ClusterRoleBinding".into(),
    });
    binding.metadata.uid = None;
    binding.metadata.resource_version = None;
    binding.metadata.managed_fields = None;
    let how = PatchParams::apply("velero-operator").force();
    api(&world, BINDINGS)
        .patch(&old, &how, &Patch::Apply(&binding))
        .await
        .unwrap();
    let before = pods(&world).await;
    let begin = mark(&world).await;

    world.update_status().await.unwrap();

    world.expect_status("active: ").unwrap();
    let mut written = writes(&world, &begin).await;
    written.retain(|write| write.contains("clusterrolebindings"));
    let wanted = [
        format!("patch clusterrolebindings {new}"),
        format!("delete clusterrolebindings {old}"),
    ];
    assert_eq!(written, wanted);
    assert_eq!(pods(&world).await, before, "nothing restarts");
}
