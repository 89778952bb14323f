//! The emulator's Kubernetes side, on a real API server: how a charm finds its cluster, what it may
//! do with trust and without, and what is left when it goes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use juju_emulator::{CharmSource, DeployOptions, Juju, Resolve};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{ListParams, PostParams};
use kube_stack::ControlPlaneOnly;
use serde_json::{Value, json};
use worlds::clusters;

/// Asks the API server as a client in a pod would, and keeps the answers' codes.
const ASK: &str = r#"#!/bin/sh
account=/var/run/secrets/kubernetes.io/serviceaccount
ask() {
    curl --silent --output /dev/null --write-out '%{http_code}\n' --cacert $account/ca.crt \
        --header "Authorization: Bearer $(cat $account/token)" \
        "https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT$1"
}
space=$(cat $account/namespace)
{
    ask /api/v1/namespaces
    ask /api/v1/namespaces/$space/pods
    ask /api/v1/namespaces/$space/secrets
    ask /apis/apiextensions.k8s.io/v1/customresourcedefinitions
} > codes
[ ! -d KEPT ] || cp codes KEPT/$JUJU_HOOK_NAME
credential-get --format=json > credential 2>&1
ls $account > files
echo "$space ${KUBECONFIG-none}" > where
"#;

fn charm(dir: &Path) -> CharmSource {
    charm_of(dir, ASK)
}

fn charm_of(dir: &Path, script: &str) -> CharmSource {
    fs::create_dir_all(dir).unwrap();
    fs::write(
        dir.join("metadata.yaml"),
        "name: asker\nsummary: asks\ndescription: asks\n",
    )
    .unwrap();
    fs::write(dir.join("dispatch"), script).unwrap();
    fs::set_permissions(dir.join("dispatch"), fs::Permissions::from_mode(0o755)).unwrap();
    CharmSource::Directory(dir.to_owned())
}

const UNTRUSTED: &str = "200\n200\n403\n403\n";
const TRUSTED: &str = "200\n200\n200\n200\n";

#[tokio::test]
async fn trust_decides_what_a_charm_may_do() {
    let plane = ControlPlaneOnly::start().await.unwrap();
    println!("a control plane alone: {:?}", plane.took());
    let cluster = clusters::of_control_plane(&plane).await.unwrap();
    let client = cluster.client.clone();
    let dir = tempfile::tempdir().unwrap();
    let model = format!("juju-trust-{}", std::process::id());
    let mut juju = Juju::bootstrap(&dir.path().join("juju"), &model, Some(cluster))
        .await
        .unwrap();
    assert!(
        juju.model().cloud_api_version.starts_with("1."),
        "{:?}",
        juju.model()
    );

    let source = charm(&dir.path().join("charm"));
    juju.deploy(&source, "asker", DeployOptions::default())
        .await
        .unwrap();
    let runs = juju.settle().await.unwrap();
    assert!(runs.iter().all(|run| run.exit.is_success()), "{runs:#?}");
    let read =
        |juju: &Juju, name: &str| fs::read_to_string(juju.charm_dir("asker/0").join(name)).unwrap();
    assert_eq!(read(&juju, "codes"), UNTRUSTED);
    assert_eq!(read(&juju, "files"), "ca.crt\nnamespace\ntoken\n");
    assert_eq!(read(&juju, "where"), format!("{model} none\n"));
    let outside = Path::new("/var/run/secrets/kubernetes.io/serviceaccount/token");
    assert!(
        !outside.exists(),
        "what a unit sees is mounted for it alone"
    );

    juju.trust("asker").await.unwrap();
    let runs = juju.settle().await.unwrap();
    assert_eq!(
        runs.iter().map(|run| &*run.hook).collect::<Vec<_>>(),
        ["config-changed", "config-changed"]
    );
    assert_eq!(read(&juju, "codes"), TRUSTED);
    juju.untrust("asker").await.unwrap();
    juju.settle().await.unwrap();
    assert_eq!(read(&juju, "codes"), UNTRUSTED);

    juju.remove_application("asker").unwrap();
    let runs = juju.settle().await.unwrap();
    assert_eq!(
        runs.iter().map(|run| &*run.hook).collect::<Vec<_>>(),
        ["stop", "remove"]
    );
    let wide = format!("{model}-asker");
    let gone = [
        Api::<ServiceAccount>::namespaced(client.clone(), &model)
            .get_opt("asker")
            .await
            .unwrap()
            .is_none(),
        Api::<Role>::namespaced(client.clone(), &model)
            .get_opt("asker")
            .await
            .unwrap()
            .is_none(),
        Api::<RoleBinding>::namespaced(client.clone(), &model)
            .get_opt("asker")
            .await
            .unwrap()
            .is_none(),
        Api::<ClusterRole>::all(client.clone())
            .get_opt(&wide)
            .await
            .unwrap()
            .is_none(),
        Api::<ClusterRoleBinding>::all(client.clone())
            .get_opt(&wide)
            .await
            .unwrap()
            .is_none(),
    ];
    assert_eq!(gone, [true; 5]);
}

/// Makes objects as a charm would: an own one, one that opts out, one that an admin had made before, a
/// definition and an object of it.
const MAKE: &str = r#"#!/bin/sh
[ "$JUJU_HOOK_NAME" = start ] || exit 0
account=/var/run/secrets/kubernetes.io/serviceaccount
space=$(cat $account/namespace)
api() {
    curl --silent --show-error --fail-with-body --cacert $account/ca.crt \
        --header "Authorization: Bearer $(cat $account/token)" \
        --header "Content-Type: $2" --request $1 --data "$4" \
        "https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT$3" || exit 1
}
maps=/api/v1/namespaces/$space/configmaps
json=application/json
api POST $json $maps '{"metadata": {"name": "own"}}' > own
api POST $json $maps '{"metadata": {"name": "out", "labels": {"model.juju.is/disable-webhook": "true"}}}' > out
api PATCH application/merge-patch+json $maps/theirs '{"data": {"a": "b"}}' > theirs
api POST $json /api/v1/namespaces/elsewhere/configmaps '{"metadata": {"name": "far"}}' > far
api POST $json /api/v1/namespaces/$space/secrets '{"metadata": {"name": "kept"}}' > kept
api POST $json /apis/apiextensions.k8s.io/v1/customresourcedefinitions '{
    "metadata": {"name": "things.test.io"},
    "spec": {"group": "test.io", "scope": "Namespaced",
        "names": {"kind": "Thing", "plural": "things"},
        "versions": [{"name": "v1", "served": true, "storage": true,
            "schema": {"openAPIV3Schema": {"type": "object"}}}]}}' > crd
"#;

#[tokio::test]
async fn objects_of_a_charm_are_labelled_and_swept_in_the_end() {
    let plane = ControlPlaneOnly::start().await.unwrap();
    let cluster = clusters::of_control_plane(&plane).await.unwrap();
    let client = cluster.client.clone();
    let dir = tempfile::tempdir().unwrap();
    let mut juju = Juju::bootstrap(&dir.path().join("juju"), "swept", Some(cluster))
        .await
        .unwrap();
    let space = |name: &str| -> Namespace {
        serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()
    };
    let post = PostParams::default();
    Api::<Namespace>::all(client.clone())
        .create(&post, &space("elsewhere"))
        .await
        .unwrap();
    let maps = Api::<ConfigMap>::namespaced(client.clone(), "swept");
    for name in ["theirs", "untouched"] {
        let map = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        maps.create(&post, &map).await.unwrap();
    }
    let source = charm_of(&dir.path().join("charm"), MAKE);
    let began = std::time::Instant::now();
    juju.deploy(&source, "maker", DeployOptions::trusted())
        .await
        .unwrap();
    println!(
        "deployed, with roles and labels in force: {:?}",
        began.elapsed()
    );
    let runs = juju.settle().await.unwrap();
    assert!(runs.iter().all(|run| run.exit.is_success()), "{runs:#?}");

    let labels = |name: &str| -> Value {
        let path = juju.charm_dir("maker/0").join(name);
        let object: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        object["metadata"]["labels"].clone()
    };
    let want = json!({
        "app.juju.is/created-by": "maker",
        "app.kubernetes.io/managed-by": "juju",
        "model.juju.is/name": "swept",
        "model.juju.is/id": juju.model().uuid,
    });
    for name in ["own", "theirs", "kept", "crd"] {
        assert_eq!(labels(name), want, "{name}: in the answer to the charm");
    }
    assert_eq!(
        labels("out"),
        json!({"model.juju.is/disable-webhook": "true"})
    );
    assert_eq!(
        labels("far"),
        Value::Null,
        "another namespace is not the model's"
    );

    juju.remove_application("maker").unwrap();
    juju.settle().await.unwrap();
    let left = maps.list(&ListParams::default()).await.unwrap().items;
    let left: Vec<_> = left
        .into_iter()
        .filter_map(|map| map.metadata.name)
        .collect();
    assert_eq!(left, ["out", "untouched"]);
    let far = Api::<ConfigMap>::namespaced(client.clone(), "elsewhere");
    assert!(far.get_opt("far").await.unwrap().is_some());
    let kept = Api::<Secret>::namespaced(client.clone(), "swept");
    assert!(kept.get_opt("kept").await.unwrap().is_none());
    let crds = Api::<CustomResourceDefinition>::all(client);
    let crd = crds.get_opt("things.test.io").await.unwrap();
    assert!(crd.is_none_or(|crd| crd.metadata.deletion_timestamp.is_some()));
}

#[tokio::test]
async fn force_waits_for_no_hook_and_leaves_what_is_there() {
    let plane = ControlPlaneOnly::start().await.unwrap();
    let cluster = clusters::of_control_plane(&plane).await.unwrap();
    let (client, dir) = (cluster.client.clone(), tempfile::tempdir().unwrap());
    let mut juju = Juju::bootstrap(&dir.path().join("juju"), "forced", Some(cluster))
        .await
        .unwrap();
    let kept = dir.path().join("kept");
    fs::create_dir_all(&kept).unwrap();
    let script = ASK.replace("KEPT", &kept.display().to_string());
    let source = charm_of(&dir.path().join("charm"), &(script + "exit 1\n"));
    juju.deploy(&source, "asker", DeployOptions::trusted())
        .await
        .unwrap();
    juju.settle().await.unwrap();
    for _ in ["install", "leader-elected", "config-changed", "start"] {
        juju.resolved("asker/0", Resolve::Skip).unwrap();
        juju.settle().await.unwrap();
    }
    let credential = fs::read(juju.charm_dir("asker/0").join("credential")).unwrap();
    let credential: Value = serde_json::from_slice(&credential).unwrap();
    let token = credential["credential"]["attrs"]["Token"].as_str();
    assert!(token.is_some_and(|token| token.len() > 100), "{credential}");

    juju.remove_application_by_force("asker").unwrap();
    juju.settle().await.unwrap();
    assert!(juju.model().applications.is_empty());
    let codes = |hook: &str| fs::read_to_string(kept.join(hook)).unwrap();
    assert_eq!(codes("stop"), TRUSTED);
    assert!(!kept.join("remove").exists(), "`stop` has failed");
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), "forced");
    assert!(accounts.get_opt("asker").await.unwrap().is_some());
    let bindings = Api::<ClusterRoleBinding>::all(client);
    assert!(bindings.get_opt("forced-asker").await.unwrap().is_some());
}
