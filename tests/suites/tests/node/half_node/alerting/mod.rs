//! Prometheus itself scrapes Velero by the jobs of our data bag, judges it by the rules in it, and answers the queries of
//! the dashboard.
//!
//! Two things are changed in the rules, and nothing else: an hour after which a schedule is late is three seconds, and what
//! has to hold for minutes has to hold for two seconds. What takes hours is tried on the series of this very run
//! (`plane/observers/scraped.rs`).

mod panels;
mod schedules;

use jiff::Timestamp;
use serde_json::{Value, json};
use worlds::cos;
use worlds::kubectl::TIMEOUT;
use worlds::operator::APP;
use worlds::prometheus::Prometheus;
use worlds::prometheus::rules::{each, impatient, retimed};
use worlds::world::{HalfNode, World};

use self::schedules::{Schedules, is_in_phase, set};
use crate::kubectl;

const PATIENCE: &str = "2s";
const HOUR: i64 = 3600;
/// What an hour of the rules is here. A daily schedule is late after thirty of them, in which all that was wrong has to be
/// seen healing; a weekly one not before the test has ended.
const SECONDS: i64 = 3;
/// A daily schedule is late then.
const LATE: i64 = 30 * SECONDS;
/// They have no reason to alarm anybody, though their last good backups are older than a daily schedule's may be.
const QUIET: &str = "deleted|monthly|paused|weekly";

const THEIRS: &str = "theirs";

/// A model that is watched, and who watches it.
struct Watched {
    world: World,
    prometheus: Prometheus,
    begun: Timestamp,
}

impl Watched {
    /// Relates all that COS takes, and starts Prometheus on it.
    async fn new() -> Self {
        let mut world = HalfNode::deployed("prometheus").await.unwrap();
        let several = [("concurrent-backups", "9")];
        world.juju.config(APP, &several).unwrap();
        world.back_up_files().await.unwrap();
        world.connect().await.unwrap();
        cos::deploy(&mut world.juju).await.unwrap();
        for endpoint in ["metrics-endpoint", "grafana-dashboard", "logging"] {
            let (ours, theirs) = (
                format!("{APP}:{endpoint}"),
                format!("{}:{endpoint}", cos::COS),
            );
            world.juju.integrate(&ours, &theirs).unwrap();
        }
        world.settle().await.unwrap();
        world.expect_status("active: ").unwrap();
        // There is no name server of the cluster's here.
        let address = ["get", "service", "velero-metrics", "-o"];
        let address = [&address[..], &["jsonpath={.spec.clusterIP}"]].concat();
        let address = kubectl(&world, &address).await;
        let hosts = format!("{address} velero-metrics.{}.svc", world.namespace);
        let prometheus = Prometheus::start(&hosts).await.unwrap();
        let watched = Self {
            world,
            prometheus,
            begun: Timestamp::now(),
        };
        watched.take().await;
        watched
    }

    fn seen(&self) -> Value {
        cos::seen(&self.world.juju).unwrap()
    }

    fn bag(&self) -> Value {
        self.seen()["metrics"][0].clone()
    }

    /// Prometheus takes what the data bag says now.
    async fn take(&self) {
        let bag = self.bag();
        let quick = retimed(&bag["rules"], |date| date, |length| length * SECONDS / HOUR);
        let quick = impatient(&quick, PATIENCE);
        self.prometheus.take(&bag["jobs"], &quick).await.unwrap();
    }

    /// The charm finds out what happened. What a backup holds of volumes is noted by one hook, and told by the next.
    async fn look(&mut self) {
        for _ in 0..2 {
            self.world.update_status().await.unwrap();
        }
        self.world.settle().await.unwrap();
        self.take().await;
    }

    async fn sees(&self, query: &str) {
        if let Err(error) = self.prometheus.sees(query).await {
            panic!("{error:#}\n{}", troubles(&self.world).await);
        }
    }

    async fn no_longer_sees(&self, query: &str) {
        self.prometheus.no_longer_sees(query).await.unwrap();
    }

    /// The alert fires, after it was pending if its rule asks for that.
    async fn fires(&self, about: (&str, &str)) {
        self.sees(&alarm("firing", about)).await;
        let rules = self.bag()["rules"].clone();
        let rule = each(&rules).find(|rule| rule["alert"] == about.0).unwrap();
        if rule["for"] != "0m" {
            let pending = alarm("pending", about);
            self.sees(&format!("last_over_time({pending}[10m])")).await;
        }
    }

    /// It has been firing for long enough to be recorded.
    async fn keeps_firing(&self, about: (&str, &str)) {
        let firing = alarm("firing", about);
        self.sees(&format!("{firing} offset {}s", panels::STEP))
            .await;
    }

    async fn heals(&self, (alert, schedule): (&str, &str)) {
        let series = format!("ALERTS{{alertname={alert:?},schedule={schedule:?}}}");
        self.no_longer_sees(&series).await;
    }
}

/// What Velero's server has to say of what was asked of it.
async fn troubles(world: &World) -> String {
    let log = kubectl(world, &["logs", "deployment/velero"]).await;
    let is_told = |line: &&str| line.contains("level=error") || line.contains("level=warning");
    let lines = log.lines().filter(is_told).collect::<Vec<_>>().join("\n");
    let kinds = "restores.velero.io,deletebackuprequests.velero.io,backuprepositories.velero.io";
    let objects = kubectl(world, &["get", kinds, "-o", "yaml"]).await;
    format!("{lines}\n{objects}")
}

fn alarm(state: &str, (alert, schedule): (&str, &str)) -> String {
    format!("ALERTS{{alertstate={state:?},alertname={alert:?},schedule={schedule:?}}}")
}

/// What is wrong, and with which schedule.
const ILL: [(&str, &str); 8] = [
    ("VeleroBackupFailed", "failing"),
    ("VeleroBackupPartiallyFailed", "partial"),
    ("VeleroBackupMissed", "daily"),
    ("VeleroBackupNeverSucceeded", "never"),
    ("VeleroLocationUnavailable", ""),
    WITHOUT_DATA,
    // Hours pass before those heal.
    ("VeleroBackupValidationFailed", ""),
    ("VeleroRestoreFailed", ""),
];
const WITHOUT_DATA: (&str, &str) = ("VeleroBackupWithoutData", "lacking");

/// Those that heal by what Prometheus sees, without the charm.
fn of_series() -> impl Iterator<Item = (&'static str, &'static str)> {
    ILL.into_iter().take_while(|alert| *alert != WITHOUT_DATA)
}

#[tokio::test]
async fn prometheus_alarms_for_what_is_wrong_alone() {
    let mut watched = Watched::new().await;
    for part in ["server", "node-agent"] {
        let up = format!("up{{velero_part={part:?}}} == 1");
        watched.sees(&up).await;
    }
    let schedules = Schedules::prepare(&watched.world).await;
    things_go_wrong(&watched, &schedules).await;
    watched.look().await;
    for alert in ILL {
        watched.fires(alert).await;
    }
    quiet_ones_have_a_reason(&watched).await;
    quiet_ones_are_quiet(&watched).await;
    for alert in ILL {
        watched.keeps_firing(alert).await;
    }
    let wrong = Timestamp::now();

    schedules.mend(&watched.world).await;
    let mended = ["failing", "partial", "lacking", "daily", "never"];
    schedules.succeed(&watched.world, &mended).await;
    mend_location(&watched.world).await;
    for alert in of_series() {
        watched.heals(alert).await;
    }
    watched.look().await;
    watched.heals(WITHOUT_DATA).await;
    quiet_ones_are_quiet(&watched).await;

    panels::good_things_happen(&watched).await;
    let recording = panels::recorded(&watched, wrong).await;
    if std::env::var_os("UPDATE_RECORDINGS").is_some() {
        recording.write().unwrap();
    }
    panels::all_is_shown(&watched, &recording.shown);
}

async fn things_go_wrong(watched: &Watched, schedules: &Schedules) {
    let world = &watched.world;
    let good = ["daily", "deleted", "lacking", "monthly", "weekly"];
    // Their backups run until they are let go.
    for schedule in ["failing", "partial"] {
        schedules.run(world, schedule).await;
    }
    schedules.succeed(world, &good).await;
    kubectl(world, &["delete", "schedules.velero.io", "deleted"]).await;
    last_status_forgets(watched, schedules).await;
    // Its gauge ends with the server: it has to be there for long enough to be recorded.
    let errors = "velero_backup_items_errors{schedule=\"partial\"}";
    watched
        .sees(&format!("{errors} offset {}s > 0", panels::STEP))
        .await;

    // Nobody counts a backup that ends with its server.
    is_in_phase(world, "failing", "InProgress").await;
    let crash = ["delete", "pod", "-l", "deploy=velero"];
    let crash = [&crash[..], &["--grace-period=0", "--force"]].concat();
    kubectl(world, &crash).await;
    is_in_phase(world, "failing", "Failed").await;
    let counted = "velero_backup_failure_total{schedule=\"failing\"}";
    watched.sees(&format!("{counted} == 0")).await;

    lose_location(world).await;
    let refused = json!({
        "apiVersion": "velero.io/v1", "kind": "Backup",
        "metadata": {"name": "refused", "namespace": world.namespace},
        "spec": {"storageLocation": THEIRS},
    });
    world.apply(&refused).await.unwrap();
    let restore = json!({
        "apiVersion": "velero.io/v1", "kind": "Restore",
        "metadata": {"name": "of-nothing", "namespace": world.namespace},
        "spec": {"backupName": "nothing"},
    });
    world.apply(&restore).await.unwrap();
}

/// It is set back whenever Velero looks at the Schedule, which it does once a minute: no rule can wait for it.
async fn last_status_forgets(watched: &Watched, schedules: &Schedules) {
    let world = &watched.world;
    let status = "velero_backup_last_status{schedule=\"partial\"}";
    // It does not look at those that are paused.
    set(world, "partial", &json!({"paused": true})).await;
    schedules.partial.let_backup_go().await.unwrap();
    is_in_phase(world, "partial", "PartiallyFailed").await;
    watched.sees(&format!("{status} == 0")).await;
    set(world, "partial", &json!({"paused": false})).await;
    watched.sees(&format!("{status} == 1")).await;
}

/// A location of the user's, whose bucket is not there.
async fn lose_location(world: &World) {
    let mut location = json!({
        "apiVersion": "velero.io/v1", "kind": "BackupStorageLocation",
        "metadata": {"name": THEIRS, "namespace": world.namespace},
        "spec": world.location().await.unwrap().unwrap(),
    });
    location["spec"]["default"] = json!(false);
    location["spec"]["objectStorage"]["bucket"] = json!("nobody-made-it");
    world.apply(&location).await.unwrap();
    let judged = "--for=jsonpath={.status.phase}=Unavailable";
    let theirs = format!("backupstoragelocations.velero.io/{THEIRS}");
    kubectl(world, &["wait", &theirs, judged, TIMEOUT]).await;
}

async fn mend_location(world: &World) {
    let bucket = json!({"spec": {"objectStorage": {"bucket": world.bucket, "prefix": THEIRS}}});
    let theirs = format!("backupstoragelocations.velero.io/{THEIRS}");
    let patch = ["patch", &theirs, "--type=merge", "-p", &bucket.to_string()];
    kubectl(world, &patch).await;
}

/// Their last good backups are older than a daily one may be.
async fn quiet_ones_have_a_reason(watched: &Watched) {
    let good = format!("velero_backup_last_successful_timestamp{{schedule=~\"{QUIET}\"}}");
    let old = format!("count(time() - {good} > {LATE}) == 3");
    watched.sees(&old).await;
}

async fn quiet_ones_are_quiet(watched: &Watched) {
    let told = format!("last_over_time(ALERTS{{schedule=~\"{QUIET}\"}}[15m])");
    let told = watched.prometheus.ask(&told).await.unwrap();
    assert_eq!(told, Vec::<Value>::new());
}
