//! The `run` action.

use serde_json::json;
use worlds::kubectl::TIMEOUT;
use worlds::operator;
use worlds::shop::Shop;
use worlds::world::{HalfNode, World};

use crate::{kubectl, run_with};

async fn refusal(world: &mut World, command: &str) -> String {
    let refusal = operator::run_refused(&mut world.juju, command);
    refusal.await.unwrap()
}

#[tokio::test]
async fn the_run_action_gives_output_errors_and_time_limits() {
    let mut world = HalfNode::connected("actions").await.unwrap();

    let create = json!({"command": "backup create a --include-namespaces default --wait"});
    let outcome = run_with(&mut world, "run-cli", create).await;
    assert_eq!(outcome.status, "completed", "{}", outcome.message);

    let outcome = run_with(&mut world, "run", json!({"command": "backup logs a"})).await;
    let whole = outcome.results["output"].as_str().unwrap();
    assert_eq!(outcome.status, "completed");
    assert!(whole.len() <= 64 * 1024 + 64);
    let logged: usize = outcome.log.iter().map(|(_, line)| line.len()).sum();
    assert!(
        logged + outcome.log.len() >= whole.len(),
        "the log has all of it"
    );

    let message = refusal(&mut world, "backup describe no-such-backup --details=maybe").await;
    assert!(
        message.starts_with("velero failed with exit code 1: "),
        "{message}"
    );

    let shop = Shop::open(&world.stack, "shop-actions").await.unwrap();
    let plain = json!({"command": "backup create plain --include-namespaces shop-actions --wait"});
    let outcome = run_with(&mut world, "run", plain).await;
    let output = outcome.results["output"].as_str().unwrap();
    assert!(output.contains("Backup completed with status: Completed"));
    let told = "WARNING: backup `plain` holds no data of 1 of 1 volumes:\n  shop-actions/data\n";
    assert!(output.contains(told), "{output}");
    assert_eq!(outcome.results["volumes"], "0 of 1");

    world.back_up_files().await.unwrap();
    shop.detain_backups().await.unwrap();
    let slow = json!({
        "command": "backup create slow --include-namespaces shop-actions --wait",
        "timeout": "5s",
    });
    let outcome = run_with(&mut world, "run", slow).await;
    assert_eq!(outcome.status, "failed");
    assert!(
        outcome.message.contains("goes on in Velero"),
        "{}",
        outcome.message
    );
    let follow = "juju run velero-operator/0 run command=\"backup describe slow\"";
    assert!(outcome.message.contains(follow), "{}", outcome.message);
    shop.let_backup_go().await.unwrap();
    let wait = ["--for=jsonpath={.status.phase}=Completed", TIMEOUT];
    let backup = ["wait", "backups.velero.io/slow"];
    kubectl(&world, &[&backup[..], &wait[..]].concat()).await;
    let describe = json!({"command": "backup describe slow"});
    let outcome = run_with(&mut world, "run", describe).await;
    assert_eq!(outcome.results["volumes"], "1 of 1");
    let output = outcome.results["output"].as_str().unwrap();
    assert!(!output.contains("WARNING"), "{output}");

    let outcome = run_with(
        &mut world,
        "run",
        json!({"command": "backup get", "timeout": "soon"}),
    )
    .await;
    assert!(
        outcome.message.contains("`timeout` is `soon`"),
        "{}",
        outcome.message
    );
    shop.lose().await.unwrap();
}
