//! What those who watch from outside cannot use of what was said to them.

use crate::{
    ours::{Owner, metrics::NAME},
    reconcile::observe::{Live, observers::Observers},
    relations::{dashboards, metrics, observer::Observer},
};

/// Something that is not watched as it should be. Velero works all the same.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::reconcile) enum Complaint {
    /// An application refuses what it was sent.
    Refused { application: String, why: String },
    /// Somebody else has a Service of our name.
    ForeignService,
}

/// Everything that is not watched as it should be.
pub(super) fn complaints(observers: &Observers, live: &Live, owner: &Owner) -> Vec<Complaint> {
    let refused = |observer: &Observer, why: Option<String>| {
        Some(Complaint::Refused {
            application: observer.name().to_owned(),
            why: why?,
        })
    };
    let metrics = observers.metrics.iter();
    let metrics = metrics.filter_map(|one| refused(one, metrics::complaint(one)));
    let dashboards = observers.dashboards.iter();
    let dashboards = dashboards.filter_map(|one| refused(one, dashboards::complaint(one)));
    let is_foreign = !observers.metrics.is_empty() && is_foreign_service(live, owner);
    let foreign = is_foreign.then_some(Complaint::ForeignService);
    foreign
        .into_iter()
        .chain(metrics)
        .chain(dashboards)
        .collect()
}

/// A Service of our name is not ours.
pub(in crate::reconcile) fn is_foreign_service(live: &Live, owner: &Owner) -> bool {
    let service = live.metrics.as_ref();
    service.is_some_and(|service| !owner.made(service))
}

impl Complaint {
    /// What to do about it, and why.
    pub(in crate::reconcile) fn in_words(&self, namespace: &str) -> (String, String) {
        match self {
            Self::Refused { application, why } => (
                format!("see `juju debug-log --include {application}`"),
                format!("`{application}` refuses what it was sent: {why}"),
            ),
            Self::ForeignService => (
                format!("rename Service `{NAME}` in namespace `{namespace}`"),
                "it is in the way of ours, so that nothing scrapes Velero's server".into(),
            ),
        }
    }
}
