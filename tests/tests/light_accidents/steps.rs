//! What can befall a charm.

use tests::dice::Dice;
use tests::juju::Interruption;
use tests::operator::{APP, S3};
use tests::stack::proxy::{Fault, Refusal, Rule};

use crate::scene::Scene;

/// Most hooks make fewer; one that is not reached in one hook is in a later one.
const REQUESTS: usize = 30;
const CALLS: usize = 12;

/// Something that happens.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Config(&'static str, &'static str),
    Relate,
    Unrelate,
    Offer(&'static str, &'static str),
    ByHand(&'static [&'static str]),
    /// Another unit comes, leads, and the one that led goes.
    Succession,
    KillAtCall(usize),
    KillBefore(usize),
    KillAfter(usize),
    CutAt(usize),
    ApiBreaks,
    ApiMends,
    Distrust,
    Trust,
    BackupBegins,
    BackupsEnd,
    UpdateStatus,
}

const CONFIG: [(&str, &str); 6] = [
    ("use-node-agent", "true"),
    ("use-node-agent", "false"),
    ("velero-image", "velero/velero:v1.18.2"),
    ("velero-image", "velero/velero:v1.18.3"),
    (
        "velero-aws-plugin-image",
        "velero/velero-plugin-for-aws:v1.14.2",
    ),
    (
        "velero-aws-plugin-image",
        "velero/velero-plugin-for-aws:v1.14.3",
    ),
];
const OFFERS: [(&str, &str); 6] = [
    ("secret-key", "first"),
    ("secret-key", "second"),
    ("bucket", "one"),
    ("bucket", "two"),
    ("path", "below"),
    ("path", ""),
];
const BY_HAND: [&[&str]; 10] = [
    &["delete", "deployment", "velero"],
    &["delete", "daemonset", "node-agent"],
    &["delete", "secret", "-l", "velero-operator/role"],
    &["delete", "serviceaccount", "velero"],
    &["delete", "configmap", "velero-operator-applied"],
    &["delete", "backupstoragelocations.velero.io", "default"],
    &["scale", "deployment", "velero", "--replicas=3"],
    &["set", "image", "deployment/velero", "velero=some/body:else"],
    &[
        "set",
        "image",
        "deployment/velero",
        "storage-plugin-aws=some/body:else",
    ],
    &[
        "label",
        "deployment",
        "velero",
        "velero-operator/application-",
        "component-",
    ],
];

impl Step {
    /// Something that can happen now.
    pub(crate) fn choose(scene: &Scene, dice: &mut Dice) -> Self {
        match dice.roll(26) {
            0..=3 => {
                let (option, value) = CONFIG[dice.roll(CONFIG.len())];
                Self::Config(option, value)
            }
            4..=7 => match scene.is_related() {
                Some(true) if dice.roll(4) == 0 => Self::Unrelate,
                Some(false) => Self::Relate,
                _ => {
                    let (option, value) = OFFERS[dice.roll(OFFERS.len())];
                    Self::Offer(option, value)
                }
            },
            8..=11 => Self::ByHand(BY_HAND[dice.roll(BY_HAND.len())]),
            12 | 13 => Self::Succession,
            14 => Self::KillAtCall(1 + dice.roll(CALLS)),
            15 | 16 => Self::KillBefore(1 + dice.roll(REQUESTS)),
            17 | 18 => Self::KillAfter(1 + dice.roll(REQUESTS)),
            19 => Self::CutAt(1 + dice.roll(REQUESTS)),
            20 => Self::ApiBreaks,
            21 => Self::ApiMends,
            22 => [Self::Distrust, Self::Trust][dice.roll(2)],
            23 => Self::BackupBegins,
            24 => Self::BackupsEnd,
            _ => Self::UpdateStatus,
        }
    }

    pub(crate) async fn take(self, scene: &mut Scene) {
        match self {
            Self::Config(option, value) => {
                scene.world.juju.config(APP, &[(option, value)]).unwrap();
            }
            Self::Relate => drop(scene.world.juju.integrate(APP, S3).unwrap()),
            Self::Unrelate => scene.world.juju.remove_relation(APP, S3).unwrap(),
            Self::Offer(option, value) => scene.offer(option, value),
            Self::ByHand(arguments) => scene.by_hand(arguments).await,
            Self::Succession => scene.succeed().await,
            Self::KillAtCall(call) => {
                scene.world.juju.interrupt_next(Interruption::Killed, call);
            }
            Self::KillBefore(request) => scene.at(request, Fault::KillBefore(scene.kill())),
            Self::KillAfter(request) => scene.at(request, Fault::KillAfter(scene.kill())),
            Self::CutAt(request) => scene.at(request, Fault::Cut),
            Self::ApiBreaks => {
                let broken = Fault::Refuse(Refusal::Broken);
                scene.proxy.play(vec![Rule::every(|_| true, broken)]);
            }
            Self::ApiMends => scene.proxy.play(Vec::new()),
            Self::Distrust => scene.world.juju.untrust(APP).await.unwrap(),
            Self::Trust => scene.world.juju.trust(APP).await.unwrap(),
            Self::BackupBegins => scene.begin_backup().await,
            Self::BackupsEnd => scene.end_backups().await,
            Self::UpdateStatus => {
                let leader = scene.leader();
                // It does not come to run if another hook is killed before.
                let _ = scene.world.juju.run_hook(&leader, "update-status").await;
            }
        }
    }
}
