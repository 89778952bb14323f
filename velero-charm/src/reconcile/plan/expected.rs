//! What is to be seen once a plan is carried out.

use kube::api::DynamicObject;

use super::Steps;
use crate::{
    reconcile::validate::{Desired, Intent},
    velero::{
        install::NodeAgent,
        location::{self, Verdict},
    },
};

/// The parts of Velero that there are to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::reconcile) struct Expected {
    pub(in crate::reconcile) server: Presence,
    pub(in crate::reconcile) node_agent: Presence,
    pub(in crate::reconcile) location: Judged,
}

/// Whether a part is to be there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::reconcile) enum Presence {
    No,
    /// Nothing is done about it: one that is there is to work, and one that is not does not come.
    AsItIs,
    Yes,
}

/// Whether a location is to be there, and which verdict on it is no news.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::reconcile) enum Judged {
    No,
    /// Nothing is done about it: one that is there is to work, and one that is not does not come.
    AsItIs,
    Yes,
    /// It changes; this is what Velero had said before.
    Changed {
        before: Verdict,
    },
}

impl Expected {
    /// What comes of these steps, taken because of what is asked for.
    pub(super) fn of(steps: &Steps, desired: &Desired, live: Option<&DynamicObject>) -> Self {
        let (server, node_agent) = match &desired.core {
            Ok(core) if core.node_agent == NodeAgent::On => (Presence::Yes, Presence::Yes),
            Ok(_) => (Presence::Yes, Presence::No),
            Err(_) => (Presence::AsItIs, Presence::AsItIs),
        };
        let changes = steps.locations.iter().any(location::is_backup_location);
        Self {
            server,
            node_agent,
            location: match &desired.storage {
                Intent::None => Judged::No,
                Intent::Set { .. } if changes => Judged::Changed {
                    before: live.map(location::verdict).unwrap_or_default(),
                },
                Intent::Set { .. } if desired.core.is_ok() => Judged::Yes,
                Intent::Set { .. } | Intent::Keep(_) => Judged::AsItIs,
            },
        }
    }
}
