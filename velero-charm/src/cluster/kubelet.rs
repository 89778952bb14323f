//! Where kubelets keep the files of volumes.
//!
//! It is a flag of the kubelet, which neither Nodes nor the kubelet's `configz` show, but some distributions always set
//! it and mark their nodes.

use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, ResourceExt as _,
    api::{ApiResource, ListParams, NotUsed, Object},
};
use serde::Deserialize;

use super::{Cluster, ClusterError};

/// The version's build metadata begins so, and the folder. From the documentation of the CSI drivers of Hetzner Cloud
/// (k0s), and the OADP operator's `nodeagent.go` (IBM Cloud's IKS).
const BY_VERSION: [(&str, &str); 2] = [
    ("k0s", "/var/lib/k0s/kubelet"),
    ("IKS", "/var/data/kubelet"),
];
/// `MicroK8s` has a link at the usual place since 2021 (canonical/microk8s#2098), which mounts do not all follow.
const BY_LABEL: (&str, &str) = (
    "microk8s.io/cluster",
    "/var/snap/microk8s/common/var/lib/kubelet",
);

/// A Node without its spec, and without what is long in its status.
type Seen = Object<NotUsed, Status>;

#[derive(Clone, Debug, Default, Deserialize)]
struct Status {
    #[serde(rename = "nodeInfo")]
    info: Option<Info>,
}

#[derive(Clone, Debug, Deserialize)]
struct Info {
    #[serde(rename = "kubeletVersion")]
    version: String,
}

/// The kubelets' folder, if the nodes are of a distribution that has it elsewhere. One node speaks for all.
pub(crate) async fn root(cluster: &Cluster) -> Result<Option<&'static str>, ClusterError> {
    let kind = ApiResource::erase::<Node>(&());
    let nodes: Api<Seen> = Api::all_with(cluster.client.clone(), &kind);
    let nodes = cluster
        .list(&nodes, &ListParams::default().limit(1))
        .await?;
    Ok(nodes.first().and_then(of))
}

fn of(node: &Seen) -> Option<&'static str> {
    let info = node.status.as_ref().and_then(|status| status.info.as_ref());
    let build = info.and_then(|info| info.version.split_once('+'));
    let is_built = |mark: &str| build.is_some_and(|(_, build)| build.starts_with(mark));
    let by_version = BY_VERSION.into_iter().find(|(mark, _)| is_built(mark));
    let by_label = || Some(BY_LABEL).filter(|(mark, _)| node.labels().contains_key(*mark));
    by_version.or_else(by_label).map(|(_, root)| root)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    #[test]
    fn folder_is_told_by_the_distribution() {
        let none = json!({});
        for (version, labels, root) in [
            ("v1.34.1+k0s", &none, Some("/var/lib/k0s/kubelet")),
            ("v1.33.4+k0s.0", &none, Some("/var/lib/k0s/kubelet")),
            ("v1.31.9+IKS", &none, Some("/var/data/kubelet")),
            (
                "v1.32.3",
                &json!({"microk8s.io/cluster": "true"}),
                Some("/var/snap/microk8s/common/var/lib/kubelet"),
            ),
            ("v1.35.4", &none, None),
            ("v1.33.1+k3s1", &none, None),
            ("v1.32.5-eks-5d4a308", &none, None),
            ("k0s", &none, None),
        ] {
            let status = json!({"nodeInfo": {"kubeletVersion": version}});
            assert_eq!(of(&node(labels, &status)), root, "{version}");
        }
        assert_eq!(of(&node(&none, &json!({}))), None);
    }

    fn node(labels: &Value, status: &Value) -> Seen {
        let node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": "n", "labels": labels},
            "spec": {"podCIDR": "10.0.0.0/24"},
            "status": status,
        });
        from_value(node).unwrap()
    }
}
