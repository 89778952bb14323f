//! What can happen to a model, and the charm that records what it sees of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use juju_emulator::model::{Life, split_unit};
use juju_emulator::{CharmSource, DeployOptions, Interruption, Juju, PodLoss, Resolve};
use worlds::dice::{Dice, Eventful};

use super::rules::Rules;

const METADATA: &str = "
name: recorder
requires: {ask: {interface: thing}}
provides: {offer: {interface: thing}}
peers: {mates: {interface: mates}}
";

/// Every run has a number, which it puts down at once (status) and for its end (bags, state); it keeps
/// what it sees in files. Leaders keep a secret for each relation that they offer, and all follow
/// those that they ask for. A file tells it to fail.
const SCRIPT: &str = r#"#!/bin/sh
me=$(echo $JUJU_UNIT_NAME | tr / -)
n=$(cat KEPT/count 2>/dev/null || echo 0); n=$((n + 1)); echo $n > KEPT/count
status-set active $n
goal-state --format=json > KEPT/$n.goal
leader=$(is-leader)
word=$(config-get word)
state-set last=$n
if [ $leader = True ]; then
    for id in $(relation-ids offer); do
        uri=$(relation-get -r $id --app uri ${JUJU_UNIT_NAME%/*})
        if [ -z "$uri" ]; then
            uri=$(secret-add --label $id token=$word)
            secret-grant $uri -r $id
            relation-set -r $id --app uri=$uri
        else
            secret-set $uri token=$word
        fi
    done
fi
for id in $(relation-ids ask); do
    case $JUJU_HOOK_NAME in
    # Two that answer each other's every word would never come to rest.
    *-relation-changed) ;;
    *) relation-set -r $id last=$n ;;
    esac
    relation-list -r $id > KEPT/$n.members-$id
    uri=$(relation-get -r $id --app uri $(relation-list -r $id --app))
    [ -z "$uri" ] || secret-get --refresh $uri token > KEPT/token-$me-$id
done
[ "$JUJU_HOOK_NAME" != secret-remove ] || secret-remove $JUJU_SECRET_ID --revision $JUJU_SECRET_REVISION
[ ! -e KEPT/fail-$me ] || { rm KEPT/fail-$me; exit 1; }
exit 0
"#;

const CONFIG: &str = "options: {word: {type: string, default: first}}\n";

/// Something that happens.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Deploy(String),
    Integrate(String, String),
    Unrelate(String, String),
    Rotate(String, usize),
    Scale(String, usize),
    MoveLeadership(String),
    FailNext(String),
    KillNext(usize),
    Resolve(String, Resolve),
    Advance(u64),
    Refresh(String),
    LosePod(String, PodLoss),
    Restart(String),
    Trust(String),
    Remove(String),
    Force(String),
    Nothing,
}

pub(crate) struct World {
    pub(crate) juju: Juju,
    pub(crate) rules: Rules,
    pub(crate) kept: PathBuf,
    source: CharmSource,
    deployed: usize,
    _dir: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (kept, charm) = (dir.path().join("kept"), dir.path().join("charm"));
        fs::create_dir_all(&kept).unwrap();
        fs::create_dir_all(&charm).unwrap();
        fs::write(charm.join("metadata.yaml"), METADATA).unwrap();
        fs::write(charm.join("config.yaml"), CONFIG).unwrap();
        let script = SCRIPT.replace("KEPT", &kept.display().to_string());
        fs::write(charm.join("dispatch"), script).unwrap();
        fs::set_permissions(charm.join("dispatch"), fs::Permissions::from_mode(0o755)).unwrap();
        let mut juju = Juju::bootstrap(&dir.path().join("juju"), "m", None)
            .await
            .unwrap();
        // The same secrets in the same order each time.
        let id = |number: u32| format!("9m4e2mr0ui3e8a21{number:03}0");
        juju.model_mut().next.secret_ids = (0..500).rev().map(id).collect();
        Self {
            juju,
            rules: Rules::default(),
            kept,
            source: CharmSource::Directory(charm),
            deployed: 0,
            _dir: dir,
        }
    }
}

impl Eventful for World {
    type Step = Step;

    fn choose(&self, dice: &mut Dice) -> Step {
        let model = self.juju.model();
        let alive = model
            .applications
            .values()
            .filter(|a| a.life == Life::Alive);
        let apps: Vec<String> = alive.map(|app| app.name.clone()).collect();
        let all = model.applications.values();
        let units: Vec<String> = all
            .flat_map(|app| app.units.keys().map(|number| app.unit_name(*number)))
            .collect();
        let stuck = |unit: &&String| model.unit(unit).unwrap().agent.failed.is_some();
        let stuck: Vec<String> = units.iter().filter(stuck).cloned().collect();
        let between = |lives: &[Life]| -> Vec<(String, String)> {
            let relations = model.relations.values().filter(|r| !r.is_peer());
            relations
                .filter(|relation| lives.contains(&relation.life))
                .map(|r| (r.sides[0].app.clone(), r.sides[1].app.clone()))
                .collect()
        };
        let pairs = between(&[Life::Alive]);
        // One that is still ending stands in the way of a new one, as with Juju.
        let taken = between(&[Life::Alive, Life::Dying]);
        if apps.len() < 2 {
            return Step::Deploy(format!("a{}", self.deployed));
        }
        let app = dice.pick(&apps).unwrap();
        let unit = dice.pick(&units).unwrap_or_default();
        let known = !unit.is_empty();
        match dice.roll(24) {
            0 if apps.len() < 4 => Step::Deploy(format!("a{}", self.deployed)),
            1..=3 => {
                let other = dice.pick(&apps).unwrap();
                let new = app != other && !taken.contains(&(app.clone(), other.clone()));
                if new {
                    Step::Integrate(app, other)
                } else {
                    Step::Nothing
                }
            }
            4 => dice
                .pick(&pairs)
                .map_or(Step::Nothing, |(one, two)| Step::Unrelate(one, two)),
            5 | 6 => Step::Rotate(app, dice.roll(1000)),
            7 | 8 => Step::Scale(app, dice.roll(4)),
            9 if known => Step::MoveLeadership(unit),
            // What fails and is killed is what the rules are for.
            10 | 11 | 20 | 21 if known => Step::FailNext(unit),
            12 | 22 | 23 => Step::KillNext(1 + dice.roll(12)),
            13 | 14 => {
                let how = dice.pick(&[Resolve::Retry, Resolve::Skip]).unwrap();
                dice.pick(&stuck)
                    .map_or(Step::Nothing, |unit| Step::Resolve(unit, how))
            }
            15 => Step::Advance(5 << dice.roll(5)),
            16 => Step::Refresh(app),
            17 if known => {
                let how = dice.pick(&[PodLoss::Drained, PodLoss::Killed]).unwrap();
                dice.pick(&[Step::LosePod(unit.clone(), how), Step::Restart(unit)])
                    .unwrap()
            }
            18 => Step::Trust(app),
            19 => dice
                .pick(&[Step::Remove(app.clone()), Step::Force(app)])
                .unwrap(),
            _ => Step::Nothing,
        }
    }

    async fn take(&mut self, step: Step) {
        let juju = &mut self.juju;
        match step {
            Step::Deploy(app) => {
                let options = DeployOptions::default();
                juju.deploy(&self.source, &app, options).await.unwrap();
                self.deployed += 1;
            }
            Step::Integrate(one, two) => {
                juju.integrate(&format!("{one}:ask"), &format!("{two}:offer"))
                    .unwrap();
            }
            Step::Unrelate(one, two) => juju
                .remove_relation(&format!("{one}:ask"), &format!("{two}:offer"))
                .unwrap(),
            Step::Rotate(app, word) => {
                juju.config(&app, &[("word", &format!("w{word}"))]).unwrap();
            }
            Step::Scale(app, units) => juju.scale(&app, units).unwrap(),
            Step::MoveLeadership(unit) => {
                if juju.model().unit(&unit).unwrap().life == Life::Alive {
                    juju.move_leadership(&unit).unwrap();
                }
            }
            Step::FailNext(unit) => {
                let name = format!("fail-{}", unit.replace('/', "-"));
                fs::write(self.kept.join(name), "").unwrap();
            }
            Step::KillNext(call) => juju.interrupt_next(Interruption::Killed, call),
            Step::Resolve(unit, how) => {
                juju.resolved(&unit, how).unwrap();
                if how == Resolve::Skip {
                    self.rules.skipped(&unit);
                }
            }
            Step::Advance(seconds) => {
                juju.advance(Duration::from_secs(seconds)).await.unwrap();
            }
            Step::Refresh(app) => juju.refresh(&app, &self.source).unwrap(),
            Step::LosePod(unit, how) => juju.replace_pod(&unit, how).unwrap(),
            Step::Restart(unit) => juju.restart_container(&unit).unwrap(),
            Step::Trust(app) => juju.trust(&app).await.unwrap(),
            Step::Remove(app) => juju.remove_application(&app).unwrap(),
            Step::Force(app) => {
                juju.remove_application_by_force(&app).unwrap();
                self.rules.forced(&app);
            }
            Step::Nothing => {}
        }
        self.rules.look(&self.juju);
    }

    /// Lets the model come to rest, and looks whether it should be there.
    async fn rest(&mut self) {
        self.juju.settle().await.unwrap();
        self.rules.look(&self.juju);
        // A killed hook is left for the next time; then there is nothing more.
        while !self.juju.settle().await.unwrap().is_empty() {
            self.rules.look(&self.juju);
        }
        self.rules.at_rest(&self.juju, &self.kept);
    }

    async fn end(&mut self) {
        self.rest().await;
    }
}

/// The application in a unit's name.
pub(crate) fn app_of(unit: &str) -> &str {
    split_unit(unit).unwrap().0
}
