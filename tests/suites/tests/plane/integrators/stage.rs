//! A world with one integrator: what its user does, and what there is to see of it.
//!
//! Invariant: keys have letters that stand nowhere else, so that they are found wherever they are.

use std::collections::BTreeMap;

use anyhow::Result;
use juju_emulator::{
    AzureDialect, AzureSettings, DeployOptions, GcsSettings, HookRun, Release, S3Settings,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use serde_json::Value;
use worlds::operator::{APP, AZURE, UNIT};
use worlds::past::PythonCharm;
use worlds::plane::{LightWorld, Plane};

use super::offers::Offer;
use super::table::{End, Keys, Row};

/// The name of the user's secret.
const SECRET: &str = "keys";

/// What is in force, and what serves it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Working {
    pub(super) location: Option<Value>,
    pub(super) files: Vec<String>,
    pub(super) servers: Vec<String>,
}

/// Where a row's courses take place.
pub(super) struct Stage {
    pub(super) row: &'static Row,
    pub(super) world: LightWorld,
    /// How many keys there have been.
    rotations: u32,
    /// How many hooks there were before our charm.
    earlier: usize,
}

impl Stage {
    /// The Python charm is there, or what Juju sees of it, and the integrator with all that it is to know.
    pub(super) async fn of(plane: &Plane, row: &'static Row) -> Result<Self> {
        Self::named(plane, row, row.name).await
    }

    /// The same in a world of another name.
    pub(super) async fn named(plane: &Plane, row: &'static Row, name: &str) -> Result<Self> {
        let mut world = plane.world(name).await?;
        PythonCharm::deploy(&mut world.juju, DeployOptions::trusted()).await?;
        let mut stage = Self {
            row,
            world,
            rotations: 0,
            earlier: 0,
        };
        stage.deploy().await?;
        stage.tell_options()?;
        stage.hand_over_keys()?;
        stage.settle().await?;
        Ok(stage)
    }

    async fn deploy(&mut self) -> Result<()> {
        let (app, juju) = (self.row.charm, &mut self.world.juju);
        match &self.row.end {
            End::Played(Release::S3(dialect)) => {
                juju.deploy_s3_integrator_of(app, S3Settings::default(), *dialect)
            }
            End::Played(Release::Azure(dialect)) => {
                juju.deploy_azure_integrator_of(app, AzureSettings::default(), *dialect)
            }
            End::Played(Release::AzureAuth(release)) => {
                juju.deploy_azure_auth_integrator_of(app, *release)?;
                self.deploy_its_store()
            }
            End::Played(Release::Gcs(release)) => {
                juju.deploy_gcs_integrator(app, GcsSettings::default(), *release)
            }
            End::Library(charm, _, offer) => {
                let source = charm.source().await?;
                juju.deploy(&source, app, DeployOptions::default()).await?;
                match offer {
                    Offer::Principal => self.deploy_its_store(),
                    _ => Ok(()),
                }
            }
        }
    }

    /// A service principal is of use for a store alone.
    fn deploy_its_store(&mut self) -> Result<()> {
        let settings =
            AzureSettings::of_account("acme", &self.world.bucket, "YSBzdG9yZSdzIGtleQ==");
        let juju = &mut self.world.juju;
        juju.deploy_azure_integrator_of(AZURE, settings, AzureDialect::V1)?;
        juju.integrate(APP, AZURE)?;
        Ok(())
    }

    /// Sets all that is needed, and takes back what is not.
    pub(super) fn tell_options(&mut self) -> Result<()> {
        let offer = self.row.offer();
        let extras = offer
            .extras()
            .iter()
            .map(|extra| (extra.option, String::new()));
        let mut needed = offer.options(&self.world.bucket);
        needed.retain(|(option, _)| self.row.has(option));
        let options = extras.chain(needed);
        // Of two values the last one counts.
        let options: BTreeMap<_, _> = options.collect();
        self.config(options.iter().map(|(key, value)| (*key, value.as_str())))
    }

    pub(super) fn config<'a>(
        &mut self,
        options: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<()> {
        let options: Vec<_> = options.collect();
        self.world.juju.config(self.row.charm, &options)
    }

    /// The key that is in use now, or was last.
    pub(super) fn letters(&self) -> String {
        letters(self.rotations)
    }

    /// Gives the integrator its first keys.
    fn hand_over_keys(&mut self) -> Result<()> {
        let keys = self.row.offer().keys(&self.letters());
        let keys = as_texts(&keys);
        match self.row.keys {
            Keys::InASecret => {
                let address = self.world.juju.add_secret(SECRET, &keys)?;
                self.grant()?;
                self.config([("credentials", address.as_str())].into_iter())
            }
            Keys::ByAnAction | Keys::ItsOwn => self.config(keys.into_iter()),
        }
    }

    /// Gives it new ones.
    pub(super) fn rotate(&mut self) -> Result<()> {
        self.rotations += 1;
        let keys = self.row.offer().keys(&self.letters());
        let keys = as_texts(&keys);
        match self.row.keys {
            Keys::InASecret => self.world.juju.update_secret(SECRET, &keys),
            Keys::ByAnAction | Keys::ItsOwn => self.config(keys.into_iter()),
        }
    }

    /// Takes the keys from it, as if it had not been given any.
    pub(super) fn forget_keys(&mut self) -> Result<()> {
        let fields = self.row.offer().keys("");
        match self.row.keys {
            Keys::InASecret => self.config([("credentials", "")].into_iter()),
            Keys::ByAnAction | Keys::ItsOwn => {
                self.config(fields.iter().map(|(key, _)| (*key, "")))
            }
        }
    }

    /// Gives them back.
    pub(super) fn remember_keys(&mut self) -> Result<()> {
        let keys = self.row.offer().keys(&self.letters());
        let keys = as_texts(&keys);
        match self.row.keys {
            Keys::InASecret => {
                let secrets = self.world.juju.model().secrets.values();
                let address = secrets.filter(|one| one.label == SECRET);
                let address = address.map(|one| format!("secret:{}", one.id)).next();
                let address = address.unwrap_or_default();
                self.config([("credentials", address.as_str())].into_iter())
            }
            Keys::ByAnAction | Keys::ItsOwn => self.config(keys.into_iter()),
        }
    }

    pub(super) fn grant(&mut self) -> Result<()> {
        self.world.juju.grant_secret(SECRET, self.row.charm)
    }

    pub(super) fn revoke(&mut self) -> Result<()> {
        self.world.juju.revoke_secret(SECRET, self.row.charm)
    }

    pub(super) async fn integrate(&mut self) -> Result<()> {
        let ours = format!("{APP}:{}", self.row.offer().endpoint());
        self.world.juju.integrate(&ours, self.row.charm)?;
        self.settle().await.map(drop)
    }

    pub(super) async fn remove_relation(&mut self) -> Result<()> {
        let ours = format!("{APP}:{}", self.row.offer().endpoint());
        self.world.juju.remove_relation(&ours, self.row.charm)?;
        self.settle().await.map(drop)
    }

    /// Every hook that is due; those of the charm.
    pub(super) async fn settle(&mut self) -> Result<Vec<HookRun>> {
        let mut runs = self.world.juju.settle().await?;
        runs.retain(|run| run.unit == UNIT);
        Ok(runs)
    }

    /// The `update-status` of the integrator, and what follows from it.
    pub(super) async fn minutes_pass(&mut self) -> Result<Vec<HookRun>> {
        if let End::Library(..) = self.row.end {
            let unit = format!("{}/0", self.row.charm);
            self.world.juju.update_status(&unit).await?;
        }
        self.settle().await
    }

    /// The integrator's data bag, without what it may have said of the keys.
    pub(super) fn bag(&self) -> BTreeMap<String, String> {
        self.bags().1
    }

    /// Our data bag of the relation and the integrator's.
    pub(super) fn bags(&self) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
        let mut relations = self.world.juju.model().relations.values();
        let bags = relations.find_map(|relation| {
            let theirs = relation.local(self.row.charm)?;
            let ours = relation.local(APP)?;
            Some((ours.bag.data.clone(), theirs.bag.data.clone()))
        });
        bags.unwrap_or_default()
    }

    /// The data bag of one of our units.
    pub(super) fn unit_bag(&self, unit: &str) -> BTreeMap<String, String> {
        let mut relations = self.world.juju.model().relations.values();
        let bag = relations.find_map(|relation| {
            relation.local(self.row.charm)?;
            let unit = relation.local(APP)?.units.get(unit)?;
            Some(unit.bag.data.clone())
        });
        bag.unwrap_or_default()
    }

    /// What is in force now.
    pub(super) async fn working(&self) -> Working {
        let (client, namespace) = (self.world.client(), &self.world.namespace);
        let role = ListParams::default().labels("velero-operator/role=storage-credential");
        let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let secrets = secrets.list(&role).await.unwrap().items.into_iter();
        let files = secrets.filter_map(|secret| Some(secret.data?.get("cloud")?.0.clone()));
        let servers: Api<Deployment> = Api::namespaced(client.clone(), namespace);
        let server = servers.get("velero").await.unwrap();
        let pods: Api<Pod> = Api::namespaced(client, namespace);
        let pods = pods
            .list(&ListParams::default().labels("deploy=velero"))
            .await;
        let pods = pods.unwrap().items.into_iter().filter_map(|pod| pod.uid());
        let generation = server.metadata.generation.unwrap_or_default().to_string();
        Working {
            location: self.world.location().await.unwrap(),
            files: files.map(|file| String::from_utf8(file).unwrap()).collect(),
            servers: pods.chain(server.uid()).chain([generation]).collect(),
        }
    }

    /// The Python charm is refreshed to ours.
    pub(super) async fn refresh_to_ours(&mut self) -> Result<()> {
        self.earlier = self.world.juju.hook_runs().len();
        self.world.refresh().await
    }

    /// No hook has failed, and our charm has told no key.
    pub(super) fn expect_decency(&self) {
        let runs = self.world.juju.hook_runs();
        let failed = runs.iter().find(|run| !run.exit.is_success());
        assert!(failed.is_none(), "{failed:#?}\n{}", self.world.log());
        let ours = runs
            .iter()
            .skip(self.earlier)
            .filter(|run| run.unit == UNIT);
        let calls =
            ours.flat_map(|run| run.tool_calls.iter().map(|call| format!("{:?}", call.args)));
        let history = self.world.juju.status_history(UNIT).iter();
        let statuses = history.map(|status| status.message.clone());
        let said: Vec<_> = calls.chain(statuses).chain([self.world.log()]).collect();
        for number in 0..=self.rotations {
            let trace = self.row.offer().trace(&letters(number));
            let told = said.iter().find(|text| text.contains(&trace));
            assert!(told.is_none(), "{}: {told:?}", self.row.name);
        }
    }
}

/// Base64, as Azure wants it.
fn letters(number: u32) -> String {
    format!("a2V5{number:04}")
}

fn as_texts<'a>(pairs: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    pairs
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .collect()
}
