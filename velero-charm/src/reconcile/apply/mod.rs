//! Sixth stage: carrying out a final plan.
//!
//! Server-side apply in an order in which each object finds what it needs. What was seen to be ours is applied
//! under its uid, and what was not seen is created or refused, so nothing of anybody else's is taken, however late
//! it comes. Deletions come last, except the repositories of an old store, which could not be recognised as left
//! over once the location is the new one. Killed between any two requests, the next hook's plan is what was left to
//! do.

mod crds;
mod documents;
mod logs;
mod schedules;
mod surplus;

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Secret},
    rbac::v1::ClusterRoleBinding,
};
use kube::{
    ResourceExt,
    api::{DynamicObject, ListParams},
};
use serde_json::{Value, json};
use tracing::info;

use super::{
    hold::{Final, Held},
    observe::{Live, Observed},
    plan::{
        Body, Credential, Expected, Install, Judged, Plan, Rollout, Steps, observers::ForObservers,
    },
    report::{self, Undertaking},
};
use crate::{
    cluster::{Cluster, ClusterError, Kind, deletion::Deletion, present},
    context::{Context, Place},
    error::Error,
    juju::env::in_cluster,
    ours::{
        Owner, credential, manifests,
        password::{self, Step},
        record::{Record, Seen},
    },
    relations::storage::{StorageRelation, note_wait},
    stranger::Stranger,
    velero::{
        self, BUNDLED, cli::Cli, document::CACHE_LIMIT, location::Verdict, settings::Settings,
    },
};

/// What was done, and what is to be seen of it.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) done: Done,
    pub(super) expected: Expected,
    /// What is not done.
    pub(super) held: Held,
    /// As they are now, if any was changed.
    pub(super) schedules: Option<Vec<DynamicObject>>,
}

/// Whether there is something new to wait for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Done {
    /// Nothing that Velero is concerned with.
    Nothing,
    Something,
}

/// Carries out a plan.
pub(super) async fn apply(
    plan: Plan<Final>,
    observed: &Observed,
    ctx: &Context,
    cluster: &Cluster,
) -> Result<Applied, Error> {
    let Plan {
        stage,
        expected,
        of_unit,
    } = plan;
    for words in of_unit {
        words.say(&ctx.tools).await?;
    }
    let (steps, held) = stage.into_parts();
    let applied = |done, expected, schedules| Applied {
        done,
        expected,
        held,
        schedules,
    };
    let Some(steps) = steps else {
        return Ok(applied(Done::Nothing, expected, None));
    };
    shake_hands(observed, ctx).await?;
    let done = if steps.is_only_notes() {
        Done::Nothing
    } else {
        announce(&steps, observed, ctx).await?;
        Done::Something
    };
    if steps.password.is_none()
        && observed.password.is_none()
        && steps.install.is_some()
        && observed.live.running.server().is_none()
    {
        info!(
            "The files of volumes are encrypted with Velero's own password, which everybody knows; \
             `repository-password` takes another as long as none are in the store."
        );
    }
    let changes_schedules = !steps.schedules.is_empty();
    if !steps.is_empty() {
        if let Judged::Changed { before } = &expected.location {
            steps.remarks.iter().for_each(|remark| info!("{remark}"));
            wait_out_verdict_second(before).await;
        }
        carry_out(steps, &observed.live, ctx, cluster).await?;
    }
    logs::tell(observed, ctx, cluster).await?;
    for relation in observed.relations.iter().flat_map(StorageRelation::all) {
        relation.is_kept(&ctx.tools).await?;
    }
    let schedules = if changes_schedules {
        Some(velero::schedule::read(cluster).await?)
    } else {
        None
    };
    Ok(applied(done, expected, schedules))
}

/// Says what makes integrators send their data, where it was not yet said.
async fn shake_hands(observed: &Observed, ctx: &Context) -> Result<(), Error> {
    let relations = observed.relations.iter().flat_map(StorageRelation::all);
    let greetings = relations.map(|relation| &relation.greeting);
    for greeting in greetings.chain(&observed.greetings) {
        greeting.say(&ctx.tools).await?;
    }
    Ok(())
}

/// Says what takes a while, before it does.
async fn announce(steps: &Steps, observed: &Observed, ctx: &Context) -> Result<(), Error> {
    let what = match (&steps.install, observed.live.running.server()) {
        (Some(_), None) => Undertaking::Install,
        (Some(_), Some(_)) => Undertaking::Update,
        (None, _) => Undertaking::Configure,
    };
    Ok(report::announce(what, ctx).await?)
}

/// Verdicts carry whole seconds. One that follows another in the same second and says the same could
/// not be told from it, so a change waits for that second's end.
async fn wait_out_verdict_second(before: &Verdict) {
    let Some(given) = before.last_validation_time else {
        return;
    };
    let next = given.as_second() * 1000 + 1000;
    let left = next - Timestamp::now().as_millisecond();
    if let Ok(left @ 1..=1000) = u64::try_from(left) {
        tokio::time::sleep(Duration::from_millis(left)).await;
    }
}

async fn carry_out(
    steps: Steps,
    live: &Live,
    ctx: &Context,
    cluster: &Cluster,
) -> Result<(), Error> {
    // Taken apart without `..`: a field that is added must be carried out here.
    let Steps {
        relabelled,
        remarks: _,
        install,
        repositories,
        password,
        credentials,
        locations,
        schedules,
        deletions,
        surplus,
        waits,
        observers,
    } = steps;
    let place = ctx.place(cluster);
    let writer = Writer {
        cluster,
        live,
        owner: place.owner,
    };
    if let Some(location) = relabelled {
        cluster.put_labels_on(&location).await?;
    }
    let groundwork = match install {
        Some(install) => {
            // Before the record is written: after it, nothing would tell that this is left to do.
            ctx.tools.set_version(BUNDLED).await?;
            Some(prepare(install, &writer, ctx).await?)
        }
        None => None,
    };
    if let Some(repositories) = repositories {
        cluster.carry_out(&repositories).await?;
    }
    if let Some(step) = password {
        see_to_password(&step, &writer, place).await?;
    }
    for credential in &credentials {
        let secret = secret(credential, &live.credentials, place)?;
        writer.put(&as_dynamic(&secret)?).await?;
        info!("Applied Secret `{}`.", credential.name);
    }
    for location in &locations {
        writer.put(location).await?;
        info!("Applied {}.", describe(location));
    }
    schedules::put(schedules, &writer).await?;
    if let Some(groundwork) = groundwork {
        finish(groundwork, &writer, place).await?;
    }
    for deletion in deletions {
        cluster.carry_out(&deletion).await?;
    }
    surplus::delete(&surplus, cluster).await?;
    for wait in waits {
        note_wait(&ctx.tools, &wait.relation, wait.since).await?;
    }
    tell(observers, &writer, ctx).await
}

/// The Service first: what is told names it.
async fn tell(observers: ForObservers, writer: &Writer<'_>, ctx: &Context) -> Result<(), Error> {
    let ForObservers {
        service,
        unused,
        words,
    } = observers;
    if let Some(service) = service {
        writer.put(&service).await?;
        info!("Applied {}.", describe(&service));
    }
    if let Some(unused) = unused {
        writer.cluster.carry_out(&unused).await?;
    }
    for words in words {
        words.say(&ctx.tools).await?;
    }
    Ok(())
}

async fn see_to_password(step: &Step, writer: &Writer<'_>, place: Place<'_>) -> Result<(), Error> {
    let (kind, name) = (Kind::of::<Secret>(), velero::REPOSITORY_PASSWORD);
    let cluster = writer.cluster;
    match step {
        Step::Make(reading) => {
            // Velero may be faster, and what it makes is not ours: the next hook sees to that.
            let secret = as_dynamic(&password::secret(reading, place.namespace))?;
            cluster.create(&secret).await?;
            info!("Made Secret `{name}` with the password of `repository-password`.");
        }
        Step::Set(reading) => {
            let change = password::change(reading);
            cluster.merge(&kind, name, "set", change).await?;
            info!("Secret `{name}` has the password of `repository-password`.");
        }
        Step::Forget => {
            let change = password::without_note();
            cluster
                .merge(&kind, name, "take a note off", change)
                .await?;
        }
    }
    Ok(())
}

/// The Secret to apply.
pub(super) fn secret(
    credential: &Credential,
    live: &[Secret],
    place: Place<'_>,
) -> Result<Secret, Error> {
    let Credential {
        name,
        content,
        readings,
    } = credential;
    let Place { namespace, owner } = place;
    match content {
        Body::New(file) => Ok(credential::secret(
            name,
            namespace,
            owner,
            file.as_ref(),
            readings,
        )),
        Body::AsItIs => {
            let there = live.iter().find(|secret| secret.name_any() == *name);
            let there = there.ok_or_else(|| Error::internal(format!("no Secret `{name}`")))?;
            Ok(credential::noted(there, owner, readings))
        }
    }
}

/// Writes what is ours, and nothing else.
struct Writer<'a> {
    cluster: &'a Cluster,
    /// What was there when the plan was made.
    live: &'a Live,
    owner: &'a Owner,
}

impl Writer<'_> {
    async fn put(&self, object: &DynamicObject) -> Result<DynamicObject, Error> {
        if let Some(uid) = self.uid(object) {
            return Ok(self.cluster.apply(object, &uid).await?);
        }
        match self.cluster.create(object).await {
            // Somebody was faster, or we did not know it for it has lost our label.
            Err(error) if error.is_conflict() => self.contest(object, error).await,
            outcome => Ok(outcome?),
        }
    }

    /// What was seen of a workload's resources stays, if it is somebody's and no option's.
    fn leave_resources(&self, workload: &mut DynamicObject, settings: &Settings) {
        let running = &self.live.running;
        let name = workload.name_any();
        let taken = if let Some(live) = running.servers.get(&name) {
            manifests::leave_resources(workload, live, &settings.server)
        } else if let Some(live) = running.node_agents.get(&name) {
            manifests::leave_resources(workload, live, &settings.node_agent)
        } else {
            Vec::new()
        };
        for taken in taken {
            info!("An option takes the place of what somebody had set: {taken}.");
        }
    }

    /// Applies an object that turned out to be there, if it is ours.
    async fn contest(
        &self,
        object: &DynamicObject,
        conflict: ClusterError,
    ) -> Result<DynamicObject, Error> {
        let (kind, name) = (Kind::of_object(object), object.name_any());
        let Some(live) = self.cluster.get(&kind, &name).await? else {
            return Err(conflict.into());
        };
        match live.uid() {
            Some(uid) if self.owner.made(&live) => Ok(self.cluster.apply(object, &uid).await?),
            _ => Err(Error::Foreign(vec![Stranger::namesake(&live, &kind.kind)])),
        }
    }

    /// The object's, if it was seen.
    fn uid(&self, object: &DynamicObject) -> Option<String> {
        let Live {
            account,
            bindings,
            record,
            config_maps,
            credentials,
            snapshot_locations,
            metrics,
            schedules,
            running,
            definitions: _,
        } = self.live;
        let name = object.name_any();
        match Kind::of_object(object).kind.as_str() {
            "ServiceAccount" => account.as_ref()?.uid(),
            "ClusterRoleBinding" => uid_of(bindings, &name),
            "Service" => metrics.as_ref()?.uid(),
            "ConfigMap" => {
                let record = record.as_ref().filter(|record| record.name_any() == name);
                record.map_or_else(|| uid_of(config_maps, &name), ResourceExt::uid)
            }
            "Secret" => uid_of(credentials, &name),
            "BackupStorageLocation" => running.locations.get(&name)?.uid(),
            "VolumeSnapshotLocation" => uid_of(snapshot_locations, &name),
            "Schedule" => schedules::uid_of(schedules, &name),
            "Deployment" => running.servers.get(&name)?.uid(),
            "DaemonSet" => running.node_agents.get(&name)?.uid(),
            _ => None,
        }
    }
}

fn uid_of(objects: &[impl ResourceExt], name: &str) -> Option<String> {
    objects.iter().find(|one| one.name_any() == name)?.uid()
}

/// An install that lacks its workloads.
struct Groundwork {
    install: Install,
    workloads: Vec<DynamicObject>,
    /// CRDs of a later Velero.
    newer: BTreeMap<String, Seen>,
}

/// Everything that must be there before a Secret or a location can be.
async fn prepare(
    install: Install,
    writer: &Writer<'_>,
    ctx: &Context,
) -> Result<Groundwork, Error> {
    let cluster = writer.cluster;
    let workload = install.basis.workload();
    let cli = Cli::new(&ctx.unit.charm_dir, cluster.namespace(), in_cluster());
    let rendered = cli.render(workload.options()).await?;
    let manifests = manifests::compose(rendered, workload, writer.owner);
    let deadline = ctx.budget.end();
    let newer = crds::define(&manifests.definitions, &install, cluster, deadline).await?;
    if let Some(binding) = &install.misbound {
        cluster.carry_out(&role_binding(binding)).await?;
    }
    for account in &manifests.accounts {
        let outcome = match &install.misbound {
            Some(binding) if *binding == account.name_any() => cluster.create(account).await?,
            _ => writer.put(account).await?,
        };
        info!("Applied {}.", describe(&outcome));
    }
    // The one that was applied is in force: the API server's authorizer hears of both in this order.
    for binding in &install.former_bindings {
        cluster.carry_out(&role_binding(binding)).await?;
    }
    for map in &install.config_maps {
        documents::put(map, writer).await?;
    }
    Ok(Groundwork {
        install,
        workloads: manifests.workloads,
        newer,
    })
}

/// The workloads, and the record of what the API server made of them.
async fn finish(
    groundwork: Groundwork,
    writer: &Writer<'_>,
    place: Place<'_>,
) -> Result<(), Error> {
    let Groundwork {
        install,
        workloads,
        newer,
    } = groundwork;
    if install.rollout == Rollout::Rolling {
        let (kind, patch) = (Kind::of::<Deployment>(), manifests::stop_rolling());
        let doing = "change the strategy of";
        let cluster = writer.cluster;
        cluster.merge(&kind, velero::SERVER, doing, patch).await?;
    }
    let mut record = Record {
        inputs: install.basis,
        server: None,
        node_agent: None,
        newer_definitions: newer,
    };
    for mut workload in workloads {
        writer.leave_resources(&mut workload, &record.inputs.workload().settings);
        let live = writer.put(&workload).await?;
        info!("Applied {}.", describe(&live));
        let seen = Seen::of(&live);
        if live.name_any() == velero::SERVER {
            record.server = seen;
        } else {
            record.node_agent = seen;
        }
    }
    if let Some(limit) = &install.cache_limit {
        limit_caches(limit, writer.cluster).await?;
    }
    // The pods that read them are gone.
    for name in &install.unread {
        let map = Deletion::named(Kind::of::<ConfigMap>(), name);
        writer.cluster.carry_out(&map).await?;
    }
    let map = record
        .to_config_map(place.namespace, place.owner)
        .map_err(Error::internal)?;
    writer.put(&as_dynamic(&map)?).await?;
    Ok(())
}

/// Velero has given a repository its limit when it made it, as text.
async fn limit_caches(limit: &Value, cluster: &Cluster) -> Result<(), Error> {
    let limit = match limit {
        Value::Null => Value::Null,
        megabytes => megabytes.to_string().into(),
    };
    let kind = velero::kind("BackupRepository");
    let all = ListParams::default();
    for repository in cluster.list(&cluster.dynamic(&kind), &all).await? {
        let change = json!({"spec": {"repositoryConfig": {CACHE_LIMIT: limit}}});
        let name = repository.name_any();
        let doing = "set the limit of the cache of";
        present(cluster.merge(&kind, &name, doing, change).await)?;
        info!("BackupRepository `{name}` has the limit of `repository-cache-mb`.");
    }
    Ok(())
}

fn role_binding(name: &str) -> Deletion {
    Deletion::named(Kind::of::<ClusterRoleBinding>(), name)
}

fn as_dynamic<K>(object: &K) -> Result<DynamicObject, Error>
where
    K: kube::Resource<DynamicType = ()> + serde::Serialize,
{
    // k8s-openapi writes the type fields; a round trip is all it takes.
    serde_json::to_value(object)
        .and_then(serde_json::from_value)
        .map_err(Error::internal)
}

fn describe(object: &DynamicObject) -> String {
    let kind = object
        .types
        .as_ref()
        .map_or("object", |types| types.kind.as_str());
    format!("{kind} `{}`", object.name_any())
}

#[cfg(test)]
mod tests;
