//! What can happen to a charmed model.

use std::collections::BTreeMap;

use juju_emulator::model::Life;
use juju_emulator::{DeployOptions, Echo, Interruption};
use kube::Api;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube_stack::proxy::{Face, Fault, Proxy, Refusal, Rule};
use serde_json::json;
use worlds::dice::{Dice, Eventful};
use worlds::operator::APP;
use worlds::plane::{LightWorld, Plane, StoreKind};

use super::oracle;

pub(crate) const IMAGES: [&str; 2] = ["velero/velero:v1.18.3", "velero/velero:v1.18.2"];
const BAD_IMAGES: [&str; 3] = ["velero/velero:v1.17.0", "no image", ""];
const TAGS: [&str; 2] = ["v1.14.3", "v1.14.1"];
const FLAGS: [&str; 2] = ["true", "false"];
const COURSES: [Echo; 2] = [Echo::Once, Echo::Twice];
/// The user's secret that the integrator takes its keys from.
const KEYS: &str = "store-keys";
/// A setting of a store, under any name that its integrator has for it.
pub(crate) const BUCKET: &str = "bucket";
pub(crate) const PATH: &str = "path";
pub(crate) const KEY: &str = "secret-key";
/// Every hook needs some of it; to be hit, a number must be small.
const CALLS: usize = 12;
const REQUESTS: usize = 30;

/// Something that happens.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Config(&'static str, &'static str),
    /// How often `config-changed` runs for a setting from now on.
    Course(Echo),
    Relate,
    Unrelate,
    /// `juju remove-application --force` of the integrator.
    LoseIntegrator,
    /// It is deployed and related again.
    ReplaceIntegrator,
    Plugin(&'static str),
    /// The user updates the secret with the keys.
    Rotate(usize),
    Bucket(&'static str),
    Path(&'static str),
    Delete(Victim),
    EditImage,
    DropLabels,
    /// Another unit comes, leads, and the one that led goes.
    Succession,
    KillAtCall(usize),
    KillBefore(usize),
    KillAfter(usize),
    CutAt(usize),
    ApiBreaks,
    ApiMends,
    Distrust(Echo),
    Trust(Echo),
    BackupBegins,
    BackupsEnd,
    UpdateStatus,
}

/// What somebody deletes by hand.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Victim {
    Server,
    NodeAgent,
    Location,
    Credential,
    Account,
    Record,
}

/// One model, and what a test must know of it to say what it should be like.
pub(crate) struct Scene {
    pub(crate) world: LightWorld,
    pub(crate) store: StoreKind,
    /// What the integrator was told last.
    pub(crate) told: BTreeMap<&'static str, String>,
    /// The address of the user's secret.
    credentials: String,
    proxy: Proxy,
    backups: usize,
}

impl Scene {
    pub(crate) async fn set(plane: &Plane, seed: u64) -> Self {
        let proxy = plane.proxy(Face::Valid).await.unwrap();
        let name = format!("seed-{seed}");
        let mut world = plane.world_at(&name, proxy.api()).await.unwrap();
        world.deploy(DeployOptions::trusted()).await.unwrap();
        let store = StoreKind::ALL[(seed % 3) as usize];
        let told = [
            (BUCKET, world.bucket.clone()),
            (PATH, String::new()),
            (KEY, store.secret_key(&world)),
        ];
        // It gets its content at once.
        let credentials = world.juju.add_secret(KEYS, &[]).unwrap();
        let mut scene = Self {
            world,
            store,
            told: told.into(),
            credentials,
            proxy,
            backups: 0,
        };
        scene.update_keys();
        scene.deploy_integrator();
        scene
    }

    /// An integrator with the settings of the last one.
    fn deploy_integrator(&mut self) {
        self.store.deploy(&mut self.world).unwrap();
        let (juju, integrator) = (&mut self.world.juju, self.store.integrator());
        juju.grant_secret(KEYS, integrator).unwrap();
        let settings = [
            (self.store.bucket_option(), self.told[BUCKET].as_str()),
            (PATH, &self.told[PATH]),
            ("credentials", &self.credentials),
        ];
        juju.config(integrator, &settings).unwrap();
    }

    /// Puts the keys of now into the user's secret.
    fn update_keys(&mut self) {
        let access_key = self.world.settings().access_key;
        let secret_key = (KEY, self.told[KEY].as_str());
        let juju = &mut self.world.juju;
        let updated = match self.store {
            StoreKind::S3 => juju.update_secret(KEYS, &[("access-key", &access_key), secret_key]),
            StoreKind::Azure | StoreKind::Gcs => juju.update_secret(KEYS, &[secret_key]),
        };
        updated.unwrap();
    }
}

impl Eventful for Scene {
    type Step = Step;

    fn choose(&self, dice: &mut Dice) -> Step {
        match dice.roll(36) {
            0 | 1 => Step::Config("use-node-agent", dice.one_of(&FLAGS)),
            2 => Step::Config("default-volumes-to-fs-backup", dice.one_of(&FLAGS)),
            3 | 4 => Step::Config("velero-image", dice.one_of(&IMAGES)),
            5 => Step::Config("velero-image", dice.one_of(&BAD_IMAGES)),
            6 => Step::Plugin(dice.one_of(&TAGS)),
            7..=11 => match (self.integrator(), self.is_related()) {
                (Some(_), Some(true)) if dice.roll(3) == 0 => Step::Unrelate,
                (Some(_), Some(true)) => Step::Rotate(dice.roll(1000)),
                (Some(Life::Alive), Some(false)) => Step::Relate,
                (None, _) => Step::ReplaceIntegrator,
                (Some(_), _) => Step::UpdateStatus,
            },
            12 | 13 => Step::Bucket(dice.one_of(&["one", "other", "", "a/b"])),
            14 => Step::Path(dice.one_of(&["", "below", "/deep/er/"])),
            15..=17 => Step::Delete(dice.one_of(&[
                Victim::Server,
                Victim::NodeAgent,
                Victim::Location,
                Victim::Credential,
                Victim::Account,
                Victim::Record,
            ])),
            18 => Step::EditImage,
            19 => Step::DropLabels,
            20 | 21 => Step::Succession,
            22 => Step::KillAtCall(1 + dice.roll(CALLS)),
            23 => Step::KillBefore(1 + dice.roll(REQUESTS)),
            24 => Step::KillAfter(1 + dice.roll(REQUESTS)),
            25 => Step::CutAt(1 + dice.roll(REQUESTS)),
            26 => Step::ApiBreaks,
            27 => Step::ApiMends,
            28 => Step::Distrust(dice.one_of(&COURSES)),
            29 => Step::Trust(dice.one_of(&COURSES)),
            30 => Step::BackupBegins,
            31 => Step::BackupsEnd,
            32 => Step::Course(dice.one_of(&COURSES)),
            33 | 34 => match self.integrator() {
                Some(Life::Alive) => Step::LoseIntegrator,
                Some(Life::Dying) => Step::UpdateStatus,
                None => Step::ReplaceIntegrator,
            },
            _ => Step::UpdateStatus,
        }
    }

    async fn take(&mut self, step: Step) {
        let (plugin, image) = self.plugin();
        let juju = &mut self.world.juju;
        match step {
            Step::Config(option, value) => juju.config(APP, &[(option, value)]).unwrap(),
            Step::Plugin(tag) => {
                let image = format!("{image}:{tag}");
                juju.config(APP, &[(plugin, &image)]).unwrap();
            }
            Step::Relate => drop(juju.integrate(APP, self.store.integrator()).unwrap()),
            Step::Unrelate => juju.remove_relation(APP, self.store.integrator()).unwrap(),
            Step::Course(echo) => juju.play_config(echo),
            Step::LoseIntegrator => {
                let integrator = self.store.integrator();
                juju.remove_application_by_force(integrator).unwrap();
            }
            Step::ReplaceIntegrator => {
                self.deploy_integrator();
                let integrator = self.store.integrator();
                self.world.juju.integrate(APP, integrator).unwrap();
            }
            Step::Rotate(number) => {
                self.told
                    .insert(KEY, self.store.key_of(&format!("secret-{number}")));
                self.update_keys();
            }
            Step::Bucket(bucket) => self.offer(BUCKET, bucket),
            Step::Path(path) => self.offer(PATH, path),
            Step::Delete(victim) => self.delete(victim).await,
            Step::EditImage => {
                let container = json!({"name": "velero", "image": "velero/velero:v1.0.0"});
                let pod = json!({"spec": {"containers": [container]}});
                self.edit_server(&json!({"spec": {"template": pod}})).await;
            }
            Step::DropLabels => {
                let labels = json!({"velero-operator/application": null, "component": null});
                self.edit_server(&json!({"metadata": {"labels": labels}}))
                    .await;
            }
            Step::Succession => self.succeed().await,
            Step::KillAtCall(call) => juju.interrupt_next(Interruption::Killed, call),
            Step::KillBefore(request) => self.at(request, Fault::KillBefore(self.kill())),
            Step::KillAfter(request) => self.at(request, Fault::KillAfter(self.kill())),
            Step::CutAt(request) => self.at(request, Fault::Cut),
            Step::ApiBreaks => {
                let broken = Fault::Refuse(Refusal::Broken);
                self.proxy.play(vec![Rule::every(|_| true, broken)]);
            }
            Step::ApiMends => self.proxy.play(Vec::new()),
            Step::Distrust(echo) => {
                juju.play_trust(echo);
                juju.untrust(APP).await.unwrap();
            }
            Step::Trust(echo) => {
                juju.play_trust(echo);
                juju.trust(APP).await.unwrap();
            }
            Step::BackupBegins => self.begin_backup().await,
            Step::BackupsEnd => self.end_backups().await,
            Step::UpdateStatus => self.update_status(&self.leader()).await,
        }
    }

    /// Runs what is due. A hook that was killed runs again on its own, later.
    async fn rest(&mut self) {
        let runs = self.world.juju.settle().await.unwrap();
        let failed = runs
            .iter()
            .find(|run| !run.exit.is_success() && !run.exit.is_terminated());
        assert!(failed.is_none(), "{failed:#?}\n{}", self.world.log());
    }

    async fn end(&mut self) {
        self.mend().await;
        self.quiet_hook().await;
        oracle::assert_as_called_for(self).await;
        self.assert_next_hook_writes_nothing().await;
    }
}

impl Scene {
    /// Puts right what the charm can only wait for, and nothing that it has to do itself.
    async fn mend(&mut self) {
        self.proxy.play(Vec::new());
        // One that is never reached.
        self.world
            .juju
            .interrupt_next(Interruption::Killed, usize::MAX);
        self.world.juju.trust(APP).await.unwrap();
        self.end_backups().await;
        let set = |option: &str| {
            let app = &self.world.juju.model().applications[APP];
            app.setting(option).cloned().unwrap_or_default()
        };
        let mut mended = Vec::new();
        if !IMAGES.contains(&set("velero-image").as_str().unwrap_or_default()) {
            mended.push(("velero-image", IMAGES[0]));
        }
        if set("default-volumes-to-fs-backup") == true && set("use-node-agent") == false {
            mended.push(("use-node-agent", "true"));
        }
        self.world.juju.config(APP, &mended).unwrap();
        let bucket = &self.told[BUCKET];
        if bucket.is_empty() || bucket.contains('/') {
            self.offer(BUCKET, "mended");
        }
        self.rest().await;
        while !self.world.juju.settle().await.unwrap().is_empty() {}
    }

    /// One more hook of the leader, of which nothing is new.
    async fn quiet_hook(&mut self) {
        let leader = self.leader();
        self.world.juju.update_status(&leader).await.unwrap();
    }

    async fn assert_next_hook_writes_nothing(&mut self) {
        let audit = self.world.plane().audit();
        let mark = audit.mark().await.unwrap();
        let leader = self.leader();
        let run = self.world.juju.update_status(&leader).await.unwrap();
        let mut tools = run.tool_calls.iter().map(|call| call.tool.as_str());
        assert!(
            !tools.any(|tool| tool == "secret-get"),
            "on Juju each makes three objects"
        );
        let user = self.world.charm_user();
        assert_eq!(audit.writes_of(&user, &mark).await.unwrap(), []);
    }

    /// The unit that leads.
    pub(crate) fn leader(&self) -> String {
        let app = &self.world.juju.model().applications[APP];
        app.unit_name(app.leader.unwrap())
    }

    /// Whether there is a relation; none while one is ending.
    pub(crate) fn is_related(&self) -> Option<bool> {
        let relation = self.world.juju.model().relations.values().next();
        match relation {
            None => Some(false),
            Some(relation) if relation.life == Life::Alive => Some(true),
            Some(_) => None,
        }
    }

    /// Whether the integrator stays; `None` if there is none.
    fn integrator(&self) -> Option<Life> {
        let applications = &self.world.juju.model().applications;
        let found = applications.get(self.store.integrator());
        found.map(|app| app.life)
    }

    async fn succeed(&mut self) {
        let old = self.leader();
        // A unit that does not lead waits long for a leader that does nothing.
        self.update_status(&old).await;
        let new = self.world.juju.add_unit(APP).unwrap();
        self.rest().await;
        self.world.juju.move_leadership(&new).unwrap();
        self.world.juju.remove_unit(&old).unwrap();
    }

    /// The option of the store's plugin, and its image without a tag.
    pub(crate) const fn plugin(&self) -> (&'static str, &'static str) {
        match self.store {
            StoreKind::S3 => ("velero-aws-plugin-image", "velero/velero-plugin-for-aws"),
            StoreKind::Azure => (
                "velero-azure-plugin-image",
                "velero/velero-plugin-for-microsoft-azure",
            ),
            StoreKind::Gcs => ("velero-gcp-plugin-image", "velero/velero-plugin-for-gcp"),
        }
    }

    /// Tells the integrator, or the next one if there is none.
    fn offer(&mut self, what: &'static str, value: &str) {
        self.told.insert(what, value.to_owned());
        if self.integrator().is_none() {
            return;
        }
        let option = if what == BUCKET {
            self.store.bucket_option()
        } else {
            what
        };
        let settings = [(option, value)];
        self.world
            .juju
            .config(self.store.integrator(), &settings)
            .unwrap();
    }

    async fn update_status(&mut self, unit: &str) {
        // It does not come to run if another hook is killed before.
        let _ = self.world.juju.run_hook(unit, "update-status").await;
    }

    fn kill(&self) -> kube_stack::proxy::Kill {
        let killer = self.world.juju.killer();
        // What asks may have ended on its own.
        std::sync::Arc::new(move || drop(killer.kill()))
    }

    fn at(&self, request: usize, fault: Fault) {
        self.proxy.play(vec![Rule::at(request, fault)]);
    }

    async fn edit_server(&self, patch: &serde_json::Value) {
        let (namespace, patch) = (&self.world.namespace, patch.to_string());
        let edit = [
            "-n",
            namespace,
            "patch",
            "deployment",
            "velero",
            "-p",
            &patch,
        ];
        // It may have been deleted.
        let _ = self.world.kubectl(&edit).await;
    }

    async fn delete(&self, victim: Victim) {
        let (group, kind, name) = match victim {
            Victim::Server => ("apps", "Deployment", "velero"),
            Victim::NodeAgent => ("apps", "DaemonSet", "node-agent"),
            Victim::Location => ("velero.io", "BackupStorageLocation", "default"),
            Victim::Account => ("", "ServiceAccount", "velero"),
            Victim::Record => ("", "ConfigMap", "velero-operator-applied"),
            Victim::Credential => {
                let secrets = self.api("", "Secret");
                let select = ListParams::default().labels("velero-operator/role");
                for secret in secrets.list(&select).await.unwrap() {
                    let name = secret.name_any();
                    secrets
                        .delete(&name, &DeleteParams::default())
                        .await
                        .unwrap();
                }
                return;
            }
        };
        match self
            .api(group, kind)
            .delete(name, &DeleteParams::default())
            .await
        {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            other => drop(other.unwrap()),
        }
    }

    async fn begin_backup(&mut self) {
        self.backups += 1;
        let backup = json!({
            "apiVersion": "velero.io/v1", "kind": "Backup",
            "metadata": {"name": format!("backup-{}", self.backups), "namespace": self.world.namespace},
            "spec": {},
            "status": {"phase": "InProgress", "startTimestamp": jiff::Timestamp::now().to_string()},
        });
        self.world.apply(&backup).await.unwrap();
    }

    async fn end_backups(&self) {
        let backups = self.api("velero.io", "Backup");
        let (how, all) = (DeleteParams::default(), ListParams::default());
        drop(backups.delete_collection(&how, &all).await.unwrap());
    }

    pub(crate) fn api(&self, group: &str, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
        Api::namespaced_with(self.world.client(), &self.world.namespace, &resource)
    }
}
