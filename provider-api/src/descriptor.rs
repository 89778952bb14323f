//! The fixed facts about a provider.
//!
//! Constant data only, so that a descriptor can be registered at link time and the charm can follow it
//! without knowing the provider.

use crate::Problems;

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
    /// Relations that only add to the provider's own. Each is read while both exist.
    pub optional_endpoints: &'static [Endpoint],
    /// The image of the Velero plugin that serves this kind of store.
    pub plugin: ImageOption,
    /// Further config options of the charm that are this provider's alone.
    pub options: &'static [ConfigOption],
    /// How its cloud knows pods that have no keys; `None` if it does not.
    pub identity: Option<Identity>,
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
    /// What must be known of the cluster to make use of the data. It is found out while there is a
    /// relation; a provider that asks for nothing is given nothing.
    pub facts: &'static [Fact],
}

/// Something about the cluster that the charm can find out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fact {
    /// What the nodes are to the cloud they run in: [`Facts::provider_ids`](crate::Facts::provider_ids). It
    /// costs a request in each hook: see [`StorageProvider::needs`](crate::StorageProvider::needs).
    ProviderIds,
    /// What time it is: [`Facts::now`](crate::Facts::now). For remarks alone: what is applied must not depend on
    /// it, or a hook that finds nothing new would write.
    Now,
}

/// What we write into a relation so that the integrator sends its data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Handshake {
    /// Fields to be sent as a Juju secret (`requested-secrets`). Each is taken for a secret, also if it is
    /// sent in the clear.
    pub requested_secrets: &'static [&'static str],
    /// Whether we name the version of the protocol that we speak.
    pub version: Version,
    /// The field that the oldest integrators want to see before they send anything. `None` unless there are
    /// such integrators; take it from their source, not from another provider.
    ///
    /// The charm says `relation-<number>` in it, only to an integrator that shows the mark of needing it (a key
    /// `data` in its bag, no version and no secret), and takes it back from any other. What comes back is a
    /// [`Value::Echo`](crate::Value::Echo), so that it is never read as a bucket that the user wants.
    pub placeholder: Option<&'static str>,
}

/// Whether `version` (and `lib-version`, its name for a while) is written into the relation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Version {
    /// As integrators do that are built on the library for object storage.
    Said,
    /// The integrator takes a version for another protocol, and does not answer.
    Unsaid,
}

/// A config option that holds an image reference.
#[derive(Clone, Copy, Debug)]
pub struct ImageOption {
    /// The option's name in `charmcraft.yaml`.
    pub option: &'static str,
    /// Its default, matching the bundled Velero.
    pub default: &'static str,
}

/// A config option of the charm, as text, that one provider reads.
#[derive(Clone, Copy, Debug)]
pub struct ConfigOption {
    /// The option's name in `charmcraft.yaml`.
    pub name: &'static str,
    /// Its default, which must pass the check.
    pub default: &'static str,
    /// Everything that is wrong with a value. The charm asks whether or not there is a relation, and hands over
    /// no value that does not pass: a wrong one changes nothing.
    pub check: fn(&str) -> Result<(), Problems>,
}

/// How a cloud knows a pod that has no keys: its workload identity.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// The annotation of the pod's ServiceAccount that says who it is.
    pub annotation: &'static str,
    /// What the annotation's value is, to be read after "is not".
    pub shape: &'static str,
    /// Whether a value can be that. The charm asks whether or not there is a relation, and hands over no other.
    pub is_sound: fn(&str) -> bool,
    /// The label that the pod must have as well, with its value.
    pub label: Option<(&'static str, &'static str)>,
}

/// A piece of advice for one kind of failure.
#[derive(Clone, Copy, Debug)]
pub struct Advice {
    /// What Velero's message contains.
    pub when: &'static str,
    /// What the user can do, as a clause without a full stop; [`Endpoint::in_texts`] for an application.
    pub then: &'static str,
}

impl Endpoint {
    /// What stands in a provider's texts (advice, hints, remarks, what is awaited) for the application that the
    /// user has integrated here, for example `{s3-credentials}`. The charm puts its name there, in backticks.
    #[must_use]
    pub fn in_texts(&self) -> String {
        format!("{{{}}}", self.name)
    }
}

impl Descriptor {
    /// Every endpoint of this provider, its own first.
    pub fn endpoints(&self) -> impl Iterator<Item = Endpoint> {
        let optional = self.optional_endpoints.iter().copied();
        std::iter::once(self.endpoint).chain(optional)
    }

    /// What the endpoints ask to know of the cluster, while there is a relation on the own one and on those of
    /// the optional ones that are said to have one.
    pub fn facts(&self, is_related: impl Fn(&str) -> bool) -> Vec<Fact> {
        let optional = self.optional_endpoints.iter();
        let related = optional.filter(|endpoint| is_related(endpoint.name));
        let asking = std::iter::once(&self.endpoint).chain(related);
        asking
            .flat_map(|endpoint| endpoint.facts)
            .copied()
            .collect()
    }

    /// The advice for a message of Velero, if there is any.
    #[must_use]
    pub fn advice_for(&self, message: &str) -> Option<&'static str> {
        self.advice
            .iter()
            .find(|advice| message.contains(advice.when))
            .map(|advice| advice.then)
    }
}
