use serde_json::{Value, json};

use super::*;

fn pod(name: &str, labels: &Value, node: &str, address: Option<&str>) -> (String, Pod) {
    let pod = json!({
        "metadata": {"name": name, "labels": labels},
        "spec": {"nodeName": node, "containers": []},
        "status": {"podIP": address},
    });
    (name.to_owned(), serde_json::from_value(pod).unwrap())
}

#[test]
fn node_agents_are_targets_by_their_addresses() {
    let agent = json!({"name": "node-agent"});
    let (name, mut going) = pod("d", &agent, "n4", Some("10.1.0.4"));
    going.metadata.deletion_timestamp =
        serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    let running = Running {
        pods: [
            pod("a", &agent, "n1", Some("10.1.0.1")),
            pod("b", &agent, "n2", None),
            pod("c", &json!({"deploy": "velero"}), "n1", Some("10.1.0.3")),
            (name, going),
            pod("e", &agent, "n5", Some("fd00::5")),
        ]
        .into(),
        ..Running::default()
    };
    let targets = agents(&running);
    assert_eq!(
        targets,
        BTreeMap::from([("n1".into(), "10.1.0.1:8085".into())])
    );
}
