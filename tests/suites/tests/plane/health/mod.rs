//! What the charm takes for well, for busy and for refused, and what it keeps to itself when it tells.

mod busy;
mod dead_pods;
mod locations;
mod refusals;
mod secrets;

use kube_stack::Mark;
use worlds::plane::LightWorld;

/// kubectl in the world's namespace.
async fn kubectl(world: &LightWorld, arguments: &[&str]) -> String {
    let here = ["-n", &world.namespace];
    let output = world.kubectl(&[&here[..], arguments].concat()).await;
    output.unwrap()
}

/// `verb resource` of each write of the charm since a mark.
async fn writes(world: &LightWorld, mark: &Mark) -> Vec<String> {
    let user = world.charm_user();
    let writes = world.plane().audit().writes_of(&user, mark).await.unwrap();
    writes
        .into_iter()
        .map(|request| format!("{} {}", request.verb, request.resource))
        .collect()
}

/// What a hook writes if nothing has happened since the last one.
async fn written_by_a_quiet_hook(world: &mut LightWorld) -> Vec<String> {
    let mark = world.plane().audit().mark().await.unwrap();
    world.update_status().await.unwrap();
    writes(world, &mark).await
}
