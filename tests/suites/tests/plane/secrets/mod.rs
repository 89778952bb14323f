//! Secrets of relations: when Juju is asked for them, and that the credential in force is the newest one.
//! Hostile and odd data of integrators, which may stop nothing but its own store.

mod fields;
mod hostile;
mod news;
mod password;
mod property;

use juju_emulator::{HookRun, S3Settings};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;
use worlds::operator::{APP, S3};
use worlds::plane::LightWorld;

/// How often a hook has asked Juju for a secret.
fn asked(run: &HookRun) -> usize {
    let calls = run.tool_calls.iter();
    calls.filter(|call| call.tool == "secret-get").count()
}

/// The Secrets that hold what stores are used with.
async fn secrets(world: &LightWorld) -> Vec<Secret> {
    let all: Api<Secret> = Api::namespaced(world.client(), &world.namespace);
    let role = ListParams::default().labels("velero-operator/role=storage-credential");
    all.list(&role).await.unwrap().items
}

/// The credential file that the location names.
async fn in_force(world: &LightWorld) -> String {
    let location = world.location().await.unwrap().unwrap();
    let name = location["credential"]["name"].as_str().unwrap();
    let all: Api<Secret> = Api::namespaced(world.client(), &world.namespace);
    let data = all.get(name).await.unwrap().data.unwrap();
    String::from_utf8(data["cloud"].0.clone()).unwrap()
}

/// An integrator that says nothing on its own, so that a test can put words into its mouth.
async fn with_silent_integrator(world: &mut LightWorld) {
    world.integrate(S3Settings::default()).await.unwrap();
}

/// Puts fields into the integrator's data bag; an empty one is taken out.
fn say(world: &mut LightWorld, fields: &[(&str, &str)]) {
    let fields = fields
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let relations = world.juju.model_mut().relations.values_mut();
    for side in relations.filter_map(|relation| relation.local_mut(S3)) {
        side.bag.apply(&fields);
    }
}

/// What our application has said to the integrator.
fn said(world: &LightWorld, key: &str) -> Option<String> {
    let mut relations = world.juju.model().relations.values();
    relations.find_map(|relation| {
        relation.local(S3)?;
        relation.local(APP)?.bag.data.get(key).cloned()
    })
}

/// Fails if any hook has failed so far.
fn no_hook_has_failed(world: &LightWorld) {
    let failed = world
        .juju
        .hook_runs()
        .iter()
        .find(|run| !run.exit.is_success());
    assert!(failed.is_none(), "{failed:#?}\n{}", world.log());
}
