//! A stand-in for the Velero servers, of each namespace one: it judges locations and lets Restores go.
//!
//! Invariant: it does so only where a pod of a server runs, as that pod would. A location is judged when its
//! spec is not the one that this server has judged (not when its generation moved, which verdicts do too), if
//! the pod has a plugin for its provider; and a Restore that is to go loses the finalizer that the server
//! answers for. What is missing from the real one: it asks no store, works on no Backup or Restore, and
//! says nothing where the plugin is missing, where the real one has a word for it. A change of the script
//! stands for its look at every location each minute, which it takes too.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, WatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, interval_at};

use super::follow::{follow, follow_custom};
use super::script::{Cue, Parts, Role, Verdict};

const SERVER_PODS: &str = "deploy=velero";
/// As often is each location judged again.
const EVERY: Duration = Duration::from_mins(1);
/// As often does the real one see whether a location is still to be judged.
const TICK: Duration = Duration::from_secs(10);
/// How the real one signs.
const MANAGER: &str = "velero-server";
const FINALIZER: &str = "restores.velero.io/external-resources-finalizer";

/// Works until it fails.
pub(super) async fn run(client: Client, role: Role) -> Result<()> {
    let Role { parts, mut cues } = role;
    let (found, mut inbox) = mpsc::unbounded_channel::<String>();
    let mut servers = Servers::default();
    let begin = |namespace: &str| Velero {
        client: client.clone(),
        parts: Arc::clone(&parts),
        namespace: namespace.to_owned(),
        judged: BTreeMap::new(),
    };
    let work = async {
        loop {
            tokio::select! {
                Some(namespace) = inbox.recv() => servers.call(&namespace, None, begin),
                Some(cue) = cues.recv() => servers.call(&cue.namespace.clone(), Some(cue), begin),
                Some(ended) = servers.at_work.join_next() => ended??,
            }
        }
    };
    let pods = Api::<Pod>::all(client.clone());
    let labelled = WatchParams::default().labels(SERVER_PODS);
    let place = |object: DynamicObject| object.namespace();
    let sources = async {
        tokio::join!(
            follow(pods, labelled, found.clone(), |pod: Pod| pod.namespace()),
            follow_custom(
                client.clone(),
                "BackupStorageLocation",
                found.clone(),
                place
            ),
            follow_custom(client.clone(), "Restore", found.clone(), place),
        )
    };
    tokio::select! {
        _ = sources => Ok(()),
        ended = work => ended,
    }
}

/// One for each namespace, so that none waits for another's.
#[derive(Default)]
struct Servers {
    at_work: JoinSet<Result<()>>,
    doors: BTreeMap<String, UnboundedSender<Option<Cue>>>,
}

impl Servers {
    /// Something has changed there, the script if there is a cue.
    fn call(&mut self, namespace: &str, cue: Option<Cue>, begin: impl Fn(&str) -> Velero) {
        let door = self.doors.entry(namespace.to_owned()).or_insert_with(|| {
            let (door, calls) = mpsc::unbounded_channel();
            self.at_work.spawn(begin(namespace).work(calls));
            door
        });
        // Fails when nobody looks at the namespace any more.
        let _ = door.send(cue);
    }
}

/// That of one namespace.
struct Velero {
    client: Client,
    parts: Arc<Parts>,
    namespace: String,
    /// The last judgement of each location, by its uid.
    judged: BTreeMap<String, Judgement>,
}

/// Who has judged what, and how.
#[derive(PartialEq)]
struct Judgement {
    server: (Option<String>, Option<Timestamp>),
    spec: Value,
    verdict: Verdict,
}

impl Velero {
    /// Works as long as somebody looks at the namespace.
    async fn work(mut self, mut calls: UnboundedReceiver<Option<Cue>>) -> Result<()> {
        let mut minutes = interval_at(Instant::now() + EVERY, EVERY);
        let mut ticks = interval_at(Instant::now() + TICK, TICK);
        while !self.parts.has_ended(&self.namespace) {
            tokio::select! {
                // It is dropped, and has been played, when that was seen.
                Some(_cue) = calls.recv() => self.look().await?,
                _ = minutes.tick() => self.judged.clear(),
                _ = ticks.tick() => self.look().await?,
            }
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<()> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let servers = ListParams::default().labels(SERVER_PODS);
        let Some(server) = pods.list(&servers).await?.items.into_iter().find(runs) else {
            return Ok(());
        };
        self.let_go().await?;
        self.judge(&server).await
    }

    async fn judge(&mut self, server: &Pod) -> Result<()> {
        let api = self.api("BackupStorageLocation");
        let locations = all(&api).await?;
        let verdict = |location: &DynamicObject| {
            let bucket = &location.data["spec"]["objectStorage"]["bucket"];
            self.parts
                .verdict(&self.namespace, bucket.as_str().unwrap_or_default())
        };
        if locations.iter().any(|one| verdict(one) == Verdict::Never) {
            return Ok(());
        }
        for location in &locations {
            let judgement = Judgement {
                server: (server.uid(), started(server)),
                spec: location.data["spec"].clone(),
                verdict: verdict(location),
            };
            let uid = location.uid().unwrap_or_default();
            let is_judged = has_verdict(location) && self.judged.get(&uid) == Some(&judgement);
            if is_judged || !serves(server, location) {
                continue;
            }
            let status = json!({"status": status(&location.name_any(), &judgement.verdict)});
            write(&api, location, &status).await?;
            self.judged.insert(uid, judgement);
        }
        Ok(())
    }

    async fn let_go(&self) -> Result<()> {
        let api = self.api("Restore");
        for restore in all(&api).await? {
            if restore.metadata.deletion_timestamp.is_none() {
                continue;
            }
            let others = restore.finalizers().iter().filter(|one| *one != FINALIZER);
            let others: Vec<_> = others.collect();
            if others.len() < restore.finalizers().len() {
                let left = json!({"metadata": {"finalizers": others}});
                write(&api, &restore, &left).await?;
            }
        }
        Ok(())
    }

    fn api(&self, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("velero.io", "v1", kind));
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }
}

/// None where the kind is not served.
async fn all(api: &Api<DynamicObject>) -> Result<Vec<DynamicObject>> {
    match api.list(&ListParams::default()).await {
        Ok(found) => Ok(found.items),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// Locations have no status subresource.
async fn write(api: &Api<DynamicObject>, object: &DynamicObject, patch: &Value) -> Result<()> {
    let how = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let name = object.name_any();
    match api.patch(&name, &how, &Patch::Merge(patch)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => Ok(other.map(drop)?),
    }
}

fn status(name: &str, verdict: &Verdict) -> Value {
    let now = Timestamp::now().to_string();
    let unavailable = |cause: &str| {
        json!(format!(
            "BackupStorageLocation \"{name}\" is unavailable: {cause}"
        ))
    };
    let (phase, message) = match verdict {
        Verdict::Unavailable(cause) => ("Unavailable", unavailable(cause)),
        Verdict::Other { phase, cause } => (phase.as_str(), unavailable(cause)),
        Verdict::Available | Verdict::Never => ("Available", Value::Null),
    };
    json!({"phase": phase, "message": message, "lastValidationTime": now})
}

fn has_verdict(location: &DynamicObject) -> bool {
    location.data.pointer("/status/phase").is_some()
}

fn runs(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && phase == Some("Running")
}

/// A container that was started again is another server.
fn started(server: &Pod) -> Option<Timestamp> {
    let containers = server.status.as_ref()?.container_statuses.as_ref()?;
    let running = containers.first()?.state.as_ref()?.running.as_ref()?;
    running.started_at.as_ref().map(|time| time.0)
}

/// One of the pod's plugins is for the location's provider, going by the plugin's image.
fn serves(server: &Pod, location: &DynamicObject) -> bool {
    let provider = location.data["spec"]["provider"]
        .as_str()
        .unwrap_or_default();
    let provider = provider.rsplit('/').next().unwrap_or(provider);
    let plugins = server.spec.iter().flat_map(|spec| &spec.init_containers);
    plugins
        .flatten()
        .any(|plugin| plugin.name.contains(provider) || is_for(plugin.image.as_deref(), provider))
}

fn is_for(image: Option<&str>, provider: &str) -> bool {
    image.is_some_and(|image| image.contains(&format!("-for-{provider}")))
}
