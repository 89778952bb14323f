//! An object that is in our way, and what to do about it.

use std::fmt::{self, Display};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{ResourceExt, api::DynamicObject};

use crate::{cluster::Kind, juju::Clause, ours::Owner};

/// An object that is neither ours nor the previous charm's.
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

    /// What to do about it, and why.
    pub(crate) fn clause(&self) -> Clause {
        let place = self.place();
        let (remedy, cause) = match &self.whose {
            Whose::Velero => (
                format!("remove {place}"),
                "it is a Velero that this charm did not install".to_owned(),
            ),
            Whose::Namesake => (
                format!("delete {place}"),
                "it has a name that this charm needs, and is not this charm's".to_owned(),
            ),
            Whose::Application(name) => (
                format!(
                    "remove `{name}` (if Juju has lost it, deploy this charm as `{name}` first)"
                ),
                format!("{place} belongs to application `{name}`"),
            ),
        };
        Clause::new(format!("{remedy}, or deploy into another model"), cause)
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
