//! What is due when the API server falls sick.
//!
//! Invariant: at the beginning of a scene Juju has said all that it has to say, and the cluster is as it
//! was before: one hook leads from there to the scene's end, and Juju does not remember that it ran.

use anyhow::{Context as _, Result, ensure};
use juju_emulator::event::{Event, RelationEvent, RelationKind};
use juju_emulator::{DeployOptions, HookRun, Juju};
use kube_stack::proxy::{Fault, Refusal, Rule};
use worlds::operator::{APP, UNIT};
use worlds::plane::{StoreKind, Trial};

/// A scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scene {
    Steady,
    Install,
    Related(StoreKind),
    NodeAgentOn,
    RelationBroken(StoreKind),
    Remove,
}

use Scene::{Install, NodeAgentOn, Related, RelationBroken, Remove, Steady};
use StoreKind::{Azure, Gcs, S3};

impl Scene {
    pub(crate) const ALL: [Self; 10] = [
        Steady,
        Install,
        Related(S3),
        Related(Azure),
        Related(Gcs),
        NodeAgentOn,
        RelationBroken(S3),
        RelationBroken(Azure),
        RelationBroken(Gcs),
        Remove,
    ];

    /// The hook that runs in it. A broken one finds its relation still listed.
    fn event(self, juju: &Juju) -> Result<Event> {
        Ok(match self {
            Install => Event::hook("install"),
            Remove => Event::hook("remove"),
            RelationBroken(_) => broken(juju)?,
            Steady | Related(_) | NodeAgentOn => Event::hook("update-status"),
        })
    }

    /// The store that it is about, as far as it is about one.
    const fn store(self) -> StoreKind {
        match self {
            Related(store) | RelationBroken(store) => store,
            Steady | Install | NodeAgentOn | Remove => S3,
        }
    }

    /// From nothing to its beginning.
    pub(crate) async fn enter(self, trial: &mut Trial) -> Result<()> {
        trial.world.deploy(DeployOptions::trusted()).await?;
        self.store().deploy(&mut trial.world)?;
        match self {
            Install => end_of(Remove, trial).await,
            Related(_) => self.relate_unheard(trial).await,
            Steady | NodeAgentOn | RelationBroken(_) | Remove => {
                trial.world.juju.integrate(APP, self.store().integrator())?;
                trial.world.settle().await?;
                trial.world.expect_status("active: ")?;
                self.leave_the_end(trial).await
            }
        }
    }

    /// From its end to its beginning.
    pub(crate) async fn again(self, trial: &mut Trial) -> Result<()> {
        trial.proxy.play(Vec::new());
        match self {
            Steady => {}
            Install => end_of(Remove, trial).await?,
            Related(_) => {
                trial
                    .world
                    .juju
                    .remove_relation(APP, self.store().integrator())?;
                trial.world.settle().await?;
                self.relate_unheard(trial).await?;
            }
            NodeAgentOn => {
                trial.world.config("use-node-agent", "false").await?;
                self.leave_the_end(trial).await?;
            }
            RelationBroken(_) => {
                // Until here its last hook has only been tried.
                trial.world.settle().await?;
                trial.world.juju.integrate(APP, self.store().integrator())?;
                trial.world.settle().await?;
                self.leave_the_end(trial).await?;
            }
            Remove => {
                end_of(Steady, trial).await?;
                self.leave_the_end(trial).await?;
            }
        }
        Ok(())
    }

    /// From a set-up that works to its beginning.
    async fn leave_the_end(self, trial: &mut Trial) -> Result<()> {
        let juju = &mut trial.world.juju;
        match self {
            NodeAgentOn => juju.config(APP, &[("use-node-agent", "true")])?,
            RelationBroken(_) => {
                juju.remove_relation(APP, self.store().integrator())?;
                return depart_unheard(trial).await;
            }
            Remove => return trial.world.use_velero().await,
            Steady | Install | Related(_) => return Ok(()),
        }
        unheard(trial).await
    }

    async fn relate_unheard(self, trial: &mut Trial) -> Result<()> {
        trial.world.juju.integrate(APP, self.store().integrator())?;
        let created = trial.world.juju.step().await?.context("a relation")?;
        ensure!(created.hook.ends_with("-created"), "{}", created.hook);
        unheard(trial).await
    }
}

/// Runs the one hook of a scene, undisturbed.
async fn end_of(scene: Scene, trial: &mut Trial) -> Result<()> {
    trial.proxy.play(Vec::new());
    let run = run(scene, trial).await?;
    ensure!(run.exit.is_success(), "{run:#?}");
    Ok(())
}

/// Runs the hook of a scene, due or not; Juju does not remember it.
pub(crate) async fn run(scene: Scene, trial: &mut Trial) -> Result<HookRun> {
    let juju = &mut trial.world.juju;
    let event = scene.event(juju)?;
    let run = juju.run_event(UNIT, event).await?;
    // It is written down with the model after each call.
    juju.model_mut().log.clear();
    Ok(run)
}

/// The last hook of the one relation that there is.
fn broken(juju: &Juju) -> Result<Event> {
    let relation = juju.model().relations.values().next();
    let relation = relation.context("there is no relation")?;
    let (local, remote) = (relation.local(APP), relation.remote(APP));
    Ok(Event::Relation(RelationEvent {
        kind: RelationKind::Broken,
        id: relation.id,
        endpoint: local.context("not ours")?.endpoint.clone(),
        remote_app: remote.context("of no integrator")?.app.clone(),
        remote_unit: None,
        departing: None,
    }))
}

/// Runs the hook before a relation's last, while the API server does nothing.
async fn depart_unheard(trial: &mut Trial) -> Result<()> {
    let broken = Rule::every(|_| true, Fault::Refuse(Refusal::Broken));
    trial.proxy.play(vec![broken]);
    let departed = trial.world.juju.step().await?.context("a departure")?;
    ensure!(departed.hook.ends_with("-departed"), "{}", departed.hook);
    trial.proxy.play(Vec::new());
    Ok(())
}

/// Runs all hooks that are due, while the API server does nothing.
async fn unheard(trial: &mut Trial) -> Result<()> {
    let broken = Rule::every(|_| true, Fault::Refuse(Refusal::Broken));
    trial.proxy.play(vec![broken]);
    trial.world.settle().await?;
    trial.proxy.play(Vec::new());
    Ok(())
}
