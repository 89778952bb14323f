//! What happens to an integrator, and what of it must hold.
//!
//! Invariant: each course but the removal ends with the store connected and the newest key in force.

use juju_emulator::HookRun;
use serde_json::Value;
use worlds::operator::{APP, UNIT};
use worlds::stores::no_store;

use super::offers::{Extra, Offer};
use super::stage::{Stage, Working};
use super::table::{Heal, Outcome, Refresh, Way};

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    Python,
    Removal,
    First,
    Rotation,
    Resets,
    Blank,
    Revoked,
    Late,
    Again,
    Refresh,
}

impl Course {
    /// In the order in which they are taken.
    pub(super) const ALL: [Self; 10] = [
        Self::Python,
        Self::Removal,
        Self::First,
        Self::Rotation,
        Self::Resets,
        Self::Blank,
        Self::Revoked,
        Self::Late,
        Self::Again,
        Self::Refresh,
    ];
}

/// Takes the course, and fails unless it ends so.
pub(super) async fn run(course: Course, outcome: Outcome, stage: &mut Stage) {
    println!("{}: {course:?}", stage.row.name);
    match (course, outcome) {
        (_, Outcome::Cannot(_)) => {}
        (Course::Python, Outcome::Connects(way)) => python(stage, way).await,
        (Course::Removal, Outcome::Disconnects | Outcome::BackToTheKey) => removal(stage).await,
        (Course::First, Outcome::Connects(way)) => first(stage, way).await,
        (Course::Rotation, Outcome::InForce) => rotation(stage).await,
        (Course::Resets, Outcome::TakenBack(stand)) => resets(stage, stand).await,
        (Course::Blank, _) => blank(stage, outcome).await,
        (Course::Revoked, _) => revoked(stage, outcome).await,
        (Course::Late, Outcome::Heals(status, by)) => late(stage, status, by).await,
        (Course::Again, Outcome::Connects(way)) => again(stage, way).await,
        (Course::Refresh, Outcome::Connects(way)) => refresh(stage, way).await,
        other => panic!("{}: nobody knows how to look for {other:?}", stage.row.name),
    }
}

/// The Python charm was related and is refreshed to ours.
async fn python(stage: &mut Stage, way: Way) {
    stage.integrate().await.unwrap();
    stage.refresh_to_ours().await.unwrap();
    connected(stage, way).await;
    let ours = stage.bags().0;
    for left in ["data", "provided-secrets"] {
        assert!(!ours.contains_key(left), "{}: {ours:?}", stage.row.name);
    }
    let unit = stage.unit_bag(UNIT);
    for left in ["data", "provided-secrets", "requested-secrets"] {
        assert!(!unit.contains_key(left), "{}: {unit:?}", stage.row.name);
    }
    expect_remarks(stage, way, 0);
    rotation(stage).await;
    connected(stage, way).await;
}

/// How often the log had the commands after which keys come as a secret.
fn remarks(stage: &Stage) -> usize {
    let remark = format!("Run `juju remove-relation {APP} {}`", stage.row.charm);
    stage.world.log().matches(&remark).count()
}

/// One that names no version may be taken for one that could send a secret, so that nothing is expected of it.
fn expect_remarks(stage: &Stage, way: Way, before: usize) {
    let new = remarks(stage) - before;
    match way {
        Way::StaysClear => assert_eq!(new, 1, "{}", stage.row.name),
        Way::Secret | Way::Both => assert_eq!(new, 0, "{}", stage.row.name),
        Way::Clear => {}
    }
}

async fn removal(stage: &mut Stage) {
    stage.remove_relation().await.unwrap();
    let now = stage.working().await;
    if stage.row.offer() == Offer::Principal {
        stage.world.expect_status("active: ").unwrap();
        let location = now.location.unwrap();
        assert!(
            location["config"]["storageAccountKeyEnvVar"].is_string(),
            "{location}"
        );
        assert!(!now.files.concat().contains(&stage.letters()));
    } else {
        stage.world.expect_status(&no_store()).unwrap();
        assert_eq!((now.location, now.files), (None, Vec::new()));
    }
}

/// It is related before it has keys.
async fn first(stage: &mut Stage, way: Way) {
    stage.forget_keys().unwrap();
    let before = stage.working().await;
    stage.integrate().await.unwrap();
    let waits = format!("waiting: waiting for `{}` to send ", stage.row.charm);
    stage.world.expect_in_status(&waits, &[]).unwrap();
    assert_eq!(stage.working().await, before);

    stage.remember_keys().unwrap();
    stage.settle().await.unwrap();
    connected(stage, way).await;
}

/// There are new keys, and the newest one is in force after the hooks that tell of it.
async fn rotation(stage: &mut Stage) {
    let before = stage.working().await;
    let is_secret = stage.bag().contains_key("secret-extra");
    stage.rotate().unwrap();
    let runs = stage.settle().await.unwrap();
    let after = stage.working().await;
    in_force(stage, &after);
    assert_eq!(after.servers, before.servers, "something was restarted");
    let without = |location: Option<Value>| {
        let mut location = location.unwrap();
        location["credential"].take();
        location
    };
    assert_eq!(without(after.location), without(before.location));
    stage.world.expect_status("active: ").unwrap();
    // With a service principal, either secret may have changed.
    let secrets = match stage.row.offer() {
        Offer::Principal => 2,
        Offer::S3 | Offer::Azure | Offer::Gcs => 1,
    };
    let wanted = if is_secret { secrets } else { 0 };
    assert_eq!(asked(&runs), wanted, "{runs:#?}");
}

fn asked(runs: &[HookRun]) -> usize {
    let calls = runs.iter().flat_map(|run| &run.tool_calls);
    calls.filter(|call| call.tool == "secret-get").count()
}

/// All options that are not needed are set, and all are reset.
async fn resets(stage: &mut Stage, stand: &[&str]) {
    let before = stage.working().await.location.unwrap();
    let extras = stage.row.offer().extras();
    let mut same = Vec::new();
    // Without an endpoint the store is another one, and what it wants is too.
    for group in extras.chunk_by(|_, next| next.option != "endpoint") {
        let set = group.iter().map(|extra| (extra.option, extra.value));
        let with = location_with(stage, set).await;
        let differs = |extra: &&Extra| with.pointer(extra.pointer) != before.pointer(extra.pointer);
        assert_eq!(group.iter().filter(differs).count(), group.len(), "{with}");

        let reset = group.iter().map(|extra| (extra.option, ""));
        let now = location_with(stage, reset).await;
        let stands = |extra: &&Extra| with.pointer(extra.pointer) == now.pointer(extra.pointer);
        same.extend(group.iter().filter(stands).map(|extra| extra.option));
    }
    assert_eq!(same, stand, "{}", stage.row.name);

    stage.tell_options().unwrap();
    stage.settle().await.unwrap();
    stage.world.expect_status("active: ").unwrap();
}

/// The location that these options of the integrator lead to.
async fn location_with<'a>(
    stage: &mut Stage,
    options: impl Iterator<Item = (&'a str, &'a str)>,
) -> Value {
    stage.config(options).unwrap();
    stage.settle().await.unwrap();
    stage.world.expect_status("active: ").unwrap();
    stage.working().await.location.unwrap()
}

/// An option that is needed is blanked.
async fn blank(stage: &mut Stage, outcome: Outcome) {
    let before = stage.working().await;
    let needed = stage.row.offer().needed();
    stage.config([(needed, "")].into_iter()).unwrap();
    stage.settle().await.unwrap();
    keeps(stage, outcome, &before).await;
    stage.tell_options().unwrap();
    stage.settle().await.unwrap();
    stage.world.expect_status("active: ").unwrap();
    assert_eq!(stage.working().await, before);
}

/// The user's secret is revoked, and another option changed, without which some do not notice.
async fn revoked(stage: &mut Stage, outcome: Outcome) {
    let before = stage.working().await;
    stage.revoke().unwrap();
    stage.minutes_pass().await.unwrap();
    if !stage.row.sends_again() {
        keeps(stage, Outcome::Unmoved, &before).await;
    }
    let extra = &stage.row.offer().extras()[0];
    stage
        .config([(extra.option, extra.value)].into_iter())
        .unwrap();
    stage.settle().await.unwrap();
    stage.minutes_pass().await.unwrap();
    keeps(stage, outcome, &before).await;

    stage.grant().unwrap();
    stage.tell_options().unwrap();
    stage.settle().await.unwrap();
    stage.minutes_pass().await.unwrap();
    stage.world.expect_status("active: ").unwrap();
    in_force(stage, &stage.working().await);
}

async fn keeps(stage: &Stage, outcome: Outcome, before: &Working) {
    let status = match outcome {
        Outcome::Kept(status) | Outcome::KeptLater(status) => status,
        Outcome::Unmoved => "active: ",
        other => panic!("{}: {other:?}", stage.row.name),
    };
    stage.world.expect_status(status).unwrap();
    assert_eq!(&stage.working().await, before, "what worked is touched");
}

/// The user's secret is granted after the relation was made.
async fn late(stage: &mut Stage, status: &str, by: Heal) {
    stage.remove_relation().await.unwrap();
    let before = stage.working().await;
    stage.revoke().unwrap();
    stage.integrate().await.unwrap();
    stage.minutes_pass().await.unwrap();
    stage.world.expect_status(status).unwrap();
    assert_eq!(stage.working().await, before);

    stage.grant().unwrap();
    stage.minutes_pass().await.unwrap();
    if by == Heal::IntegratingAgain {
        stage.world.expect_status(status).unwrap();
        stage.remove_relation().await.unwrap();
        stage.integrate().await.unwrap();
    }
    stage.world.expect_status("active: ").unwrap();
    in_force(stage, &stage.working().await);
}

async fn again(stage: &mut Stage, way: Way) {
    stage.remove_relation().await.unwrap();
    stage.integrate().await.unwrap();
    connected(stage, way).await;
}

/// The integrator is refreshed to releases that talk otherwise.
async fn refresh(stage: &mut Stage, way: Way) {
    let Refresh::To(release, _) = *stage.row.refresh() else {
        return;
    };
    let before = remarks(stage);
    let juju = &mut stage.world.juju;
    juju.refresh_integrator(stage.row.charm, release).unwrap();
    stage.settle().await.unwrap();
    connected(stage, way).await;
    rotation(stage).await;
    expect_remarks(stage, way, before);
    if way != Way::Secret {
        again(stage, Way::Secret).await;
    }
}

/// Fails unless the store is in use, with the newest key, which has come this way.
async fn connected(stage: &Stage, way: Way) {
    let name = stage.row.name;
    stage.world.expect_status("active: ").unwrap();
    let now = stage.working().await;
    in_force(stage, &now);
    let bucket = &now.location.unwrap()["objectStorage"]["bucket"];
    assert_eq!(
        *bucket,
        stage
            .row
            .bucket(&stage.world.bucket, stage.bags().0.get("bucket")),
        "{name}"
    );
    let bag = stage.bag();
    let is_clear = bag
        .get(stage.row.offer().key_field())
        .is_some_and(|key| !key.is_empty());
    let is_secret = bag.contains_key("secret-extra");
    let wanted = match way {
        Way::Secret => (false, true),
        Way::Clear | Way::StaysClear => (true, false),
        Way::Both => (true, true),
    };
    assert_eq!((is_clear, is_secret), wanted, "{name}: {bag:?}");
}

/// Fails unless there is one credential file, and the newest key is in it.
fn in_force(stage: &Stage, now: &Working) {
    let trace = stage.row.offer().trace(&stage.letters());
    assert_eq!(now.files.len(), 1, "{}", stage.row.name);
    assert!(
        now.files[0].contains(&trace),
        "{}: an older key is in force",
        stage.row.name
    );
}
