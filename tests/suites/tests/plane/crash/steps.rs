//! What a user does, and in which order worlds do it.
//!
//! Invariant: a step says what is wanted and runs no hook, but for what must lie behind it first. A round
//! of steps leads back to where it began.

use juju_emulator::DeployOptions;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use serde_json::{Value, json};
use worlds::operator::APP;
use worlds::plane::{LightWorld, StoreKind, Trial};

use crate::keep::{self, End};
use crate::{clients, here};

/// Where a world is; what is wide as the cluster is different there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Site {
    /// Among other worlds: Velero's definitions are there and stay.
    Shared,
    /// Alone: definitions may be made older.
    Upgraded,
    /// Alone: there are no definitions before it, nor after it.
    Bare,
}

/// There and back again: worlds are reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    There,
    Back,
}

/// Who asks to be backed up, by the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Client {
    Config,
    Target,
}

/// One thing that a user does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Install,
    Relate(StoreKind),
    Rotate(StoreKind, Way),
    MoveFolder(StoreKind, Way),
    NodeAgentOn,
    NodeAgentOff,
    BreakRelation(StoreKind),
    Ask(Client),
    AskOtherwise(Client),
    StopAsking(Client),
    /// Somebody asks whose backups stay by a rule.
    Govern,
    KeepFewer,
    KeepMore,
    Upgrade,
    Remove,
    /// The hook of an installation alone, where nothing is left of the last one.
    Rise,
    /// The last hook of a removal alone.
    Fall,
}

use Client::{Config, Target};
use Step::{
    Ask, AskOtherwise, BreakRelation, Fall, Govern, Install, KeepFewer, KeepMore, MoveFolder,
    NodeAgentOff, NodeAgentOn, Relate, Remove, Rise, Rotate, StopAsking, Upgrade,
};
use StoreKind::{Azure, Gcs, S3};
use Way::{Back, There};

/// A world's name, and the steps that it takes over and over.
pub(crate) type Walker = (&'static str, &'static [Step]);

/// What a world does before its rounds.
pub(crate) fn overture(round: &[Step]) -> &'static [Step] {
    match round.first() {
        Some(Install) | None => &[],
        Some(Relate(_) | Fall) => &[Install],
        Some(Rotate(Azure, _)) => &[Install, Relate(Azure)],
        Some(Rotate(Gcs, _)) => &[Install, Relate(Gcs)],
        Some(KeepFewer) => &[Install, Relate(S3), Govern],
        Some(_) => &[Install, Relate(S3)],
    }
}

impl Site {
    /// Every step of the site, in an order in which one leads to the next.
    pub(crate) fn all(self) -> &'static [Step] {
        match self {
            Self::Shared => &[
                Install,
                Relate(Azure),
                Rotate(Azure, There),
                MoveFolder(Azure, There),
                Rotate(Azure, Back),
                MoveFolder(Azure, Back),
                BreakRelation(Azure),
                Relate(Gcs),
                Rotate(Gcs, There),
                MoveFolder(Gcs, There),
                Rotate(Gcs, Back),
                MoveFolder(Gcs, Back),
                BreakRelation(Gcs),
                Relate(S3),
                Rotate(S3, There),
                MoveFolder(S3, There),
                Rotate(S3, Back),
                MoveFolder(S3, Back),
                NodeAgentOn,
                NodeAgentOff,
                Ask(Config),
                AskOtherwise(Config),
                StopAsking(Config),
                Ask(Target),
                AskOtherwise(Target),
                StopAsking(Target),
                BreakRelation(S3),
                Relate(S3),
                Remove,
                Install,
                Relate(S3),
                Govern,
                KeepFewer,
                KeepMore,
            ],
            Self::Upgraded => &[Install, Relate(S3), Upgrade],
            Self::Bare => &[Install, Relate(S3), Remove],
        }
    }

    /// Whether somebody there comes by this hook of a step.
    pub(crate) fn walks(self, step: Step, hook: &str) -> bool {
        let mut steps = self.walkers().into_iter().flat_map(|(_, round)| round);
        steps.any(|walked| {
            let all = walked.event().is_none_or(|event| event == hook);
            walked.family() == step.family() && all
        })
    }

    /// Whether somebody there takes this hook as a step of its own.
    pub(crate) fn has_alone(self, hook: &str) -> bool {
        let mut steps = self.walkers().into_iter().flat_map(|(_, round)| round);
        steps.any(|step| step.event() == Some(hook))
    }

    /// Who walks there, with everybody else.
    pub(crate) fn walkers(self) -> Vec<Walker> {
        match self {
            Self::Shared => vec![
                ("life", &[Install, Relate(S3), Remove]),
                ("phoenix-a", &[Fall, Rise]),
                ("phoenix-b", &[Fall, Rise]),
                ("store", &[Relate(S3), BreakRelation(S3)]),
                ("store-azure", &[Relate(Azure), BreakRelation(Azure)]),
                ("store-gcs", &[Relate(Gcs), BreakRelation(Gcs)]),
                (
                    "settings",
                    &[
                        Rotate(S3, There),
                        MoveFolder(S3, There),
                        Rotate(S3, Back),
                        MoveFolder(S3, Back),
                    ],
                ),
                (
                    "settings-azure",
                    &[
                        Rotate(Azure, There),
                        MoveFolder(Azure, There),
                        Rotate(Azure, Back),
                        MoveFolder(Azure, Back),
                    ],
                ),
                (
                    "settings-gcs",
                    &[
                        Rotate(Gcs, There),
                        MoveFolder(Gcs, There),
                        Rotate(Gcs, Back),
                        MoveFolder(Gcs, Back),
                    ],
                ),
                ("node-agent", &[NodeAgentOn, NodeAgentOff]),
                (
                    "clients",
                    &[
                        Ask(Config),
                        AskOtherwise(Config),
                        StopAsking(Config),
                        Ask(Target),
                        AskOtherwise(Target),
                        StopAsking(Target),
                    ],
                ),
                ("keep", &[KeepFewer, KeepMore]),
            ],
            Self::Upgraded => vec![("upgrade", &[Upgrade])],
            Self::Bare => vec![("phoenix", &[Fall, Rise])],
        }
    }
}

impl Step {
    /// The same for both ways, and for both interfaces: they differ in no call.
    pub(crate) const fn family(self) -> &'static str {
        match self {
            Install | Rise => "install",
            Relate(S3) => "related",
            Relate(Azure) => "related, Azure",
            Relate(Gcs) => "related, Google",
            Rotate(S3, _) => "keys changed",
            Rotate(Azure, _) => "keys changed, Azure",
            Rotate(Gcs, _) => "keys changed, Google",
            MoveFolder(S3, _) => "folder changed",
            MoveFolder(Azure, _) => "folder changed, Azure",
            MoveFolder(Gcs, _) => "folder changed, Google",
            NodeAgentOn => "node agent on",
            NodeAgentOff => "node agent off",
            BreakRelation(S3) => "relation broken",
            BreakRelation(Azure) => "relation broken, Azure",
            BreakRelation(Gcs) => "relation broken, Google",
            Ask(_) => "asked",
            AskOtherwise(_) => "asked otherwise",
            StopAsking(_) => "no longer asked",
            Govern => "governed",
            KeepFewer => "fewer kept",
            KeepMore => "more kept",
            Upgrade => "upgrade",
            Remove | Fall => "remove",
        }
    }

    /// The step that it is a part of.
    pub(crate) const fn whole(self) -> Self {
        match self {
            Rise => Install,
            Fall => Remove,
            other => other,
        }
    }

    /// The one hook that it is, if it is no more than that.
    pub(crate) const fn event(self) -> Option<&'static str> {
        match self {
            Rise => Some("install"),
            Fall => Some("remove"),
            _ => None,
        }
    }

    /// Says what is wanted.
    pub(crate) async fn begin(self, trial: &mut Trial) {
        let world = &mut trial.world;
        match self {
            Install => {
                let charm = world.charm().await.unwrap();
                let options = DeployOptions::trusted();
                world.juju.deploy(&charm, APP, options).await.unwrap();
            }
            Relate(store) => {
                let integrator = store.integrator();
                if !world.juju.model().applications.contains_key(integrator) {
                    store.deploy(world).unwrap();
                    set(world, integrator, "path", home(store));
                }
                world.juju.integrate(APP, integrator).unwrap();
            }
            Rotate(store, There) => {
                set(
                    world,
                    store.integrator(),
                    "secret-key",
                    &store.key_of("another-secret-key"),
                );
            }
            Rotate(store, Back) => {
                let first = store.secret_key(world);
                set(world, store.integrator(), "secret-key", &first);
            }
            MoveFolder(store, There) => set(world, store.integrator(), "path", "elsewhere"),
            MoveFolder(store, Back) => {
                set(world, store.integrator(), "path", home(store));
            }
            NodeAgentOn => set(world, APP, "use-node-agent", "true"),
            NodeAgentOff => set(world, APP, "use-node-agent", "false"),
            BreakRelation(store) => {
                world.juju.remove_relation(APP, store.integrator()).unwrap();
            }
            Ask(client) => {
                if !world.juju.model().applications.contains_key(client.app()) {
                    client.deploy(world);
                }
                // Else the hook would find the one that is about to go.
                clients::until_none(world).await;
                client.ask(world, "@daily");
                client.relate(world);
            }
            AskOtherwise(client) => client.ask(world, "@weekly"),
            StopAsking(client) => world.juju.remove_relation(APP, client.app()).unwrap(),
            Govern => {
                set(world, APP, "keep", "last 9");
                let mut spec = clients::daily();
                spec["ttl"] = Value::Null;
                clients::deploy(world, "minio");
                clients::ask(world, "minio", "shop", &spec);
                clients::relate(world, "minio");
            }
            KeepFewer => {
                let schedule = clients::only(world).await;
                for day in 1..=3 {
                    keep::make(world, &schedule, day, End::Whole).await;
                }
                set(world, APP, "keep", "last 1");
            }
            KeepMore => {
                let schedule = clients::only(world).await;
                keep::delete(world, &schedule).await;
                // Of what was kept, too: the next round begins like the first, whose hook has a status to change.
                here(world, &["delete", "backups.velero.io", "--all"]).await;
                set(world, APP, "keep", "last 9");
            }
            Upgrade => {
                let charm = world.charm().await.unwrap();
                world.juju.refresh(APP, &charm).unwrap();
                // The old charm's last hook.
                let stop = world.juju.step().await.unwrap().unwrap();
                assert_eq!(stop.hook, "stop");
                as_an_older_charm_left_it(world).await;
            }
            Remove => {
                world.use_velero().await.unwrap();
                world.juju.remove_application(APP).unwrap();
            }
            Rise => {}
            Fall => world.use_velero().await.unwrap(),
        }
    }
}

impl Client {
    const fn app(self) -> &'static str {
        match self {
            Config => "asks",
            Target => "asks-too",
        }
    }

    fn deploy(self, world: &mut LightWorld) {
        let endpoint = match self {
            Config => clients::ENDPOINT,
            Target => clients::NEWER,
        };
        world
            .juju
            .deploy_backup_client(self.app(), endpoint)
            .unwrap();
    }

    fn relate(self, world: &mut LightWorld) {
        match self {
            Config => clients::relate(world, self.app()),
            Target => drop(world.juju.integrate(APP, self.app()).unwrap()),
        }
    }

    fn ask(self, world: &mut LightWorld, cron: &str) {
        let mut spec = clients::daily();
        spec["schedule"] = json!(cron);
        match self {
            Config => clients::ask(world, self.app(), "shop", &spec),
            Target => clients::ask_for(world, self.app(), &[("minio", spec)]),
        }
    }
}

/// The folder that a round begins and ends in. What Azure's integrator has said of one it never takes back.
const fn home(store: StoreKind) -> &'static str {
    match store {
        Azure => "home",
        S3 | Gcs => "",
    }
}

fn set(world: &mut LightWorld, app: &str, option: &str, value: &str) {
    world.juju.config(app, &[(option, value)]).unwrap();
}

fn resource(group: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind))
}

/// What the charm notes of its last apply, and the mark on the definitions.
async fn as_an_older_charm_left_it(world: &LightWorld) {
    let how = PatchParams::default();
    let maps: Api<DynamicObject> =
        Api::namespaced_with(world.client(), &world.namespace, &resource("", "ConfigMap"));
    let name = format!("{APP}-applied");
    let live = maps.get(&name).await.unwrap();
    let mut record: Value =
        serde_json::from_str(live.data["data"]["applied"].as_str().unwrap()).unwrap();
    record["inputs"]["charm"] = json!("0.0.9");
    let older = json!({"data": {"applied": record.to_string()}});
    maps.patch(&name, &how, &Patch::Merge(older)).await.unwrap();
    let definition = resource("apiextensions.k8s.io", "CustomResourceDefinition");
    let definitions: Api<DynamicObject> = Api::all_with(world.client(), &definition);
    let older = json!({"metadata": {"annotations": {"velero-operator/velero-version": "1.17.0"}}});
    // The first and the last that are applied; a bare cluster lacks all of them.
    for name in ["backuprepositories.velero.io", "datauploads.velero.io"] {
        let patch = Patch::Merge(&older);
        definitions.patch(name, &how, &patch).await.unwrap();
    }
}
