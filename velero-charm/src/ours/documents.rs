//! The ConfigMaps with the documents that Velero's programs read.
//!
//! A document is under the charm's own key, which is as options say. What somebody has put next to it stays where
//! Velero reads it, and goes where Velero would refuse all.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{ResourceExt, api::ObjectMeta};
use serde_json::Value;

use super::{Owner, manifests::Workload};
use crate::{
    cluster::owned,
    velero::{
        document::{Document, Others},
        install::NodeAgent,
        settings::Program,
    },
};

/// Those that are wanted. What only a node agent reads is of no use where none runs.
pub(crate) fn config_maps(workload: &Workload, namespace: &str, owner: &Owner) -> Vec<ConfigMap> {
    let all = workload.settings.documents.iter();
    let is_read = |document: Document| match document.reader() {
        Program::Server => true,
        Program::NodeAgent => workload.node_agent == NodeAgent::On,
    };
    let read = all.filter(|(document, _)| is_read(**document));
    let map = read.map(|(document, content)| ConfigMap {
        metadata: ObjectMeta {
            name: Some(document.name().into()),
            namespace: Some(namespace.into()),
            labels: Some(owner.labels()),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(
            document.key().into(),
            Value::Object(content.clone()).to_string(),
        )])),
        ..ConfigMap::default()
    });
    map.collect()
}

/// All that are wanted are among the live ones, as they are wanted.
pub(crate) fn are_there(wanted: &[ConfigMap], live: &[ConfigMap]) -> bool {
    wanted.iter().all(|wanted| {
        let same = live
            .iter()
            .find(|live| live.name_any() == wanted.name_any());
        same.is_some_and(|live| has(live, wanted) && unreadable(live, wanted).is_empty())
    })
}

/// Each key of the one is in the other, with the same value.
fn has(live: &ConfigMap, wanted: &ConfigMap) -> bool {
    let mut all = wanted.data.iter().flatten();
    all.all(|(key, value)| value_of(live, key) == Some(value))
}

fn value_of<'a>(map: &'a ConfigMap, key: &str) -> Option<&'a String> {
    map.data.as_ref()?.get(key)
}

/// The keys with which Velero would not read the live one. An apply leaves them: they are somebody else's.
pub(crate) fn unreadable(live: &ConfigMap, wanted: &ConfigMap) -> Vec<String> {
    let name = wanted.name_any();
    let document = Document::ALL.iter().find(|one| one.name() == name);
    if document.is_none_or(|document| document.others() == Others::Read) {
        return Vec::new();
    }
    let keys = live.data.iter().flat_map(BTreeMap::keys);
    let others = keys.filter(|key| value_of(wanted, key).is_none());
    others.cloned().collect()
}

/// The keys under which somebody else has written something that is not wanted.
pub(crate) fn edited(live: &ConfigMap, wanted: &ConfigMap) -> Vec<String> {
    let managers = live.metadata.managed_fields.as_ref();
    let is_of_others = |key: &str| {
        let path = ["f:data".to_owned(), format!("f:{key}")];
        owned::is_of_others(&path, managers)
    };
    let keys = wanted.data.iter().flat_map(BTreeMap::keys);
    let changed = keys.filter(|key| {
        let (live, wanted) = (value_of(live, key), value_of(wanted, key));
        live.is_some() && live != wanted && is_of_others(key)
    });
    changed.cloned().collect()
}

/// The names of those that nobody reads any more.
pub(crate) fn unread(wanted: &[ConfigMap], live: &[ConfigMap]) -> Vec<String> {
    let is_wanted = |name: &String| wanted.iter().any(|wanted| wanted.name_any() == *name);
    let is_document = |name: &String| Document::ALL.iter().any(|one| one.name() == name);
    let names = live.iter().map(ResourceExt::name_any);
    let names = names.filter(|name| is_document(name) && !is_wanted(name));
    names.collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
    use serde_json::json;

    use super::*;
    use crate::velero::{
        install::VolumeBackups,
        settings::{Place, Settings},
    };

    fn owner() -> Owner {
        Owner {
            application: "v".into(),
            model_uuid: "m".into(),
        }
    }

    fn maps(node_agent: NodeAgent) -> Vec<ConfigMap> {
        let class = |document| {
            let place = Place::Field(document, &["priorityClassName"]);
            (place, json!("high"))
        };
        let documents = [Document::NodeAgent, Document::Maintenance];
        let workload = Workload {
            velero_image: "velero:v1".into(),
            node_agent,
            volume_backups: VolumeBackups::Snapshot,
            plugin: None,
            settings: documents.map(class).into_iter().collect::<Settings>(),
        };
        config_maps(&workload, "ns", &owner())
    }

    #[test]
    fn document_of_a_node_agent_is_of_no_use_without_one() {
        let names = |node_agent| {
            let maps = maps(node_agent);
            maps.iter().map(ResourceExt::name_any).collect::<Vec<_>>()
        };
        assert_eq!(names(NodeAgent::Off), ["velero-maintenance-config"]);
        let both = ["velero-node-agent-config", "velero-maintenance-config"];
        assert_eq!(names(NodeAgent::On), both);
    }

    #[test]
    fn documents_are_there_as_long_as_nobody_touches_them() {
        let wanted = maps(NodeAgent::On);
        assert!(are_there(&wanted, &wanted));
        assert!(!are_there(&wanted, &wanted[..1]));
        let mut edited = wanted.clone();
        edited[0].data = Some(BTreeMap::from([("config".into(), "{}".into())]));
        assert!(!are_there(&wanted, &edited));
    }

    /// The same, after somebody has written this.
    fn written(map: &ConfigMap, key: &str, value: &str) -> ConfigMap {
        let mut map = map.clone();
        let data = map.data.get_or_insert_default();
        data.insert(key.into(), value.into());
        let owned = json!({"f:data": {format!("f:{key}"): {}}});
        map.metadata.managed_fields = Some(vec![ManagedFieldsEntry {
            manager: Some("kubectl-edit".into()),
            operation: Some("Update".into()),
            fields_v1: Some(FieldsV1(owned)),
            ..ManagedFieldsEntry::default()
        }]);
        map
    }

    #[test]
    fn key_of_somebody_stays_where_velero_reads_it() {
        let wanted = maps(NodeAgent::On);
        let [agent, maintenance] = wanted.as_slice() else {
            panic!("{wanted:?}");
        };
        let live = written(maintenance, "shop-default-kopia", "{}");
        assert!(are_there(&wanted, &[agent.clone(), live.clone()]));
        assert_eq!(unreadable(&live, maintenance), Vec::<String>::new());

        let live = written(agent, "mine", "{}");
        assert!(!are_there(&wanted, &[live.clone(), maintenance.clone()]));
        assert_eq!(unreadable(&live, agent), ["mine"]);
        assert_eq!(edited(&live, agent), Vec::<String>::new());
    }

    #[test]
    fn edit_is_what_somebody_else_has_written() {
        let wanted = &maps(NodeAgent::On)[0];
        let live = written(wanted, "config", "{}");
        assert_eq!(edited(&live, wanted), ["config"]);
        let mut by_us = live;
        by_us.metadata.managed_fields = None;
        assert_eq!(edited(&by_us, wanted), Vec::<String>::new(), "an option");
        let same = written(wanted, "config", &wanted.data.clone().unwrap()["config"]);
        assert_eq!(edited(&same, wanted), Vec::<String>::new());
    }

    #[test]
    fn documents_alone_go_when_nobody_reads_them() {
        let mut live = maps(NodeAgent::On);
        let wanted = live.split_off(1);
        live.extend(wanted.clone());
        let mut other = wanted[0].clone();
        other.metadata.name = Some("v-other".into());
        live.push(other);
        assert_eq!(unread(&wanted, &live), ["velero-node-agent-config"]);
    }
}
