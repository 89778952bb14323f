//! The emulator's Kubernetes side, on a real API server: how a charm finds its cluster, what it may
//! do with trust and without, and what is left when it goes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::Api;
use tests::juju::{CharmSource, Cluster, DeployOptions, Juju};
use tests::stack::ControlPlaneOnly;

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
ls $account > files
echo "$space ${KUBECONFIG-none}" > where
"#;

fn charm(dir: &Path) -> CharmSource {
    fs::create_dir_all(dir).unwrap();
    fs::write(
        dir.join("metadata.yaml"),
        "name: asker\nsummary: asks\ndescription: asks\n",
    )
    .unwrap();
    fs::write(dir.join("dispatch"), ASK).unwrap();
    fs::set_permissions(dir.join("dispatch"), fs::Permissions::from_mode(0o755)).unwrap();
    CharmSource::Directory(dir.to_owned())
}

const UNTRUSTED: &str = "200\n200\n403\n403\n";
const TRUSTED: &str = "200\n200\n200\n200\n";

#[tokio::test]
async fn trust_decides_what_a_charm_may_do() {
    let plane = ControlPlaneOnly::start().await.unwrap();
    println!("a control plane alone: {:?}", plane.took());
    let cluster = Cluster::of_control_plane(&plane).await.unwrap();
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
        ["config-changed"]
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
