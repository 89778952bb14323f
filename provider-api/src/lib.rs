//! The contract between the charm and a storage provider.
//!
//! **Invariant:** nothing here, and nothing in a provider, does IO. A provider is told what a
//! relation holds and answers with plain data; the charm fetches, applies and reports.
//!
//! A provider crate exports one [`StorageProvider`] and registers it:
//!
//! ```
//! use provider_api::{Descriptor, Inputs, Problems, Registration, StorageProvider, Verdict};
//!
//! #[derive(Debug)]
//! pub struct Tape;
//! # static TAPE: Descriptor = provider_api::doctest_descriptor();
//!
//! impl StorageProvider for Tape {
//!     fn descriptor(&self) -> &'static Descriptor {
//!         &TAPE
//!     }
//!
//!     fn validate(&self, inputs: &Inputs) -> Result<Verdict, Problems> {
//!         Ok(Verdict::Waiting("a tape to be inserted".into()))
//!     }
//! }
//!
//! provider_api::inventory::submit! { Registration::new(&Tape) }
//! ```

#[cfg(feature = "conformance")]
pub mod conformance;
mod descriptor;
mod inputs;
mod problem;
mod registry;
mod storage;

pub use inventory;
pub use secrecy;

#[doc(hidden)]
pub use self::descriptor::doctest_descriptor;
pub use self::{
    descriptor::{
        Advice, Descriptor, Dialect, Endpoint, Fact, FurtherEndpoint, Handshake, ImageOption,
    },
    inputs::{Facts, Inputs, RelationData, Value},
    problem::{Problem, ProblemKind, Problems},
    registry::{Registration, Registry, RegistryError},
    storage::{Gap, Location, Part, SnapshotLocation, Storage},
};

/// What a provider makes of a relation's data.
#[derive(Debug)]
pub enum Verdict {
    /// The integrator has not answered yet; the text names what is awaited.
    Waiting(String),
    /// Everything that Velero needs.
    Ready(Box<Storage>),
}

/// One kind of object store.
pub trait StorageProvider: std::fmt::Debug + Send + Sync {
    /// The fixed facts about this provider.
    fn descriptor(&self) -> &'static Descriptor;

    /// Turns relation data into what Velero needs.
    ///
    /// Deterministic: equal inputs give equal answers.
    ///
    /// # Errors
    /// Everything that is wrong with the data, at once.
    fn validate(&self, inputs: &Inputs) -> Result<Verdict, Problems>;
}
