use super::super::{observer::tests::observer, topology::tests::topology};
use super::*;

#[test]
fn data_bag_is_as_the_python_library_writes_it() {
    let words = of_application(&observer(&[], &[]), &topology()).unwrap();
    let said: Value = serde_json::from_str(&words.fields()["dashboards"]).unwrap();
    let template = &said["templates"]["file:velero"];

    assert_eq!(template["charm"], "velero-operator");
    assert_eq!(template["inject_dropdowns"], true);
    assert_eq!(template["juju_topology"]["application"], "my-velero");
    // The magic number of an .xz file.
    let content = template["content"].as_str().unwrap();
    assert!(content.starts_with("/Td6WFoA"), "{content:.20}");
    assert!(content.len() < 20_000, "{}", content.len());
}

#[test]
fn dashboard_is_said_once() {
    let first = of_application(&observer(&[], &[]), &topology()).unwrap();
    let said = [("dashboards", first.fields()["dashboards"].as_str())];
    assert_eq!(of_application(&observer(&[], &said), &topology()), None);
}

#[test]
fn complaints_of_grafana_are_read() {
    let said = |event: &str| complaint(&observer(&[("event", event)], &[]));

    assert_eq!(said(r#"{"valid": true, "errors": []}"#), None);
    let event = r#"{"errors": [{"dashboard_id": "file:velero", "error": "no panels"}]}"#;
    assert_eq!(said(event).as_deref(), Some("no panels"));
}
