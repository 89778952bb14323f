//! Third stage: what the user and the integrator ask for, checked. The last stage that sees text.
//!
//! Core and storage are apart, so that a bad data bag never stops the installation; everything that is wrong is found
//! at once.

mod carry;
pub(crate) mod clients;
mod identity;
mod image;
pub(super) mod observers;
mod options;

use std::collections::BTreeMap;

use jiff::Timestamp;
use provider_api::{Answer, Descriptor, ImageOption, Inputs, Problem, Problems, Registry, Storage};
use serde_json::{Map, Value};

use self::{
    clients::{Clients, clients},
    image::check_image,
    observers::Complaint,
};
use super::observe::{Observed, PASSWORD_OPTION, USE_NODE_AGENT};
use crate::{
    juju::Clause,
    ours::{
        Owner,
        password::{self, Password, Wanted},
    },
    relations::applications::Applications,
    velero::{
        DEFAULT_IMAGE,
        document::Document,
        install::{NodeAgent, VolumeBackups},
        settings::Settings,
    },
};

const VELERO_IMAGE: &str = "velero-image";
const FS_BACKUP: &str = "default-volumes-to-fs-backup";
const VOLUME_SNAPSHOTS: &str = "volume-snapshots";

/// The first Velero with policies for all Backups.
const GLOBAL_POLICIES: &str = "1.18.3";

/// What is asked for.
#[derive(Debug)]
pub(super) struct Desired {
    pub(super) core: Result<Core, Problems>,
    pub(super) storage: Intent,
    /// Who asks to be backed up.
    pub(super) clients: Clients,
    /// Who is related.
    pub(super) applications: Applications,
    /// Since when the one integrator has been waited for, as far as it was noted.
    pub(super) waiting_since: Option<Timestamp>,
    /// What is not watched as it should be.
    pub(super) complaints: Vec<Complaint>,
}

/// Velero without any store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Core {
    pub(super) velero_image: String,
    pub(super) node_agent: NodeAgent,
    pub(super) volume_backups: VolumeBackups,
    pub(super) settings: Settings,
    /// What the user may want to know of what the options come to, and what to do about it.
    pub(super) remarks: Vec<Clause>,
}

/// What is to become of the store.
#[derive(Debug)]
pub(super) enum Intent {
    /// Use this one.
    Set {
        descriptor: &'static Descriptor,
        /// What the user set for the image of its plugin, or its default.
        plugin_image: String,
        storage: Box<Storage>,
    },
    /// Leave what is there as it is.
    Keep(Why),
    /// There is no storage relation: use none.
    None,
}

/// Why a store is left as it is.
#[derive(Debug)]
pub(super) enum Why {
    /// The integrator has not answered.
    Waiting(String),
    /// What it and the optional relations sent cannot work.
    Invalid(Problems),
    /// More than one integrator is related.
    Several(Vec<String>),
    /// An option of its provider is wrong, or one that says who its pods are, which [`Desired::core`] says.
    Options,
}

impl Why {
    /// The integrator may yet send what is missing, without the user doing anything.
    pub(super) fn is_awaited(&self) -> bool {
        match self {
            Self::Waiting(_) => true,
            Self::Invalid(problems) => problems.iter().all(Problem::is_retryable),
            Self::Several(_) | Self::Options => false,
        }
    }
}

impl Desired {
    /// The integrator is waited for.
    pub(super) fn is_awaited(&self) -> bool {
        matches!(&self.storage, Intent::Keep(why) if why.is_awaited())
    }
}

/// Checks config and relations.
pub(super) fn validate(observed: &Observed, registry: &Registry, owner: &Owner) -> Desired {
    let applications = Applications::related(&observed.relations);
    let read = options(observed, registry);
    let storage = storage(observed, &applications, &read);
    let storage = snapshots(
        carry::over(storage, &observed.live, owner),
        &observed.config,
    );
    let core = core(observed, registry, read);
    let clients = clients(&observed.clients, &observed.config);
    Desired {
        clients: clients.with_lacks(core.as_ref().ok(), &storage),
        core,
        storage,
        applications,
        waiting_since: match observed.relations.as_slice() {
            [only] => only.own.waiting_since,
            _ => None,
        },
        complaints: observers::complaints(&observed.observers, &observed.live, owner),
    }
}

/// The options of the table, right or wrong.
fn options(observed: &Observed, registry: &Registry) -> options::Read {
    let Observed {
        config,
        surroundings,
        ..
    } = observed;
    let mut read = options::read(config, surroundings, node_agent(config));
    let faults = identity::faults(&read.settings, registry);
    read.problems.extend(faults);
    read
}

fn core(observed: &Observed, registry: &Registry, read: options::Read) -> Result<Core, Problems> {
    let Observed {
        config, password, ..
    } = observed;
    let mut problems = Vec::new();
    let velero_image = text(config, VELERO_IMAGE, DEFAULT_IMAGE);
    problems.extend(check_image(VELERO_IMAGE, &velero_image, DEFAULT_IMAGE).err());
    problems.extend(image::check_minor(VELERO_IMAGE, &velero_image).err());
    for descriptor in registry.descriptors() {
        let plugin = descriptor.plugin;
        let image = text(config, plugin.option, plugin.default);
        problems.extend(check_image(plugin.option, &image, plugin.default).err());
        problems.extend(image::check_plugin(plugin, &image).err());
        problems.extend(of_provider(config, descriptor).1);
    }
    let node_agent = node_agent(config);
    let volume_backups = volume_backups(config);
    if (volume_backups, node_agent) == (VolumeBackups::FileSystem, NodeAgent::Off) {
        problems.push(Problem::invalid(
            FS_BACKUP,
            "needs the node agent",
            format!("set `{USE_NODE_AGENT}` to true, or `{FS_BACKUP}` to false"),
        ));
    }
    problems.extend(clients::check_options(config));
    problems.extend(password.as_ref().and_then(of_password));
    let options::Read {
        settings,
        remarks,
        problems: more,
    } = read;
    problems.extend(more);
    if settings.documents.contains_key(&Document::VolumePolicies) {
        let (image, user) = (&velero_image, options::VOLUME_POLICIES);
        problems.extend(image::check_since(VELERO_IMAGE, image, GLOBAL_POLICIES, user).err());
    }
    Problems::raise(problems)?;
    Ok(Core {
        velero_image,
        node_agent,
        volume_backups,
        settings,
        remarks,
    })
}

/// Without the password that is asked for Velero would take one that everybody knows, and one that is in use cannot be
/// replaced: nothing could read the files any more.
fn of_password(password: &Password) -> Option<Problem> {
    match &password.wanted {
        Wanted::Unreadable(reason) => Some(Problem::unreadable(
            PASSWORD_OPTION,
            reason,
            format!(
                "grant the application a secret with a field `{}`, or reset the option",
                password::FIELD
            ),
        )),
        Wanted::Known(_) => password.is_refused().map(|repository| {
            Problem::invalid(
                PASSWORD_OPTION,
                format!("is not the password of BackupRepository `{repository}`"),
                "set it to the secret with that password, or reset the option",
            )
        }),
    }
}

/// Whether a node agent is asked for, be the other options valid or not.
pub(super) fn node_agent(config: &Map<String, Value>) -> NodeAgent {
    if flag(config, USE_NODE_AGENT) {
        NodeAgent::On
    } else {
        NodeAgent::Off
    }
}

/// How volumes are backed up when a Backup does not say.
pub(crate) fn volume_backups(config: &Map<String, Value>) -> VolumeBackups {
    if flag(config, FS_BACKUP) {
        VolumeBackups::FileSystem
    } else {
        VolumeBackups::Snapshot
    }
}

/// An option's text. Juju gives unset options their default; a blank one is the user's mistake.
pub(super) fn text(config: &Map<String, Value>, option: &str, default: &str) -> String {
    config
        .get(option)
        .and_then(Value::as_str)
        .unwrap_or(default)
        .trim()
        .to_owned()
}

/// What is set for the options of a provider, and what is wrong with it.
fn of_provider(
    config: &Map<String, Value>,
    descriptor: &Descriptor,
) -> (BTreeMap<&'static str, String>, Vec<Problem>) {
    let mut problems = Vec::new();
    let options = descriptor.options.iter().map(|option| {
        let text = text(config, option.name, option.default);
        if let Err(found) = (option.check)(&text) {
            problems.extend(found.iter().cloned());
        }
        (option.name, text)
    });
    (options.collect(), problems)
}

/// The store without snapshots, if the user wants none.
fn snapshots(intent: Intent, config: &Map<String, Value>) -> Intent {
    match intent {
        Intent::Set {
            descriptor,
            plugin_image,
            storage,
        } if config.get(VOLUME_SNAPSHOTS) == Some(&Value::Bool(false)) => Intent::Set {
            descriptor,
            plugin_image,
            storage: Box::new(Storage {
                snapshots: None,
                ..*storage
            }),
        },
        other => other,
    }
}

fn flag(config: &Map<String, Value>, option: &str) -> bool {
    config
        .get(option)
        .and_then(Value::as_bool)
        .unwrap_or_default()
}

fn storage(observed: &Observed, applications: &Applications, read: &options::Read) -> Intent {
    let Observed {
        config,
        relations,
        facts,
        ..
    } = observed;
    let (first, others) = match relations.as_slice() {
        [] => return Intent::None,
        [first, others @ ..] => (first, others),
    };
    if !others.is_empty() {
        let integrators = relations.iter().map(|relation| relation.own.integrator());
        return Intent::Keep(Why::Several(integrators.collect()));
    }
    let descriptor = first.provider.descriptor();
    let (options, problems) = of_provider(config, descriptor);
    if !problems.is_empty() || identity::is_unknown(read) {
        return Intent::Keep(Why::Options);
    }
    let optional = first.optional.iter();
    let optional =
        optional.map(|(endpoint, relation)| (endpoint.name.to_owned(), relation.data.clone()));
    let ImageOption { option, default } = descriptor.plugin;
    let plugin_image = text(config, option, default);
    let mut set = options;
    set.insert(option, plugin_image.clone());
    let inputs = Inputs::new(
        descriptor,
        first.own.data.clone(),
        optional.collect(),
        facts.clone(),
    )
    .configured(set)
    .identified(identity::of_pods(&read.settings, descriptor));
    match applications.resolve(first.provider, &inputs) {
        Ok(Answer::Ready(storage)) => Intent::Set {
            descriptor,
            plugin_image,
            storage,
        },
        Ok(Answer::Waiting(what)) => Intent::Keep(Why::Waiting(what)),
        Err(problems) => Intent::Keep(Why::Invalid(problems)),
    }
}

#[cfg(test)]
mod tests;
