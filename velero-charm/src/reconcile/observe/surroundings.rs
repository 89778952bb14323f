//! What options ask to know of the cluster.

use k8s_openapi::api::scheduling::v1::PriorityClass;
use kube::api::{DynamicObject, ListParams};
use serde_json::{Map, Value};
use tokio::try_join;

use crate::{
    cluster::{Cluster, ClusterError, Kind, kubelet},
    juju::env,
    velero::snapshots::Snapshots,
};

/// The option that says whether Velero takes CSI snapshots.
pub(in crate::reconcile) const CSI_SNAPSHOTS: &str = "csi-snapshots";

/// The option that names the priority class of Velero's pods.
pub(in crate::reconcile) const PRIORITY_CLASS: &str = "priority-class";

/// The option that asks for node agents.
pub(in crate::reconcile) const USE_NODE_AGENT: &str = "use-node-agent";

/// The option that says where the kubelets have their folder.
pub(in crate::reconcile) const KUBELET_ROOT: &str = "kubelet-root-dir";

/// As far as an option that is set asks for it.
#[derive(Clone, Debug, Default)]
pub(in crate::reconcile) struct Surroundings {
    pub(in crate::reconcile) snapshots: Snapshots,
    /// The class that an option names, if there is none.
    pub(in crate::reconcile) missing_priority_class: Option<String>,
    /// Where the kubelets have their folder, if it is elsewhere and the cluster tells.
    pub(in crate::reconcile) kubelet_root: Option<&'static str>,
    /// Variables for programs that reach out of the cluster.
    pub(in crate::reconcile) proxies: Vec<(&'static str, String)>,
}

impl Surroundings {
    pub(super) async fn read(
        config: &Map<String, Value>,
        cluster: &Cluster,
    ) -> Result<Self, ClusterError> {
        let word = |option: &str| {
            let text = config.get(option).and_then(Value::as_str);
            text.map(str::trim).filter(|text| !text.is_empty())
        };
        let snapshots = async {
            match word(CSI_SNAPSHOTS) {
                Some("false") => Ok(Snapshots::default()),
                _ => Snapshots::read(cluster).await,
            }
        };
        let missing_priority_class = async {
            match word(PRIORITY_CLASS) {
                Some(name) => missing(name, cluster).await,
                None => Ok(None),
            }
        };
        let kubelet_root = async {
            let is_asked = config.get(USE_NODE_AGENT) == Some(&Value::Bool(true));
            match word(KUBELET_ROOT) {
                None if is_asked => kubelet::root(cluster).await,
                _ => Ok(None),
            }
        };
        let proxies = async {
            match env::proxies() {
                none if none.is_empty() => Ok(none),
                some => Ok(excepting(&services(cluster).await?, some)),
            }
        };
        let (snapshots, missing_priority_class, kubelet_root, proxies) =
            try_join!(snapshots, missing_priority_class, kubelet_root, proxies)?;
        Ok(Self {
            snapshots,
            missing_priority_class,
            kubelet_root,
            proxies,
        })
    }
}

async fn missing(class: &str, cluster: &Cluster) -> Result<Option<String>, ClusterError> {
    let found = cluster.get(&Kind::of::<PriorityClass>(), class).await?;
    Ok(found.is_none().then(|| class.to_owned()))
}

/// The ranges of the addresses of Services; Kubernetes tells them since 1.33.
async fn services(cluster: &Cluster) -> Result<Vec<String>, ClusterError> {
    let kind = Kind::custom("networking.k8s.io", "v1", "ServiceCIDR");
    let recent = ListParams::default().match_any();
    let ranges = cluster.list(&cluster.everywhere(&kind), &recent).await?;
    let ranges = ranges.iter().flat_map(|range: &DynamicObject| {
        let all = range.data["spec"]["cidrs"].as_array();
        all.into_iter().flatten().filter_map(Value::as_str)
    });
    Ok(ranges.map(ToOwned::to_owned).collect())
}

/// The last of the variables says what no proxy is asked for.
fn excepting(
    ranges: &[String],
    mut proxies: Vec<(&'static str, String)>,
) -> Vec<(&'static str, String)> {
    if let Some((_, excepted)) = proxies.last_mut() {
        for range in ranges {
            excepted.push(',');
            excepted.push_str(range);
        }
    }
    proxies
}
