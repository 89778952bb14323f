//! One world on its rounds.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use http::Method;
use tests::juju::{HookRun, Interruption};
use tests::operator;
use tests::plane::{Plane, Trial};
use tests::stack::proxy::{Exchange, Fault, Kill, Rule};

use crate::ledger::{Ledger, Place, Point, Undisturbed};
use crate::steps::{Site, Step};

pub(crate) struct Course {
    site: Site,
    trial: Trial,
    round: &'static [Step],
}

impl Course {
    /// Walks every step once and notes what there is to see.
    pub(crate) async fn scout(plane: &Plane, site: Site, ledger: &Ledger) {
        let mut trial = Trial::open(plane, "scout").await.unwrap();
        for step in site.all() {
            step.begin(&mut trial).await;
            for number in 0.. {
                trial.proxy.play(Vec::new());
                let Some(run) = trial.world.juju.step().await.unwrap() else {
                    break;
                };
                assert!(run.exit.is_success(), "{run:#?}");
                let undisturbed = Undisturbed {
                    record: trial.proxy.record(),
                    sight: trial.sight().await.unwrap(),
                    run,
                };
                ledger.note((site, *step, number), undisturbed);
            }
        }
    }

    /// A fresh world, where its round begins.
    pub(crate) async fn begin(
        plane: &Plane,
        site: Site,
        name: &str,
        round: &'static [Step],
    ) -> Self {
        let mut trial = Trial::open(plane, name).await.unwrap();
        for step in site.overture(round) {
            step.begin(&mut trial).await;
            trial.world.settle().await.unwrap();
        }
        Self { site, trial, round }
    }

    /// Goes round until no step of the round has a point left.
    pub(crate) async fn disturb(&mut self, ledger: &Ledger) {
        while ledger.has_any(self.site, self.round) {
            for step in self.round {
                step.begin(&mut self.trial).await;
                let mut number = 0;
                while self.hook((self.site, *step, number), ledger).await {
                    number += 1;
                }
            }
        }
    }

    /// Runs a hook, killed once where the ledger says; false if none is due.
    async fn hook(&mut self, place: Place, ledger: &Ledger) -> bool {
        let Some(point) = ledger.take(place) else {
            self.trial.proxy.play(Vec::new());
            return self.trial.world.juju.step().await.unwrap().is_some();
        };
        let outcome = self.killed_at(point, place, ledger).await;
        ledger.tried(place, point, outcome);
        true
    }

    async fn killed_at(&mut self, point: Point, place: Place, ledger: &Ledger) -> Result<()> {
        let (killed, before) = self.step(Some(point)).await?;
        let (again, after) = self.step(None).await?;
        ensure!(
            killed.exit.is_terminated(),
            "not killed but {:?}",
            killed.exit
        );
        ensure!(
            killed.hook == again.hook,
            "it did not run again but {}",
            again.hook
        );
        ensure!(again.exit.is_success(), "it failed: {again:#?}");
        let wanted = ledger.sight(place);
        let reads = |exchange: &Exchange| exchange.asked.method == Method::GET;
        if before.iter().chain(&after).all(reads) {
            // What is in the cluster is as it was.
            let seen = self.trial.juju();
            ensure!(seen == wanted.juju, "- {}\n+ {seen}", wanted.juju);
            return Ok(());
        }
        let log = || format!("{:#?}\n{:#?}", before, again.log);
        self.trial.expect(&wanted).await.with_context(log)
    }

    async fn step(&mut self, point: Option<Point>) -> Result<(HookRun, Vec<Exchange>)> {
        let juju = &mut self.trial.world.juju;
        let killer = juju.killer();
        let kill: Kill = Arc::new(move || killer.kill().expect("the charm waits for an answer"));
        self.trial.proxy.play(match point {
            Some(Point::Before(number)) => vec![Rule::at(number, Fault::KillBefore(kill))],
            Some(Point::After(number)) => vec![Rule::at(number, Fault::KillAfter(kill))],
            Some(Point::Tool(_)) | None => Vec::new(),
        });
        if let Some(Point::Tool(call)) = point {
            juju.interrupt_next(Interruption::Killed, call);
        }
        let run = juju.step().await?;
        let run = run.with_context(|| format!("no hook is due; {}", operator::status(juju)))?;
        // It is written down with the model after each call.
        juju.model_mut().log.clear();
        Ok((run, self.trial.proxy.record()))
    }
}
