//! What shows whose an object is.

use provider_testkit::TAPE;

use super::*;

fn owner() -> Owner {
    Owner {
        application: "velero".into(),
        model_uuid: "m".into(),
    }
}

/// An object that this manager has written, with labels of ours or none.
fn written(kind: &str, name: &str, manager: &Value, labels: &Value) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": kind,
        "metadata": {"name": name, "labels": labels, "managedFields": [manager]},
    }))
    .unwrap()
}

fn by(manager: &str) -> Value {
    json!({"manager": manager, "operation": "Apply"})
}

#[test]
fn previous_charm_is_known_by_its_own_manager_alone() {
    let status = json!({"manager": PREVIOUS_CHARM, "operation": "Update", "subresource": "status"});
    for (manager, is_known) in [
        (by(PREVIOUS_CHARM), true),
        // People install with that one too.
        (by("velero"), false),
        (by("helm"), false),
        (by("velero-operator"), false),
        (status, false),
    ] {
        let account = written("ServiceAccount", SERVER, &manager, &Value::Null);
        assert_eq!(is_evidence(&account, &owner()), is_known, "{manager}");
    }
}

#[test]
fn previous_charm_that_was_taken_over_in_part_is_known() {
    let (ours, applied) = (json!(owner().labels()), by("velero-operator"));
    for name in [metrics::NAME, CREDENTIALS] {
        let taken = written("Service", name, &applied, &ours);
        assert!(is_evidence(&taken, &owner()), "{name}");
    }
    let other = Owner {
        application: "another".into(),
        ..owner()
    };
    let theirs = written("Service", metrics::NAME, &applied, &json!(other.labels()));
    assert!(!is_evidence(&theirs, &owner()));
    let service = metrics::service("space", &owner());
    assert!(!is_evidence(&service, &owner()), "we make it too");
    let own = written("ServiceAccount", SERVER, &by(PREVIOUS_CHARM), &ours);
    assert!(!is_evidence(&own, &owner()), "we make one of that name");
}

#[test]
fn only_what_its_managers_wrote_is_the_previous_charms() {
    for (manager, is_its) in [
        (by(PREVIOUS_CHARM), true),
        (by("velero"), true),
        (by("helm"), false),
    ] {
        let object = written("Deployment", SERVER, &manager, &Value::Null);
        assert_eq!(is_previous_charms(&object, "space"), is_its, "{manager}");
        let labelled = written("Deployment", SERVER, &manager, &json!(owner().labels()));
        assert!(!is_previous_charms(&labelled, "space"), "somebody has it");
    }
}

#[test]
fn binding_of_another_namespace_is_not_the_previous_charms() {
    let bound = |subjects: Value| {
        let mut binding = written("ClusterRoleBinding", SERVER, &by("velero"), &Value::Null);
        binding.data = json!({"subjects": subjects});
        is_previous_charms(&binding, "space")
    };
    let subject =
        |namespace: &str| json!({"kind": "ServiceAccount", "name": SERVER, "namespace": namespace});
    assert!(bound(json!([subject("space")])));
    assert!(!bound(json!([subject("another")])));
    assert!(!bound(json!([subject("space"), subject("another")])));
    assert!(!bound(json!([])));
}

#[test]
fn credential_that_is_taken_over_is_known_as_one() {
    let secret = written("Secret", CREDENTIALS, &by(PREVIOUS_CHARM), &Value::Null);
    let (role, value) = credential::role();
    assert_eq!(labels(&secret, &owner()).get(&role), Some(&value));
    let account = written("ServiceAccount", SERVER, &by(PREVIOUS_CHARM), &Value::Null);
    assert_eq!(labels(&account, &owner()), owner().labels());
}

#[test]
fn plugins_are_those_of_the_option_and_its_default() {
    #[derive(Debug)]
    struct Tape;

    impl provider_api::StorageProvider for Tape {
        fn descriptor(&self) -> &'static provider_api::Descriptor {
            const { &TAPE }
        }

        fn resolve(
            &self,
            _: &provider_api::Inputs,
        ) -> Result<provider_api::Answer, provider_api::Problems> {
            Ok(provider_api::Answer::Waiting("a tape".into()))
        }
    }

    let registry = Registry::new(vec![&Tape]).unwrap();
    let mut config = Map::new();
    assert_eq!(
        plugins(&config, &registry),
        ["tape-plugin".to_owned()].into()
    );
    config.insert(
        TAPE.plugin.option.into(),
        json!("mirror.example/my/tape:v2"),
    );
    let both = ["my-tape", "tape-plugin"].map(str::to_owned);
    assert_eq!(plugins(&config, &registry), both.into());
}

#[test]
fn added_plugin_is_called_after_its_image() {
    for (image, name) in [
        ("acme/plugin_for.tape:v1.10.0", "acme-plugin-for-tape"),
        ("registry:5000/mirror/plugin:v1", "mirror-plugin"),
        ("registry.example/acme/plugin@sha256:0123", "acme-plugin"),
        ("acme/plugin", "acme-plugin"),
    ] {
        assert_eq!(name_of_added_plugin(image), name, "{image}");
    }
}
