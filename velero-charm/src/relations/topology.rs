//! Where in Juju something is from, as the charms of Juju's observability stack say it.

use serde_json::{Value, json};

use crate::{juju::Unit, ours::alerts::Matchers};

/// What this charm is called in the store, whatever its application is.
pub(crate) const CHARM: &str = "velero-operator";

/// Model and application. The unit is left out: what is said of the application must not change with its leader.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Topology {
    model: String,
    model_uuid: String,
    application: String,
}

impl Topology {
    pub(crate) fn of(unit: &Unit) -> Self {
        Self {
            model: unit.model.clone(),
            model_uuid: unit.model_uuid.clone(),
            application: unit.application.clone(),
        }
    }

    /// As it stands in data bags of `prometheus_scrape` and `loki_push_api`.
    pub(super) fn metadata(&self) -> Value {
        json!({
            "model": self.model,
            "model_uuid": self.model_uuid,
            "application": self.application,
            "unit": "",
            "charm_name": CHARM,
        })
    }

    /// As it stands next to a dashboard.
    pub(super) fn of_dashboard(&self) -> Value {
        json!({
            "model": self.model,
            "model_uuid": self.model_uuid,
            "application": self.application,
            "unit": "",
        })
    }

    /// The labels that Prometheus and Loki know it by.
    pub(super) fn labels(&self) -> [(&'static str, &str); 4] {
        [
            ("juju_model", &self.model),
            ("juju_model_uuid", &self.model_uuid),
            ("juju_application", &self.application),
            ("juju_charm", CHARM),
        ]
    }

    /// What selects our series, and nobody else's.
    pub(crate) fn matchers(&self) -> Matchers {
        let [model, uuid, application, _] = self.labels();
        Matchers::new(&[model, uuid, application])
    }

    /// A name of a group of rules, made as the Python libraries make it.
    pub(super) fn group(&self, name: &str) -> String {
        let uuid = self.model_uuid.get(..8).unwrap_or(&self.model_uuid);
        let name = format!("{}_{uuid}_{}_{name}_rules", self.model, self.application);
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
        name.chars()
            .map(|c| if is_allowed(c) { c } else { '_' })
            .collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::relations) fn topology() -> Topology {
        Topology {
            model: "prod-1".into(),
            model_uuid: "9c0a2c61-3a0e-4a59-8b1e-0d6a5b8f4c11".into(),
            application: "my-velero".into(),
        }
    }

    #[test]
    fn group_has_characters_of_metrics_alone() {
        let group = topology().group("velero");
        assert_eq!(group, "prod_1_9c0a2c61_my_velero_velero_rules");
    }
}
