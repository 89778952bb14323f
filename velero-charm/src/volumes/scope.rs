//! Which volumes a Backup was to hold.

use std::collections::BTreeMap;

use glob::Pattern;
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{PersistentVolumeClaim, Pod, Volume},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::{
    ResourceExt,
    core::{Selector, SelectorExt as _},
};
use serde_json::{Value, from_value};

/// Namespace and name.
pub(crate) type Key = (String, String);

/// What a Backup includes.
#[derive(Debug)]
pub(crate) struct Scope {
    namespaces: Vec<String>,
    without_namespaces: Vec<String>,
    pods: bool,
    claims: bool,
    /// Any of them is enough; without one, everything is.
    selectors: Vec<Selector>,
    begun: Option<Timestamp>,
    velero: String,
}

/// Where to look.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Places {
    Everywhere,
    These(Vec<String>),
}

/// A claim in the scope that has a volume.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Claim {
    pub(crate) key: Key,
    pub(crate) uid: String,
    pub(crate) volume: String,
    pub(crate) form: Form,
    /// The selectors choose it, whatever mounts it.
    pub(crate) chosen: bool,
}

/// How a claim's volume is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    Files,
    Block,
}

/// A volume of a pod in the scope.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mount {
    pub(crate) pod: Key,
    pub(crate) volume: String,
    pub(crate) what: What,
    pub(crate) access: Access,
}

/// What is behind a pod's volume.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum What {
    Claim(Key),
    Own,
}

/// Whether Velero could have read the files through the pod.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Access {
    Open,
    /// The pod does not run, or no container has it.
    Closed,
    /// An annotation of the pod leaves the volume out.
    OptedOut,
}

const EXCLUDED: &str = "velero.io/exclude-from-backup";
const OPTED_OUT: &str = "backup.velero.io/backup-volumes-excludes";

impl Scope {
    /// Of a Backup, as Velero has filled it in.
    pub(crate) fn of(spec: &Value, begun: Option<Timestamp>, velero: &str) -> Self {
        Self {
            namespaces: texts(&spec["includedNamespaces"]),
            without_namespaces: texts(&spec["excludedNamespaces"]),
            pods: takes(spec, &["pods", "pod", "po"]),
            claims: takes(
                spec,
                &["persistentvolumeclaims", "persistentvolumeclaim", "pvc"],
            ),
            selectors: selectors(spec),
            begun,
            velero: velero.to_owned(),
        }
    }

    /// It has neither pods nor claims.
    pub(crate) fn is_without_volumes(&self) -> bool {
        !self.pods && !self.claims
    }

    pub(crate) fn places(&self) -> Places {
        let is_name = |namespace: &String| !namespace.contains(['*', '?', '[']);
        if self.namespaces.is_empty() || !self.namespaces.iter().all(is_name) {
            return Places::Everywhere;
        }
        let names = self.namespaces.iter();
        Places::These(names.filter(|name| self.covers(name)).cloned().collect())
    }

    /// The volumes of a pod.
    pub(crate) fn mounts(&self, pod: &Pod) -> Vec<Mount> {
        if !self.pods || !self.has(pod) || !self.chooses(pod) || self.is_velero(pod) {
            return Vec::new();
        }
        let volumes = pod.spec.iter().flat_map(|spec| &spec.volumes).flatten();
        volumes.filter_map(|volume| mount(pod, volume)).collect()
    }

    /// A claim that is bound.
    pub(crate) fn claim(&self, claim: &PersistentVolumeClaim) -> Option<Claim> {
        let phase = claim.status.as_ref()?.phase.as_deref();
        if !self.claims || !self.has(claim) || phase != Some("Bound") {
            return None;
        }
        let spec = claim.spec.as_ref()?;
        let is_block = spec.volume_mode.as_deref() == Some("Block");
        Some(Claim {
            key: key(claim),
            uid: claim.uid().unwrap_or_default(),
            volume: spec.volume_name.clone()?,
            form: if is_block { Form::Block } else { Form::Files },
            chosen: self.chooses(claim),
        })
    }

    fn covers(&self, namespace: &str) -> bool {
        let matches = |patterns: &[String]| {
            patterns.iter().any(|pattern| {
                pattern == namespace
                    || Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(namespace))
            })
        };
        (self.namespaces.is_empty() || matches(&self.namespaces))
            && !matches(&self.without_namespaces)
    }

    /// It is in a namespace of the scope, was there when the Backup began, and is not left out.
    fn has(&self, object: &impl ResourceExt) -> bool {
        let made = object.creation_timestamp();
        let is_later = made
            .zip(self.begun)
            .is_some_and(|(made, begun)| made.0 > begun);
        let is_left_out = object
            .labels()
            .get(EXCLUDED)
            .is_some_and(|value| value == "true");
        self.covers(&object.namespace().unwrap_or_default()) && !is_later && !is_left_out
    }

    fn chooses(&self, object: &impl ResourceExt) -> bool {
        let labels = object.labels();
        self.selectors.is_empty() || self.selectors.iter().any(|one| one.matches(labels))
    }

    /// Its own pods hold nothing but caches.
    fn is_velero(&self, pod: &Pod) -> bool {
        let labels = pod.labels();
        let says = |key: &str, value: &str| labels.get(key).is_some_and(|there| there == value);
        pod.namespace().as_deref() == Some(&self.velero)
            && (says("deploy", "velero") || says("name", "node-agent"))
    }
}

/// The resource filters of a Backup or Restore let a kind of a namespace through.
pub(crate) fn takes(spec: &Value, names: &[&str]) -> bool {
    let has = |field: &str, otherwise: bool| match &texts(&spec[field])[..] {
        [] => otherwise,
        listed => listed.iter().any(|one| {
            let one = one.to_lowercase();
            // `pods.v1.` and the like name a group and a version too.
            one == "*" || names.contains(&one.split('.').next().unwrap_or(&one))
        }),
    };
    has("includedResources", true)
        && has("includedNamespaceScopedResources", true)
        && !has("excludedResources", false)
        && !has("excludedNamespaceScopedResources", false)
}

fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items
        .filter_map(Value::as_str)
        .map(|text| text.trim().to_owned())
        .collect()
}

fn selectors(spec: &Value) -> Vec<Selector> {
    let alternatives = spec["orLabelSelectors"].as_array().into_iter().flatten();
    let all = [&spec["labelSelector"]].into_iter().chain(alternatives);
    all.filter_map(|one| {
        from_value::<LabelSelector>(one.clone())
            .ok()?
            .try_into()
            .ok()
    })
    .filter(|selector: &Selector| !selector.selects_all())
    .collect()
}

fn mount(pod: &Pod, volume: &Volume) -> Option<Mount> {
    let namespace = pod.namespace().unwrap_or_default();
    let name = pod.name_any();
    let claim = volume.persistent_volume_claim.as_ref();
    let claim = claim.map(|source| source.claim_name.clone());
    let claim = claim.or_else(|| {
        let ephemeral = volume.ephemeral.as_ref();
        ephemeral.map(|_| format!("{name}-{}", volume.name))
    });
    let what = match claim {
        Some(claim) => What::Claim((namespace.clone(), claim)),
        None if holds_data(pod, volume) => What::Own,
        None => return None,
    };
    Some(Mount {
        access: access(pod, &volume.name),
        pod: (namespace, name),
        volume: volume.name.clone(),
        what,
    })
}

/// What Kubernetes puts there itself is saved with the objects it comes from, and the files of a node are
/// not the pod's. What is in memory is meant to be lost.
fn holds_data(pod: &Pod, volume: &Volume) -> bool {
    let is_from_cluster = volume.secret.is_some()
        || volume.config_map.is_some()
        || volume.projected.is_some()
        || volume.downward_api.is_some()
        || volume.image.is_some()
        || volume.name.starts_with("default-token");
    let medium = volume
        .empty_dir
        .as_ref()
        .and_then(|dir| dir.medium.as_deref());
    let is_memory =
        medium.is_some_and(|medium| medium == "Memory" || medium.starts_with("HugePages"));
    !is_from_cluster && !is_memory && volume.host_path.is_none() && !is_of_juju(pod, volume)
}

/// Juju fills it again in each pod of its own.
fn is_of_juju(pod: &Pod, volume: &Volume) -> bool {
    volume.name == "charm-data"
        && volume.empty_dir.is_some()
        && pod
            .annotations()
            .keys()
            .any(|key| key.ends_with("juju.is/id"))
}

fn access(pod: &Pod, volume: &str) -> Access {
    let left_out = pod.annotations().get(OPTED_OUT);
    if left_out.is_some_and(|names| names.split(',').any(|name| name == volume)) {
        return Access::OptedOut;
    }
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut mounted = containers.flat_map(|one| one.volume_mounts.iter().flatten());
    if phase == Some("Running") && mounted.any(|mount| mount.name == volume) {
        Access::Open
    } else {
        Access::Closed
    }
}

pub(crate) fn key(object: &impl ResourceExt) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// The scope's mounts of claims.
pub(crate) fn by_claim(mounts: &[Mount]) -> BTreeMap<&Key, Vec<&Mount>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for mount in mounts {
        if let What::Claim(claim) = &mount.what {
            found.entry(claim).or_default().push(mount);
        }
    }
    found
}

#[cfg(test)]
mod tests;
