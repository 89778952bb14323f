//! Which volumes a finished Backup holds no data of, in words.

use std::collections::BTreeSet;

use super::scope::{Access, Claim, Form, Key, Mount, What, by_claim};

/// As many are named in one list.
const NAMED: usize = 50;
/// Volumes without data are reported by cause; there may be as many causes as failures.
const SECTIONS: usize = 10;

/// What was found of a Backup.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) claims: Vec<Claim>,
    pub(crate) mounts: Vec<Mount>,
    /// Of these `PersistentVolumes` Velero reads nothing.
    pub(crate) host_paths: BTreeSet<String>,
    pub(crate) copies: Vec<Copy>,
    /// Snapshots that were taken; which volume each is of stands in the store only.
    pub(crate) snapshots: usize,
    /// There was more than is looked at.
    pub(crate) rest: Rest,
}

/// Whether everything was looked at.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Rest {
    #[default]
    Nothing,
    NotLookedAt,
}

/// The data of a volume on its way to the store: a `PodVolumeBackup` or a `DataUpload`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Copy {
    pub(crate) pod_volume: Option<(Key, String)>,
    pub(crate) claim: Option<Key>,
    pub(crate) claim_uid: Option<String>,
    pub(crate) bytes: u64,
    /// Why it has not arrived.
    pub(crate) failure: Option<String>,
}

/// Why there is no data.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Why {
    /// Files were not asked for.
    NotAsked,
    /// No pod in the Backup lets Velero read it.
    Unread,
    HostPath,
    Block,
    Failed(String),
}

/// What a user reads about a Backup's volumes.
#[derive(Debug)]
pub(crate) struct Report {
    backup: String,
    total: usize,
    without: Vec<(String, Why)>,
    snapshots: usize,
    rest: Rest,
    /// That were copied.
    bytes: u64,
}

/// Finds out which volumes nothing was saved of.
pub(crate) fn judge(backup: &str, found: &Found) -> Report {
    let users = by_claim(&found.mounts);
    let mut total = 0;
    let mut without = Vec::new();
    let mut coverable = 0;
    for claim in &found.claims {
        let mounts = users.get(&claim.key).map(Vec::as_slice).unwrap_or_default();
        let is_opted_out =
            !mounts.is_empty() && mounts.iter().all(|one| one.access == Access::OptedOut);
        let is_in_scope = claim.chosen || !mounts.is_empty();
        if is_opted_out || !is_in_scope {
            continue;
        }
        total += 1;
        if let Some(why) = found.claim_lacks(claim, mounts) {
            coverable += usize::from(matches!(why, Why::NotAsked | Why::Unread | Why::Block));
            without.push((format!("{}/{}", claim.key.0, claim.key.1), why));
        }
    }
    for mount in &found.mounts {
        if mount.what != What::Own || mount.access != Access::Open {
            continue;
        }
        total += 1;
        let copies = found.copies.iter().filter(|copy| copy.is_of_mount(mount));
        let lack = match outcome(copies) {
            Outcome::Saved => None,
            Outcome::Lost(why) => Some(why),
            Outcome::NotTried => Some(Why::NotAsked),
        };
        without.extend(lack.map(|why| {
            let (namespace, pod) = &mount.pod;
            (format!("{namespace}/{pod}:{}", mount.volume), why)
        }));
    }
    if coverable > 0 && found.snapshots >= coverable {
        let snapshot = |why: &Why| matches!(why, Why::NotAsked | Why::Unread | Why::Block);
        without.retain(|(name, why)| name.contains(':') || !snapshot(why));
    }
    without.sort_by_key(|(name, why)| (why.clone(), name.contains(':'), name.clone()));
    Report {
        backup: backup.to_owned(),
        total,
        without,
        snapshots: found.snapshots,
        rest: found.rest,
        bytes: found.copies.iter().map(|copy| copy.bytes).sum(),
    }
}

impl Found {
    fn claim_lacks(&self, claim: &Claim, mounts: &[&Mount]) -> Option<Why> {
        let copies = self.copies.iter().filter(|copy| {
            copy.is_of_claim(claim) || mounts.iter().any(|mount| copy.is_of_mount(mount))
        });
        match outcome(copies) {
            Outcome::Saved => return None,
            Outcome::Lost(why) => return Some(why),
            Outcome::NotTried => {}
        }
        Some(if self.host_paths.contains(&claim.volume) {
            Why::HostPath
        } else if claim.form == Form::Block {
            Why::Block
        } else if mounts.iter().all(|mount| mount.access == Access::Closed) {
            Why::Unread
        } else {
            Why::NotAsked
        })
    }
}

impl Copy {
    fn is_of_claim(&self, claim: &Claim) -> bool {
        self.claim_uid.as_ref() == Some(&claim.uid) || self.claim.as_ref() == Some(&claim.key)
    }

    fn is_of_mount(&self, mount: &Mount) -> bool {
        let Some((pod, volume)) = &self.pod_volume else {
            return false;
        };
        *pod == mount.pod && *volume == mount.volume
    }
}

/// How it went with the copies of a volume.
enum Outcome {
    NotTried,
    Saved,
    Lost(Why),
}

fn outcome<'a>(copies: impl Iterator<Item = &'a Copy>) -> Outcome {
    let mut outcome = Outcome::NotTried;
    for copy in copies {
        match &copy.failure {
            None => return Outcome::Saved,
            Some(failure) => outcome = Outcome::Lost(Why::Failed(failure.clone())),
        }
    }
    outcome
}

impl Report {
    /// `2 of 3`, of the volumes that have data in the Backup.
    pub(crate) fn saved(&self) -> String {
        format!("{} of {}", self.total - self.without.len(), self.total)
    }

    /// Of the files and blocks that were copied.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The names of those without, if there are any.
    pub(crate) fn missing(&self) -> Option<String> {
        let named = |(name, why): &(String, Why)| format!("{name} ({})", why.word());
        (!self.without.is_empty()).then(|| list(self.without.iter().map(named), ", "))
    }

    /// What is said last, if something is to be said.
    pub(crate) fn warning(&self, application: &str) -> Option<String> {
        if self.without.is_empty() {
            return (self.rest == Rest::NotLookedAt).then(|| {
                format!(
                    "NOTE: backup `{}` has more volumes than were looked at.",
                    self.backup
                )
            });
        }
        let mut lines = vec![format!(
            "WARNING: backup `{}` holds no data of {} of {} volumes:",
            self.backup,
            self.without.len(),
            self.total
        )];
        let mut rest = &self.without[..];
        for _ in 0..SECTIONS {
            let Some((_, why)) = rest.first() else { break };
            let same = rest.iter().take_while(|(_, other)| other == why).count();
            let (these, others) = rest.split_at(same);
            let names = these.iter().map(|(name, _)| format!("  {name}"));
            lines.push(list(names, "\n"));
            lines.push(why.remedy(application));
            rest = others;
        }
        if !rest.is_empty() {
            lines.push(format!("And {} more volumes.", rest.len()));
        }
        if self.snapshots > 0 {
            lines.push(format!(
                "Snapshots were taken of {} volumes, which may be among these: `backup describe {} \
                 --details` says of which.",
                self.snapshots, self.backup
            ));
        }
        if self.rest == Rest::NotLookedAt {
            lines.push("There are more volumes than were looked at.".into());
        }
        Some(lines.join("\n"))
    }
}

fn list(mut items: impl Iterator<Item = String>, between: &str) -> String {
    let named: Vec<_> = items.by_ref().take(NAMED).collect();
    let mut text = named.join(between);
    let more = items.count();
    if more > 0 {
        text = format!("{text}{between}and {more} more");
    }
    text
}

impl Why {
    fn word(&self) -> &'static str {
        match self {
            Self::NotAsked => "file-system backup not asked for",
            Self::Unread => "no running pod to read it through",
            Self::HostPath => "a hostPath volume",
            Self::Block => "a block device",
            Self::Failed(_) => "failed",
        }
    }

    fn remedy(&self, application: &str) -> String {
        match self {
            Self::NotAsked => format!(
                "Their files are saved if that is asked for: run `juju config {application} \
                 use-node-agent=true default-volumes-to-fs-backup=true` and back up again. For one \
                 backup, add `--default-volumes-to-fs-backup`; for single volumes, annotate their \
                 pods with `backup.velero.io/backup-volumes=<volume>`. What needs no backup is left \
                 out with `backup.velero.io/backup-volumes-excludes=<volume>`."
            ),
            Self::Unread => "Velero reads files through running pods only, and no pod in this backup \
                 runs and mounts them: start one, include pods in the backup, and back up again."
                .into(),
            Self::HostPath => "Their PersistentVolumes are folders of a node (`hostPath`), which \
                 Velero does not read: move the data to a StorageClass of another kind, and back up \
                 again."
                .into(),
            Self::Block => "Velero's file-system backup cannot read block devices: only a snapshot \
                 saves them."
                .into(),
            Self::Failed(why) => format!(
                "Velero has tried and not finished: {why}. See `backup describe --details` and \
                 `backup logs`."
            ),
        }
    }
}

#[cfg(test)]
mod tests;
