//! What the stack has besides Kubernetes and its stores, for those who use it.
//!
//! Invariant: nothing in the stack knows what a guest is for. It is built, cached and served like the stack's own.

use super::build::Component;
use super::registry::Image;

/// Programs and images to have. Handed in with [`inventory::submit!`] by a crate that is linked.
#[derive(Debug)]
pub struct Guests {
    /// Whose they are: the cache is called so.
    pub project: &'static str,
    /// What is built.
    pub components: fn() -> Vec<Component>,
    /// What the registry has.
    pub images: fn() -> Vec<Image>,
    /// The source of the two: images are made again when it changes.
    pub recipe: &'static str,
}

inventory::collect!(Guests);

fn all() -> impl Iterator<Item = &'static Guests> {
    inventory::iter::<Guests>.into_iter()
}

/// What the cache is called.
pub(super) fn project() -> &'static str {
    all()
        .next()
        .map_or(env!("CARGO_PKG_NAME"), |guests| guests.project)
}

pub(super) fn components() -> impl Iterator<Item = Component> {
    all().flat_map(|guests| (guests.components)())
}

pub(super) fn images() -> impl Iterator<Item = Image> {
    all().flat_map(|guests| (guests.images)())
}

pub(super) fn recipes() -> impl Iterator<Item = &'static str> {
    all().map(|guests| guests.recipe)
}
