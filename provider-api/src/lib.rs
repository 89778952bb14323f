//! The contract between the charm and a storage provider.
//!
//! A provider turns what a storage integrator sent into what Velero needs. It does no IO: it is given
//! plain data and answers with plain data, and the charm fetches, applies and reports. It is a
//! [`Descriptor`] and one function, and has four duties:
//!
//! | duty | where |
//! | --- | --- |
//! | **credentials from relation data** | [`StorageProvider::resolve`], from the fields in [`Inputs`] |
//! | **secret rendering** | [`Storage::credential`], the file that the plugin reads, or none where the cloud knows the pods; [`StorageProvider::secrets_inside`] tells what must not be shown of it |
//! | **plugin image** | [`Descriptor::plugin`], the option and its default; the charm checks what the user sets, its minor version too |
//! | **backup-location arguments** | [`Storage::location`], and [`Storage::snapshots`] |
//!
//! `provider-testkit` holds a provider to all of it, and `CONTRIBUTING.md` has the steps of adding one.
//!
//! # A whole provider
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use provider_api::{
//!     Advice, Answer, Credential, Descriptor, Endpoint, Gap, Handshake, ImageOption, Inputs,
//!     Location, Part, Problem, Problems, Storage, StorageProvider, Version,
//!     secrecy::{ExposeSecret, SecretString},
//! };
//!
//! static DESCRIPTOR: Descriptor = Descriptor {
//!     name: "tape", // the plugin's name for Velero, to the letter
//!     summary: "A tape library",
//!     endpoint: Endpoint {
//!         name: "tape-credentials",
//!         interface: "tape",
//!         handshake: Handshake {
//!             requested_secrets: &["pin"],
//!             version: Version::Said,
//!             placeholder: None, // unless an old integrator answers nothing without it
//!         },
//!         facts: &[], // or `&[Fact::ProviderIds]`
//!     },
//!     integrator: "tape-integrator",
//!     optional_endpoints: &[],
//!     plugin: ImageOption {
//!         option: "velero-tape-plugin-image",
//!         default: "tape/velero-plugin:v1.0.0",
//!     },
//!     options: &[], // config options of the charm that only this provider reads
//!     identity: None, // no cloud that knows pods without keys
//!     advice: &[Advice {
//!         when: "tape is torn", // words of the real plugin
//!         then: "replace the tape",
//!     }],
//! };
//!
//! /// Tape libraries.
//! #[derive(Debug)]
//! pub struct Tape;
//!
//! /// The provider that is registered.
//! pub static PROVIDER: Tape = Tape;
//!
//! provider_api::register!(PROVIDER);
//!
//! impl StorageProvider for Tape {
//!     fn descriptor(&self) -> &'static Descriptor {
//!         &DESCRIPTOR
//!     }
//!
//!     fn resolve(&self, inputs: &Inputs) -> Result<Answer, Problems> {
//!         let data = &inputs.own;
//!         if data.lacks_all(&["pin"]) {
//!             return Ok(Answer::Waiting("the tape integrator to send a reel and a pin".into()));
//!         }
//!         // An optional field that cannot be read leaves a gap, and holds nothing else back.
//!         let mut gaps = Vec::new();
//!         let folder = data.folder("folder", "correct `folder` in the tape integrator");
//!         let prefix = Gap::or_value(folder, &[Part::Prefix], &mut gaps);
//!         // Of the required ones everything that is wrong is said at once.
//!         let (reel, pin) = provider_api::all!(
//!             data.required("reel", "set `reel` in the tape integrator"),
//!             pin(inputs),
//!         )?;
//!         Ok(Answer::Ready(Box::new(Storage {
//!             credential: Credential::Keys(format!("PIN={}\n", pin.expose_secret()).into()),
//!             location: Location {
//!                 bucket: reel.into(),
//!                 prefix,
//!                 ca_certificates: None,
//!                 config: BTreeMap::from([("speed".into(), "high".into())]),
//!             },
//!             snapshots: None,
//!             remarks: Vec::new(),
//!             gaps,
//!         })))
//!     }
//!
//!     fn secrets_inside(&self, text: &SecretString) -> Vec<SecretString> {
//!         provider_api::values_of(&["PIN"], text)
//!     }
//! }
//!
//! fn pin(inputs: &Inputs) -> Result<SecretString, Problem> {
//!     let hint = "set `pin` in the tape integrator";
//!     let pin = inputs.own.required_secret("pin", hint)?;
//!     // The file could not carry it unchanged.
//!     if pin.expose_secret().contains(char::is_control) {
//!         return Err(Problem::invalid("pin", "contains control characters", hint));
//!     }
//!     Ok(pin)
//! }
//!
//! let fields = [("reel", "seven"), ("pin", "4711-4712")].map(|(name, text)| (name, text.into()));
//! let inputs = Inputs::new(&DESCRIPTOR, fields.into_iter().collect(), BTreeMap::new(), Default::default());
//! let answer = PROVIDER.resolve(&inputs)?;
//! let Answer::Ready(storage) = answer else { panic!("it has all that it needs") };
//! let file = storage.credential.file().map(ExposeSecret::expose_secret);
//! assert_eq!(file, Some("PIN=4711-4712\n"));
//! # Ok::<(), Problems>(())
//! ```

mod certificates;
mod descriptor;
mod inputs;
mod problem;
mod registry;
mod storage;

#[doc(hidden)]
pub use inventory;
pub use secrecy;
use secrecy::{ExposeSecret as _, SecretString};

pub use self::{
    certificates::{Certificates, NotCertificates},
    descriptor::{
        Advice, ConfigOption, Descriptor, Endpoint, Fact, Handshake, Identity, ImageOption, Version,
    },
    inputs::{Facts, Inputs, RelationData, Value},
    problem::{AllOf, Problem, ProblemKind, Problems},
    registry::{Registration, Registry, RegistryError},
    storage::{Credential, Gap, Location, Part, SnapshotLocation, Storage},
};

/// What a provider makes of its inputs.
#[derive(Debug)]
pub enum Answer {
    /// The integrator has not answered yet. The text names what is awaited: "waiting for …".
    Waiting(String),
    /// Everything that Velero needs.
    Ready(Box<Storage>),
}

/// One kind of object store.
pub trait StorageProvider: std::fmt::Debug + Send + Sync {
    /// The fixed facts about this provider.
    fn descriptor(&self) -> &'static Descriptor;

    /// Whether a fact that the endpoints declare is of use with this data of the own relation, as far as it is
    /// readable without its secret. For a fact that costs a request and is rarely needed; what is not needed may
    /// be missing from [`Inputs::facts`].
    fn needs(&self, fact: Fact, own: &RelationData) -> bool {
        let _ = (fact, own);
        true
    }

    /// Turns relation data into what Velero needs.
    ///
    /// Equal inputs give equal answers, and nothing but the inputs is looked at. No text in the answer
    /// holds a secret or a part of one, except the credential file. Pods have to do without keys only by an
    /// [`identity`](Inputs::identity), and keys that were sent are used.
    ///
    /// # Errors
    /// Everything that is wrong with the data, at once: see [`all!`].
    fn resolve(&self, inputs: &Inputs) -> Result<Answer, Problems>;

    /// What is secret *inside* of a credential file that this provider has made, or of a document that its
    /// integrator sends: the values of keys, the private key of a JSON key. Nothing of any other text.
    ///
    /// The charm masks what integrators have sent as it stands. It asks this of every secret that it comes across,
    /// be it used, refused, or left over in the cluster, and masks each of these too, as a whole and line by
    /// line. In fewer than eight bytes it would find ordinary words.
    fn secrets_inside(&self, text: &SecretString) -> Vec<SecretString> {
        values_of(&[], text)
    }
}

/// The values that a file gives these names to, in lines of the form `name=value`.
#[must_use]
pub fn values_of(names: &[&str], file: &SecretString) -> Vec<SecretString> {
    let lines = file.expose_secret().lines();
    let values = lines.filter_map(|line| line.split_once('='));
    values
        .filter(|(name, _)| names.contains(&name.trim()))
        .map(|(_, value)| value.trim().into())
        .collect()
}
