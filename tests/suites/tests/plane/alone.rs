//! Control planes alone: several at once, and none outlives the process that started it.

use std::env;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::Api;
use kube::api::{ListParams, PostParams};
use kube_stack::{ControlPlaneOnly, DEADLINE};
use serde_json::{from_value, json};

/// Set in the copy of this test that is killed.
const VICTIM: &str = "LIGHT_VICTIM";

#[tokio::test]
async fn several_run_at_once_and_share_nothing() {
    let began = Instant::now();
    let (one, two) =
        tokio::try_join!(ControlPlaneOnly::start(), ControlPlaneOnly::start()).unwrap();
    println!(
        "two at once: {:?} ({:?}, {:?})",
        began.elapsed(),
        one.took(),
        two.took()
    );
    assert_ne!(one.api().port, two.api().port);
    let made: ConfigMap = from_value(json!({"metadata": {"name": "here"}})).unwrap();
    let maps = async |plane: &ControlPlaneOnly| {
        Api::<ConfigMap>::namespaced(plane.client().await.unwrap(), "default")
    };
    maps(&one)
        .await
        .create(&PostParams::default(), &made)
        .await
        .unwrap();
    assert!(maps(&two).await.get_opt("here").await.unwrap().is_none());

    // What the module says is absent.
    let client = one.client().await.unwrap();
    let space: Namespace = from_value(json!({"metadata": {"name": "empty"}})).unwrap();
    Api::<Namespace>::all(client.clone())
        .create(&PostParams::default(), &space)
        .await
        .unwrap();
    let accounts = Api::<ServiceAccount>::namespaced(client, "empty");
    assert!(
        accounts
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );

    let port = one.api().port;
    drop(one);
    assert!(!listens(port), "it ends with its value");
    assert!(listens(two.api().port));
}

fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[tokio::test]
async fn control_plane_ends_with_its_killed_owner() {
    if env::var_os(VICTIM).is_some() {
        let plane = ControlPlaneOnly::start().await.unwrap();
        println!("\nport {}", plane.api().port);
        std::future::pending::<()>().await;
    }
    let mut victim = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "alone::control_plane_ends_with_its_killed_owner",
            "--nocapture",
        ])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let port = lines
        .map(Result::unwrap)
        .find_map(|line| line.strip_prefix("port ")?.parse().ok())
        .expect("the victim started a control plane");
    assert!(listens(port));
    victim.kill().unwrap();
    victim.wait().unwrap();
    let deadline = Instant::now() + DEADLINE;
    while listens(port) {
        assert!(
            Instant::now() < deadline,
            "the API server outlived its owner"
        );
        // It takes seconds to end where there is much to do, and spinning is one thing more.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
