//! What has failed is told to Loki, which is played by a listener that keeps what it is sent.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use worlds::cos::COS;
use worlds::plane::{LightWorld, Plane};

use super::{deploy_cos, seen, told};
use crate::{here, writes};

type Bodies = Arc<Mutex<Vec<Value>>>;

/// Takes what is pushed to it.
async fn loki() -> (String, Bodies) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/loki/api/v1/push", listener.local_addr().unwrap());
    let bodies = Bodies::default();
    let kept = Arc::clone(&bodies);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let body = body(connection).await;
            kept.lock().unwrap().push(body);
        }
    });
    (url, bodies)
}

/// Reads one request and says that it is taken.
async fn body(mut connection: TcpStream) -> Value {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head.split_once("content-length: ").unwrap().1;
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            if body.len() >= length {
                let taken = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
                connection.write_all(taken).await.unwrap();
                return serde_json::from_str(body).unwrap();
            }
        }
        let mut part = [0; 4096];
        let length = connection.read(&mut part).await.unwrap();
        assert_ne!(length, 0, "the request ends early: {text}");
        read.extend_from_slice(&part[..length]);
    }
}

async fn backup(world: &LightWorld, name: &str, status: Value) {
    let backup = json!({
        "apiVersion": "velero.io/v1", "kind": "Backup",
        "metadata": {"name": name, "namespace": world.namespace},
        "spec": {}, "status": status,
    });
    world.apply(&backup).await.unwrap();
}

#[tokio::test]
async fn failure_is_sent_to_loki_once() {
    let plane = Plane::shared().await.unwrap();
    let mut world = LightWorld::connected(&plane, "told").await.unwrap();
    deploy_cos(&mut world).await;
    let key = world.settings().secret_key;
    let reason = format!("the store refused {key}");
    backup(&world, "good", json!({"phase": "Completed"})).await;
    let failed = json!({"phase": "Failed", "failureReason": reason, "errors": 2});
    backup(&world, "bad", failed).await;

    // Nobody listens there yet: that costs nothing but time.
    world
        .juju
        .config(COS, &[("loki", "http://127.0.0.1:9/")])
        .unwrap();
    world
        .juju
        .integrate("velero-operator:logging", "cos:logging")
        .unwrap();
    world.settle().await.unwrap();
    world.expect_status("active: ").unwrap();
    assert!(
        seen(&world)["logs"]
            .as_str()
            .unwrap()
            .ends_with("velero-operator")
    );
    assert!(
        world.log().contains("has not taken what failed"),
        "{}",
        world.log()
    );

    let (url, bodies) = loki().await;
    world.juju.config(COS, &[("loki", &url)]).unwrap();
    world.settle().await.unwrap();
    let sent = std::mem::take(&mut *bodies.lock().unwrap());
    assert_eq!(sent.len(), 1, "{sent:#?}");
    let stream = &sent[0]["streams"][0];
    assert_eq!(stream["stream"]["juju_application"], "velero-operator");
    let lines: Vec<_> = stream["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| &line[1])
        .collect();
    assert_eq!(
        lines,
        [
            "Backup `bad` ended `Failed` with 2 errors and 0 warnings.",
            "Backup `bad`: the store refused ***"
        ]
    );

    let mark = world.plane().audit().mark().await.unwrap();
    let quiet = world.update_status().await.unwrap();
    assert_eq!(told(&quiet), 0, "{:#?}", quiet.tool_calls);
    assert_eq!(writes(&world, &mark).await, Vec::<String>::new());
    assert_eq!(bodies.lock().unwrap().len(), 0);
    let kept = here(&world, &["get", "backups.velero.io", "bad", "-o", "yaml"]).await;
    assert!(kept.contains("velero-operator/told"), "{kept}");
}
