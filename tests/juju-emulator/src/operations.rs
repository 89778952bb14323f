//! What a user of Juju does to a model.
//!
//! Invariant: an operation changes what is wanted and runs no hook; [`Juju::settle`] does.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Juju;
use super::any::AnyIntegrator;
use super::asks::BackupClient;
use super::azure::{AzureDialect, AzureIntegrator, AzureSettings};
use super::azure_auth::{AuthRelease, AzureAuthIntegrator};
use super::charm::{Charm, CharmSource, Role};
use super::cluster::Trust;
use super::gcs::{GcsIntegrator, GcsRelease, GcsSettings};
use super::integrations::side;
use super::model::{Application, Counters, Kind, Life, Model, Relation, Status, Unit, split_unit};
use super::s3::{Dialect, S3Integrator, S3Settings};
use super::scripted::{CREDENTIALS, Peer};
use super::secrets::{parse_uri, random};

/// A release of a played integrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// Of `s3-integrator`.
    S3(Dialect),
    /// Of `azure-storage-integrator`.
    Azure(AzureDialect),
    /// Of `azure-auth-integrator`.
    AzureAuth(AuthRelease),
    /// Of `gcs-integrator`.
    Gcs(GcsRelease),
}

/// How an application is deployed.
#[derive(Debug, Clone)]
pub struct DeployOptions {
    /// `--trust`.
    pub trust: bool,
    /// `--config`.
    pub config: BTreeMap<String, String>,
    /// `--num-units`.
    pub units: u32,
}

impl Default for DeployOptions {
    fn default() -> Self {
        Self {
            trust: false,
            config: BTreeMap::new(),
            units: 1,
        }
    }
}

impl DeployOptions {
    /// One unit, trusted.
    #[must_use]
    pub fn trusted() -> Self {
        Self {
            trust: true,
            ..Self::default()
        }
    }
}

impl Juju {
    /// `juju deploy`.
    pub async fn deploy(
        &mut self,
        source: &CharmSource,
        app: &str,
        options: DeployOptions,
    ) -> Result<()> {
        self.require_free(app)?;
        let directory = self.charm_store(app, 0);
        if directory.exists() {
            std::fs::remove_dir_all(&directory)?;
        }
        let charm = Charm::unpack(source, &directory)?;
        let given = options.config.iter();
        let given = given.map(|(key, value)| (key.as_str(), value.as_str()));
        let config = all_typed(&charm, given)?;
        if let Some(cluster) = &self.cluster {
            cluster
                .ensure_application(&self.model, app, Trust::from(options.trust))
                .await?;
        }
        let peers: Vec<_> = charm
            .endpoints
            .iter()
            .filter(|(_, endpoint)| endpoint.role == Role::Peer)
            .map(|(name, endpoint)| (name.clone(), endpoint.interface.clone()))
            .collect();
        let mut application = application(app, Kind::Charm(charm));
        application.config = config;
        application.trusted = options.trust;
        self.model.applications.insert(app.to_owned(), application);
        for (endpoint, interface) in peers {
            self.add_relation(interface, vec![side(app, &endpoint)]);
        }
        for _ in 0..options.units {
            self.add_unit(app)?;
        }
        self.save()
    }

    /// Deploys the played `s3-integrator`.
    pub fn deploy_s3_integrator(&mut self, app: &str, settings: S3Settings) -> Result<()> {
        self.deploy_s3_integrator_of(app, settings, Dialect::V1)
    }

    /// Deploys the played `s3-integrator` in a release that talks like this.
    pub fn deploy_s3_integrator_of(
        &mut self,
        app: &str,
        settings: S3Settings,
        dialect: Dialect,
    ) -> Result<()> {
        self.deploy_player(app, Peer::S3(S3Integrator { settings, dialect }))
    }

    /// Deploys the played `azure-storage-integrator`.
    pub fn deploy_azure_integrator(&mut self, app: &str, settings: AzureSettings) -> Result<()> {
        self.deploy_azure_integrator_of(app, settings, AzureDialect::V1)
    }

    /// Deploys the played `azure-storage-integrator` in a release that talks like this.
    pub fn deploy_azure_integrator_of(
        &mut self,
        app: &str,
        settings: AzureSettings,
        dialect: AzureDialect,
    ) -> Result<()> {
        self.deploy_player(app, Peer::Azure(AzureIntegrator { settings, dialect }))
    }

    /// Deploys the played `azure-auth-integrator`, which knows nothing yet.
    pub fn deploy_azure_auth_integrator(&mut self, app: &str) -> Result<()> {
        self.deploy_azure_auth_integrator_of(app, AuthRelease::New)
    }

    /// The same of this release.
    pub fn deploy_azure_auth_integrator_of(
        &mut self,
        app: &str,
        release: AuthRelease,
    ) -> Result<()> {
        let player = AzureAuthIntegrator {
            release,
            ..AzureAuthIntegrator::default()
        };
        self.deploy_player(app, Peer::AzureAuth(player))
    }

    /// `juju refresh` of a played integrator: to one of the same kind, with what its user has set.
    pub fn refresh_integrator(&mut self, app: &str, release: Release) -> Result<()> {
        let application = self.application_mut(app)?;
        match (&mut application.kind, release) {
            (Kind::Scripted(Peer::S3(player)), Release::S3(dialect)) => player.dialect = dialect,
            (Kind::Scripted(Peer::Azure(player)), Release::Azure(dialect)) => {
                player.dialect = dialect;
            }
            (Kind::Scripted(Peer::AzureAuth(player)), Release::AzureAuth(release)) => {
                player.release = release;
            }
            (Kind::Scripted(Peer::Gcs(player)), Release::Gcs(release)) => player.release = release,
            _ => bail!("{app:?} is no integrator of that kind"),
        }
        // Its hooks of a refresh send all again.
        application.charm_revision += 1;
        application.config_version += 1;
        self.save()
    }

    /// Deploys the played `gcs-integrator` in a release that talks like this.
    pub fn deploy_gcs_integrator(
        &mut self,
        app: &str,
        settings: GcsSettings,
        release: GcsRelease,
    ) -> Result<()> {
        self.deploy_player(app, Peer::Gcs(GcsIntegrator { settings, release }))
    }

    /// Deploys a played integrator of any kind of store, which knows nothing yet: its endpoint with the
    /// interface, and which of its options it sends as a secret.
    pub fn deploy_integrator(
        &mut self,
        app: &str,
        (endpoint, interface): (&str, &str),
        secrets: &[&str],
    ) -> Result<()> {
        let player = AnyIntegrator {
            endpoint: endpoint.to_owned(),
            interface: interface.to_owned(),
            secrets: secrets.iter().map(|key| (*key).to_owned()).collect(),
            ..AnyIntegrator::default()
        };
        self.deploy_player(app, Peer::Any(player))
    }

    /// Deploys a played application that asks to be backed up at this endpoint with this interface. `config` sets the
    /// fields of its data bag.
    pub fn deploy_backup_client(
        &mut self,
        app: &str,
        (endpoint, interface): (&str, &str),
    ) -> Result<()> {
        let player = BackupClient {
            endpoint: endpoint.to_owned(),
            interface: interface.to_owned(),
            ..BackupClient::default()
        };
        self.deploy_player(app, Peer::Asks(player))
    }

    fn deploy_player(&mut self, app: &str, player: Peer) -> Result<()> {
        self.require_free(app)?;
        let kind = Kind::Scripted(player);
        self.model
            .applications
            .insert(app.to_owned(), application(app, kind));
        self.add_unit(app)?;
        let name = format!("{app}/0");
        if let Some(unit) = self.model.unit_mut(&name) {
            unit.status.push(Status::now("active", ""));
        }
        self.save()
    }

    fn require_free(&self, app: &str) -> Result<()> {
        if self.model.applications.contains_key(app) {
            bail!("application {app:?} already exists");
        }
        Ok(())
    }

    fn charm_store(&self, app: &str, revision: u32) -> std::path::PathBuf {
        self.store
            .dir()
            .join("charms")
            .join(format!("{app}-{revision}"))
    }

    /// `juju add-unit`, for one unit; the first one leads.
    pub fn add_unit(&mut self, app: &str) -> Result<String> {
        let application = self.application_mut(app)?;
        let number = application.next_unit;
        application.next_unit += 1;
        let unit = Unit {
            number,
            address: address(app, number),
            interface: format!("placeholder for \"{app}/{number}\" cloud container"),
            status: vec![Status::now("waiting", "installing agent")],
            ..Unit::default()
        };
        application.leader.get_or_insert(number);
        application.units.insert(number, unit);
        self.save()?;
        Ok(format!("{app}/{number}"))
    }

    pub(super) fn application_mut(&mut self, app: &str) -> Result<&mut Application> {
        let found = self.model.applications.get_mut(app);
        found.with_context(|| format!("application {app:?} not found"))
    }

    /// `juju model-config key=value` for a proxy: `juju-http-proxy`, `no-proxy` and so on.
    pub fn model_proxy(&mut self, key: &str, value: &str) -> Result<()> {
        if !key.ends_with("-proxy") {
            bail!("{key:?} is no proxy");
        }
        self.model.proxies.insert(key.to_owned(), value.to_owned());
        self.save()
    }

    /// `juju config app key=value …`.
    pub fn config(&mut self, app: &str, settings: &[(&str, &str)]) -> Result<()> {
        let application = self.application_mut(app)?;
        match &mut application.kind {
            Kind::Charm(charm) => {
                let typed = all_typed(charm, settings.iter().copied())?;
                let before = application.config.clone();
                application.config.extend(typed);
                application.config_version += u64::from(before != application.config);
            }
            Kind::Scripted(peer) => {
                let before = (peer.clone(), application.config.clone());
                for (key, value) in settings {
                    match *key {
                        CREDENTIALS => {
                            let value = secret_address(key, value)?;
                            application.config.insert((*key).to_owned(), value);
                        }
                        _ => peer.scripted_mut().configure(key, &Value::from(*value))?,
                    }
                }
                let changed = before.0 != *peer || before.1 != application.config;
                application.config_version += u64::from(changed);
            }
        }
        self.save()
    }

    /// `juju config app --reset key,…`. No hook tells of it; the next one finds it.
    pub fn reset_config(&mut self, app: &str, keys: &[&str]) -> Result<()> {
        let application = self.application_mut(app)?;
        application
            .config
            .retain(|key, _| !keys.contains(&key.as_str()));
        self.save()
    }

    /// `juju refresh`. Refused if a relation would lose its endpoint. What the user has set stays, but for
    /// options that are gone or of another type; what the user has not set gets the new default.
    pub fn refresh(&mut self, app: &str, source: &CharmSource) -> Result<()> {
        let revision = self.application_mut(app)?.charm_revision + 1;
        let charm = Charm::unpack(source, &self.charm_store(app, revision))?;
        let loses_its_end = |relation: &&Relation| {
            let side = relation.local(app);
            let end = side.and_then(|side| charm.endpoints.get(&side.endpoint));
            end.is_none_or(|end| end.interface != relation.interface)
        };
        if let Some(lost) = self
            .model
            .relations_of(app)
            .iter()
            .find(|r| loses_its_end(r))
        {
            bail!(
                "cannot upgrade application {app:?}: would break relation {}",
                lost.id
            );
        }
        let application = self.application_mut(app)?;
        let fits = |key: &String, value: &Value| {
            charm.options.get(key).is_some_and(|option| match value {
                Value::Bool(_) => option.kind == "boolean",
                Value::Number(_) => ["int", "float"].contains(&option.kind.as_str()),
                _ => ["string", "secret"].contains(&option.kind.as_str()),
            })
        };
        application.config.retain(|key, value| fits(key, value));
        application.charm_revision = revision;
        application.kind = Kind::Charm(charm);
        self.save()
    }

    /// `juju remove-unit`, or scaling down, for one unit.
    pub fn remove_unit(&mut self, unit: &str) -> Result<()> {
        self.require_unit(unit)?;
        let (app, number) = split_unit(unit).context("not a unit's name")?;
        let application = self.application_mut(app)?;
        if let Some(unit) = application.units.get_mut(&number) {
            unit.life = Life::Dying;
        }
        if application.leader == Some(number) {
            let next = application
                .units
                .values()
                .find(|unit| unit.life == Life::Alive);
            // The last one leads until it is gone.
            let next = next.map(|unit| unit.number).or(Some(number));
            self.set_leader(app, next)?;
        }
        self.save()
    }

    /// `juju remove-application`.
    pub fn remove_application(&mut self, app: &str) -> Result<()> {
        self.let_die(app)?;
        self.save()
    }

    /// An application begins to go, with its units and relations.
    pub(super) fn let_die(&mut self, app: &str) -> Result<()> {
        let application = self.application_mut(app)?;
        application.life = Life::Dying;
        for unit in application.units.values_mut() {
            unit.life = Life::Dying;
        }
        if application.charm().is_none() {
            // No agent says goodbye for it.
            application.units.clear();
        }
        for relation in self.model.relations.values_mut() {
            if relation.local(app).is_some() {
                relation.life = Life::Dying;
            }
        }
        Ok(())
    }
}

/// Whether a unit goes that has not begun its `install`.
pub(crate) const fn is_stillborn(unit: &Unit) -> bool {
    let agent = &unit.agent;
    let begun = agent.installed || agent.failed.is_some() || agent.pending.is_some();
    matches!(unit.life, Life::Dying) && !begun
}

/// A random UUID.
pub(crate) fn uuid() -> Result<String> {
    let mut bytes = random()?;
    // The marks of a random UUID.
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    let mut letters = hex.chars();
    let parts: Vec<String> = [8, 4, 4, 4, 12]
        .into_iter()
        .map(|n| letters.by_ref().take(n).collect())
        .collect();
    Ok(parts.join("-"))
}

/// An empty model.
pub(crate) fn new_model(name: &str) -> Result<Model> {
    Ok(Model {
        name: name.to_owned(),
        uuid: uuid()?,
        juju_version: "4.0.15".to_owned(),
        on_cluster: false,
        cloud_api_version: String::new(),
        proxies: BTreeMap::new(),
        api_addresses: "10.152.183.10:17070".to_owned(),
        applications: BTreeMap::new(),
        relations: BTreeMap::new(),
        secrets: BTreeMap::new(),
        next: Counters::default(),
        now: Duration::ZERO,
        retries_hooks: true,
        largest_bag: super::model::largest_bag(),
        log: Vec::new(),
    })
}

fn application(name: &str, kind: Kind) -> Application {
    Application {
        name: name.to_owned(),
        kind,
        config: BTreeMap::new(),
        config_version: 0,
        charm_revision: 0,
        trusted: false,
        life: Life::Alive,
        forced: false,
        role_is_late: false,
        leader: None,
        units: BTreeMap::new(),
        next_unit: 0,
        status: Vec::new(),
        version: String::new(),
        service_address: service_address(name),
        resources: BTreeMap::new(),
        leader_settings: BTreeMap::new(),
    }
}

/// An address of its own for each unit, the same each time.
fn address(app: &str, number: u32) -> String {
    let sum: u32 = app.bytes().map(u32::from).sum();
    format!("10.1.{}.{}", sum % 250, number + 10)
}

/// The same for its service.
fn service_address(app: &str) -> String {
    let sum: u32 = app.bytes().map(u32::from).sum();
    format!("10.152.183.{}", sum % 250 + 1)
}

/// Settings in the types of their options, or all that is wrong with them.
fn all_typed<'a>(
    charm: &Charm,
    settings: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<BTreeMap<String, Value>> {
    let (mut good, mut bad) = (BTreeMap::new(), Vec::new());
    for (key, value) in settings {
        match typed(charm, key, value) {
            Ok(value) => drop(good.insert(key.to_owned(), value)),
            Err(why) => bad.push(why.to_string()),
        }
    }
    if !bad.is_empty() {
        bail!("{}", bad.join("; "));
    }
    Ok(good)
}

/// A setting in the type of its option.
fn typed(charm: &Charm, key: &str, value: &str) -> Result<Value> {
    let option = charm
        .options
        .get(key)
        .with_context(|| format!("unknown option {key:?}"))?;
    let wrong = || format!("option {key:?} expected {}, got {value:?}", option.kind);
    Ok(match option.kind.as_str() {
        "int" => Value::from(value.parse::<i64>().with_context(wrong)?),
        "float" => Value::from(value.parse::<f64>().with_context(wrong)?),
        "boolean" => Value::from(value.to_lowercase().parse::<bool>().with_context(wrong)?),
        "secret" => secret_address(key, value)?,
        _ => Value::from(value),
    })
}

/// A setting of the type `secret`: an address, or nothing.
fn secret_address(key: &str, value: &str) -> Result<Value> {
    if !value.is_empty() && parse_uri(value).is_none() {
        bail!("option {key:?} expected secret, got {value:?}");
    }
    Ok(Value::from(value))
}

/// Units that have run `remove`, and those that go before they have begun: for them no hook runs.
pub(crate) fn finished_units(model: &Model) -> Vec<String> {
    let units = model.applications.values().flat_map(|app| {
        app.units
            .values()
            .filter(|unit| unit.agent.removed || is_stillborn(unit))
            .map(|u| app.unit_name(u.number))
    });
    units.collect()
}

impl Juju {
    /// Forgets a unit, and the secrets that were its own.
    pub(super) fn forget_unit(&mut self, unit: &str) -> Result<()> {
        let (app, number) = split_unit(unit).context("not a unit's name")?;
        let application = self.application_mut(app)?;
        application.units.remove(&number);
        if application.leader == Some(number) {
            let next = application.units.keys().next().copied();
            self.set_leader(app, next)?;
        }
        let owner = super::secrets::Owner::Unit(unit.to_owned());
        self.model.secrets.retain(|_, secret| secret.owner != owner);
        for secret in self.model.secrets.values_mut() {
            secret.consumers.remove(unit);
        }
        Ok(())
    }
}

/// Forgets an application and its secrets.
pub(crate) fn forget_application(model: &mut Model, app: &str) {
    model.applications.remove(app);
    for secret in model.secrets.values_mut() {
        secret.grants.retain(|grant| grant.app != app);
    }
    let own = |name: &str| split_unit(name).is_some_and(|(owner, _)| owner == app);
    model.secrets.retain(|_, secret| match &secret.owner {
        super::secrets::Owner::Application(name) => name != app,
        super::secrets::Owner::Unit(name) => !own(name),
        super::secrets::Owner::User => true,
    });
    model
        .relations
        .retain(|_, relation| relation.local(app).is_none());
}
