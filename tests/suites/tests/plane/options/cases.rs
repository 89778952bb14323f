//! Each option alone: a value, and what is to be seen of it.

use serde_json::Value;
use worlds::plane::LightWorld;

use super::{
    ARGUMENTS, NODE_AGENT, NODE_AGENT_CONFIG, REPOSITORY_CONFIG, RESOURCES, SERVER, object,
};

const ACCOUNT: &str = "serviceaccount/velero";
const ANNOTATIONS: &str = "/metadata/annotations";
const POD: &str = "/spec/template/metadata";
const LABELLED: &str = r#"\"podLabels\":{\"cloud.example/use\":\"true\"}"#;
const POLICIES: &str = "configmap/velero-volume-policies";

/// An option, a value, and what is to be seen where.
pub(super) struct Case {
    pub(super) option: &'static str,
    pub(super) value: &'static str,
    pub(super) seen: &'static [(&'static str, &'static str, &'static str)],
    /// Whose pods are replaced.
    pub(super) restarts: &'static [&'static str],
}

pub(super) const CASES: &[Case] = &[
    Case {
        option: "csi-snapshots",
        value: "false",
        seen: &[
            (SERVER, ARGUMENTS, "\"--features=\""),
            (NODE_AGENT, ARGUMENTS, "\"--features=\""),
        ],
        restarts: &[SERVER, NODE_AGENT],
    },
    Case {
        option: "snapshot-move-data",
        value: "true",
        seen: &[(SERVER, ARGUMENTS, "\"--default-snapshot-move-data=true\"")],
        restarts: &[SERVER],
    },
    Case {
        option: "cpu-request",
        value: "250m",
        seen: &[(SERVER, RESOURCES, r#""requests":{"cpu":"250m""#)],
        restarts: &[SERVER],
    },
    Case {
        option: "cpu-limit",
        value: "2",
        seen: &[(SERVER, RESOURCES, r#""limits":{"cpu":"2""#)],
        restarts: &[SERVER],
    },
    Case {
        option: "memory-request",
        value: "200Mi",
        seen: &[(SERVER, RESOURCES, r#""memory":"200Mi""#)],
        restarts: &[SERVER],
    },
    Case {
        option: "memory-limit",
        value: "2Gi",
        seen: &[
            (SERVER, RESOURCES, r#""memory":"2Gi""#),
            (
                "configmap/velero-maintenance-config",
                "/data/global",
                r#"\"memoryLimit\":\"2Gi\""#,
            ),
            (
                SERVER,
                ARGUMENTS,
                "--repo-maintenance-job-configmap=velero-maintenance-config",
            ),
        ],
        restarts: &[SERVER],
    },
    Case {
        option: "node-agent-cpu-request",
        value: "100m",
        seen: &[(NODE_AGENT, RESOURCES, r#""requests":{"cpu":"100m""#)],
        restarts: &[NODE_AGENT],
    },
    Case {
        option: "node-agent-cpu-limit",
        value: "3",
        seen: &[(NODE_AGENT, RESOURCES, r#""limits":{"cpu":"3""#)],
        restarts: &[NODE_AGENT],
    },
    Case {
        option: "node-agent-memory-request",
        value: "64Mi",
        seen: &[(NODE_AGENT, RESOURCES, r#""memory":"64Mi""#)],
        restarts: &[NODE_AGENT],
    },
    Case {
        option: "node-agent-memory-limit",
        value: "1Gi",
        seen: &[
            (NODE_AGENT, RESOURCES, r#""memory":"1Gi""#),
            (
                NODE_AGENT_CONFIG,
                "/data/config",
                r#"\"memoryLimit\":\"1Gi\""#,
            ),
        ],
        restarts: &[NODE_AGENT],
    },
    Case {
        option: "data-mover-concurrency",
        value: "3",
        seen: &[
            (NODE_AGENT_CONFIG, "/data/config", r#"\"globalConfig\":3"#),
            (
                NODE_AGENT,
                ARGUMENTS,
                "--node-agent-configmap=velero-node-agent-config",
            ),
        ],
        restarts: &[NODE_AGENT],
    },
    Case {
        option: "data-mover-nodes",
        value: "disk=ssd",
        seen: &[(
            NODE_AGENT_CONFIG,
            "/data/config",
            r#"\"nodeSelector\":{\"matchLabels\":{\"disk\":\"ssd\"}}"#,
        )],
        restarts: &[NODE_AGENT],
    },
    Case {
        option: "volume-policies",
        value: "{version: v1, volumePolicies: [{action: {type: fs-backup}}]}",
        seen: &[
            (
                POLICIES,
                "/data/policies",
                r#"{\"version\":\"v1\",\"volumePolicies\":[{\"action\":{\"type\":\"fs-backup\"}}]}"#,
            ),
            (
                SERVER,
                ARGUMENTS,
                "--global-backup-volume-policies-configmap=velero-volume-policies",
            ),
        ],
        restarts: &[SERVER],
    },
    Case {
        option: "repository-cache-mb",
        value: "800",
        seen: &[(REPOSITORY_CONFIG, "/data/kopia", r#"\"cacheLimitMB\":800"#)],
        restarts: &[SERVER],
    },
    Case {
        option: "repository-gc",
        value: "fastGC",
        seen: &[
            (
                REPOSITORY_CONFIG,
                "/data/kopia",
                r#"\"fullMaintenanceInterval\":\"fastGC\""#,
            ),
            (
                SERVER,
                ARGUMENTS,
                "--backup-repository-configmap=velero-repository-config",
            ),
        ],
        restarts: &[SERVER],
    },
    Case {
        option: "service-account-annotations",
        value: "cloud.example/role=arn:x::1:role/velero,stage=live",
        seen: &[
            (
                ACCOUNT,
                ANNOTATIONS,
                r#""cloud.example/role":"arn:x::1:role/velero""#,
            ),
            (ACCOUNT, ANNOTATIONS, r#""stage":"live""#),
            (SERVER, POD, r#"\"stage\":\"live\""#),
            (NODE_AGENT, POD, r#"\"stage\":\"live\""#),
        ],
        restarts: &[SERVER, NODE_AGENT],
    },
    Case {
        option: "pod-labels",
        value: "cloud.example/use=true",
        seen: &[
            (SERVER, POD, r#""cloud.example/use":"true""#),
            (NODE_AGENT, POD, r#""cloud.example/use":"true""#),
            (NODE_AGENT_CONFIG, "/data/config", LABELLED),
            (
                "configmap/velero-maintenance-config",
                "/data/global",
                LABELLED,
            ),
        ],
        restarts: &[SERVER, NODE_AGENT],
    },
];

impl Case {
    pub(super) async fn is_seen(&self, world: &LightWorld) -> bool {
        for (name, place, text) in self.seen {
            let object = object(world, name).await;
            let found = object.pointer(place).unwrap_or(&Value::Null);
            if !found.to_string().contains(text) {
                return false;
            }
        }
        true
    }
}
