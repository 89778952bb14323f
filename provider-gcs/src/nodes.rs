//! Where the cluster's nodes, and so the disks of its volumes, are in Google Cloud.
//!
//! **Invariant:** known only from what the nodes' provider ids say, and the same in whatever order they
//! come in.

use std::collections::BTreeSet;

use provider_api::Facts;

const SCHEME: &str = "gce://";

/// The project of the nodes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct NodeProject {
    pub(crate) name: String,
    /// How many other projects have nodes.
    pub(crate) others: usize,
}

impl NodeProject {
    /// `None` if no node is in Google Cloud. Of several projects, the service account's own if it is one of them.
    pub(crate) fn find(facts: &Facts, own: Option<&str>) -> Option<Self> {
        let ids = facts.provider_ids.iter();
        let projects: BTreeSet<_> = ids.filter_map(|id| project(id)).collect();
        let own = own.and_then(|own| projects.get(own));
        let name = own.or_else(|| projects.first())?;
        Some(Self {
            name: (*name).to_owned(),
            others: projects.len() - 1,
        })
    }
}

/// That of `gce://<project>/<zone>/<name>`.
fn project(provider_id: &str) -> Option<&str> {
    let mut parts = provider_id.strip_prefix(SCHEME)?.split('/');
    let names = [parts.next()?, parts.next()?, parts.next()?];
    (parts.next().is_none() && names.iter().all(|name| is_name(name))).then_some(names[0])
}

/// A name that Google may have given. Projects of some organisations have a domain in front: `example.com:shop`.
fn is_name(name: &str) -> bool {
    let is_of_names = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.:".contains(c);
    !name.is_empty() && name.chars().all(is_of_names)
}
