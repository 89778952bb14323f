//! `restore`: what a Backup holds comes back, all or in part, in its place or in another.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use kube::{ResourceExt as _, api::DynamicObject};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Failure,
    attend::{Seen, Work},
    backup::{
        Before, Limit, Results, Started, by_name, by_uid, failure, leave, outcome, see_through,
        start, unfinished_restores,
    },
    contents::{Contents, Filters},
    create_backup::{name, object},
    output::plain,
    params::Params,
    ready::ready,
    results::described,
    volumes::read::obstacles_of_restore,
    words,
};
use crate::{
    cluster::{Cluster, ClusterError},
    context::Context,
    velero::{
        self,
        job::{Status, holds},
    },
};

/// The Backup, as the user names it.
#[derive(Debug, Eq, PartialEq)]
enum Id {
    Name(String),
    Uid(String),
}

/// What the user asks for.
#[derive(Debug)]
struct Order {
    backup: Id,
    mapping: BTreeMap<String, String>,
    policy: String,
    filters: Filters,
    selector: Option<Value>,
    or_selectors: Vec<Value>,
    timeout: Duration,
    how: How,
}

/// How far the action goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum How {
    Shows,
    Starts,
    Waits,
}

pub(super) async fn run(ctx: &Context) -> Result<(), Failure> {
    let begun = Instant::now();
    let order = Order::understand(Params::read(ctx).await?)?;
    let cluster = ready(ctx).await?;
    let backup = match &order.backup {
        Id::Name(name) => by_name(&cluster, name).await?,
        Id::Uid(uid) => by_uid(&cluster, uid).await?,
    };
    let spec = order.spec(&backup.name_any());
    let mut obstacles = order.obstacles(&backup);
    obstacles.extend(of_location(&cluster, &backup).await?);
    let application = &ctx.unit.application;
    obstacles.extend(obstacles_of_restore(&cluster, &backup, &spec, application).await?);
    if !obstacles.is_empty() {
        return Err(Failure::Refused(obstacles.join("; ")));
    }
    if order.how == How::Shows {
        return show(ctx, &cluster, &backup, &order, &spec).await;
    }
    let started = begin(&cluster, &backup, &spec).await?;
    ctx.tools.action_log(&started.announcement()).await?;
    let Started { work, .. } = &started;
    let results = named(work, &backup);
    if order.how == How::Starts {
        return leave(ctx, work, results).await;
    }
    let timeout = order.timeout;
    let over =
        async |seen: &Seen, results: &mut Results| over(ctx, &cluster, work, seen, results).await;
    see_through(ctx, &cluster, work, Limit { begun, timeout }, results, over).await
}

/// Adds what is to be said of a Restore that has ended; gives why the action fails, if it does.
async fn over(
    ctx: &Context,
    cluster: &Cluster,
    work: &Work,
    seen: &Seen,
    results: &mut Results,
) -> Result<Option<String>, Failure> {
    let (more, said) = outcome(ctx, cluster, work, seen).await?;
    results.extend(more);
    if seen.volumes.all > 0 {
        let volumes = format!("{} of {}", seen.volumes.done, seen.volumes.all);
        results.push(("volumes", volumes));
    }
    let is_success = seen.status.is_success();
    Ok((!is_success).then(|| failure(work, seen, &said, &ctx.unit.name)))
}

/// Makes the Restore, or takes up one that asks for the same and still runs: two would work against each
/// other.
async fn begin(
    cluster: &Cluster,
    backup: &DynamicObject,
    spec: &Value,
) -> Result<Started, Failure> {
    let running = unfinished_restores(cluster, &backup.name_any()).await?;
    if let Some(same) = running.iter().find(|one| holds(&one.data["spec"], spec)) {
        return Ok(Started::of("Restore", same, Before::Same));
    }
    let stem: String = backup.name_any().chars().take(48).collect();
    let name = format!("{stem}-{}", words::moment_in_name(Timestamp::now()));
    let restore = object("Restore", &name, cluster.namespace(), spec)?;
    start(cluster, "Restore", &restore).await
}

fn named(work: &Work, backup: &DynamicObject) -> Results {
    vec![
        ("restore-id", work.name.clone()),
        ("restore-name", work.name.clone()),
        ("backup-id", backup.name_any()),
    ]
}

/// Says what would be restored, and restores nothing.
async fn show(
    ctx: &Context,
    cluster: &Cluster,
    backup: &DynamicObject,
    order: &Order,
    spec: &Value,
) -> Result<(), Failure> {
    let name = backup.name_any();
    let command = ["backup", "describe", &name, "--details"];
    let text = described(ctx, cluster, &command).await?.unwrap_or_default();
    let Some(contents) = Contents::of(&plain(&text), &order.filters) else {
        return Err(Failure::Refused(format!(
            "nothing is restored, and what backup `{name}` holds could not be read from the store: look with \
             `juju run {} run command=\"backup describe {name} --details\"`",
            ctx.unit.name
        )));
    };
    let mut lines = contents.lines(&order.mapping);
    if lines.is_empty() {
        lines.push("nothing: what the parameters ask for is not in the backup".into());
    }
    if order.selector.is_some() || !order.or_selectors.is_empty() {
        lines.push("of these, what the selector chooses".into());
    }
    let results = [
        ("status", "dry-run".to_owned()),
        ("backup-id", name),
        ("would-restore", lines.join("\n")),
        ("restore", spec.to_string()),
    ];
    Ok(ctx.tools.action_set_all(&results).await?)
}

/// Why nothing can be read from the store that a Backup is in.
async fn of_location(
    cluster: &Cluster,
    backup: &DynamicObject,
) -> Result<Option<String>, ClusterError> {
    let name = backup.data["spec"]["storageLocation"].as_str();
    let name = name.unwrap_or(velero::LOCATION);
    let kind = velero::kind("BackupStorageLocation");
    let Some(location) = cluster.get(&kind, name).await? else {
        return Ok(Some(format!(
            "backup `{}` is in the location `{name}`, which is not there any more",
            backup.name_any()
        )));
    };
    let status = &location.data["status"];
    Ok((status["phase"] == "Unavailable").then(|| {
        let why = status["message"].as_str().unwrap_or("Velero says no more");
        format!("its store cannot be used: {}", plain(why))
    }))
}

impl Order {
    fn understand(mut params: Params) -> Result<Self, Failure> {
        params.either("backup-id", "backup-uid");
        params.either("include-namespaces", "exclude-namespaces");
        params.either("include-resources", "exclude-resources");
        params.either("selector", "or-selector");
        let backup = match (params.parsed("backup-id", name), params.text("backup-uid")) {
            (Some(name), _) => Id::Name(name),
            (None, Some(uid)) => Id::Uid(uid.to_owned()),
            (None, None) => {
                if params.text("backup-id").is_none() {
                    params.fault("backup-id", "is missing: `list-backups` has them");
                }
                Id::Name(String::new())
            }
        };
        let order = Self {
            backup,
            mapping: params.mapping("namespace-mapping"),
            policy: params
                .text("existing-resource-policy")
                .unwrap_or("none")
                .to_owned(),
            filters: Filters {
                namespaces: params.namespaces("include-namespaces"),
                without_namespaces: params.namespaces("exclude-namespaces"),
                resources: params.list("include-resources"),
                without_resources: params.list("exclude-resources"),
            },
            selector: params.selector("selector"),
            or_selectors: params.or_selectors("or-selector"),
            timeout: params.timeout(),
            how: match (params.says("dry-run"), params.says("wait")) {
                (true, _) => How::Shows,
                (false, true) => How::Waits,
                (false, false) => How::Starts,
            },
        };
        params.finish()?;
        Ok(order)
    }

    /// Only what is asked for: Velero fills in the rest.
    fn spec(&self, backup: &str) -> Value {
        let mut spec = json!({"backupName": backup, "existingResourcePolicy": self.policy});
        let Filters {
            namespaces,
            without_namespaces,
            resources,
            without_resources,
        } = &self.filters;
        for (field, list) in [
            ("includedNamespaces", namespaces),
            ("excludedNamespaces", without_namespaces),
            ("includedResources", resources),
            ("excludedResources", without_resources),
        ] {
            if !list.is_empty() {
                spec[field] = json!(list);
            }
        }
        if !self.mapping.is_empty() {
            spec["namespaceMapping"] = json!(self.mapping);
        }
        if let Some(selector) = &self.selector {
            spec["labelSelector"] = selector.clone();
        }
        if !self.or_selectors.is_empty() {
            spec["orLabelSelectors"] = json!(self.or_selectors);
        }
        spec
    }

    /// Why this Backup cannot be restored like this.
    fn obstacles(&self, backup: &DynamicObject) -> Vec<String> {
        let name = backup.name_any();
        let status = Status::of(backup);
        let mut found = Vec::new();
        if !status.is_restorable() {
            let phase = status.phase();
            let why = match (phase, status.reason()) {
                ("Failed" | "FailedValidation", Some(reason)) => {
                    format!("it ended `{phase}`: {reason}")
                }
                ("Failed" | "FailedValidation", None) => format!("it ended `{phase}`"),
                ("Deleting", _) => "it is being deleted".to_owned(),
                _ => format!("it has not ended (`{phase}`)"),
            };
            found.push(format!("backup `{name}` cannot be restored: {why}"));
        }
        let lacks = |namespace: &str| !includes(&backup.data["spec"], namespace);
        for (parameter, names) in [
            ("namespace-mapping", self.mapping.keys().collect::<Vec<_>>()),
            (
                "include-namespaces",
                self.filters.namespaces.iter().collect(),
            ),
        ] {
            let missing: Vec<_> = names
                .into_iter()
                .filter(|name| lacks(name))
                .map(String::as_str)
                .collect();
            if !missing.is_empty() {
                let missing = missing.join("`, `");
                found.push(format!(
                    "`{parameter}` has `{missing}`, which backup `{name}` does not include"
                ));
            }
        }
        found
    }
}

/// A Backup includes a namespace, as far as its spec tells.
fn includes(spec: &Value, namespace: &str) -> bool {
    let names = spec["includedNamespaces"].as_array();
    let names = names.into_iter().flatten().filter_map(Value::as_str);
    let names: Vec<_> = names.collect();
    let is_pattern = |name: &str| name.contains(['*', '?', '[']);
    names.is_empty()
        || is_pattern(namespace)
        || names
            .iter()
            .any(|name| *name == namespace || is_pattern(name))
}

#[cfg(test)]
mod tests;
