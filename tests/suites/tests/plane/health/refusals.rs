//! What the API server refuses while the charm is trusted.

use kube_stack::proxy::{Asked, Fault, Refusal, Rule};
use worlds::operator;
use worlds::plane::{Plane, Trial};

#[tokio::test]
async fn an_action_names_what_no_role_allows() {
    let plane = Plane::shared().await.unwrap();
    let mut trial = Trial::open(&plane, "narrow-role").await.unwrap();
    let trusted = juju_emulator::DeployOptions::trusted();
    trial.world.deploy(trusted).await.unwrap();
    trial.world.connect().await.unwrap();
    let locations = |asked: &Asked| asked.path.contains("/backupstoragelocations");
    let refuse = Fault::Refuse(Refusal::Forbidden);
    trial.proxy.play(vec![Rule::every(locations, refuse)]);

    let outcome = operator::run(&mut trial.world.juju, "backup get")
        .await
        .unwrap();

    assert_eq!(outcome.status, "failed");
    for part in [
        "not trusted to get resource \"backupstoragelocations\"",
        "run `juju trust velero-operator --scope=cluster`",
    ] {
        assert!(outcome.message.contains(part), "{}", outcome.message);
    }
}
