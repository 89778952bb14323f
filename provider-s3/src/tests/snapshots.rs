//! Where snapshots of volumes are made.

use super::*;

fn on(nodes: &[&str], changes: &[(&str, &str)]) -> Storage {
    let mut inputs = inputs(changes);
    inputs.facts.provider_ids = nodes.iter().map(|id| (*id).to_owned()).collect();
    ready_with(&inputs)
}

fn region(storage: &Storage) -> Option<&str> {
    let snapshots = storage.snapshots.as_ref()?;
    Some(&snapshots.config["region"])
}

#[test]
fn snapshots_are_made_where_the_nodes_are() {
    for (zone, expected) in [
        ("eu-central-1a", "eu-central-1"),
        ("us-gov-west-1b", "us-gov-west-1"),
        ("ap-southeast-12c", "ap-southeast-12"),
        ("us-west-2-lax-1a", "us-west-2"),
        ("us-east-1-wl1-bos-wlz-1", "us-east-1"),
        ("eusc-de-east-1a", "eusc-de-east-1"),
    ] {
        let id = format!("aws:///{zone}/i-0abc");
        let storage = on(&[&id], &[]);
        assert_eq!(region(&storage), Some(expected), "{zone}");
    }
    let elsewhere = on(&["aws:///eu-west-1a/i-0"], &[(REGION, "us-east-1")]);
    assert_eq!(
        region(&elsewhere),
        Some("eu-west-1"),
        "it follows the bucket"
    );
    assert_eq!(elsewhere.location.config["region"], "us-east-1");
    let rights = elsewhere
        .remarks
        .iter()
        .find(|remark| remark.contains("volume-snapshots=false"));
    assert!(rights.is_some(), "{:?}", elsewhere.remarks);
}

#[test]
fn snapshots_are_none_outside_of_amazon() {
    for nodes in [
        &[][..],
        &["azure:///subscriptions/s/i-0"],
        &["aws:///eu-west-1a/fargate-10-0-0-1"],
        &["aws:///somewhere/i-0"],
        &["aws:///1a/i-0"],
        &["aws:///eu-west-1a/i-0", "aws:///eu-west-2a/i-1"],
    ] {
        assert_eq!(
            on(nodes, &[(REGION, "eu-west-1")]).snapshots,
            None,
            "{nodes:?}"
        );
    }
    let nodes = &["aws:///eu-west-1a/i-0"];
    let other = on(nodes, &[(ENDPOINT, "https://s3.example.com")]);
    assert_eq!(other.snapshots, None, "the keys are not Amazon's");
    let china = on(nodes, &[(REGION, "cn-north-1")]);
    assert_eq!(china.snapshots, None, "the keys are of another partition");
}

#[test]
fn nodes_are_asked_for_where_the_store_is_amazons() {
    for (changes, is_needed) in [
        (&[][..], true),
        (&[(ENDPOINT, "https://s3.eu-west-1.amazonaws.com")], true),
        (&[(ENDPOINT, "https://s3.example.com")], false),
        (
            &[(ENDPOINT, "https://lb.elb.eu-west-1.amazonaws.com")],
            false,
        ),
        (&[(ENDPOINT, "nowhere")], false),
    ] {
        let own = inputs(changes).own;
        assert_eq!(
            PROVIDER.needs(Fact::ProviderIds, &own),
            is_needed,
            "{changes:?}"
        );
        assert!(!PROVIDER.needs(Fact::Now, &own));
    }
    assert!(PROVIDER.needs(Fact::Now, &inputs(&[(CA_CHAIN, CERTIFICATE)]).own));
}
