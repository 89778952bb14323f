//! The kinds of stores that this build of the charm knows, as messages list them.
//!
//! Invariant: all of it comes from the registry, so that a further provider changes no test.

use provider_api::Descriptor;

use crate::operator::APP;

/// Every provider's descriptor, in the order of messages. `None` if two of them cannot be told apart, with which
/// no charm starts.
#[must_use]
pub fn descriptors() -> Vec<&'static Descriptor> {
    let registry = providers::registry();
    registry.map_or_else(|_| Vec::new(), |registry| registry.descriptors().collect())
}

/// The integrator charms that are recommended.
#[must_use]
pub fn integrators() -> Vec<&'static str> {
    let descriptors = descriptors().into_iter();
    descriptors.map(|one| one.integrator).collect()
}

/// The status of a unit without a storage relation.
#[must_use]
pub fn no_store() -> String {
    format!("blocked: {}", no_store_for_actions())
}

/// Why an action is refused that needs a store.
#[must_use]
pub fn no_store_for_actions() -> String {
    let integrators = integrators();
    let (first, others) = integrators.split_first().unwrap_or((&"", &[]));
    let others = others.join("`, `");
    format!("run `juju integrate {APP} {first}` (or `{others}`): no object store")
}
