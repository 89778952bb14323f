//! What users do and what goes wrong.
//!
//! Invariant: each step leaves the oracle knowing what is asked for now.

use tests::dice::Dice;
use tests::juju::{AzureSettings, Interruption};
use tests::operator::{APP, S3, UNIT};
use tests::plane::LightWorld;

use super::oracle::Wanted;

pub(crate) const AZURE: &str = "azure-storage-integrator";
const ACCOUNT_KEY: &str = "YS1saWdodC1rZXk=";

/// One of them.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// An option of the charm, with a value that may be wrong.
    Config(&'static str, &'static str),
    /// A relation is made, or ended.
    Relate(&'static str),
    Unrelate(&'static str),
    /// The integrator's option, with a value that may be wrong.
    Offer(&'static str, &'static str),
    /// Somebody deletes what the charm made.
    Delete(&'static str),
    /// Somebody edits it.
    Patch(&'static str, &'static str),
    /// The next hook is killed at this tool call, or its pod is lost.
    Kill(usize),
    LosePod,
    Restart,
    UpdateStatus,
}

const OPTIONS: [(&str, &[&str]); 4] = [
    (
        "velero-image",
        &[
            "velero/velero:v1.18.3",
            "velero/velero:v1.18.2",
            "velero/velero:v1.15.2",
        ],
    ),
    (
        "velero-aws-plugin-image",
        &[
            "velero/velero-plugin-for-aws:v1.14.3",
            "mirror/plugin:v1",
            "not an image",
        ],
    ),
    ("use-node-agent", &["true", "false"]),
    ("default-volumes-to-fs-backup", &["false", "true"]),
];
const OFFERS: [(&str, &[&str]); 3] = [
    ("bucket", &["one", "two", ""]),
    ("secret-key", &["first", "second"]),
    ("path", &["", "folder"]),
];
const DELETED: [&str; 6] = [
    "deployment/velero",
    "daemonset/node-agent",
    "secret",
    "serviceaccount/velero",
    "configmap/velero-operator-applied",
    "backupstoragelocations.velero.io/default",
];
const PATCHED: [(&str, &str); 4] = [
    (
        "deployment/velero",
        r#"{"spec":{"template":{"spec":{"containers":[{"name":"velero","image":"theirs"}]}}}}"#,
    ),
    ("deployment/velero", r#"{"spec":{"replicas":3}}"#),
    (
        "deployment/velero",
        r#"{"metadata":{"labels":{"component":"theirs"}}}"#,
    ),
    (
        "backupstoragelocations.velero.io/default",
        r#"{"spec":{"objectStorage":{"bucket":"theirs"}}}"#,
    ),
];

impl Step {
    pub(crate) fn choose(wanted: &Wanted, dice: &mut Dice) -> Self {
        match dice.roll(20) {
            0..=3 => {
                let (option, values) = OPTIONS[dice.roll(OPTIONS.len())];
                Self::Config(option, values[dice.roll(values.len())])
            }
            4..=8 => {
                let app = [S3, S3, AZURE][dice.roll(3)];
                if wanted.related.contains(&app) {
                    Self::Unrelate(app)
                } else {
                    Self::Relate(app)
                }
            }
            9..=11 => {
                let (option, values) = OFFERS[dice.roll(OFFERS.len())];
                Self::Offer(option, values[dice.roll(values.len())])
            }
            12 | 13 => Self::Delete(DELETED[dice.roll(DELETED.len())]),
            14 | 15 => {
                let (what, patch) = PATCHED[dice.roll(PATCHED.len())];
                Self::Patch(what, patch)
            }
            16 | 17 => Self::Kill(1 + dice.roll(12)),
            18 => [Self::LosePod, Self::Restart][dice.roll(2)].clone(),
            _ => Self::UpdateStatus,
        }
    }

    pub(crate) async fn take(self, world: &mut LightWorld, wanted: &mut Wanted) {
        match self {
            Self::Config(option, value) => {
                wanted.options.insert(option, value);
                world.juju.config(APP, &[(option, value)]).unwrap();
            }
            Self::Relate(app) => {
                deploy(world, wanted, app);
                world.juju.integrate(APP, app).unwrap();
                wanted.related.push(app);
            }
            Self::Unrelate(app) => {
                world.juju.remove_relation(APP, app).unwrap();
                wanted.related.retain(|one| *one != app);
            }
            Self::Offer(option, value) => {
                deploy(world, wanted, S3);
                wanted.offers.insert(option, value);
                world.juju.config(S3, &[(option, value)]).unwrap();
            }
            Self::Delete("secret") => {
                let label = "velero-operator/role=storage-credential";
                kubectl(world, &["delete", "secret", "-l", label]).await;
            }
            Self::Delete(what) => kubectl(world, &["delete", "--ignore-not-found", what]).await,
            Self::Patch(what, patch) => {
                // It may not be there.
                let edit = [
                    "-n",
                    &world.namespace,
                    "patch",
                    what,
                    "--type=merge",
                    "-p",
                    patch,
                ];
                let _ = world.kubectl(&edit).await;
            }
            Self::Kill(call) => world.juju.interrupt_next(Interruption::Killed, call),
            Self::LosePod => world
                .juju
                .replace_pod(UNIT, tests::juju::PodLoss::Drained)
                .unwrap(),
            Self::Restart => world.juju.restart_container(UNIT).unwrap(),
            Self::UpdateStatus => drop(world.juju.update_status(UNIT).await.unwrap()),
        }
    }
}

fn deploy(world: &mut LightWorld, wanted: &mut Wanted, app: &'static str) {
    if wanted.deployed.contains(&app) {
        return;
    }
    wanted.deployed.push(app);
    if app == S3 {
        let settings = world.settings();
        world.juju.deploy_s3_integrator(S3, settings).unwrap();
    } else {
        let settings = AzureSettings::of_account("acme", "velero", ACCOUNT_KEY);
        world.juju.deploy_azure_integrator(AZURE, settings).unwrap();
    }
}

async fn kubectl(world: &LightWorld, arguments: &[&str]) {
    let here = ["-n", &world.namespace];
    world
        .kubectl(&[&here[..], arguments].concat())
        .await
        .unwrap();
}
