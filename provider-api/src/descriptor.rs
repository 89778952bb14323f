//! The fixed facts about a provider.
//!
//! **Invariant:** constant data only, so that a descriptor can be registered at link time and the
//! charm can follow it without knowing the provider.

/// What the charm must know about a provider before any relation exists.
#[derive(Debug)]
pub struct Descriptor {
    /// The provider's name in Velero's locations, for example `aws`.
    pub name: &'static str,
    /// One line for `velero-charm providers`.
    pub summary: &'static str,
    /// The relation that selects this provider.
    pub endpoint: Endpoint,
    /// The integrator charm to recommend to a user who has none.
    pub integrator: &'static str,
    /// Relations that this provider reads beside its own, if they exist.
    pub further_endpoints: &'static [FurtherEndpoint],
    /// The Velero plugin that serves this kind of store.
    pub plugin: ImageOption,
    /// What to advise when Velero finds a location unavailable; the first match counts.
    pub advice: &'static [Advice],
}

/// One side of a Juju relation, as `charmcraft.yaml` declares it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Endpoint {
    /// The endpoint's name, for example `s3-credentials`.
    pub name: &'static str,
    /// The relation interface, for example `s3`.
    pub interface: &'static str,
    /// How the requirer asks for the relation's data.
    pub handshake: Handshake,
}

/// A relation that only adds to the provider's own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FurtherEndpoint {
    /// The relation.
    pub endpoint: Endpoint,
    /// What must be known of the cluster to make use of it; asked for only while it exists.
    pub facts: &'static [Fact],
}

/// Something about the cluster that the charm can find out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fact {
    /// What the nodes are to the cloud they run in: `spec.providerID` of each.
    ProviderIds,
}

/// The requirer's first word in a relation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Handshake {
    /// Fields to be sent as a Juju secret (`requested-secrets`).
    pub requested_secrets: &'static [&'static str],
    /// What is to be said beside that.
    pub dialect: Dialect,
}

/// The manners of a family of integrators.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dialect {
    /// Those of the object-storage relations, which tell their dialects apart by a version.
    ObjectStorage {
        /// The field that an integrator of the oldest dialect waits for. None where such integrators do
        /// not exist, or where any of them would take the field for the user's wish.
        legacy_trigger: Option<&'static str>,
    },
    /// Nothing more is said. A version would be taken for that of another protocol.
    SecretsOnly,
}

/// A config option that holds an image reference.
#[derive(Clone, Copy, Debug)]
pub struct ImageOption {
    /// The option's name in `charmcraft.yaml`.
    pub option: &'static str,
    /// Its default, matching the bundled Velero.
    pub default: &'static str,
}

/// A piece of advice for one kind of failure.
#[derive(Clone, Copy, Debug)]
pub struct Advice {
    /// What Velero's message contains.
    pub when: &'static str,
    /// What the user can do, as a clause without a full stop.
    pub then: &'static str,
}

impl Descriptor {
    /// Every endpoint of this provider, its own first.
    pub fn endpoints(&self) -> impl Iterator<Item = Endpoint> {
        let further = self
            .further_endpoints
            .iter()
            .map(|further| further.endpoint);
        std::iter::once(self.endpoint).chain(further)
    }

    /// The advice for a message of Velero's, if there is any.
    #[must_use]
    pub fn advice_for(&self, message: &str) -> Option<&'static str> {
        self.advice
            .iter()
            .find(|advice| message.contains(advice.when))
            .map(|advice| advice.then)
    }
}

/// A descriptor for examples in documentation.
#[doc(hidden)]
#[must_use]
pub const fn doctest_descriptor() -> Descriptor {
    Descriptor {
        name: "tape",
        summary: "A tape drive",
        endpoint: Endpoint {
            name: "tape-credentials",
            interface: "tape",
            handshake: Handshake {
                requested_secrets: &["pin"],
                dialect: Dialect::ObjectStorage {
                    legacy_trigger: Some("reel"),
                },
            },
        },
        integrator: "tape-integrator",
        further_endpoints: &[],
        plugin: ImageOption {
            option: "velero-tape-plugin-image",
            default: "tape/plugin:v1",
        },
        advice: &[Advice {
            when: "torn",
            then: "replace the tape",
        }],
    }
}
