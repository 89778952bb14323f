//! Charms: from sources to a directory as Juju unpacks it.
//!
//! Invariant: a unit's charm directory holds what the archive would hold, and `charmcraft.yaml` is
//! not in it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use zip::ZipArchive;
use zip::result::ZipError;

/// Where a charm comes from.
#[derive(Debug, Clone)]
pub enum CharmSource {
    /// A `.charm` as charmcraft packs it.
    Archive(PathBuf),
    /// A directory with `metadata.yaml`, `dispatch` and so on.
    Directory(PathBuf),
    /// Parts, as charmcraft puts them together.
    Parts {
        /// `charmcraft.yaml`, from which the metadata files are made.
        charmcraft: PathBuf,
        /// The program that becomes `dispatch`.
        dispatch: PathBuf,
        /// Further files: where they are, and where they go within the charm. Of a directory only a
        /// link goes there.
        files: Vec<(PathBuf, PathBuf)>,
    },
}

/// What the controller knows of a charm.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Charm {
    /// Its name.
    pub name: String,
    /// Where it was unpacked.
    pub directory: PathBuf,
    /// Its endpoints by name.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// Further names under which it can ask for addresses.
    #[serde(default)]
    pub extra_bindings: BTreeMap<String, Value>,
    /// Who its hooks and actions run as.
    #[serde(default)]
    pub user: CharmUser,
    /// Its options by name.
    pub options: BTreeMap<String, ConfigOption>,
    /// Its actions by name, each a JSON schema of its parameters.
    pub actions: BTreeMap<String, Map<String, Value>>,
}

/// Who a charm runs as: `charm-user` of its metadata.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CharmUser {
    /// As charms did before there was a choice.
    #[default]
    Root,
    /// A user of its own who may become root.
    Sudoer,
    /// A user of its own.
    NonRoot,
}

impl CharmUser {
    /// The number of the user and of its group.
    #[must_use]
    pub const fn id(self) -> u32 {
        match self {
            Self::Root => 0,
            Self::Sudoer => 171,
            Self::NonRoot => 170,
        }
    }
}

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The interface.
    pub interface: String,
    /// Which end.
    pub role: Role,
    /// How many relations it may have at most.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// Which end of a relation an endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It offers.
    Provider,
    /// It asks.
    Requirer,
    /// It talks among its own units.
    Peer,
}

/// An option of a charm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigOption {
    /// `string`, `int`, `float`, `boolean` or `secret`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its default.
    #[serde(default)]
    pub default: Option<Value>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    requires: BTreeMap<String, Interface>,
    #[serde(default)]
    provides: BTreeMap<String, Interface>,
    #[serde(default)]
    peers: BTreeMap<String, Interface>,
    #[serde(default, rename = "extra-bindings")]
    extra_bindings: BTreeMap<String, Value>,
    #[serde(default, rename = "charm-user")]
    user: CharmUser,
}

#[derive(Deserialize)]
struct Interface {
    interface: String,
    #[serde(default)]
    limit: Option<usize>,
}

#[derive(Deserialize, Default)]
struct Config {
    #[serde(default)]
    options: BTreeMap<String, ConfigOption>,
}

/// Keys of `charmcraft.yaml` that go to `metadata.yaml`.
const METADATA: [&str; 17] = [
    "name",
    "title",
    "summary",
    "description",
    "requires",
    "provides",
    "peers",
    "containers",
    "storage",
    "resources",
    "devices",
    "extra-bindings",
    "assumes",
    "charm-user",
    "subordinate",
    "terms",
    "links",
];

impl Charm {
    /// Unpacks a charm into `directory`, which must not exist, and reads what it says of itself.
    pub fn unpack(source: &CharmSource, directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory)?;
        match source {
            CharmSource::Archive(file) => extract(file, directory)?,
            CharmSource::Directory(from) => copy_tree(from, directory, Copying::Bytes)?,
            CharmSource::Parts {
                charmcraft,
                dispatch,
                files,
            } => {
                write_metadata(charmcraft, directory)?;
                copy_file(dispatch, &directory.join("dispatch"), Copying::Bytes)?;
                for (from, to) in files {
                    let to = directory.join(to);
                    fs::create_dir_all(to.parent().unwrap_or(directory))?;
                    if from.is_dir() {
                        // Libraries are large, and nobody writes there.
                        std::os::unix::fs::symlink(from, &to)?;
                    } else {
                        copy_file(from, &to, Copying::Bytes)?;
                    }
                }
            }
        }
        Self::read(directory)
    }

    /// Reads an unpacked charm.
    pub fn read(directory: &Path) -> Result<Self> {
        let metadata: Metadata = read_yaml(&directory.join("metadata.yaml"))?
            .context("the charm has no metadata.yaml")?;
        let config: Config = read_yaml(&directory.join("config.yaml"))?.unwrap_or_default();
        let actions = read_yaml(&directory.join("actions.yaml"))?.unwrap_or_default();
        Ok(Self {
            name: metadata.name,
            directory: directory.to_owned(),
            endpoints: endpoints(metadata.requires, metadata.provides, metadata.peers),
            extra_bindings: metadata.extra_bindings,
            user: metadata.user,
            options: config.options,
            actions,
        })
    }

    /// Puts the charm into a unit's charm directory, taking away what was there.
    pub fn install(&self, directory: &Path) -> Result<()> {
        if directory.exists() {
            fs::remove_dir_all(directory)?;
        }
        fs::create_dir_all(directory)?;
        copy_tree(&self.directory, directory, Copying::Links)
    }
}

/// Modes are those in the archive; Juju makes nothing but hooks executable.
fn extract(archive: &Path, directory: &Path) -> Result<()> {
    let unpacked = File::open(archive)
        .map_err(ZipError::from)
        .and_then(ZipArchive::new)
        .and_then(|mut archive| archive.extract(directory));
    unpacked.with_context(|| format!("unpacking {}", archive.display()))
}

fn endpoints(
    requires: BTreeMap<String, Interface>,
    provides: BTreeMap<String, Interface>,
    peers: BTreeMap<String, Interface>,
) -> BTreeMap<String, Endpoint> {
    [
        (Role::Requirer, requires),
        (Role::Provider, provides),
        (Role::Peer, peers),
    ]
    .into_iter()
    .flat_map(|(role, all)| {
        all.into_iter()
            .map(move |(name, Interface { interface, limit })| {
                let end = Endpoint {
                    interface,
                    role,
                    limit,
                };
                (name, end)
            })
    })
    .collect()
}

fn write_metadata(charmcraft: &Path, directory: &Path) -> Result<()> {
    let source: Map<String, Value> = read_yaml(charmcraft)?
        .with_context(|| format!("{} does not exist", charmcraft.display()))?;
    let metadata: Map<String, Value> = METADATA
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), source.get(key)?.clone())))
        .collect();
    write_yaml(&directory.join("metadata.yaml"), &Value::Object(metadata))?;
    write_yaml(&directory.join("manifest.yaml"), &manifest())?;
    for (key, file) in [("config", "config.yaml"), ("actions", "actions.yaml")] {
        if let Some(part) = source.get(key) {
            write_yaml(&directory.join(file), part)?;
        }
    }
    Ok(())
}

fn manifest() -> Value {
    json!({
        "charmcraft-version": "4.5.0",
        "charmcraft-started-at": "2026-01-01T00:00:00.000000Z",
        "bases": [{"name": "ubuntu", "channel": "24.04", "architectures": ["amd64"]}],
    })
}

/// JSON is YAML, and no reader needs more.
fn write_yaml(path: &Path, value: &Value) -> Result<()> {
    Ok(fs::write(
        path,
        serde_json::to_string_pretty(value)? + "\n",
    )?)
}

fn read_yaml<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(path)?;
    serde_saphyr::from_str(&text)
        .map(Some)
        .with_context(|| format!("reading {}", path.display()))
}

/// How a file comes to another place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Copying {
    /// As its own.
    Bytes,
    /// As another name of the same file, if that can be: a charm is large and units are many.
    Links,
}

fn copy_tree(from: &Path, to: &Path, how: Copying) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            fs::create_dir_all(&target)?;
            copy_tree(&entry.path(), &target, how)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, &target)?;
        } else {
            copy_file(&entry.path(), &target, how)?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path, how: Copying) -> Result<()> {
    if how == Copying::Links && fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("copying {} to {}", from.display(), to.display()))
}

/// What the runner looks for in a charm directory before it starts anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handler {
    /// `dispatch` is there and may be executed.
    Dispatch,
    /// There is none: a hook counts as done, an action fails.
    Missing,
    /// It cannot be started, in Juju's words.
    Broken(String),
}

/// Looks for the handler in a charm directory, which the charm sees as `inside`.
pub fn handler(directory: &Path, inside: &Path) -> Result<Handler> {
    if !directory.is_dir() {
        bail!("{} is not there", directory.display());
    }
    if !directory.join("metadata.yaml").exists() {
        return Ok(Handler::Broken("charm missing from disk".to_owned()));
    }
    let Ok(found) = fs::metadata(directory.join("dispatch")) else {
        return Ok(Handler::Missing);
    };
    if found.permissions().mode() & 0o111 == 0 {
        let path = inside.join("dispatch");
        return Ok(Handler::Broken(format!(
            "exec: \"{}\": permission denied",
            path.display()
        )));
    }
    Ok(Handler::Dispatch)
}
