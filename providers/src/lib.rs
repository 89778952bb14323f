//! The storage providers that the charm is built with.
//!
//! **Invariant:** each provider crate is named here. A crate that is only listed in `Cargo.toml` is
//! not linked, and its registration is lost without a word.

use provider_api::{Registry, RegistryError};
use provider_azure as _;
use provider_s3 as _;

/// The providers of this build. Calling it is what keeps them linked.
///
/// # Errors
/// If two providers cannot be told apart.
pub fn registry() -> Result<Registry, RegistryError> {
    Registry::linked()
}
