//! The storage providers that the charm is built with: one line each.

use provider_api::{Registry, RegistryError, link};

link!(provider_azure);
link!(provider_gcs);
link!(provider_s3);

/// The providers of this build. Calling it is what keeps them linked.
///
/// # Errors
/// If two providers cannot be told apart.
pub fn registry() -> Result<Registry, RegistryError> {
    Registry::linked()
}
