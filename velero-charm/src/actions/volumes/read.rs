//! Reads what the rest judges.
//!
//! **Invariant:** lists come in pages, of which nothing is kept but what is judged, and end after
//! [`PAGES`].

use std::{collections::BTreeSet, fmt::Debug};

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment},
    core::v1::{PersistentVolume, PersistentVolumeClaim, Pod},
};
use kube::{
    Api, Resource, ResourceExt as _,
    api::{DynamicObject, ListParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    obstacles::{Held, Server, Wish, of_restore},
    report::{Copy, Found, Report, Rest, judge},
    scope::{Places, Scope, takes},
};
use crate::{
    actions::command::Command,
    cluster::{Cluster, ClusterError, list, present},
    velero::{NODE_AGENT, SERVER, kind},
};

/// Objects in a page.
const PAGE: u32 = 250;
/// Pages of a list.
const PAGES: usize = 40;

/// As much is kept of Velero's word for a failure.
const MESSAGE: usize = 300;

const BACKUP_UID: &str = "velero.io/backup-uid";
const BACKUP_SCHEDULE: &str = "velero.io/schedule-name";

/// What of a command cannot be done here; nothing if it is no command about volumes.
pub(crate) async fn obstacles(
    cluster: &Cluster,
    command: &Command,
    application: &str,
) -> Result<Vec<String>, ClusterError> {
    let makes = |kind| command.creates(kind);
    if !(makes("backup") || makes("schedule") || makes("restore")) {
        return Ok(Vec::new());
    }
    let Some(server) = server(cluster).await? else {
        return Ok(Vec::new());
    };
    if makes("restore") {
        return of_stored(cluster, command, server, application).await;
    }
    let wish = match command.value("from-schedule") {
        Some(name) if makes("backup") => match get(cluster, "Schedule", name.trim()).await? {
            Some(schedule) => Wish::of_schedule(name.trim(), &schedule.data["spec"]),
            // The CLI says so.
            None => return Ok(Vec::new()),
        },
        _ => Wish::of_command(command),
    };
    Ok(wish.obstacles(server, application))
}

async fn server(cluster: &Cluster) -> Result<Option<Server>, ClusterError> {
    let one = ListParams::default().limit(1);
    let locations = cluster.dynamic(&kind("VolumeSnapshotLocation"));
    let (deployment, agent, locations) = tokio::try_join!(
        cluster.read::<Deployment>(SERVER),
        cluster.read::<DaemonSet>(NODE_AGENT),
        cluster.list(&locations, &one),
    )?;
    Ok(deployment.map(|it| Server::of(&it, agent.is_some(), !locations.is_empty())))
}

/// Of the Backup that a Restore is from.
async fn of_stored(
    cluster: &Cluster,
    command: &Command,
    server: Server,
    application: &str,
) -> Result<Vec<String>, ClusterError> {
    let backup = match (command.value("from-backup"), command.value("from-schedule")) {
        (Some(name), _) => get(cluster, "Backup", name).await?,
        (None, Some(schedule)) => latest(cluster, schedule).await?,
        (None, None) => None,
    };
    let Some(backup) = backup else {
        return Ok(Vec::new());
    };
    let listed = |flag: &str| -> Vec<String> {
        let value = command.value(flag).unwrap_or_default();
        let names = value.split(',').filter(|name| !name.is_empty());
        names.map(ToOwned::to_owned).collect()
    };
    let filters = json!({
        "includedResources": listed("include-resources"),
        "excludedResources": listed("exclude-resources"),
    });
    of_backup(cluster, &backup, &filters, server, application).await
}

/// What of a Backup cannot be restored here, as far as a Restore's filters let it through.
pub(crate) async fn obstacles_of_restore(
    cluster: &Cluster,
    backup: &DynamicObject,
    filters: &Value,
    application: &str,
) -> Result<Vec<String>, ClusterError> {
    match server(cluster).await? {
        Some(server) => of_backup(cluster, backup, filters, server, application).await,
        None => Ok(Vec::new()),
    }
}

async fn of_backup(
    cluster: &Cluster,
    backup: &DynamicObject,
    filters: &Value,
    server: Server,
    application: &str,
) -> Result<Vec<String>, ClusterError> {
    let of_it = ListParams::default()
        .labels(&format!(
            "{BACKUP_UID}={}",
            backup.uid().unwrap_or_default()
        ))
        .limit(1);
    let holds = async |name: &str| -> Result<bool, ClusterError> {
        let api = cluster.dynamic(&kind(name));
        Ok(!cluster.list(&api, &of_it).await?.is_empty())
    };
    let held = Held {
        files: takes(filters, &["pods", "pod", "po"]) && holds("PodVolumeBackup").await?,
        moved: takes(
            filters,
            &["persistentvolumeclaims", "persistentvolumeclaim", "pvc"],
        ) && holds("DataUpload").await?,
    };
    Ok(of_restore(&backup.name_any(), held, server, application))
}

/// The one that Velero would take.
async fn latest(cluster: &Cluster, schedule: &str) -> Result<Option<DynamicObject>, ClusterError> {
    let backups = cluster.dynamic(&kind("Backup"));
    let of_it = ListParams::default().labels(&format!("{BACKUP_SCHEDULE}={schedule}"));
    let mut found: Option<DynamicObject> = None;
    each(&backups, &of_it, |backup| {
        let is_done = backup.data["status"]["phase"] == "Completed";
        if is_done
            && found
                .as_ref()
                .is_none_or(|last| begun(last) < begun(&backup))
        {
            found = Some(backup);
        }
    })
    .await?;
    Ok(found)
}

/// What a Backup holds of volumes; nothing if it has not ended, or not well.
pub(crate) async fn report(cluster: &Cluster, name: &str) -> Result<Option<Report>, ClusterError> {
    let Some(backup) = get(cluster, "Backup", name).await? else {
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

fn begun(backup: &DynamicObject) -> Option<Timestamp> {
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

async fn get(
    cluster: &Cluster,
    name_of_kind: &str,
    name: &str,
) -> Result<Option<DynamicObject>, ClusterError> {
    // The CLI refuses what cannot be a name.
    if name.is_empty() || name.contains('/') {
        return Ok(None);
    }
    cluster.get(&kind(name_of_kind), name).await
}

/// Hands on one object after the other.
async fn each<K>(
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
