//! The providers that were linked in.
//!
//! Sorted by name, no two with the same name or endpoint, so that an endpoint finds exactly one provider.

use secrecy::SecretString;

use crate::{Descriptor, StorageProvider};

/// Registers a provider: `register!(PROVIDER);` in its crate, with a `static`.
#[macro_export]
macro_rules! register {
    ($provider:path) => {
        $crate::inventory::submit! { $crate::Registration::new(&$provider) }
    };
}

/// Makes a provider's crate a part of this build: `link!(provider_s3);`.
///
/// A crate that is only listed in `Cargo.toml` is not linked, and its registration would be lost without a
/// word.
#[macro_export]
macro_rules! link {
    ($provider:ident) => {
        const _: &dyn $crate::StorageProvider = &$provider::PROVIDER;
    };
}

/// One provider's entry, submitted by its crate at link time: see [`register!`].
#[derive(Debug)]
pub struct Registration(&'static dyn StorageProvider);

inventory::collect!(Registration);

/// All providers of this binary.
#[derive(Clone, Debug)]
pub struct Registry(Vec<&'static dyn StorageProvider>);

/// Why the providers cannot work side by side. A mistake of the build, not of a user.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum RegistryError {
    /// Two crates claim one provider name.
    #[error("two storage providers are called `{0}`")]
    DuplicateName(&'static str),
    /// Two crates claim one endpoint.
    #[error("two storage providers use the endpoint `{0}`")]
    DuplicateEndpoint(&'static str),
}

impl Registration {
    /// An entry.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(provider: &'static dyn StorageProvider) -> Self {
        Self(provider)
    }
}

impl Registry {
    /// The providers that are linked into this binary.
    ///
    /// # Errors
    /// If two of them cannot be told apart.
    pub fn linked() -> Result<Self, RegistryError> {
        Self::new(
            inventory::iter::<Registration>()
                .map(|registration| registration.0)
                .collect(),
        )
    }

    /// A registry of the given providers.
    ///
    /// # Errors
    /// If two of them cannot be told apart.
    pub fn new(mut providers: Vec<&'static dyn StorageProvider>) -> Result<Self, RegistryError> {
        providers.sort_by_key(|provider| provider.descriptor().name);
        for (index, provider) in providers.iter().enumerate() {
            let this = provider.descriptor();
            for earlier in providers
                .iter()
                .take(index)
                .map(|earlier| earlier.descriptor())
            {
                if earlier.name == this.name {
                    return Err(RegistryError::DuplicateName(this.name));
                }
                let taken: Vec<_> = earlier.endpoints().map(|endpoint| endpoint.name).collect();
                if let Some(endpoint) = this.endpoints().find(|e| taken.contains(&e.name)) {
                    return Err(RegistryError::DuplicateEndpoint(endpoint.name));
                }
            }
        }
        Ok(Self(providers))
    }

    /// All providers, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &'static dyn StorageProvider> {
        self.0.iter().copied()
    }

    /// All descriptors, sorted by provider name.
    pub fn descriptors(&self) -> impl Iterator<Item = &'static Descriptor> {
        self.iter().map(StorageProvider::descriptor)
    }

    /// What any of them knows to be secret inside of a text.
    #[must_use]
    pub fn secrets_inside(&self, text: &SecretString) -> Vec<SecretString> {
        self.iter()
            .flat_map(|provider| provider.secrets_inside(text))
            .collect()
    }

    /// The provider with this name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&'static dyn StorageProvider> {
        self.iter()
            .find(|provider| provider.descriptor().name == name)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::{Answer, Endpoint, Handshake, ImageOption, Inputs, Problems, Version};

    #[derive(Debug)]
    struct Fixed(&'static Descriptor);

    impl StorageProvider for Fixed {
        fn descriptor(&self) -> &'static Descriptor {
            self.0
        }

        fn resolve(&self, _: &Inputs) -> Result<Answer, Problems> {
            Ok(Answer::Waiting(String::new()))
        }

        fn secrets_inside(&self, text: &SecretString) -> Vec<SecretString> {
            crate::values_of(&[self.0.name], text)
        }
    }

    const TAPE_CREDENTIALS: Endpoint = Endpoint {
        name: "tape-credentials",
        interface: "tape",
        handshake: Handshake {
            requested_secrets: &["pin"],
            version: Version::Said,
            placeholder: None,
        },
        facts: &[],
    };
    const TAPE_ONLY: Descriptor = Descriptor {
        name: "tape",
        summary: "A tape drive",
        endpoint: TAPE_CREDENTIALS,
        integrator: "tape-integrator",
        optional_endpoints: &[],
        plugin: ImageOption {
            option: "velero-tape-plugin-image",
            default: "tape/plugin:v1",
        },
        options: &[],
        identity: None,
        advice: &[],
    };
    const DISK_CREDENTIALS: Endpoint = Endpoint {
        name: "disk-credentials",
        interface: "disk",
        ..TAPE_CREDENTIALS
    };
    static TAPE: Descriptor = TAPE_ONLY;
    static DISK: Descriptor = Descriptor {
        name: "disk",
        endpoint: DISK_CREDENTIALS,
        ..TAPE_ONLY
    };
    static DRUM: Descriptor = Descriptor {
        name: "drum",
        endpoint: Endpoint {
            name: "drum-credentials",
            ..DISK_CREDENTIALS
        },
        optional_endpoints: &[DISK_CREDENTIALS],
        ..TAPE_ONLY
    };
    static OTHER: Descriptor = Descriptor {
        name: "other-tape",
        ..TAPE_ONLY
    };
    static TAPES: Fixed = Fixed(&TAPE);
    static DISKS: Fixed = Fixed(&DISK);
    static DRUMS: Fixed = Fixed(&DRUM);
    static OTHER_TAPES: Fixed = Fixed(&OTHER);

    #[test]
    fn providers_are_sorted_and_found() {
        let registry = Registry::new(vec![&TAPES, &DISKS]).unwrap();

        let names: Vec<_> = registry.descriptors().map(|d| d.name).collect();
        assert_eq!(names, ["disk", "tape"]);
        assert!(registry.by_name("tape").is_some());
        assert!(registry.by_name("cloud").is_none());
    }

    #[test]
    fn secret_is_known_by_the_provider_whose_file_it_is() {
        let registry = Registry::new(vec![&TAPES, &DISKS]).unwrap();
        for (file, known) in [
            ("tape=one\nplace=here\n", "one"),
            ("[a]\ndisk = two=2", "two=2"),
            ("drum=three", ""),
        ] {
            let inside = registry.secrets_inside(&file.into());
            let inside: String = inside.iter().map(SecretString::expose_secret).collect();
            assert_eq!(inside, known);
        }
    }

    #[test]
    fn providers_that_cannot_be_told_apart_are_refused() {
        let same_name = Registry::new(vec![&TAPES, &TAPES]);
        let same_endpoint = Registry::new(vec![&TAPES, &OTHER_TAPES]);
        let same_optional_endpoint = Registry::new(vec![&DISKS, &DRUMS]);

        assert_eq!(same_name.unwrap_err(), RegistryError::DuplicateName("tape"));
        assert_eq!(
            same_endpoint.unwrap_err(),
            RegistryError::DuplicateEndpoint("tape-credentials")
        );
        assert_eq!(
            same_optional_endpoint.unwrap_err(),
            RegistryError::DuplicateEndpoint("disk-credentials")
        );
    }
}
