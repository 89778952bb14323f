//! What the charm takes for well, for busy and for refused, and what it keeps to itself when it tells.

mod busy;
mod dead_pods;
mod locations;
mod refusals;
mod secrets;

use worlds::plane::LightWorld;

use crate::writes;

/// What a hook writes if nothing has happened since the last one.
async fn written_by_a_quiet_hook(world: &mut LightWorld) -> Vec<String> {
    let mark = world.plane().audit().mark().await.unwrap();
    world.update_status().await.unwrap();
    writes(world, &mark).await
}
