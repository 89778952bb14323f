//! `delete-backup`: a Backup and all that the store holds of it.
//!
//! **Invariant:** Velero deletes, by a `DeleteBackupRequest`; it is said to be gone only once it is. A request
//! that an action has left which was killed is taken up.

use std::{collections::BTreeMap, ops::ControlFlow, time::Duration};

use futures::stream::{SelectAll, select_all};
use kube::{
    ResourceExt as _,
    api::{DynamicObject, ListParams},
};
use tokio::{time::Instant, try_join};

use super::{
    Failure, backup::by_name, create_backup::name, output::plain, params::Params, ready::ready,
    words,
};
use crate::{
    cluster::{
        Cluster, ClusterError,
        follow::{Changes, follow, watch},
    },
    context::Context,
    velero::{
        self,
        deletion::{self, BACKUP_UID},
        job::Status,
        restore,
    },
};

#[derive(Debug)]
struct Order {
    backup: String,
    timeout: Duration,
}

/// What is left of a Backup that is being deleted.
#[derive(Debug, Default)]
struct World {
    backup: BTreeMap<String, DynamicObject>,
    requests: BTreeMap<String, DynamicObject>,
}

pub(super) async fn run(ctx: &Context) -> Result<(), Failure> {
    let begun = Instant::now();
    let order = Order::understand(Params::read(ctx).await?)?;
    let cluster = ready(ctx).await?;
    let backup = by_name(&cluster, &order.backup).await?;
    let obstacles = obstacles(&cluster, &backup).await?;
    if !obstacles.is_empty() {
        return Err(Failure::Refused(obstacles.join("; ")));
    }
    let uid = backup.uid().unwrap_or_default();
    let before = requests(&cluster, &uid).await?;
    let request = match before
        .into_iter()
        .find(|one| deletion::Status::of(one).is_open())
    {
        Some(request) => request,
        None => cluster.create(&order.request(&cluster, &uid)).await?,
    };
    let request = request.name_any();
    let said = format!(
        "Velero was asked to delete backup `{}` (DeleteBackupRequest `{request}`).",
        order.backup
    );
    ctx.tools.action_log(&said).await?;
    let asked = || begin(&cluster, &order.backup, &uid);
    let world = follow(asked, begun + order.timeout, |world| {
        if world.is_over(&uid, &request) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    let world = world.await?;
    let mut results = vec![("backup-id", order.backup.clone())];
    let left = world.left(&uid, &request);
    let status = if left.is_none() { "deleted" } else { "failed" };
    results.push(("status", status.into()));
    ctx.tools.action_set_all(&results).await?;
    match left {
        None => Ok(()),
        Some(left) => Err(Failure::Refused(order.failure(&left, &ctx.unit.name))),
    }
}

/// Why Velero would fail to delete it, or would destroy what is in use.
async fn obstacles(cluster: &Cluster, backup: &DynamicObject) -> Result<Vec<String>, ClusterError> {
    let name = backup.name_any();
    let mut found = Vec::new();
    let status = Status::of(backup);
    if !status.has_ended() {
        found.push(format!(
            "backup `{name}` is still running ({}): delete it when it has ended",
            status.phase()
        ));
    }
    let restores = restore::unfinished(cluster).await?;
    if let Some(restore) = restores.iter().find(|restore| restore.is_from(&name)) {
        found.push(format!(
            "backup `{name}` is being restored (`{}`): delete it when that has ended",
            restore.metadata.name
        ));
    }
    Ok(found)
}

async fn requests(cluster: &Cluster, uid: &str) -> Result<Vec<DynamicObject>, ClusterError> {
    let api = cluster.dynamic(&velero::kind("DeleteBackupRequest"));
    let of_it = ListParams::default().labels(&format!("{BACKUP_UID}={uid}"));
    cluster.list(&api, &of_it).await
}

async fn begin(
    cluster: &Cluster,
    name: &str,
    uid: &str,
) -> Result<(World, SelectAll<Changes<World>>), ClusterError> {
    let alone = ListParams::default().fields(&format!("metadata.name={name}"));
    let of_it = ListParams::default().labels(&format!("{BACKUP_UID}={uid}"));
    let backups = cluster.dynamic(&velero::kind("Backup"));
    let asked = cluster.dynamic(&velero::kind("DeleteBackupRequest"));
    let ((backup, of_backup), (requests, of_requests)) = try_join!(
        watch(&backups, &alone, |world: &mut World| &mut world.backup),
        watch(&asked, &of_it, |world: &mut World| &mut world.requests),
    )?;
    Ok((
        World { backup, requests },
        select_all([of_backup, of_requests]),
    ))
}

impl World {
    fn is_over(&self, uid: &str, request: &str) -> bool {
        // Without errors the Backup is about to be gone: what is watched comes in no order.
        let asked = self.asked(request);
        let has_failed = !asked.is_open() && !asked.errors().is_empty();
        self.left(uid, request).is_none() || has_failed
    }

    /// What is left of it, or what Velero says; `None` if it is gone.
    fn left(&self, uid: &str, request: &str) -> Option<String> {
        let backup = self
            .backup
            .values()
            .find(|one| one.uid().as_deref() == Some(uid))?;
        let asked = self.asked(request);
        let errors: Vec<_> = asked.errors().iter().map(|error| plain(error)).collect();
        Some(if errors.is_empty() {
            format!("it is there, in phase `{}`", Status::of(backup).phase())
        } else {
            errors.join("; ")
        })
    }

    /// How the request is doing; one that is not there has nothing to say.
    fn asked(&self, request: &str) -> deletion::Status {
        let request = self.requests.get(request);
        request.map(deletion::Status::of).unwrap_or_default()
    }
}

impl Order {
    fn understand(mut params: Params) -> Result<Self, Failure> {
        let backup = params.parsed("backup-id", name);
        if params.text("backup-id").is_none() {
            params.fault("backup-id", "is missing: `list-backups` has them");
        }
        if let Some(id) = params.text("backup-id").map(super::params::shortened)
            && params.text("confirm") != params.text("backup-id")
        {
            params.fault(
                "confirm",
                &format!(
                    "is not the backup's name: nothing of it can be had back, add `confirm={id}`"
                ),
            );
        }
        let timeout = params.timeout();
        params.finish()?;
        Ok(Self {
            backup: backup.unwrap_or_default(),
            timeout,
        })
    }

    fn request(&self, cluster: &Cluster, uid: &str) -> DynamicObject {
        let now = words::moment_in_name(jiff::Timestamp::now());
        let name = format!("{}-{now}", self.backup);
        deletion::request(&name, &self.backup, uid, cluster.namespace())
    }

    fn failure(&self, left: &str, unit: &str) -> String {
        let follow = words::follow(unit, "Backup", &self.backup);
        format!(
            "backup `{}` is not deleted after at most {}: {left}; see {follow}",
            self.backup,
            words::limit(self.timeout)
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn order(params: Value) -> Result<Order, String> {
        let Value::Object(params) = params else {
            panic!("no parameters")
        };
        Order::understand(Params::of(params)).map_err(|failure| failure.to_string())
    }

    #[test]
    fn deletion_needs_the_name_twice() {
        assert_eq!(
            order(json!({"backup-id": "nightly", "confirm": "nightly"}))
                .unwrap()
                .backup,
            "nightly"
        );
        for confirm in [json!({}), json!("yes"), json!("night")] {
            let said = order(json!({"backup-id": "nightly", "confirm": confirm})).unwrap_err();
            assert!(said.contains("add `confirm=nightly`"), "{said}");
        }
        assert!(
            order(json!({"backup-id": "a/b", "confirm": "a/b"}))
                .unwrap_err()
                .contains("`backup-id` is `a/b`")
        );
        assert!(
            order(json!({}))
                .unwrap_err()
                .contains("`backup-id` is missing")
        );
    }

    #[test]
    fn backup_is_deleted_only_once_it_is_gone() {
        let object = |uid: &str, status: Value| -> DynamicObject {
            serde_json::from_value(json!({"metadata": {"name": "x", "uid": uid}, "status": status}))
                .unwrap()
        };
        let world = |backup, request| World {
            backup: [("x".into(), backup)].into(),
            requests: [("r".into(), request)].into(),
        };
        let deleting = || object("u", json!({"phase": "Deleting"}));
        let running = world(deleting(), object("r", json!({"phase": "InProgress"})));
        assert!(!running.is_over("u", "r"));
        let failed = world(
            deleting(),
            object(
                "r",
                json!({"phase": "Processed", "errors": ["no\u{202e} store"]}),
            ),
        );
        assert!(failed.is_over("u", "r"));
        assert_eq!(failed.left("u", "r").unwrap(), "no\u{fffd} store");
        assert!(World::default().is_over("u", "r"));
        let again = world(object("other", json!({})), object("r", json!({})));
        assert_eq!(again.left("u", "r"), None, "another of that name");
    }
}
