//! Reads what the rest judges.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use kube::{
    ResourceExt as _,
    api::{DynamicObject, ListParams},
};
use serde_json::{Value, json};

use super::obstacles::{Held, Server, Wish, of_restore};
use crate::{
    actions::command::Command,
    cluster::{Cluster, ClusterError},
    velero::{NODE_AGENT, SERVER, kind},
    volumes::{
        read::{begun, each},
        scope::takes,
    },
};

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
