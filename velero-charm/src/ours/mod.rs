//! What this charm makes in a cluster: its labels, its objects and their content.

pub(crate) mod alerts;
pub(crate) mod credential;
pub(crate) mod dashboard;
pub(crate) mod documents;
pub(crate) mod failures;
pub(crate) mod keep;
pub(crate) mod location;
pub(crate) mod manifests;
pub(crate) mod metrics;
pub(crate) mod password;
pub(crate) mod record;
pub(crate) mod schedule;

use std::collections::BTreeMap;

use kube::ResourceExt;

use crate::{cluster::owned, velero};

/// What carries this is left alone by Juju's webhook, and so by its sweep after a removal: the CRDs serve
/// every Velero of the cluster.
pub(crate) const SKIP_JUJU_WEBHOOK: (&str, &str) = ("model.juju.is/disable-webhook", "true");
/// What Juju's webhook has put on CRDs that were made without it, and what its sweep selects by: all of the
/// cluster's backups would go with one application.
pub(crate) const JUJU_OWNERSHIP_LABELS: [&str; 4] = [
    "app.juju.is/created-by",
    "app.kubernetes.io/managed-by",
    "model.juju.is/id",
    "model.juju.is/name",
];
/// On CRDs: the Velero that they were made for.
pub(crate) const CRD_VERSION: &str = "velero-operator/velero-version";

/// Whose an object is: the application, in the model, that made it.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) application: String,
    pub(crate) model_uuid: String,
}

impl Owner {
    const APPLICATION: &str = "velero-operator/application";
    const MODEL: &str = "velero-operator/model";

    /// The labels that everything of ours carries.
    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        let pairs = [
            (Self::APPLICATION, &self.application),
            (Self::MODEL, &self.model_uuid),
        ];
        pairs
            .map(|(key, value)| (key.to_owned(), value.clone()))
            .into()
    }

    /// Selects everything of ours.
    pub(crate) fn selector(&self) -> String {
        format!(
            "{}={},{}={}",
            Self::APPLICATION,
            self.application,
            Self::MODEL,
            self.model_uuid
        )
    }

    /// Selects what any application of this charm has made.
    pub(crate) const ANY: &str = Self::APPLICATION;

    /// The application whose label the object carries.
    pub(crate) fn labelled_by(object: &impl ResourceExt) -> Option<&str> {
        object.labels().get(Self::APPLICATION).map(String::as_str)
    }

    /// The object is ours: by its label, or it has lost that and we have applied it.
    pub(crate) fn made(&self, object: &impl ResourceExt) -> bool {
        let entries = object.meta().managed_fields.as_ref();
        self.owns(object)
            || (Self::labelled_by(object).is_none() && owned::our_entry(entries).is_some())
    }

    /// The object carries our label.
    pub(crate) fn owns(&self, object: &impl ResourceExt) -> bool {
        self.labels()
            .iter()
            .all(|(key, value)| object.labels().get(key) == Some(value))
    }
}

/// Our name for the binding that makes the server an administrator: cluster-wide, hence the model in it.
pub(crate) fn role_binding(namespace: &str, owner: &Owner) -> String {
    format!(
        "{}-{}",
        velero::plain_role_binding(namespace),
        owner.model_uuid
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_binding_cannot_meet_one_of_helm() {
        let owner = Owner {
            application: "velero".into(),
            model_uuid: "m".into(),
        };
        assert_eq!(role_binding("server", &owner), "velero-server-m");
        assert_eq!(role_binding("velero", &owner), "velero-m");
    }
}
