//! A client that comes back before its Schedule has gone.

use std::sync::Arc;

use http::Method;
use juju_emulator::DeployOptions;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use kube_stack::proxy::{Asked, Fault, Kill, Proxy, Rule};
use kube_stack::{DEADLINE, until};
use serde_json::{Value, json};
use worlds::operator::APP;
use worlds::plane::{Plane, Trial};

use super::{ask, daily, deploy, only, relate, schedules};

fn is_of_schedules(asked: &Asked) -> bool {
    asked.path.contains("/schedules")
}

async fn set_finalizers(schedules: &Api<DynamicObject>, name: &str, finalizers: Value) {
    let change = Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
    let how = PatchParams::default();
    schedules.patch(name, &how, &change).await.unwrap();
}

/// The charm waits for what becomes of a Schedule.
async fn until_awaited(proxy: &Proxy) {
    let is_awaited = async || {
        let record = proxy.record();
        let mut all = record.iter().map(|exchange| &exchange.asked);
        all.any(|asked| is_of_schedules(asked) && asked.is_watch())
    };
    until("the charm waits", DEADLINE, is_awaited)
        .await
        .unwrap();
}

/// The hook that deletes it waits until it has gone, unless that hook is killed.
#[tokio::test]
async fn client_that_comes_back_has_a_schedule_at_once() {
    let plane = Plane::shared().await.unwrap();
    let Trial { mut world, proxy } = Trial::open(&plane, "client-back").await.unwrap();
    world.deploy(DeployOptions::trusted()).await.unwrap();
    world.connect().await.unwrap();
    deploy(&mut world, "minio");
    ask(&mut world, "minio", "shop", &daily());
    relate(&mut world, "minio");
    world.settle().await.unwrap();
    let old = only(&world).await;
    let (of_world, name) = (world.velero_objects("Schedule"), old.name_any());
    set_finalizers(&of_world, &name, json!(["tests/held"])).await;

    let killer = world.juju.killer();
    let kill: Kill = Arc::new(move || killer.kill().unwrap());
    let deletes = |asked: &Asked| asked.method == Method::DELETE && is_of_schedules(asked);
    proxy.play(vec![Rule::first(deletes, Fault::KillAfter(kill))]);
    world.juju.remove_relation(APP, "minio").unwrap();
    world.settle().await.unwrap();
    world.settle().await.unwrap();
    assert_eq!(schedules(&world).await.len(), 0, "it is on its way out");

    proxy.play(Vec::new());
    relate(&mut world, "minio");
    let goes = async {
        until_awaited(&proxy).await;
        set_finalizers(&of_world, &name, Value::Null).await;
    };
    let (settled, ()) = tokio::join!(world.settle(), goes);
    settled.unwrap();
    let new = only(&world).await;
    assert_eq!((new.name_any(), new.uid() == old.uid()), (name, false));
    world.expect_status("active: ").unwrap();
}
