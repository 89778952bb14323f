//! Random sequences of what can come between a rotation and the charm. However they went: the newest key is in
//! force once the hooks have run that Juju runs for it; a day later if one of them was lost.
//!
//! A failing sequence names its seed: `PROPERTY_SEED=<seed>` runs it alone, step for step the same.
//! `PROPERTY_SEQUENCES` says how many to run.

use juju_emulator::{DeployOptions, Exit, Interruption, PodLoss, Resolve, ToolFault};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, ResourceExt as _};
use kube_stack::proxy::{Face, Fault, Proxy, Refusal, Rule};
use serde_json::{Map, Value};
use worlds::dice::{self, Dice, Eventful};
use worlds::operator::{APP, AZURE, S3};
use worlds::plane::{LightWorld, Plane, StoreKind};

use super::{asked, in_force, secrets};

const SEQUENCES: u64 = 3;
const STEPS: usize = 14;
const NOTES: &str = "velero-operator/read";
const IMAGE: &str = "velero/velero:v1.18.3";

/// Something that happens.
#[derive(Debug, Clone, Copy)]
enum Step {
    Rotate(usize),
    Kill(usize),
    KillBefore(usize),
    KillAfter(usize),
    /// The next hook fails, and somebody has Juju continue without it.
    Lose,
    Lead(usize),
    Join,
    Leave,
    BornAgain(PodLoss),
    SecretLost,
    /// Somebody deletes ours and makes one that looks like it, with an older key.
    SecretForged,
    NoteLost,
    ApiBreaks,
    ApiMends,
    Distrust,
    Trust,
    Config(&'static str),
    SecondStore,
    OneStore,
    UpdateStatus,
}

struct Scene {
    world: LightWorld,
    proxy: Proxy,
    key: String,
    /// A hook of Juju's did not run to its end and never will.
    lost: bool,
}

/// As if the Secret's content had been read at another time.
pub(crate) async fn redate(world: &LightWorld, at: &str) {
    for secret in secrets(world).await {
        let Some(text) = secret.annotations().get(NOTES).filter(|t| !t.is_empty()) else {
            continue;
        };
        let mut notes: Map<String, Value> = serde_json::from_str(text).unwrap();
        for note in notes.values_mut() {
            note["at"] = at.into();
        }
        let notes = format!("{NOTES}={}", Value::Object(notes));
        let (space, name) = (&world.namespace, secret.name_any());
        let annotate = [
            "-n",
            space,
            "annotate",
            "--overwrite",
            "secret",
            &name,
            &notes,
        ];
        world.kubectl(&annotate).await.unwrap();
    }
}

#[tokio::test]
async fn the_newest_key_is_in_force_after_its_hook_or_a_day() {
    let seeds = dice::seeds("PROPERTY", SEQUENCES).unwrap();
    let plane = Plane::start().await.unwrap();
    let (mut hooks, mut questions) = (0, 0);
    for seed in seeds.clone() {
        let scene = Scene::set(&plane, seed);
        let scene = dice::sequence("PROPERTY", seed, STEPS, scene).await;
        let runs = scene.world.juju.hook_runs();
        hooks += runs.len();
        questions += runs.iter().map(asked).sum::<usize>();
    }
    println!("seeds {seeds:?}, {STEPS} steps each: {hooks} hooks, {questions} secret-get");
}

impl Eventful for Scene {
    type Step = Step;

    /// Whether it can happen now is seen when it is its turn.
    fn choose(&self, dice: &mut Dice) -> Step {
        match dice.roll(30) {
            0..=8 => Step::Rotate(dice.roll(1000)),
            9 => Step::Kill(1 + dice.roll(14)),
            10 => Step::KillBefore(1 + dice.roll(14)),
            11 => Step::KillAfter(1 + dice.roll(14)),
            12 => Step::Lose,
            13 | 14 => Step::Lead(dice.roll(3)),
            15 => Step::Join,
            16 => Step::Leave,
            17 => Step::BornAgain(dice.one_of(&[PodLoss::Drained, PodLoss::Killed])),
            18 => Step::SecretLost,
            19 => Step::SecretForged,
            20 => Step::NoteLost,
            21 => Step::ApiBreaks,
            22 => Step::ApiMends,
            23 => Step::Distrust,
            24 => Step::Trust,
            25 => Step::Config(dice.one_of(&["no image", IMAGE])),
            26 => Step::SecondStore,
            27 => Step::OneStore,
            _ => Step::UpdateStatus,
        }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Rotate(number) => {
                self.key = format!("key-{number}");
                let settings = [("secret-key", self.key.as_str())];
                self.world.juju.config(S3, &settings).unwrap();
            }
            Step::Kill(call) => self.world.juju.interrupt_next(Interruption::Killed, call),
            Step::KillBefore(request) => self.at(request, Fault::KillBefore(self.kill())),
            Step::KillAfter(request) => self.at(request, Fault::KillAfter(self.kill())),
            Step::Lose => self.lose().await,
            Step::Lead(number) => {
                let units = self.units();
                let unit = &units[number % units.len()];
                self.world.juju.move_leadership(unit).unwrap();
            }
            Step::Join if self.units().len() < 3 => {
                self.world.juju.add_unit(APP).unwrap();
            }
            Step::Leave if self.units().len() > 1 => {
                let unit = self.units().pop().unwrap();
                self.world.juju.remove_unit(&unit).unwrap();
            }
            Step::BornAgain(how) => {
                let unit = self.leader();
                self.world.juju.replace_pod(&unit, how).unwrap();
            }
            Step::SecretLost => drop(self.take_secrets().await),
            Step::SecretForged => self.forge().await,
            Step::NoteLost => {
                for secret in secrets(&self.world).await {
                    let (space, name) = (&self.world.namespace, secret.name_any());
                    let gone = format!("{NOTES}-");
                    let annotate = ["-n", space, "annotate", "secret", &name, &gone];
                    self.world.kubectl(&annotate).await.unwrap();
                }
            }
            Step::ApiBreaks => {
                let broken = Fault::Refuse(Refusal::Broken);
                self.proxy.play(vec![Rule::every(|_| true, broken)]);
            }
            Step::ApiMends => self.proxy.play(Vec::new()),
            Step::Distrust => self.world.juju.untrust(APP).await.unwrap(),
            Step::Trust => self.world.juju.trust(APP).await.unwrap(),
            Step::Config(image) => {
                let settings = [("velero-image", image)];
                self.world.juju.config(APP, &settings).unwrap();
            }
            Step::SecondStore if !self.has_second_store() => {
                self.world.juju.integrate(APP, AZURE).unwrap();
            }
            Step::OneStore if self.has_second_store() => {
                self.world.juju.remove_relation(APP, AZURE).unwrap();
                self.rest().await;
            }
            // It is as it would be.
            Step::Join | Step::Leave | Step::SecondStore | Step::OneStore => {}
            Step::UpdateStatus => {
                let leader = self.leader();
                let _ = self.world.juju.run_hook(&leader, "update-status").await;
            }
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
        self.holds().await;
    }
}

impl Scene {
    async fn set(plane: &Plane, seed: u64) -> Self {
        let proxy = plane.proxy(Face::Valid).await.unwrap();
        let name = format!("newest-{seed}");
        let mut world = plane.world_at(&name, proxy.api()).await.unwrap();
        world.deploy(DeployOptions::trusted()).await.unwrap();
        world.connect().await.unwrap();
        StoreKind::Azure.deploy(&mut world).unwrap();
        let key = world.settings().secret_key;
        Self {
            world,
            proxy,
            key,
            lost: false,
        }
    }

    async fn lose(&mut self) {
        let fails = ToolFault::Fails {
            code: 1,
            stderr: "ERROR connection is shut down\n".to_owned(),
        };
        self.world.juju.sabotage_next("is-leader", 1, fails);
        let run = self.world.juju.step().await.unwrap();
        if let Some(run) = run.filter(|run| matches!(run.exit, Exit::Code(1))) {
            self.world.juju.resolved(&run.unit, Resolve::Skip).unwrap();
            self.lost = true;
        }
        self.world
            .juju
            .sabotage_next("is-leader", usize::MAX, ToolFault::Hangs);
    }

    async fn take_secrets(&self) -> Vec<Secret> {
        let all: Api<Secret> = Api::namespaced(self.world.client(), &self.world.namespace);
        let there = secrets(&self.world).await;
        for secret in &there {
            let name = secret.name_any();
            all.delete(&name, &DeleteParams::default()).await.unwrap();
        }
        there
    }

    async fn forge(&self) {
        let all: Api<Secret> = Api::namespaced(self.world.client(), &self.world.namespace);
        for mut secret in self.take_secrets().await {
            secret.metadata.resource_version = None;
            secret.metadata.uid = None;
            secret.metadata.managed_fields = None;
            for value in secret.data.iter_mut().flat_map(|data| data.values_mut()) {
                let text = String::from_utf8(value.0.clone()).unwrap();
                value.0 = text.replace(&self.key, "an-older-key").into_bytes();
            }
            all.create(&PostParams::default(), &secret).await.unwrap();
        }
    }

    fn kill(&self) -> kube_stack::proxy::Kill {
        let killer = self.world.juju.killer();
        // What asks may have ended on its own.
        std::sync::Arc::new(move || drop(killer.kill()))
    }

    fn at(&self, request: usize, fault: Fault) {
        self.proxy.play(vec![Rule::at(request, fault)]);
    }

    /// Puts right what the charm can only wait for.
    async fn mend(&mut self) {
        self.proxy.play(Vec::new());
        // Never reached.
        let juju = &mut self.world.juju;
        juju.interrupt_next(Interruption::Killed, usize::MAX);
        juju.trust(APP).await.unwrap();
        juju.config(APP, &[("velero-image", IMAGE)]).unwrap();
        if self.has_second_store() {
            self.world.juju.remove_relation(APP, AZURE).unwrap();
        }
        while !self.world.juju.settle().await.unwrap().is_empty() {}
    }

    async fn holds(&mut self) {
        let leader = self.leader();
        if self.lost {
            redate(&self.world, "2020-01-01T00:00:00Z").await;
        }
        // One that has seen another store be taken away may have come before its hook.
        self.world.juju.update_status(&leader).await.unwrap();
        let file = in_force(&self.world).await;
        let key = format!("={}\n", self.key);
        assert!(file.ends_with(&key), "{}\n{}", self.key, self.world.log());

        let audit = self.world.plane().audit();
        let mark = audit.mark().await.unwrap();
        let run = self.world.juju.update_status(&leader).await.unwrap();
        assert_eq!(asked(&run), 0, "{}", self.world.log());
        let user = self.world.charm_user();
        assert_eq!(audit.writes_of(&user, &mark).await.unwrap(), []);
        assert_eq!(secrets(&self.world).await.len(), 1);
        let status = self.world.juju.unit_status(&leader).unwrap();
        assert_eq!(status.level, "active", "{}", status.message);
    }

    fn leader(&self) -> String {
        let app = &self.world.juju.model().applications[APP];
        app.unit_name(app.leader.unwrap())
    }

    /// Those that stay.
    fn units(&self) -> Vec<String> {
        let app = &self.world.juju.model().applications[APP];
        let units = app.units.values();
        let alive = units.filter(|unit| unit.life == juju_emulator::model::Life::Alive);
        alive.map(|unit| app.unit_name(unit.number)).collect()
    }

    fn has_second_store(&self) -> bool {
        let mut relations = self.world.juju.model().relations.values();
        relations.any(|relation| relation.local(AZURE).is_some())
    }
}
