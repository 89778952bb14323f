//! One world that meets fault after fault.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use http::Method;
use juju_emulator::{Exit, HookRun};
use kube_stack::proxy::Exchange;
use worlds::plane::{Plane, Sight, Trial};

use super::report::{Case, Report};
use super::scenes::{self, Scene};
use super::targets::{Ill, Round, Target, shape};

/// A hook that finds nothing to do.
const STEADY: Duration = Duration::from_secs(30);
/// A hook that changes something.
const CHANGING: Duration = Duration::from_mins(3);

pub(crate) struct Bout {
    scene: Scene,
    trial: Trial,
}

/// What the scene is without a fault.
pub(crate) struct Undisturbed {
    pub(crate) record: Vec<Exchange>,
    sight: Sight,
}

impl Bout {
    /// A fresh world at the beginning of its scene.
    pub(crate) async fn begin(plane: &Plane, scene: Scene, number: usize) -> Result<Self> {
        let scene_name = format!("{scene:?}").replace('(', "-").replace(')', "");
        let name = format!("{}-{number}", scene_name.to_lowercase());
        let mut trial = Trial::open(plane, &name).await?;
        scene.enter(&mut trial).await.with_context(|| name)?;
        Ok(Self { scene, trial })
    }

    pub(crate) async fn undisturbed(&mut self) -> Result<Undisturbed> {
        self.trial.proxy.play(Vec::new());
        let run = scenes::run(self.scene, &mut self.trial).await?;
        ensure!(run.exit.is_success(), "{run:#?}");
        Ok(Undisturbed {
            record: self.trial.proxy.record(),
            sight: self.trial.sight().await?,
        })
    }

    /// Meets the faults of a round, then heals.
    pub(crate) async fn fight(
        &mut self,
        round: &Round,
        undisturbed: &Undisturbed,
        report: &Report,
    ) -> Result<()> {
        let mut has_written = false;
        for ill in round.ills.iter().copied() {
            has_written |= self.meet(&round.target, ill, undisturbed, report).await?;
        }
        if !has_written {
            // Nothing in the cluster has moved.
            return Ok(());
        }
        self.trial.proxy.play(Vec::new());
        let run = scenes::run(self.scene, &mut self.trial).await?;
        let healed = if run.exit.is_success() {
            self.trial.expect(&undisturbed.sight).await
        } else {
            Err(anyhow::anyhow!("{run:#?}"))
        };
        if let Err(error) = healed {
            let (scene, target) = (self.scene, &round.target);
            report.fail(format!(
                "{scene:?}, {target}, not healed after {:?}:\n{error:#}",
                round.ills
            ));
        }
        self.scene.again(&mut self.trial).await
    }

    /// Runs the hook with a fault; says whether it has written.
    async fn meet(
        &mut self,
        target: &Target,
        ill: Ill,
        undisturbed: &Undisturbed,
        report: &Report,
    ) -> Result<bool> {
        self.trial.proxy.play(vec![target.rule(ill)]);
        let run = scenes::run(self.scene, &mut self.trial).await?;
        let record = self.trial.proxy.record();
        if !target.is_in(&record) {
            // A removal watches only what is not yet gone when it looks.
            ensure!(
                self.scene == Scene::Remove && target.is_watch(),
                "{:?}, {target}, {ill}: not reached but {}",
                self.scene,
                self.told(&run)
            );
            report.miss();
            return Ok(true);
        }
        let writes = || record.iter().filter(|one| one.asked.method != Method::GET);
        let case = Case {
            scene: self.scene,
            target: target.to_string(),
            ill,
            took: run.duration,
            requests: record.len(),
            status: self.told(&run),
        };
        let limit = if writes().next().is_some() {
            CHANGING
        } else {
            STEADY
        };
        let mut verdict = self
            .judge(&run, limit, &record, undisturbed)
            .and_then(|()| is_understood(&case));
        if self.scene == Scene::Remove && case.status.is_empty() && verdict.is_ok() {
            // No warning: nothing is left, then.
            verdict = self.trial.expect(&undisturbed.sight).await;
        }
        report.note(case, verdict);
        Ok(writes().any(|one| one.answer.is_none_or(|status| status < 300)))
    }

    /// What the user reads: the status, or in a removal the log.
    fn told(&self, run: &HookRun) -> String {
        if self.scene != Scene::Remove {
            return self.trial.world.status();
        }
        let warnings = run.log.iter().filter(|line| line.level == "WARNING");
        warnings
            .map(|line| line.text.as_str())
            .collect::<Vec<_>>()
            .join(" | ")
    }

    fn judge(
        &self,
        run: &HookRun,
        limit: Duration,
        record: &[Exchange],
        undisturbed: &Undisturbed,
    ) -> Result<()> {
        ensure!(run.exit == Exit::Code(0), "{:?}: {:#?}", run.exit, run.log);
        ensure!(run.duration <= limit, "took {:?}", run.duration);
        let status = self.trial.world.status();
        ensure!(!status.contains('\n') && status.len() < 600, "{status}");
        let deletes = |all: &[Exchange]| -> Vec<String> {
            let all = all.iter().filter(|one| one.asked.method == Method::DELETE);
            all.filter_map(|one| shape(&one.asked)).collect()
        };
        let due = deletes(&undisturbed.record);
        for deleted in deletes(record) {
            ensure!(due.contains(&deleted), "{deleted}");
        }
        Ok(())
    }
}

/// Fails unless the user knows what failed and what comes next.
fn is_understood(case: &Case) -> Result<()> {
    let told = &case.status;
    let next = match (case.scene, told.split_once(": ")) {
        // What meets it only once is tried again.
        (Scene::Remove, _) if case.ill.is_once() || told.is_empty() => told.is_empty(),
        (Scene::Remove, _) => told.contains(" not ") && told.contains("delete it with `kubectl "),
        (_, Some(("active", ""))) => true,
        (_, Some(("blocked", message))) => message.starts_with("run `juju "),
        (_, Some(("waiting", message))) => message.starts_with("waiting for "),
        _ => false,
    };
    ensure!(next, "not understood: {told}");
    Ok(())
}
