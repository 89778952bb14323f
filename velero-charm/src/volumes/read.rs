//! Reads what the rest judges.
//!
//! **Invariant:** lists come in pages, of which nothing is kept but what is judged, and end after
//! [`PAGES`].

use std::{collections::BTreeSet, fmt::Debug};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use kube::{
    Api, Resource, ResourceExt as _,
    api::{DynamicObject, ListParams},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    report::{Copy, Found, Report, Rest, judge},
    scope::{Places, Scope},
};
use crate::{
    cluster::{Cluster, ClusterError, list, present},
    velero::kind,
};

/// Objects in a page.
const PAGE: u32 = 250;
/// Pages of a list.
const PAGES: usize = 40;

/// As much is kept of Velero's word for a failure.
const MESSAGE: usize = 300;

const BACKUP_UID: &str = "velero.io/backup-uid";

/// What a Backup holds of volumes; nothing if it has not ended, or not well.
pub(crate) async fn report(cluster: &Cluster, name: &str) -> Result<Option<Report>, ClusterError> {
    let Some(backup) = cluster.get(&kind("Backup"), name).await? else {
        return Ok(None);
    };
    let (spec, status) = (&backup.data["spec"], &backup.data["status"]);
    if !matches!(
        status["phase"].as_str(),
        Some("Completed" | "PartiallyFailed")
    ) {
        return Ok(None);
    }
    let scope = Scope::of(spec, begun(&backup), cluster.namespace());
    let mut found = Found {
        snapshots: count(status, "volumeSnapshotsCompleted")
            + count(status, "csiVolumeSnapshotsCompleted"),
        ..Found::default()
    };
    if !scope.is_without_volumes() {
        match scope.places() {
            Places::Everywhere => look(&cluster.all(), &cluster.all(), &scope, &mut found).await?,
            Places::These(namespaces) => {
                for one in namespaces {
                    let (pods, claims) = (cluster.within(&one), cluster.within(&one));
                    look(&pods, &claims, &scope, &mut found).await?;
                }
            }
        }
        found.copies = copies(cluster, &backup.uid().unwrap_or_default()).await?;
        let wanted: BTreeSet<_> = found.claims.iter().map(|one| one.volume.clone()).collect();
        found.host_paths = host_paths(cluster, &wanted).await?;
    }
    Ok(Some(judge(name, &found)))
}

fn count(status: &Value, field: &str) -> usize {
    let number = status[field].as_u64().unwrap_or_default();
    usize::try_from(number).unwrap_or(usize::MAX / 2)
}

pub(crate) fn begun(backup: &DynamicObject) -> Option<Timestamp> {
    backup.data["status"]["startTimestamp"]
        .as_str()?
        .parse()
        .ok()
}

async fn look(
    pods: &Api<Pod>,
    claims: &Api<PersistentVolumeClaim>,
    scope: &Scope,
    found: &mut Found,
) -> Result<(), ClusterError> {
    let everything = ListParams::default();
    let Found {
        mounts,
        claims: bound,
        ..
    } = found;
    let rests = tokio::try_join!(
        each(pods, &everything, |pod| mounts.extend(scope.mounts(&pod))),
        each(claims, &everything, |claim| bound
            .extend(scope.claim(&claim))),
    )?;
    if rests != (Rest::Nothing, Rest::Nothing) {
        found.rest = Rest::NotLookedAt;
    }
    Ok(())
}

async fn copies(cluster: &Cluster, backup: &str) -> Result<Vec<Copy>, ClusterError> {
    let of_it = ListParams::default().labels(&format!("{BACKUP_UID}={backup}"));
    let mut found = Vec::new();
    for name in ["PodVolumeBackup", "DataUpload"] {
        let api = cluster.dynamic(&kind(name));
        let listed = each(&api, &of_it, |object| found.push(copy(&object))).await;
        present(listed)?;
    }
    Ok(found)
}

fn copy(object: &DynamicObject) -> Copy {
    let (spec, status) = (&object.data["spec"], &object.data["status"]);
    let pair = |namespace: &Value, name: &Value| {
        Some((namespace.as_str()?.to_owned(), name.as_str()?.to_owned()))
    };
    let pod = pair(&spec["pod"]["namespace"], &spec["pod"]["name"]);
    let volume = spec["volume"].as_str().map(ToOwned::to_owned);
    let phase = status["phase"].as_str().unwrap_or("not begun");
    let failure = (phase != "Completed").then(|| match status["message"].as_str() {
        Some(message) if !message.is_empty() => {
            let message: String = message.chars().take(MESSAGE).collect();
            format!("{phase}, {message}")
        }
        _ => phase.to_owned(),
    });
    Copy {
        pod_volume: pod.zip(volume),
        claim: pair(&spec["sourceNamespace"], &spec["sourcePVC"]),
        claim_uid: object.labels().get("velero.io/pvc-uid").cloned(),
        bytes: status["progress"]["bytesDone"].as_u64().unwrap_or_default(),
        failure,
    }
}

async fn host_paths(
    cluster: &Cluster,
    wanted: &BTreeSet<String>,
) -> Result<BTreeSet<String>, ClusterError> {
    let mut found = BTreeSet::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let volumes: Api<PersistentVolume> = cluster.all();
    each(&volumes, &ListParams::default(), |volume| {
        let is_host_path = volume
            .spec
            .as_ref()
            .is_some_and(|spec| spec.host_path.is_some());
        let name = volume.name_any();
        if is_host_path && wanted.contains(&name) {
            found.insert(name);
        }
    })
    .await?;
    Ok(found)
}

/// Hands on one object after the other.
pub(crate) async fn each<K>(
    api: &Api<K>,
    parameters: &ListParams,
    mut take: impl FnMut(K),
) -> Result<Rest, ClusterError>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let mut page = parameters.clone().limit(PAGE);
    for _ in 0..PAGES {
        let objects = list(api, &page).await?;
        objects.items.into_iter().for_each(&mut take);
        match objects.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(Rest::Nothing),
        }
    }
    Ok(Rest::NotLookedAt)
}
