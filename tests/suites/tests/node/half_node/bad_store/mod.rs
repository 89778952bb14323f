//! Stores that do not work: what Velero says of them is explained, and they heal.

mod azure;
mod gcs;
mod s3;

use worlds::operator::APP;
use worlds::store::Store;
use worlds::world::World;

/// What an integrator may offer wrongly, and what the status says then.
struct Fault {
    option: &'static str,
    wrong: String,
    right: String,
    reason: [&'static str; 2],
}

impl Fault {
    fn new(option: &'static str, wrong: &str, right: &str, reason: [&'static str; 2]) -> Self {
        let (wrong, right) = (wrong.to_owned(), right.to_owned());
        Self {
            option,
            wrong,
            right,
            reason,
        }
    }
}

fn dead(world: &World) -> String {
    format!("http://{}:1", world.stack.host_ip())
}

async fn explained_and_healed(world: &mut World, store: &Store, faults: &[Fault]) {
    let integrator = store.integrator();
    let offer = async |world: &mut World, option: &str, value: &str| {
        world.juju.config(integrator, &[(option, value)]).unwrap();
        world.settle().await.unwrap();
    };
    let bucket = world.bucket.clone();
    store.deploy_integrator(&mut world.juju, &bucket).unwrap();
    let first = &faults[0];
    offer(world, first.option, &first.wrong).await;
    world.juju.integrate(APP, integrator).unwrap();
    for fault in faults {
        offer(world, fault.option, &fault.wrong).await;
        world.expect_in_status("blocked: ", &fault.reason).unwrap();
        let status = world.status();
        // An id of the request or a time would make it differ at every try.
        assert!(!status.to_lowercase().contains("requestid"), "{status}");
        if fault.option.ends_with("key") {
            assert!(!status.contains(&fault.wrong), "{status}");
        }
        offer(world, fault.option, &fault.right).await;
        world.expect_status("active: ").unwrap();
    }
}
