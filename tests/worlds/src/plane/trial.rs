//! A world whose charm meets faults on its way to the API server, and what is seen of it afterwards.
//!
//! Invariant: a sight is all of the world that a user or another charm could see, and is the same for
//! equal worlds, however they came to be so. It is looked for only where the charm can have written, and
//! that it has written nowhere else is made sure.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Result, bail};
use http::Method;
use kube_stack::proxy::{Face, Proxy};
use tokio::time::{Instant, sleep};

use super::dump::Extent;
use super::{LightWorld, Plane};
use crate::operator::{APP, UNIT};

/// How long controllers may still have to do after a hook.
const AT_REST_WITHIN: Duration = Duration::from_mins(1);
/// A world that has looked the same for this long is at rest.
const REST: Duration = Duration::from_millis(150);

/// What the charm may write besides Velero's own kinds.
const WRITTEN: [&str; 9] = [
    "clusterrolebindings",
    "configmaps",
    "customresourcedefinitions",
    "daemonsets",
    "deployments",
    "pods",
    "secrets",
    "serviceaccounts",
    "services",
];

/// A world behind a proxy.
pub struct Trial {
    /// The world.
    pub world: LightWorld,
    /// What its charm takes for the API server.
    pub proxy: Proxy,
}

/// What can be seen of a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// In Juju: the unit's status, the workload's version, what the charm has told other applications.
    pub juju: String,
    /// In the cluster.
    pub cluster: String,
}

impl Trial {
    /// A fresh model in a namespace of its own, and nothing deployed.
    pub async fn open(plane: &Plane, name: &str) -> Result<Self> {
        let proxy = plane.proxy(Face::Valid).await?;
        let world = plane.world_at(name, proxy.api()).await?;
        Ok(Self { world, proxy })
    }

    /// The side of Juju.
    #[must_use]
    pub fn juju(&self) -> String {
        let juju = &self.world.juju;
        let version = juju.workload_version(APP).unwrap_or_default();
        let mut text = format!("{}\nversion {version}\n", self.world.status());
        for relation in juju.model().relations_of(APP) {
            let mut said = relation.local(APP).map(|side| side.bag.data.clone());
            // When it began, differs; that it is noted, does not.
            if let Some(since) = said.as_mut().and_then(|bag| bag.get_mut("waiting-since")) {
                *since = "TIME".into();
            }
            // Nothing can go wrong in writing to a text.
            let _ = writeln!(text, "{said:?}");
        }
        let gone = juju.model().unit(UNIT).is_none();
        if gone { "gone".to_owned() } else { text }
    }

    async fn cluster(&self) -> Result<String> {
        let record = self.proxy.record();
        let elsewhere = record.iter().find(|one| {
            let path = &one.asked.path;
            let known =
                path.contains("/velero.io/") || path.split('/').any(|part| WRITTEN.contains(&part));
            one.asked.method != Method::GET && !known
        });
        if let Some(elsewhere) = elsewhere {
            bail!("the charm has written where nobody looks: {elsewhere}");
        }
        self.world.dump_to(Extent::Charms).await
    }

    /// What there is once controllers have come to rest.
    pub async fn sight(&self) -> Result<Sight> {
        let mut before = self.cluster().await?;
        let mut still = Duration::ZERO;
        while still < REST {
            let at = Instant::now();
            sleep(REST / 2).await;
            let now = self.cluster().await?;
            still = if now == before {
                still + at.elapsed()
            } else {
                Duration::ZERO
            };
            before = now;
        }
        Ok(Sight {
            juju: self.juju(),
            cluster: before,
        })
    }

    /// Fails with the difference unless this is what there is to see, at the latest when controllers have
    /// come to rest.
    pub async fn expect(&self, wanted: &Sight) -> Result<()> {
        let deadline = Instant::now() + AT_REST_WITHIN;
        loop {
            let seen = Sight {
                juju: self.juju(),
                cluster: self.cluster().await?,
            };
            if seen == *wanted {
                return Ok(());
            }
            if seen.juju != wanted.juju || Instant::now() >= deadline {
                bail!("{}", wanted.difference(&seen));
            }
            sleep(REST / 3).await;
        }
    }
}

impl Sight {
    /// What another sight lacks or has besides, line by line.
    #[must_use]
    pub fn difference(&self, seen: &Self) -> String {
        let mut text = String::new();
        for (wanted, seen) in [(&self.juju, &seen.juju), (&self.cluster, &seen.cluster)] {
            for (sign, one, other) in [('-', wanted, seen), ('+', seen, wanted)] {
                let others: Vec<&str> = other.lines().collect();
                for line in one.lines().filter(|line| !others.contains(line)) {
                    // As above.
                    let _ = writeln!(text, "{sign} {line}");
                }
            }
        }
        text
    }
}
