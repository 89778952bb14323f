//! What people see, in Juju's own layout; and how long a tool's call takes.

use std::time::Duration;

use juju_emulator::{DeployOptions, Pace, views};

use super::{World, charm_in};

async fn furnished() -> World {
    let mut world = World::new().await;
    world
        .deploy("status-set active ready; application-version-set 1.2; open-port 80; open-port 443")
        .await;
    let other = charm_in(
        &world.dir.path().join("other"),
        "status-set waiting 'for more'",
    );
    world
        .juju
        .deploy(&other, "other", DeployOptions::default())
        .await
        .unwrap();
    world.juju.integrate("app:other", "other:offer").unwrap();
    world.juju.settle().await.unwrap();
    world
}

#[tokio::test]
async fn the_status_is_laid_out_as_juju_s() {
    let mut world = furnished().await;
    let shown = |world: &World| {
        let text = views::status(world.juju.model());
        let (first, rest) = text.split_once("\n\n").unwrap();
        (first.to_owned(), rest.to_owned())
    };
    let (model, rest) = shown(&world);
    assert!(
        model.starts_with("Model  Controller  Cloud/Region  Version  Timestamp\nm      "),
        "{model}"
    );
    assert_eq!(
        rest,
        "App    Version  Status   Scale  Charm  Channel  Rev  Address        Exposed  Message
app    1.2      active       1  tiny              0  10.152.183.72  no       ready
other           waiting      1  tiny              0  10.152.183.47  no       for more

Unit      Workload  Agent  Address     Ports       Message
app/0*    active    idle   10.1.71.10  80,443/tcp  ready
other/0*  waiting   idle   10.1.46.10              for more

Integration provider  Requirer   Interface  Type     Message
other:offer           app:other  other      regular
"
    );
    world.juju.play_version("3.6.28");
    assert!(shown(&world).0.contains("  SLA  "));
    world.juju.scale("app", 0).unwrap();
    assert!(shown(&world).1.contains("  1/0  tiny"));
}

#[tokio::test]
async fn a_unit_is_shown_as_juju_shows_it() {
    let world = furnished().await;
    let text = views::show_unit(world.juju.model(), "app/0").unwrap();
    assert_eq!(
        text,
        "app/0:
  workload-version: \"1.2\"
  opened-ports:
  - 80/tcp
  - 443/tcp
  charm: local:tiny-0
  leader: true
  life: alive
  relation-info:
  - relation-id: 0
    endpoint: other
    related-endpoint: offer
    application-data: {}
    related-units:
      other/0:
        in-scope: true
        data:
          egress-subnets: 10.152.183.47/32
          ingress-address: 10.152.183.47
  provider-id: app-0
  address: 10.1.71.10
"
    );
    assert!(views::show_unit(world.juju.model(), "app/9").is_none());
}

#[tokio::test]
async fn a_log_line_is_written_as_juju_s() {
    let mut world = furnished().await;
    world.script("juju-log -l ERROR 'went wrong'");
    let run = world.juju.update_status("app/0").await.unwrap();
    let line = views::log_line(run.log.last().unwrap());
    let (entity, rest) = line.split_once(": ").unwrap();
    let (clock, rest) = rest.split_once(' ').unwrap();
    assert_eq!(
        (entity, rest),
        ("unit-app-0", "ERROR unit.app/0.juju-log went wrong")
    );
    assert_eq!(clock.len(), "12:34:56".len());
}

/// Juju's own take longer, each its own time; the setting makes them as slow for benchmarks.
#[tokio::test]
async fn a_call_takes_little_time_or_as_long_as_juju_s() {
    const CALLS: u32 = 50;
    let mut world = World::new().await;
    world.deploy("true").await;
    world.script(&format!(
        "for i in $(seq {CALLS}); do is-leader > /dev/null; done"
    ));
    let run = world.juju.update_status("app/0").await.unwrap();
    let quick = run.duration / CALLS;
    let within: Duration = run.tool_calls.iter().map(|call| call.duration).sum();
    println!(
        "a call of a tool: {quick:?}, of that in the agent {:?}",
        within / CALLS
    );
    world.juju.keep_pace(Pace::Jujus);
    let run = world.juju.update_status("app/0").await.unwrap();
    println!("at real Juju's pace: {:?}", run.duration / CALLS);
    let least = Duration::from_micros(2_200);
    assert!(run.tool_calls.iter().all(|call| call.duration >= least));
    world.script("goal-state > /dev/null");
    let run = world.juju.update_status("app/0").await.unwrap();
    let least = Duration::from_micros(13_700);
    assert!(run.tool_calls.iter().all(|call| call.duration >= least));
}
