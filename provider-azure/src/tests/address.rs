//! Addresses of accounts.

use super::*;

#[test]
fn an_address_that_velero_would_find_by_itself_is_left_out() {
    for endpoint in [
        "abfss://backups@acct.dfs.core.windows.net/",
        "abfs://backups@acct.dfs.core.windows.net/",
        "abfss://acct.dfs.core.windows.net",
        "wasbs://backups@acct.blob.core.windows.net/",
        "wasb://backups@ACCT.blob.core.windows.net/",
        "https://acct.blob.core.windows.net/backups",
        "https://acct.blob.core.windows.net/",
        "https://acct.dfs.core.windows.net:443/backups/",
    ] {
        let storage = ready(&[("endpoint", endpoint)]);
        assert_eq!(
            storage.location.config.get("storageAccountURI"),
            None,
            "{endpoint}"
        );
        assert!(
            file(&storage).ends_with("\nAZURE_CLOUD_NAME=AzurePublicCloud\n"),
            "{endpoint}"
        );
    }
}

#[test]
fn address_of_any_other_host_is_the_blob_services() {
    for (endpoint, uri) in [
        ("http://192.0.2.1:10000/acct", "http://192.0.2.1:10000/acct"),
        (
            "http://192.0.2.1:10000/acct/backups/",
            "http://192.0.2.1:10000/acct",
        ),
        ("https://[2001:db8::1]/acct", "https://[2001:db8::1]/acct"),
        ("https://backup.example.com/", "https://backup.example.com"),
        (
            "https://backup.example.com/backups",
            "https://backup.example.com",
        ),
        (
            "abfss://backups@backup.example.com/",
            "https://backup.example.com",
        ),
        (
            "http://acct.blob.core.windows.net/",
            "http://acct.blob.core.windows.net",
        ),
        (
            "https://acct.z17.blob.storage.azure.net/",
            "https://acct.z17.blob.storage.azure.net",
        ),
        (
            "abfss://backups@acct.z17.dfs.storage.azure.net/",
            "https://acct.z17.blob.storage.azure.net",
        ),
        (
            "https://acct-microsoftrouting.dfs.core.windows.net",
            "https://acct-microsoftrouting.blob.core.windows.net",
        ),
        (
            "https://acct-internetrouting.z5.blob.storage.azure.net",
            "https://acct-internetrouting.z5.blob.storage.azure.net",
        ),
    ] {
        let storage = ready(&[("endpoint", endpoint)]);
        assert_eq!(
            storage.location.config["storageAccountURI"], uri,
            "{endpoint}"
        );
    }
}

#[test]
fn private_endpoint_stands_for_the_public_name() {
    for (host, cloud, uri) in [
        ("blob.core.windows.net", "AzurePublicCloud", None),
        ("dfs.core.windows.net", "AzurePublicCloud", None),
        ("blob.core.chinacloudapi.cn", "AzureChinaCloud", None),
        ("dfs.core.usgovcloudapi.net", "AzureUSGovernmentCloud", None),
        (
            "blob.storage.azure.net",
            "AzurePublicCloud",
            Some("https://acct.z17.blob.storage.azure.net"),
        ),
    ] {
        let zone = uri.map_or("", |_| "z17.");
        for endpoint in [
            format!("https://acct.{zone}privatelink.{host}/"),
            format!("https://ACCT.{zone}PrivateLink.{host}/backups"),
            format!("abfss://backups@acct.{zone}privatelink.{host}/"),
        ] {
            let storage = ready(&[("endpoint", &endpoint)]);
            let config = &storage.location.config;
            let shown = config.get("storageAccountURI").map(String::as_str);
            assert_eq!(shown, uri, "{endpoint}");
            let cloud = format!("\nAZURE_CLOUD_NAME={cloud}\n");
            assert!(file(&storage).ends_with(&cloud), "{endpoint}");
        }
    }
}

#[test]
fn plain_http_is_remarked_on() {
    for (endpoint, remarks) in [
        ("http://192.0.2.1:10000/acct", 1),
        ("http://acct.blob.core.windows.net", 1),
        ("https://192.0.2.1:10000/acct", 0),
        ("wasb://backups@acct.blob.core.windows.net/", 0),
        ("", 0),
    ] {
        let said = ready(&[("endpoint", endpoint)]).remarks;
        assert_eq!(said.len(), remarks, "{endpoint}: {said:?}");
        assert!(said.iter().all(|remark| remark.contains("plain HTTP")));
    }
}

#[test]
fn one_name_for_account_and_container_is_the_account_in_a_path() {
    let changes = [
        ("container", "acct"),
        ("endpoint", "http://192.0.2.1:10000/acct"),
    ];
    let storage = ready(&changes);
    assert_eq!(
        storage.location.config["storageAccountURI"],
        "http://192.0.2.1:10000/acct"
    );
}

#[test]
fn a_cloud_is_known_by_its_hosts() {
    for (host, cloud) in [
        ("acct.blob.core.chinacloudapi.cn", "AzureChinaCloud"),
        ("acct.dfs.core.usgovcloudapi.net", "AzureUSGovernmentCloud"),
        ("acct.z1.blob.storage.azure.net", "AzurePublicCloud"),
        ("notcore.windows.net", "AzurePublicCloud"),
    ] {
        let storage = ready(&[("endpoint", &format!("https://{host}"))]);
        assert!(
            file(&storage).ends_with(&format!("\nAZURE_CLOUD_NAME={cloud}\n")),
            "{host}"
        );
        let is_custom = cloud == "AzurePublicCloud";
        assert_eq!(
            storage.location.config.contains_key("storageAccountURI"),
            is_custom
        );
    }
}

#[test]
fn an_address_that_contradicts_or_misleads_is_refused() {
    for endpoint in [
        "https://other.blob.core.windows.net/",
        "abfss://backups@other.dfs.core.windows.net/",
        "abfss://other@acct.dfs.core.windows.net/",
        "https://acct.blob.core.windows.net/other",
        "https://acct.blob.core.windows.net/backups/folder",
        "abfss://backups@acct.dfs.core.windows.net/folder",
        "https://acct.file.core.windows.net/",
        "https://blob.core.windows.net/",
        "https://privatelink.blob.core.windows.net/",
        "https://acct-secondary.blob.core.windows.net/",
        "https://acct-other.blob.core.windows.net/",
        "https://-acct.blob.core.windows.net/",
        "https://acct.zone.blob.core.windows.net/",
        "https://acct.z1.z2.blob.core.windows.net/",
        "https://other.privatelink.blob.core.windows.net/",
        "http://192.0.2.1:10000/other",
        "http://192.0.2.1:10000/other/backups",
        "http://192.0.2.1:10000/acct/other",
        "http://192.0.2.1:10000/acct/backups/folder",
        "abfss://backups@backup.example.com/folder",
        "https://user@acct.blob.core.windows.net/",
        "abfss://backups:pw@acct.dfs.core.windows.net/",
        "https://acct.blob.core.windows.net/?sig=x",
        "ftp://acct.blob.core.windows.net/",
        "acct.blob.core.windows.net",
        "https://acct.blob.core.windows.net/back\u{e9}",
        "abfss:///",
    ] {
        assert_eq!(
            refused(&inputs(&[("endpoint", endpoint)])),
            [ENDPOINT],
            "{endpoint}"
        );
    }
    let problems = PROVIDER.resolve(&inputs(&[("endpoint", "https://acct/?sig=hunter2")]));
    assert!(!problems.unwrap_err().to_string().contains("hunter2"));
}
