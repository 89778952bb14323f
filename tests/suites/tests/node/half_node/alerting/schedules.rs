//! Schedules to which something happens, each in a namespace of its own, so that none waits for another's backup.

use jiff::{Timestamp, tz::TimeZone};
use kube::ResourceExt as _;
use kube::api::{DynamicObject, ListParams};
use kube_stack::{DEADLINE, until};
use serde_json::{Value, json};
use worlds::shop::Shop;
use worlds::world::World;

use crate::kubectl;

/// The label of a Backup with its Schedule.
pub(super) const MADE_BY: &str = "velero.io/schedule-name";
/// Something small to back up, and nothing else.
const SMALL: [&str; 6] = ["daily", "deleted", "monthly", "never", "paused", "weekly"];
/// A pod with a volume.
const SHOPS: [&str; 3] = ["failing", "lacking", "partial"];
/// Longer than it takes to see the first backup, and shorter than the shops take to open.
const SOON: &str = "@every 5s";
/// It waits to be let go, and fails as long as nothing is mended.
const FAILING_HOOK: &str = "while [ ! -e /tmp/go ]; do sleep 0.1; done; [ -e /tmp/well ]";

/// All of them, and what their pods are told.
pub(super) struct Schedules {
    hour: i8,
    pub(super) failing: Shop,
    pub(super) partial: Shop,
}

impl Schedules {
    /// Makes them, not running yet, but for one that is not due before tomorrow.
    pub(super) async fn prepare(world: &World) -> Self {
        let now = Timestamp::now().to_zoned(TimeZone::UTC);
        let schedules = Self {
            // Not while the test runs.
            hour: (now.hour() + 12) % 24,
            failing: Shop::at(&world.stack, &namespace("failing")),
            partial: Shop::at(&world.stack, &namespace("partial")),
        };
        for name in SMALL.into_iter().chain(SHOPS) {
            let template = json!({
                "includedNamespaces": [namespace(name)],
                "defaultVolumesToFsBackup": false,
            });
            let mut schedule = json!({
                "apiVersion": "velero.io/v1", "kind": "Schedule",
                "metadata": {"name": name, "namespace": world.namespace},
                "spec": {"schedule": SOON, "paused": true, "template": template},
            });
            if name == "never" || name == "paused" {
                schedule["spec"]["schedule"] = schedules.cron(name).into();
                schedule["spec"]["paused"] = (name == "paused").into();
            }
            world.apply(&schedule).await.unwrap();
        }
        for name in SMALL {
            let namespace = namespace(name);
            let namespaced =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
            world.apply(&namespaced).await.unwrap();
        }
        for name in SHOPS {
            Shop::open(&world.stack, &namespace(name)).await.unwrap();
        }
        schedules.failing.detain_backups().await.unwrap();
        schedules
            .partial
            .run_before_backups(FAILING_HOOK)
            .await
            .unwrap();
        schedules
    }

    /// When it is due.
    fn cron(&self, name: &str) -> String {
        let hour = self.hour;
        match name {
            "weekly" => format!("0 {hour} * * 3"),
            "monthly" => format!("0 {hour} 15 * *"),
            _ => format!("0 {hour} * * *"),
        }
    }

    /// Velero makes a backup now, and the next when it is due: it looks when a Schedule is changed, and this one is due for
    /// that moment.
    pub(super) async fn run(&self, world: &World, name: &str) {
        let before = backups_of(world, name).await.len();
        set(world, name, &json!({"schedule": SOON, "paused": false})).await;
        let made = async || backups_of(world, name).await.len() > before;
        until("a backup is made", DEADLINE, made).await.unwrap();
        set(world, name, &json!({"schedule": self.cron(name)})).await;
    }

    /// Good backups, one after the other: Velero writes the key into the same file whenever it opens a store, and who
    /// reads that in the middle finds none (velero-io/velero#8524).
    pub(super) async fn succeed(&self, world: &World, names: &[&str]) {
        for name in names {
            self.run(world, name).await;
            is_in_phase(world, name, "Completed").await;
        }
    }

    /// What was wrong with the backups is put right.
    pub(super) async fn mend(&self, world: &World) {
        self.failing.let_backup_go().await.unwrap();
        self.partial.within("touch /tmp/well").await.unwrap();
        let files = json!({"template": {"defaultVolumesToFsBackup": true}});
        set(world, "lacking", &files).await;
    }
}

fn namespace(schedule: &str) -> String {
    format!("shop-prometheus-{schedule}")
}

/// Changes a Schedule.
pub(super) async fn set(world: &World, name: &str, spec: &Value) {
    let patch = json!({"spec": spec}).to_string();
    let schedule = format!("schedules.velero.io/{name}");
    kubectl(world, &["patch", &schedule, "--type=merge", "-p", &patch]).await;
}

pub(super) async fn backups_of(world: &World, schedule: &str) -> Vec<DynamicObject> {
    let select = ListParams::default().labels(&format!("{MADE_BY}={schedule}"));
    objects(world, "Backup", &select).await
}

/// Velero's objects of a kind.
pub(super) async fn objects(world: &World, kind: &str, select: &ListParams) -> Vec<DynamicObject> {
    let found = world.velero_objects(kind).list(select).await;
    found.unwrap().items
}

/// Waits until the last backup of a Schedule is in a phase.
pub(super) async fn is_in_phase(world: &World, schedule: &str, phase: &str) {
    let mut last = None;
    let is = async || {
        let backups = backups_of(world, schedule).await;
        let newest = backups.iter().max_by_key(|one| one.creation_timestamp());
        last = newest.map(|one| one.data["status"].clone());
        last.as_ref().is_some_and(|status| status["phase"] == phase)
    };
    let waited = until(&format!("`{schedule}` is {phase}"), DEADLINE, is).await;
    waited.unwrap_or_else(|error| panic!("{error}: {last:#?}"));
}
