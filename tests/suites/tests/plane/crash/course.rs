//! One world on its rounds.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use http::Method;
use juju_emulator::event::Event;
use juju_emulator::{HookRun, Interruption};
use kube_stack::proxy::{Exchange, Fault, Kill, Rule};
use worlds::operator::UNIT;
use worlds::plane::{Plane, Trial};

use super::ledger::{Ledger, Place, Point, Undisturbed};
use super::steps::{Site, Step, overture};

pub(crate) struct Course {
    site: Site,
    trial: Trial,
    round: &'static [Step],
}

impl Course {
    /// Walks every step once and notes what there is to see.
    pub(crate) async fn scout(plane: &Plane, site: Site, ledger: &Ledger) {
        let mut trial = Trial::open(plane, "scout").await.unwrap();
        for step in site.all().iter().copied() {
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
                ledger.note(Place { site, step, number }, undisturbed);
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
        for step in overture(round) {
            step.begin(&mut trial).await;
            trial.world.settle().await.unwrap();
        }
        Self { site, trial, round }
    }

    /// Goes round until no step of the round has a point left.
    pub(crate) async fn disturb(&mut self, ledger: &Ledger) {
        while ledger.has_any(self.site, self.round) {
            for step in self.round.iter().copied() {
                step.begin(&mut self.trial).await;
                let site = self.site;
                if let Some(event) = step.event() {
                    self.hook(ledger.place_of(site, step, event), ledger).await;
                    continue;
                }
                let mut number = 0;
                while self.hook(Place { site, step, number }, ledger).await {
                    number += 1;
                }
            }
        }
    }

    /// Runs a hook, killed once where the ledger says; false if none is due.
    async fn hook(&mut self, place: Place, ledger: &Ledger) -> bool {
        let Some(point) = ledger.take(place) else {
            return self.run(place.step, None).await.unwrap().is_some();
        };
        let outcome = self.killed_at(point, place, ledger).await;
        ledger.tried(place, point, outcome);
        true
    }

    async fn killed_at(&mut self, point: Point, place: Place, ledger: &Ledger) -> Result<()> {
        let killed = self
            .run(place.step, Some(point))
            .await?
            .context("no hook is due")?;
        ensure!(
            killed.0.exit.is_terminated(),
            "not killed but {:?}",
            killed.0.exit
        );
        let again = self
            .run(place.step, None)
            .await?
            .context("it did not run again")?;
        ensure!(
            killed.0.hook == again.0.hook,
            "it did not run again but {}",
            again.0.hook
        );
        ensure!(again.0.exit.is_success(), "it failed: {:#?}", again.0);
        let wanted = ledger.sight(place);
        let reads = |exchange: &Exchange| exchange.asked.method == Method::GET;
        if killed.1.iter().chain(&again.1).all(reads) {
            // What is in the cluster is as it was.
            let seen = self.trial.juju();
            ensure!(seen == wanted.juju, "- {}\n+ {seen}", wanted.juju);
            return Ok(());
        }
        let requests = || {
            let all = killed.1.iter().map(ToString::to_string);
            all.collect::<Vec<_>>().join("\n")
        };
        self.trial.expect(&wanted).await.with_context(requests)
    }

    /// Runs the hook that is due, or the step's own one; `None` if none is due.
    async fn run(
        &mut self,
        step: Step,
        point: Option<Point>,
    ) -> Result<Option<(HookRun, Vec<Exchange>)>> {
        let juju = &mut self.trial.world.juju;
        let killer = juju.killer();
        let kill: Kill = Arc::new(move || killer.kill().expect("the charm waits for an answer"));
        self.trial.proxy.play(match point {
            Some(Point::Before(number)) => vec![at(number, Fault::KillBefore(kill))],
            Some(Point::After(number)) => vec![at(number, Fault::KillAfter(kill))],
            Some(Point::Tool(_)) | None => Vec::new(),
        });
        if let Some(Point::Tool(call)) = point {
            juju.interrupt_next(Interruption::Killed, call);
        }
        let run = match step.event() {
            Some(hook) => Some(juju.run_event(UNIT, Event::hook(hook)).await?),
            None => juju.step().await?,
        };
        // It is written down with the model after each call.
        juju.model_mut().log.clear();
        Ok(run.map(|run| (run, self.trial.proxy.record())))
    }
}

/// For the request of this number, from 1, among those that are no watch.
fn at(number: usize, fault: Fault) -> Rule {
    Rule::first(|asked| !asked.is_watch(), fault).after(number - 1)
}
