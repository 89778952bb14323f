//! The alerts that there are: what each means and what to do about it.

use std::fmt;

use jiff::SignedDuration;

/// One alert, as it is documented.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) alert: &'static str,
    pub(super) severity: Severity,
    /// How long it has to hold.
    pub(super) patience: SignedDuration,
    /// When it fires.
    pub(super) when: &'static str,
    /// What to do about it.
    pub(super) remedy: &'static str,
}

/// How soon somebody has to look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Severity {
    /// Data may be lost that is not backed up.
    Critical,
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
        })
    }
}

const fn minutes(number: i64) -> SignedDuration {
    SignedDuration::from_mins(number)
}

pub(super) const SERVER_DOWN: Kind = Kind {
    alert: "VeleroServerDown",
    severity: Severity::Critical,
    patience: minutes(10),
    when: "Velero's server gives Prometheus no answer",
    remedy: "see what `juju status` says of this application",
};

pub(super) const NODE_AGENT_DOWN: Kind = Kind {
    alert: "VeleroNodeAgentDown",
    severity: Severity::Warning,
    patience: minutes(15),
    when: "fewer node agents answer than there are nodes for them",
    remedy: "see `kubectl get pods -l name=node-agent -o wide`: no files of volumes on such a node are backed up",
};

pub(super) const MISSED: Kind = Kind {
    alert: "VeleroBackupMissed",
    severity: Severity::Critical,
    patience: minutes(5),
    when: "a schedule has had no good backup for longer than its interval and a grace of a quarter of it, at least an \
           hour and at most a day",
    remedy: "see `velero schedule get` and `velero backup get`",
};

pub(super) const NEVER_SUCCEEDED: Kind = Kind {
    alert: "VeleroBackupNeverSucceeded",
    severity: Severity::Critical,
    patience: minutes(5),
    when: "a schedule is older than its interval and the same grace, and has had no good backup",
    remedy: "see `velero schedule describe` and `velero backup get`",
};

pub(super) const FAILED: Kind = Kind {
    alert: "VeleroBackupFailed",
    severity: Severity::Critical,
    patience: minutes(0),
    when: "the last backup of a schedule has failed, until a good one follows",
    remedy: "see `velero backup describe` and `velero backup logs`",
};

pub(super) const PARTIALLY_FAILED: Kind = Kind {
    alert: "VeleroBackupPartiallyFailed",
    severity: Severity::Warning,
    patience: minutes(0),
    when: "the last backup of a schedule has failed in part, until a good one follows",
    remedy: "see `velero backup describe --details` and `velero backup logs`",
};

pub(super) const WITHOUT_DATA: Kind = Kind {
    alert: "VeleroBackupWithoutData",
    severity: Severity::Warning,
    patience: minutes(0),
    when: "the last backup of a schedule of which that is known has no data of some volumes, until one has that of all",
    remedy: "see `volumes-without-data` in what the action `list-backups` says with `output=json`: it names them, and why",
};

pub(super) const PAUSED: Kind = Kind {
    alert: "VeleroSchedulePaused",
    severity: Severity::Warning,
    patience: minutes(0),
    when: "a schedule has been paused for a week",
    remedy: "run `velero schedule unpause`, or delete the schedule",
};

pub(super) const LOCATION_UNAVAILABLE: Kind = Kind {
    alert: "VeleroLocationUnavailable",
    severity: Severity::Critical,
    patience: minutes(10),
    when: "Velero cannot use a backup storage location",
    remedy: "see what `juju status` says of this application, or `velero backup-location get`",
};

pub(super) const VALIDATION_FAILED: Kind = Kind {
    alert: "VeleroBackupValidationFailed",
    severity: Severity::Warning,
    patience: minutes(0),
    when: "Velero has refused a backup in the last six hours",
    remedy: "see `Validation errors` in `velero backup describe`",
};

pub(super) const DELETION_FAILED: Kind = Kind {
    alert: "VeleroBackupDeletionFailed",
    severity: Severity::Warning,
    patience: minutes(0),
    when: "Velero could not delete a backup in the last six hours, so that its data stays in the store",
    remedy: "see `kubectl get deletebackuprequests.velero.io -o yaml`",
};

pub(super) const RESTORE_FAILED: Kind = Kind {
    alert: "VeleroRestoreFailed",
    severity: Severity::Warning,
    patience: minutes(0),
    when: "a restore has failed, in part or before it began, in the last six hours",
    remedy: "see `velero restore get` and `velero restore describe`",
};

pub(super) const MAINTENANCE_STALE: Kind = Kind {
    alert: "VeleroMaintenanceStale",
    severity: Severity::Warning,
    patience: minutes(0),
    when: "the repository of a namespace's files has not been maintained for three days, so that deleted data stays \
           in the store",
    remedy: "see `kubectl describe backuprepositories.velero.io`",
};

pub(super) const PASSWORD_KNOWN: Kind = Kind {
    alert: "VeleroRepositoryPasswordKnown",
    severity: Severity::Warning,
    patience: minutes(0),
    when: "files of volumes are in the store, encrypted with Velero's own password, which everybody knows",
    remedy: "see the option `repository-password`: another takes effect in a store without files",
};

/// All of them.
#[cfg(test)]
pub(super) const ALL: [&Kind; 14] = [
    &SERVER_DOWN,
    &NODE_AGENT_DOWN,
    &MISSED,
    &NEVER_SUCCEEDED,
    &FAILED,
    &PARTIALLY_FAILED,
    &WITHOUT_DATA,
    &PAUSED,
    &LOCATION_UNAVAILABLE,
    &VALIDATION_FAILED,
    &DELETION_FAILED,
    &RESTORE_FAILED,
    &MAINTENANCE_STALE,
    &PASSWORD_KNOWN,
];
