//! `create-backup`: a Backup, waited for unless the user says otherwise.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::{ResourceExt as _, api::DynamicObject};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::{
    Failure,
    attend::{Seen, Work},
    backup::{Limit, Results, Started, failure, leave, outcome, see_through, start},
    output::plain,
    params::{Params, is_name, label_value, lifetime, target},
    ready::ready,
    words,
};
use crate::{
    cluster::{Cluster, Kind},
    context::Context,
    reconcile::validate::{
        clients::{Name, find},
        volume_backups,
    },
    relations::backups,
    velero::{self, template::Saving},
    volumes::{note::Note, read::report, report::Report},
};

/// How long it may take to find out what a Backup holds of volumes.
const REPORT: Duration = Duration::from_secs(30);

/// What the user asks for.
#[derive(Debug)]
struct Order {
    what: What,
    name: Option<String>,
    ttl: Option<String>,
    wait: bool,
    timeout: Duration,
    volumes: Volumes,
}

/// What is to be backed up.
#[derive(Debug)]
enum What {
    Namespaces(Vec<String>),
    /// What a related application asks for.
    Target(Name),
}

/// What a Backup is to hold, and what it is called by.
#[derive(Debug)]
struct Wish {
    /// What a name is made of, with the time.
    stem: String,
    labels: BTreeMap<String, String>,
    spec: Value,
}

/// What volumes without data are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Volumes {
    Named,
    /// A reason to fail.
    Required,
}

pub(super) async fn run(ctx: &Context) -> Result<(), Failure> {
    let begun = Instant::now();
    let order = Order::understand(Params::read(ctx).await?)?;
    let cluster = ready(ctx).await?;
    let wish = match &order.what {
        What::Namespaces(namespaces) => {
            namespaces_exist(&cluster, "`namespaces` names", namespaces).await?;
            of_namespaces(namespaces, order.ttl.as_deref())
        }
        What::Target(name) => of_target(ctx, &cluster, name, order.ttl.as_deref()).await?,
    };
    let backup = wish.backup(order.name, cluster.namespace(), Timestamp::now())?;
    let started = start(&cluster, "Backup", &backup).await?;
    ctx.tools.action_log(&started.announcement()).await?;
    let Started { work, .. } = &started;
    let results = named(work);
    if !order.wait {
        return leave(ctx, work, results).await;
    }
    let timeout = order.timeout;
    let over = async |seen: &Seen, results: &mut Results| {
        over(ctx, &cluster, work, seen, order.volumes, results).await
    };
    see_through(ctx, &cluster, work, Limit { begun, timeout }, results, over).await
}

/// Adds what is to be said of a Backup that has ended; gives why the action fails, if it does.
async fn over(
    ctx: &Context,
    cluster: &Cluster,
    work: &Work,
    seen: &Seen,
    volumes: Volumes,
    results: &mut Results,
) -> Result<Option<String>, Failure> {
    let (more, said) = outcome(ctx, cluster, work, seen).await?;
    results.extend(more);
    if let Some(expires) = seen.status.expires() {
        results.push(("expires", words::moment(expires)));
    }
    let report = volumes_of(cluster, work).await;
    let lack = match &report {
        Ok(report) => {
            let note = Note::metadata(Some(&report.into()));
            let kind = velero::kind(work.kind);
            // The next hook of the leader does it where this does not succeed.
            if let Err(error) = cluster.merge(&kind, &work.name, "annotate", note).await {
                debug!("{error}");
            }
            results.push(("volumes", report.saved()));
            results.extend(
                report
                    .missing()
                    .map(|names| ("volumes-without-data", names)),
            );
            report.warning(&ctx.unit.application)
        }
        Err(why) if seen.status.is_restorable() => Some(format!(
            "NOTE: whether it holds the data of all volumes could not be found out: {why}"
        )),
        Err(_) => None,
    };
    if let Some(lack) = &lack {
        ctx.tools.action_log(&plain(lack)).await?;
    }
    if !seen.status.is_success() {
        return Ok(Some(failure(work, seen, &said, &ctx.unit.name)));
    }
    let is_whole = report.is_ok_and(|report| report.missing().is_none());
    Ok((volumes == Volumes::Required && !is_whole).then(|| {
        format!(
            "{} is complete but does not hold the data of all volumes, which `require-volumes` asks \
             for: {}",
            work.named(),
            lack.unwrap_or_default()
        )
    }))
}

async fn volumes_of(cluster: &Cluster, work: &Work) -> Result<Report, String> {
    match timeout(REPORT, report(cluster, &work.name)).await {
        Ok(Ok(Some(report))) => Ok(report),
        Ok(Ok(None)) => Err("it has not ended well".into()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("not within {} s", REPORT.as_secs())),
    }
}

fn named(work: &Work) -> Results {
    vec![
        ("backup-id", work.name.clone()),
        ("backup-name", work.name.clone()),
        ("backup-uid", work.uid.clone()),
    ]
}

/// Velero completes a backup of a namespace that is not there.
async fn namespaces_exist(cluster: &Cluster, who: &str, names: &[String]) -> Result<(), Failure> {
    let mut missing = Vec::new();
    for name in names.iter().filter(|name| is_name(name)) {
        if cluster.get(&Kind::of::<Namespace>(), name).await?.is_none() {
            missing.push(name.as_str());
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::Refused(format!(
        "{who} what this cluster does not have: `{}`",
        missing.join("`, `")
    )))
}

fn of_namespaces(namespaces: &[String], ttl: Option<&str>) -> Wish {
    let mut spec = json!({
        "includedNamespaces": namespaces,
        "storageLocation": velero::LOCATION,
    });
    if let Some(ttl) = ttl {
        spec["ttl"] = Value::from(ttl);
    }
    let stem = match namespaces {
        [one] if is_name(one) && one.len() <= 48 => one,
        _ => "backup",
    };
    Wish {
        stem: stem.to_owned(),
        labels: BTreeMap::new(),
        spec,
    }
}

/// The same as the target's Schedule would have it now.
async fn of_target(
    ctx: &Context,
    cluster: &Cluster,
    name: &Name,
    ttl: Option<&str>,
) -> Result<Wish, Failure> {
    let clients = backups::read(&ctx.tools, &ctx.unit).await?;
    let config = ctx.tools.config().await?;
    let (key, template) =
        find(&clients, &config, name, ttl).map_err(|error| Failure::Refused(error.to_string()))?;
    let who = format!("{name} names");
    namespaces_exist(cluster, &who, &template.included_namespaces).await?;
    let snapshots = velero::kind("VolumeSnapshotLocation");
    let snapshots = cluster.get(&snapshots, velero::LOCATION).await?;
    let saving = Saving {
        snapshot_location: snapshots
            .filter(|location| ctx.owner.owns(location))
            .map(|_| velero::LOCATION),
        volume_backups: volume_backups(&config),
    };
    Ok(Wish {
        stem: key.stem(),
        labels: key.labels(),
        spec: template.spec(saving),
    })
}

impl Wish {
    fn backup(
        self,
        name: Option<String>,
        namespace: &str,
        now: Timestamp,
    ) -> Result<DynamicObject, Failure> {
        let name = name.unwrap_or_else(|| format!("{}-{}", self.stem, words::moment_in_name(now)));
        let mut backup = object("Backup", &name, namespace, &self.spec)?;
        backup.labels_mut().extend(self.labels);
        Ok(backup)
    }
}

impl Order {
    fn understand(mut params: Params) -> Result<Self, Failure> {
        let order = Self {
            what: What::understand(&mut params),
            name: params.parsed("name", name),
            ttl: params.parsed("ttl", lifetime),
            wait: params.says("wait"),
            timeout: params.timeout(),
            volumes: if params.says("require-volumes") {
                Volumes::Required
            } else {
                Volumes::Named
            },
        };
        if order.volumes == Volumes::Required && !order.wait {
            params.fault(
                "require-volumes",
                "is only known at the end: leave out `wait=false`",
            );
        }
        params.finish()?;
        Ok(order)
    }
}

impl What {
    fn understand(params: &mut Params) -> Self {
        params.either("target", "namespaces");
        let namespaces = params.namespaces("namespaces");
        let target = params.parsed("target", target);
        let model = params.parsed("model", label_value);
        if params.text("target").is_none() {
            if namespaces.is_empty() {
                params.fault(
                    "namespaces",
                    "is empty: give the namespaces to back up, separated by commas, or `*` for all; or \
                     give a `target`",
                );
            }
            if params.text("model").is_some() {
                params.fault("model", "is not enough: add `target`");
            }
        }
        match target {
            Some((app, endpoint)) => Self::Target(Name {
                app,
                endpoint,
                model,
            }),
            None => Self::Namespaces(namespaces),
        }
    }
}

/// An object of Velero's with the annotation of the previous charm.
pub(super) fn object(
    kind: &str,
    name: &str,
    namespace: &str,
    spec: &Value,
) -> Result<DynamicObject, Failure> {
    let created_at = Timestamp::now().as_second().to_string();
    let object = json!({
        "apiVersion": "velero.io/v1",
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "annotations": {"created-at": created_at},
        },
        "spec": spec,
    });
    serde_json::from_value(object)
        .map_err(|error| Failure::Charm(crate::error::Error::internal(error)))
}

/// A clause for a name that Kubernetes would refuse.
pub(super) fn name(text: &str) -> Result<String, String> {
    if is_name(text) {
        return Ok(text.to_owned());
    }
    let text = super::params::shortened(text);
    Err(format!(
        "is `{text}`: give lower-case letters, digits, `-` and `.`, at most 63, beginning and ending \
         with a letter or digit"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: &str = "2026-11-28T12:00:05Z";

    fn order(params: Value) -> Result<Order, String> {
        let Value::Object(params) = params else {
            panic!("no parameters")
        };
        Order::understand(Params::of(params)).map_err(|failure| failure.to_string())
    }

    fn backup(params: Value) -> DynamicObject {
        let order = order(params).unwrap();
        let What::Namespaces(namespaces) = &order.what else {
            panic!("{order:?}")
        };
        let wish = of_namespaces(namespaces, order.ttl.as_deref());
        wish.backup(order.name, "model", NOON.parse().unwrap())
            .unwrap()
    }

    #[test]
    fn order_becomes_a_backup() {
        let params =
            json!({"namespaces": "shop, bank", "name": "nightly", "ttl": "30m", "wait": true});
        let backup = backup(params);
        assert_eq!(backup.name_any(), "nightly");
        assert_eq!(
            backup.data["spec"],
            json!({"includedNamespaces": ["shop", "bank"], "storageLocation": "default", "ttl": "30m"})
        );
        assert!(backup.annotations().contains_key("created-at"));
    }

    #[test]
    fn name_is_made_of_the_namespace_and_the_time() {
        let name = |namespaces: &str| backup(json!({"namespaces": namespaces})).name_any();
        assert_eq!(name("shop"), "shop-20261128120005");
        assert_eq!(name("shop,bank"), "backup-20261128120005");
        assert_eq!(name("*"), "backup-20261128120005");
    }

    #[test]
    fn order_is_for_namespaces_or_a_target() {
        let refused = |params, clause: &str| {
            let said = order(params).unwrap_err();
            assert!(said.starts_with(clause) && !said.contains("; `"), "{said}");
        };
        let both = json!({"namespaces": "shop", "target": "a:b"});
        refused(both, "`target` and `namespaces` exclude each other");
        refused(json!({"target": "minio"}), "`target` is `minio`");
        refused(
            json!({"namespaces": "shop", "model": "m"}),
            "`model` is not enough",
        );
        let order = order(json!({"target": "a:b", "model": "m"})).unwrap();
        let What::Target(name) = order.what else {
            panic!("{order:?}")
        };
        assert_eq!(name.to_string(), "`a:b` in model `m`");
    }

    #[test]
    fn faults_of_an_order_are_reported_at_once() {
        let params = json!({
            "namespaces": " ", "name": "A b", "ttl": "30d", "timeout": "0s", "require-volumes": true,
            "wait": false,
        });
        let said = order(params).unwrap_err();
        for name in [
            "`namespaces` is empty",
            "`name` is `A b`",
            "`ttl` is `30d`",
            "`timeout` is",
            "`require-volumes` is only",
        ] {
            assert!(said.contains(name), "{name}: {said}");
        }
    }
}
