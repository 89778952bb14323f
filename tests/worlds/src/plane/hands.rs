//! The thread in which the stand-ins work.
//!
//! Invariant: they work whatever a test's own thread is busy with, and have ended when this value has.

use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result};
use juju_emulator::withdraw_policy;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube_stack::Progress;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use super::script::Roles;
use super::{kubelet, velero};

/// The running stand-ins.
pub(super) struct Hands {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Hands {
    pub(super) fn start(kubeconfig: PathBuf, roles: Roles) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new()
            .name("stand-ins".to_owned())
            .spawn(move || {
                let ended = runtime.block_on(async {
                    tokio::select! {
                        ended = work(kubeconfig, roles) => ended,
                        _ = stopped => Ok(()),
                    }
                });
                if let Err(error) = ended {
                    Progress::to_stderr().note(format!("the stand-ins have ended: {error:#}"));
                }
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

async fn work(kubeconfig: PathBuf, roles: Roles) -> Result<()> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    let client = Client::try_from(config)?;
    let kubelet = kubelet::run(client.clone(), roles.kubelet);
    let velero = Box::pin(velero::run(client.clone(), roles.velero));
    tokio::try_join!(
        async { kubelet.await.context("the kubelet's hand") },
        async { velero.await.context("Velero's hand") },
        withdraw_policies(&client, roles.ended),
    )
    .map(drop)
}

/// Takes from the API server what it would ask for worlds that have ended.
async fn withdraw_policies(client: &Client, mut ended: UnboundedReceiver<String>) -> Result<()> {
    while let Some(model) = ended.recv().await {
        withdraw_policy(client, &model).await?;
    }
    Ok(())
}

impl Drop for Hands {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has told of its own end.
            let _ = thread.join();
        }
    }
}
