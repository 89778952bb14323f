//! The option `s3-config`, and fields that the plugin has little use for.

use super::*;
use crate::settings::OPTION;

fn set(text: &str, changes: &[(&str, &str)]) -> Storage {
    let options = BTreeMap::from([(OPTION.name, text.to_owned())]);
    ready_with(&inputs(changes).configured(options))
}

fn problems(text: &str) -> Vec<String> {
    let problems = (OPTION.check)(text).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn option_takes_the_place_of_what_the_table_says() {
    let endpoint = (ENDPOINT, "https://s3.example.com");
    let storage = set(
        "checksumAlgorithm=CRC32, region=here,s3ForcePathStyle=false\n tagging=team=a&app=b",
        &[endpoint, (REGION, "there"), (URI_STYLE, "path")],
    );
    let expected = [
        ("checksumAlgorithm", "CRC32"),
        ("region", "here"),
        ("s3Url", "https://s3.example.com"),
        ("tagging", "team=a&app=b"),
    ];
    assert_eq!(config(&storage), expected);
    assert_eq!(
        config(&set("checksumAlgorithm=", &[])),
        [("checksumAlgorithm", "")]
    );
    assert_eq!(config(&set("", &[])), []);
}

#[test]
fn option_that_the_plugin_does_not_take_is_refused() {
    for (text, reason) in [
        (
            "profile=other",
            "has `profile`, which names a file or a profile",
        ),
        ("customerKeyEncryptionFile=/x", "names a file"),
        ("enableSharedConfig=true", "names a file"),
        ("credentialsFile=/x", "names a file"),
        ("customerKeyEncryptionSecret=a/b", "lost with the cluster"),
        ("s3Url=https://elsewhere", "set `endpoint`"),
        ("bucket=other", "set `bucket`"),
        ("signatureVersion=1", "always signs with version 4"),
        (
            "checksumAlgorithm=MD4",
            "`CRC32`, `CRC32C`, `SHA1`, `SHA256` or nothing",
        ),
        ("s3ForcePathStyle=yes", "`true` or `false`"),
        ("publicUrl=https://u:p@host", "a URL"),
        ("tagging=team=a", "two to ten tags"),
        ("kmsKeyId=", "an id, an alias or an ARN"),
        ("region=eu west", "without `=`"),
        ("hunter2", "without `=`"),
        ("hunter2=1", "does not know"),
        ("region=a region=b", "has `region` twice"),
        (
            "kmsKeyId=a serverSideEncryption=AES256",
            "another `serverSideEncryption`",
        ),
    ] {
        let said = problems(text);
        assert!(
            said.len() == 1 && said[0].contains(reason),
            "{text}: {said:?}"
        );
        assert!(
            said[0].contains("`s3-config` has ") && !said[0].contains("hunter2"),
            "{said:?}"
        );
    }
    assert_eq!(problems("profile=a b s3Url=c").len(), 3, "all at once");
}

#[test]
fn certificate_that_is_not_looked_at_is_remarked_on() {
    let said = |text| set(text, &[]).remarks;
    assert!(said("insecureSkipTLSVerify=true")[0].contains("`insecureSkipTLSVerify`"));
    assert_eq!(said("insecureSkipTLSVerify=false"), Vec::<String>::new());
}

#[test]
fn attributes_are_used_where_the_plugin_can() {
    let key = "arn:aws:kms:eu-west-1:1:key/a-b";
    let list = format!(
        "[\"X-Amz-Server-Side-Encryption: aws:kms\", \
         \"x-amz-server-side-encryption-aws-kms-key-id={key}\", \"Cache-Control=none\"]"
    );
    let text = format!(
        "x-amz-server-side-encryption=aws:kms,x-amz-server-side-encryption-aws-kms-key-id={key}\nother"
    );
    for attributes in [list, text] {
        let storage = ready(&[("attributes", &attributes)]);
        let expected = [("kmsKeyId", key), ("serverSideEncryption", "aws:kms")];
        assert_eq!(config(&storage), expected);
        assert!(
            storage.remarks[0].starts_with("Of `attributes` only"),
            "{:?}",
            storage.remarks
        );
    }
    let wrong = ready(&[("attributes", "x-amz-server-side-encryption=rot13")]);
    assert_eq!(wrong.gaps[0].problem.field, "attributes");
    let overruled = set(
        "serverSideEncryption=aws:kms",
        &[("attributes", "x-amz-server-side-encryption=AES256")],
    );
    assert_eq!(config(&overruled), [("serverSideEncryption", "aws:kms")]);
}

#[test]
fn fields_without_use_are_remarked_on() {
    for (field, value) in [
        ("storage-class", "GLACIER"),
        ("s3-api-version", "2"),
        ("delete-older-than-days", "7"),
        ("experimental-delete-older-than-days", "7"),
    ] {
        let storage = ready(&[(field, value)]);
        let begin = format!("`{field}` is not used: ");
        assert!(
            storage.remarks[0].starts_with(&begin),
            "{:?}",
            storage.remarks
        );
        assert_eq!(storage.location, ready(&[]).location);
    }
    let usual = ready(&[("storage-class", "STANDARD"), ("s3-api-version", "s3v4")]);
    assert_eq!(usual.remarks, Vec::<String>::new());
}

#[test]
fn release_that_spoils_backups_is_refused_outside_of_amazon() {
    let image = "registry:5000/velero-plugin-for-aws:v1.14.2".to_owned();
    let resolve = |changes: &[(&str, &str)]| {
        let options = BTreeMap::from([(DESCRIPTOR.plugin.option, image.clone())]);
        PROVIDER.resolve(&inputs(changes).configured(options))
    };
    let elsewhere = resolve(&[(ENDPOINT, "https://s3.example.com")]).unwrap_err();
    let text = elsewhere.to_string();
    assert!(text.contains("velero-aws-plugin-image"), "{text}");
    assert!(
        text.contains("set it to `velero/velero-plugin-for-aws:v1.14.3`"),
        "{text}"
    );
    let amazon = resolve(&[(ENDPOINT, "https://s3.eu-central-1.amazonaws.com")]);
    assert!(matches!(amazon, Ok(Answer::Ready(_))));
}
