//! What a user may ask of the Velero CLI: verbs, and the flags of each.
//!
//! **Invariant:** only what stands here is ever started. The table has every verb and flag that the help
//! of the bundled CLI has, no other, and each either passes or has its reason; tests hold it against that
//! help, and the help against the CLI.

/// Whether a flag comes with a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Takes {
    /// The next word is its value if it has none of its own.
    Value,
    /// It may stand alone; a value is in the same word.
    Nothing,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Rule {
    Passes,
    Refused(&'static str),
}

/// A flag of the CLI.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Flag {
    pub(super) long: &'static str,
    pub(super) short: Option<char>,
    pub(super) takes: Takes,
    pub(super) rule: Rule,
}

/// A command of the CLI.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Verb {
    pub(super) kind: &'static str,
    pub(super) name: &'static str,
    pub(super) rule: Rule,
    flags: &'static [&'static [Flag]],
}

/// What the action is for.
pub(super) const KINDS: [&str; 3] = ["backup", "restore", "schedule"];

const ELSEWHERE: &str = "the charm works in the namespace of its model";
const LOGGING: &str = "the CLI's own log is not for actions: it writes files in the charm's pod, and \
                       shows addresses from which anybody can download the backup";
const POD_FILE: &str =
    "it would be a file of the charm's pod: give the store's CA to its integrator";
const UNCHECKED: &str =
    "the store's certificate is always checked: give the store's CA to its integrator";
const EVERY_NAMESPACE: &str =
    "it would reach the schedules of every Velero in the cluster: name the schedules";

const fn value(long: &'static str) -> Flag {
    Flag {
        long,
        short: None,
        takes: Takes::Value,
        rule: Rule::Passes,
    }
}

const fn alone(long: &'static str) -> Flag {
    Flag {
        takes: Takes::Nothing,
        ..value(long)
    }
}

impl Flag {
    const fn or(self, short: char) -> Self {
        Self {
            short: Some(short),
            ..self
        }
    }

    const fn refused(self, why: &'static str) -> Self {
        Self {
            rule: Rule::Refused(why),
            ..self
        }
    }
}

/// Those of every command.
const GLOBAL: &[Flag] = &[
    alone("help").or('h'),
    value("namespace").or('n').refused(ELSEWHERE),
    value("kubeconfig").refused(ELSEWHERE),
    value("kubecontext").refused(ELSEWHERE),
    value("features").refused("the features are those of the server"),
    value("colorized").refused("results are plain text"),
    alone("add_dir_header").refused(LOGGING),
    alone("alsologtostderr").refused(LOGGING),
    value("alsologtostderrthreshold").refused(LOGGING),
    alone("legacy_stderr_threshold_behavior").refused(LOGGING),
    value("log_backtrace_at").refused(LOGGING),
    value("log_dir").refused(LOGGING),
    value("log_file").refused(LOGGING),
    value("log_file_max_size").refused(LOGGING),
    alone("logtostderr").refused(LOGGING),
    alone("one_output").refused(LOGGING),
    alone("skip_headers").refused(LOGGING),
    alone("skip_log_headers").refused(LOGGING),
    value("stderrthreshold").refused(LOGGING),
    value("v").or('v').refused(LOGGING),
    value("vmodule").refused(LOGGING),
];

/// How objects are shown.
const SHOWN: &[Flag] = &[
    value("output").or('o'),
    value("label-columns").or('L'),
    alone("show-labels"),
];

const CHOSEN: &[Flag] = &[value("selector").or('l')];

/// What a Backup is to be like; a Schedule has the same.
const BACKUP: &[Flag] = &[
    value("annotations"),
    value("csi-snapshot-timeout"),
    value("data-mover"),
    alone("default-volumes-to-fs-backup"),
    value("exclude-cluster-scoped-resources"),
    value("exclude-namespace-scoped-resources"),
    value("exclude-namespaces"),
    value("exclude-resources"),
    alone("include-cluster-resources"),
    value("include-cluster-scoped-resources"),
    value("include-namespace-scoped-resources"),
    value("include-namespaces"),
    value("include-resources"),
    value("item-operation-timeout"),
    value("labels"),
    value("or-selector"),
    value("ordered-resources"),
    value("parallel-files-upload"),
    // A ConfigMap of the cluster, which the server reads.
    value("resource-policies-configmap"),
    alone("snapshot-move-data"),
    alone("snapshot-volumes"),
    value("storage-location"),
    value("ttl"),
    value("volume-snapshot-locations"),
];

const BACKUP_NOW: &[Flag] = &[value("from-schedule"), alone("wait").or('w')];

const SCHEDULE: &[Flag] = &[
    alone("paused"),
    value("schedule"),
    value("skip-immediately"),
    alone("use-owner-references-in-backup"),
];

const RESTORE: &[Flag] = &[
    alone("allow-partially-failed"),
    value("annotations"),
    value("exclude-namespaces"),
    value("exclude-resources"),
    value("existing-resource-policy"),
    value("from-backup"),
    value("from-schedule"),
    alone("include-cluster-resources"),
    value("include-namespaces"),
    value("include-resources"),
    value("item-operation-timeout"),
    value("labels"),
    value("namespace-mappings"),
    value("or-selector"),
    value("parallel-files-download"),
    alone("preserve-nodeports"),
    // ConfigMaps of the cluster, which the server reads.
    value("resource-modifier-configmap"),
    value("resource-policies-configmap"),
    alone("restore-volumes"),
    value("status-exclude-resources"),
    value("status-include-resources"),
    alone("wait").or('w'),
    alone("write-sparse-files"),
];

/// What is fetched from the store.
const FETCHED: &[Flag] = &[
    value("cacert").refused(POD_FILE),
    alone("insecure-skip-tls-verify").refused(UNCHECKED),
];

const DETAILS: &[Flag] = &[alone("details")];
const FORMAT: &[Flag] = &[value("output").or('o')];
const TIMEOUT: &[Flag] = &[value("timeout")];
const DELETED: &[Flag] = &[alone("all"), alone("confirm")];
/// The CLI has no namespace in mind when it looks for those to pause.
const PAUSED: &[Flag] = &[
    alone("all").refused(EVERY_NAMESPACE),
    value("selector").or('l').refused(EVERY_NAMESPACE),
    value("skip-immediately"),
];

const fn verb(kind: &'static str, name: &'static str, flags: &'static [&'static [Flag]]) -> Verb {
    Verb {
        kind,
        name,
        rule: Rule::Passes,
        flags,
    }
}

pub(super) const VERBS: &[Verb] = &[
    verb("backup", "create", &[BACKUP, BACKUP_NOW, CHOSEN, SHOWN]),
    verb("backup", "delete", &[DELETED, CHOSEN]),
    verb("backup", "describe", &[DETAILS, FORMAT, FETCHED, CHOSEN]),
    Verb {
        rule: Rule::Refused("the file would stay in the charm's pod"),
        ..verb("backup", "download", &[])
    },
    verb("backup", "get", &[CHOSEN, SHOWN]),
    verb("backup", "logs", &[TIMEOUT, FETCHED]),
    verb("restore", "create", &[RESTORE, CHOSEN, SHOWN]),
    verb("restore", "delete", &[DELETED, CHOSEN]),
    verb("restore", "describe", &[DETAILS, FETCHED, CHOSEN]),
    verb("restore", "get", &[CHOSEN, SHOWN]),
    verb("restore", "logs", &[TIMEOUT, FETCHED]),
    verb("schedule", "create", &[BACKUP, SCHEDULE, CHOSEN, SHOWN]),
    verb("schedule", "delete", &[DELETED, CHOSEN]),
    verb("schedule", "describe", &[CHOSEN]),
    verb("schedule", "get", &[CHOSEN, SHOWN]),
    verb("schedule", "pause", &[PAUSED]),
    verb("schedule", "unpause", &[PAUSED]),
];

impl Verb {
    pub(super) fn long(&self, name: &str) -> Option<&'static Flag> {
        self.flags().find(|flag| flag.long == name)
    }

    pub(super) fn short(&self, letter: char) -> Option<&'static Flag> {
        self.flags().find(|flag| flag.short == Some(letter))
    }

    fn flags(&self) -> impl Iterator<Item = &'static Flag> + use<> {
        self.flags.iter().copied().flatten().chain(GLOBAL)
    }
}

/// The verb of this name.
pub(super) fn find(kind: &str, name: &str) -> Option<&'static Verb> {
    of(kind).find(|verb| verb.name == name)
}

/// The verbs of a kind.
pub(super) fn of(kind: &str) -> impl Iterator<Item = &'static Verb> {
    VERBS.iter().filter(move |verb| verb.kind == kind)
}

#[cfg(test)]
mod tests;
