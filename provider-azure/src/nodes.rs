//! Where the cluster's nodes, and so the disks of its volumes, are in Azure.
//!
//! **Invariant:** known only from what the nodes' provider ids say, and the same in whatever order they
//! come in.

use std::collections::{BTreeMap, BTreeSet};

use provider_api::Facts;

const SCHEME: &str = "azure://";

/// Of a resource group's name.
const LONGEST: usize = 90;

/// The resource group of the nodes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct NodeGroup {
    pub(crate) subscription: String,
    pub(crate) resource_group: String,
    /// How many other groups have nodes.
    pub(crate) others: usize,
}

impl NodeGroup {
    /// None if no node is in Azure.
    pub(crate) fn find(facts: &Facts) -> Option<Self> {
        let spellings: BTreeSet<_> = facts
            .provider_ids
            .iter()
            .filter_map(|id| group(id))
            .collect();
        // Azure's names are the same in any case, and are written in all of them.
        let groups: BTreeMap<_, _> = spellings
            .into_iter()
            .rev()
            .map(|names| (names.map(str::to_lowercase), names))
            .collect();
        let others = groups.len().checked_sub(1)?;
        let [subscription, resource_group] = groups.into_values().next()?.map(str::to_owned);
        Some(Self {
            subscription,
            resource_group,
            others,
        })
    }
}

/// Subscription and group of `azure:///subscriptions/<id>/resourceGroups/<name>/providers/…`.
fn group(provider_id: &str) -> Option<[&str; 2]> {
    let mut parts = provider_id
        .strip_prefix(SCHEME)?
        .split('/')
        .filter(|part| !part.is_empty());
    let mut after = |key: &str| {
        let named = parts.next()?.eq_ignore_ascii_case(key);
        parts.next().filter(|name| named && is_name(name))
    };
    Some([after("subscriptions")?, after("resourceGroups")?])
}

/// A name that Azure may have given to a resource group.
pub(crate) fn is_name(name: &str) -> bool {
    let is_of_names = |c: char| c.is_alphanumeric() || "_-.()".contains(c);
    name.chars().all(is_of_names)
        && (1..=LONGEST).contains(&name.chars().count())
        && !name.ends_with('.')
}
