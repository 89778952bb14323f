//! What a Velero server is known by.
//!
//! **Invariant:** names decide nothing: Helm calls its Deployment after the release.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{Container, Pod, PodSpec, PodTemplateSpec},
};
use kube::ResourceExt as _;

/// Labels that Velero's CLI and its Helm chart put on the server.
const LABELS: [(&str, &str); 3] = [
    ("component", "velero"),
    ("app.kubernetes.io/name", "velero"),
    ("deploy", "velero"),
];

/// The program, and the last part of its image's path.
const PROGRAM: &str = "velero";
const VERB: &str = "server";

/// Phases in which a pod stays behind as a record, be it for having been evicted, turned away by the kubelet,
/// or lost with its node. Its controller makes another one.
const ENDED: [&str; 3] = ["Failed", "Succeeded", "Unknown"];

/// The Deployment is a server's.
pub(crate) fn is_deployment(deployment: &Deployment) -> bool {
    let template = deployment.spec.as_ref().map(|spec| &spec.template);
    is_labelled(deployment.labels()) || template.is_some_and(is_template)
}

/// The `StatefulSet` is a server's.
pub(crate) fn is_stateful_set(set: &StatefulSet) -> bool {
    let template = set.spec.as_ref().map(|spec| &spec.template);
    is_labelled(set.labels()) || template.is_some_and(is_template)
}

/// The pod is a server that has not ended for good. Its labels say nothing: what Velero starts for a while
/// carries them too.
pub(crate) fn is_pod(pod: &Pod) -> bool {
    !has_ended(pod) && pod.spec.as_ref().is_some_and(runs)
}

/// The pod is no more than a record.
pub(crate) fn has_ended(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    phase.is_some_and(|phase| ENDED.contains(&phase))
}

fn is_template(template: &PodTemplateSpec) -> bool {
    let labels = template
        .metadata
        .as_ref()
        .and_then(|metadata| metadata.labels.as_ref());
    labels.is_some_and(is_labelled) || template.spec.as_ref().is_some_and(runs)
}

fn is_labelled(labels: &BTreeMap<String, String>) -> bool {
    let carries = |(key, value): &(&str, &str)| labels.get(*key).is_some_and(|live| live == value);
    LABELS.iter().any(carries)
}

fn runs(pod: &PodSpec) -> bool {
    pod.containers.iter().any(is_server)
}

fn is_server(container: &Container) -> bool {
    let words = [&container.command, &container.args];
    let words = words.into_iter().flatten().flatten();
    // A shell gets the whole command as one word.
    let words: Vec<&str> = words.flat_map(|word| word.split_whitespace()).collect();
    let is_program = |word: &&str| word.rsplit('/').next() == Some(PROGRAM);
    match words.iter().position(is_program) {
        Some(program) => begins_with_verb(words.get(program + 1..).unwrap_or_default()),
        // The image's own program; without a word it could be told elsewhere what to do.
        None if container.command.is_none() && is_image(container.image.as_deref()) => {
            words.is_empty() || begins_with_verb(&words)
        }
        None => false,
    }
}

/// The first word that is neither a flag nor the value of one.
fn begins_with_verb(words: &[&str]) -> bool {
    let mut after_flag = false;
    for word in words {
        if *word == VERB {
            return true;
        }
        if word.starts_with('-') {
            after_flag = !word.contains('=');
        } else if after_flag {
            after_flag = false;
        } else {
            return false;
        }
    }
    false
}

fn is_image(image: Option<&str>) -> bool {
    let image = image.unwrap_or_default();
    let image = image.split('@').next().unwrap_or(image);
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split(':').next() == Some(PROGRAM)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn container(image: &str, command: Value, args: Value) -> bool {
        let mut container = json!({"name": "c", "image": image});
        for (field, words) in [("command", command), ("args", args)] {
            if !words.is_null() {
                container[field] = words;
            }
        }
        is_server(&serde_json::from_value(container).unwrap())
    }

    fn deployment(labels: &Value, pod_labels: &Value) -> bool {
        let deployment = json!({
            "metadata": {"name": "x", "labels": labels},
            "spec": {"selector": {}, "template": {
                "metadata": {"labels": pod_labels},
                "spec": {"containers": [{"name": "c", "image": "acme/app:1"}]},
            }},
        });
        is_deployment(&serde_json::from_value(deployment).unwrap())
    }

    #[test]
    fn server_is_known_by_its_command() {
        let none = Value::Null;
        for (command, args) in [
            (json!(["/velero"]), json!(["server", "--features="])),
            (json!(["/velero", "server"]), none.clone()),
            (json!(["velero"]), json!(["--kubeconfig", "x", "server"])),
            (json!(["sh", "-c", "exec /velero server -v 4"]), none),
        ] {
            assert!(container("acme/app:1", command.clone(), args), "{command}");
        }
    }

    #[test]
    fn server_is_known_by_its_image() {
        for image in [
            "velero/velero:v1.16.0",
            "registry.example:5000/mirror/velero",
            "velero/velero@sha256:0123",
        ] {
            assert!(container(image, Value::Null, Value::Null), "{image}");
            assert!(container(image, Value::Null, json!(["server"])), "{image}");
        }
        assert!(!container("acme/velero-ui:1", Value::Null, Value::Null));
    }

    #[test]
    fn program_in_other_uses_is_no_server() {
        for args in [
            json!(["node-agent", "server"]),
            json!(["repo-maintenance"]),
            json!(["backup", "create", "server"]),
        ] {
            let image = "velero/velero:v1.18.3";
            assert!(
                !container(image, json!(["/velero"]), args.clone()),
                "{args}"
            );
            assert!(!container(image, Value::Null, args.clone()), "{args}");
        }
        let shell = json!(["sleep", "infinity"]);
        assert!(!container("velero/velero:v1.18.3", shell, Value::Null));
    }

    #[test]
    fn pod_that_has_ended_for_good_is_no_server() {
        let pod = |phase: &str| -> Pod {
            serde_json::from_value(json!({
                "metadata": {"name": "p"},
                "spec": {"containers": [{"name": "c", "image": "velero/velero:v1.18.3"}]},
                "status": {"phase": phase},
            }))
            .unwrap()
        };
        assert!(is_pod(&pod("Running")) && is_pod(&pod("Pending")));
        for phase in ENDED {
            assert!(!is_pod(&pod(phase)), "{phase}");
        }
    }

    #[test]
    fn server_is_known_by_its_labels() {
        for (key, value) in LABELS {
            assert!(deployment(&json!({key: value}), &json!({})), "{key}");
            assert!(deployment(&json!({}), &json!({key: value})), "{key}");
        }
        assert!(!deployment(&json!({"app": "velero"}), &json!({})));
    }
}
