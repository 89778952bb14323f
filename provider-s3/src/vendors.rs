//! What is known of stores, as one table.
//!
//! Each row says where its knowledge is from. What could not be found out is what stores that nobody knows get:
//! path style, no checksums, region `us-east-1`.

/// How a bucket is named in a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Addressing {
    /// In the path: `https://store/bucket/key`.
    Path,
    /// In the host's name: `https://bucket.store/key`.
    Virtual,
}

/// Which checksums uploads carry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Checksum {
    /// What the plugin takes by itself: CRC32.
    Plugins,
    /// None.
    Off,
}

/// Whose volumes can be snapshotted with the store's keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Snapshots {
    Ebs,
    None,
}

/// What the region of a store under a host is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Region {
    /// `{region}` in the pattern.
    InHost,
    Is(&'static str),
    /// The host is the same for all regions, and without an address the plugin asks Amazon.
    Asked,
    Unknown,
}

/// Hosts of one form. A part in braces stands for any text without a dot.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) pattern: &'static str,
    pub(crate) region: Region,
}

/// One kind of store.
#[derive(Debug)]
pub(crate) struct Vendor {
    pub(crate) name: &'static str,
    /// None for software that runs under any name.
    pub(crate) hosts: &'static [Host],
    pub(crate) addressing: Addressing,
    /// What file-system backups use, which no setting changes: the library in them decides by the host.
    pub(crate) file_backups: Addressing,
    pub(crate) checksum: Checksum,
    pub(crate) snapshots: Snapshots,
    /// What is known to fail and what to do, as sentences.
    pub(crate) known: &'static [&'static str],
    /// Why it cannot be used by this provider, and what to do.
    pub(crate) refused: Option<(&'static str, &'static str)>,
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the page of the table shows it")
    )]
    pub(crate) sources: &'static [&'static str],
}

const fn at(pattern: &'static str) -> Host {
    Host {
        pattern,
        region: Region::InHost,
    }
}

const fn fixed(pattern: &'static str, region: Region) -> Host {
    Host { pattern, region }
}

/// A store that nothing is known of: behind a name of its own, without wildcard DNS, and without Amazon's newer
/// checksums. Both are refused by many.
pub(crate) const UNLISTED: Vendor = Vendor {
    name: "any other",
    hosts: &[],
    addressing: Addressing::Path,
    file_backups: Addressing::Path,
    checksum: Checksum::Off,
    snapshots: Snapshots::None,
    known: &[],
    refused: None,
    sources: &[],
};

const AMAZON: Vendor = Vendor {
    name: "Amazon S3",
    hosts: &[
        fixed("s3.amazonaws.com", Region::Asked),
        fixed("s3-external-1.amazonaws.com", Region::Is("us-east-1")),
        fixed("s3-accelerate.amazonaws.com", Region::Unknown),
        fixed("s3-accelerate.dualstack.amazonaws.com", Region::Unknown),
        at("s3.dualstack.{region}.amazonaws.com"),
        at("s3-fips.dualstack.{region}.amazonaws.com"),
        at("s3-fips.{region}.amazonaws.com"),
        at("bucket.{endpoint}.s3.{region}.vpce.amazonaws.com"),
        at("s3.{region}.amazonaws.com"),
        at("s3-{region}.amazonaws.com"),
    ],
    addressing: Addressing::Virtual,
    file_backups: Addressing::Virtual,
    checksum: Checksum::Plugins,
    snapshots: Snapshots::Ebs,
    sources: &[
        "https://docs.aws.amazon.com/general/latest/gr/s3.html",
        "https://github.com/aws/aws-sdk-go-v2/blob/service/s3/v1.101.0/service/s3/internal/endpoints/endpoints.go",
    ],
    ..UNLISTED
};

const CHECKSUMS: &str = "https://github.com/velero-io/velero-plugin-for-aws/tree/v1.14.3#non-aws-s3-compatible-provider-known-issues-with-plugin-v114x-aws-sdk-go-v2";

/// The first host that matches counts.
pub(crate) const VENDORS: &[Vendor] = &[
    AMAZON,
    Vendor {
        name: "Amazon S3 in China",
        hosts: &[
            at("s3.dualstack.{region}.amazonaws.com.cn"),
            at("s3-fips.{region}.amazonaws.com.cn"),
            at("bucket.{endpoint}.s3.{region}.vpce.amazonaws.com.cn"),
            at("s3.{region}.amazonaws.com.cn"),
        ],
        ..AMAZON
    },
    Vendor {
        name: "AWS European Sovereign Cloud",
        hosts: &[
            at("s3.dualstack.{region}.amazonaws.eu"),
            at("s3-fips.{region}.amazonaws.eu"),
            at("s3.{region}.amazonaws.eu"),
        ],
        file_backups: Addressing::Path,
        ..AMAZON
    },
    Vendor {
        name: "AWS ISO partitions",
        hosts: &[
            at("s3-fips.{region}.c2s.ic.gov"),
            at("s3.{region}.c2s.ic.gov"),
            at("s3-fips.{region}.sc2s.sgov.gov"),
            at("s3.{region}.sc2s.sgov.gov"),
            at("s3-fips.{region}.cloud.adc-e.uk"),
            at("s3.{region}.cloud.adc-e.uk"),
            at("s3-fips.{region}.csp.hci.ic.gov"),
            at("s3.{region}.csp.hci.ic.gov"),
        ],
        file_backups: Addressing::Path,
        ..AMAZON
    },
    Vendor {
        name: "Google Cloud Storage",
        hosts: &[
            fixed("storage.googleapis.com", Region::Unknown),
            fixed("commondatastorage.googleapis.com", Region::Unknown),
            fixed("storage.{region}.rep.googleapis.com", Region::InHost),
        ],
        refused: Some((
            "is Google Cloud Storage, which refuses the signatures of Velero's plugin for S3",
            "use Google Cloud Storage through its own integrator",
        )),
        sources: &[
            CHECKSUMS,
            "https://issuetracker.google.com/issues/256641357",
        ],
        ..UNLISTED
    },
    Vendor {
        name: "Oracle Cloud, virtual-hosted style",
        hosts: &[at("vhcompat.objectstorage.{region}.oci.customer-oci.com")],
        addressing: Addressing::Virtual,
        sources: &["https://docs.oracle.com/en-us/iaas/Content/Object/s3-virtual-style.htm"],
        ..UNLISTED
    },
    Vendor {
        name: "Oracle Cloud",
        hosts: &[
            at("{namespace}.compat.objectstorage.{region}.oraclecloud.com"),
            at("{namespace}.compat.objectstorage.{region}.oci.customer-oci.com"),
        ],
        known: &[
            "Uploads with checksums are refused (`x-amz-content-sha256 must be UNSIGNED-PAYLOAD`): leave \
             `checksumAlgorithm` alone.",
        ],
        sources: &[
            "https://docs.oracle.com/en-us/iaas/Content/Object/Tasks/s3compatibleapi.htm",
            "https://github.com/velero-io/velero/issues/9089",
        ],
        ..UNLISTED
    },
    Vendor {
        name: "IBM Cloud Object Storage",
        hosts: &[
            fixed(
                "s3.private.{place}.cloud-object-storage.appdomain.cloud",
                Region::Unknown,
            ),
            fixed(
                "s3.direct.{place}.cloud-object-storage.appdomain.cloud",
                Region::Unknown,
            ),
            fixed(
                "s3.{place}.cloud-object-storage.appdomain.cloud",
                Region::Unknown,
            ),
        ],
        known: &[
            "A bucket with retention refuses uploads without checksums: set `checksumAlgorithm=CRC32` in \
             `s3-config` for it.",
        ],
        sources: &[
            CHECKSUMS,
            "https://github.com/velero-io/velero/issues/7543",
            "https://github.com/rclone/rclone/blob/master/backend/s3/provider/IBMCOS.yaml",
        ],
        ..UNLISTED
    },
    Vendor {
        name: "Backblaze B2",
        hosts: &[at("s3.{region}.backblazeb2.com")],
        known: &[
            "Only `https://` is served, and keys made as master keys are refused: make an application key.",
        ],
        sources: &[
            "https://www.backblaze.com/apidocs/introduction-to-the-s3-compatible-api",
            CHECKSUMS,
        ],
        ..UNLISTED
    },
    Vendor {
        name: "Wasabi",
        hosts: &[
            fixed("s3.wasabisys.com", Region::Is("us-east-1")),
            at("s3.{region}.wasabisys.com"),
        ],
        sources: &[
            "https://docs.wasabi.com/docs/rest-api-introduction",
            "https://github.com/rclone/rclone/blob/master/backend/s3/provider/Wasabi.yaml",
        ],
        ..UNLISTED
    },
    Vendor {
        name: "DigitalOcean Spaces",
        hosts: &[at("{region}.digitaloceanspaces.com")],
        sources: &["https://docs.digitalocean.com/products/spaces/reference/aws-sdks/"],
        ..UNLISTED
    },
    Vendor {
        name: "Cloudflare R2",
        hosts: &[
            fixed("{account}.eu.r2.cloudflarestorage.com", Region::Is("auto")),
            fixed("{account}.us.r2.cloudflarestorage.com", Region::Is("auto")),
            fixed(
                "{account}.fedramp.r2.cloudflarestorage.com",
                Region::Is("auto"),
            ),
            fixed("{account}.r2.cloudflarestorage.com", Region::Is("auto")),
        ],
        sources: &[
            "https://developers.cloudflare.com/r2/api/s3/api/",
            "https://developers.cloudflare.com/r2/reference/data-location/",
            "https://github.com/rclone/rclone/blob/master/backend/s3/provider/Cloudflare.yaml",
        ],
        ..UNLISTED
    },
    Vendor {
        name: "Scaleway",
        hosts: &[at("s3.{region}.scw.cloud")],
        sources: &["https://www.scaleway.com/en/docs/storage/object/concepts/"],
        ..UNLISTED
    },
    Vendor {
        name: "Hetzner",
        hosts: &[at("{region}.your-objectstorage.com")],
        sources: &["https://github.com/rclone/rclone/blob/master/backend/s3/provider/Hetzner.yaml"],
        ..UNLISTED
    },
    Vendor {
        name: "OVHcloud",
        hosts: &[
            at("s3.{region}.io.cloud.ovh.net"),
            at("s3.{region}.perf.cloud.ovh.net"),
            at("s3.{region}.io.cloud.ovh.us"),
        ],
        known: &[
            "Uploads with checksums are refused (`InvalidArgument`): leave `checksumAlgorithm` alone.",
        ],
        sources: &[
            "https://github.com/ovh/docs/pull/6857",
            "https://github.com/velero-io/velero/issues/7531",
            "https://github.com/rclone/rclone/blob/master/backend/s3/provider/OVHcloud.yaml",
        ],
        ..UNLISTED
    },
    Vendor {
        name: "Linode (Akamai)",
        hosts: &[at("{region}.linodeobjects.com")],
        sources: &[
            "https://techdocs.akamai.com/cloud-computing/docs/clients-and-tooling",
            "https://github.com/rclone/rclone/blob/master/backend/s3/provider/Linode.yaml",
        ],
        ..UNLISTED
    },
    Vendor {
        name: "Alibaba Cloud OSS",
        hosts: &[
            fixed("oss-accelerate.aliyuncs.com", Region::Unknown),
            fixed("oss-accelerate-overseas.aliyuncs.com", Region::Unknown),
            at("s3.oss-{region}-internal.aliyuncs.com"),
            at("s3.oss-{region}.aliyuncs.com"),
            at("oss-{region}-internal.aliyuncs.com"),
            at("oss-{region}.aliyuncs.com"),
        ],
        addressing: Addressing::Virtual,
        file_backups: Addressing::Virtual,
        known: &[
            "Path style is refused (`SecondLevelDomainForbidden`), and so are uploads with checksums \
             (`aws-chunked encoding is not supported`).",
        ],
        sources: &[
            "https://www.alibabacloud.com/help/en/oss/user-guide/oss-domain-names",
            "https://github.com/treeverse/lakeFS/issues/3613",
            "https://github.com/zenml-io/zenml/issues/4286",
        ],
        ..UNLISTED
    },
    Vendor {
        name: "Tencent COS",
        hosts: &[
            fixed("cos.accelerate.myqcloud.com", Region::Unknown),
            at("cos.{region}.myqcloud.com"),
        ],
        addressing: Addressing::Virtual,
        known: &["Buckets made since 2024 refuse path style (`PathStyleDomainForbidden`)."],
        sources: &["https://www.tencentcloud.com/document/product/436/75050"],
        ..UNLISTED
    },
    Vendor {
        name: "Huawei Cloud OBS",
        hosts: &[
            at("obs.{region}.myhuaweicloud.com"),
            at("obs.{region}.myhuaweicloud.eu"),
        ],
        addressing: Addressing::Virtual,
        known: &["Path style is refused on these names since 2025 (`VirtualHostDomainRequired`)."],
        sources: &[
            "https://support.huaweicloud.com/en-us/devg-obs/obs_06_0007.html",
            "https://github.com/rancher/backup-restore-operator/issues/973",
        ],
        ..UNLISTED
    },
    Vendor {
        name: "Ceph Object Gateway",
        known: &[
            "Uploads with checksums fail with `XAmzContentSHA256Mismatch`. Virtual-hosted style needs \
             `rgw_dns_name` and a wildcard certificate.",
        ],
        sources: &[
            CHECKSUMS,
            "https://docs.ceph.com/en/tentacle/radosgw/s3/commons/",
        ],
        ..UNLISTED
    },
    Vendor {
        name: "MinIO",
        known: &[
            "Uploads with checksums can fail with `XAmzContentSHA256Mismatch`. The region is `us-east-1` \
             unless the server was started with another.",
        ],
        sources: &[
            "https://github.com/velero-io/velero/issues/7543",
            "https://github.com/minio/minio/discussions/15997",
        ],
        ..UNLISTED
    },
    Vendor {
        name: "SeaweedFS",
        sources: &[
            "https://github.com/rclone/rclone/blob/master/backend/s3/provider/SeaweedFS.yaml",
        ],
        ..UNLISTED
    },
    Vendor {
        name: "NetApp ONTAP and StorageGRID",
        known: &[
            "Uploads fail with `NotImplemented` before ONTAP 9.15.1P2 and StorageGRID 11.8.0.7: update it.",
        ],
        sources: &[
            CHECKSUMS,
            "https://github.com/velero-io/velero/issues/8152",
            "https://github.com/velero-io/velero/issues/7828",
        ],
        ..UNLISTED
    },
];

/// A separate world within Amazon: keys of one mean nothing in another. Names of regions begin with its mark.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Partition {
    mark: &'static str,
    pub(crate) domain: &'static str,
}

/// Where every region is that no other partition claims.
const COMMERCIAL: Partition = Partition {
    mark: "",
    domain: "amazonaws.com",
};

/// From `partitions.json` of the AWS SDK for Go, v1.41.12.
const PARTITIONS: [Partition; 7] = [
    Partition {
        mark: "us-gov-",
        domain: "amazonaws.com",
    },
    Partition {
        mark: "cn-",
        domain: "amazonaws.com.cn",
    },
    Partition {
        mark: "eusc-",
        domain: "amazonaws.eu",
    },
    Partition {
        mark: "us-iso-",
        domain: "c2s.ic.gov",
    },
    Partition {
        mark: "us-isob-",
        domain: "sc2s.sgov.gov",
    },
    Partition {
        mark: "eu-isoe-",
        domain: "cloud.adc-e.uk",
    },
    Partition {
        mark: "us-isof-",
        domain: "csp.hci.ic.gov",
    },
];

/// The partition of one of Amazon's regions.
pub(crate) fn partition(region: &str) -> &'static Partition {
    let mut all = PARTITIONS.iter();
    all.find(|partition| region.starts_with(partition.mark))
        .unwrap_or(&COMMERCIAL)
}

/// Where a host is in the table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Found<'a> {
    /// What stands before the part that the pattern describes.
    pub(crate) front: &'a str,
    pub(crate) region: Option<&'a str>,
}

impl Host {
    /// Compares label by label from the end.
    pub(crate) fn find<'a>(&self, host: &'a str) -> Option<Found<'a>> {
        let mut rest = host;
        let mut region = match self.region {
            Region::Is(region) => Some(region),
            Region::InHost | Region::Asked | Region::Unknown => None,
        };
        for wanted in self.pattern.rsplit('.') {
            let (front, label) = rest.rsplit_once('.').unwrap_or(("", rest));
            let filled = fill(wanted, label)?;
            if self.region == Region::InHost && wanted.contains("{region}") {
                region = Some(filled);
            }
            rest = front;
        }
        Some(Found {
            front: rest,
            region,
        })
    }
}

/// The text that stands in a label for the part in braces, or the label itself if there is no such part.
fn fill<'a>(pattern: &str, label: &'a str) -> Option<&'a str> {
    let Some((before, rest)) = pattern.split_once('{') else {
        return (pattern == label).then_some(label);
    };
    let (_, after) = rest.split_once('}')?;
    let filled = label.strip_prefix(before)?.strip_suffix(after)?;
    (!filled.is_empty()).then_some(filled)
}
