//! The table of stores: what each gets, and its page.

use std::{fs, path::Path};

use super::*;
use crate::vendors::{Region, VENDORS};

/// What a store at this address gets: its region, and whether paths and checksums are used.
fn gets(endpoint: &str) -> (Option<String>, bool, bool) {
    let storage = ready(&[(ENDPOINT, endpoint)]);
    let config = storage.location.config;
    let is_path = config.get(PATH_STYLE).is_some_and(|value| value == "true");
    let is_checked = !config.contains_key("checksumAlgorithm");
    (config.get(REGION).cloned(), is_path, is_checked)
}

#[test]
fn region_and_style_are_told_by_the_host() {
    for (host, region, is_path, is_checked) in [
        ("s3.eu-central-1.amazonaws.com", "eu-central-1", false, true),
        ("s3-us-west-2.amazonaws.com", "us-west-2", false, true),
        (
            "s3.dualstack.eu-west-1.amazonaws.com",
            "eu-west-1",
            false,
            true,
        ),
        (
            "s3-fips.us-gov-west-1.amazonaws.com",
            "us-gov-west-1",
            false,
            true,
        ),
        (
            "s3-fips.dualstack.us-east-2.amazonaws.com",
            "us-east-2",
            false,
            true,
        ),
        (
            "bucket.vpce-1a-2b.s3.eu-west-1.vpce.amazonaws.com",
            "eu-west-1",
            false,
            true,
        ),
        ("s3-external-1.amazonaws.com", "us-east-1", false, true),
        ("s3.cn-north-1.amazonaws.com.cn", "cn-north-1", false, true),
        (
            "s3.eusc-de-east-1.amazonaws.eu",
            "eusc-de-east-1",
            false,
            true,
        ),
        ("s3.us-iso-east-1.c2s.ic.gov", "us-iso-east-1", false, true),
        (
            "ns.compat.objectstorage.eu-frankfurt-1.oraclecloud.com",
            "eu-frankfurt-1",
            true,
            false,
        ),
        (
            "vhcompat.objectstorage.eu-frankfurt-1.oci.customer-oci.com",
            "eu-frankfurt-1",
            false,
            false,
        ),
        (
            "s3.us-south.cloud-object-storage.appdomain.cloud",
            "us-east-1",
            true,
            false,
        ),
        ("s3.us-west-004.backblazeb2.com", "us-west-004", true, false),
        ("s3.wasabisys.com", "us-east-1", true, false),
        ("s3.eu-central-2.wasabisys.com", "eu-central-2", true, false),
        ("nyc3.digitaloceanspaces.com", "nyc3", true, false),
        ("acc0.r2.cloudflarestorage.com", "auto", true, false),
        ("acc0.eu.r2.cloudflarestorage.com", "auto", true, false),
        ("s3.fr-par.scw.cloud", "fr-par", true, false),
        ("fsn1.your-objectstorage.com", "fsn1", true, false),
        ("s3.gra.io.cloud.ovh.net", "gra", true, false),
        ("us-ord-1.linodeobjects.com", "us-ord-1", true, false),
        (
            "oss-eu-central-1.aliyuncs.com",
            "eu-central-1",
            false,
            false,
        ),
        (
            "oss-cn-hangzhou-internal.aliyuncs.com",
            "cn-hangzhou",
            false,
            false,
        ),
        (
            "s3.oss-cn-hangzhou.aliyuncs.com",
            "cn-hangzhou",
            false,
            false,
        ),
        ("cos.ap-shanghai.myqcloud.com", "ap-shanghai", false, false),
        (
            "obs.eu-west-101.myhuaweicloud.eu",
            "eu-west-101",
            false,
            false,
        ),
        ("s3.example.com", "us-east-1", true, false),
        ("notaliyuncs.com", "us-east-1", true, false),
        ("lb.elb.eu-west-1.amazonaws.com", "us-east-1", true, false),
    ] {
        let expected = (Some(region.to_owned()), is_path, is_checked);
        assert_eq!(gets(&format!("https://{host}")), expected, "{host}");
    }
}

#[test]
fn region_that_was_sent_comes_before_that_of_the_host() {
    let sent = ready(&[
        (ENDPOINT, "https://s3.us-west-004.backblazeb2.com"),
        (REGION, "other"),
    ]);
    assert_eq!(
        sent.location.config[REGION], "other",
        "the user knows better"
    );
}

#[test]
fn amazon_as_a_whole_is_left_to_the_plugin() {
    for endpoint in [
        "https://s3.amazonaws.com",
        "https://backups.s3.amazonaws.com/",
    ] {
        let storage = ready(&[(ENDPOINT, endpoint)]);
        assert_eq!(config(&storage), [], "{endpoint}");
    }
    let path = ready(&[(ENDPOINT, "https://s3.amazonaws.com"), (URI_STYLE, "path")]);
    let expected = [("region", "us-east-1"), ("s3ForcePathStyle", "true")];
    assert_eq!(
        config(&path),
        expected,
        "the plugin asks in virtual-hosted style alone"
    );
}

#[test]
fn partition_of_a_region_has_its_own_domain() {
    for (region, url) in [
        ("eu-central-1", None),
        ("us-gov-west-1", None),
        ("cn-north-1", Some("https://s3.cn-north-1.amazonaws.com.cn")),
        (
            "eusc-de-east-1",
            Some("https://s3.eusc-de-east-1.amazonaws.eu"),
        ),
        (
            "us-isob-east-1",
            Some("https://s3.us-isob-east-1.sc2s.sgov.gov"),
        ),
    ] {
        let storage = ready(&[(REGION, region)]);
        let there = storage.location.config.get("s3Url").map(String::as_str);
        assert_eq!(there, url, "{region}");
    }
}

#[test]
fn bucket_in_the_host_is_taken_out_or_refused() {
    for (endpoint, url) in [
        (
            "https://backups.nyc3.digitaloceanspaces.com",
            "https://nyc3.digitaloceanspaces.com",
        ),
        (
            "https://backups.s3.eu-west-1.amazonaws.com/",
            "https://s3.eu-west-1.amazonaws.com",
        ),
        (
            "https://backups.acc0.r2.cloudflarestorage.com",
            "https://acc0.r2.cloudflarestorage.com",
        ),
    ] {
        let storage = ready(&[(ENDPOINT, endpoint)]);
        assert_eq!(storage.location.config["s3Url"], url);
        let said = storage
            .remarks
            .iter()
            .any(|remark| remark.contains("begins with the bucket"));
        assert!(said, "{:?}", storage.remarks);
    }
    let other = [(ENDPOINT, "https://other.nyc3.digitaloceanspaces.com")];
    assert_eq!(refused(&other), [ENDPOINT]);
    // It may be called so.
    let unlisted = ready(&[(ENDPOINT, "https://backups.example.com:9000")]);
    assert_eq!(
        unlisted.location.config["s3Url"],
        "https://backups.example.com:9000"
    );
    assert!(
        unlisted
            .remarks
            .iter()
            .any(|remark| remark.contains("name of the bucket"))
    );
    let inside = ready(&[(ENDPOINT, "http://backups.svc:9000")]);
    assert!(
        !inside
            .remarks
            .iter()
            .any(|remark| remark.contains("name of the bucket"))
    );
}

#[test]
fn path_in_the_endpoint_is_refused_with_the_remedy() {
    for endpoint in [
        "https://acc0.r2.cloudflarestorage.com/backups",
        "http://minio:9000/a/b/",
    ] {
        let problems = PROVIDER
            .resolve(&inputs(&[(ENDPOINT, endpoint)]))
            .unwrap_err();
        assert_eq!(problems.first().field, ENDPOINT);
        assert!(
            problems.first().hint.contains("leave the path out"),
            "{problems}"
        );
    }
}

#[test]
fn google_is_sent_to_its_own_integrator() {
    for host in ["storage.googleapis.com", "backups.storage.googleapis.com"] {
        let endpoint = format!("https://{host}");
        let problems = PROVIDER
            .resolve(&inputs(&[(ENDPOINT, &endpoint)]))
            .unwrap_err();
        assert!(
            problems.first().hint.contains("its own integrator"),
            "{problems}"
        );
    }
}

#[test]
fn style_that_file_backups_do_not_keep_to_is_said() {
    let says = |changes: &[(&str, &str)]| {
        let remarks = ready(changes).remarks;
        remarks
            .iter()
            .any(|remark| remark.starts_with("File-system backups ask"))
    };
    let host = (URI_STYLE, "host");
    assert!(says(&[(ENDPOINT, "https://s3.example.com"), host]));
    assert!(says(&[(ENDPOINT, "https://cos.ap-shanghai.myqcloud.com")]));
    assert!(!says(&[(
        ENDPOINT,
        "https://oss-eu-central-1.aliyuncs.com"
    )]));
    assert!(!says(&[
        (ENDPOINT, "https://s3.eu-west-1.amazonaws.com"),
        host
    ]));
    assert!(!says(&[(ENDPOINT, "https://s3.example.com")]));
    assert!(!says(&[host]));
}

#[test]
fn plain_http_is_said_outside_of_the_cluster() {
    let says = |endpoint: &str| {
        let remarks = ready(&[(ENDPOINT, endpoint)]).remarks;
        remarks.iter().any(|remark| remark.contains("unencrypted"))
    };
    assert!(says("http://s3.example.com") && says("http://192.0.2.1:9000"));
    assert!(says("http://[2001:db8::1]:9000"));
    for inside in [
        "http://minio:9000",
        "http://minio.minio.svc",
        "http://a.b.svc.cluster.local:80",
    ] {
        assert!(!says(inside), "{inside}");
    }
    assert!(!says("https://s3.example.com"));
}

#[test]
fn refusals_of_a_style_come_with_advice() {
    for (said, advice) in [
        (
            "PathStyleDomainForbidden: The bucket you are attempting to access must be addressed using COS \
          virtual-styled domain.",
            "s3-uri-style=host",
        ),
        (
            "VirtualHostDomainRequired: Virtual host domain is required when accessing a specific bucket.",
            "s3-uri-style=host",
        ),
        (
            "SecondLevelDomainForbidden: Please use virtual hosted style to access.",
            "s3-uri-style=host",
        ),
        (
            "InvalidRequest: Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests \
          with Object Lock parameters",
            "checksumAlgorithm=CRC32",
        ),
        (
            "XAmzContentSHA256Mismatch: The provided 'x-amz-content-sha256' header does not match what was \
          computed.",
            "checksumAlgorithm=",
        ),
    ] {
        let given = DESCRIPTOR.advice_for(said).unwrap();
        assert!(given.contains(advice), "{said}: {given}");
    }
}

#[test]
fn hosts_of_the_table_are_found_by_their_own_row() {
    for vendor in VENDORS {
        assert!(!vendor.sources.is_empty(), "{} has no source", vendor.name);
        assert!(vendor.known.iter().all(|known| known.ends_with('.')));
        for host in vendor.hosts {
            let example = host.pattern.replace(['{', '}'], "");
            let url = format!("https://{example}");
            match StoreUrl::parse(&url) {
                Ok(store) => assert_eq!(store.vendor.name, vendor.name, "{example}"),
                Err(_) => assert!(vendor.refused.is_some(), "{example}"),
            }
            let is_told = host.pattern.contains("{region}");
            assert_eq!(is_told, host.region == Region::InHost, "{example}");
        }
    }
}

#[test]
fn page_of_stores_is_that_of_the_table() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/s3-stores.md");
    let wanted = page::of_table();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&page, wanted).unwrap();
        return;
    }
    let there = fs::read_to_string(&page).unwrap_or_default();
    assert_eq!(
        there,
        wanted,
        "UPDATE_DOCS=1 writes {} again",
        page.display()
    );
}

mod page {
    use crate::images::{FAULTY, Faulty};
    use crate::vendors::{
        Addressing, Checksum, Host, Region, Snapshots, UNLISTED, VENDORS, Vendor,
    };

    const HEAD: &str = "\
# S3 stores

What is known of stores, by the host of `endpoint`. A test makes this page from the table that the charm uses:
`UPDATE_DOCS=1 cargo test -p provider-s3 page`.

Each column can be set by hand: the region by `region`, the style by `s3-uri-style` in the integrator, all of
them by the option `s3-config` (`region=`, `s3ForcePathStyle=`, `checksumAlgorithm=`). Signatures are of version 4
with every store: the plugin has no other.

File-system backups do not look at the style. They use virtual-hosted style with Amazon's hosts below
`amazonaws.com` and `amazonaws.com.cn` and with Alibaba's, and path style with all others.

| store | hosts | region | style | style of file backups | checksums | snapshots |
| --- | --- | --- | --- | --- | --- | --- |
";

    pub(super) fn of_table() -> String {
        let all = || VENDORS.iter().chain([&UNLISTED]);
        let rows: String = all().map(row).collect();
        let notes: String = all().map(notes).collect();
        let releases: String = FAULTY.iter().map(release).collect();
        format!(
            "{HEAD}{rows}\n## Releases of the plugin that are refused\n\n{releases}\n\
             ## What is known to fail, and where this is from\n{notes}"
        )
    }

    fn release(faulty: &Faulty) -> String {
        let Faulty {
            version,
            elsewhere,
            source,
        } = faulty;
        format!("- v{version} {elsewhere} (<{source}>).\n")
    }

    fn row(vendor: &Vendor) -> String {
        let hosts = vendor
            .hosts
            .iter()
            .map(|host| format!("`{}`", host.pattern));
        let hosts = or_dash(hosts.collect::<Vec<_>>().join("<br>"));
        if vendor.refused.is_some() {
            return format!("| {} | {hosts} | refused | | | | |\n", vendor.name);
        }
        let mut regions: Vec<_> = vendor.hosts.iter().map(region).collect();
        regions.dedup();
        let regions = if regions.is_empty() {
            "`us-east-1`".to_owned()
        } else {
            regions.join("<br>")
        };
        let checksums = match vendor.checksum {
            Checksum::Plugins => "CRC32",
            Checksum::Off => "none",
        };
        let snapshots = match vendor.snapshots {
            Snapshots::Ebs => "EBS",
            Snapshots::None => "-",
        };
        format!(
            "| {} | {hosts} | {regions} | {} | {} | {checksums} | {snapshots} |\n",
            vendor.name,
            style(vendor.addressing),
            style(vendor.file_backups),
        )
    }

    fn region(host: &Host) -> String {
        match host.region {
            Region::InHost => "from the host".to_owned(),
            Region::Is(region) => format!("`{region}`"),
            Region::Asked => "the plugin asks Amazon".to_owned(),
            Region::Unknown => "`us-east-1`, if none is set".to_owned(),
        }
    }

    const fn style(addressing: Addressing) -> &'static str {
        match addressing {
            Addressing::Path => "path",
            Addressing::Virtual => "virtual-hosted",
        }
    }

    fn notes(vendor: &Vendor) -> String {
        let refused = vendor
            .refused
            .map(|(reason, remedy)| format!("It {reason}: {remedy}."));
        let known = vendor
            .known
            .iter()
            .map(|known| (*known).to_owned())
            .chain(refused);
        let known = known.map(|known| format!("- {known}\n"));
        let sources = vendor
            .sources
            .iter()
            .map(|source| format!("- <{source}>\n"));
        let lines: String = known.chain(sources).collect();
        if lines.is_empty() {
            return String::new();
        }
        format!("\n### {}\n\n{lines}", vendor.name)
    }

    fn or_dash(text: String) -> String {
        if text.is_empty() {
            "any".to_owned()
        } else {
            text
        }
    }
}
