use serde_json::{from_value, json};

use super::*;

fn scope(spec: &Value) -> Scope {
    Scope::of(spec, "2026-11-25T12:00:00Z".parse().ok(), "velero-model")
}

fn pod(namespace: &str, metadata: &Value, volumes: &Value) -> Pod {
    let mut meta = json!({"name": "cart", "namespace": namespace});
    let given = metadata.as_object().unwrap().clone();
    meta.as_object_mut().unwrap().extend(given);
    let names = volumes
        .as_array()
        .unwrap()
        .iter()
        .map(|volume| &volume["name"]);
    let mounts: Vec<_> = names
        .map(|name| json!({"name": name, "mountPath": "/x"}))
        .collect();
    from_value(json!({
        "metadata": meta,
        "spec": {"containers": [{"name": "c", "volumeMounts": mounts}], "volumes": volumes},
        "status": {"phase": "Running"},
    }))
    .unwrap()
}

fn mounted(spec: &Value, pod: &Pod) -> Vec<String> {
    let mounts = scope(spec).mounts(pod);
    mounts.into_iter().map(|mount| mount.volume).collect()
}

fn claim(namespace: &str, labels: &Value) -> PersistentVolumeClaim {
    from_value(json!({
        "metadata": {"name": "data", "namespace": namespace, "uid": "u", "labels": labels},
        "spec": {"volumeName": "pv"},
        "status": {"phase": "Bound"},
    }))
    .unwrap()
}

#[test]
fn namespaces_are_included_and_excluded_as_velero_does() {
    let volumes = json!([{"name": "data", "emptyDir": {}}]);
    for (includes, excludes, inside, outside) in [
        (json!([]), json!([]), vec!["shop", "bank"], vec![]),
        (json!(["*"]), json!(["bank"]), vec!["shop"], vec!["bank"]),
        (
            json!(["shop"]),
            json!(null),
            vec!["shop"],
            vec!["shop-2", "bank"],
        ),
        (
            json!(["shop-*"]),
            json!(["shop-2"]),
            vec!["shop-1"],
            vec!["shop", "shop-2"],
        ),
        (json!(["sho[op]"]), json!(null), vec!["shop"], vec!["shot"]),
    ] {
        let spec = json!({"includedNamespaces": includes, "excludedNamespaces": excludes});
        for namespace in inside {
            let pod = pod(namespace, &json!({}), &volumes);
            assert_eq!(mounted(&spec, &pod), ["data"], "{namespace} of {spec}");
            assert!(scope(&spec).claim(&claim(namespace, &json!({}))).is_some());
        }
        for namespace in outside {
            let pod = pod(namespace, &json!({}), &volumes);
            assert_eq!(mounted(&spec, &pod), [""; 0], "{namespace} of {spec}");
            assert_eq!(scope(&spec).claim(&claim(namespace, &json!({}))), None);
        }
    }
    let places = |includes| scope(&json!({"includedNamespaces": includes})).places();
    assert_eq!(places(json!(["*"])), Places::Everywhere);
    assert_eq!(places(json!(["a", "b*"])), Places::Everywhere);
    assert_eq!(
        places(json!(["a", "b"])),
        Places::These(vec!["a".into(), "b".into()])
    );
}

#[test]
fn resources_are_included_and_excluded_as_velero_does() {
    for (spec, pods, claims) in [
        (json!({}), true, true),
        (json!({"includedResources": ["*"]}), true, true),
        (
            json!({"includedResources": ["deployments.apps", "Pods"]}),
            true,
            false,
        ),
        (json!({"includedResources": ["pvc", "pv"]}), false, true),
        (json!({"includedResources": ["configmaps"]}), false, false),
        (json!({"excludedResources": ["po", "events"]}), false, true),
        (
            json!({"excludedNamespaceScopedResources": ["persistentvolumeclaims"]}),
            true,
            false,
        ),
        (
            json!({"includedNamespaceScopedResources": ["persistentvolumeclaims.v1."]}),
            false,
            true,
        ),
        (
            json!({"excludedNamespaceScopedResources": ["*"]}),
            false,
            false,
        ),
    ] {
        let scope = scope(&spec);
        let pod = pod(
            "shop",
            &json!({}),
            &json!([{"name": "data", "emptyDir": {}}]),
        );
        assert_eq!(!scope.mounts(&pod).is_empty(), pods, "pods of {spec}");
        let claim = scope.claim(&claim("shop", &json!({})));
        assert_eq!(claim.is_some(), claims, "claims of {spec}");
        assert_eq!(scope.is_without_volumes(), !pods && !claims);
    }
}

#[test]
fn selectors_labels_and_time_decide_too() {
    let volumes = json!([{"name": "data", "emptyDir": {}}]);
    let app = json!({"labels": {"app": "shop"}});
    for (spec, metadata, inside) in [
        (
            json!({"labelSelector": {"matchLabels": {"app": "shop"}}}),
            app.clone(),
            true,
        ),
        (
            json!({"labelSelector": {"matchLabels": {"app": "bank"}}}),
            app.clone(),
            false,
        ),
        (
            json!({"labelSelector": {"matchExpressions":
                [{"key": "app", "operator": "In", "values": ["bank", "shop"]}]}}),
            app.clone(),
            true,
        ),
        (
            json!({"orLabelSelectors":
                [{"matchLabels": {"app": "bank"}}, {"matchLabels": {"app": "shop"}}]}),
            app.clone(),
            true,
        ),
        (json!({"labelSelector": {}}), json!({}), true),
        (
            json!({}),
            json!({"labels": {"velero.io/exclude-from-backup": "true"}}),
            false,
        ),
        (
            json!({}),
            json!({"creationTimestamp": "2026-11-25T11:59:59Z"}),
            true,
        ),
        (
            json!({}),
            json!({"creationTimestamp": "2026-11-25T12:00:01Z"}),
            false,
        ),
    ] {
        let pod = pod("shop", &metadata, &volumes);
        assert_eq!(
            !mounted(&spec, &pod).is_empty(),
            inside,
            "{spec} {metadata}"
        );
    }
    let other = json!({"labelSelector": {"matchLabels": {"app": "bank"}}});
    let found = scope(&other).claim(&claim("shop", &json!({}))).unwrap();
    assert!(!found.chosen, "it may still come along with a pod");
}

#[test]
fn volumes_count_if_they_hold_data_of_their_own() {
    let volumes = json!([
        {"name": "claim", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
        {"name": "cache", "emptyDir": {}},
        {"name": "share", "nfs": {"server": "s", "path": "/"}},
        {"name": "memory", "emptyDir": {"medium": "Memory"}},
        {"name": "secret", "secret": {"secretName": "s"}},
        {"name": "settings", "configMap": {"name": "c"}},
        {"name": "token", "projected": {"sources": []}},
        {"name": "labels", "downwardAPI": {"items": []}},
        {"name": "logs", "hostPath": {"path": "/var/log"}},
        {"name": "default-token-x", "emptyDir": {}},
        {"name": "charm-data", "emptyDir": {}},
    ]);
    let of_juju = json!({"annotations": {"unit.juju.is/id": "shop/0"}});
    let found = scope(&json!({})).mounts(&pod("shop", &of_juju, &volumes));

    let names: Vec<_> = found.iter().map(|mount| mount.volume.as_str()).collect();
    assert_eq!(names, ["claim", "scratch", "cache", "share"]);
    let claim = |name: &str| What::Claim(("shop".into(), name.into()));
    assert_eq!(found[0].what, claim("data"));
    assert_eq!(found[1].what, claim("cart-scratch"));
    assert_eq!(found[2].what, What::Own);
}

#[test]
fn volumes_that_velero_could_read_are_told_apart() {
    let volumes = json!([{"name": "a", "emptyDir": {}}, {"name": "b", "emptyDir": {}}]);
    let out = json!({"annotations": {"backup.velero.io/backup-volumes-excludes": "x,b"}});
    let access = |pod: &Pod| -> Vec<_> {
        let mounts = scope(&json!({})).mounts(pod);
        mounts.into_iter().map(|mount| mount.access).collect()
    };
    let mut pod = pod("shop", &out, &volumes);
    assert_eq!(access(&pod), [Access::Open, Access::OptedOut]);
    pod.status.as_mut().unwrap().phase = Some("Succeeded".into());
    assert_eq!(access(&pod), [Access::Closed, Access::OptedOut]);
    pod.status.as_mut().unwrap().phase = Some("Running".into());
    pod.spec.as_mut().unwrap().containers[0].volume_mounts = None;
    assert_eq!(access(&pod), [Access::Closed, Access::OptedOut]);
}

#[test]
fn velero_and_claims_without_volume_do_not_count() {
    let volumes = json!([{"name": "plugins", "emptyDir": {}}]);
    let server = json!({"labels": {"deploy": "velero"}});
    assert_eq!(
        mounted(&json!({}), &pod("velero-model", &server, &volumes)),
        [""; 0]
    );
    assert_eq!(
        mounted(&json!({}), &pod("shop", &server, &volumes)),
        ["plugins"]
    );

    let mut unbound = claim("shop", &json!({}));
    unbound.status.as_mut().unwrap().phase = Some("Pending".into());
    assert_eq!(scope(&json!({})).claim(&unbound), None);
}
