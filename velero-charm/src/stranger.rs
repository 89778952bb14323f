//! An object that is in our way, and what to do about it.

use std::fmt::{self, Display};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{ResourceExt, api::DynamicObject};

use crate::{cluster::Kind, ours::Owner};

/// An object that is neither ours nor our predecessor's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Stranger {
    kind: String,
    name: String,
    namespace: Option<String>,
    whose: Whose,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Whose {
    /// Somebody else's server.
    Velero,
    /// It has one of our names.
    Namesake,
    /// Another application of this charm has made it.
    Application(String),
}

impl Stranger {
    /// One that has a name of ours.
    pub(crate) fn namesake(object: &impl ResourceExt, kind: &str) -> Self {
        Self::new(object, kind, Whose::Namesake)
    }

    /// A server of Velero's.
    pub(crate) fn server(object: &impl ResourceExt, kind: &str) -> Self {
        Self::new(object, kind, Whose::Velero)
    }

    /// What controls it, in its place.
    pub(crate) fn controlled_by(self, controller: &OwnerReference) -> Self {
        Self {
            kind: controller.kind.clone(),
            name: controller.name.clone(),
            ..self
        }
    }

    fn new(object: &impl ResourceExt, kind: &str, otherwise: Whose) -> Self {
        let application = Owner::labelled_by(object).map(ToOwned::to_owned);
        Self {
            kind: kind.to_owned(),
            name: object.name_any(),
            namespace: object.namespace(),
            whose: application.map_or(otherwise, Whose::Application),
        }
    }

    /// It is this object of our namespace, or outside of all.
    pub(crate) fn is(&self, object: &DynamicObject) -> bool {
        Kind::of_object(object).kind == self.kind && object.name_any() == self.name
    }

    /// What is wrong and what to do.
    pub(crate) fn advice(&self) -> String {
        let namespace = self.namespace.as_deref();
        let place = namespace.map_or_else(
            || "the cluster".to_owned(),
            |name| format!("namespace `{name}`"),
        );
        let (what, remedy) = match &self.whose {
            Whose::Velero => (
                format!("has a Velero that is not this charm's, {self}"),
                "remove it".to_owned(),
            ),
            Whose::Namesake => (
                format!("has a {self} that is not this charm's"),
                "delete it".to_owned(),
            ),
            Whose::Application(name) => (
                format!("has the Velero of application `{name}` ({self})"),
                format!(
                    "remove `{name}` (if Juju has lost it, deploy this charm as `{name}` first)"
                ),
            ),
        };
        format!("{place} {what}: {remedy}, or deploy into another model")
    }

    fn place(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{self} in namespace `{namespace}`"),
            None => self.to_string(),
        }
    }
}

/// All of them, for a log.
pub(crate) fn places(strangers: &[Stranger]) -> String {
    let places: Vec<_> = strangers.iter().map(Stranger::place).collect();
    places.join(", ")
}

impl Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind, self.name)
    }
}
