use jiff::SignedDuration;

use super::super::{observer::tests::observer, topology::tests::topology};
use super::*;
use crate::ours::alerts::{Rule, Severity};

fn targets() -> Targets {
    Targets {
        server: Some("velero-metrics.prod-1.svc:8085".into()),
        node_agents: [
            ("n2".to_owned(), "10.1.0.2:8085".to_owned()),
            ("n1".to_owned(), "10.1.0.1:8085".to_owned()),
        ]
        .into(),
    }
}

fn rule() -> Rule {
    Rule {
        alert: "VeleroBackupMissed",
        severity: Severity::Critical,
        expr: "time() > 5".into(),
        patience: SignedDuration::from_mins(5),
        about: vec![("schedule", "nightly".into())],
        summary: "late".into(),
        description: "look".into(),
    }
}

fn unit() -> Unit {
    Unit {
        name: "my-velero/0".into(),
        application: "my-velero".into(),
        model: "prod-1".into(),
        model_uuid: "9c0a2c61-3a0e-4a59-8b1e-0d6a5b8f4c11".into(),
        charm_dir: "/charm".into(),
        endpoint: None,
        broken_relation: None,
    }
}

#[test]
fn data_bag_is_as_the_python_library_writes_it() {
    let observer = observer(&[], &[]);
    let words = of_application(&observer, &topology(), &targets(), &[rule()]).unwrap();
    let said = |key: &str| -> Value { serde_json::from_str(&words.fields()[key]).unwrap() };

    assert_eq!(
        said("scrape_metadata"),
        json!({
            "model": "prod-1", "model_uuid": "9c0a2c61-3a0e-4a59-8b1e-0d6a5b8f4c11",
            "application": "my-velero", "unit": "", "charm_name": "velero-operator",
        })
    );
    let agent = |target: &str, node: &str| json!({"targets": [target], "labels": {"velero_part": "node-agent", "k8s_node": node}});
    assert_eq!(
        said("scrape_jobs"),
        json!([
            {"job_name": "server", "metrics_path": "/metrics", "static_configs": [{
                "targets": ["velero-metrics.prod-1.svc:8085"], "labels": {"velero_part": "server"},
            }]},
            {"job_name": "node-agent", "metrics_path": "/metrics", "static_configs": [
                agent("10.1.0.1:8085", "n1"), agent("10.1.0.2:8085", "n2"),
            ]},
        ])
    );
    assert_eq!(
        said("alert_rules"),
        json!({"groups": [{
            "name": "prod_1_9c0a2c61_my_velero_velero_rules",
            "rules": [{
                "alert": "VeleroBackupMissed", "expr": "time() > 5", "for": "5m",
                "labels": {
                    "severity": "critical", "schedule": "nightly", "juju_model": "prod-1",
                    "juju_model_uuid": "9c0a2c61-3a0e-4a59-8b1e-0d6a5b8f4c11",
                    "juju_application": "my-velero", "juju_charm": "velero-operator",
                },
                "annotations": {"summary": "late", "description": "look"},
            }],
        }]})
    );
}

/// The rules that `promtool` is given in `plane/observers/rules.rs` are those that the charm makes.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test is told to write the file again"
)]
fn rules_that_are_tried_are_ours() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/suites/tests/plane/observers/rules.json");
    let facts = alerts::tests::at_the_beginning_of_time();
    let rules = alerts::rules(&facts, &topology().matchers());
    let text = serde_json::to_string_pretty(&groups(&rules, &topology())).unwrap() + "\n";
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let tried = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(tried, text, "run it with UPDATE_DOCS=1");
}

#[test]
fn unit_gives_the_address_that_juju_knows() {
    let words = of_unit(&observer(&[], &[]), &unit()).unwrap();
    let fields = words.fields();
    assert_eq!(fields["prometheus_scrape_unit_address"], "10.1.0.7");
    assert_eq!(fields["prometheus_scrape_unit_name"], "my-velero/0");
}

#[test]
fn complaints_of_prometheus_are_read() {
    let said = |event: &str| complaint(&observer(&[("event", event)], &[]));

    assert_eq!(
        said(r#"{"valid": true, "errors": "", "scrape_job_errors": ""}"#),
        None
    );
    assert_eq!(said(r#"{"valid": true}"#), None);
    assert_eq!(said("perhaps"), None);
    assert_eq!(
        said(r#"{"errors": "bad rule", "scrape_job_errors": "bad job"}"#).as_deref(),
        Some("bad rule; bad job")
    );
}
