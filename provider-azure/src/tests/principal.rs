//! A service principal instead of the account's key.

use super::*;

#[test]
fn a_service_principal_is_used_instead_of_the_key() {
    let storage = storage(&with_principal(&[(SUBSCRIPTION_ID, "SUB-1")]));

    assert_eq!(
        file(&storage),
        "AZURE_SUBSCRIPTION_ID=sub-1\nAZURE_TENANT_ID=canary-tenant-id\n\
         AZURE_CLIENT_ID=canary-client-id\nAZURE_CLIENT_SECRET=canary-client-secret\n\
         AZURE_RESOURCE_GROUP=MC_shop\nAZURE_CLOUD_NAME=AzurePublicCloud\n"
    );
    assert_eq!(
        config(&storage),
        [("storageAccount", "acct"), ("useAAD", "true")]
    );
    assert_eq!(
        storage.snapshots.unwrap().config["resourceGroup"],
        "MC_shop"
    );
    assert_eq!(
        storage.remarks,
        ["The service principal is used, and the storage account's key is not."]
    );
}

#[test]
fn a_service_principal_needs_no_key() {
    let mut inputs = with_principal(&[]);
    inputs.own = self::inputs(&[(SECRET_KEY, "")]).own;

    assert_eq!(storage(&inputs).remarks, [""; 0]);
}

#[test]
fn a_token_goes_to_addresses_of_azure_s_own_alone() {
    for endpoint in [
        "https://acct.blob.core.windows.net",
        "abfss://backups@acct.dfs.core.windows.net/",
        "wasb://backups@acct.blob.core.windows.net/",
        "https://acct.z17.blob.storage.azure.net",
        "https://acct.dfs.core.usgovcloudapi.net/backups",
        "https://acct.blob.core.chinacloudapi.cn:443",
        "https://acct.privatelink.blob.core.windows.net",
        "https://acct-internetrouting.blob.core.windows.net",
    ] {
        let mut inputs = with_principal(&[]);
        inputs.own = self::inputs(&[("endpoint", endpoint)]).own;
        assert_eq!(
            storage(&inputs).location.config["useAAD"],
            "true",
            "{endpoint}"
        );
    }
    for endpoint in [
        "https://evil.example",
        "https://evil.example/acct",
        "abfss://backups@evil.example/",
        "http://acct.blob.core.windows.net",
        "https://acct.blob.core.windows.net:8443",
        "https://acct.blob.core.windows.net./",
        "https://acct.blob.core.windows.net.evil.example",
        "https://evilcore.windows.net",
        "https://192.0.2.1/acct",
        "https://acct.privatelink.blob.core.windows.net.evil.example",
        "https://privatelink.evil.example",
        "http://acct.privatelink.blob.core.windows.net",
    ] {
        let mut inputs = with_principal(&[]);
        inputs.own = self::inputs(&[("endpoint", endpoint)]).own;
        assert_eq!(refused(&inputs), [ENDPOINT], "{endpoint}");
    }
}

#[test]
fn the_subscription_of_the_disks_is_that_of_the_nodes() {
    let storage = storage(&with_principal(&[(SUBSCRIPTION_ID, "sub-2")]));

    assert!(file(&storage).starts_with("AZURE_SUBSCRIPTION_ID=sub-1\n"));
    assert_eq!(storage.location.config["subscriptionId"], "sub-2");
}

#[test]
fn a_service_principal_that_is_on_its_way_is_waited_for() {
    let mut inputs = with_principal(&[]);
    inputs
        .optional
        .insert(PRINCIPAL_ENDPOINT.into(), RelationData::default());

    let answer = PROVIDER.resolve(&inputs);
    assert!(
        matches!(&answer, Ok(Answer::Waiting(what)) if what.contains("service principal")),
        "{answer:?}"
    );
    let names: RelationData = [TENANT_ID, SUBSCRIPTION_ID]
        .map(|field| (field, Value::from("sub")))
        .into_iter()
        .collect();
    inputs.optional.insert(PRINCIPAL_ENDPOINT.into(), names);
    let answer = PROVIDER.resolve(&inputs);
    assert!(
        matches!(&answer, Ok(Answer::Waiting(what)) if what.contains("service principal")),
        "{answer:?}"
    );
    inputs.own = self::inputs(&[("container", "a/b")]).own;
    assert_eq!(
        refused(&inputs),
        [CONTAINER],
        "and what is wrong now is said now"
    );
}

#[test]
fn principal_works_from_anywhere_without_snapshots() {
    for ids in [
        vec![],
        vec!["kind://docker/kind/node"],
        vec!["aws:///eu-central-1a/i-0123"],
        vec!["azure:///subscriptions/sub-1/other/MC_shop"],
        vec!["azure:///subscriptions/sub-1/resourceGroups/a'b"],
        vec!["azure://"],
    ] {
        let mut inputs = with_principal(&[]);
        inputs.facts.provider_ids = ids.into_iter().map(str::to_owned).collect();
        let storage = storage(&inputs);
        assert_eq!(storage.snapshots, None);
        assert_eq!(
            file(&storage),
            "AZURE_TENANT_ID=canary-tenant-id\nAZURE_CLIENT_ID=canary-client-id\n\
             AZURE_CLIENT_SECRET=canary-client-secret\nAZURE_CLOUD_NAME=AzurePublicCloud\n"
        );
        let expected = [
            ("storageAccount", "acct"),
            ("subscriptionId", "canary-subscription-id"),
            ("useAAD", "true"),
        ];
        assert_eq!(config(&storage), expected);
    }
}

#[test]
fn subscription_only_helps_to_find_the_account() {
    for ids in [vec![], vec![NODE.to_owned()]] {
        let mut inputs = with_principal(&[(SUBSCRIPTION_ID, "")]);
        inputs.facts.provider_ids = ids;
        let storage = storage(&inputs);
        assert_eq!(storage.gaps, []);
        assert!(!storage.location.config.contains_key(SUBSCRIPTION));
    }
    let spoiled = storage(&with_principal(&[(SUBSCRIPTION_ID, "a/b")]));
    assert_eq!(spoiled.gaps[0].parts, SUBSCRIPTION_PARTS);
}

#[test]
fn snapshots_are_for_the_nodes_that_are_in_azure() {
    let mut inputs = with_principal(&[]);
    inputs.facts.provider_ids = vec!["aws:///eu-central-1a/i-0123".into(), NODE.into()];
    let snapshots = storage(&inputs).snapshots.unwrap();
    assert_eq!(snapshots.config["resourceGroup"], "MC_shop");
}

#[test]
fn nodes_in_several_groups_are_remarked_on_and_their_order_is_nothing() {
    let ids = ["MC_b", "MC_a", "mc_a"].map(|group| NODE.replace("MC_shop", group));
    for ids in [ids.to_vec(), ids.iter().rev().cloned().collect()] {
        let mut inputs = with_principal(&[]);
        inputs.facts.provider_ids = ids;
        let storage = storage(&inputs);
        assert!(file(&storage).contains("\nAZURE_RESOURCE_GROUP=MC_a\n"));
        assert!(storage.remarks[1].starts_with("Nodes are in 2 resource groups"));
    }
}
