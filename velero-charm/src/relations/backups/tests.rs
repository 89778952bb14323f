use provider_api::ProblemKind;
use serde_json::json;

use super::*;

const RELATION: &str = "velero-backups:7";

fn bag(fields: &[(&str, &str)]) -> BTreeMap<String, String> {
    let fields = fields.iter();
    fields
        .map(|(field, text)| ((*field).to_owned(), (*text).to_owned()))
        .collect()
}

/// As the library of `velero_backup_config` writes it.
fn of_library(app: &str, endpoint: &str, spec: &Value) -> Client {
    let spec = spec.to_string();
    let fields = [
        ("app", app),
        ("model", "kubeflow"),
        ("relation_name", endpoint),
        ("spec", &spec),
    ];
    Client::understand(RELATION, Some(app), bag(&fields))
}

fn only(client: &Client) -> &Target {
    match client.sent.as_slice() {
        [Ok(target)] => target,
        other => panic!("{other:?}"),
    }
}

fn problems(client: &Client) -> Vec<String> {
    let faults = client.sent.iter().filter_map(|sent| sent.as_ref().err());
    let problems = faults.flat_map(|fault| fault.problems.iter());
    problems.map(ToString::to_string).collect()
}

fn spec_of(spec: &Value) -> Result<Target, Vec<String>> {
    let client = of_library("minio", "backup", spec);
    match &client.sent[0] {
        Ok(target) => Ok(target.clone()),
        Err(_) => Err(problems(&client)),
    }
}

#[test]
fn bag_of_minio_and_mlmd_is_understood() {
    // The first release of the library ends with `include_cluster_resources`.
    let spec = json!({
        "include_namespaces": ["kubeflow"],
        "include_resources": ["persistentvolumeclaims", "persistentvolumes"],
        "exclude_namespaces": null, "exclude_resources": null,
        "label_selector": {"app.kubernetes.io/name": "minio"},
        "ttl": "720h", "include_cluster_resources": null,
    });
    let client = of_library("minio", "velero-backup-config", &spec);
    let target = only(&client);

    assert_eq!(target.key.to_string(), "minio:velero-backup-config");
    assert_eq!(target.key.model, "kubeflow");
    assert_eq!(target.template.included_namespaces, ["kubeflow"]);
    assert_eq!(target.template.labels["app.kubernetes.io/name"], "minio");
    assert_eq!(target.template.ttl.as_deref(), Some("720h"));
    assert_eq!((&target.schedule, target.paused), (&None, None));
}

#[test]
fn bag_of_kubeflow_profiles_is_understood() {
    let profiles = json!({"include_resources": ["profiles.kubeflow.org"]});
    let target = spec_of(&profiles).unwrap();
    assert_eq!(
        target.template.included_resources,
        ["profiles.kubeflow.org"]
    );
    let workloads = json!({
        "include_namespaces": ["ada", "bob"],
        "exclude_resources": ["pods", "replicasets.apps"],
        "include_cluster_resources": false,
    });
    let target = spec_of(&workloads).unwrap();
    assert_eq!(target.template.cluster_resources, Some(false));
    assert_eq!(target.template.included_namespaces, ["ada", "bob"]);
}

#[test]
fn empty_list_of_infra_backup_is_not_everything() {
    let all = json!({"include_namespaces": [], "include_cluster_resources": true});
    let told = spec_of(&all).unwrap_err();
    assert!(
        told[0].contains("`include_namespaces` is an empty list"),
        "{told:?}"
    );
    let any = json!({"include_namespaces": null, "include_resources": []});
    assert_eq!(spec_of(&any).unwrap().template, Template::default());
}

#[test]
fn target_behind_velero_integrator_is_itself() {
    let spec = json!({
        "include_namespaces": ["shop"], "schedule": "CRON_TZ=Europe/Berlin 0 2 * * *",
        "paused": false, "skip_immediately": false, "use_owner_references_in_backup": false,
    });
    let spec = spec.to_string();
    let fields = [
        ("app", "shop"),
        ("model", "prod"),
        ("relation_name", "backup"),
        ("spec", &spec),
    ];
    let client = Client::understand(RELATION, Some("velero-integrator"), bag(&fields));
    let target = only(&client);
    assert_eq!(target.key.to_string(), "shop:backup");
    assert_eq!(
        target.schedule.as_deref(),
        Some("CRON_TZ=Europe/Berlin 0 2 * * *")
    );
    assert_eq!(target.paused, Some(false));

    let manual = of_library("shop", "backup", &json!({"schedule": "", "ttl": " "}));
    let target = only(&manual);
    assert_eq!((&target.schedule, &target.template.ttl), (&None, &None));
}

#[test]
fn several_targets_in_one_bag_are_read_with_dashes_too() {
    let list = json!([
        {"app": "one", "relation_name": "backup", "model": "m", "spec": {"ttl": "1h"}},
        {"app": "two", "relation-name": "backup", "model": "m", "spec":
            {"include-namespaces": ["a"], "include-cluster-resources": false}},
        {"app": "three", "relation_name": "backup", "spec": {}},
    ]);
    for field in ["backup_targets", "backup-targets"] {
        let list = list.to_string();
        let client = Client::understand("k8s-backup-target:3", Some("x"), bag(&[(field, &list)]));
        let [Ok(one), Ok(two), Err(three)] = client.sent.as_slice() else {
            panic!("{client:?}");
        };
        assert_eq!(one.template.ttl.as_deref(), Some("1h"));
        assert_eq!(two.template.included_namespaces, ["a"]);
        assert_eq!(two.template.cluster_resources, Some(false));
        assert_eq!(three.who, Who::Sender("x".into()));
        assert_eq!(three.problems.first().field, "model");
        assert!(unknown(&[client]).contains("k8s-backup-target:3"));
    }
}

#[test]
fn empty_and_half_a_bag_leave_it_open_who_asks() {
    let empty = Client::understand(RELATION, None, BTreeMap::new());
    assert!(empty.sent.is_empty());
    let half = Client::understand(RELATION, Some("a"), bag(&[("app", "a"), ("spec", "{}")]));
    assert_eq!(problems(&half).len(), 2, "model and endpoint");
    assert_eq!(unknown(&[empty, half]).len(), 1);
    let known = of_library("a", "b", &json!({"ttl": "30d"}));
    assert!(unknown(&[known]).is_empty());
    let fields = [("app", "a"), ("model", "m"), ("relation_name", "b")];
    let without = Client::understand(RELATION, Some("a"), bag(&fields));
    let fault = without.sent[0].as_ref().unwrap_err();
    assert_eq!(fault.problems.first().kind, ProblemKind::Missing);
    assert!(fault.key().is_some());
}

#[test]
fn every_problem_of_a_target_is_told() {
    let spec = json!({
        "include_namespaces": "shop", "exclude_namespaces": ["*"],
        "include_resources": ["*", "pods"], "exclude_resources": ["pods", ""],
        "label_selector": {"a b": "c"}, "ttl": "30d", "schedule": "0 0 2 * * *",
        "paused": "no", "include_cluster_resources": 1,
    });
    let told = spec_of(&spec).unwrap_err();
    let said = |part: &str| {
        assert!(
            told.iter().any(|one| one.contains(part)),
            "{part}: {told:#?}"
        );
    };
    said("let `minio` send a duration such as `720h`: `ttl` `30d` has a unit `d`");
    said("`schedule` `0 0 2 * * *` has 6 fields");
    said("`include_namespaces` is not a list");
    said("`exclude_namespaces` has `*`");
    said("`include_resources` has `*` and names");
    said("`exclude_resources` is not a list");
    said("`label_selector`");
    said("`paused` is neither");
    said("`include_cluster_resources` is neither");
    assert_eq!(told.len(), 9, "{told:#?}");

    let both = json!({"include_namespaces": ["a"], "exclude_namespaces": ["a"], "ttl": "-1h"});
    let told = spec_of(&both).unwrap_err();
    assert!(
        told[0].contains("negative") && told[1].contains("has `a`"),
        "{told:?}"
    );
    for spec in ["null", "[]", "7", "{", ""] {
        let fields = [
            ("app", "a"),
            ("model", "m"),
            ("relation_name", "b"),
            ("spec", spec),
        ];
        let client = Client::understand(RELATION, Some("a"), bag(&fields));
        assert_eq!(problems(&client).len(), 1, "{spec}");
    }
}

#[test]
fn hostile_names_do_not_become_labels() {
    for app in ["../x", "a b", "\u{202e}", "-a", &"a".repeat(64)] {
        let client = of_library(app, "backup", &json!({}));
        assert!(
            problems(&client)[0].contains("`app` has more in it"),
            "{app}"
        );
    }
    assert_eq!(
        only(&of_library("\"quoted\"", "b", &json!({}))).key.app,
        "quoted"
    );
}
