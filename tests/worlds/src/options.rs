//! The charm's options, all set.

use anyhow::Result;
use juju_emulator::Juju;

use crate::operator::APP;

/// The option whose value is a secret of the user's.
const PASSWORD: &str = "repository-password";

/// Options with a value that is not their default, and with which Velero works in any cluster.
const SET: &[(&str, &str)] = &[
    ("use-node-agent", "true"),
    ("default-volumes-to-fs-backup", "true"),
    ("volume-snapshots", "false"),
    ("csi-snapshots", "false"),
    ("cpu-request", "250m"),
    ("cpu-limit", "2"),
    ("memory-request", "200Mi"),
    ("memory-limit", "1Gi"),
    ("node-agent-cpu-request", "50m"),
    ("node-agent-cpu-limit", "2"),
    ("node-agent-memory-request", "64Mi"),
    ("node-agent-memory-limit", "1Gi"),
    ("data-mover-concurrency", "2"),
    ("data-mover-nodes", "kubernetes.io/os=linux"),
    (
        "volume-policies",
        "{version: v1, volumePolicies: [{action: {type: fs-backup}, conditions: {capacity: '0,1Gi'}}]}",
    ),
    ("repository-cache-mb", "800"),
    ("repository-gc", "fastGC"),
    ("schedule", "@daily"),
    ("ttl", "240h"),
    ("keep", "7d,4w,6m"),
    ("default-backup-ttl", "480h"),
    ("concurrent-backups", "2"),
    ("item-block-workers", "3"),
    ("node-selector", "kubernetes.io/os=linux"),
    ("tolerations", "dedicated=backup:NoSchedule"),
    ("priority-class", "system-cluster-critical"),
    ("image-pull-secret", "pull"),
    ("service-account-annotations", "cloud.example/role=velero"),
    ("pod-labels", "cloud.example/use=true"),
    ("log-level", "debug"),
    ("log-format", "json"),
    ("kubelet-root-dir", "/var/lib/kubelet"),
    ("s3-config", "s3ForcePathStyle=true"),
];

/// Sets them; the next hooks find them.
pub fn set(juju: &mut Juju) -> Result<()> {
    let secret = juju.add_secret("password", &[("password", "of-all-volumes")])?;
    juju.grant_secret("password", APP)?;
    juju.config(APP, SET)?;
    juju.config(APP, &[(PASSWORD, &secret)])
}

/// Sets them back.
pub fn reset(juju: &mut Juju) -> Result<()> {
    let set = SET.iter().map(|(option, _)| *option);
    let all: Vec<_> = set.chain([PASSWORD]).collect();
    juju.reset_config(APP, &all)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    /// Images are what was tested together, and data of snapshots needs a cluster that takes some.
    const LEFT: [&str; 5] = [
        "velero-image",
        "velero-aws-plugin-image",
        "velero-azure-plugin-image",
        "velero-gcp-plugin-image",
        "snapshot-move-data",
    ];

    #[test]
    fn each_option_of_the_charm_is_set_or_left_for_a_reason() {
        let charm: Value =
            serde_saphyr::from_str(include_str!("../../../charmcraft.yaml")).unwrap();
        let declared = charm["config"]["options"].as_object().unwrap();
        let set = SET.iter().map(|(option, _)| *option);
        let known: BTreeSet<_> = set.chain([PASSWORD]).chain(LEFT).collect();
        let declared_names: BTreeSet<_> = declared.keys().map(String::as_str).collect();
        assert_eq!(known, declared_names);
        for (option, value) in SET {
            let default = &declared[*option]["default"];
            let default = default
                .as_str()
                .map_or_else(|| default.to_string(), str::to_owned);
            assert_ne!(*value, default, "{option}");
        }
    }
}
