use super::*;

fn order(params: Value) -> Result<Order, String> {
    let Value::Object(params) = params else {
        panic!("no parameters")
    };
    Order::understand(Params::of(params)).map_err(|failure| failure.to_string())
}

fn backup(status: &Value) -> DynamicObject {
    serde_json::from_value(json!({
        "metadata": {"name": "nightly"},
        "spec": {"includedNamespaces": ["shop", "bank"]},
        "status": status,
    }))
    .unwrap()
}

#[test]
fn order_becomes_a_restore() {
    let order = order(json!({
        "backup-id": "nightly", "namespace-mapping": "shop:copy", "existing-resource-policy": "update",
        "include-namespaces": "shop", "exclude-resources": "pods, secrets", "or-selector": "app=a or app=b",
        "wait": true,
    }))
    .unwrap();
    assert_eq!(order.how, How::Waits);
    assert_eq!(
        order.spec("nightly"),
        json!({
            "backupName": "nightly",
            "existingResourcePolicy": "update",
            "includedNamespaces": ["shop"],
            "excludedResources": ["pods", "secrets"],
            "namespaceMapping": {"shop": "copy"},
            "orLabelSelectors": [
                {"matchExpressions": [{"key": "app", "operator": "In", "values": ["a"]}]},
                {"matchExpressions": [{"key": "app", "operator": "In", "values": ["b"]}]},
            ],
        })
    );
    assert!(
        order
            .obstacles(&backup(&json!({"phase": "Completed"})))
            .is_empty()
    );
}

#[test]
fn uid_stands_for_a_name() {
    let uid = "0b6b2c3e-9f0a-4f43-8a53-000000000000";
    let order = order(json!({"backup-uid": uid, "dry-run": true})).unwrap();
    assert_eq!((order.backup, order.how), (Id::Uid(uid.into()), How::Shows));
}

#[test]
fn faults_of_a_restore_are_reported_at_once() {
    let said = order(json!({
        "include-namespaces": "a", "exclude-namespaces": "b", "include-resources": "pods",
        "exclude-resources": "pods", "selector": "a b", "or-selector": "c", "timeout": "x",
    }))
    .unwrap_err();
    for part in [
        "`backup-id` is missing",
        "`include-namespaces` and `exclude-namespaces`",
        "`include-resources` and `exclude-resources`",
        "`selector` and `or-selector`",
        "`selector` has `a b`",
        "`timeout` is `x`",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn backup_that_cannot_be_restored_is_refused_in_words() {
    for (status, why) in [
        (json!({}), "it has not ended (`New`)"),
        (
            json!({"phase": "InProgress"}),
            "it has not ended (`InProgress`)",
        ),
        (json!({"phase": "Deleting"}), "it is being deleted"),
        (
            json!({"phase": "Failed", "failureReason": "no bucket"}),
            "it ended `Failed`: no bucket",
        ),
        (
            json!({"phase": "FailedValidation", "validationErrors": ["no ttl"]}),
            "it ended `FailedValidation`: no ttl",
        ),
    ] {
        let order = order(json!({"backup-id": "nightly"})).unwrap();
        let said = order.obstacles(&backup(&status)).join("; ");
        assert_eq!(said, format!("backup `nightly` cannot be restored: {why}"));
    }
    let order =
        order(json!({"backup-id": "nightly", "namespace-mapping": "shop:copy,street:road"}))
            .unwrap();
    let said = order
        .obstacles(&backup(&json!({"phase": "PartiallyFailed"})))
        .join("; ");
    assert_eq!(
        said,
        "`namespace-mapping` has `street`, which backup `nightly` does not include"
    );
}
