//! What the last apply left behind, kept in one small ConfigMap.
//!
//! Losing it costs one apply and nothing else. It holds no secret and no hash of one.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{ResourceExt, api::ObjectMeta};
use serde::{Deserialize, Serialize};
use tracing::debug;

use super::{Owner, manifests::Workload};
use crate::velero::{BUNDLED, settings::Settings};

const KEY: &str = "applied";

/// What the last apply was based on, and what the API server made of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Record {
    pub(crate) inputs: Basis,
    pub(crate) server: Option<Seen>,
    pub(crate) node_agent: Option<Seen>,
    /// CRDs of a later Velero than ours, by name.
    #[serde(default)]
    pub(crate) newer_definitions: BTreeMap<String, Seen>,
}

/// Everything that the applied manifests depended on.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Basis {
    charm: String,
    velero: String,
    workload: Workload,
}

/// One state of an object's spec. Status and labels do not move it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Seen {
    uid: String,
    generation: i64,
}

impl Basis {
    pub(crate) fn new(workload: Workload) -> Self {
        Self {
            charm: env!("CARGO_PKG_VERSION").into(),
            velero: BUNDLED.into(),
            workload,
        }
    }

    pub(crate) fn workload(&self) -> &Workload {
        &self.workload
    }

    /// Both make the same server; the node agent is no part of it, and what the server reads of documents when it
    /// starts stands among its own settings.
    pub(crate) fn same_server_as(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.workload, &other.workload);
        let workload = Workload {
            node_agent: theirs.node_agent,
            settings: Settings {
                server: ours.settings.server.clone(),
                ..theirs.settings.clone()
            },
            ..ours.clone()
        };
        Self {
            workload,
            ..self.clone()
        } == *other
    }

    /// Both make the same node agent, which knows nothing of plugins and defaults.
    pub(crate) fn same_node_agent_as(&self, other: &Self) -> bool {
        let Self {
            charm,
            velero,
            workload,
        } = self;
        let depends_on = |workload: &Workload| {
            let (image, node_agent) = (workload.velero_image.clone(), workload.node_agent);
            (image, node_agent, workload.settings.node_agent.clone())
        };
        (charm, velero) == (&other.charm, &other.velero)
            && depends_on(workload) == depends_on(&other.workload)
    }
}

impl Seen {
    pub(crate) fn of(object: &impl ResourceExt) -> Option<Self> {
        let generation = object.meta().generation?;
        Some(Self {
            uid: object.uid()?,
            generation,
        })
    }
}

impl Record {
    /// Reads it back; one that is absent or not understood is none.
    pub(crate) fn read(map: Option<&ConfigMap>) -> Option<Self> {
        let text = map?.data.as_ref()?.get(KEY)?;
        serde_json::from_str(text)
            .inspect_err(|error| debug!("The record of the last apply is not understood: {error}."))
            .ok()
    }

    /// The ConfigMap to apply.
    pub(crate) fn to_config_map(
        &self,
        namespace: &str,
        owner: &Owner,
    ) -> serde_json::Result<ConfigMap> {
        Ok(ConfigMap {
            metadata: ObjectMeta {
                name: Some(name(owner)),
                namespace: Some(namespace.into()),
                labels: Some(owner.labels()),
                ..ObjectMeta::default()
            },
            data: Some(BTreeMap::from([(KEY.into(), serde_json::to_string(self)?)])),
            ..ConfigMap::default()
        })
    }
}

/// The ConfigMap's name.
pub(crate) fn name(owner: &Owner) -> String {
    format!("{}-applied", owner.application)
}
