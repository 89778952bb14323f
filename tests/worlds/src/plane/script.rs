//! What the stand-ins are to play, where it is not the good case.
//!
//! Invariant: a change is played on what is there already too, and has been when it returns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

/// What becomes of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It runs, or has run to its end if it is an init container.
    Runs,
    /// It does not start, as the kubelet says: `ErrImagePull`, `ImagePullBackOff`, `InvalidImageName`,
    /// `ContainerCreating` and so on.
    Waits {
        /// The kubelet's word for it.
        reason: String,
        /// The kubelet's explanation.
        message: String,
    },
    /// It ends again and again.
    CrashLoops {
        /// With this code.
        code: i32,
        /// And this last word.
        last_words: String,
    },
    /// It runs again since just now, after an end with this code.
    Returns {
        /// The code.
        code: i32,
    },
    /// It runs, and was killed for memory just before, as long as its limit is this.
    StarvesAt(String),
}

/// What Velero says of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It can be used.
    Available,
    /// It cannot, as the store's plugin says.
    Unavailable(String),
    /// A word of a later Velero.
    Other {
        /// The word.
        phase: String,
        /// What the plugin says.
        cause: String,
    },
    /// The store takes the connection and is silent: while Velero waits for it, it judges no other location
    /// of its namespace either.
    Never,
}

/// Namespace and image or container, or namespace and bucket.
type Key = (String, String);

/// The parts that are not the good case.
pub(crate) struct Script {
    parts: Arc<Parts>,
    kubelet: UnboundedSender<Cue>,
    velero: UnboundedSender<Cue>,
    ended: UnboundedSender<String>,
}

/// What the stand-ins get of it.
pub(super) struct Roles {
    pub(super) kubelet: Role,
    pub(super) velero: Role,
    /// Namespaces that nobody looks at any more.
    pub(super) ended: UnboundedReceiver<String>,
}

#[derive(Default)]
pub(super) struct Parts {
    fates: Mutex<BTreeMap<Key, Fate>>,
    verdicts: Mutex<BTreeMap<Key, Verdict>>,
    ended: Mutex<BTreeSet<String>>,
}

/// A namespace in which the parts have changed; the player that has played them drops it to say so.
pub(super) struct Cue {
    pub(super) namespace: String,
    _played: oneshot::Sender<()>,
}

/// What a stand-in plays by.
pub(super) struct Role {
    pub(super) parts: Arc<Parts>,
    pub(super) cues: UnboundedReceiver<Cue>,
}

impl Fate {
    /// It does not start, for this reason.
    #[must_use]
    pub fn waits(reason: &str, message: &str) -> Self {
        Self::Waits {
            reason: reason.to_owned(),
            message: message.to_owned(),
        }
    }
}

impl Script {
    /// An empty one, and the roles in it.
    pub(super) fn new() -> (Self, Roles) {
        let parts = Arc::<Parts>::default();
        let role = || {
            let (cue, cues) = unbounded_channel();
            let parts = Arc::clone(&parts);
            (cue, Role { parts, cues })
        };
        let ((kubelet, kubelets_role), (velero, veleros_role)) = (role(), role());
        let (end, ended) = unbounded_channel();
        let script = Self {
            parts,
            kubelet,
            velero,
            ended: end,
        };
        let roles = Roles {
            kubelet: kubelets_role,
            velero: veleros_role,
            ended,
        };
        (script, roles)
    }

    pub(super) async fn let_containers(&self, space: &str, which: &str, fate: Fate) -> Result<()> {
        held(&self.parts.fates).insert((space.to_owned(), which.to_owned()), fate);
        play(&self.kubelet, space).await
    }

    pub(super) async fn let_bucket(&self, space: &str, bucket: &str, say: Verdict) -> Result<()> {
        held(&self.parts.verdicts).insert((space.to_owned(), bucket.to_owned()), say);
        play(&self.velero, space).await
    }

    /// Nobody looks at this namespace any more, so nobody needs to work there.
    pub(super) fn end(&self, space: &str) {
        held(&self.parts.ended).insert(space.to_owned());
        // Fails when the stand-ins have ended, and with them the plane.
        let _ = self.ended.send(space.to_owned());
    }
}

impl Parts {
    /// What was said of a container's name counts before what was said of its image.
    pub(super) fn fate(&self, namespace: &str, name: &str, image: &str) -> Fate {
        let fates = held(&self.fates);
        let said_of = |which: &str| fates.get(&(namespace.to_owned(), which.to_owned()));
        let found = said_of(name).or_else(|| said_of(image));
        found.cloned().unwrap_or(Fate::Runs)
    }

    pub(super) fn verdict(&self, namespace: &str, bucket: &str) -> Verdict {
        let verdicts = held(&self.verdicts);
        let found = verdicts.get(&(namespace.to_owned(), bucket.to_owned()));
        found.cloned().unwrap_or(Verdict::Available)
    }

    pub(super) fn has_ended(&self, namespace: &str) -> bool {
        held(&self.ended).contains(namespace)
    }
}

async fn play(stand_in: &UnboundedSender<Cue>, namespace: &str) -> Result<()> {
    let (playing, played) = oneshot::channel();
    let cue = Cue {
        namespace: namespace.to_owned(),
        _played: playing,
    };
    stand_in.send(cue).ok().context("the stand-in has ended")?;
    // Nothing is ever sent: the end of the cue is the answer.
    let _ = played.await;
    Ok(())
}

/// A panic elsewhere leaves what these hold whole.
fn held<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}
