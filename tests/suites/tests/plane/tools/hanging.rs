//! Hook tools that do not answer. Behind one that hangs all wait, `juju-log` included.

use std::time::Duration;

use juju_emulator::{DeployOptions, Exit, Resolve, ToolFault};
use worlds::operator::{APP, S3, UNIT};
use worlds::plane::{Plane, Trial};
use worlds::side_by_side::{alone, side_by_side};

use super::log;

/// Thirty seconds for the tool, five for the log, and what the hook does otherwise.
const LIMIT: Duration = Duration::from_mins(1);

#[test]
fn a_tool_that_hangs_ends_the_hook_and_is_named() {
    let plane = alone(Plane::start()).unwrap();
    let tools = [
        "is-leader",
        "config-get",
        "relation-ids",
        "relation-list",
        "relation-get",
        "relation-set",
        "secret-get",
        "status-set",
        "application-version-set",
        "status-get",
        "juju-log",
    ];
    side_by_side(
        tools.iter().enumerate().collect(),
        async |(number, tool)| {
            let mut trial = Trial::open(&plane, &format!("hang-{number}")).await?;
            let world = &mut trial.world;
            let charm = world.charm().await?;
            world
                .juju
                .deploy(&charm, APP, DeployOptions::trusted())
                .await?;
            let settings = world.settings();
            world.juju.deploy_s3_integrator(S3, settings)?;
            world.juju.integrate(APP, S3)?;
            let run = loop {
                world.juju.sabotage_next(tool, 1, ToolFault::Hangs);
                let run = world.juju.step().await?.unwrap();
                if !run.exit.is_success() {
                    break run;
                }
            };
            let lines = log(&run);
            println!("{tool}: {:.1} s\n{lines}", run.duration.as_secs_f32());
            assert_eq!(run.exit, Exit::Code(1), "{tool}: {lines}");
            assert!(run.duration < LIMIT, "{tool}: {:?}", run.duration);
            let named =
                |line: &str| line.contains(&format!("`{tool}`")) && line.contains("did not answer");
            assert!(lines.lines().any(named), "{tool}: {lines}");

            world.juju.resolved(UNIT, Resolve::Retry)?;
            world.settle().await?;
            world.expect_status("active: ")
        },
    )
    .unwrap();
}
