//! The ConfigMaps with the documents that Velero's programs read.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use serde_json::{Value, json};
use tracing::info;

use super::{Writer, as_dynamic, describe};
use crate::{cluster::Kind, error::Error, ours::documents};

/// As options say, whatever somebody has made of it.
pub(super) async fn put(map: &ConfigMap, writer: &Writer<'_>) -> Result<(), Error> {
    let applied = writer.put(&as_dynamic(map)?).await?;
    info!("Applied {}.", describe(&applied));
    let name = map.name_any();
    let mut live = writer.live.config_maps.iter();
    let Some(live) = live.find(|live| live.name_any() == name) else {
        return Ok(());
    };
    for key in documents::edited(live, map) {
        info!("Undid an edit of `{key}` in ConfigMap `{name}`, which is as options say.");
    }
    let unreadable = documents::unreadable(live, map);
    if unreadable.is_empty() {
        return Ok(());
    }
    let none: BTreeMap<_, _> = unreadable.iter().map(|key| (key, Value::Null)).collect();
    let (kind, change) = (Kind::of::<ConfigMap>(), json!({"data": none}));
    let cluster = writer.cluster;
    cluster
        .merge(&kind, &name, "take keys out of", change)
        .await?;
    for key in unreadable {
        info!("Took `{key}` out of ConfigMap `{name}`, of which Velero reads a single key.");
    }
    Ok(())
}
