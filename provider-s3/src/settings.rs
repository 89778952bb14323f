//! The option `s3-config`: settings of the plugin, by its own names, that the user knows better.

use std::collections::BTreeMap;

use provider_api::{ConfigOption, Problem, Problems};
use url::Url;

use crate::{PATH_STYLE, REGION, is_region};

pub(crate) const CHECKSUM: &str = "checksumAlgorithm";
pub(crate) const SKIP_TLS: &str = "insecureSkipTLSVerify";
pub(crate) const KMS_KEY: &str = "kmsKeyId";
pub(crate) const ENCRYPTION: &str = "serverSideEncryption";
pub(crate) const TAGGING: &str = "tagging";

pub(crate) const OPTION: ConfigOption = ConfigOption {
    name: "s3-config",
    default: "",
    check: |text| parse(text).map(drop),
};

/// What a setting may be.
enum Allowed {
    Flag,
    OneOf(&'static [&'static str]),
    Region,
    Url,
    Word,
    Tags,
    /// Never; with the reason and the remedy.
    Nothing(&'static str, &'static str),
}

const NO_FILE: (&str, &str) = (
    "names a file or a profile in Velero's pod, where there is only the credential file that the charm makes",
    "leave it out and give the keys to the store's integrator",
);

/// Every name that the plugin knows (`Init` in `object_store.go` of v1.14.3).
const SETTINGS: &[(&str, Allowed)] = &[
    (
        CHECKSUM,
        Allowed::OneOf(&["", "CRC32", "CRC32C", "SHA1", "SHA256"]),
    ),
    (SKIP_TLS, Allowed::Flag),
    (KMS_KEY, Allowed::Word),
    ("publicUrl", Allowed::Url),
    (REGION, Allowed::Region),
    (PATH_STYLE, Allowed::Flag),
    (
        ENCRYPTION,
        Allowed::OneOf(&["AES256", "aws:kms", "aws:kms:dsse"]),
    ),
    (TAGGING, Allowed::Tags),
    (
        "s3Url",
        Allowed::Nothing(
            "says where keys are sent",
            "set `endpoint` in the store's integrator",
        ),
    ),
    (
        "bucket",
        Allowed::Nothing(
            "says where backups go",
            "set `bucket` in the store's integrator",
        ),
    ),
    (
        "prefix",
        Allowed::Nothing(
            "says where backups go",
            "set `path` in the store's integrator",
        ),
    ),
    (
        "caCert",
        Allowed::Nothing(
            "is no setting of this kind",
            "set `tls-ca-chain` in the store's integrator",
        ),
    ),
    ("credentialsFile", Allowed::Nothing(NO_FILE.0, NO_FILE.1)),
    (
        "customerKeyEncryptionFile",
        Allowed::Nothing(NO_FILE.0, NO_FILE.1),
    ),
    ("enableSharedConfig", Allowed::Nothing(NO_FILE.0, NO_FILE.1)),
    ("profile", Allowed::Nothing(NO_FILE.0, NO_FILE.1)),
    (
        "customerKeyEncryptionSecret",
        Allowed::Nothing(
            "names a key that file-system backups would not use, and that is lost with the cluster",
            "leave it out, or use `kmsKeyId`",
        ),
    ),
    (
        "signatureVersion",
        Allowed::Nothing(
            "has no effect, since the plugin always signs with version 4",
            "leave it out",
        ),
    ),
];

/// Reads `name=value`, separated by white space or commas.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<&'static str, String>, Problems> {
    let mut settings = BTreeMap::new();
    let mut problems = Vec::new();
    for pair in text.split(|c: char| c == ',' || c.is_whitespace()) {
        if pair.is_empty() {
            continue;
        }
        match setting(pair) {
            Ok((name, _)) if settings.contains_key(name) => {
                problems.push(invalid(
                    &format!("has `{name}` twice"),
                    "leave one of them out",
                ));
            }
            Ok((name, value)) => drop(settings.insert(name, value.to_owned())),
            Err(problem) => problems.push(problem),
        }
    }
    let encryption = settings.get(ENCRYPTION).map_or("aws:kms", String::as_str);
    if settings.contains_key(KMS_KEY) && encryption != "aws:kms" {
        let reason = format!("has `{KMS_KEY}` and another `{ENCRYPTION}` than `aws:kms`");
        problems.push(invalid(&reason, "leave one of them out"));
    }
    Problems::raise(problems)?;
    Ok(settings)
}

/// One setting with its value.
fn setting(pair: &str) -> Result<(&'static str, &str), Problem> {
    let known = || {
        let allowed = SETTINGS
            .iter()
            .filter(|(_, allowed)| !matches!(allowed, Allowed::Nothing(..)));
        let names: Vec<_> = allowed.map(|(name, _)| format!("`{name}`")).collect();
        format!("use {}, each with `=` and a value", names.join(", "))
    };
    let (name, value) = pair
        .split_once('=')
        .ok_or_else(|| invalid("has a word without `=`", &known()))?;
    let (name, allowed) = SETTINGS
        .iter()
        .find(|(known, _)| *known == name)
        // The name is not quoted: it may be half of a key.
        .ok_or_else(|| invalid("has a name that the plugin does not know", &known()))?;
    let fault = match allowed {
        Allowed::Nothing(reason, remedy) => {
            return Err(invalid(&format!("has `{name}`, which {reason}"), remedy));
        }
        Allowed::Flag => unless(matches!(value, "true" | "false"), "`true` or `false`"),
        Allowed::OneOf(all) => (!all.contains(&value)).then(|| match all {
            ["", some @ ..] => format!("{} or nothing", one_of(some)),
            some => one_of(some),
        }),
        Allowed::Region => unless(is_region(value), "the name of a region"),
        Allowed::Url => unless(is_url(value), "a URL such as `https://s3.example.com`"),
        Allowed::Word => unless(is_word(value), "an id, an alias or an ARN"),
        Allowed::Tags => unless(is_tags(value), "two to ten tags such as `team=a&app=b`"),
    };
    match fault {
        Some(wanted) => {
            let reason = format!("has a wrong value for `{name}`");
            Err(invalid(&reason, &format!("set `{name}` to {wanted}")))
        }
        None => Ok((name, value)),
    }
}

/// The value may be used for the setting.
pub(crate) fn is_valid(name: &str, value: &str) -> bool {
    setting(&format!("{name}={value}")).is_ok()
}

fn unless(is_fine: bool, wanted: &str) -> Option<String> {
    (!is_fine).then(|| wanted.to_owned())
}

fn one_of(all: &[&str]) -> String {
    let all: Vec<_> = all.iter().map(|one| format!("`{one}`")).collect();
    all.join(", ")
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_/:.".contains(c))
}

fn is_url(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.as_str().trim_end_matches('/') == text.trim_end_matches('/')
    })
}

/// As the plugin checks them (`CheckTags` in `helpers.go`), which takes one tag alone for a fault.
fn is_tags(text: &str) -> bool {
    let is_of_tags = |c: char| c.is_ascii_alphanumeric() || "+-_.%".contains(c);
    let is_tag = |tag: &str| {
        tag.split_once('=').is_some_and(|(name, value)| {
            (1..=128).contains(&name.len())
                && value.len() <= 248
                && name.chars().chain(value.chars()).all(is_of_tags)
        })
    };
    let tags: Vec<_> = text.split('&').collect();
    (2..=10).contains(&tags.len()) && tags.into_iter().all(is_tag)
}

fn invalid(reason: &str, remedy: &str) -> Problem {
    Problem::invalid(OPTION.name, reason, remedy)
}
