//! Where the nodes are, by what they are to Amazon: `aws:///eu-central-1a/i-0abc`.

use std::collections::BTreeSet;

use provider_api::Facts;

/// The region of the nodes that are instances of EC2, if there are any and all are in one.
pub(crate) fn region(facts: &Facts) -> Option<&str> {
    let ids = facts.provider_ids.iter();
    let regions: BTreeSet<_> = ids.filter_map(|id| of_instance(id)).collect();
    let mut regions = regions.into_iter();
    regions.next().filter(|_| regions.next().is_none())
}

/// Nodes of Fargate have other names than instances, and no volumes.
fn of_instance(provider_id: &str) -> Option<&str> {
    let (zone, instance) = provider_id.strip_prefix("aws:///")?.split_once('/')?;
    instance.starts_with("i-").then(|| of_zone(zone))?
}

/// A zone is its region and a letter, or more for zones outside of it: `us-west-2-lax-1a`.
fn of_zone(zone: &str) -> Option<&str> {
    let number = zone.find(|c: char| c.is_ascii_digit())?;
    let (name, rest) = zone.split_at_checked(number)?;
    let digits = rest.find(|c: char| !c.is_ascii_digit())?;
    let is_name = name.ends_with('-') && name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    is_name.then(|| zone.get(..number + digits))?
}
