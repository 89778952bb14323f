use serde_json::from_value;

use super::*;

fn row(name: &str, app: Option<&str>, status: &Value) -> Row {
    let labels = app.map_or_else(
        || json!({}),
        |app| json!({"app": app, "endpoint": "velero-backup-config", "model": "prod"}),
    );
    let note = r#"{"saved":"2 of 3","bytes":1048576}"#;
    let annotations = app.map_or_else(|| json!({}), |_| json!({"velero-operator/volumes": note}));
    let backup: Light = from_value(json!({
        "apiVersion": "velero.io/v1",
        "kind": "Backup",
        "metadata": {
            "name": name,
            "uid": format!("{name}-uid"),
            "labels": labels,
            "annotations": annotations,
            "creationTimestamp": "2026-11-28T19:00:00Z",
        },
        "spec": {"includedNamespaces": ["shop"]},
        "status": status,
    }))
    .unwrap();
    Row::of(backup)
}

fn rows() -> Vec<Row> {
    vec![
        row("now", None, &json!({})),
        row(
            "minio-20261128",
            Some("minio"),
            &json!({
                "phase": "Completed", "startTimestamp": "2026-11-28T02:00:00Z",
                "completionTimestamp": "2026-11-28T02:01:05Z", "expiration": "2026-12-28T02:00:00Z",
            }),
        ),
        row(
            "nightly",
            None,
            &json!({"phase": "PartiallyFailed", "startTimestamp": "2026-11-27T02:00:00Z",
                   "completionTimestamp": "2026-11-27T02:00:09Z", "errors": 2}),
        ),
        row(
            "odd",
            None,
            &json!({"phase": "FailedValidation", "validationErrors": ["an existing backup storage location was not specified,\nso there"]}),
        ),
    ]
}

fn wanted(params: Value) -> Result<Wanted, String> {
    let Value::Object(params) = params else {
        panic!("no parameters")
    };
    Wanted::understand(Params::of(params)).map_err(|failure| failure.to_string())
}

/// Next to the layout of postgresql-k8s: two lines on the store, a blank one, the head, a rule as long as
/// the head, and the rows.
#[test]
fn table_is_laid_out_as_those_of_the_database_charms() {
    let place = Place {
        bucket: "backups".into(),
        path: "/prod".into(),
    };
    let (text, shown) = table(&place, &rows(), LONGEST);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "Storage bucket name: backups",
            "Backups base path: /prod",
            "",
            "backup-id      | target                     | status                                                       | start-time           | duration | volumes | size    | expires",
            "--------------------------------------------------------------------------------------------------------------------------------------------------------------------------",
            "now            |                            | waiting                                                      | 2026-11-28T19:00:00Z |          |         |         |",
            "minio-20261128 | minio:velero-backup-config | finished                                                     | 2026-11-28T02:00:00Z | 1m 5s    | 2 of 3  | 1.0 MiB | 2026-12-28T02:00:00Z",
            "nightly        |                            | partially failed: 2 errors                                   | 2026-11-27T02:00:00Z | 9s       |         |         |",
            "odd            |                            | failed: an existing backup storage location was not speci... | 2026-11-28T19:00:00Z |          |         |         |",
        ]
    );
    assert_eq!((shown, lines[3].len()), (4, lines[4].len()));
}

#[test]
fn table_of_nothing_has_its_head() {
    let (text, shown) = table(&Place::default(), &[], LONGEST);
    assert!(
        text.ends_with("| volumes | size | expires\n------------------------------------------------------------------------------"),
        "{text}"
    );
    assert_eq!(shown, 0);
}

#[test]
fn what_does_not_fit_is_left_out_in_whole_rows() {
    let many: Vec<_> = (0..9).flat_map(|_| rows()).collect();
    let (text, shown) = table(&Place::default(), &many, 2000);
    assert!(text.len() < 2000 && shown > 0 && shown < many.len());
    assert_eq!(text.lines().count(), shown + 5);
    let (text, shown) = as_json(&many, 2000);
    let read: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(text.len() <= 2000 && read.len() == shown && shown < many.len());
    assert_eq!(read[1]["uid"], "minio-20261128-uid");
    assert_eq!(read[1]["completion-timestamp"], "2026-11-28T02:01:05Z");
    assert_eq!(read[0]["completion-timestamp"], Value::Null);
    assert_eq!(
        (&read[1]["volumes"], &read[1]["bytes"]),
        (&json!("2 of 3"), &json!(1_048_576))
    );
}

#[test]
fn backups_are_chosen_by_the_labels_of_the_previous_charm() {
    for (params, selector) in [
        (json!({}), ""),
        (
            json!({"target": "minio:config", "model": "prod"}),
            "app=minio,endpoint=config,model=prod",
        ),
        (json!({"app": "minio"}), "app=minio"),
        (json!({"model": "prod", "output": "json"}), "model=prod"),
    ] {
        assert_eq!(wanted(params).unwrap().selector(), selector);
    }
    let said = wanted(json!({"target": "minio", "app": "a,b", "endpoint": "c", "model": "x=y"}))
        .unwrap_err();
    for part in [
        "`target` is `minio`",
        "`target` and `app` exclude",
        "`app` is `a,b`",
        "`model` is `x=y`",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(
        wanted(json!({"endpoint": "c"}))
            .unwrap_err()
            .contains("add `app`")
    );
}
